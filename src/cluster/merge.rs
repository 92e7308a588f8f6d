//! Keys in a Secret that somebody else made, and that lets a credential write them.
//!
//! Written by server-side apply without force, under a field manager of each credential: the API server refuses
//! what another client manages, and removes what this manager does not apply any more. Each request names the
//! uid and the version of the Secret that was looked at, so that it creates none, and writes into none that
//! allows it no longer.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::api::{
    CREDENTIAL_LABEL, GRANT_LABEL, GROUP, LONGEST_DETAIL, MANAGED_BY_LABEL, MERGE_ANNOTATION,
    MergeStatus, OPERATOR_NAME, Reason, TargetVersion,
};
use crate::cluster::client::Cluster;
use crate::cluster::error::ClusterError;
use crate::cluster::ownership::label_value;
use crate::cluster::target_secret::Publication;
use crate::core::facts::Repair;

/// Others may write the same Secret at the same time: it is looked at again so often.
const MOST_ROUNDS: usize = 5;

/// A user who writes annotations and managers decides how many credentials a Secret names.
const MOST_CREDENTIALS: usize = 32;

/// Keys that a message names.
const MOST_KEYS: usize = 8;

/// A longer name of a type or of a key is cut in messages.
const LONGEST_NAME: usize = 64;

/// The API server takes no longer name of a client.
const LONGEST_CLIENT: usize = 128;

/// A list of keys and clients ends behind so many characters: the message has room for the remedy, and the
/// status for the list.
const LONGEST_LIST: usize = 600;

/// What became of keys that were to be written.
pub enum Merged {
    /// The Secret holds them, and did before.
    Held(TargetVersion),
    /// The Secret holds them now.
    Written {
        /// Its version.
        version: TargetVersion,
        /// The resource version that it had before.
        over: String,
        /// Whether a key went that the credential had applied before: others may want it.
        freed: bool,
    },
    /// Something is in the way; `None`: there is no such Secret.
    Blocked(Option<TargetVersion>),
}

/// What became of keys that were to be removed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Removed {
    /// None of them is left.
    Gone,
    /// The Secret does not let the credential write any more: these stay.
    NotAllowed(Vec<String>),
    /// Other clients manage these, too, or the Secret does not say any more who wrote them: they stay.
    Left(Vec<String>),
}

impl Removed {
    /// What is left of `keys`, as the Secret shows.
    fn of(keys: &BTreeSet<String>, secret: &Secret, allowed: bool) -> Self {
        let data = secret.data.as_ref();
        let stays = |key: &&String| data.is_some_and(|data| data.contains_key(*key));
        let left: Vec<String> = keys.iter().filter(stays).cloned().collect();
        match (left.is_empty(), allowed) {
            (true, _) => Self::Gone,
            (false, true) => Self::Left(left),
            (false, false) => Self::NotAllowed(left),
        }
    }
}

/// What an apply without force met.
enum Applied {
    Written(Box<Secret>),
    /// Others manage this.
    Conflict(String),
}

/// The field manager of the keys of a credential.
fn manager(credential: &str) -> String {
    format!("{OPERATOR_NAME}/merge-{}", label_value(credential))
}

/// The credentials that may write keys into a Secret, as it says.
fn allowed(metadata: &ObjectMeta) -> impl Iterator<Item = &str> {
    let annotations = metadata.annotations.as_ref();
    let list = annotations.and_then(|all| all.get(MERGE_ANNOTATION));
    let names = list.map(String::as_str).unwrap_or_default().split(',');
    names.map(str::trim).filter(|name| !name.is_empty())
}

/// Whether a Secret lets any credential write keys into it.
pub(super) fn is_merge_target(metadata: &ObjectMeta) -> bool {
    allowed(metadata).next().is_some()
}

/// The credentials that have written keys into a Secret and still may, at most 32.
pub fn merged_into(metadata: &ObjectMeta) -> Vec<String> {
    let wrote = |name: &&str| applied_keys(metadata, name).is_some_and(|keys| !keys.is_empty());
    let mut seen = BTreeSet::new();
    let names = allowed(metadata).filter(|name| seen.insert(*name));
    let mine = names.filter(wrote).take(MOST_CREDENTIALS);
    mine.map(str::to_owned).collect()
}

/// The keys that a credential has applied; `None` if it has applied nothing.
fn applied_keys<'a>(metadata: &'a ObjectMeta, credential: &str) -> Option<BTreeSet<&'a str>> {
    let manager = manager(credential);
    let mut entries = metadata.managed_fields.iter().flatten();
    let mine = entries.find(|entry| {
        entry.manager.as_ref() == Some(&manager) && entry.operation.as_deref() == Some("Apply")
    })?;
    let data = mine
        .fields_v1
        .as_ref()
        .and_then(|fields| fields.0.get("f:data"));
    let keys = data.and_then(Value::as_object).into_iter().flatten();
    Some(keys.filter_map(|(key, _)| key.strip_prefix("f:")).collect())
}

/// Whether a Secret holds exactly these keys of a credential, with these values.
fn holds(found: &Secret, credential: &str, data: &BTreeMap<String, ByteString>) -> bool {
    let applied = applied_keys(&found.metadata, credential).unwrap_or_default();
    let present = |key: &String, value: &ByteString| {
        found.data.as_ref().and_then(|all| all.get(key)) == Some(value)
    };
    applied.len() == data.len()
        && data
            .iter()
            .all(|(key, value)| applied.contains(key.as_str()) && present(key, value))
}

/// The keys of a credential that a Secret does not hold as they were written.
fn lost(found: &Secret, credential: &str, data: &BTreeMap<String, ByteString>) -> String {
    let applied = applied_keys(&found.metadata, credential).unwrap_or_default();
    let there = |key: &String, value: &ByteString| {
        let present = found.data.as_ref().and_then(|all| all.get(key));
        present == Some(value) && applied.contains(key.as_str())
    };
    let lost = data.iter().filter(|(key, value)| !there(key, value));
    list(lost.map(|(key, _)| short(key)).collect())
}

/// Whether a key that is to be written is in a Secret, and not by an apply of the credential.
fn is_taken(found: &Secret, credential: &str, data: &BTreeMap<String, ByteString>) -> bool {
    let applied = applied_keys(&found.metadata, credential).unwrap_or_default();
    let present = found.data.iter().flat_map(BTreeMap::keys);
    let mut others = present.filter(|key| !applied.contains(key.as_str()));
    others.any(|key| data.contains_key(key))
}

/// Why keys of a credential cannot be written into a Secret.
fn obstacle(found: &Secret, credential: &str) -> Option<(Reason, String)> {
    let unsuitable = |detail: String| Some((Reason::MergeUnsuitable, detail));
    let labels = found.labels();
    let ours = labels.get(MANAGED_BY_LABEL).map(String::as_str) == Some(OPERATOR_NAME)
        || labels.contains_key(CREDENTIAL_LABEL)
        || labels.contains_key(GRANT_LABEL);
    if ours || has_owner(&found.metadata) {
        return unsuitable(
            "its labels or owners say that the operator writes it as a whole".to_owned(),
        );
    }
    let kind = found.type_.as_deref().unwrap_or("Opaque");
    if kind != "Opaque" {
        return unsuitable(format!("its type is {}", short(kind)));
    }
    if found.immutable == Some(true) {
        return unsuitable("it is immutable".to_owned());
    }
    if allowed(&found.metadata).any(|name| name == credential) {
        return None;
    }
    Some((Reason::MergeNotAllowed, String::new()))
}

/// Whether a credential owns a Secret, as its controller or beside it.
fn has_owner(metadata: &ObjectMeta) -> bool {
    let group = |version: &str| version.split('/').next() == Some(GROUP);
    let mut owners = metadata.owner_references.iter().flatten();
    owners.any(|owner| owner.kind == "JiraCredential" && group(&owner.api_version))
}

fn short(name: &str) -> String {
    first(LONGEST_NAME, name)
}

fn first(most: usize, text: &str) -> String {
    text.chars().take(most).collect()
}

/// The beginning of a list, and whether there is more.
fn list(mut items: Vec<String>) -> String {
    items.sort_unstable();
    let mut length = 0;
    let fits = items.iter().take(MOST_KEYS).take_while(|item| {
        length += item.chars().count() + 2;
        length <= LONGEST_LIST
    });
    let fits = fits.count();
    let more = items.len() > fits;
    items.truncate(fits);
    let list = items.join(", ");
    if more {
        format!("{list} and others")
    } else {
        list
    }
}

/// What others manage of what was to be applied: keys and clients; `None` for any other answer.
fn conflict(error: &kube::Error) -> Option<String> {
    let kube::Error::Api(status) = error else {
        return None;
    };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let conflicts = causes.filter(|cause| cause.reason == "FieldManagerConflict");
    let keys: Vec<String> = conflicts
        .map(|cause| {
            // The rest of the text has a time in it.
            let client = cause.message.split('"').nth(1);
            let client = client.map(|client| first(LONGEST_CLIENT, client));
            let key = cause.field.strip_prefix(".data.").unwrap_or(&cause.field);
            let client = client.map_or_else(String::new, |client| format!(" ({client})"));
            format!("the key {}{client}", short(key))
        })
        .collect();
    (!keys.is_empty()).then(|| list(keys))
}

impl Cluster {
    /// Writes the keys of a target into a Secret of somebody else, if they are not there.
    ///
    /// # Errors
    /// [`ClusterError::Refused`] when the API server will not have it, others when it could not be asked.
    pub async fn merge(
        &self,
        publication: &Publication<'_>,
        repair: Repair,
    ) -> Result<Merged, ClusterError> {
        let (namespace, name) = (publication.namespace(), &publication.target.name);
        let (credential, data) = (publication.owner.name_any(), publication.data());
        for _ in 0..MOST_ROUNDS {
            let Some(found) = self.secret(&namespace, name).await? else {
                return Ok(Merged::Blocked(None));
            };
            let blocked = |(reason, detail): (Reason, String), again: Option<DateTime<Utc>>| {
                Merged::Blocked(Some(TargetVersion {
                    hash: None,
                    merge: Some(MergeStatus {
                        blocked_by: Some(reason),
                        detail: Some(first(LONGEST_DETAIL, &detail))
                            .filter(|text| !text.is_empty()),
                        next_repair_time: again,
                        ..MergeStatus::default()
                    }),
                    ..publication.version(&found.metadata)
                }))
            };
            if let Some(obstacle) = obstacle(&found, &credential) {
                return Ok(blocked(obstacle, None));
            }
            if holds(&found, &credential, &data) {
                return Ok(Merged::Held(publication.merged(&found.metadata)));
            }
            // What others have taken over conflicts anyway.
            if let Repair::NotBefore(time) = repair
                && !is_taken(&found, &credential, &data)
            {
                let lost = lost(&found, &credential, &data);
                return Ok(blocked((Reason::MergeConflict, lost), Some(time)));
            }
            match self.apply(&namespace, &found, &credential, &data).await {
                Ok(Applied::Written(secret)) => {
                    let applied = applied_keys(&found.metadata, &credential).unwrap_or_default();
                    return Ok(Merged::Written {
                        version: publication.merged(&secret.metadata),
                        over: found.resource_version().unwrap_or_default(),
                        freed: applied.iter().any(|key| !data.contains_key(*key)),
                    });
                }
                Ok(Applied::Conflict(detail)) => {
                    return Ok(blocked((Reason::MergeConflict, detail), None));
                }
                // Somebody was faster: what the Secret allows now is looked at again.
                Err(ClusterError::Conflict | ClusterError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ClusterError::Conflict)
    }

    /// Removes the keys of a credential from a Secret of somebody else: those that it manages there, and looks
    /// what became of those that it `wrote`. Keys that others apply, too, stay.
    ///
    /// # Errors
    /// When the API server refuses it, or could not be asked.
    pub async fn unmerge(
        &self,
        namespace: &str,
        name: &str,
        credential: &str,
        wrote: &[String],
    ) -> Result<Removed, ClusterError> {
        for _ in 0..MOST_ROUNDS {
            let Some(found) = self.secret(namespace, name).await? else {
                return Ok(Removed::Gone);
            };
            let applied = applied_keys(&found.metadata, credential);
            let mut keys: BTreeSet<String> = wrote.iter().cloned().collect();
            keys.extend(applied.iter().flatten().map(|key| (*key).to_owned()));
            let allowed = obstacle(&found, credential).is_none();
            if applied.is_none() || !allowed {
                return Ok(Removed::of(&keys, &found, allowed));
            }
            let nothing = BTreeMap::new();
            match self.apply(namespace, &found, credential, &nothing).await {
                Ok(Applied::Written(secret)) => return Ok(Removed::of(&keys, &secret, true)),
                Ok(Applied::Conflict(_)) => return Ok(Removed::of(&keys, &found, true)),
                Err(ClusterError::Conflict | ClusterError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ClusterError::Conflict)
    }

    /// Applies the keys of a credential to the very version of a Secret that was looked at.
    async fn apply(
        &self,
        namespace: &str,
        found: &Secret,
        credential: &str,
        data: &BTreeMap<String, ByteString>,
    ) -> Result<Applied, ClusterError> {
        let mut wanted = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": found.name_any(),
                "uid": found.uid(),
                "resourceVersion": found.resource_version(),
            },
        });
        if let Some(wanted) = wanted.as_object_mut().filter(|_| !data.is_empty()) {
            wanted.insert("data".to_owned(), json!(data));
        }
        let params = PatchParams::apply(&manager(credential));
        let (api, name, patch) = (
            self.secrets(namespace),
            found.name_any(),
            Patch::Apply(wanted),
        );
        let request = async {
            match api.patch(&name, &params, &patch).await {
                Ok(secret) => Ok(Applied::Written(Box::new(secret))),
                Err(error) => match conflict(&error) {
                    Some(keys) => Ok(Applied::Conflict(keys)),
                    None => Err(error),
                },
            }
        };
        self.write(request).await
    }
}

#[cfg(test)]
mod tests;
