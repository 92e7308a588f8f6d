//! Decides what is told, from what the status of each credential said before and says now.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use kube::ResourceExt;
use url::Url;

use crate::api::JiraCredential;
use crate::notify::config::NotifyConfig;
use crate::notify::message::{Message, Stage};
use crate::notify::problem::{Event, Problem, problems};
use crate::notify::sender::{Delivery, Sender};
use crate::notify::sink::Reminders;

/// How often reminders are looked for, and Alertmanager is told what lasts.
const ROUND: Duration = Duration::from_secs(60);

/// Alerts in one request.
const BATCH: usize = 100;

/// How often the end of the process looks whether everything is delivered.
const LOOK: Duration = Duration::from_millis(50);

/// Tells people what needs them, and that it does not any more.
pub struct Notifier {
    senders: Vec<Sender>,
    runbook: Option<Url>,
    delivery: Delivery,
    /// By namespace and name.
    known: Mutex<HashMap<(String, String), Known>>,
    /// When reminders were looked for last.
    last_round: Mutex<DateTime<Utc>>,
}

/// What a credential needed a person for when it was seen last.
struct Known {
    uid: String,
    problems: Vec<Problem>,
}

impl Notifier {
    /// Starts the deliveries to each sink.
    pub(super) fn start(config: NotifyConfig, delivery: Delivery) -> Self {
        let sinks = config.sinks.into_iter();
        let senders = sinks.map(|sink| Sender::start(sink, delivery.clone()));
        Self {
            senders: senders.collect(),
            runbook: config.runbook,
            last_round: Mutex::new(delivery.clock.now()),
            delivery,
            known: Mutex::default(),
        }
    }

    /// Compares a credential, as the cluster has it now, with what it was before. What it needs when it is
    /// seen for the first time was told by the process that wrote it. A process that may not send
    /// learns what there is, and leaves it to the leader.
    pub fn see(&self, object: &JiraCredential) {
        let key = (object.namespace().unwrap_or_default(), object.name_any());
        let uid = object.uid().unwrap_or_default();
        let now = problems(object);
        let seen = Known {
            uid: uid.clone(),
            // Nothing is told of a message alone.
            problems: now.iter().map(Problem::without_message).collect(),
        };
        let before = lock(&self.known).insert(key, seen);
        let Some(before) = before.filter(|before| before.uid == uid) else {
            return;
        };
        if !(self.delivery.permit)() {
            return;
        }
        for begun in missing(&now, &before.problems) {
            self.tell(object, begun, Stage::Firing);
        }
        let others_left = !now.is_empty();
        for over in missing(&before.problems, &now) {
            self.tell(object, over, Stage::Resolved { others_left });
        }
    }

    /// Forgets a credential that is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        lock(&self.known).remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// From now on this process sends: reminders that were due before are those of its predecessor.
    pub fn begin(&self) {
        *lock(&self.last_round) = self.delivery.clock.now();
    }

    /// How often [`Self::round`] is wanted.
    pub fn round_every(&self) -> Duration {
        ROUND / self.delivery.pace.max(1)
    }

    /// Reminds of what lasts, and tells Alertmanager of it, which forgets what it is not told again.
    pub fn round<'a>(&self, objects: impl Iterator<Item = &'a JiraCredential>) {
        let now = self.delivery.clock.now();
        let last = std::mem::replace(&mut *lock(&self.last_round), now);
        if !(self.delivery.permit)() {
            return;
        }
        let mut alerts: Vec<Vec<Message>> = self.senders.iter().map(|_| Vec::new()).collect();
        for object in objects {
            for problem in problems(object) {
                for (sender, alerts) in self.senders.iter().zip(&mut alerts) {
                    if !wants(sender, object, &problem, Stage::Reminder) {
                        continue;
                    }
                    let message = || self.message(object, &problem, Stage::Reminder);
                    if sender.sink.keeps_state() {
                        alerts.push(message());
                    } else if is_due(sender.sink.reminders, problem.since, last, now) {
                        self.enqueue(sender, vec![message()]);
                    }
                }
            }
        }
        for (sender, alerts) in self.senders.iter().zip(alerts) {
            // What waits is not overtaken, and a sink that hangs is not told the same twice.
            if sender.is_idle() {
                for batch in alerts.chunks(BATCH) {
                    self.enqueue(sender, batch.to_vec());
                }
            }
        }
    }

    /// Waits until everything is delivered, at most for this time.
    pub async fn finish(&self, limit: Duration) {
        let idle = async {
            while !self.senders.iter().all(Sender::is_idle) {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(limit, idle).await.is_err() {
            tracing::warn!(
                "notifications are left: their reminders, if there are any, say the same"
            );
        }
    }

    fn tell(&self, object: &JiraCredential, problem: &Problem, stage: Stage) {
        for sender in &self.senders {
            let message = self.message(object, problem, stage);
            let is_for_it = sender.sink.keeps_state() || message.is_for_people();
            if is_for_it && wants(sender, object, problem, stage) {
                self.enqueue(sender, vec![message]);
            }
        }
    }

    fn message(&self, object: &JiraCredential, problem: &Problem, stage: Stage) -> Message {
        Message::of(object, problem, stage, self.runbook.as_ref())
    }

    fn enqueue(&self, sender: &Sender, messages: Vec<Message>) {
        sender.send(messages, self.delivery.clock.elapsed());
    }
}

/// Whether a sink is told of a cause at this stage.
fn wants(sender: &Sender, object: &JiraCredential, problem: &Problem, stage: Stage) -> bool {
    let events = &sender.sink.events;
    let is_over = matches!(stage, Stage::Resolved { .. });
    sender.sink.covers(&object.namespace().unwrap_or_default())
        && problem.is_one_of(events)
        && (!is_over || events.contains(&Event::Resolved))
}

/// The causes of one list whose reason the other lacks.
fn missing<'a>(of: &'a [Problem], from: &'a [Problem]) -> impl Iterator<Item = &'a Problem> {
    of.iter()
        .filter(|one| from.iter().all(|other| other.reason != one.reason))
}

/// Whether a whole number of periods since the beginning lies between two times.
fn is_due(
    reminders: Reminders,
    since: DateTime<Utc>,
    last: DateTime<Utc>,
    now: DateTime<Utc>,
) -> bool {
    let period = match reminders {
        Reminders::Daily => TimeDelta::days(1),
        Reminders::Weekly => TimeDelta::days(7),
        Reminders::Never => return false,
    };
    let periods = |until: DateTime<Utc>| {
        let seconds = (until - since).num_seconds().max(0);
        seconds / period.num_seconds()
    };
    periods(now) > periods(last)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reminders_come_a_whole_number_of_days_after_the_beginning() {
        let since = DateTime::UNIX_EPOCH;
        let at = |hours| since + TimeDelta::hours(hours);
        for (reminders, last, now, due) in [
            (Reminders::Daily, 23, 24, true),
            (Reminders::Daily, 24, 25, false),
            (Reminders::Daily, 1, 23, false),
            (Reminders::Daily, 24, 100, true),
            // The clock was set back.
            (Reminders::Daily, 49, 25, false),
            (Reminders::Daily, -30, -3, false),
            (Reminders::Weekly, 24, 48, false),
            (Reminders::Weekly, 167, 168, true),
            (Reminders::Never, 23, 400, false),
        ] {
            let found = is_due(reminders, since, at(last), at(now));
            assert_eq!(found, due, "{reminders:?} {last} {now}");
        }
    }
}
