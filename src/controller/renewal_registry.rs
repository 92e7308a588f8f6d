//! The renewals under way in this process, and what it has seen of those of others.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::rand;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::cluster::{Key, Leadership};
use crate::core::facts::{Process, TimeScale, Watched};
use crate::core::fingerprint::hex;
use crate::core::grant::{Holder, Intent};

/// The renewals of one process.
pub(super) struct Renewals {
    holder: Holder,
    clock: Clock,
    leadership: Leadership,
    /// Whether another process may lead, too: that of another shard.
    beside_others: bool,
    time_scale: TimeScale,
    /// The tasks that nothing may cancel.
    pub(super) tasks: TaskTracker,
    running: Arc<Mutex<HashSet<String>>>,
    /// Attempts whose intent stands in a grant and whose call is next.
    parked: Mutex<HashMap<String, Running>>,
    /// The attempts of each grant whose intent was written, or may have been, and that were never
    /// sent.
    unsent: Mutex<HashMap<Key, HashSet<String>>>,
    /// The intent of each grant that was seen last, and since when.
    seen: Mutex<HashMap<Key, Watched>>,
}

/// An attempt of this process; it runs until this is dropped.
pub(super) struct Running {
    attempt: String,
    register: Arc<Mutex<HashSet<String>>>,
}

impl Running {
    /// The name of the attempt.
    pub(super) fn attempt(&self) -> &str {
        &self.attempt
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        lock(&self.register).remove(&self.attempt);
    }
}

impl Renewals {
    /// `pod` is what distinguishes this replica for people; the nonce is new at every start.
    pub(super) fn new(pod: String, clock: Clock, time_scale: TimeScale) -> Self {
        Self {
            holder: Holder {
                pod,
                nonce: random_name(),
            },
            clock,
            leadership: Leadership::default(),
            beside_others: false,
            time_scale,
            tasks: TaskTracker::new(),
            running: Arc::default(),
            parked: Mutex::default(),
            unsent: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// The renewals of a process that stands for election.
    pub(super) fn led_by(self, leadership: Leadership) -> Self {
        Self { leadership, ..self }
    }

    /// The renewals of one of several processes that act at a time, each on credentials of its own.
    pub(super) fn beside_others(self, beside_others: bool) -> Self {
        Self {
            beside_others,
            ..self
        }
    }

    /// How this process signs an intent.
    pub(super) fn holder(&self) -> Holder {
        self.holder.clone()
    }

    /// Begins an attempt.
    pub(super) fn begin(&self) -> Running {
        let attempt = random_name();
        lock(&self.running).insert(attempt.clone());
        Running {
            attempt,
            register: Arc::clone(&self.running),
        }
    }

    /// Sets an attempt aside whose intent stands in the grant, until its next step.
    pub(super) fn park(&self, grant: &Key, running: Running) {
        // What was written before can stand there no more.
        lock(&self.unsent).remove(grant);
        lock(&self.parked).insert(running.attempt.clone(), running);
    }

    /// Takes an attempt up again.
    pub(super) fn resume(&self, attempt: &str) -> Option<Running> {
        lock(&self.parked).remove(attempt)
    }

    /// Remembers of an attempt that it was not sent and never will be.
    pub(super) fn abandon(&self, grant: Key, attempt: &str) {
        let mut unsent = lock(&self.unsent);
        unsent.entry(grant).or_default().insert(attempt.to_owned());
    }

    /// Whether nothing was sent for an intent. An earlier attempt that may have succeeded is remembered
    /// even if its repetition was not sent.
    pub(super) fn is_unsent(&self, grant: &Key, intent: &Intent) -> bool {
        let unsent = lock(&self.unsent);
        let of_grant = unsent.get(grant);
        !intent.replay && of_grant.is_some_and(|attempts| attempts.contains(&intent.attempt))
    }

    /// The attempts that have not ended.
    pub(super) fn unfinished(&self) -> Vec<String> {
        lock(&self.running).iter().cloned().collect()
    }

    /// This process, before anything was seen of a grant.
    pub(super) fn this(&self, stopping: bool) -> Process {
        Process {
            holder: self.holder(),
            leads: self
                .leadership
                .is_elected()
                .then(|| self.leadership.leads())
                .filter(|_| !self.beside_others),
            stopping,
            ..Process::default()
        }
    }

    /// What this process knows of the intent that stands in a grant.
    pub(super) fn process(&self, grant: &Key, intent: Option<&Intent>, stopping: bool) -> Process {
        let mut seen = lock(&self.seen);
        let Some(intent) = intent else {
            seen.remove(grant);
            return self.this(stopping);
        };
        let now = self.clock.elapsed();
        let watched = Watched::look(seen.get(grant), &intent.attempt, now, self.time_scale);
        let seen_for = watched.seen_for();
        seen.insert(grant.clone(), watched);
        Process {
            running: lock(&self.running).contains(&intent.attempt),
            seen_for,
            ..self.this(stopping)
        }
    }
}

fn random_name() -> String {
    let mut bytes = [0_u8; 12];
    // Without randomness TLS would not have come up either; the zeros are then one name for all.
    let _ = rand::fill(&mut bytes);
    hex(&bytes, 24)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    fn intent(attempt: &str, holder: Holder) -> Intent {
        Intent {
            attempt: attempt.into(),
            holder,
            origin: "seed".into(),
            first_sent: DateTime::UNIX_EPOCH,
            started: DateTime::UNIX_EPOCH,
            interrupted: None,
            replay: false,
        }
    }

    #[test]
    fn an_intent_is_watched_by_ones_own_clock_from_when_it_was_first_seen() {
        let clock = Clock::standing_at(DateTime::UNIX_EPOCH);
        let renewals = Renewals::new("pod".into(), clock.clone(), TimeScale::default());
        let grant = Key::new("team", "grant");
        let watched = |attempt: &str| {
            let intent = intent(attempt, Holder::default());
            let process = renewals.process(&grant, Some(&intent), false);
            process.seen_for.num_seconds()
        };
        assert_eq!(watched("a"), 0);
        clock.advance(TimeDelta::seconds(60));
        assert_eq!(watched("a"), 60);
        assert_eq!(watched("b"), 0, "another one is watched again");
        clock.advance(TimeDelta::seconds(5));
        renewals.process(&grant, None, false);
        assert_eq!(watched("b"), 0, "and so is one that was gone");
        clock.advance(TimeDelta::seconds(100));
        assert_eq!(watched("b"), 100);
        clock.advance(TimeDelta::minutes(20));
        assert_eq!(watched("b"), 0, "without a look nothing is watched");
    }

    #[test]
    fn an_attempt_that_was_never_sent_is_known_unless_it_repeats_another() {
        let renewals = Renewals::new("pod".into(), Clock::system(), TimeScale::default());
        let (grant, other) = (Key::new("team", "grant"), Key::new("team", "other"));
        let mut first = intent("first", renewals.holder());
        assert!(!renewals.is_unsent(&grant, &first));
        for attempt in ["first", "second"] {
            renewals.abandon(grant.clone(), attempt);
        }
        // The second may not have been written, as the first was still on its way.
        assert!(renewals.is_unsent(&grant, &first));
        assert!(renewals.is_unsent(&grant, &intent("second", renewals.holder())));
        assert!(!renewals.is_unsent(&other, &first));
        first.replay = true;
        assert!(!renewals.is_unsent(&grant, &first));
        first.replay = false;
        renewals.park(&grant, renewals.begin());
        assert!(!renewals.is_unsent(&grant, &first), "another stands there");
        assert!(lock(&renewals.unsent).is_empty());
    }

    #[test]
    fn an_attempt_runs_until_it_is_dropped() {
        let renewals = Renewals::new("pod".into(), Clock::system(), TimeScale::default());
        let grant = Key::new("team", "grant");
        let running = renewals.begin();
        let intent = intent(running.attempt(), renewals.holder());
        assert!(renewals.process(&grant, Some(&intent), false).running);
        drop(running);
        assert!(!renewals.process(&grant, Some(&intent), false).running);
        assert!(renewals.unfinished().is_empty());
    }
}
