//! Whether validations get no answer, which several conditions tell.

use crate::api::{AttemptOutcome, Reason};
use crate::core::facts::Facts;
use crate::core::messages::{meanwhile, outage};

/// Why the last validation got no answer, or a validation that is due cannot be made.
pub(crate) fn failing_validation(facts: &Facts) -> Option<Reason> {
    let Some(attempt) = facts.attempt() else {
        let overdue = facts.next_validation().is_some_and(|due| due <= facts.now);
        if !overdue || facts.progress.judgement.is_some() {
            return None;
        }
        // In the queue after a pause nothing has been answered yet either.
        return match outage::pause(facts) {
            Some((reason, _)) => Some(reason),
            None => meanwhile::told_reason(facts),
        };
    };
    match attempt.outcome {
        AttemptOutcome::NoVerdict => Some(attempt.reason.unwrap_or(Reason::NotValidated)),
        AttemptOutcome::Started | AttemptOutcome::Interrupted => Some(Reason::NotValidated),
        AttemptOutcome::Refused | AttemptOutcome::Unconfirmed => None,
    }
}
