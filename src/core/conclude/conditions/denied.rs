//! The condition `Denied`: what the API server denies the operator for as long as nobody changes anything.

use crate::api::{ConditionStatus, Reason};
use crate::core::conclude::conditions::{ConditionDraft, draft};
use crate::core::facts::{Denial, Denied, DeniedWork, Facts};
use crate::core::messages;

/// Whether the API server denies a request that the credential needs.
pub(crate) fn denied(facts: &Facts) -> Option<ConditionDraft> {
    let (reason, text) = match (&facts.progress.denied, &facts.progress.events_denied) {
        (Some(denied), _) => (denied.reason(), text(facts, denied)),
        (None, Some(cause)) => (Reason::EventsDenied, events_text(cause)),
        (None, None) => return None,
    };
    Some(draft(ConditionStatus::True, reason, text))
}

/// What `Ready` says instead of its own finding: nothing can be published before the tokens can be
/// stored.
pub(crate) fn blocks_ready(facts: &Facts, ready: &ConditionDraft) -> Option<ConditionDraft> {
    let denied = facts.progress.denied.as_ref()?;
    let stores = matches!(denied.work, DeniedWork::Grant(_) | DeniedWork::Keep(_));
    (stores && ready.status != ConditionStatus::True).then(|| ConditionDraft {
        status: ready.status,
        reason: denied.reason(),
        message: text(facts, denied),
    })
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
