//! The rules in force, and the handles by which a test follows them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::sync::watch;

use crate::fault::{Fault, Rule};

/// What a rule is matched against.
pub(crate) struct Subject<'a> {
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) method: &'a str,
    pub(crate) user: Option<&'a str>,
    pub(crate) token_id: Option<&'a str>,
    pub(crate) now: DateTime<Utc>,
}

/// A fault that is to strike now.
#[derive(Debug, Clone)]
pub(crate) struct Strike {
    pub(crate) fault: Fault,
    pub(crate) signal: Arc<Signal>,
}

/// How often a rule struck, and whether its hangs were released.
#[derive(Debug)]
pub(crate) struct Signal {
    hits: watch::Sender<u64>,
    released: watch::Sender<bool>,
}

impl Signal {
    /// Says that the fault has struck: a hang hangs, a drop is about to drop.
    pub(crate) fn strike(&self) {
        self.hits.send_modify(|hits| *hits += 1);
    }

    /// Waits for the release, which may never come.
    pub(crate) async fn released(&self) {
        // The sender lives in self, so waiting cannot fail.
        let _ = self
            .released
            .subscribe()
            .wait_for(|released| *released)
            .await;
    }
}

#[derive(Debug)]
struct Active {
    id: u64,
    rule: Rule,
    skipped: u64,
    struck: u64,
    signal: Arc<Signal>,
}

/// A rule as the admin API lists it.
#[derive(Debug, Clone, Serialize)]
pub struct RuleStatus {
    /// The rule's id.
    pub id: u64,
    /// How often it has struck.
    pub hits: u64,
    /// The rule.
    #[serde(flatten)]
    pub rule: Rule,
}

#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// Kept beside the lock so that a request without rules does not take it.
    number: AtomicUsize,
    list: Mutex<Vec<Active>>,
    next: Mutex<u64>,
}

impl Rules {
    fn with<T>(&self, act: impl FnOnce(&mut Vec<Active>) -> T) -> T {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut list);
        self.number.store(list.len(), Ordering::Release);
        result
    }

    pub(crate) fn add(self: &Arc<Self>, mut rule: Rule) -> FaultHandle {
        rule.host = rule.host.map(|host| crate::request::host_of(&host));
        let id = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            *next += 1;
            *next
        };
        let signal = Arc::new(Signal {
            hits: watch::Sender::new(0),
            released: watch::Sender::new(false),
        });
        let active = Active {
            id,
            rule,
            skipped: 0,
            struck: 0,
            signal: Arc::clone(&signal),
        };
        self.with(|list| list.push(active));
        FaultHandle {
            id,
            signal,
            rules: Arc::clone(self),
        }
    }

    pub(crate) fn remove(&self, id: u64) -> bool {
        self.with(|list| {
            let before = list.len();
            list.retain(|active| active.id != id);
            list.len() < before
        })
    }

    pub(crate) fn clear(&self) {
        self.with(Vec::clear);
    }

    pub(crate) fn release(&self, id: u64) -> bool {
        self.with(|list| match list.iter().find(|active| active.id == id) {
            Some(active) => {
                active.signal.released.send_replace(true);
                true
            }
            None => false,
        })
    }

    pub(crate) fn list(&self) -> Vec<RuleStatus> {
        self.with(|list| {
            let status = |a: &Active| RuleStatus {
                id: a.id,
                hits: *a.signal.hits.borrow(),
                rule: a.rule.clone(),
            };
            list.iter().map(status).collect()
        })
    }

    pub(crate) fn none(&self) -> bool {
        self.number.load(Ordering::Acquire) == 0
    }

    /// The faults for a request: every latency, then at most one other.
    pub(crate) fn strikes(&self, subject: &Subject<'_>) -> Vec<Strike> {
        self.choose(subject, |fault| !fault.is_tls())
    }

    /// The fault for a handshake.
    pub(crate) fn handshake(&self, host: &str, now: DateTime<Utc>) -> Option<Strike> {
        let subject = Subject {
            host,
            method: "",
            path: "",
            user: None,
            token_id: None,
            now,
        };
        self.choose(&subject, Fault::is_tls).into_iter().next()
    }

    fn choose(&self, subject: &Subject<'_>, kind: impl Fn(&Fault) -> bool) -> Vec<Strike> {
        if self.none() {
            return Vec::new();
        }
        self.with(|list| {
            let mut strikes = Vec::new();
            for active in list.iter_mut().filter(|active| kind(&active.rule.fault)) {
                if !active.strikes(subject) {
                    continue;
                }
                let fault = active.rule.fault.clone();
                let last = !matches!(fault, Fault::Latency { .. });
                strikes.push(Strike {
                    fault,
                    signal: Arc::clone(&active.signal),
                });
                if last {
                    break;
                }
            }
            strikes
        })
    }
}

impl Active {
    /// Whether the rule strikes now; counts skips and strikes.
    fn strikes(&mut self, subject: &Subject<'_>) -> bool {
        let rule = &self.rule;
        let is = |wanted: Option<&str>, has: Option<&str>| match (wanted, has) {
            (None, _) => true,
            (Some(wanted), Some(has)) => wanted.eq_ignore_ascii_case(has),
            (Some(_), None) => false,
        };
        let matches = is(rule.host.as_deref(), Some(subject.host))
            && is(rule.user.as_deref(), subject.user)
            && is(rule.token_id.as_deref(), subject.token_id)
            && is(rule.method.as_deref(), Some(subject.method))
            && rule
                .path_prefix
                .as_deref()
                .is_none_or(|prefix| subject.path.starts_with(prefix))
            && rule.until.is_none_or(|end| subject.now < end)
            && rule.times.is_none_or(|times| self.struck < times);
        if !matches {
            return false;
        }
        if self.skipped < rule.skip {
            self.skipped += 1;
            return false;
        }
        self.struck += 1;
        true
    }
}

/// A rule in force. Dropping the handle leaves the rule in force.
#[derive(Debug, Clone)]
pub struct FaultHandle {
    id: u64,
    signal: Arc<Signal>,
    rules: Arc<Rules>,
}

impl FaultHandle {
    /// The rule's id in the admin API.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How often the fault has struck.
    pub fn hits(&self) -> u64 {
        *self.signal.hits.borrow()
    }

    /// Waits until the fault has struck `count` times. Works on any runtime.
    pub async fn reached(&self, count: u64) {
        // The sender lives in the signal, so waiting cannot fail.
        let _ = self
            .signal
            .hits
            .subscribe()
            .wait_for(|hits| *hits >= count)
            .await;
    }

    /// Waits until the fault has struck `count` times, or `limit` is over; says which. For tests
    /// without a runtime.
    pub fn reached_blocking(&self, count: u64, limit: Duration) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let Ok(runtime) = runtime else { return false };
        runtime.block_on(async {
            tokio::time::timeout(limit, self.reached(count))
                .await
                .is_ok()
        })
    }

    /// Lets everything that hangs by this rule go on, now and later.
    pub fn release(&self) {
        self.signal.released.send_replace(true);
    }

    /// Takes the rule out of force. What hangs goes on hanging.
    pub fn remove(&self) {
        self.rules.remove(self.id);
    }
}
