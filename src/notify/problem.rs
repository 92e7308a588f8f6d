//! What needs a person, by the status of a credential alone.

use chrono::{DateTime, Utc};

use crate::api::{
    Condition, ConditionStatus, ConditionType, JiraCredential, JiraCredentialStatus, Reason,
};

/// What kind of attention a credential needs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, serde::Deserialize, serde::Serialize)]
pub(super) enum Event {
    /// Nothing will change until a person acts (the condition `Stalled`).
    Stalled,
    /// A person must rotate the credential (the condition `RotationDue`).
    RotationDue,
    /// The cause of an earlier notification is gone.
    Resolved,
}

/// One cause for which a credential needs a person.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Problem {
    /// Which condition says so.
    pub(super) event: Event,
    /// Its reason: a cause is sent once, whatever its message is.
    pub(super) reason: Reason,
    /// Its message.
    pub(super) message: String,
    /// Since when the condition is True.
    pub(super) since: DateTime<Utc>,
    /// Whether `RotationDue` says the same as `Stalled`.
    is_rotation_too: bool,
}

impl Problem {
    /// Whether a receiver that asks for these events gets it.
    pub(super) fn is_one_of(&self, events: &[Event]) -> bool {
        events.contains(&self.event)
            || (self.is_rotation_too && events.contains(&Event::RotationDue))
    }

    /// What is kept of it to be compared later.
    pub(super) fn without_message(&self) -> Self {
        Self {
            message: String::new(),
            ..self.clone()
        }
    }
}

/// The causes for which a credential needs a person, each reason once. A credential that somebody has
/// suspended needs nobody.
pub(super) fn problems(object: &JiraCredential) -> Vec<Problem> {
    let Some(status) = &object.status else {
        return Vec::new();
    };
    let mut stalled = found(status, ConditionType::Stalled, Event::Stalled)
        .filter(|problem| problem.reason != Reason::Suspended);
    let mut rotation = found(status, ConditionType::RotationDue, Event::RotationDue);
    if let (Some(first), Some(second)) = (&mut stalled, &rotation)
        && first.reason == second.reason
    {
        first.is_rotation_too = true;
        rotation = None;
    }
    stalled.into_iter().chain(rotation).collect()
}

fn found(status: &JiraCredentialStatus, kind: ConditionType, event: Event) -> Option<Problem> {
    let condition: &Condition = status.condition(kind)?;
    (condition.status == ConditionStatus::True).then(|| Problem {
        event,
        reason: condition.reason,
        message: condition.message.clone(),
        since: condition.last_transition_time,
        is_rotation_too: false,
    })
}
