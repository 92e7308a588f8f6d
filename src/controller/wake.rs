//! Wakes credentials: has the controller reconcile them now.

use std::sync::OnceLock;

use futures::channel::mpsc::{self, UnboundedReceiver, UnboundedSender};
use kube::runtime::reflector::ObjectRef;

use crate::cluster::{Key, Watched};

/// Wakes credentials, once the controller runs.
#[derive(Default)]
pub(super) struct Wake {
    queue: OnceLock<UnboundedSender<ObjectRef<Watched>>>,
}

impl Wake {
    /// Where the controller hears whom to reconcile.
    pub(super) fn woken(&self) -> UnboundedReceiver<ObjectRef<Watched>> {
        let (queue, woken) = mpsc::unbounded();
        // A second call would be a second controller, which nothing starts.
        let _ = self.queue.set(queue);
        woken
    }

    /// Has a credential reconciled.
    pub(super) fn wake(&self, key: &Key) {
        if let Some(queue) = self.queue.get() {
            // The receiver goes at shutdown only.
            let _ = queue.unbounded_send(ObjectRef::new(&key.name).within(&key.namespace));
        }
    }
}
