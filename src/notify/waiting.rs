//! What one sink is still to be told: for each credential and cause the last state, and not its history. So it
//! is bounded by the credentials that there are, and nothing is dropped.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use crate::notify::message::{Message, Stage};

/// Which cause of which object a message is about.
type Cause = (String, String);

/// A message that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) message: Message,
    /// Since when something about this cause waits.
    pub(super) since: Duration,
    /// Before that it is not sent.
    not_before: Duration,
    order: u64,
    /// The sink may have taken it, although it did not say so.
    is_in_doubt: bool,
}

/// What a sink is still to be told. Times are monotonic.
pub(super) struct Pending {
    /// A cause is sent again after this time. `None`: a receiver that keeps a state gets every change.
    again: Option<Duration>,
    causes: HashMap<Cause, Waiting>,
    /// When a cause was told last.
    told: HashMap<Cause, Duration>,
    /// When each namespace had its turn last, as long as anything waits.
    turns: HashMap<String, u64>,
    next: u64,
}

impl Pending {
    pub(super) fn new(again: Option<Duration>) -> Self {
        Self {
            again,
            causes: HashMap::new(),
            told: HashMap::new(),
            turns: HashMap::new(),
            next: 0,
        }
    }

    /// Adds a message: the last state wins. A beginning and an end that both wait cancel each other.
    pub(super) fn put(&mut self, message: Message, now: Duration) {
        let cause = cause(&message);
        let waits = self.causes.get(&cause);
        let begins = message.stage == Stage::Firing;
        if let Some(waits) = waits.filter(|waits| self.again.is_some() && !waits.is_in_doubt) {
            let waited = waits.message.stage;
            if waited.is_over() && begins || waited == Stage::Firing && message.stage.is_over() {
                self.causes.remove(&cause);
                return;
            }
            if message.stage == Stage::Reminder {
                return;
            }
        }
        let since = waits.map_or(now, |waits| waits.since);
        let told = self.told.get(&cause).filter(|_| begins);
        let again = self.again.unwrap_or_default();
        let not_before = told.map_or(now, |told| now.max(*told + again));
        self.next += 1;
        let waiting = Waiting {
            message,
            since,
            not_before,
            order: self.next,
            is_in_doubt: waits.is_some_and(|waits| waits.is_in_doubt),
        };
        self.causes.insert(cause, waiting);
    }

    /// How long it takes until something is to be told; `None`: nothing waits.
    pub(super) fn ready_in(&self, now: Duration) -> Option<Duration> {
        let waits = self.causes.values();
        waits
            .map(|waits| waits.not_before.saturating_sub(now))
            .min()
    }

    /// Takes what is to be told now, one of each namespace after the other: who has many waits behind who has
    /// few.
    pub(super) fn take(&mut self, most: usize, now: Duration) -> Vec<Waiting> {
        let mut ready: Vec<&Waiting> = self
            .causes
            .values()
            .filter(|waits| waits.not_before <= now)
            .collect();
        ready.sort_unstable_by_key(|waits| waits.order);
        let mut before: HashMap<&str, usize> = HashMap::new();
        let mut ranked: Vec<((usize, u64, u64), &Waiting)> = Vec::new();
        for waits in ready {
            let namespace = waits.message.namespace.as_str();
            let rank = before.entry(namespace).or_default();
            let turn = self.turns.get(namespace).copied().unwrap_or_default();
            ranked.push(((*rank, turn, waits.order), waits));
            *rank += 1;
        }
        ranked.sort_unstable_by_key(|(rank, _)| *rank);
        let taken: Vec<Waiting> = ranked
            .into_iter()
            .take(most)
            .map(|(_, waits)| waits.clone())
            .collect();
        for one in &taken {
            self.causes.remove(&cause(&one.message));
            self.next += 1;
            self.turns.insert(one.message.namespace.clone(), self.next);
        }
        if self.causes.is_empty() {
            self.turns.clear();
        }
        taken
    }

    /// The sink was told this.
    pub(super) fn sent(&mut self, taken: &[Waiting], now: Duration) {
        let Some(again) = self.again else {
            return;
        };
        self.told.retain(|_, told| *told + again > now);
        for one in taken {
            if !one.message.stage.is_over() {
                self.told.insert(cause(&one.message), now);
            }
        }
    }

    /// The sink was not told this, or may not have been: it waits on, unless something newer does. It goes behind what
    /// waits of its namespace, since it may be a message that never succeeds.
    pub(super) fn put_back(&mut self, taken: Vec<Waiting>, may_be_told: bool, now: Duration) {
        for mut one in taken {
            one.is_in_doubt |= may_be_told;
            self.next += 1;
            one.order = self.next;
            match self.causes.remove(&cause(&one.message)) {
                None => {
                    self.causes.insert(cause(&one.message), one);
                }
                Some(newer) => {
                    self.causes.insert(cause(&one.message), one);
                    self.put(newer.message, now);
                }
            }
        }
    }

    /// Forgets everything; returns how much that is.
    pub(super) fn clear(&mut self) -> usize {
        let count = self.causes.len();
        self.causes.clear();
        self.turns.clear();
        count
    }
}

fn cause(message: &Message) -> Cause {
    (message.uid.clone(), message.reason.clone())
}
