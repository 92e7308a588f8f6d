//! The Secret in which the operator keeps the tokens of a grant.
//!
//! It has no owner: deleting and applying a `JiraCredential` together with its source must not
//! lose a token that exists once. Every write says which version it replaces.

use std::collections::BTreeMap;
use std::fmt;

use chrono::TimeDelta;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;

use crate::api::{
    GRANT_LABEL, GRANT_TYPE, MANAGED_BY_LABEL, OPERATOR_NAME, SecretKeyRef, SourceVersion,
};
use crate::cluster::client::{Cluster, json_patch};
use crate::cluster::error::ClusterError;
use crate::cluster::key::Key;
use crate::cluster::secret_index::GrantSeen;
use crate::core::apply::Written;
use crate::core::facts::Held;
use crate::core::fingerprint::Fingerprint;
use crate::core::grant::Grant;

mod name;
mod seed;

pub use name::grant_mark;
pub(super) use name::{seed_digest, seed_print};
pub use seed::{SEED_LABEL, Search};

/// The format of a grant. A program neither uses nor changes one of a higher format, since with what it does not know
/// it would drop tokens or dates. So whatever an earlier program must not drop raises it.
const VERSION: u32 = 1;

/// The key under which the grant stands in its Secret.
const KEY: &str = "grant";

/// Label that distinguishes the operator's own grants from other Secrets.
const MARK_LABEL: &str = "jira-operator.dev/mark";

/// Annotations that say which Secret and key of the user the grant belongs to.
const SEED_NAME: &str = "jira-operator.dev/seed-name";
/// See [`SEED_NAME`].
const SEED_KEY: &str = "jira-operator.dev/seed-key";

/// Annotation that says how long the grant is kept unused, in seconds.
const RETENTION: &str = "jira-operator.dev/retention-seconds";

/// Annotation that says since when neither seed nor user exists.
pub const UNUSED_SINCE: &str = "jira-operator.dev/unused-since";

/// A token as it is stored.
#[derive(Clone)]
pub struct Kept(pub SecretString);

impl fmt::Debug for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Kept")
    }
}

impl Serialize for Kept {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self(SecretString::from(text)))
    }
}

/// What the key holds: the grant, and in which format.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    #[serde(flatten)]
    grant: &'a Grant<Kept>,
}

/// The format alone. Grants of the first versions do not name it.
#[derive(Deserialize)]
struct Format {
    #[serde(default)]
    version: u32,
}

/// A grant with the Secret that it stands in.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its contents.
    pub grant: Grant<Kept>,
    /// Name, namespace, version, labels and annotations of the Secret.
    pub metadata: ObjectMeta,
}

/// What stands under the name of a grant.
pub enum Found {
    /// Nothing.
    Nothing,
    /// Something that is no grant.
    Other,
    /// A grant in the format of a later version of the operator.
    Later,
    /// A grant.
    Grant(Box<Stored>),
}

impl Stored {
    /// A grant that does not exist yet.
    pub fn new(
        namespace: &str,
        name: &str,
        place: &SecretKeyRef,
        retention_seconds: i64,
        mark: &Fingerprint,
    ) -> Self {
        let mark = label_of(mark);
        let labels = [
            (MANAGED_BY_LABEL, OPERATOR_NAME),
            (GRANT_LABEL, "true"),
            (MARK_LABEL, mark.as_str()),
        ];
        let retention = retention_seconds.to_string();
        let annotations = [
            (SEED_NAME, place.name.as_str()),
            (SEED_KEY, place.key.as_str()),
            (RETENTION, retention.as_str()),
        ];
        let map = |pairs: &[(&str, &str)]| {
            let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
            Some(pairs.iter().map(owned).collect::<BTreeMap<_, _>>())
        };
        Self {
            grant: Grant::default(),
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(namespace.to_owned()),
                labels: map(&labels),
                annotations: map(&annotations),
                ..ObjectMeta::default()
            },
        }
    }

    fn read(secret: Secret) -> Found {
        let bytes = secret.data.as_ref().and_then(|data| data.get(KEY));
        let (Some(GRANT_TYPE), Some(bytes)) = (secret.type_.as_deref(), bytes) else {
            return Found::Other;
        };
        match serde_json::from_slice::<Format>(&bytes.0) {
            Ok(format) if format.version > VERSION => return Found::Later,
            Ok(_) | Err(_) => {}
        }
        let Ok(grant) = serde_json::from_slice(&bytes.0) else {
            return Found::Other;
        };
        let metadata = without_managed_fields(secret.metadata);
        Found::Grant(Box::new(Self { grant, metadata }))
    }

    /// Whether this installation made the grant.
    pub fn is_marked(&self, mark: &Fingerprint) -> bool {
        let labels = self.metadata.labels.as_ref();
        labels.and_then(|labels| labels.get(MARK_LABEL)) == Some(&label_of(mark))
    }

    /// The version of the Secret.
    pub fn version(&self) -> SourceVersion {
        let metadata = &self.metadata;
        SourceVersion {
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
        }
    }

    /// What decisions may see of it.
    pub fn held(&self, print: &impl Fn(&SecretString) -> Fingerprint) -> Held {
        Held {
            grant: self.grant.map(&|kept: &Kept| print(&kept.0)),
            uid: self.metadata.uid.clone().unwrap_or_default(),
        }
    }

    /// The same as an answer to a step.
    pub fn written(&self, print: &impl Fn(&SecretString) -> Fingerprint) -> Written {
        Written {
            held: self.held(print),
            version: self.version(),
        }
    }

    fn secret(&self) -> Result<Secret, ClusterError> {
        let document = Document {
            version: VERSION,
            grant: &self.grant,
        };
        let bytes = serde_json::to_vec(&document)
            .map_err(|_| ClusterError::Refused("the grant cannot be written".into()))?;
        Ok(Secret {
            metadata: self.metadata.clone(),
            type_: Some(GRANT_TYPE.to_owned()),
            data: Some(BTreeMap::from([(KEY.to_owned(), ByteString(bytes))])),
            ..Secret::default()
        })
    }

    fn namespace(&self) -> String {
        self.metadata.namespace.clone().unwrap_or_default()
    }
}

impl Cluster {
    /// Reads what stands under the name of a grant.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn grant(&self, namespace: &str, name: &str) -> Result<Found, ClusterError> {
        Ok(match self.secret(namespace, name).await? {
            None => Found::Nothing,
            Some(secret) => Stored::read(secret),
        })
    }

    /// Creates the Secret of a grant. Its uid stands in it from the next write on.
    ///
    /// # Errors
    /// [`ClusterError::AlreadyExists`] when something has this name.
    pub async fn create_grant(&self, stored: &Stored) -> Result<Stored, ClusterError> {
        let mut fresh = stored.clone();
        fresh.grant.uid = None;
        fresh.metadata = ObjectMeta {
            name: stored.metadata.name.clone(),
            namespace: stored.metadata.namespace.clone(),
            labels: stored.metadata.labels.clone(),
            annotations: stored.metadata.annotations.clone(),
            ..ObjectMeta::default()
        };
        let secret = self
            .create_secret(&stored.namespace(), &fresh.secret()?)
            .await?;
        fresh.metadata = without_managed_fields(secret.metadata);
        Ok(fresh)
    }

    /// Replaces a grant, provided that it still has the version that was read.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] when it has not.
    pub async fn put_grant(&self, stored: &Stored) -> Result<Stored, ClusterError> {
        let mut next = stored.clone();
        next.grant.uid.clone_from(&stored.metadata.uid);
        let name = stored.metadata.name.clone().unwrap_or_default();
        let secret = self
            .replace_secret(&stored.namespace(), &name, &next.secret()?)
            .await?;
        next.metadata = without_managed_fields(secret.metadata);
        Ok(next)
    }
}

impl Cluster {
    /// Records in the metadata of a grant since when it is unused, or that it is in use.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] when it has changed since it was seen.
    pub async fn mark_grant(
        &self,
        key: &Key,
        seen: &GrantSeen,
        unused_since: Option<&str>,
    ) -> Result<(), ClusterError> {
        let pointer = format!("/metadata/annotations/{}", UNUSED_SINCE.replace('/', "~1"));
        let change = match unused_since {
            Some(since) => json!({"op": "add", "path": pointer, "value": since}),
            None => json!({"op": "remove", "path": pointer}),
        };
        let patch = json_patch(json!([
            {"op": "test", "path": "/metadata/uid", "value": seen.uid},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": seen.resource_version},
            change,
        ]))?;
        self.patch_secret(&key.namespace, &key.name, patch)
            .await
            .map(|_| ())
    }
}

/// What the metadata of a Secret says of a grant, if it is one.
pub fn seen_grant(metadata: &ObjectMeta) -> Option<GrantSeen> {
    metadata.labels.as_ref()?.get(GRANT_LABEL)?;
    let annotations = metadata.annotations.as_ref()?;
    let seconds = annotations
        .get(RETENTION)
        .and_then(|text| text.parse().ok());
    Some(GrantSeen {
        uid: metadata.uid.clone()?,
        resource_version: metadata.resource_version.clone()?,
        seed_name: annotations.get(SEED_NAME)?.clone(),
        retention: seconds.and_then(TimeDelta::try_seconds),
        unused_since: annotations.get(UNUSED_SINCE).cloned(),
    })
}

/// A colon cannot be part of a label.
fn label_of(seed: &Fingerprint) -> String {
    seed.as_str().replace(':', ".")
}

fn without_managed_fields(metadata: ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        managed_fields: None,
        ..metadata
    }
}
