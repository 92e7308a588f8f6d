//! The events of a reconcile: one for each change of the status.

use crate::api::{Condition, ConditionStatus, ConditionType, JiraCredentialStatus, Reason};
use crate::core::conclude::line_ends::line_end_notices;
use crate::core::conclude::notice::Notice;
use crate::core::messages::{CLOCK_WAS_AHEAD, ROTATED, meanwhile};

/// Said once: the status that is written with it holds no such time any more.
pub(super) fn clock_was_ahead() -> Notice {
    Notice {
        warning: true,
        reason: Reason::ClockSkew,
        note: CLOCK_WAS_AHEAD.to_owned(),
    }
}

/// The condition of a kind before and now, if its status or its reason has changed.
fn changed<'a>(
    recorded: &'a JiraCredentialStatus,
    status: &'a JiraCredentialStatus,
    kind: ConditionType,
) -> Option<(Option<&'a Condition>, &'a Condition)> {
    let new = status.condition(kind)?;
    let old = recorded.condition(kind);
    let same = old.is_some_and(|old| old.status == new.status && old.reason == new.reason);
    (!same).then_some((old, new))
}

fn notice(condition: &Condition, warning: bool) -> Notice {
    Notice {
        warning,
        reason: condition.reason,
        note: condition.message.clone(),
    }
}

/// The events of a reconcile. Each of these changes has one: `Ready`, or a failure beside it; a new
/// credential that Jira accepts; `RotationDue`; administrator permissions that the spec does not require;
/// denied requests; restarts that fail; a look-up that fails or succeeds again; a line end that is left out.
pub(super) fn notices(
    recorded: &JiraCredentialStatus,
    status: &JiraCredentialStatus,
) -> Vec<Notice> {
    let changed = |kind| changed(recorded, status, kind);
    let ready = changed(ConditionType::Ready)
        .filter(|(_, new)| !was_told(recorded, new))
        .map(|(_, new)| notice(new, new.status != ConditionStatus::True));
    let beside = || [beside_ready(recorded, status), rotated(recorded, status)];
    let first = match ready {
        Some(ready) => [Some(ready), None],
        None => beside(),
    };
    let rotation = changed(ConditionType::RotationDue)
        .filter(|(old, new)| new.status == ConditionStatus::True || old.is_some())
        .filter(|(old, new)| {
            let old = old.filter(|_| new.status != ConditionStatus::True);
            !is_said_by_ready(status, new)
                && !old.is_some_and(|old| is_said_by_ready(recorded, old))
        })
        .map(|(_, new)| notice(new, new.status == ConditionStatus::True));
    // That it is known is not news, unless it was reported that it is not.
    let expiry = changed(ConditionType::ExpiryKnown)
        .filter(|(old, new)| {
            let was_false = old.is_some_and(|old| old.status == ConditionStatus::False);
            new.status == ConditionStatus::False || was_false
        })
        .map(|(_, new)| notice(new, new.status != ConditionStatus::True));
    let rights = changed(ConditionType::OverPrivileged).map(|(_, new)| notice(new, true));
    let denied = changed(ConditionType::Denied).map(|(_, new)| notice(new, true));
    let restarts = changed(ConditionType::RestartFailed).map(|(_, new)| notice(new, true));
    let others = [rotation, rights, denied, restarts, expiry];
    let told = first.into_iter().chain(others).flatten();
    told.chain(line_end_notices(recorded, status)).collect()
}

/// Jira has accepted a new credential in place of the one before.
fn rotated(recorded: &JiraCredentialStatus, status: &JiraCredentialStatus) -> Option<Notice> {
    let is_new = status.rotated_time.is_some() && status.rotated_time != recorded.rotated_time;
    is_new.then(|| Notice {
        warning: false,
        reason: Reason::Rotated,
        note: ROTATED.to_owned(),
    })
}

/// Whether `Ready` says the same: only a new credential can help.
fn is_said_by_ready(status: &JiraCredentialStatus, rotation: &Condition) -> bool {
    let ready = status.condition(ConditionType::Ready);
    ready.is_some_and(|ready| {
        ready.status != ConditionStatus::True && ready.reason == rotation.reason
    })
}

/// Whether an event has told already what took `Ready` away: the cause began while it was True.
fn was_told(recorded: &JiraCredentialStatus, ready: &Condition) -> bool {
    let told = recorded.condition(ConditionType::Reconciling);
    ready.status == ConditionStatus::Unknown
        && is_ready(recorded)
        && told.is_some_and(|told| told.reason == ready.reason)
}

/// What began to fail, or works again, while `Ready` stays True.
fn beside_ready(recorded: &JiraCredentialStatus, status: &JiraCredentialStatus) -> Option<Notice> {
    if !is_ready(recorded) || !is_ready(status) {
        return None;
    }
    match (failing(recorded), failing(status)) {
        (Some(old), None) => Some(Notice {
            warning: false,
            reason: Reason::Validated,
            note: if old.reason == Reason::SourceMissing {
                meanwhile::INPUT_IS_BACK.to_owned()
            } else {
                meanwhile::RECOVERED.to_owned()
            },
        }),
        (old, Some(new)) if old.is_none_or(|old| old.reason != new.reason) => {
            Some(notice(new, true))
        }
        _ => None,
    }
}

fn is_ready(status: &JiraCredentialStatus) -> bool {
    let ready = status.condition(ConditionType::Ready);
    ready.is_some_and(|ready| ready.status == ConditionStatus::True)
}

fn failing(status: &JiraCredentialStatus) -> Option<&Condition> {
    let found = status.condition(ConditionType::Reconciling);
    found.or_else(|| status.condition(ConditionType::Stalled))
}
