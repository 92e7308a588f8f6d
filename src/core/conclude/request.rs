//! A person's request, by the annotation `jira-operator.dev/renew`: open until it has an answer.

use crate::api::JiraCredentialStatus;
use crate::core::decide::{Move, renewal};
use crate::core::facts::Facts;
use crate::core::probe::Judgement;

/// Records whether the request of the annotation was handled, or waits for an answer. `recorded` is
/// the status as it stood when the reconcile started.
pub(super) fn record_request(
    facts: &Facts,
    recorded: &JiraCredentialStatus,
    status: &mut JiraCredentialStatus,
) {
    let asked = &facts.object.renew;
    let is_open = !facts.is_new()
        && asked.is_some()
        && (recorded.last_handled_renew != *asked || recorded.pending_renew == *asked);
    let tried = facts.progress.judgement.is_some() || facts.progress.renewed;
    if !is_open || is_answered(facts) {
        status.pending_renew = None;
        if facts.is_new() || is_open {
            status.last_handled_renew.clone_from(asked);
        }
    } else if tried {
        status.pending_renew.clone_from(asked);
    }
}

/// Whether Jira answered, a token was renewed, or there is nothing to try.
fn is_answered(facts: &Facts) -> bool {
    match facts.progress.judgement {
        Some(Judgement::Accepted(_) | Judgement::Refused(_) | Judgement::Unconfirmed(_)) => {
            return true;
        }
        // A password that Jira may have counted is not sent again.
        Some(Judgement::NoVerdict(_) | Judgement::NotAllowed(_)) => {
            return facts
                .attempt()
                .is_none_or(|attempt| attempt.next_attempt_time.is_none());
        }
        None => {}
    }
    let stuck = matches!(renewal::next(facts), Some(Move::Idle | Move::Blocked(_)));
    facts.progress.renewed || (stuck && !facts.grant_unread() && !facts.has_token())
}
