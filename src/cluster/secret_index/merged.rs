//! Which credentials have keys in Secrets of others, as the metadata of the Secrets says.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cluster::key::Key;
use crate::cluster::scope::Scope;

/// The names of credentials by the Secret into which they have written keys, and which still lets them.
#[derive(Debug, Default)]
pub struct MergedKeys(Mutex<HashMap<Key, Vec<String>>>);

impl MergedKeys {
    /// The watch or the list shows whose keys a Secret has.
    pub fn shown(&self, secret: Key, credentials: Vec<String>) {
        let mut all = self.lock();
        if credentials.is_empty() {
            all.remove(&secret);
        } else {
            all.insert(secret, credentials);
        }
    }

    /// A Secret is gone.
    pub fn gone(&self, secret: &Key) {
        self.lock().remove(secret);
    }

    /// A list of a scope starts.
    pub fn list_begins(&self, scope: &Scope) {
        self.lock().retain(|key, _| !scope.covers(&key.namespace));
    }

    /// The Secrets that have keys of a credential.
    pub fn of(&self, credential: &Key) -> Vec<String> {
        let all = self.lock();
        let mine = all.iter().filter(|(secret, credentials)| {
            secret.namespace == credential.namespace
                && credentials.iter().any(|name| **name == *credential.name)
        });
        mine.map(|(secret, _)| secret.name.to_string()).collect()
    }

    /// Each Secret with a credential that has keys in it.
    pub fn all(&self) -> Vec<(Key, Key)> {
        let all = self.lock();
        let pairs = all.iter().flat_map(|(secret, credentials)| {
            let credentials = credentials.iter();
            credentials.map(|name| (secret.clone(), Key::new(&secret.namespace, name)))
        });
        pairs.collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Vec<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
