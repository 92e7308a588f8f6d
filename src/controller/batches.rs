//! How far this process is with the restarts for a change of each credential. Nothing of it is recorded: the
//! next process begins again, which restarts nothing twice.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cluster::Key;
use crate::core::facts::{Batches, Facts};

/// What is remembered of each credential, with its uid.
#[derive(Debug, Default)]
pub(super) struct Restarts(Mutex<HashMap<Key, (String, Batches)>>);

impl Restarts {
    /// Keeps how far the restarts are.
    pub(super) fn remember(&self, key: &Key, facts: &Facts) {
        match facts.batches_to_remember() {
            Some(batches) => {
                let uid = facts.object.uid.clone();
                self.lock().insert(key.clone(), (uid, batches));
            }
            None => self.forget(key),
        }
    }

    /// Adds how far the restarts are to what is known of a credential.
    pub(super) fn recall(&self, key: &Key, facts: &mut Facts) {
        let remembered = self.lock().get(key).cloned();
        let own = remembered.filter(|(uid, _)| *uid == facts.object.uid);
        facts.recall_batches(own.map(|(_, batches)| batches));
    }

    /// Forgets a credential that is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, (String, Batches)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
