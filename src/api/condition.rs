//! Conditions and the one list of reasons that conditions and events share.

use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// One aspect of the state of a credential, in the form of `metav1.Condition`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Which aspect this is.
    #[serde(rename = "type")]
    pub kind: ConditionType,
    /// True, False or Unknown.
    pub status: ConditionStatus,
    /// Why, in one CamelCase word; the same words are the reasons of events.
    #[schemars(schema_with = "reason_schema")]
    pub reason: Reason,
    /// What happened, what still works and what to do next.
    #[schemars(length(max = 32768))]
    pub message: String,
    /// When `status` last changed.
    pub last_transition_time: DateTime<Utc>,
}

/// The aspects that are reported.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub enum ConditionType {
    /// What pods mount is current and validated.
    Ready,
    /// Jira accepts the credential.
    Valid,
    /// Every target holds the last validated credential.
    Published,
    /// A person must rotate the credential; says nothing about `Ready` (abnormal-true).
    RotationDue,
    /// The credential has administrator permissions that the spec does not require (abnormal-true).
    OverPrivileged,
    /// The organisation reported when the API token expires; absent without `spec.expiryLookup` and
    /// before the first answer; says nothing about `Ready`.
    ExpiryKnown,
    /// The API server denies the operator a request that the credential needs (abnormal-true, absent
    /// otherwise).
    Denied,
    /// A workload of `spec.restart` could not be restarted: its pods may use the previous credential; says
    /// nothing about `Ready` (abnormal-true, absent otherwise).
    RestartFailed,
    /// The operator is waiting or backing off (abnormal-true, absent otherwise).
    Reconciling,
    /// Nothing will change until a person acts (abnormal-true, absent otherwise).
    Stalled,
}

/// The value of a condition.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be known at present.
    Unknown,
}

/// Any word, as in `metav1.Condition`: a status that another version of the operator wrote must
/// stay writable by its neighbours.
pub(super) fn reason_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 128
    })
}

/// Why a condition has its status; also the reason of the event that reports it.
///
/// Three reasons had other names in earlier versions; a stored status may still hold those.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum Reason {
    /// What pods mount is current and validated.
    #[serde(alias = "Proven")]
    Validated,
    /// Jira accepts the credential.
    Accepted,
    /// Jira refuses the credential.
    Rejected,
    /// The stated end of life has passed.
    Expired,
    /// Jira wants a person to solve a CAPTCHA before it looks at any password of this user.
    CaptchaRequired,
    /// This Jira does not accept Basic authentication at all.
    BasicAuthDisabled,
    /// Jira wants more than a user name and password before it starts a session.
    LoginDenied,
    /// Jira does not accept calls from the cluster's address.
    IpBlocked,
    /// The token lacks a scope that the operator or the spec needs.
    InsufficientScope,
    /// This address does not serve this kind of credential.
    WrongHost,
    /// The credential belongs to another account than the one that is pinned.
    AccountChanged,
    /// The account is deactivated.
    AccountInactive,
    /// The account lacks a permission that the spec requires.
    PermissionMissing,
    /// The account has administrator permissions that the spec does not require.
    Administrator,
    /// Jira does not accept the signature of a request.
    SignatureRejected,
    /// The clocks of Jira and of the operator's node differ by too much for a signed request.
    ClockSkew,
    /// The refresh token is dead: a person has to consent again.
    ReconsentRequired,
    /// Atlassian does not accept the client id and client secret.
    ClientRejected,
    /// Jira gave no usable answer.
    SiteUnavailable,
    /// Jira asked the operator to wait (429).
    RateLimited,
    /// Jira has not yet accepted the credential.
    #[serde(alias = "NotYetProven")]
    NotValidated,
    /// Jira refused what it had accepted before; a second validation confirms it.
    Confirming,
    /// A process that is gone started a renewal; the operator takes it over.
    RenewalInterrupted,
    /// The published token would have expired before its replacement could be validated.
    #[serde(alias = "PublishedUnproven")]
    PublishedUnvalidated,
    /// Every target holds the last validated credential.
    Written,
    /// The Secret of this name does not belong to the operator.
    TargetForeign,
    /// Another `JiraCredential` holds the Secret of this name.
    TargetConflict,
    /// Nothing checks who may publish into other namespaces: the admission policy is not in force.
    PolicyNotInForce,
    /// The operator does not serve the namespace of a target.
    NamespaceNotServed,
    /// The namespace of a target does not exist.
    NamespaceMissing,
    /// The Secret into which keys are to be written does not exist.
    MergeTargetMissing,
    /// The Secret does not let this credential write keys into it.
    MergeNotAllowed,
    /// Keys cannot be written into this Secret.
    MergeUnsuitable,
    /// Another client manages a key that is to be written.
    MergeConflict,
    /// A target cannot have the keys that the spec asks for.
    TemplateInvalid,
    /// The API server refused to write a target.
    WriteRefused,
    /// Nothing validated is there to be published yet.
    Waiting,
    /// Jira accepts another credential in place of the one before.
    Rotated,
    /// No rotation is due.
    NotDue,
    /// An end of life is near.
    ExpiresSoon,
    /// The organisation's maximum age is reached, or nearly.
    MaxAgeReached,
    /// The consent ends soon.
    ConsentExpiring,
    /// The refresh token has not been used for long, and expires of that soon.
    GrantIdle,
    /// What a person stored cannot replace the current credential.
    RotationFailed,
    /// The account has as many personal access tokens as Jira allows: none can be added.
    TokenLimitReached,
    /// Jira does not let the token make another one.
    MintingForbidden,
    /// This Jira has no personal access tokens, or does not serve them.
    MintingUnsupported,
    /// Jira takes a request of the operator for a cross-site request of a browser (XSRF check).
    CrossSiteCheck,
    /// It is not known when the token expires, so its replacement cannot be planned.
    ExpiryUnknown,
    /// The grant cannot be renewed for long, for lack of the scope `offline_access`.
    OfflineAccessMissing,
    /// The organisation reported when the API token expires.
    ExpiryFound,
    /// The organisation reports another expiry of the API token than the spec.
    ExpiryDiffers,
    /// Atlassian does not accept the organisation's API key.
    LookupKeyRejected,
    /// The organisation's API key lacks the scope `read:tokens:admin`.
    LookupForbidden,
    /// The organisation's API key opens no organisation of this id.
    OrganizationUnknown,
    /// The organisation lists no living API token of the account under this label.
    TokenNotListed,
    /// The organisation lists several API tokens of the account under one label.
    TokenAmbiguous,
    /// The API token of this label has not been used for long: it is another one.
    TokenUnused,
    /// The organisation has blocked the API token.
    TokenBlocked,
    /// The operator's own identity lacks a right on the cluster.
    OperatorRightMissing,
    /// The API server refuses to store the tokens that the operator renews.
    GrantWriteRefused,
    /// It is not known whether another `JiraCredential` has used the same initial token.
    DuplicatesUnknown,
    /// The API server takes no events from the operator.
    EventsDenied,
    /// A workload of `spec.restart` does not exist.
    WorkloadMissing,
    /// A workload of `spec.restart` replaces no pods by itself: it is paused, or updated on delete.
    RestartHeld,
    /// The API server refused to change a workload of `spec.restart`, or did not answer.
    RestartRefused,
    /// Workloads read a published Secret in a way that needs a restart, and nothing restarts them.
    ReadersNotRestarted,
    /// The spec has a value that cannot be used, or contradicts itself.
    SpecInvalid,
    /// A Secret or `ConfigMap` that the spec names, or a key in it, does not exist.
    SourceMissing,
    /// A source holds something that cannot be a credential.
    SourceMalformed,
    /// A value ends in a line end, which is left out.
    LineEndIgnored,
    /// A source is a Secret that the operator itself publishes.
    SourceIsTarget,
    /// A source lacks the label without which the administrator lets the operator read no Secret.
    SourceNotAllowed,
    /// The site, or the address it resolves to, is not allowed by the administrator.
    HostNotAllowed,
    /// An older copy of a refresh token came back that was spent before.
    SeedStale,
    /// The Secret in which the operator kept the tokens is gone, and the refresh token was spent.
    GrantLost,
    /// The Secret that the operator needs to store the tokens was not created by it.
    GrantForeign,
    /// A newer version of the operator wrote the Secret with the tokens, in a format that this one cannot read.
    GrantVersionUnsupported,
    /// The Secret in which the operator keeps the tokens is a copy, from a backup or elsewhere.
    GrantRestored,
    /// Another `JiraCredential` holds the same refresh token in another way.
    GrantConflict,
    /// `spec.suspend` is set.
    Suspended,
    /// A reason of another version of the operator.
    #[serde(other)]
    Unrecognised,
}
