//! The versions that our own writes of the status produced, until the watch has shown them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::ResourceExt;

use crate::api::JiraCredential;
use crate::cluster::{Key, key_of};

/// The last version of each credential that this process wrote.
#[derive(Default)]
pub(super) struct StatusVersions(Mutex<HashMap<Key, u64>>);

impl StatusVersions {
    /// Records what a write of ours made of an object: the watch lags behind.
    pub(super) fn remember(&self, object: &JiraCredential) {
        if let Some(version) = version_of(object) {
            self.lock().insert(key_of(object), version);
        }
    }

    /// Whether the watch shows an object as it was before our own last write.
    pub(super) fn is_outdated(&self, object: &JiraCredential) -> bool {
        let key = key_of(object);
        let mut written = self.lock();
        match (written.get(&key), version_of(object)) {
            (Some(ours), Some(shown)) if shown < *ours => true,
            (Some(_), _) => {
                written.remove(&key);
                false
            }
            (None, _) => false,
        }
    }

    /// Forgets a credential that is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The version of an object as a number; Kubernetes promises since 1.35 that versions of one
/// resource compare as such.
fn version_of(object: &JiraCredential) -> Option<u64> {
    object.resource_version()?.parse().ok()
}
