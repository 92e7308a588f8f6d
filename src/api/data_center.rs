//! The ways to authenticate that exist on Jira Data Center only.

#![expect(
    unreachable_pub,
    reason = "the derive repeats every type inside a function of its own"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Date, SecretKeyRef, SecretRef, rules};

/// A Jira Data Center personal access token.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonalAccessToken {
    /// Key of the Secret that holds the token.
    pub token_secret_ref: SecretKeyRef,
    /// When the token was created: a day, or a time; `rotation.maxAge` counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Date>,
    /// When the token expires: a time, or a day such as `2027-03-01`, at whose end in UTC it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Date>,
    /// Who replaces the token before it expires. Manual: a person, whom a condition warns in time.
    /// Automatic: the operator has the token create its replacement.
    #[serde(default)]
    pub rotation: RotationPolicy,
}

/// Who replaces a token.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum RotationPolicy {
    /// A person.
    #[default]
    Manual,
    /// The operator: the token makes its own successor, and is revoked once that is in use.
    Automatic,
}

/// A Jira Data Center user name and password.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// The Secret, with the keys `username` and `password` (type kubernetes.io/basic-auth fits).
    pub secret_ref: SecretRef,
    /// When the password was set: a day, or a time; `rotation.maxAge` counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Date>,
}

/// A cookie session of Jira Data Center: the operator logs in, and logs in again before the session
/// ends.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionAuth {
    /// The Secret, with the keys `username` and `password` (type kubernetes.io/basic-auth fits).
    pub secret_ref: SecretRef,
}

/// OAuth 1.0a with an application link of Jira Data Center: requests are signed with RSA-SHA1.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OAuth1 {
    /// Consumer key of the application link.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = rules::consumer_key())]
    pub consumer_key: String,
    /// The Secret, with the keys `privateKey` (PEM), `token` and, where there is one,
    /// `tokenSecret`.
    pub secret_ref: SecretRef,
    /// When the access token was given: a day, or a time. `rotation.maxAge` counts from here, and
    /// the five years for which Jira lets it live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Date>,
}
