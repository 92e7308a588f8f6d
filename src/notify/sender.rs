//! The queue of one sink, and the delivery of what is in it. A sink that hangs holds up itself alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderMap, header};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::clock::Clock;
use crate::core::time::backoff;
use crate::net::{CallError, Client, read_body};
use crate::notify::format::body;
use crate::notify::message::Message;
use crate::notify::sink::{Format, Sink};

/// Notifications that wait for one sink. More are dropped: there is a cause common to all, and they are told
/// again by the reminders.
const QUEUE: usize = 512;

/// Notifications in one message to people, when a cause common to all has begun.
const GROUP: usize = 10;

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

/// A sink and its queue.
pub(super) struct Sender {
    pub(super) sink: Arc<Sink>,
    queue: mpsc::Sender<Queued>,
    waiting: Arc<AtomicUsize>,
    observer: Arc<dyn Observer>,
    task: AbortHandle,
}

/// Messages for one request.
struct Queued {
    messages: Vec<Message>,
    since: Duration,
}

/// What became of one request.
enum Attempt {
    Sent,
    /// Another attempt may succeed; the sink may say when.
    Failed(String, Option<Duration>),
    /// No other attempt would.
    Refused(String),
}

impl Sender {
    /// Starts the deliveries of a sink.
    pub(super) fn start(sink: Sink, delivery: Delivery) -> Self {
        let sink = Arc::new(sink);
        let (queue, queued) = mpsc::channel(QUEUE);
        let waiting = Arc::new(AtomicUsize::new(0));
        let observer = Arc::clone(&delivery.observer);
        let worker = Worker {
            sink: Arc::clone(&sink),
            delivery,
        };
        let task = tokio::spawn(worker.work(queued, Arc::clone(&waiting)));
        Self {
            sink,
            queue,
            waiting,
            observer,
            task: task.abort_handle(),
        }
    }

    /// Puts the messages of one request into the queue, and does not wait.
    pub(super) fn send(&self, messages: Vec<Message>, since: Duration) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send(Queued { messages, since }).is_err() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            let sink = &self.sink.name;
            self.observer.notification(sink, "dropped");
            tracing::warn!(sink, "dropped a notification: too many wait for this sink");
        }
    }

    /// Whether everything was delivered or given up.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0
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
}

impl Worker {
    async fn work(self, mut queue: mpsc::Receiver<Queued>, waiting: Arc<AtomicUsize>) {
        while let Some(mut queued) = queue.recv().await {
            let mut taken = 1;
            while self.sink.format.is_for_people() && queued.messages.len() < GROUP {
                let Ok(next) = queue.try_recv() else { break };
                queued.messages.extend(next.messages);
                taken += 1;
            }
            self.deliver(queued).await;
            waiting.fetch_sub(taken, Ordering::Relaxed);
        }
    }

    async fn deliver(&self, queued: Queued) {
        let sink = &self.sink.name;
        let mut failures = 0;
        loop {
            if !(self.delivery.permit)() {
                self.note("dropped");
                tracing::warn!(sink, "dropped a notification: this process does not lead");
                return;
            }
            let (cause, after) = match self.attempt(&queued.messages).await {
                Attempt::Sent => {
                    self.note("sent");
                    tracing::debug!(sink, "sent a notification");
                    return;
                }
                Attempt::Refused(cause) => {
                    self.note("refused");
                    tracing::warn!(
                        sink,
                        cause,
                        "a notification was not accepted and is dropped"
                    );
                    return;
                }
                Attempt::Failed(cause, after) => (cause, after),
            };
            self.note("failed");
            failures += 1;
            let age = self.delivery.clock.elapsed().saturating_sub(queued.since);
            // What keeps a state is told it again with the next round.
            if self.sink.keeps_state() || age > GIVE_UP {
                self.note("given_up");
                tracing::warn!(
                    sink,
                    cause,
                    "a notification could not be sent and is given up"
                );
                return;
            }
            let wait = self.wait(failures, after);
            let seconds = wait.as_secs();
            tracing::warn!(sink, cause, seconds, "a notification could not be sent yet");
            tokio::time::sleep(wait).await;
        }
    }

    fn note(&self, outcome: &'static str) {
        let name = &self.sink.name;
        self.delivery.observer.notification(name, outcome);
    }

    /// The wait after so many failures, at least as long as the sink asks for.
    fn wait(&self, failures: i32, after: Option<Duration>) -> Duration {
        let wait = backoff(failures, &self.sink.name);
        let wait = wait.to_std().unwrap_or_default() / self.delivery.pace.max(1);
        wait.max(after.unwrap_or_default().min(LONGEST_WAIT))
    }

    async fn attempt(&self, messages: &[Message]) -> Attempt {
        let alerts = self.sink.format == Format::Alertmanager;
        let url = match self.sink.address.url(alerts).await {
            Ok(url) => url,
            Err(what) => return Attempt::Failed(format!("urlFile {what}"), None),
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
            Err(error) => return Attempt::Failed(cause(error).to_owned(), None),
        };
        // What it says is not used, but a connection whose answer is read can be used again.
        let _ = read_body(&mut answer).await;
        let said = format!("the sink answered with {}", answer.status);
        match answer.status {
            200..=299 => Attempt::Sent,
            300..=399 => Attempt::Refused(format!("{said}, a redirect, which is not followed")),
            408 | 429 | 500..=599 => Attempt::Failed(said, retry_after(&answer.headers, now)),
            _ => Attempt::Refused(said),
        }
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
}
