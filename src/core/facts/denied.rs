//! What the API server denies the operator for as long as nobody changes anything.

use std::fmt;

use crate::api::Reason;
use crate::core::spec::MissingRight;

/// Why a request is denied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Denial {
    /// RBAC does not allow it.
    Right(MissingRight),
    /// Something else does not, such as a quota or an admission policy: in words.
    Refused(String),
}

impl fmt::Display for Denial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Right(right) => write!(formatter, "{right}."),
            Self::Refused(cause) => formatter.write_str(cause),
        }
    }
}

/// What was to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DeniedWork {
    /// To write the Secret of the grant of this name, before anything was asked of Jira.
    Grant(String),
    /// To store tokens in it that Jira has issued. The process keeps them and tries again.
    Keep(String),
    /// To delete the target of this name.
    Deletion(String),
    /// To remove the keys of this credential from the Secret of this name, which somebody else made.
    Removal(String),
    /// Something else.
    Other,
}

/// A denied request that this reconcile needed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Denied {
    /// What was to be done.
    pub work: DeniedWork,
    /// Why it was not.
    pub cause: Denial,
}

impl Denied {
    /// The reason to report.
    pub fn reason(&self) -> Reason {
        match (&self.cause, &self.work) {
            (Denial::Right(_), _) => Reason::OperatorRightMissing,
            (Denial::Refused(_), DeniedWork::Grant(_) | DeniedWork::Keep(_)) => {
                Reason::GrantWriteRefused
            }
            (
                Denial::Refused(_),
                DeniedWork::Deletion(_) | DeniedWork::Removal(_) | DeniedWork::Other,
            ) => Reason::WriteRefused,
        }
    }
}
