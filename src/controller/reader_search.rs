//! Workloads that keep the credential before: looked for after a renewal or a rotation, when everything else is done.
//!
//! Nothing depends on it. What cannot be listed is not reported, and a reconcile does not wait for it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::api::{JiraCredential, Reason, Target, Workload};
use crate::clock::Clock;
use crate::cluster::{ChangedKeys, Cluster, event, key_of};
use crate::core::conclude::Notice;
use crate::core::messages::readers::not_restarted;

/// A namespace whose workloads may not be listed is not asked again for this time.
const DENIED_FOR: Duration = Duration::from_secs(3600);

/// Searches at a time: lists of pod templates are long.
const MOST_SEARCHES: usize = 2;

/// Searches that wait; what comes when there are as many is not looked at.
const MOST_WAITING: usize = 256;

/// The searches for workloads, and where they are denied.
#[derive(Clone)]
pub(super) struct Readers {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    denied: Arc<Mutex<HashMap<String, Duration>>>,
}

impl Default for Readers {
    fn default() -> Self {
        Self {
            running: Arc::new(Semaphore::new(MOST_SEARCHES)),
            waiting: Arc::new(Semaphore::new(MOST_WAITING)),
            denied: Arc::default(),
        }
    }
}

impl Readers {
    /// Whether a namespace is not to be asked now.
    fn is_denied(&self, namespace: &str, now: Duration) -> bool {
        let mut denied = self.lock();
        denied.retain(|_, until| *until > now);
        denied.contains_key(namespace)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Duration>> {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One search in one namespace.
pub(super) struct Search {
    /// The API server.
    pub(super) cluster: Cluster,
    /// The time.
    pub(super) clock: Clock,
    /// The searches that there are.
    pub(super) readers: Readers,
    /// The credential after its status was written.
    pub(super) object: JiraCredential,
    /// The namespace.
    pub(super) namespace: String,
    /// The targets in it that hold another credential now, and the keys that hold it.
    pub(super) targets: Vec<(Target, BTreeSet<String>)>,
}

impl Search {
    /// Looks, and tells what it finds.
    pub(super) async fn run(self) {
        let Ok(_waits) = self.readers.waiting.try_acquire() else {
            tracing::debug!("too many searches for readers of published Secrets wait");
            return;
        };
        let Ok(_runs) = self.readers.running.acquire().await else {
            return;
        };
        let namespace = &*self.namespace;
        if self.readers.is_denied(namespace, self.clock.elapsed()) {
            return;
        }
        let changed = self.targets.iter().map(|(target, keys)| ChangedKeys {
            secret: &target.name,
            keys,
        });
        let changed: Vec<ChangedKeys<'_>> = changed.collect();
        match self.cluster.stale_readers(namespace, &changed).await {
            Ok(found) => {
                for ((target, _), workloads) in self.targets.iter().zip(found) {
                    self.tell(target, workloads).await;
                }
            }
            Err(error) => {
                tracing::debug!(namespace, %error, "the workloads that read a published Secret are not known");
                if error.is_refusal() {
                    let until = self.clock.elapsed() + DENIED_FOR;
                    self.readers.lock().insert(namespace.to_owned(), until);
                }
            }
        }
    }

    /// Tells which of the workloads that read a target nothing restarts.
    async fn tell(&self, target: &Target, mut workloads: Vec<Workload>) {
        let me = key_of(&self.object);
        let own = &*me.namespace;
        let listed = &self.object.spec.restart;
        let is_restarted = |workload: &Workload| self.namespace == own && listed.contains(workload);
        workloads.retain(|workload| !is_restarted(workload));
        if workloads.is_empty() {
            return;
        }
        let notice = Notice {
            warning: true,
            reason: Reason::ReadersNotRestarted,
            note: not_restarted(target, &workloads),
        };
        let (name, note) = (&*me.name, &notice.note);
        tracing::warn!(
            namespace = own,
            name,
            note,
            "workloads keep the credential before"
        );
        let event = event(&self.object, &notice, self.clock.now());
        if let Err(error) = self.cluster.tell(&event).await {
            tracing::warn!(namespace = own, name, %error, "an event could not be published");
        }
    }
}
