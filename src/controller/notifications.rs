//! Has people told what needs them: what the watch shows goes to the notifier.

use std::sync::Arc;
use std::time::Duration;

use crate::api::JiraCredential;
use crate::cluster::{Key, key_of};
use crate::controller::Operator;
use crate::controller::shard::Served;

/// How long the end of the process waits for notifications that are under way: the lease is given back after
/// that.
const LAST: Duration = Duration::from_secs(1);

impl Operator {
    /// Compares a credential, as the watch shows it or a write has returned it, with what was told of it. The
    /// watch shows nothing any more while the process ends.
    pub(super) fn notify_of(&self, object: &JiraCredential) {
        if let Some(notifier) = &self.notifier {
            notifier.see(object);
        }
    }

    /// A credential is gone.
    pub(super) fn notify_no_more_of(&self, key: &Key) {
        if let Some(notifier) = &self.notifier {
            notifier.forget(&key.namespace, &key.name);
        }
    }

    /// A credential is served by another shard, which tells about it from now on.
    pub(super) fn leave_notifications_of(&self, key: &Key) {
        if let Some(notifier) = &self.notifier {
            notifier.leave(&key.namespace, &key.name);
        }
    }

    /// Reminds of what lasts, as long as this process acts.
    pub(super) async fn notify_in_rounds(self: Arc<Self>) {
        let Some(notifier) = &self.notifier else {
            return;
        };
        let rounds = async {
            self.serving().await;
            notifier.begin();
            loop {
                tokio::time::sleep(notifier.round_every()).await;
                if let Some(store) = self.store.get() {
                    let all = store.state();
                    let readable = all.iter().filter_map(|object| object.0.as_ref().ok());
                    let now = self.clock.elapsed();
                    notifier.round(readable.filter(|object| {
                        let served = self.membership.served(&key_of(*object), now);
                        served != Served::Elsewhere
                    }));
                }
            }
        };
        self.stopping.run_until_cancelled(rounds).await;
    }

    /// Gives notifications that are under way a last chance.
    pub(super) async fn finish_notifications(&self) {
        if let Some(notifier) = &self.notifier {
            notifier.finish(LAST).await;
        }
    }
}
