//! The end of the process: what was received is stored first.

use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::controller::Operator;

/// How long after the signal to stop the process waits for what was received and is not stored. The
/// Deployment grants 120 seconds.
const LONGEST_END: TimeDelta = TimeDelta::seconds(110);

/// How long after the loss of the leadership the process waits for reconciles. It is enough for every try to
/// record Jira's answer about a password; for the result of a renewal there is no limit.
const LONGEST_PASS: TimeDelta = TimeDelta::minutes(5);

/// What ends the process, and how long it waits then.
struct End<'a> {
    /// The signal to stop, or the loss of the leadership.
    stopping: &'a CancellationToken,
    /// The signal to stop.
    shutdown: &'a CancellationToken,
    /// From `stopping` on, for the reconciles.
    passes: Duration,
    /// From `shutdown` on, for everything.
    all: Duration,
}

impl Operator {
    /// Runs the reconciles to their end. After the signal to stop, what was received is stored
    /// before the process ends, if that can be done in the time that it has. After the loss of the leadership
    /// nobody waits for the process to end: what was received is kept until it is stored, or until that time
    /// after that signal.
    pub(super) async fn until_all_is_stored(
        &self,
        passes: impl Future<Output = ()>,
        shutdown: &CancellationToken,
    ) {
        let scaled = |time| {
            let time = self.config.time_scale.of(time).to_std();
            time.unwrap_or_default()
        };
        let end = End {
            stopping: &self.stopping,
            shutdown,
            passes: scaled(LONGEST_PASS),
            all: scaled(LONGEST_END),
        };
        if end.is_regular(passes, &self.renewals.tasks).await {
            return;
        }
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

    /// The attempts whose outcome is not stored: none, unless the process had to end before.
    pub fn unfinished_renewals(&self) -> Vec<String> {
        self.renewals.unfinished()
    }
}

impl End<'_> {
    /// Waits until the process may end. `false`: something has not ended.
    async fn is_regular(&self, passes: impl Future<Output = ()>, renewals: &TaskTracker) -> bool {
        let stored = async {
            passes.await;
            renewals.close();
            renewals.wait().await;
        };
        let renewals_are_stored = async {
            self.stopping.cancelled().await;
            tokio::time::sleep(self.passes).await;
            renewals.close();
            renewals.wait().await;
        };
        // The signal may come at any time after the loss, and counts from when it comes.
        let time_is_up = async {
            self.stopping.cancelled().await;
            self.shutdown.cancelled().await;
            tokio::time::sleep(self.all).await;
        };
        tokio::select! {
            // What ends at the same moment as the time has ended in time.
            biased;
            () = stored => true,
            () = renewals_are_stored => false,
            () = time_is_up => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::{Instant, sleep};

    use super::*;

    /// What happens, in seconds from the start; `None`: never.
    #[derive(Clone, Copy, Default)]
    struct Case {
        lost: Option<u64>,
        signal: Option<u64>,
        passes: Option<u64>,
        renewal: Option<u64>,
    }

    async fn at(seconds: Option<u64>) {
        match seconds {
            Some(seconds) => sleep(Duration::from_secs(seconds)).await,
            None => pending().await,
        }
    }

    /// When the process ends, and whether everything has ended.
    async fn end(case: Case) -> (u64, bool) {
        let (stopping, shutdown) = (CancellationToken::new(), CancellationToken::new());
        let (renewals, start) = (TaskTracker::new(), Instant::now());
        renewals.spawn(at(case.renewal));
        let end = End {
            stopping: &stopping,
            shutdown: &shutdown,
            passes: Duration::from_secs(300),
            all: Duration::from_secs(110),
        };
        let events = async {
            let lost = async {
                at(case.lost).await;
                stopping.cancel();
            };
            let signal = async {
                at(case.signal).await;
                shutdown.cancel();
                stopping.cancel();
            };
            tokio::join!(lost, signal);
            pending::<()>().await;
        };
        // A reconcile waits for its renewal.
        let passes = async {
            at(case.passes).await;
            at(case.renewal).await;
        };
        let regular = tokio::select! {
            regular = end.is_regular(passes, &renewals) => regular,
            () = events => false,
        };
        (start.elapsed().as_secs(), regular)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_has_the_whole_time_after_the_signal_whenever_it_comes() {
        for lost in [None, Some(0)] {
            for signal in [1, 50, 109, 110, 500] {
                let case = Case {
                    lost,
                    signal: Some(signal),
                    passes: Some(0),
                    renewal: None,
                };
                let expected = (signal + 110, false);
                assert_eq!(end(case).await, expected, "{lost:?} {signal}");
                let case = Case {
                    renewal: Some(signal + 100),
                    ..case
                };
                let expected = (signal + 100, true);
                assert_eq!(end(case).await, expected, "{lost:?} {signal}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_loss_a_result_is_kept_without_limit_and_a_reconcile_is_not() {
        let lost = Case {
            lost: Some(0),
            ..Case::default()
        };
        let kept = Case {
            passes: Some(0),
            renewal: Some(5000),
            ..lost
        };
        assert_eq!(end(kept).await.0, 5000);
        let hangs = Case {
            passes: None,
            renewal: Some(1),
            ..lost
        };
        assert_eq!(end(hangs).await, (300, false));
        let both = Case {
            passes: None,
            renewal: Some(400),
            ..lost
        };
        assert_eq!(end(both).await, (400, false));
        let at_rest = Case {
            passes: Some(3),
            renewal: Some(0),
            ..lost
        };
        assert_eq!(end(at_rest).await, (3, true));
    }
}
