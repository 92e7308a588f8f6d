//! What a user asks for.

#![expect(
    unreachable_pub,
    reason = "the derive repeats every type inside a function of its own"
)]

use std::fmt;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{
    BasicAuth, ClientCredentials, ExpiryLookup, JiraCredentialStatus, MethodName, OAuth1, OAuth2,
    Period, PersonalAccessToken, SessionAuth, rules,
};

/// A Jira credential that is validated against Jira and published as Secrets.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "jira-operator.dev",
    version = "v1alpha1",
    kind = "JiraCredential",
    plural = "jiracredentials",
    shortname = "jc",
    category = "jira",
    namespaced,
    status = "JiraCredentialStatus",
    derive = "PartialEq",
    doc = "A Jira credential that the operator validates against Jira, publishes as Secrets for pods to mount, and flags when a person has to rotate it.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Method", type_ = "string", json_path = ".status.method"),
    printcolumn(name = "Account", type_ = "string", json_path = ".status.account.id"),
    printcolumn(name = "Secret", type_ = "string", json_path = ".status.binding.name"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.expiresAt"),
    printcolumn(name = "Rotation", type_ = "string", json_path = ".status.conditions[?(@.type==\"RotationDue\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Site", type_ = "string", json_path = ".spec.site", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    validation = rules::object_name(),
    validation = rules::no_source_is_target(),
    validation = rules::no_grant_is_target()
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::hosting_is_told())]
#[x_kube(validation = rules::hosting_fits_site())]
#[x_kube(validation = rules::method_fits_cloud())]
#[x_kube(validation = rules::method_fits_data_center())]
#[x_kube(validation = rules::redirect_fits())]
#[x_kube(validation = rules::cloud_id_fits())]
#[x_kube(validation = rules::scopes_are_told())]
#[x_kube(validation = rules::lookup_fits())]
#[x_kube(validation = rules::tls_fits())]
pub struct JiraCredentialSpec {
    /// The address of Jira as a person opens it, such as `https://acme.atlassian.net`. Data
    /// Center may have a port and a context path. Always https.
    #[schemars(length(max = 512))]
    #[x_kube(validation = rules::site())]
    #[x_kube(validation = rules::cloud_site())]
    pub site: String,

    /// Cloud or Data Center. Left out: Cloud for Atlassian's own hosts; else what the method
    /// implies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosting: Option<Hosting>,

    /// Trust of a private certificate authority. Data Center only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,

    /// How to authenticate: exactly one member.
    pub auth: Auth,

    /// How the credential is validated.
    #[serde(default)]
    pub validation: Validation,

    /// When a person should rotate the credential.
    #[serde(default)]
    pub rotation: Rotation,

    /// The Secrets to write. Left out: one Secret with the credential's own name.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[schemars(length(max = 8))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,

    /// Where to look up when an API token of Jira Cloud expires: Atlassian shows it to an
    /// organisation's administrators only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_lookup: Option<Box<ExpiryLookup>>,

    /// Stop: no call to Jira and no write to a Secret until it is false again.
    #[serde(default)]
    pub suspend: bool,
}

/// Cloud or Data Center. Left out: Cloud for Atlassian's own hosts; else what the method implies.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum Hosting {
    /// Atlassian's cloud.
    Cloud,
    /// Jira Data Center or Server.
    DataCenter,
}

/// Trust of a private certificate authority: exactly one member.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::one_ca())]
pub struct Tls {
    /// Key of a Secret that holds the CA certificates in PEM form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyRef>,
    /// Key of a `ConfigMap` that holds the CA certificates in PEM form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_config_map_ref: Option<ConfigMapKeyRef>,
}

/// A way to authenticate: exactly one member.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::one_method())]
pub struct Auth {
    /// Atlassian Cloud API token of a user: Basic with e-mail and token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_token: Option<ApiToken>,
    /// OAuth 2.0 with a refresh token (3LO on Jira Cloud, an application link on Data Center 8.22
    /// and later): Bearer.
    #[serde(default, rename = "oauth2", skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<Box<OAuth2>>,
    /// OAuth 2.0 client credentials of a service account (Jira Cloud, Data Center 11): Bearer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_credentials: Option<Box<ClientCredentials>>,
    /// Personal access token of Jira Data Center 8.14 and later: Bearer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal_access_token: Option<PersonalAccessToken>,
    /// User name and password on Jira Data Center: Basic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicAuth>,
    /// User name and password on Jira Data Center, for which the operator gets a session cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionAuth>,
    /// OAuth 1.0a with an application link of Jira Data Center: signed requests.
    #[serde(default, rename = "oauth1", skip_serializing_if = "Option::is_none")]
    pub oauth1: Option<Box<OAuth1>>,
}

/// The one member of [`Auth`] that is set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method<'a> {
    /// Atlassian Cloud API token.
    ApiToken(&'a ApiToken),
    /// OAuth 2.0 with a refresh token.
    OAuth2(&'a OAuth2),
    /// OAuth 2.0 client credentials.
    ClientCredentials(&'a ClientCredentials),
    /// Data Center personal access token.
    PersonalAccessToken(&'a PersonalAccessToken),
    /// Data Center user name and password.
    Basic(&'a BasicAuth),
    /// Data Center cookie session.
    Session(&'a SessionAuth),
    /// Data Center OAuth 1.0a.
    OAuth1(&'a OAuth1),
}

impl Auth {
    /// The one member that is set; `None` when there is none, or more than one.
    pub fn method(&self) -> Option<Method<'_>> {
        let members = [
            self.api_token.as_ref().map(Method::ApiToken),
            self.oauth2.as_deref().map(Method::OAuth2),
            self.client_credentials
                .as_deref()
                .map(Method::ClientCredentials),
            self.personal_access_token
                .as_ref()
                .map(Method::PersonalAccessToken),
            self.basic.as_ref().map(Method::Basic),
            self.session.as_ref().map(Method::Session),
            self.oauth1.as_deref().map(Method::OAuth1),
        ];
        let mut set = members.into_iter().flatten();
        let only = set.next();
        only.filter(|_| set.next().is_none())
    }
}

impl Method<'_> {
    /// The name of the method, as status shows it.
    pub fn name(&self) -> MethodName {
        match self {
            Method::ApiToken(_) => MethodName::ApiToken,
            Method::OAuth2(_) => MethodName::OAuth2,
            Method::ClientCredentials(_) => MethodName::ClientCredentials,
            Method::PersonalAccessToken(_) => MethodName::PersonalAccessToken,
            Method::Basic(_) => MethodName::Basic,
            Method::Session(_) => MethodName::Session,
            Method::OAuth1(_) => MethodName::OAuth1,
        }
    }

    /// When the credential was issued, where the user says so.
    pub fn issued_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Method::ApiToken(token) => token.issued_at,
            Method::PersonalAccessToken(token) => token.issued_at,
            Method::Basic(basic) => basic.issued_at,
            Method::OAuth1(oauth1) => oauth1.issued_at,
            Method::OAuth2(_) | Method::ClientCredentials(_) | Method::Session(_) => None,
        }
    }

    /// When the credential expires, where the user says so.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Method::ApiToken(token) => token.expires_at,
            Method::PersonalAccessToken(token) => token.expires_at,
            Method::OAuth2(_)
            | Method::ClientCredentials(_)
            | Method::Basic(_)
            | Method::Session(_)
            | Method::OAuth1(_) => None,
        }
    }
}

/// An Atlassian Cloud API token.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::one_email())]
pub struct ApiToken {
    /// E-mail address of the account that owns the token.
    #[schemars(length(max = 254))]
    #[x_kube(validation = rules::email())]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Key of a Secret that holds the e-mail address, instead of `email`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_secret_ref: Option<SecretKeyRef>,
    /// Key of the Secret that holds the token.
    pub token_secret_ref: SecretKeyRef,
    /// When the token was created; `rotation.maxAge` counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<DateTime<Utc>>,
    /// When the token expires. Atlassian shows it when the token is created and nowhere later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

/// A key of a Secret in the namespace of the credential.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::name())]
    pub name: String,
    /// Key in the Secret.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::key())]
    pub key: String,
}

/// As messages name it.
impl fmt::Display for SecretKeyRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the key {} of the Secret {}",
            self.key, self.name
        )
    }
}

/// A key of a `ConfigMap` in the namespace of the credential.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
pub struct ConfigMapKeyRef {
    /// Name of the `ConfigMap`.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::name())]
    pub name: String,
    /// Key in the `ConfigMap`.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::key())]
    pub key: String,
}

/// A Secret in the namespace of the credential.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::name())]
    pub name: String,
}

/// How the credential is validated.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Validation {
    /// How often Jira is asked when nothing changes; at least 10s.
    #[serde(default = "default_interval")]
    pub interval: Period,
    /// The account that the credential must belong to: accountId on Cloud, key on Data Center.
    /// Left out: the first account that it is validated for.
    #[schemars(length(min = 1, max = 128))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// Permissions that the account must hold, by their keys, such as `BROWSE_PROJECTS`. One of a
    /// project counts when it is held in any project.
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::permissions())]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_permissions: Vec<Permission>,
}

impl Default for Validation {
    fn default() -> Self {
        Self {
            interval: default_interval(),
            account_id: None,
            required_permissions: Vec::new(),
        }
    }
}

/// The key of a permission of Jira's, such as `BROWSE_PROJECTS`.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Permission(pub String);

impl JsonSchema for Permission {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Permission".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The key of a permission of Jira's, such as BROWSE_PROJECTS.",
            "type": "string",
            "minLength": 1,
            "maxLength": 128
        })
    }
}

fn default_interval() -> Period {
    Period::new("1h")
}

/// When a person should rotate the credential.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// The organisation's maximum age of a credential; counted from `issuedAt`, else from when
    /// the operator first saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Period>,
    /// How long before any end of life the condition `RotationDue` turns True.
    #[serde(default = "default_warn_before")]
    pub warn_before: Period,
    /// How long before its end a token is renewed that the operator can renew; never more than
    /// half of its life. Left out: 15 minutes for tokens of an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_before: Option<Period>,
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            max_age: None,
            warn_before: default_warn_before(),
            renew_before: None,
        }
    }
}

fn default_warn_before() -> Period {
    Period::new("14d")
}

/// A Secret to write.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
pub struct Target {
    /// Name of the Secret.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::name())]
    pub name: String,
    /// Type, labels and annotations of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TargetTemplate>,
}

/// Type, labels and annotations of a target.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
pub struct TargetTemplate {
    /// Type of the Secret: Opaque, kubernetes.io/basic-auth, or a type of your own.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::target_type())]
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Labels: literals, under the prefixes that the administrator allows.
    #[schemars(schema_with = "labels_schema")]
    #[x_kube(validation = rules::target_metadata("labels"))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations: literals, under the prefixes that the administrator allows.
    #[schemars(schema_with = "annotations_schema")]
    #[x_kube(validation = rules::target_metadata("annotations"))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

fn labels_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": { "type": "string", "maxLength": 63 }
    })
}

fn annotations_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": { "type": "string", "maxLength": 1024 }
    })
}
