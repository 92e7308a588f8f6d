//! Everything about Kubernetes. Nothing here knows how to call Jira.

mod client;
mod error;
mod events;
mod grant;
mod key;
mod observe;
mod observe_grant;
mod ownership;
mod source;
mod status;
mod target;
mod time;
mod versions;

pub use client::Cluster;
pub use error::ClusterError;
pub use grant::{
    Found, Kept, SEED_LABEL, Stored, UNUSED_SINCE, grant_mark, grant_name, place, seen_grant,
};
pub use key::fingerprint_key;
pub use observe::{Observed, Surroundings, key_of, observe, references};
pub use observe_grant::{Around, token_print};
pub use ownership::controller_of;
pub use source::{Material, Signing, Tokens, UserAndPassword};
pub use target::{Publication, Published};
pub use time::creation_time;
pub use versions::{GrantSeen, Key, Known, Stray, VersionIndex};

/// One malformed object must not end the watch for all.
pub type Watched = kube::core::DeserializeGuard<crate::api::JiraCredential>;

/// Field manager of everything that the operator writes into Secrets.
const SECRET_MANAGER: &str = "jira-credential-operator/secret";

/// Field manager of the status.
const STATUS_MANAGER: &str = "jira-credential-operator/status";
