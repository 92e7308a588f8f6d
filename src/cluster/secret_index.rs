//! Which version the Secrets have that some credential refers to, and which versions hold the same.
//! Fed by the watch on metadata and by reads; no contents, and nothing about Secrets that no credential
//! refers to.

mod contents;
mod known;

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use k8s_openapi::api::core::v1::Secret;
use tokio::sync::watch;

use crate::api::SourceVersion;
use crate::cluster::key::Key;
use contents::Contents;
pub use known::Known;
use known::is_older;

/// The versions of all Secrets that are referred to.
#[derive(Debug)]
pub struct VersionIndex {
    inner: Mutex<Inner>,
    contents: Contents,
    referred: watch::Sender<bool>,
    listed: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Inner {
    secrets: HashMap<Key, Entry>,
    references: HashMap<Key, Vec<Key>>,
    strays: HashMap<Key, OwnedSecret>,
    grants: HashMap<Key, GrantSeen>,
    /// The referenced Secrets that the list under way has shown; `None` outside of a list.
    seen: Option<HashSet<Key>>,
}

/// A Secret that a credential controls and none refers to: a process ended after it wrote
/// the Secret and before it wrote that down, and the spec has changed since.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OwnedSecret {
    /// Uid of the credential.
    pub owner: String,
    /// Name of the Secret.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its resource version.
    pub resource_version: String,
}

/// What the metadata of a grant says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GrantSeen {
    /// Its uid.
    pub uid: String,
    /// Its resource version.
    pub resource_version: String,
    /// The user's Secret that it belongs to.
    pub seed_name: String,
    /// How long it is kept unused.
    pub retention: Option<TimeDelta>,
    /// Since when it is unused, as it is written.
    pub unused_since: Option<String>,
}

#[derive(Debug)]
struct Entry {
    known: Known,
    /// Uid of the Secret that went last: an answer that comes after the news of its end speaks of
    /// the past.
    gone: Option<Box<str>>,
    users: Vec<Key>,
}

impl Entry {
    fn is_past(&self, known: &Known) -> bool {
        match known {
            Known::Present { uid, .. } => self.gone.as_deref() == Some(uid),
            Known::Unknown | Known::Absent => false,
        }
    }

    fn end(&mut self) {
        if let Known::Present { uid, .. } = &self.known {
            self.gone = Some(uid.as_str().into());
        }
        self.known = Known::Absent;
    }
}

impl Default for VersionIndex {
    fn default() -> Self {
        Self {
            inner: Mutex::default(),
            contents: Contents::default(),
            referred: watch::Sender::new(false),
            listed: watch::Sender::new(false),
        }
    }
}

impl VersionIndex {
    /// All credentials are known, and with them everything that is referred to.
    pub fn references_known(&self) {
        self.referred.send_replace(true);
    }

    /// Waits until all credentials are known.
    pub async fn references(&self) {
        // The sender lives as long as self: there is always an answer.
        let _ = self.referred.subscribe().wait_for(|known| *known).await;
    }

    /// The credentials that refer to anything.
    pub fn referring(&self) -> Vec<Key> {
        self.lock().references.keys().cloned().collect()
    }

    /// Waits until the first list of Secrets is complete.
    pub async fn listed(&self) {
        let _ = self.listed.subscribe().wait_for(|listed| *listed).await;
    }

    /// Whether the first list of Secrets is complete.
    pub fn is_listed(&self) -> bool {
        *self.listed.borrow()
    }

    /// Says which Secrets a credential refers to from now on. Returns the credentials that share
    /// a Secret which this one no longer refers to: they may take it over.
    pub fn refer(&self, user: &Key, names: &[&str]) -> Vec<Key> {
        let mut inner = self.lock();
        let old = inner.references.remove(user).unwrap_or_default();
        let new: Vec<Key> = names
            .iter()
            .map(|name| Key {
                namespace: user.namespace.clone(),
                name: (*name).into(),
            })
            .collect();
        for key in new.iter().filter(|key| !old.contains(key)) {
            // A list under way may have shown the Secret before any credential referred to it.
            let unknown = !inner.secrets.contains_key(key);
            if let Some(seen) = inner.seen.as_mut().filter(|_| unknown) {
                seen.insert(key.clone());
            }
            let entry = inner.secrets.entry(key.clone()).or_insert_with(|| Entry {
                known: Known::Unknown,
                gone: None,
                users: Vec::new(),
            });
            entry.users.push(user.clone());
        }
        let mut freed = Vec::new();
        for key in old.iter().filter(|key| !new.contains(key)) {
            if let Some(entry) = inner.secrets.get_mut(key) {
                entry.users.retain(|other| other != user);
                freed.extend(entry.users.iter().cloned());
                if entry.users.is_empty() {
                    inner.secrets.remove(key);
                    self.contents.forget(key);
                }
            }
        }
        if !new.is_empty() {
            inner.references.insert(user.clone(), new);
        }
        freed
    }

    /// What is known of a Secret.
    pub fn look(&self, namespace: &str, name: &str) -> Known {
        let key = Key::new(namespace, name);
        self.lock()
            .secrets
            .get(&key)
            .map_or(Known::Unknown, |entry| entry.known.clone())
    }

    /// Learns what a Secret holds.
    pub fn learn_content(&self, key: &Key, secret: &Secret) {
        if self.lock().secrets.contains_key(key) {
            self.contents.learn(key, secret);
        }
    }

    /// Whether every read of a Secret since this was asked last has found the same.
    pub fn is_settled(&self, key: &Key) -> bool {
        self.contents.is_settled(key)
    }

    /// Whether this process has read a Secret.
    pub fn knows_content(&self, key: &Key) -> bool {
        self.contents.knows(key)
    }

    /// Whether a Secret holds what it held when its version was recorded.
    pub fn is_same(&self, namespace: &str, recorded: &SourceVersion) -> bool {
        match self.look(namespace, &recorded.name) {
            Known::Present {
                uid,
                resource_version,
            } => {
                let is_recorded = recorded.resource_version == resource_version;
                let key = Key::new(namespace, &recorded.name);
                recorded.uid == uid
                    && (is_recorded || self.contents.is_same(&key, recorded, &resource_version))
            }
            Known::Unknown | Known::Absent => false,
        }
    }

    /// The credentials that refer to a Secret.
    pub fn users(&self, namespace: &str, name: &str) -> Vec<Key> {
        let key = Key::new(namespace, name);
        self.lock()
            .secrets
            .get(&key)
            .map(|entry| entry.users.clone())
            .unwrap_or_default()
    }

    /// A list shows a Secret that a credential controls. Returns whether it is a stray.
    pub fn found(&self, namespace: &str, secret: OwnedSecret) -> bool {
        let key = Key::new(namespace, &secret.name);
        let mut inner = self.lock();
        let stray = !inner.secrets.contains_key(&key);
        if stray {
            inner.strays.insert(key, secret);
        }
        stray
    }

    /// The strays of a credential.
    pub fn strays(&self, namespace: &str, owner: &str) -> Vec<OwnedSecret> {
        let inner = self.lock();
        let strays = inner.strays.iter();
        let mine =
            strays.filter(|(key, stray)| &*key.namespace == namespace && stray.owner == owner);
        mine.map(|(_, stray)| stray.clone()).collect()
    }

    /// The watch or the list shows a grant.
    pub fn grant_shown(&self, key: Key, seen: GrantSeen) {
        self.lock().grants.insert(key, seen);
    }

    /// The grants of the operator.
    pub fn grants(&self) -> Vec<(Key, GrantSeen)> {
        let inner = self.lock();
        let grants = inner.grants.iter();
        grants
            .map(|(key, seen)| (key.clone(), seen.clone()))
            .collect()
    }

    /// Learns the versions of Secrets that were read; one without a uid does not exist.
    pub fn learn_versions(&self, namespace: &str, versions: &[SourceVersion]) {
        for version in versions {
            let known = if version.uid.is_empty() {
                Known::Absent
            } else {
                Known::Present {
                    uid: version.uid.clone(),
                    resource_version: version.resource_version.clone(),
                }
            };
            self.learn_from_read(namespace, &version.name, known);
        }
    }

    /// Records a version from a read, unless the watch has reported one.
    pub fn learn_from_read(&self, namespace: &str, name: &str, known: Known) {
        let key = Key::new(namespace, name);
        if let Some(entry) = self.lock().secrets.get_mut(&key)
            && entry.known == Known::Unknown
        {
            entry.known = known;
        }
    }

    /// Records what our own write made of a Secret, so that its echo on the watch is not news.
    pub fn learn_from_write(&self, namespace: &str, name: &str, known: Known) {
        let key = Key::new(namespace, name);
        let mut inner = self.lock();
        if let Some(entry) = inner.secrets.get_mut(&key)
            && !is_older(&known, &entry.known)
            && !entry.is_past(&known)
        {
            entry.known = known;
            // A list that started before the write does not show it.
            if let Some(seen) = &mut inner.seen {
                seen.insert(key);
            }
        }
    }

    /// A list starts.
    pub fn list_begins(&self) {
        let mut inner = self.lock();
        inner.seen = Some(HashSet::new());
        inner.strays.clear();
        inner.grants.clear();
    }

    /// The watch or the list shows a Secret. Returns which credentials it concerns.
    pub fn shown(&self, key: Key, uid: String, resource_version: String) -> Vec<Key> {
        let mut inner = self.lock();
        // A list under way is right even if it shows an older version: etcd was restored from a
        // backup. A write of ours during the list counts as seen.
        let seen = inner.seen.as_ref();
        let is_listed_first = seen.is_some_and(|seen| !seen.contains(&key));
        let Some(entry) = inner.secrets.get_mut(&key) else {
            return Vec::new();
        };
        let known = Known::Present {
            uid,
            resource_version,
        };
        let is_late = is_older(&known, &entry.known) && !is_listed_first;
        let news = entry.known != known && !is_late;
        if news {
            entry.known = known;
        }
        let users = if news {
            entry.users.clone()
        } else {
            Vec::new()
        };
        if let Some(seen) = &mut inner.seen {
            seen.insert(key);
        }
        users
    }

    /// The watch says that a Secret is gone. Returns which credentials it concerns.
    pub fn gone(&self, key: &Key, uid: &str) -> Vec<Key> {
        let mut inner = self.lock();
        if inner.strays.get(key).is_some_and(|stray| stray.uid == uid) {
            inner.strays.remove(key);
        }
        inner.grants.remove(key);
        let Some(entry) = inner.secrets.get_mut(key) else {
            return Vec::new();
        };
        entry.gone = Some(uid.into());
        self.contents.forget(key);
        match &entry.known {
            // A late word about a predecessor says nothing about its successor.
            Known::Present { uid: present, .. } if present != uid => Vec::new(),
            Known::Absent => Vec::new(),
            Known::Present { .. } | Known::Unknown => {
                entry.known = Known::Absent;
                entry.users.clone()
            }
        }
    }

    /// A list is complete: what it has not shown does not exist. Returns which credentials that
    /// concerns.
    pub fn list_ends(&self) -> Vec<Key> {
        let mut inner = self.lock();
        let seen = inner.seen.take().unwrap_or_default();
        let mut concerned = Vec::new();
        for (_, entry) in inner
            .secrets
            .iter_mut()
            .filter(|(key, _)| !seen.contains(*key))
        {
            if entry.known != Known::Absent {
                entry.end();
                concerned.extend(entry.users.iter().cloned());
            }
        }
        drop(inner);
        self.listed.send_replace(true);
        concerned
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
