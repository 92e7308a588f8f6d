//! The methods of OAuth 2.0.

#![expect(
    unreachable_pub,
    reason = "the derive repeats every type inside a function of its own"
)]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{Period, SecretKeyRef, reference, rules};

/// OAuth 2.0 with a refresh token: the operator renews the access token with the refresh token that
/// a person's consent gave.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2 {
    /// Client id of the app in the Atlassian developer console; on Data Center, of the application
    /// link.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = rules::client_id())]
    pub client_id: String,
    /// Keys of Secrets that hold client secrets of the app: one, or the old and the new while the
    /// client secret is being rotated. They are tried in order. A key that is left out is `client-secret`.
    #[schemars(length(min = 1, max = 2))]
    #[serde(deserialize_with = "reference::client_secrets")]
    pub client_secret_refs: Vec<SecretKeyRef>,
    /// Key of the Secret that holds the refresh token of the consent. It is spent once; its
    /// successors are kept in a Secret of the operator. A new value is a new consent.
    pub refresh_token_secret_ref: SecretKeyRef,
    /// Scopes that the token must have; on Data Center a wider one is enough. Left out: none is asked
    /// for.
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::scopes())]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Scope>,
    /// Id of the site on Atlassian's gateway. Left out: the site is asked. Jira Cloud only.
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::cloud_id())]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_id: Option<String>,
    /// Redirect URL of the application link, as it was used for the consent: Data Center wants it at
    /// every renewal. Required there, refused on Cloud.
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::redirect_uri())]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// How long the operator keeps the tokens after both the Secret with the refresh token and the
    /// last `JiraCredential` that names it are gone.
    #[serde(default = "default_retention")]
    pub grant_retention: Period,
}

fn default_retention() -> Period {
    Period::new("24h")
}

/// OAuth 2.0 client credentials of a service account (Jira Cloud, Data Center 11 and later): the
/// operator asks for a new access token before the present one ends.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientCredentials {
    /// Client id of the service account's OAuth 2.0 credential.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = rules::client_id())]
    pub client_id: String,
    /// Keys of Secrets that hold client secrets: one, or the old and the new while it is being
    /// rotated. They are tried in order. A key that is left out is `client-secret`.
    #[schemars(length(min = 1, max = 2))]
    #[serde(deserialize_with = "reference::client_secrets")]
    pub client_secret_refs: Vec<SecretKeyRef>,
    /// Scopes that the token must have. Left out: none is asked for. Required on Data Center: `READ` or
    /// `WRITE`.
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::scopes())]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Scope>,
    /// Id of the site on Atlassian's gateway. Left out: the site is asked. Jira Cloud only.
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::cloud_id())]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_id: Option<String>,
}

/// A scope of Atlassian's, such as `read:jira-work` on Cloud or `WRITE` on Data Center.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Scope(pub String);

impl schemars::JsonSchema for Scope {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scope".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A scope of Atlassian's, such as read:jira-work on Cloud or WRITE on Data Center.",
            "type": "string",
            "minLength": 1,
            "maxLength": 128
        })
    }
}
