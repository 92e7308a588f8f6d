//! By which labels the grants of one seed find each other: an old grant may get a seed that a newer one has
//! spent.

use std::cell::RefCell;
use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::ObjectMeta;
use kube::core::PartialObjectMeta;

use super::name::seed_print;
use super::{Kept, SEED_NAME, Stored, label_of};
use crate::api::GRANT_LABEL;
use crate::cluster::client::Cluster;
use crate::cluster::error::ClusterError;
use crate::cluster::key::Key;
use crate::cluster::scope::Scope;
use crate::core::facts::Twin;
use crate::core::fingerprint::{Fingerprint, FingerprintKey};

/// Label that distinguishes grants of the same seed: its keyed fingerprint, bound to the namespace.
pub const SEED_LABEL: &str = "jira-operator.dev/seed";

/// Label that says to which of [`SEED_GROUPS`] groups the seed belongs, in every namespace the same: a
/// look for duplicates lists one group. Seeds are random tokens, so that it tells nothing of them.
const SEED_GROUP: &str = "jira-operator.dev/seed-group";
const SEED_GROUPS: u8 = 64;

/// Annotation that says since when the grant has the seed of its label.
const SEED_SEEN: &str = "jira-operator.dev/seed-seen";

/// Annotation that proves that the operator recorded seed and time: other grants yield to an older one
/// of the same seed, so nobody else may choose them.
const SEED_MARK: &str = "jira-operator.dev/seed-mark";

/// Annotation that names the grant in which the same `JiraCredential` had the seed before.
const FOLLOWS: &str = "jira-operator.dev/follows";

/// What came of a look for another grant with the same seed.
#[derive(Debug)]
pub enum Search {
    /// There is an older one.
    Found(Twin),
    /// There is none.
    None,
    /// None was found, but not everything could be looked at.
    Incomplete(ClusterError),
}

impl Stored {
    /// Says which seed the grant is to be found by, and since when.
    pub fn label_seed(&mut self, key: &FingerprintKey, seed: &Fingerprint, since: DateTime<Utc>) {
        let bound = seed_label(key, &self.namespace(), seed);
        let labels = self.metadata.labels.get_or_insert_default();
        labels.insert(SEED_LABEL.to_owned(), bound);
        labels.insert(SEED_GROUP.to_owned(), group_of(seed));
        let annotations = self.metadata.annotations.get_or_insert_default();
        annotations.insert(SEED_SEEN.to_owned(), since.to_rfc3339());
        if let Some(mark) = seed_mark(key, &self.metadata) {
            let annotations = self.metadata.annotations.get_or_insert_default();
            annotations.insert(SEED_MARK.to_owned(), mark.as_str().to_owned());
        }
    }

    /// Records in which grant its `JiraCredential` had tokens before: the status forgets it.
    pub fn follow(&mut self, earlier: &str) {
        let annotations = self.metadata.annotations.get_or_insert_default();
        annotations.insert(FOLLOWS.to_owned(), earlier.to_owned());
    }

    /// The grant that this one follows.
    pub fn followed(&self) -> Option<Key> {
        let earlier = self.metadata.annotations.as_ref()?.get(FOLLOWS)?;
        Some(Key::new(&self.namespace(), earlier))
    }

    /// The keyed fingerprint of the seed, as long as the grant shows it.
    pub fn seed(&self, key: &FingerprintKey) -> Option<Fingerprint> {
        labelled_seed(key, self)
    }
}

impl Cluster {
    /// Looks where another grant has held the same seed for longer: an old grant may get a seed that a
    /// newer one has spent.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn older_twin(
        &self,
        scopes: &[Scope],
        key: &FingerprintKey,
        stored: &Stored,
    ) -> Result<Search, ClusterError> {
        let Some(seed) = labelled_seed(key, stored) else {
            return Ok(Search::None);
        };
        let labels = selector(&seed);
        let (mut all, mut unread) = (Vec::new(), None);
        for scope in scopes {
            match self.secrets_with(scope, &labels).await {
                Ok(found) => all.extend(found),
                Err(error @ ClusterError::Forbidden(_)) => unread = Some(error),
                Err(error) => return Err(error),
            }
        }
        Ok(searched(twin_of(key, stored, &seed, &all), unread))
    }

    /// The same among grants that are read one by one, where Secrets may not be listed.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn older_twin_among(
        &self,
        grants: &BTreeSet<Key>,
        key: &FingerprintKey,
        stored: &Stored,
    ) -> Result<Search, ClusterError> {
        let Some(seed) = labelled_seed(key, stored) else {
            return Ok(Search::None);
        };
        let (mut all, mut unread) = (Vec::new(), None);
        for grant in grants {
            match self.secret_metadata(&grant.namespace, &grant.name).await {
                Ok(found) => all.extend(found),
                Err(error @ ClusterError::Forbidden(_)) => unread = Some(error),
                Err(error) => return Err(error),
            }
        }
        Ok(searched(twin_of(key, stored, &seed, &all), unread))
    }
}

/// A namespace that may not be read may hold the grant that has spent the token: without a look at it,
/// nobody knows that there is none.
fn searched(twin: Option<Twin>, unread: Option<ClusterError>) -> Search {
    match (twin, unread) {
        (Some(twin), _) => Search::Found(twin),
        (None, Some(error)) => Search::Incomplete(error),
        (None, None) => Search::None,
    }
}

/// Which of some grants has held the seed of this one for longer.
fn twin_of(
    key: &FingerprintKey,
    stored: &Stored,
    seed: &Fingerprint,
    all: &[PartialObjectMeta<Secret>],
) -> Option<Twin> {
    let mine = seed_age(&stored.metadata);
    let twin = all.iter().find(|other| {
        other.uid() != stored.metadata.uid
            && has_seed(key, &other.metadata, seed)
            && is_seed_marked(key, &other.metadata)
            && seed_age(&other.metadata) < mine
    });
    twin.map(|twin| {
        let annotations = twin.metadata.annotations.as_ref();
        let name = annotations.and_then(|annotations| annotations.get(SEED_NAME));
        let here = twin.metadata.namespace == stored.metadata.namespace;
        name.filter(|_| here)
            .map_or(Twin::Elsewhere, |name| Twin::Here(name.clone()))
    })
}

/// The seed of a grant's label. A token that was not exchanged yet stands in the grant itself.
fn labelled_seed(key: &FingerprintKey, stored: &Stored) -> Option<Fingerprint> {
    let labels = stored.metadata.labels.as_ref()?;
    let label = labels.get(SEED_LABEL)?;
    if !labels.contains_key(SEED_GROUP) {
        return Some(Fingerprint::recorded(&label.replacen('.', ":", 1)));
    }
    let found = RefCell::new(None);
    stored.grant.map(&|token: &Kept| {
        let seed = seed_print(key, &token.0);
        if seed_label(key, &stored.namespace(), &seed) == *label {
            found.replace(Some(seed));
        }
    });
    found.into_inner()
}

/// Grants whose seed may be the same: those of its group, and those that an earlier version labelled
/// without a group.
fn selector(seed: &Fingerprint) -> String {
    let group = group_of(seed);
    let others = (0..SEED_GROUPS).map(|number| format!("{number:02x}"));
    let others: Vec<String> = others.filter(|other| *other != group).collect();
    let others = others.join(",");
    format!("{GRANT_LABEL},{SEED_LABEL},{SEED_GROUP} notin ({others})")
}

fn has_seed(key: &FingerprintKey, metadata: &ObjectMeta, seed: &Fingerprint) -> bool {
    let label = |name: &str| metadata.labels.as_ref()?.get(name);
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let expected = match label(SEED_GROUP) {
        Some(_) => seed_label(key, namespace, seed),
        None => label_of(seed),
    };
    label(SEED_LABEL) == Some(&expected)
}

/// The label of a seed in a namespace.
fn seed_label(key: &FingerprintKey, namespace: &str, seed: &Fingerprint) -> String {
    label_of(&key.fingerprint_in(namespace, &[b"seed", seed.as_str().as_bytes()]))
}

fn group_of(seed: &Fingerprint) -> String {
    let end = seed.as_str().as_bytes().iter().rev().take(2);
    let number = end.fold(0_u8, |number, digit| {
        number
            .wrapping_mul(16)
            .wrapping_add(digit % 16 + digit / 64 * 9)
    });
    format!("{:02x}", number % SEED_GROUPS)
}

/// The mark over what makes a grant a twin of another: where it is, its seed, and since when it has it.
fn seed_mark(key: &FingerprintKey, metadata: &ObjectMeta) -> Option<Fingerprint> {
    let seed = metadata.labels.as_ref()?.get(SEED_LABEL)?;
    let since = metadata.annotations.as_ref()?.get(SEED_SEEN)?;
    let (namespace, name) = (metadata.namespace.as_ref()?, metadata.name.as_ref()?);
    Some(key.fingerprint(&[
        b"seed of a grant",
        namespace.as_bytes(),
        name.as_bytes(),
        seed.as_bytes(),
        since.as_bytes(),
    ]))
}

fn is_seed_marked(key: &FingerprintKey, metadata: &ObjectMeta) -> bool {
    let annotations = metadata.annotations.as_ref();
    let mark = annotations.and_then(|annotations| annotations.get(SEED_MARK));
    let expected = seed_mark(key, metadata);
    expected.is_some_and(|expected| mark.is_some_and(|mark| *mark == expected.as_str()))
}

/// What orders the grants of one seed: since when each has it, and without that its own age.
fn seed_age(metadata: &ObjectMeta) -> (Option<i64>, Option<i64>, Option<&str>) {
    let created = metadata.creation_timestamp.as_ref();
    let created = created.map(|time| time.0.as_second());
    let annotations = metadata.annotations.as_ref();
    let seen = annotations.and_then(|annotations| annotations.get(SEED_SEEN));
    let seen = seen.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    let seen = seen.map(|time| time.timestamp()).or(created);
    (seen, created, metadata.uid.as_deref())
}

#[cfg(test)]
mod tests;
