//! What an event reports.

use crate::api::Reason;

/// An event to publish.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    /// Whether a person should look at it.
    pub warning: bool,
    /// The reason.
    pub reason: Reason,
    /// In words.
    pub note: String,
}
