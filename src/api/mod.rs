//! The public API: `JiraCredential`, its spec, its status, and the types both use.
//!
//! Types only. Decisions live in [`crate::core`].

mod attempt;
mod auth;
mod condition;
mod data_center;
mod date;
mod lenient;
mod lookup;
mod merge;
mod oauth;
mod owner;
mod period;
mod preset;
mod reference;
mod restart;
mod rules;
mod secret_versions;
mod spec;
mod status;
mod target_rules;

pub use attempt::{Attempt, AttemptOutcome};
pub use auth::{ApiToken, Auth, Method};
pub use condition::{Condition, ConditionStatus, ConditionType, Reason};
pub use data_center::{BasicAuth, OAuth1, PersonalAccessToken, RotationPolicy, SessionAuth};
pub use date::Date;
pub use lookup::{ExpiryLookup, ExpiryLookupStatus};
pub use merge::{CreationPolicy, LONGEST_DETAIL, MERGE_ANNOTATION, MergeStatus};
pub use oauth::{ClientCredentials, OAuth2, Scope};
pub use owner::Owner;
pub use period::Period;
pub use preset::Preset;
pub use reference::{ConfigMapKeyRef, SecretKeyRef, SecretRef};
pub use restart::{FailedRestart, RestartStatus, Workload, WorkloadKind};
pub use secret_versions::{Binding, LineEnd, SourceVersion, TargetVersion};
pub use spec::{
    DEFAULT_WARN_BEFORE, DeletionPolicy, Hosting, JiraCredential, JiraCredentialSpec, Permission,
    Rotation, Target, TargetTemplate, Tls, Validation,
};
pub use status::{
    Account, GrantStatus, JiraCredentialStatus, MethodName, PermissionStatus, SiteStatus,
};

/// API group of the custom resource, and the prefix of every label and annotation of ours.
pub const GROUP: &str = "jira-operator.dev";

/// Annotation whose every new value asks for a validation of the credential now.
pub const RENEW_ANNOTATION: &str = "jira-operator.dev/renew";

/// Annotation of a Lease: which credentials the operators that share it serve, by their labels.
pub const SHARD_SELECTOR_ANNOTATION: &str = "jira-operator.dev/shard-selector";

/// Prefix of the annotation that a restart sets in the pod template of a workload; the name of the
/// `JiraCredential` follows, so that several can have restarted the same workload.
pub const RESTART_ANNOTATION_PREFIX: &str = "restarted-for.jira-operator.dev/";

/// Annotation on a published Secret that stays when its `JiraCredential` is deleted; the value is `Retain`.
pub const DELETION_POLICY_ANNOTATION: &str = "jira-operator.dev/deletion-policy";

/// Label on a published Secret: the name of the `JiraCredential` that holds it.
pub const CREDENTIAL_LABEL: &str = "jira-operator.dev/credential";

/// Annotation on a published Secret in another namespace: namespace and name of the `JiraCredential` that holds
/// it. There is no owner reference across namespaces.
pub const OWNER_ANNOTATION: &str = "jira-operator.dev/owner";

/// Annotation of the admission policy, with the value `true`: it checks the rights of authors in the namespaces of
/// `spec.targets`.
pub const CHECKS_NAMESPACES_ANNOTATION: &str = "jira-operator.dev/checks-target-namespaces";

/// Label on the Secret in which the operator keeps the tokens of a grant.
pub const GRANT_LABEL: &str = "jira-operator.dev/grant";

/// Label by which the owner of a Secret lets the operator read it as a source, with the value `true`. It
/// counts where the administrator requires it.
pub const SOURCE_LABEL: &str = "jira-operator.dev/source";

/// Type of the Secret in which the operator keeps the tokens of a grant.
pub const GRANT_TYPE: &str = "jira-operator.dev/grant";

/// Beginning of the name of every grant.
pub const GRANT_PREFIX: &str = "jco-grant-";

/// The label that says who manages an object, and our name in it.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// The name under which the operator manages objects and reports events.
pub const OPERATOR_NAME: &str = "jira-credential-operator";
