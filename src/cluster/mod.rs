//! Everything about Kubernetes. Nothing here knows how to call Jira.

mod access;
mod admission_policy;
mod client;
mod error;
mod events;
mod fingerprint_key;
mod grant_secret;
mod key;
mod leader;
mod merge;
mod observe;
mod ownership;
mod readers;
mod refused_passwords;
mod right;
mod scope;
mod secret_index;
mod shard;
mod silence;
mod slim;
mod source;
mod status;
mod target_secret;
mod time;
mod workload;

pub use access::{Access, ways};
pub use admission_policy::{AdmissionPolicy, PolicyState};
pub use client::Cluster;
pub use error::ClusterError;
pub use events::event;
pub use fingerprint_key::fingerprint_key;
pub use grant_secret::{
    Found, Kept, SEED_LABEL, Search, Stored, UNUSED_SINCE, grant_mark, seen_grant,
};
pub use key::Key;
pub use leader::{Election, Leadership, Standing, Terms};
pub use merge::{Merged, Removed, merged_into};
pub use observe::fingerprints::token_print;
pub use observe::types::{ObserveContext, Observed, PasswordPrints, RenewalContext};
pub use observe::{inputs, key_of, key_of_target, observe, references};
pub use ownership::{controller_of, owner_elsewhere, target_mark};
pub use readers::ChangedKeys;
pub use refused_passwords::RefusedPassword;
pub use scope::Scope;
pub use secret_index::{
    Elsewhere, FoundElsewhere, GrantSeen, Known, MergedKeys, OwnedSecret, Progress, VersionIndex,
};
pub use shard::{Labels, Selector, SelectorError, Shard};
pub use silence::{LONGEST_SILENCE, WATCH_SECONDS, was_silent, with_longest_silence};
pub use slim::slim;
pub use source::{Material, Signing, Tokens, UserAndPassword, login_in, material, token_in};
pub use target_secret::{Publication, Published};
pub use time::creation_time;
pub use workload::Rollout;

/// One malformed object must not end the watch for all.
pub type Watched = kube::core::DeserializeGuard<crate::api::JiraCredential>;

/// Field manager of everything that the operator writes into Secrets.
const SECRET_MANAGER: &str = "jira-credential-operator/secret";

/// Field manager of the annotation that restarts a workload.
const RESTART_MANAGER: &str = "jira-credential-operator/restart";

/// Field manager of the status.
const STATUS_MANAGER: &str = "jira-credential-operator/status";
