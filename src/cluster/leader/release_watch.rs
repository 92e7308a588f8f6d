//! A watch that tells a standby at once when the Lease is released. It only shortens a wait: what the standby
//! decides by, it reads itself. Without the right to watch, it finds the release at its next look.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, WatchEvent, WatchParams};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use crate::cluster::leader::lease::{Leases, record};
use crate::cluster::silence::WATCH_SECONDS;

/// A watch on one Lease, until this value is dropped.
pub(super) struct ReleaseWatch {
    released: Arc<Notify>,
    _task: AbortOnDropHandle<()>,
}

impl ReleaseWatch {
    /// Starts the watch. It also reports a Lease that is free already. A watch that fails or ends is started again
    /// after a pause.
    pub(super) fn start(leases: &Leases, pause: Duration) -> Self {
        let released = Arc::new(Notify::new());
        let name = leases.name().to_owned();
        let task = watch(leases.api(), name, pause, released.clone());
        Self {
            released,
            _task: AbortOnDropHandle::new(tokio::spawn(task)),
        }
    }

    /// Waits until the Lease was released, if it has not been since the last call.
    pub(super) async fn released(&self) {
        self.released.notified().await;
    }
}

async fn watch(api: Api<Lease>, name: String, pause: Duration, released: Arc<Notify>) {
    let only = format!("metadata.name={name}");
    let params = WatchParams::default().fields(&only).timeout(WATCH_SECONDS);
    loop {
        // From any version: the first event then shows the Lease as it is.
        if let Ok(events) = api.watch(&params, "0").await {
            let mut events = pin!(events);
            while let Some(Ok(event)) = events.next().await {
                if is_release(&event) {
                    tracing::debug!(lease = name, "the lease is free");
                    released.notify_one();
                }
            }
        }
        tokio::time::sleep(pause).await;
    }
}

fn is_release(event: &WatchEvent<Lease>) -> bool {
    match event {
        WatchEvent::Added(lease) | WatchEvent::Modified(lease) => record(lease).holder.is_empty(),
        // Its holder does not know yet that it is gone.
        WatchEvent::Deleted(_) | WatchEvent::Bookmark(_) | WatchEvent::Error(_) => false,
    }
}
