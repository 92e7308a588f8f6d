//! Objects that this version of the operator cannot read: a later version wrote them, or a rule of the
//! definition was missing. Nobody knows what they refer to.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cluster::Key;

/// The credentials that cannot be read.
#[derive(Default)]
pub(super) struct Unreadable(Mutex<HashSet<Key>>);

impl Unreadable {
    /// Records whether an object that the watch shows can be read.
    pub(super) fn note(&self, key: &Key, is_readable: bool) {
        if is_readable {
            self.forget(key);
        } else {
            self.lock().insert(key.clone());
        }
    }

    /// Forgets an object that is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// Forgets all that a list has not shown.
    pub(super) fn keep(&self, is_listed: impl Fn(&Key) -> bool) {
        self.lock().retain(|key| is_listed(key));
    }

    /// Whether a namespace holds one: then no grant in it may be deleted, and nothing revoked.
    pub(super) fn is_in(&self, namespace: &str) -> bool {
        let all = self.lock();
        all.iter().any(|key| &*key.namespace == namespace)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
