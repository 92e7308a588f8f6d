//! Whether the credential may be published.

use crate::api::AttemptOutcome;
use crate::core::facts::Facts;
use crate::core::facts::types::Peer;

impl Facts {
    /// Whether the credential in the source may be written into targets: it is the one that Jira
    /// accepted last, and Jira has not refused it since, neither here nor for another credential.
    pub fn may_publish(&self) -> bool {
        let doubted = self.attempt().is_some_and(|attempt| match attempt.outcome {
            // Something gave cause to ask, and the answer is not known.
            AttemptOutcome::Started | AttemptOutcome::Unconfirmed => true,
            AttemptOutcome::Refused | AttemptOutcome::NoVerdict | AttemptOutcome::Interrupted => {
                false
            }
        });
        let refused = self.refusal().is_some() || matches!(self.peer, Peer::Refused(_));
        if self.lacks_scopes() || !self.permissions_are_settled() {
            return false;
        }
        (self.is_validated() || self.is_provisional()) && !self.pin_moved() && !doubted && !refused
    }

    /// Whether the spec now pins another account than the validated one.
    pub fn pin_moved(&self) -> bool {
        self.pinned_account() != self.account().map(|account| account.id.as_str())
    }
}
