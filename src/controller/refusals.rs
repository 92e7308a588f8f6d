//! Records refused passwords in the operator's own namespace, so that the next process does not send them
//! again in another namespace.

use std::sync::Arc;
use std::time::Duration;

use crate::controller::Operator;

/// What is refused within this time is recorded by one write; one that failed is repeated after it.
const TOGETHER: Duration = Duration::from_secs(10);

impl Operator {
    pub(super) async fn record_refusals_as_they_come(self: Arc<Self>) {
        let all = async {
            self.serving().await;
            loop {
                self.passwords.changed().await;
                tokio::time::sleep(TOGETHER).await;
                while !self.record_refusals().await {
                    tokio::time::sleep(TOGETHER).await;
                }
            }
        };
        self.stopping.run_until_cancelled(all).await;
    }

    /// Records what changed. `false`: the API server did not take it.
    pub(super) async fn record_refusals(&self) -> bool {
        let mut recorded = self.refusals.lock().await;
        let changes = self.passwords.changes(&recorded, self.clock.now());
        if changes.is_empty() {
            return true;
        }
        let namespace = &self.config.namespace;
        let written = self.cluster.record_refused_passwords(namespace, &changes);
        if let Err(error) = written.await {
            tracing::warn!(
                %error,
                "could not record refused passwords: after a restart, one may be sent once more in another namespace"
            );
            return false;
        }
        for (print, refused) in changes {
            match refused {
                Some(refused) => recorded.insert(print, refused),
                None => recorded.remove(&print),
            };
        }
        true
    }
}
