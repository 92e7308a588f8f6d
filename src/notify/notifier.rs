//! Decides what is sent, from what the status of each credential said before and says now.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use kube::ResourceExt;
use tokio::time::Instant;
use url::Url;

use crate::api::{ConditionStatus, ConditionType, JiraCredential};
use crate::notify::config::NotifyConfig;
use crate::notify::delivery::Delivery;
use crate::notify::message::{About, Message, Stage, Standing};
use crate::notify::problem::{Event, Problem, problems};
use crate::notify::sender::Sender;
use crate::notify::sink::Reminders;
use crate::notify::writer::Writers;

/// How often reminders are looked for, and Alertmanager gets all active causes.
const ROUND: Duration = Duration::from_secs(60);

/// The next leader sends what it has seen as a standby, if it is not older: its predecessor may have ended
/// before it sent that.
const SEEN_AS_STANDBY: Duration = Duration::from_secs(120);

/// How often the end of the process looks whether everything is delivered.
const LOOK: Duration = Duration::from_millis(50);

/// A watch that shows older versions for longer is believed: etcd was restored from a backup.
const LONGEST_LAG: Duration = Duration::from_secs(30);

/// Tells people what needs them, and that it does not any more.
pub struct Notifier {
    senders: Vec<Sender>,
    runbook: Option<Url>,
    delivery: Delivery,
    /// By namespace and name.
    known: Mutex<HashMap<(String, String), Known>>,
    /// When reminders were looked for last.
    last_round: Mutex<DateTime<Utc>>,
    /// What changed while this process might not send, by uid, and when.
    unsent: Mutex<HashMap<String, Vec<(Instant, Change)>>>,
}

/// What a credential needed a person for when it was seen last.
struct Known {
    version: Option<u64>,
    seen: Instant,
    about: About,
    /// Without their messages.
    problems: Vec<Problem>,
}

/// A change of a credential.
struct Change {
    about: About,
    before: Vec<Problem>,
    now: Vec<Problem>,
    standing: Standing,
}

impl Notifier {
    /// Starts the deliveries to each sink.
    pub(super) fn start(config: NotifyConfig, delivery: Delivery) -> Self {
        for sink in &config.sinks {
            delivery.observer.sink(&sink.name);
        }
        let sinks = config.sinks.into_iter();
        let senders = sinks.map(|sink| Sender::start(sink, delivery.clone()));
        Self {
            senders: senders.collect(),
            runbook: config.runbook,
            last_round: Mutex::new(delivery.clock.now()),
            delivery,
            known: Mutex::default(),
            unsent: Mutex::default(),
        }
    }

    /// Says who lends the credentials that file issues. Nothing is filed before.
    pub fn write_with(&self, writers: Weak<dyn Writers>) {
        // It is said once, when the operator is put together.
        let _ = self.delivery.writers.set(writers);
    }

    /// Compares a credential, as the cluster has it now, with what it was before. What it needs when it is
    /// seen for the first time was told by the process that wrote it. A process that may not send
    /// keeps what changes for the case that it becomes the leader.
    pub fn see(&self, object: &JiraCredential) {
        let about = About::of(object);
        let now = problems(object);
        let version = object.resource_version();
        let version = version.and_then(|version| version.parse::<u64>().ok());
        let change = {
            let mut known = lock(&self.known);
            let key = (about.namespace.clone(), about.name.clone());
            let before = known.get(&key);
            // The watch follows what our own write returned, and may show what was before it.
            let is_behind = |before: &Known| {
                before.about.uid == about.uid
                    && version.is_some_and(|version| before.version > Some(version))
                    && before.seen.elapsed() < LONGEST_LAG
            };
            if before.is_some_and(is_behind) {
                return;
            }
            let seen = Known {
                version,
                seen: Instant::now(),
                about: about.clone(),
                problems: now.iter().map(Problem::without_message).collect(),
            };
            known.insert(key, seen)
        };
        let Some(before) = change else {
            return;
        };
        if before.about.uid != about.uid {
            self.changed(before.deleted());
            return;
        }
        self.changed(Change {
            about,
            before: before.problems,
            now,
            standing: standing(object),
        });
    }

    /// A credential is gone, and with it what it needed.
    pub fn forget(&self, namespace: &str, name: &str) {
        let key = (namespace.to_owned(), name.to_owned());
        let known = lock(&self.known).remove(&key);
        if let Some(known) = known {
            self.changed(known.deleted());
        }
    }

    /// A credential is none of this process any more: nothing about it has ended.
    pub fn leave(&self, namespace: &str, name: &str) {
        let key = (namespace.to_owned(), name.to_owned());
        lock(&self.known).remove(&key);
    }

    /// From now on this process sends: reminders that were due before are those of its predecessor, and so is
    /// what changed longer ago.
    pub fn begin(&self) {
        *lock(&self.last_round) = self.delivery.clock.now();
        let unsent = std::mem::take(&mut *lock(&self.unsent));
        for (at, change) in unsent.into_values().flatten() {
            if at.elapsed() <= SEEN_AS_STANDBY {
                self.tell(&change);
            }
        }
    }

    fn changed(&self, change: Change) {
        let reasons = |problems: &[Problem]| -> Vec<_> {
            problems.iter().map(|one| (one.reason, one.event)).collect()
        };
        if reasons(&change.before) == reasons(&change.now) {
            return;
        }
        if (self.delivery.permit)() {
            self.tell(&change);
            return;
        }
        let mut unsent = lock(&self.unsent);
        unsent.retain(|_, changes| {
            changes.retain(|(at, _)| at.elapsed() <= SEEN_AS_STANDBY);
            !changes.is_empty()
        });
        let of_it = unsent.entry(change.about.uid.clone()).or_default();
        of_it.push((Instant::now(), change));
    }

    /// How often [`Self::round`] is wanted.
    pub fn round_every(&self) -> Duration {
        ROUND / self.delivery.pace.max(1)
    }

    /// Reminds of what lasts, and sends it to Alertmanager, which forgets what is not sent again.
    pub fn round<'a>(&self, objects: impl Iterator<Item = &'a JiraCredential>) {
        let now = self.delivery.clock.now();
        let last = std::mem::replace(&mut *lock(&self.last_round), now);
        if !(self.delivery.permit)() {
            return;
        }
        for object in objects {
            let about = About::of(object);
            for problem in problems(object) {
                for sender in &self.senders {
                    let is_due = sender.sink.keeps_state()
                        || is_due(sender.sink.reminders, problem.since, last, now);
                    if is_due && wants(sender, &about, &problem) {
                        sender.send(self.message(&about, &problem, Stage::Reminder));
                    }
                }
            }
        }
    }

    /// Waits until everything is delivered, at most for this time. Who does not lead has nothing to deliver,
    /// and a sink that fails is not waited for.
    pub async fn finish(&self, limit: Duration) {
        if !(self.delivery.permit)() {
            return;
        }
        self.senders.iter().for_each(Sender::hurry);
        let settled = async {
            while !self.senders.iter().all(Sender::is_settled) {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(limit, settled).await.is_err() {
            tracing::warn!(
                "notifications are left: their reminders, if there are any, say the same"
            );
        }
    }

    /// Tells each sink what has begun and what is over, of that which it asks for.
    fn tell(&self, change: &Change) {
        let about = &change.about;
        for sender in &self.senders {
            let wanted = |problems: &[Problem]| -> Vec<Problem> {
                let wanted = problems.iter().filter(|one| wants(sender, about, one));
                wanted.cloned().collect()
            };
            let (before, now) = (wanted(&change.before), wanted(&change.now));
            for begun in missing(&now, &before) {
                sender.send(self.message(about, begun, Stage::Firing));
            }
            if !sender.sink.events.contains(&Event::Resolved) {
                continue;
            }
            let stage = Stage::Resolved {
                others_left: !now.is_empty(),
                now: change.standing,
            };
            for over in missing(&before, &now) {
                let message = self.message(about, over, stage);
                if !sender.sink.format.is_for_people() || message.is_for_people() {
                    sender.send(message);
                }
            }
        }
    }

    fn message(&self, about: &About, problem: &Problem, stage: Stage) -> Message {
        Message::of(about, problem, stage, self.runbook.as_ref())
    }
}

impl Known {
    /// The change when the object is gone.
    fn deleted(self) -> Change {
        Change {
            about: self.about,
            before: self.problems,
            now: Vec::new(),
            standing: Standing::Deleted,
        }
    }
}

fn standing(object: &JiraCredential) -> Standing {
    let condition = |kind| {
        object
            .status
            .as_ref()
            .and_then(|status| status.condition(kind))
    };
    let is_ready =
        condition(ConditionType::Ready).is_some_and(|ready| ready.status == ConditionStatus::True);
    if object.spec.suspend {
        Standing::Suspended
    } else if is_ready {
        Standing::Ready
    } else {
        Standing::NotReady
    }
}

/// Whether a sink gets a cause.
fn wants(sender: &Sender, about: &About, problem: &Problem) -> bool {
    sender.sink.covers(&about.namespace) && problem.is_one_of(&sender.sink.events)
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
