//! The end of the process: what was received is stored first.

use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use crate::controller::Operator;

/// How long the end of the process waits for what was received and is not stored. The Deployment
/// grants 120 seconds.
const LONGEST_END: TimeDelta = TimeDelta::seconds(110);

impl Operator {
    /// Runs the reconciles to their end. After the signal to stop, what was received is stored
    /// before the process ends, if that can be done in the time that it has. After the loss of the leadership
    /// nobody waits for the process to end: what was received is kept until it is stored, or until that
    /// signal.
    pub(super) async fn until_all_is_stored(
        &self,
        passes: impl Future<Output = ()>,
        shutdown: &CancellationToken,
    ) {
        let stored = async {
            passes.await;
            self.renewals.tasks.close();
            self.renewals.tasks.wait().await;
        };
        let longest = self.config.time_scale.of(LONGEST_END).to_std();
        let longest = longest.unwrap_or_default();
        let end = async {
            self.stopping.cancelled().await;
            tokio::time::sleep(longest).await;
            if !shutdown.is_cancelled() {
                self.until_renewals_are_stored(longest, shutdown).await;
            }
        };
        tokio::select! {
            () = stored => {}
            () = end => {
                let attempts = self.renewals.unfinished().join(" ");
                if attempts.is_empty() {
                    tracing::warn!("the process ends before all reconciles have ended");
                } else {
                    tracing::error!(
                        attempts,
                        "RENEWAL NOT STORED: the process ends before the API server accepted it"
                    );
                }
            }
        }
    }

    /// Waits for the renewals, without a limit until the signal to stop.
    async fn until_renewals_are_stored(&self, longest: Duration, shutdown: &CancellationToken) {
        self.renewals.tasks.close();
        let signal = async {
            shutdown.cancelled().await;
            tokio::time::sleep(longest).await;
        };
        tokio::select! {
            () = self.renewals.tasks.wait() => {}
            () = signal => {}
        }
    }

    /// The attempts whose outcome is not stored: none, unless the process had to end before.
    pub fn unfinished_renewals(&self) -> Vec<String> {
        self.renewals.unfinished()
    }
}
