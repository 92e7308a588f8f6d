//! Writing targets that are the operator's as a whole. Never by server-side apply: applied to a Secret with another owner it would
//! merge our keys and our owner reference into it, and the garbage collector would later delete
//! a Secret that a person made.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::ObjectMeta;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use crate::api::{
    CREDENTIAL_LABEL, DELETION_POLICY_ANNOTATION, JiraCredential, MANAGED_BY_LABEL, MergeStatus,
    OPERATOR_NAME, OWNER_ANNOTATION, Target, TargetVersion,
};
use crate::cluster::client::{Cluster, json_patch};
use crate::cluster::error::ClusterError;
use crate::cluster::ownership::{
    MARK_ANNOTATION, Ownership, full_name, is_retained, label_value, ownership,
};
use crate::core::facts::Holder;
use crate::render::Contents;

/// Keys under this prefix are allowed by default and never removed: people also set them on published Secrets
/// themselves.
const KEPT_PREFIX: &str = "reloader.stakater.com/";

/// A target and what it is to hold.
pub struct Publication<'a> {
    /// The credential that holds the target.
    pub owner: &'a JiraCredential,
    /// The target.
    pub target: &'a Target,
    /// Its keys and values.
    pub contents: &'a Contents,
    /// The digest to record.
    pub digest: &'a str,
    /// The mark of the target.
    pub mark: &'a str,
    /// Prefixes of the labels and annotations that are ours to remove.
    pub allowed_keys: &'a [String],
}

/// What became of a publication.
pub enum Published {
    /// The target holds it.
    Written(TargetVersion),
    /// Another party holds the Secret of this name.
    Held(Holder, TargetVersion),
    /// The other namespace in which it was to be does not exist.
    NoNamespace,
}

impl Cluster {
    /// Writes a target. `holds` is the uid of the Secret that we hold under this name.
    ///
    /// # Errors
    /// [`ClusterError::Refused`] when the API server will not have it, others when it could not
    /// be asked.
    pub async fn publish(
        &self,
        publication: &Publication<'_>,
        holds: Option<&str>,
    ) -> Result<Published, ClusterError> {
        let namespace = publication.namespace();
        let written = match holds {
            Some(uid) => {
                let patch = publication.repair(uid)?;
                self.patch_secret(&namespace, &publication.target.name, patch)
                    .await
            }
            None => self.create_secret(&namespace, &publication.secret()).await,
        };
        let published = match written {
            Ok(secret) => self.finish(publication, secret).await,
            // It exists though we hold none, or it is not as we left it: look who holds it.
            Err(
                ClusterError::AlreadyExists
                | ClusterError::Refused(_)
                | ClusterError::Forbidden(_)
                | ClusterError::NotFound,
            ) => self.publish_with_care(publication).await,
            Err(error) => Err(error),
        };
        match published {
            // Nothing else is missing where a Secret cannot be created.
            Err(ClusterError::NotFound) if publication.is_elsewhere() => Ok(Published::NoNamespace),
            published => published,
        }
    }

    /// Looks at what stands under the name before anything is written.
    async fn publish_with_care(
        &self,
        publication: &Publication<'_>,
    ) -> Result<Published, ClusterError> {
        let namespace = publication.namespace();
        let name = &publication.target.name;
        let Some(found) = self.secret_metadata(&namespace, name).await? else {
            let created = self
                .create_secret(&namespace, &publication.secret())
                .await?;
            return Ok(Published::Written(publication.version(&created.metadata)));
        };
        let ownership = ownership(
            &found.metadata,
            publication.owner,
            publication.target,
            publication.mark,
        );
        if let Ownership::Theirs(holder) = ownership {
            let held_by = match &holder {
                Holder::Credential(name) => Some(name.clone()),
                Holder::Elsewhere => Some(String::new()),
                Holder::Stranger => None,
            };
            let seen = TargetVersion {
                hash: None,
                held_by,
                merge: None,
                ..publication.version(&found.metadata)
            };
            return Ok(Published::Held(holder, seen));
        }
        let patch = publication.adopt(&found.metadata)?;
        match self.patch_secret(&namespace, name, patch).await {
            Ok(secret) => self.finish(publication, secret).await,
            // Type and immutability cannot be patched; the Secret is ours, so it is created again.
            Err(ClusterError::Refused(_) | ClusterError::Forbidden(_)) => {
                self.replace(publication, &found.metadata).await
            }
            Err(error) => Err(error),
        }
    }

    /// Checks what the API server made of a write, and mends what a patch could not say.
    async fn finish(
        &self,
        publication: &Publication<'_>,
        secret: Secret,
    ) -> Result<Published, ClusterError> {
        if secret.type_.as_deref() != Some(publication.kind()) {
            return self.replace(publication, &secret.metadata).await;
        }
        let surplus = publication.surplus(&secret.metadata);
        if surplus.is_empty() {
            return Ok(Published::Written(publication.version(&secret.metadata)));
        }
        let patch = json_patch(Value::Array(surplus))?;
        let name = &publication.target.name;
        let mended = self
            .patch_secret(&publication.namespace(), name, patch)
            .await?;
        Ok(Published::Written(publication.version(&mended.metadata)))
    }

    async fn replace(
        &self,
        publication: &Publication<'_>,
        old: &ObjectMeta,
    ) -> Result<Published, ClusterError> {
        let namespace = publication.namespace();
        let uid = old.uid.as_deref().unwrap_or_default();
        // What pods mount does not go before it is certain that something can take its place.
        self.would_create_secret(&namespace, &publication.secret())
            .await?;
        match self
            .delete_secret(&namespace, &publication.target.name, uid)
            .await
        {
            Ok(()) | Err(ClusterError::NotFound) => {}
            Err(error) => return Err(error),
        }
        let created = self
            .create_secret(&namespace, &publication.secret())
            .await?;
        Ok(Published::Written(publication.version(&created.metadata)))
    }

    /// Deletes a target that the spec no longer names, if it is still the Secret that we wrote
    /// and still ours. One that is to be retained stays.
    pub async fn retract(
        &self,
        owner: &JiraCredential,
        old: &TargetVersion,
        mark: &str,
    ) -> Result<(), ClusterError> {
        let target = Target {
            name: old.name.clone(),
            namespace: old.namespace.clone(),
            ..Target::default()
        };
        let namespace = target.namespace.clone().or_else(|| owner.namespace());
        let namespace = namespace.unwrap_or_default();
        let Some(found) = self.secret_metadata(&namespace, &old.name).await? else {
            return Ok(());
        };
        let uid = found.metadata.uid.as_deref().unwrap_or_default();
        // In another namespace the mark alone says whose it is, also after somebody made it again.
        let is_known = old.namespace.is_some() || uid == old.uid;
        let ours = is_known
            && !is_retained(&found.metadata)
            && ownership(&found.metadata, owner, &target, mark) == Ownership::Ours;
        if !ours {
            return Ok(());
        }
        match self.delete_secret(&namespace, &old.name, uid).await {
            Ok(()) | Err(ClusterError::NotFound | ClusterError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Publication<'_> {
    pub(super) fn namespace(&self) -> String {
        let elsewhere = self.target.namespace.clone();
        let namespace = elsewhere.or_else(|| self.owner.namespace());
        namespace.unwrap_or_default()
    }

    /// Whether the Secret is in another namespace than the credential.
    fn is_elsewhere(&self) -> bool {
        self.target.namespace.is_some()
    }

    fn is_retained(&self) -> bool {
        self.target.is_retained()
    }

    fn kind(&self) -> &str {
        let template = self.target.template.as_ref();
        template
            .and_then(|template| template.kind.as_deref())
            .or(self.contents.kind())
            .unwrap_or("Opaque")
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = owned(self.contents.labels());
        if let Some(template) = &self.target.template {
            labels.extend(template.labels.clone());
        }
        labels.insert(MANAGED_BY_LABEL.into(), OPERATOR_NAME.into());
        labels.insert(CREDENTIAL_LABEL.into(), label_value(&self.owner.name_any()));
        labels
    }

    fn annotations(&self) -> BTreeMap<String, String> {
        let mut annotations = owned(self.contents.annotations());
        if let Some(template) = &self.target.template {
            annotations.extend(template.annotations.clone());
        }
        annotations.insert(MARK_ANNOTATION.into(), self.mark.to_owned());
        if self.is_elsewhere() {
            annotations.insert(OWNER_ANNOTATION.into(), full_name(self.owner));
        }
        if self.is_retained() {
            annotations.insert(DELETION_POLICY_ANNOTATION.into(), "Retain".to_owned());
        }
        annotations
    }

    /// None for a Secret that is to outlive its credential, and in another namespace, where the garbage collector
    /// would take it for one without an owner.
    fn owner_reference(&self) -> Option<OwnerReference> {
        let reference = OwnerReference {
            // Nothing waits for the Secret when the credential goes, so nothing has to block.
            block_owner_deletion: None,
            ..self.owner.controller_owner_ref(&()).unwrap_or_default()
        };
        Some(reference).filter(|_| !self.is_retained() && !self.is_elsewhere())
    }

    pub(super) fn data(&self) -> BTreeMap<String, ByteString> {
        let pairs = self.contents.iter();
        pairs
            .map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec())))
            .collect()
    }

    fn secret(&self) -> Secret {
        Secret {
            metadata: ObjectMeta {
                name: Some(self.target.name.clone()),
                labels: Some(self.labels()),
                annotations: Some(self.annotations()),
                owner_references: self.owner_reference().map(|owner| vec![owner]),
                ..ObjectMeta::default()
            },
            data: Some(self.data()),
            type_: Some(self.kind().to_owned()),
            ..Secret::default()
        }
    }

    /// The version of a Secret that holds the keys among others.
    pub(super) fn merged(&self, metadata: &ObjectMeta) -> TargetVersion {
        TargetVersion {
            merge: Some(MergeStatus {
                keys: self
                    .contents
                    .iter()
                    .map(|(key, _)| key.to_owned())
                    .collect(),
                ..MergeStatus::default()
            }),
            ..self.version(metadata)
        }
    }

    pub(super) fn version(&self, metadata: &ObjectMeta) -> TargetVersion {
        TargetVersion {
            name: self.target.name.clone(),
            namespace: self.target.namespace.clone(),
            uid: metadata.uid.clone().unwrap_or_default(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
            hash: Some(self.digest.to_owned()),
            held_by: None,
            merge: None,
        }
    }

    /// Sets contents and labels of the Secret that we hold; refused when it is not as we left
    /// it in what says whose it is.
    fn repair(&self, uid: &str) -> Result<json_patch::Patch, ClusterError> {
        let mut operations = vec![json!({"op": "test", "path": "/metadata/uid", "value": uid})];
        if self.is_elsewhere() {
            let (owner, manager) = (
                pointer("annotations", OWNER_ANNOTATION),
                pointer("labels", MANAGED_BY_LABEL),
            );
            operations.extend([
                json!({"op": "test", "path": owner, "value": full_name(self.owner)}),
                json!({"op": "test", "path": manager, "value": OPERATOR_NAME}),
            ]);
        }
        if self.is_retained() || self.is_elsewhere() {
            let policy = pointer("annotations", DELETION_POLICY_ANNOTATION);
            let retains = self.is_retained().then_some("Retain");
            operations.extend([
                json!({"op": "test", "path": policy, "value": retains}),
                json!({"op": "test", "path": pointer("annotations", MARK_ANNOTATION), "value": self.mark}),
                // Nobody else has taken hold of it. Absent is the same as null here.
                json!({"op": "test", "path": "/metadata/ownerReferences", "value": null}),
            ]);
        } else {
            let owner = self.owner.uid();
            operations.push(
                json!({"op": "test", "path": "/metadata/ownerReferences/0/uid", "value": owner}),
            );
        }
        operations.push(json!({"op": "add", "path": "/data", "value": self.data()}));
        let labels = self.labels().into_iter().map(|pair| ("labels", pair));
        let annotations = self
            .annotations()
            .into_iter()
            .map(|pair| ("annotations", pair));
        operations.extend(labels.chain(annotations).map(|(field, (key, value))| {
            json!({"op": "add", "path": pointer(field, &key), "value": value})
        }));
        json_patch(Value::Array(operations))
    }

    /// Makes a Secret ours again, on the version that was read. Labels and annotations that the
    /// template does not have go: other controllers obey them, and we do not know who set them.
    fn adopt(&self, found: &ObjectMeta) -> Result<json_patch::Patch, ClusterError> {
        let others = found.owner_references.iter().flatten();
        let others = others.filter(|other| {
            other.controller != Some(true) && Some(&other.uid) != self.owner.meta().uid.as_ref()
        });
        let owners: Vec<OwnerReference> = self
            .owner_reference()
            .into_iter()
            .chain(others.cloned())
            .collect();
        json_patch(json!([
            {"op": "test", "path": "/metadata/uid", "value": found.uid},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": found.resource_version},
            {"op": "add", "path": "/metadata/ownerReferences", "value": owners},
            {"op": "add", "path": "/metadata/labels", "value": self.labels()},
            {"op": "add", "path": "/metadata/annotations", "value": self.annotations()},
            {"op": "add", "path": "/data", "value": self.data()},
        ]))
    }

    /// Removes labels and annotations that an earlier template had. Only keys that a template
    /// may have are touched.
    fn surplus(&self, metadata: &ObjectMeta) -> Vec<Value> {
        let fields = [
            ("labels", &metadata.labels, self.labels()),
            ("annotations", &metadata.annotations, self.annotations()),
        ];
        let mut operations = Vec::new();
        for (field, found, wanted) in fields {
            let ours = |key: &&String| {
                self.allowed_keys
                    .iter()
                    .any(|prefix| key.starts_with(prefix.as_str()))
                    && !key.starts_with(KEPT_PREFIX)
                    && !wanted.contains_key(*key)
            };
            let keys = found.iter().flat_map(BTreeMap::keys).filter(ours);
            operations.extend(keys.map(|key| json!({"op": "remove", "path": pointer(field, key)})));
        }
        operations
    }
}

fn owned<'a>(pairs: impl Iterator<Item = (&'static str, &'a str)>) -> BTreeMap<String, String> {
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The JSON Pointer of a label or annotation (RFC 6901: `~` and `/` are escaped).
fn pointer(field: &str, key: &str) -> String {
    format!(
        "/metadata/{field}/{}",
        key.replace('~', "~0").replace('/', "~1")
    )
}
