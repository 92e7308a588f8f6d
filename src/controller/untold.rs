//! Events that were not published yet.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::events::v1::Event;

/// Of one credential the last ones are kept.
const MOST_EVENTS: usize = 8;

/// What is kept of more credentials than this is forgotten: conditions say the same.
const MOST_CREDENTIALS: usize = 10_000;

/// Events that were not published yet, by the uid of the credential.
#[derive(Default)]
pub(super) struct Untold {
    events: Mutex<HashMap<String, Vec<Event>>>,
}

impl Untold {
    /// Adds events behind those that wait.
    pub(super) fn add(&self, uid: &str, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let mut all = self.lock();
        if all.len() >= MOST_CREDENTIALS && !all.contains_key(uid) {
            // Any: none is worth more than another.
            let other = all.keys().next().cloned();
            other.and_then(|other| all.remove(&other));
        }
        let waiting = all.entry(uid.to_owned()).or_default();
        for event in events {
            let name = &event.metadata.name;
            if !waiting.iter().any(|other| other.metadata.name == *name) {
                waiting.push(event);
            }
        }
        let surplus = waiting.len().saturating_sub(MOST_EVENTS);
        waiting.drain(..surplus);
    }

    /// Takes out all that wait.
    pub(super) fn take(&self, uid: &str) -> Vec<Event> {
        self.lock().remove(uid).unwrap_or_default()
    }

    /// Whether none waits.
    pub(super) fn is_empty(&self, uid: &str) -> bool {
        !self.lock().contains_key(uid)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Event>>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
