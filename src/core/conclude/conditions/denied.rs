//! The condition `Denied`: what the API server denies the operator for as long as nobody changes anything.

use crate::api::{ConditionStatus, Reason};
use crate::core::conclude::conditions::{ConditionDraft, draft};
use crate::core::facts::{Denial, Denied, DeniedWork, Facts};
use crate::core::messages;

/// Whether the API server denies a request that the credential needs.
pub(crate) fn denied(facts: &Facts) -> Option<ConditionDraft> {
    let progress = &facts.progress;
    let (reason, text) = if let Some(denied) = &progress.denied {
        (denied.reason(), text(facts, denied))
    } else if let Some(cause) = &progress.twins_unknown {
        (search_reason(cause), search_text(facts, cause))
    } else if let Some(cause) = &progress.events_denied {
        (Reason::EventsDenied, events_text(cause))
    } else {
        return None;
    };
    Some(draft(ConditionStatus::True, reason, text))
}

/// What `Ready` says instead of its own finding: nothing can be published before the tokens can be
/// stored, or before it is known whether another credential has spent them.
pub(crate) fn blocks_ready(facts: &Facts, ready: &ConditionDraft) -> Option<ConditionDraft> {
    if ready.status == ConditionStatus::True {
        return None;
    }
    let denied = facts.progress.denied.as_ref();
    let stores =
        |denied: &&Denied| matches!(denied.work, DeniedWork::Grant(_) | DeniedWork::Keep(_));
    let (reason, message) = if let Some(denied) = denied.filter(stores) {
        (denied.reason(), text(facts, denied))
    } else {
        let cause = facts.progress.twins_unknown.as_ref()?;
        (search_reason(cause), search_text(facts, cause))
    };
    Some(ConditionDraft {
        status: ready.status,
        reason,
        message,
    })
}

fn search_reason(cause: &Denial) -> Reason {
    match cause {
        Denial::Right(_) => Reason::OperatorRightMissing,
        Denial::Refused(_) => Reason::DuplicatesUnknown,
    }
}

fn search_text(facts: &Facts, cause: &Denial) -> String {
    let still = messages::still(facts);
    format!(
        "The operator cannot find out whether another JiraCredential already uses the same token: {cause} The token that was stored last is not used before, because using it twice can end the consent. The operator retries. {still}"
    )
}

fn text(facts: &Facts, denied: &Denied) -> String {
    let (cause, still) = (&denied.cause, messages::still(facts));
    match &denied.work {
        DeniedWork::Grant(name) => format!(
            "The API server refuses to write the Secret {name}, in which the operator stores the tokens of this credential: {cause} Nothing is lost: no token is used before it can be stored. The operator retries. {still}"
        ),
        DeniedWork::Keep(name) => format!(
            "Do not restart the operator: new tokens of this credential are in its memory only, and a restart loses them. The API server refuses to write the Secret {name}, in which they are to be stored: {cause} The operator retries; when this condition is gone, they are stored. {still}"
        ),
        DeniedWork::Deletion(name) => format!(
            "The API server refuses to delete the Secret {name}, which spec.targets no longer names: {cause} Pods can still mount it. The operator retries; you may delete the Secret yourself."
        ),
        DeniedWork::Removal(name) => format!(
            "The API server refuses to remove the keys of this JiraCredential from the Secret {name}, which spec.targets no longer names: {cause} Pods can still read them. The operator retries; you may remove the keys yourself."
        ),
        DeniedWork::Other => format!(
            "The API server refuses a request that this credential needs: {cause} The operator retries. {still}"
        ),
    }
}

fn events_text(cause: &Denial) -> String {
    format!(
        "The API server takes no events about this credential: {cause} Everything else works; conditions and metrics are current."
    )
}
