//! What the operator has seen and done, for people and for its own next reconcile.

#![expect(
    unreachable_pub,
    reason = "the derive repeats every type inside a function of its own"
)]

use chrono::{DateTime, Utc};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Attempt, Binding, Condition, ConditionType, ExpiryLookupStatus, Hosting, LineEnd, Permission,
    Reason, RestartStatus, Scope, SourceVersion, TargetVersion,
};

/// The state of a `JiraCredential`.
///
/// Times are whole seconds. Nothing here is secret: fingerprints are keyed with a key that only
/// the operator holds.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JiraCredentialStatus {
    /// The generation of the spec that this status speaks of; -1 before the first reconcile.
    #[serde(default = "never")]
    pub observed_generation: i64,
    /// The aspects of the credential's state, each with a reason and a message.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(length(max = 16))]
    #[serde(default, deserialize_with = "super::lenient::all_known")]
    pub conditions: Vec<Condition>,
    /// How the credential authenticates.
    #[serde(
        default,
        deserialize_with = "super::lenient::known",
        skip_serializing_if = "Option::is_none"
    )]
    pub method: Option<MethodName>,
    /// The account to which the credential is pinned: the first one that it was validated for.
    /// `--hide-account-names` leaves both names out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// Where the credential is used.
    #[serde(
        default,
        deserialize_with = "super::lenient::known",
        skip_serializing_if = "Option::is_none"
    )]
    pub site: Option<SiteStatus>,
    /// The scopes of the token, as Atlassian granted them.
    #[schemars(with = "Vec<Scope>", length(max = 256))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Keyed fingerprint of the credential that Jira accepted last: identifies it without revealing
    /// it.
    #[serde(
        default,
        alias = "provenFingerprint",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(length(max = 64))]
    pub validated_fingerprint: Option<String>,
    /// When the credential that `validatedFingerprint` names was first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen_time: Option<DateTime<Utc>>,
    /// When Jira first accepted the credential in place of another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_time: Option<DateTime<Utc>>,
    /// When the credential expires, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// What the organisation reported about the API token's expiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_lookup: Option<ExpiryLookupStatus>,
    /// When the operator renews the token next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_renewal_time: Option<DateTime<Utc>>,
    /// From when on a person should rotate the credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation_due_time: Option<DateTime<Utc>>,
    /// What the account may do, as Jira last reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<PermissionStatus>,
    /// When Jira last accepted the credential. While nothing else changes it is written at most once an
    /// hour; the metric `jira_credential_last_validated_timestamp_seconds` has the exact time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_validated_time: Option<DateTime<Utc>>,
    /// The last validation that Jira did not accept, and when the next may follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// The versions of the sources that were read last.
    #[schemars(length(max = 8))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceVersion>,
    /// The values that are used without the line end that stands behind them.
    #[schemars(length(max = 8))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub line_ends: Vec<LineEnd>,
    /// The targets as they were last written or seen.
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetVersion>,
    /// For which published credential the workloads of `spec.restart` were restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartStatus>,
    /// The Secret in which the operator keeps the tokens that it renews.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantStatus>,
    /// The first target, in the form of the Service Binding specification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Binding>,
    /// The value of the annotation `jira-operator.dev/renew` that was tried and has no answer yet; it
    /// is retried until there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub pending_renew: Option<String>,
    /// The value of the annotation `jira-operator.dev/renew` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub last_handled_renew: Option<String>,
}

/// The generation before the first reconcile.
fn never() -> i64 {
    -1
}

impl Default for JiraCredentialStatus {
    fn default() -> Self {
        Self {
            observed_generation: never(),
            conditions: Vec::new(),
            method: None,
            account: None,
            site: None,
            scopes: Vec::new(),
            validated_fingerprint: None,
            first_seen_time: None,
            rotated_time: None,
            expires_at: None,
            expiry_lookup: None,
            next_renewal_time: None,
            rotation_due_time: None,
            permissions: None,
            last_validated_time: None,
            attempt: None,
            sources: Vec::new(),
            line_ends: Vec::new(),
            targets: Vec::new(),
            restart: None,
            grant: None,
            binding: None,
            pending_renew: None,
            last_handled_renew: None,
        }
    }
}

/// How the credential authenticates.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum MethodName {
    /// Atlassian Cloud API token, Basic `email:token`.
    ApiToken,
    /// OAuth 2.0 (3LO) with a refresh token, Bearer.
    OAuth2,
    /// OAuth 2.0 client credentials of a service account, Bearer.
    ClientCredentials,
    /// Data Center personal access token, Bearer.
    PersonalAccessToken,
    /// Data Center user name and password, Basic.
    Basic,
    /// Data Center session, Cookie.
    Session,
    /// Data Center OAuth 1.0a, signed requests.
    OAuth1,
}

impl MethodName {
    /// Every method.
    pub const ALL: [Self; 7] = [
        Self::ApiToken,
        Self::OAuth2,
        Self::ClientCredentials,
        Self::PersonalAccessToken,
        Self::Basic,
        Self::Session,
        Self::OAuth1,
    ];
}

/// What the account may do, as Jira last reported it.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PermissionStatus {
    /// When Jira was asked.
    pub checked_time: DateTime<Utc>,
    /// The permissions that the spec required then.
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<Permission>,
    /// Those of them that the account does not hold.
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Permission>,
    /// Those of them that Jira does not know.
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Permission>,
    /// The rights of an administrator that the account holds.
    #[schemars(length(max = 8))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub administrator: Vec<Permission>,
}

/// A Jira account.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// `accountId` on Cloud, `key` on Data Center.
    #[schemars(length(max = 255))]
    pub id: String,
    /// `accountType` on Cloud: atlassian, app or customer.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub kind: Option<String>,
    /// The name that Jira shows to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub display_name: Option<String>,
    /// The user name on Data Center, the e-mail address on Cloud where the profile shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub user_name: Option<String>,
}

impl Account {
    /// The same account without what identifies a person beyond its id.
    #[must_use]
    pub fn without_names(self) -> Self {
        Self {
            display_name: None,
            user_name: None,
            ..self
        }
    }

    /// How people know the account: its names, else its id.
    pub fn known_as(&self) -> String {
        match (&self.display_name, &self.user_name) {
            (Some(shown), Some(user)) => format!("{shown} ({user})"),
            (Some(name), None) | (None, Some(name)) => name.clone(),
            (None, None) => self.id.clone(),
        }
    }
}

/// The site as the operator uses it.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SiteStatus {
    /// Cloud or Data Center.
    pub hosting: Hosting,
    /// The base of API calls; `/rest/…` is appended to it.
    #[schemars(length(max = 1024))]
    pub api_url: String,
    /// The address of the site to which `cloudId` belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub address: Option<String>,
    /// The id of the site on Atlassian's gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub cloud_id: Option<String>,
}

/// The Secret in which the operator keeps the tokens that it renews, as this credential knows it.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantStatus {
    /// Name of the Secret.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its uid; empty when it does not exist.
    #[schemars(length(max = 128))]
    pub uid: String,
    /// Keyed fingerprint of the refresh token, password or personal access token that started the
    /// grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub seed: Option<String>,
    /// Whether it was used: it is not used again without a person. For a personal access token:
    /// whether it was replaced.
    #[serde(default)]
    pub consumed: bool,
    /// Digest that says from which consent, password or attempt the validated token or session
    /// comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub chain: Option<String>,
    /// Keyed fingerprint of a token that was published before it could be validated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub provisional: Option<String>,
    /// Keyed fingerprint of the token or session that was replaced last and still works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub previous: Option<String>,
    /// Why the renewal is blocked.
    #[schemars(schema_with = "super::condition::reason_schema")]
    #[serde(default, alias = "trouble", skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<Reason>,
    /// The older `JiraCredential` that uses the same initial token with another client, while that
    /// blocks the renewal (`GrantConflict`); empty when the tokens are bound to another client and no
    /// `JiraCredential` uses that now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub conflicts_with: Option<String>,
    /// The Secret whose older grant has the same initial token, while that blocks the renewal
    /// (`GrantConflict`); empty when it is in another namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub duplicate_of: Option<String>,
    /// When a renewal started whose result is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupted_time: Option<DateTime<Utc>>,
    /// The last attempt with a newer refresh token, password or personal access token that is not
    /// in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Attempt>,
    /// Why a personal access token has no replacement although one is due, or none can be planned;
    /// why a new password has no session.
    #[schemars(schema_with = "super::condition::reason_schema")]
    #[serde(default, alias = "succession", skip_serializing_if = "Option::is_none")]
    pub replacement_blocked_by: Option<Reason>,
    /// Why the last attempt to replace a personal access token failed, which the operator retries.
    #[schemars(schema_with = "super::condition::reason_schema")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrying: Option<Reason>,
    /// When what was replaced is to be ended, or has ended and leaves the targets, or a token is looked for among those
    /// of its account.
    #[serde(
        default,
        alias = "nextCareTime",
        skip_serializing_if = "Option::is_none"
    )]
    pub next_cleanup_time: Option<DateTime<Utc>>,
    /// When the person's consent ends (365 days after it was first used, by reports of Atlassian).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent_expires_at: Option<DateTime<Utc>>,
    /// When the refresh token expires if it is not used before (90 days after its last use).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_expires_at: Option<DateTime<Utc>>,
}

impl JiraCredentialStatus {
    /// The recorded condition of a type.
    pub fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        self.conditions
            .iter()
            .find(|condition| condition.kind == kind)
    }
}
