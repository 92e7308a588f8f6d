//! The conditions that follow from the facts, one file each.

pub mod denied;
pub mod expiry_known;
pub mod over_privileged;
pub mod progressing;
pub mod published;
pub mod ready;
pub mod restart_failed;
pub mod rotation_due;
pub(crate) mod unanswered;
pub mod valid;

use crate::api::{ConditionStatus, Reason};

/// A condition before it is known whether anything changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConditionDraft {
    /// True, False or Unknown.
    pub status: ConditionStatus,
    /// Why.
    pub reason: Reason,
    /// In words.
    pub message: String,
}

fn draft(status: ConditionStatus, reason: Reason, message: impl Into<String>) -> ConditionDraft {
    ConditionDraft {
        status,
        reason,
        message: message.into(),
    }
}
