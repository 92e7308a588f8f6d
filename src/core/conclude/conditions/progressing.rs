//! The conditions `Reconciling` and `Stalled`: what is waited for, and whether a person must act. Both
//! can be true while `Ready` still is: something fails, and what pods mount still counts.

use crate::api::{Attempt, AttemptOutcome, ConditionStatus, Reason};
use crate::core::conclude::conditions::ConditionDraft;
use crate::core::conclude::conditions::ready::BlockedOn;
use crate::core::conclude::conditions::unanswered::failing_validation;
use crate::core::decide::renewal::blocker::renewal_blocker;
use crate::core::facts::Facts;
use crate::core::messages::meanwhile;
use crate::core::spec::SourceError;

/// `Reconciling` and `Stalled`. `pending`: a person's request has no answer yet.
pub fn progressing(
    facts: &Facts,
    ready: &ConditionDraft,
    waits: BlockedOn,
    pending: bool,
) -> (Option<ConditionDraft>, Option<ConditionDraft>) {
    let told = ConditionDraft {
        status: ConditionStatus::True,
        ..ready.clone()
    };
    let (found, waits) = match waits {
        BlockedOn::Nothing => match beside(facts) {
            Some(found) if ready.reason == Reason::Validated => found,
            _ => return (None, None),
        },
        waits => (told, waits),
    };
    let message = if pending {
        let why = if is_unsent(facts) {
            meanwhile::UNSENT
        } else {
            meanwhile::PENDING
        };
        format!("{} {why}", found.message)
    } else {
        found.message
    };
    let found = Some(ConditionDraft { message, ..found });
    match waits {
        BlockedOn::Person => (None, found),
        BlockedOn::Nothing | BlockedOn::Time => (found, None),
    }
}

/// Whether a refused password waits to be sent, because nothing was sent when it was tried.
fn is_unsent(facts: &Facts) -> bool {
    let waits = |attempt: &Attempt| {
        attempt.outcome == AttemptOutcome::Refused && attempt.next_attempt_time.is_some()
    };
    facts.is_password() && facts.attempt().is_some_and(waits)
}

/// What fails while what pods mount is still current and validated.
fn beside(facts: &Facts) -> Option<(ConditionDraft, BlockedOn)> {
    let (reason, message) = if let Some(reason) = failing_validation(facts) {
        let paused = meanwhile::paused(facts).filter(|_| facts.attempt().is_none());
        paused.unwrap_or_else(|| (reason, meanwhile::validation(facts, reason)))
    } else if let Some(problem) = missing_input(facts) {
        (problem.reason(), meanwhile::missing(problem))
    } else {
        let reason = failing_renewal(facts)?;
        (reason, meanwhile::renewal(facts, reason))
    };
    let waits = if reason == Reason::HostNotAllowed {
        BlockedOn::Person
    } else {
        BlockedOn::Time
    };
    let status = ConditionStatus::True;
    let draft = ConditionDraft {
        status,
        reason,
        message,
    };
    Some((draft, waits))
}

/// What the next renewal needs, and is gone.
fn missing_input(facts: &Facts) -> Option<&SourceError> {
    facts.renewal.as_ref()?.missing.as_ref()
}

/// Why the renewal that is due does not succeed.
fn failing_renewal(facts: &Facts) -> Option<Reason> {
    renewal_blocker(facts).or_else(|| facts.retried_renewal())
}
