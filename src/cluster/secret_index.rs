//! Which version the Secrets have that some credential refers to, and which versions hold the same.
//! Fed by the watch on metadata and by reads; no contents, and nothing about Secrets that no credential
//! refers to.

mod contents;
mod elsewhere;
mod known;
mod merge_result;
mod merged;
mod progress;

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;

use crate::api::SourceVersion;
use crate::cluster::key::Key;
use crate::cluster::scope::Scope;
use contents::Contents;
pub use elsewhere::{Elsewhere, FoundElsewhere};
pub use known::Known;
use known::is_older;
pub use merged::MergedKeys;
pub use progress::Progress;

/// The versions of all Secrets that are referred to.
#[derive(Debug)]
pub struct VersionIndex {
    inner: Mutex<Inner>,
    contents: Contents,
    progress: Progress,
    merged: MergedKeys,
    elsewhere: Elsewhere,
}

#[derive(Debug, Default)]
struct Inner {
    secrets: HashMap<Key, Entry>,
    references: HashMap<Key, Vec<Key>>,
    strays: HashMap<Key, OwnedSecret>,
    grants: HashMap<Key, GrantSeen>,
    /// The referenced Secrets that each list under way has shown.
    lists: HashMap<Scope, HashSet<Key>>,
}

impl Inner {
    /// What the list under way has shown that covers a Secret.
    fn list_of(&mut self, key: &Key) -> Option<&mut HashSet<Key>> {
        let mut lists = self.lists.iter_mut();
        let mine = lists.find(|(scope, _)| scope.covers(&key.namespace));
        mine.map(|(_, seen)| seen)
    }
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
        Self::over(Scope::of(&[]))
    }
}

impl VersionIndex {
    /// An index of the Secrets in these scopes.
    pub fn over(scopes: Vec<Scope>) -> Self {
        Self {
            inner: Mutex::default(),
            contents: Contents::default(),
            progress: Progress::over(scopes),
            merged: MergedKeys::default(),
            elsewhere: Elsewhere::default(),
        }
    }

    /// How far the lists are.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Which credentials have keys in Secrets of others.
    pub fn merged(&self) -> &MergedKeys {
        &self.merged
    }

    /// Which credentials have Secrets in other namespaces.
    pub fn elsewhere(&self) -> &Elsewhere {
        &self.elsewhere
    }

    /// Whether a credential is known to exist.
    pub fn refers(&self, credential: &Key) -> bool {
        self.lock().references.contains_key(credential)
    }

    /// The credentials of a scope that refer to anything.
    pub fn referring(&self, scope: &Scope) -> Vec<Key> {
        let inner = self.lock();
        let all = inner.references.keys();
        all.filter(|key| scope.covers(&key.namespace))
            .cloned()
            .collect()
    }

    /// Says which Secrets a credential refers to from now on. Returns the credentials that share
    /// a Secret which this one no longer refers to: they may take it over.
    pub fn refer(&self, user: &Key, new: Vec<Key>) -> Vec<Key> {
        let mut inner = self.lock();
        let old = inner.references.remove(user).unwrap_or_default();
        for key in new.iter().filter(|key| !old.contains(key)) {
            // A list under way may have shown the Secret before any credential referred to it.
            let unknown = !inner.secrets.contains_key(key);
            if let Some(seen) = inner.list_of(key).filter(|_| unknown) {
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
            if let Some(seen) = inner.list_of(&key) {
                seen.insert(key);
            }
        }
    }

    /// What was asked for is the present, whatever came before. Returns which credentials it concerns.
    pub fn asked(&self, key: &Key, found: Option<&ObjectMeta>) -> Vec<Key> {
        let known = found.map_or(Known::Absent, |found| Known::Present {
            uid: found.uid.clone().unwrap_or_default(),
            resource_version: found.resource_version.clone().unwrap_or_default(),
        });
        let mut inner = self.lock();
        let Some(entry) = inner.secrets.get_mut(key) else {
            return Vec::new();
        };
        if entry.known == known {
            return Vec::new();
        }
        if known == Known::Absent {
            self.contents.forget(key);
        }
        entry.known = known;
        entry.users.clone()
    }

    /// A list of a scope starts.
    pub fn list_begins(&self, scope: &Scope) {
        let mut inner = self.lock();
        inner.lists.insert(scope.clone(), HashSet::new());
        let is_elsewhere = |key: &Key| !scope.covers(&key.namespace);
        inner.strays.retain(|key, _| is_elsewhere(key));
        inner.grants.retain(|key, _| is_elsewhere(key));
    }

    /// The watch or the list shows a Secret. Returns which credentials it concerns.
    pub fn shown(&self, key: Key, uid: String, resource_version: String) -> Vec<Key> {
        let mut inner = self.lock();
        // A list under way is right even if it shows an older version: etcd was restored from a
        // backup. A write of ours during the list counts as seen.
        let seen = inner.list_of(&key);
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
        if let Some(seen) = inner.list_of(&key) {
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

    /// A list of a scope is complete: what it has not shown does not exist. Returns which credentials that
    /// concerns, and whether it was the first list of this scope.
    pub fn list_ends(&self, scope: &Scope) -> (Vec<Key>, bool) {
        let mut inner = self.lock();
        let seen = inner.lists.remove(scope).unwrap_or_default();
        let mut concerned = Vec::new();
        let missing = inner
            .secrets
            .iter_mut()
            .filter(|(key, _)| scope.covers(&key.namespace) && !seen.contains(*key));
        for (_, entry) in missing {
            if entry.known != Known::Absent {
                entry.end();
                concerned.extend(entry.users.iter().cloned());
            }
        }
        drop(inner);
        (concerned, self.progress.listed(scope))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
