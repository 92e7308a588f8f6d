//! What the look-up of an API token's end found.

#![expect(
    unreachable_pub,
    reason = "the derive repeats every type inside a function of its own"
)]

use chrono::{DateTime, Utc};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Reason, SecretKeyRef, SourceVersion, rules};

/// Where to look up when an API token expires.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpiryLookup {
    /// Key of a Secret that holds an API key of the organisation with the scope
    /// `read:tokens:admin`.
    pub api_key_secret_ref: SecretKeyRef,
    /// Id of the organisation, as admin.atlassian.com shows it in its address.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = rules::organization_id())]
    pub organization_id: String,
    /// The label that was given to the API token when it was created.
    #[schemars(length(min = 1, max = 255))]
    pub label: String,
}

/// What the organisation reported about the API token, and when it is asked again.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpiryLookupStatus {
    /// The generation of the spec for which the organisation was asked.
    #[serde(default)]
    pub observed_generation: i64,
    /// Keyed fingerprint of the API token that was looked up.
    #[schemars(length(max = 64))]
    pub fingerprint: String,
    /// Digest of the organisation and the label that were asked for.
    #[schemars(length(max = 64))]
    pub query: String,
    /// The version of the Secret with the organisation's API key, as it was read last.
    pub source: SourceVersion,
    /// Keyed fingerprint of the organisation's API key; absent when there was none to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub key_fingerprint: Option<String>,
    /// The result of the last look-up: the reason of `ExpiryKnown`, unless the spec differs.
    #[schemars(schema_with = "super::condition::reason_schema")]
    pub reason: Reason,
    /// How many look-ups in a row failed.
    #[serde(default)]
    pub failures: i32,
    /// When the organisation was last asked.
    pub last_checked_time: DateTime<Utc>,
    /// When it is asked next.
    pub next_check_time: DateTime<Utc>,
    /// The expiry of the API token, as the organisation last reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// When the API token was last used, as the organisation last reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_active_time: Option<DateTime<Utc>>,
    /// Whether the organisation has blocked the API token.
    #[serde(default)]
    pub blocked: bool,
}
