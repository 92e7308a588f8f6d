//! Records refused passwords in the operator's own namespace, so that the next process does not send them
//! again in another namespace.

use std::sync::Arc;
use std::time::Duration;

use crate::cluster::ClusterError;
use crate::controller::Operator;

/// What is refused within this time is recorded by one write; one that failed is repeated after it.
const TOGETHER: Duration = Duration::from_secs(10);

/// How often the last write is tried after a loss, and the wait in between.
const LAST_TRIES: u32 = 3;
const LAST_RETRY: Duration = Duration::from_secs(1);

impl Operator {
    /// Reads which passwords the operators of other shards saw refused, before this one sends a password. Two that
    /// send the same one at the same moment do not hear of each other: each sends it once.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub(super) async fn hear_of_other_shards(&self) -> Result<(), ClusterError> {
        if !self.membership.is_partial() {
            return Ok(());
        }
        // Held during the request: what this process records meanwhile is not taken for news.
        let mut known = self.refusals.lock().await;
        let recorded = self.cluster.refused_passwords(&self.config.namespace);
        let recorded = recorded.await?;
        self.passwords.hear(&known, &recorded);
        *known = recorded;
        Ok(())
    }

    pub(super) async fn record_refusals_as_they_come(self: Arc<Self>) {
        let all = async {
            self.serving().await;
            loop {
                self.passwords.changed().await;
                // The operators of other shards read it before they send the same.
                if !self.membership.is_partial() {
                    tokio::time::sleep(TOGETHER).await;
                }
                while !self.record_refusals().await {
                    tokio::time::sleep(TOGETHER).await;
                }
            }
        };
        self.stopping.run_until_cancelled(all).await;
        // After a loss the next leader reads them soon.
        if self.serving.is_cancelled() {
            self.record_refusals().await;
        }
    }

    /// Records what changed, when all reconciles have ended. After the signal to stop there is time for one
    /// try; after a loss nobody waits for the process.
    pub(super) async fn record_last_refusals(&self) {
        let mut tries = 1;
        while !self.record_refusals().await && tries < LAST_TRIES && !self.config.leadership.leads()
        {
            tries += 1;
            tokio::time::sleep(LAST_RETRY).await;
        }
    }

    /// Records what changed. `false`: the API server did not take it. A process that has lost the leadership
    /// adds what was refused, and leaves it to the next leader to remove what counts no more.
    async fn record_refusals(&self) -> bool {
        let mut recorded = self.refusals.lock().await;
        let (alone, now) = (!self.membership.is_partial(), self.clock.now());
        let mut changes = self.passwords.changes(&recorded, alone, now);
        let leads = self.config.leadership.leads();
        let cluster = if leads {
            self.cluster.clone()
        } else {
            changes.retain(|_, refused| refused.is_some());
            self.cluster.for_results()
        };
        if changes.is_empty() {
            return true;
        }
        let namespace = &self.config.namespace;
        let written = cluster.record_refused_passwords(namespace, &changes);
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
