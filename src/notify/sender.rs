//! The delivery of what one sink is to be told. A sink that hangs holds up itself alone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderMap, header};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::core::time::backoff;
use crate::net::{CallError, Client, read_body};
use crate::notify::format::body;
use crate::notify::message::Message;
use crate::notify::sink::{Format, Sink};
use crate::notify::waiting::Pending;

/// After one message to people the next comes after this time, with everything that has come up.
const PAUSE: Duration = Duration::from_secs(30);

/// A cause is sent again after this time at the earliest, so that one that comes and goes causes no storm.
const AGAIN: Duration = Duration::from_secs(10 * 60);

/// Alerts in one request.
const BATCH: usize = 100;

/// What keeps a state is tried again after this time at the latest: its alerts end without.
const LONGEST_WAIT_FOR_ALERTS: Duration = Duration::from_secs(60);

/// One request, from the name of the host to the last byte of the answer.
const LIMIT: Duration = Duration::from_secs(10);

/// What could not be delivered for so long is given up: its reminder says the same.
const GIVE_UP: Duration = Duration::from_secs(24 * 3600);

/// No wait that a sink asks for is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// Counts what becomes of notifications.
pub trait Observer: Send + Sync {
    /// One notification was delivered or dropped, or one attempt failed. Both words come from a small set.
    fn notification(&self, sink: &str, outcome: &'static str);
}

/// Tells whether this process may send now.
pub type Permit = Arc<dyn Fn() -> bool + Send + Sync>;

/// What deliveries share.
#[derive(Clone)]
pub(super) struct Delivery {
    pub(super) client: Client,
    pub(super) clock: Clock,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) permit: Permit,
    /// Divides the waits; 1 outside of tests.
    pub(super) pace: u32,
}

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

/// What became of one request.
#[derive(Debug)]
enum Attempt {
    Sent,
    Failed {
        cause: String,
        /// How long the sink asks to wait.
        after: Option<Duration>,
        /// Whether the sink may have taken it all the same.
        may_be_told: bool,
    },
    /// No other attempt would succeed.
    Refused(String),
}

impl Attempt {
    /// It never reached the sink, or the sink said no.
    fn failed(cause: String) -> Self {
        Self::Failed {
            cause,
            after: None,
            may_be_told: false,
        }
    }
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
        let worker = Worker {
            sink: Arc::clone(&sink),
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

struct Worker {
    sink: Arc<Sink>,
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
                let hurries = state.is_last && state.failures == 0;
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
        if self.sink.format.is_for_people() {
            PAUSE / self.delivery.pace.max(1)
        } else {
            Duration::ZERO
        }
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
        // A file may be a pipe, or on a file system that hangs.
        let alerts = self.sink.format == Format::Alertmanager;
        let url = match tokio::time::timeout(LIMIT, self.sink.address.url(alerts)).await {
            Ok(Ok(url)) => url,
            Ok(Err(what)) => return Attempt::failed(format!("urlFile {what}")),
            Err(_) => return Attempt::failed("urlFile cannot be read in time".to_owned()),
        };
        let now = self.delivery.clock.now();
        let body = match body(&self.sink.format, messages, now) {
            Ok(body) => body,
            Err(cause) => return Attempt::Refused(cause),
        };
        let call = self.delivery.client.post(url);
        let call = call.header(header::CONTENT_TYPE, "application/json");
        let mut answer = match call.body(body).timeout(LIMIT).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let may_be_told = matches!(error, CallError::Timeout | CallError::Lost);
                return Attempt::Failed {
                    cause: cause(error).to_owned(),
                    after: None,
                    may_be_told,
                };
            }
        };
        // What it says is not used, but a connection whose answer is read can be used again.
        let _ = read_body(&mut answer).await;
        answered(answer.status, &answer.headers, now)
    }
}

/// What a status makes of an attempt. One that speaks of the address is tried again: the file that holds the
/// address may be replaced.
fn answered(status: u16, headers: &HeaderMap, now: DateTime<Utc>) -> Attempt {
    let cause = format!("the sink answered with {status}");
    match status {
        200..=299 => Attempt::Sent,
        300..=399 => Attempt::Refused(format!("{cause}, a redirect, which is not followed")),
        401 | 403 | 404 | 408 | 410 | 429 | 500..=599 => Attempt::Failed {
            cause,
            after: retry_after(headers, now),
            may_be_told: false,
        },
        _ => Attempt::Refused(cause),
    }
}

/// How long an answer asks to wait: in seconds, or until a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date: DateTime<Utc> = httpdate::parse_http_date(text).ok()?.into();
    (date - now).to_std().ok()
}

/// Why there was no answer, without the address.
fn cause(error: CallError) -> &'static str {
    match error {
        CallError::NoConnection(error) => error.cause(),
        CallError::NotSendable => "the address cannot be called",
        CallError::Timeout => "no answer in time",
        CallError::ClientCertificate => "the sink wants a client certificate",
        CallError::Lost => "the connection broke",
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_wait_is_read_in_seconds_or_as_a_date() {
        let now = DateTime::from_timestamp(1_445_412_480, 0).unwrap();
        for (text, seconds) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("Wed, 21 Oct 2015 07:28:30 GMT", Some(30)),
            ("Wed, 21 Oct 2015 07:27:30 GMT", None),
            ("soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            let found = retry_after(&headers, now).map(|wait| wait.as_secs());
            assert_eq!(found, seconds, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn what_another_address_may_mend_is_tried_again() {
        let tried_again = |status| {
            let answer = answered(status, &HeaderMap::new(), DateTime::UNIX_EPOCH);
            matches!(answer, Attempt::Failed { .. })
        };
        for status in [401, 403, 404, 408, 410, 429, 500, 503] {
            assert!(tried_again(status), "{status}");
        }
        for status in [200, 202, 301, 308, 400, 413, 422] {
            assert!(!tried_again(status), "{status}");
        }
    }
}
