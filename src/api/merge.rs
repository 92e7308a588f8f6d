//! Targets in a Secret that somebody else made.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Reason;

/// Annotation by which a Secret lets credentials write their keys into it: the names of `JiraCredentials` of
/// its namespace, separated by commas.
pub const MERGE_ANNOTATION: &str = "jira-operator.dev/merge-from";

/// Characters of [`MergeStatus::detail`].
pub const LONGEST_DETAIL: usize = 1024;

/// Who makes the Secret of a target.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum CreationPolicy {
    /// The operator creates it and owns all of it.
    #[default]
    Owner,
    /// The operator creates it, and it stays, as with the deletion policy `Retain`.
    Orphan,
    /// It exists. The operator writes its own keys into it and leaves all others alone.
    Merge,
}

impl CreationPolicy {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde prescribes it")]
    pub(super) fn is_owner(&self) -> bool {
        *self == Self::Owner
    }
}

/// How the operator's keys in a Secret of somebody else stand.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MergeStatus {
    /// Why the keys are not written; absent when the Secret holds them.
    #[schemars(schema_with = "super::condition::reason_schema")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<Reason>,
    /// What is in the way, in words.
    #[schemars(length(max = LONGEST_DETAIL))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The keys that the operator wrote last.
    #[schemars(schema_with = "keys_schema")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// How often in a row the operator wrote keys again that another client had removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repairs: Option<i32>,
    /// When it did so last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repaired_time: Option<DateTime<Utc>>,
    /// While another client removes the keys again and again: they are not written before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_repair_time: Option<DateTime<Utc>>,
}

fn keys_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "maxItems": 256,
        "items": { "type": "string", "maxLength": 253, "description": "A key of the Secret." },
    })
}
