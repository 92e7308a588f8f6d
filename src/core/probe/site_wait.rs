//! Why a credential makes no call to its site for now.

use chrono::{DateTime, Utc};

/// A wait that other calls to the site have caused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SiteWait {
    /// When the credential may be sent again.
    pub until: DateTime<Utc>,
    /// What caused the wait.
    pub cause: WaitCause,
}

/// What caused a wait.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum WaitCause {
    /// The site limits the rate of calls, or asked for time.
    RateLimited,
    /// The site gave other callers no answer in time, or no connection.
    Unresponsive,
    /// The proxy on the way to the site gave other callers no connection, or wants credentials.
    Proxy,
}
