//! Which credentials have Secrets in other namespaces: no owner reference shows that.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cluster::key::Key;
use crate::cluster::scope::Scope;

/// The credentials by the Secrets that the operator wrote for them in other namespaces.
#[derive(Debug, Default)]
pub struct Elsewhere(Mutex<HashMap<Key, FoundElsewhere>>);

/// A Secret in another namespace than its credential.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundElsewhere {
    /// The credential.
    pub owner: Key,
    /// Uid of the Secret; empty where only the status of the credential names it.
    pub uid: String,
}

impl Elsewhere {
    /// The watch, the list or a status shows a Secret; `None`: it is not of a credential of another namespace.
    pub fn shown(&self, secret: Key, found: Option<FoundElsewhere>) {
        let mut all = self.lock();
        match found {
            Some(found) => all.insert(secret, found),
            None => all.remove(&secret),
        };
    }

    /// A Secret is gone.
    pub fn gone(&self, secret: &Key) {
        self.lock().remove(secret);
    }

    /// A list of a scope starts.
    pub fn list_begins(&self, scope: &Scope) {
        self.lock().retain(|key, _| !scope.covers(&key.namespace));
    }

    /// The Secrets of a credential, with the uid of each.
    pub fn of(&self, credential: &Key) -> Vec<(Key, String)> {
        let all = self.lock();
        let mine = all.iter().filter(|(_, found)| found.owner == *credential);
        mine.map(|(secret, found)| (secret.clone(), found.uid.clone()))
            .collect()
    }

    /// Each Secret with its credential.
    pub fn all(&self) -> Vec<(Key, Key)> {
        let all = self.lock();
        let pairs = all.iter();
        pairs
            .map(|(secret, found)| (secret.clone(), found.owner.clone()))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, FoundElsewhere>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
