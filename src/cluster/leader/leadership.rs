//! Whether this process may act, for everybody who has to know.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// What an election has made of this process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It watches, and does nothing else.
    Standby,
    /// It acts until then, unless it is told a later time before.
    Leads {
        /// By the monotonic clock of this process.
        until: Instant,
    },
    /// It does not act any more, and never will again.
    Over,
}

/// Whether this process may write and call. Without an election it always may.
#[derive(Clone, Debug, Default)]
pub struct Leadership(Option<watch::Receiver<Standing>>);

impl Leadership {
    /// The leadership that an election decides on, and what the election tells it with.
    pub fn elected() -> (watch::Sender<Standing>, Self) {
        let (sender, receiver) = watch::channel(Standing::Standby);
        (sender, Self(Some(receiver)))
    }

    /// Whether there is an election.
    pub fn is_elected(&self) -> bool {
        self.0.is_some()
    }

    /// What this process is now. A deadline that has passed is the end, whether or not the election has
    /// noticed: a process that stood still must not act on what it was before.
    pub fn standing(&self) -> Option<Standing> {
        let receiver = self.0.as_ref()?;
        // An election that has died renews nothing.
        let election_lives = receiver.has_changed().is_ok();
        Some(match *receiver.borrow() {
            _ if !election_lives => Standing::Over,
            Standing::Leads { until } if Instant::now() >= until => Standing::Over,
            standing => standing,
        })
    }

    /// Whether this process may act now.
    pub fn leads(&self) -> bool {
        matches!(self.standing(), None | Some(Standing::Leads { .. }))
    }

    /// Waits until this process may act, or never will: [`Leadership::leads`] tells.
    pub async fn decided(&self) {
        let Some(mut receiver) = self.0.clone() else {
            return;
        };
        // An election that is gone has ended.
        let _ = receiver
            .wait_for(|standing| *standing != Standing::Standby)
            .await;
    }

    /// Waits until this process does not act any more and never will again.
    pub async fn over(&self) {
        let Some(mut receiver) = self.0.clone() else {
            return std::future::pending().await;
        };
        loop {
            let standing = *receiver.borrow_and_update();
            let deadline = async {
                match standing {
                    Standing::Leads { until } => tokio::time::sleep_until(until).await,
                    Standing::Standby => std::future::pending().await,
                    Standing::Over => {}
                }
            };
            tokio::select! {
                () = deadline => return,
                changed = receiver.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Does something for as long as this process may act: `None` when it may not any more. That is looked at
    /// every time before the work goes on, because a process that stood still may find a reason to go on with
    /// the work before its timers tell it that its time is over.
    pub async fn while_it_lasts<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let work = poll_fn(|context| {
            if self.leads() {
                work.as_mut().poll(context).map(Some)
            } else {
                Poll::Ready(None)
            }
        });
        tokio::select! {
            biased;
            () = self.over() => None,
            done = work => done,
        }
    }

    /// Waits for a while, and less if the standing changes.
    pub async fn wait(&self, longest: Duration) {
        let Some(mut receiver) = self.0.clone() else {
            return tokio::time::sleep(longest).await;
        };
        receiver.mark_unchanged();
        let _ = tokio::time::timeout(longest, receiver.changed()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a future is ready at once.
    async fn is_ready(future: impl Future<Output = ()>) -> bool {
        tokio::select! {
            biased;
            () = future => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_election_a_process_always_acts() {
        let leadership = Leadership::default();
        assert!(leadership.leads() && !leadership.is_elected());
        assert!(is_ready(leadership.decided()).await && !is_ready(leadership.over()).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_acts_until_its_deadline_whether_or_not_anybody_notices() {
        let (election, leadership) = Leadership::elected();
        assert!(!leadership.leads() && !is_ready(leadership.decided()).await);
        let until = Instant::now() + Duration::from_secs(10);
        election.send_replace(Standing::Leads { until });
        assert!(leadership.leads() && is_ready(leadership.decided()).await);
        tokio::time::advance(Duration::from_millis(9_999)).await;
        assert!(leadership.leads() && !is_ready(leadership.over()).await);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(leadership.standing(), Some(Standing::Over));
        assert!(!leadership.leads());
        leadership.over().await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_leader_is_put_off_by_what_it_is_told() {
        let (election, leadership) = Leadership::elected();
        let start = Instant::now();
        let until = |seconds| Standing::Leads {
            until: start + Duration::from_secs(seconds),
        };
        election.send_replace(until(10));
        let over = tokio::spawn(async move { leadership.over().await });
        tokio::time::sleep(Duration::from_secs(9)).await;
        election.send_replace(until(20));
        over.await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 20);
    }

    /// A former leader that goes on after it stood still has both before it: more of its work, and the end.
    #[tokio::test(start_paused = true)]
    async fn who_goes_on_after_the_deadline_does_no_more_of_the_work() {
        for late in [9, 11] {
            let (election, leadership) = Leadership::elected();
            let until = Instant::now() + Duration::from_secs(10);
            election.send_replace(Standing::Leads { until });
            let (answer, answered) = tokio::sync::oneshot::channel::<()>();
            let sent_again = std::cell::Cell::new(false);
            let work = async {
                let _ = answered.await;
                sent_again.set(true);
            };
            let mut work = pin!(leadership.while_it_lasts(work));
            assert!(futures::poll!(&mut work).is_pending());
            tokio::time::advance(Duration::from_secs(late)).await;
            answer.send(()).unwrap();
            let done = work.await;
            let leads = late < 10;
            assert_eq!((done.is_some(), sent_again.get()), (leads, leads), "{late}");
        }
        assert_eq!(
            Leadership::default().while_it_lasts(async { 1 }).await,
            Some(1)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_election_that_is_gone_has_ended() {
        let (election, leadership) = Leadership::elected();
        let until = Instant::now() + Duration::from_secs(10);
        election.send_replace(Standing::Leads { until });
        assert!(leadership.leads());
        drop(election);
        leadership.decided().await;
        leadership.over().await;
        assert!(!leadership.leads());
    }
}
