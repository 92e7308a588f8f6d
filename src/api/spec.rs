//! What a user asks for.

#![expect(
    unreachable_pub,
    reason = "the derive repeats every type inside a function of its own"
)]

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{
    Auth, ConfigMapKeyRef, CreationPolicy, ExpiryLookup, JiraCredentialStatus, Owner, Period,
    Preset, SecretKeyRef, Workload, rules,
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
    doc = "A Jira credential that the operator validates against Jira, renews where its method allows that, publishes as Secrets for pods to mount, and flags when a person has to rotate it.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Method", type_ = "string", json_path = ".status.method"),
    printcolumn(name = "Account", type_ = "string", json_path = ".status.account.id"),
    printcolumn(name = "Secret", type_ = "string", json_path = ".status.binding.name"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.expiresAt"),
    printcolumn(name = "Rotation", type_ = "string", json_path = ".status.conditions[?(@.type==\"RotationDue\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Validated", type_ = "date", json_path = ".status.lastValidatedTime", priority = 1),
    printcolumn(name = "Site", type_ = "string", json_path = ".spec.site", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    validation = rules::object_name(),
    validation = rules::targets_are_free(),
    validation = rules::default_policy_stays()
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::hosting_is_required())]
#[x_kube(validation = rules::hosting_fits_site())]
#[x_kube(validation = rules::method_fits())]
#[x_kube(validation = rules::redirect_fits())]
#[x_kube(validation = rules::scopes_are_told())]
#[x_kube(validation = rules::lookup_fits())]
#[x_kube(validation = rules::tls_fits())]
#[x_kube(validation = rules::previous_fits())]
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

    /// The Secrets to write, each named once; the same name may be in several namespaces. Left out: one Secret
    /// with the credential's own name.
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    #[x_kube(validation = rules::targets_differ())]
    #[x_kube(validation = rules::policy_stays())]
    #[schemars(length(max = 8))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,

    /// Workloads of this namespace that take the published values into environment variables or mount
    /// them by `subPath`: they are restarted when a renewal or a rotation has changed the published
    /// credential. The first publication restarts nothing.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["kind".into(), "name".into()]))]
    #[schemars(length(max = 16))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restart: Vec<Workload>,

    /// Where to look up when an API token of Jira Cloud expires: Atlassian shows it to an
    /// organisation's administrators only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_lookup: Option<Box<ExpiryLookup>>,

    /// Who looks after the credential: named in notifications, in the metric
    /// `jira_credential_owner_info` and by `kubectl jira-credential status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,

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

/// How the credential is validated.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Validation {
    /// How often Jira is asked when nothing changes; at least 10s. Left out: 15m, and 1h for a
    /// password sent with Basic authentication.
    #[x_kube(validation = rules::interval())]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Period>,
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

/// When a person should rotate the credential.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// The organisation's maximum age of a credential; counted from `issuedAt`, else from when
    /// the operator first saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Period>,
    /// How long before an expiry, the maximum age or the end of a consent `RotationDue` becomes
    /// True.
    #[serde(default = "default_warn_before")]
    pub warn_before: Period,
    /// How long before its expiry the operator renews a token; at most half of its lifetime. Left
    /// out: 15 minutes for tokens of an hour.
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

/// The default of `spec.rotation.warnBefore`.
pub const DEFAULT_WARN_BEFORE: &str = "14d";

fn default_warn_before() -> Period {
    Period::new(DEFAULT_WARN_BEFORE)
}

/// A Secret to write.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::merge_fits())]
#[x_kube(validation = rules::orphan_stays())]
pub struct Target {
    /// Name of the Secret.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::name())]
    pub name: String,
    /// The namespace of the Secret; left out, that of the `JiraCredential`. In another one you need the rights to
    /// create and update this Secret there, and the admission policy must be in force.
    #[schemars(length(max = 63))]
    #[x_kube(validation = rules::namespace())]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Which keys the Secret has: Standard (the default), Env, `BasicAuth`, Netrc, `JiraCli`,
    /// Alertmanager, `McpAtlassian`, Jenkins. Several add their keys together. With `template.data` and no
    /// preset, the Secret has the keys of the template only.
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub presets: Vec<Preset>,
    /// Type, labels and annotations of the Secret, and keys of your own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TargetTemplate>,
    /// Who makes the Secret: Owner (the default), the operator; Orphan, the operator, and the Secret stays, as with
    /// `deletionPolicy: Retain`; Merge, somebody else, and the operator writes its own keys into it. With Merge the
    /// Secret must be Opaque and have the annotation `jira-operator.dev/merge-from` with the name of the
    /// `JiraCredential`. Merge cannot be set or removed while the target stays.
    #[serde(default, skip_serializing_if = "CreationPolicy::is_owner")]
    pub creation_policy: CreationPolicy,
    /// Publish the token or session that was replaced, too, for as long as it works: `previous.token` and
    /// `previous.authorization`, or `previous.cookie`. For `session`, for `personalAccessToken` with
    /// `rotation: Automatic`, and on Cloud for `oauth2` and `clientCredentials`, where it is for ten minutes at most.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keep_previous: bool,
    /// What becomes of the Secret when the `JiraCredential` is deleted, or when the target is removed from
    /// the spec: Delete (the default), or Retain. A Secret that is retained has no owner reference. With
    /// `creationPolicy: Orphan` it is retained, and Delete is refused.
    #[serde(default, skip_serializing_if = "DeletionPolicy::is_delete")]
    pub deletion_policy: DeletionPolicy,
}

impl Target {
    /// Whether the Secret stays when nothing publishes it any more.
    pub fn is_retained(&self) -> bool {
        self.deletion_policy == DeletionPolicy::Retain
            || self.creation_policy == CreationPolicy::Orphan
    }

    /// The name of the Secret, behind its namespace where that is said.
    pub fn path(&self) -> String {
        path(self.namespace.as_deref(), &self.name)
    }

    /// The name of the Secret in a namespace, behind its own where that is another.
    pub fn path_from(&self, namespace: &str) -> String {
        let said = self.namespace.as_deref();
        path(said.filter(|said| *said != namespace), &self.name)
    }
}

/// The name of a Secret, behind its namespace if that is another than the one that is spoken of.
pub(super) fn path(namespace: Option<&str>, name: &str) -> String {
    namespace.map_or_else(
        || name.to_owned(),
        |namespace| format!("{namespace}/{name}"),
    )
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde prescribes it")]
fn is_false(value: &bool) -> bool {
    !value
}

/// What becomes of a published Secret that nothing publishes any more.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DeletionPolicy {
    /// It goes with its `JiraCredential`.
    #[default]
    Delete,
    /// It stays as it was published last; nobody renews what it holds.
    Retain,
}

impl DeletionPolicy {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde prescribes it")]
    fn is_delete(&self) -> bool {
        *self == Self::Delete
    }
}

/// Type, labels and annotations of a target, and keys of your own.
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
    /// Keys of the Secret, and the text of each as a template (Jinja): `{{ token | tojson }}`. Beside presets
    /// they are added, and win where a preset has the same key.
    ///
    /// Variables, those of the preset Standard that the method has: url, site, hosting, cloudId, scheme,
    /// authorization, cookie, JSESSIONID, token, password, username, email, accountId, expiresAt, consumerKey,
    /// privateKey, signatureMethod, tokenSecret; and name, namespace. One that a credential may lack is empty.
    ///
    /// Filters: b64encode, shquote, tojson, urlencode.
    #[schemars(schema_with = "data_schema")]
    #[x_kube(validation = rules::template_keys())]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, String>,
}

fn data_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": { "type": "string", "maxLength": 8192 }
    })
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
