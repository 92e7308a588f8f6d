//! The delivery of what one sink is to be told. A sink that hangs holds up itself alone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::core::time::backoff;
use crate::notify::address::Address;
use crate::notify::attempt::{Attempt, post};
use crate::notify::delivery::Delivery;
use crate::notify::message::Message;
use crate::notify::sink::{Destination, Sink};
use crate::notify::tickets::Tickets;
use crate::notify::waiting::Pending;

/// After one message to people the next comes after this time, with everything that has come up.
const PAUSE: Duration = Duration::from_secs(30);

/// After one issue or comment the next comes after this time, whatever happens: each is mail to people.
const PAUSE_OF_ISSUES: Duration = Duration::from_secs(5);

/// A cause is sent again after this time at the earliest, so that one that comes and goes causes no storm.
const AGAIN: Duration = Duration::from_secs(10 * 60);

/// Alerts in one request.
const BATCH: usize = 100;

/// What keeps a state is tried again after this time at the latest: its alerts end without.
const LONGEST_WAIT_FOR_ALERTS: Duration = Duration::from_secs(60);

/// What could not be delivered for so long is given up: its reminder says the same.
const GIVE_UP: Duration = Duration::from_secs(24 * 3600);

/// No wait that a sink asks for is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// A sink and what it is still to be told.
pub(super) struct Sender {
    pub(super) sink: Arc<Sink>,
    shared: Arc<Shared>,
    task: AbortHandle,
}

/// What a sender and its task share.
struct Shared {
    state: Mutex<State>,
    /// Something was put in.
    changed: Notify,
    start: Instant,
}

struct State {
    pending: Pending,
    is_under_way: bool,
    /// Attempts that have failed since the last that did not.
    failures: i32,
    /// The process ends: no pauses any more.
    is_last: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

impl Sender {
    /// Starts the deliveries of a sink.
    pub(super) fn start(sink: Sink, delivery: Delivery) -> Self {
        let sink = Arc::new(sink);
        let again = (!sink.keeps_state()).then(|| AGAIN / delivery.pace.max(1));
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                pending: Pending::new(again),
                is_under_way: false,
                failures: 0,
                is_last: false,
            }),
            changed: Notify::new(),
            start: Instant::now(),
        });
        let route = match &sink.destination {
            Destination::Address(address) => Route::Post(address.clone()),
            Destination::Project(tracker) => {
                Route::File(Box::new(Tickets::new(&sink.name, tracker.clone())))
            }
        };
        let worker = Worker {
            sink: Arc::clone(&sink),
            route,
            delivery,
            shared: Arc::clone(&shared),
        };
        let task = tokio::spawn(worker.work()).abort_handle();
        Self { sink, shared, task }
    }

    /// Has a message sent, and does not wait.
    pub(super) fn send(&self, message: Message) {
        let now = self.shared.now();
        self.shared.state().pending.put(message, now);
        self.shared.changed.notify_one();
    }

    /// From now on nothing pauses between messages: the process ends.
    pub(super) fn hurry(&self) {
        self.shared.state().is_last = true;
        self.shared.changed.notify_one();
    }

    /// Whether nothing is left that waiting for could help: a sink whose last attempt failed is not waited for.
    pub(super) fn is_settled(&self) -> bool {
        let now = self.shared.now();
        let state = self.shared.state();
        let is_ready = state
            .pending
            .ready_in(now)
            .is_some_and(|wait| wait.is_zero());
        state.failures > 0 || (!state.is_under_way && !is_ready)
    }
}

#[cfg(test)]
impl Sender {
    /// Takes what waits.
    pub(super) fn waiting(&self) -> Vec<Message> {
        let now = self.shared.now();
        let taken = self.shared.state().pending.take(usize::MAX, now);
        taken.into_iter().map(|one| one.message).collect()
    }

    /// Attempts that have failed in a row.
    pub(super) fn failures(&self) -> i32 {
        self.shared.state().failures
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How messages reach a sink.
enum Route {
    Post(Address),
    File(Box<Tickets>),
}

struct Worker {
    sink: Arc<Sink>,
    route: Route,
    delivery: Delivery,
    shared: Arc<Shared>,
}

impl Worker {
    async fn work(self) {
        let mut rest = Duration::ZERO;
        loop {
            self.until_ready(rest).await;
            rest = self.send_next().await;
        }
    }

    /// Waits as long as the last attempt demands, and then until something is to be told.
    async fn until_ready(&self, rest: Duration) {
        let rested = self.shared.now() + rest;
        loop {
            let now = self.shared.now();
            let (ready, hurries) = {
                let state = self.shared.state();
                let may_hurry = !matches!(self.route, Route::File(_));
                let hurries = may_hurry && state.is_last && state.failures == 0;
                (state.pending.ready_in(now), hurries)
            };
            let rest = rested.saturating_sub(now);
            let rest = if hurries { Duration::ZERO } else { rest };
            match ready.map(|ready| ready.max(rest)) {
                Some(Duration::ZERO) => return,
                Some(wait) => {
                    let _ = tokio::time::timeout(wait, self.shared.changed.notified()).await;
                }
                None => self.shared.changed.notified().await,
            }
        }
    }

    /// One request with what is to be told now. Returns how long the next waits.
    async fn send_next(&self) -> Duration {
        let sink = &self.sink.name;
        if !(self.delivery.permit)() {
            let left = self.shared.state().pending.clear();
            self.note("dropped");
            tracing::warn!(
                sink,
                left,
                "dropped notifications: this process does not lead"
            );
            return Duration::ZERO;
        }
        let now = self.shared.now();
        let taken = {
            let mut state = self.shared.state();
            state.is_under_way = true;
            state
                .pending
                .take(self.sink.format.most_at_once(BATCH), now)
        };
        let messages: Vec<Message> = taken.iter().map(|one| one.message.clone()).collect();
        let attempt = self.attempt(&messages).await;
        let now = self.shared.now();
        let mut state = self.shared.state();
        state.is_under_way = false;
        let (cause, after, may_be_told) = match attempt {
            Attempt::Sent => {
                state.failures = 0;
                state.pending.sent(&taken, now);
                drop(state);
                self.note("sent");
                tracing::debug!(sink, "sent a notification");
                return self.pause();
            }
            Attempt::Refused(cause) => {
                state.failures = 0;
                drop(state);
                self.note("refused");
                let text = "a notification was not accepted and is dropped";
                tracing::warn!(sink, cause, "{text}");
                return self.pause();
            }
            Attempt::Failed {
                cause,
                after,
                may_be_told,
            } => (cause, after, may_be_told),
        };
        state.failures = state.failures.saturating_add(1);
        let failures = state.failures;
        let (old, young) = taken
            .into_iter()
            .partition::<Vec<_>, _>(|one| now.saturating_sub(one.since) > GIVE_UP);
        state.pending.put_back(young, may_be_told, now);
        drop(state);
        self.note("failed");
        if !old.is_empty() {
            self.note("given_up");
            let given_up = old.len();
            tracing::warn!(
                sink,
                cause,
                given_up,
                "notifications could not be sent for a day"
            );
        }
        let wait = self.wait(failures, after);
        let seconds = wait.as_secs();
        tracing::warn!(sink, cause, seconds, "a notification could not be sent yet");
        wait
    }

    fn pause(&self) -> Duration {
        let pause = match self.route {
            Route::File(_) => PAUSE_OF_ISSUES,
            Route::Post(_) if self.sink.format.is_for_people() => PAUSE,
            Route::Post(_) => Duration::ZERO,
        };
        pause / self.delivery.pace.max(1)
    }

    fn note(&self, outcome: &'static str) {
        let name = &self.sink.name;
        self.delivery.observer.notification(name, outcome);
    }

    /// The wait after so many failures, at least as long as the sink asks for.
    fn wait(&self, failures: i32, after: Option<Duration>) -> Duration {
        let wait = backoff(failures, &self.sink.name);
        let wait = wait.to_std().unwrap_or_default();
        let wait = if self.sink.keeps_state() {
            wait.min(LONGEST_WAIT_FOR_ALERTS)
        } else {
            wait
        };
        let wait = wait / self.delivery.pace.max(1);
        wait.max(after.unwrap_or_default().min(LONGEST_WAIT))
    }

    async fn attempt(&self, messages: &[Message]) -> Attempt {
        match &self.route {
            Route::Post(address) => {
                post(address, &self.sink.format, &self.delivery, messages).await
            }
            Route::File(tickets) => tickets.deliver(messages, &self.delivery).await,
        }
    }
}
