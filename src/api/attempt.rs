//! What became of the last probe, if Jira did not accept the credential.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Reason;

/// A probe that did not end in an acceptance.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Probes without an acceptance in a row.
    pub failures: i32,
    /// When the last of them was made.
    pub last_failure_time: DateTime<Utc>,
    /// The operator does not retry before this time; absent: only after a change
    /// of the Secret, or when a person asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_time: Option<DateTime<Utc>>,
    /// Keyed fingerprint of the credential that was tried.
    #[schemars(length(max = 64))]
    pub fingerprint: String,
    /// What became of it.
    pub outcome: AttemptOutcome,
    /// Why, where it is known.
    #[schemars(schema_with = "super::condition::reason_schema")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// What became of a probe.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum AttemptOutcome {
    /// A password is about to be sent, or was sent by a process that died before the answer came.
    Started,
    /// Jira refused.
    Refused,
    /// Jira refused what it had accepted before; a second probe will confirm it.
    Unconfirmed,
    /// There was no answer that says anything about the credential.
    NoVerdict,
    /// A password was sent and the answer was lost: it is not sent again without a person.
    ///
    /// An outcome of another version of the operator is read as this one.
    #[serde(other)]
    Interrupted,
}
