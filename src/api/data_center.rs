//! The ways to authenticate that exist on Jira Data Center only.

#![expect(
    unreachable_pub,
    reason = "the derive repeats every type inside a function of its own"
)]

use chrono::{DateTime, Utc};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SecretKeyRef, SecretRef};

/// A Jira Data Center personal access token.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonalAccessToken {
    /// Key of the Secret that holds the token.
    pub token_secret_ref: SecretKeyRef,
    /// When the token was created; `rotation.maxAge` counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<DateTime<Utc>>,
    /// When the token expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Who replaces the token before it expires. Manual: a person, who is told in time.
    #[serde(default)]
    pub rotation: RotationPolicy,
}

/// Who replaces a token.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum RotationPolicy {
    /// A person.
    #[default]
    Manual,
}

/// A Jira Data Center user name and password.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// The Secret, with the keys `username` and `password` (type kubernetes.io/basic-auth fits).
    pub secret_ref: SecretRef,
    /// When the password was set; `rotation.maxAge` counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<DateTime<Utc>>,
}
