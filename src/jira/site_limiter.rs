//! How many calls one site gets at a time, and when it gets none.
//!
//! Limits and outages belong to a site, not to a credential: when Jira asks one to wait, all
//! credentials of that site wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Clock;
use crate::core::probe::{Outage, Verdict};
use crate::core::spec::Site;

/// Where the interface starts on the gateway.
pub(super) const ADMIN_PATH: &str = "/admin/api-access/v1/orgs/";

/// The wait after a first refusal without a Retry-After; it doubles with each one that follows.
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(30);
/// The longest wait that we choose ourselves.
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(10);

/// The gates of all sites.
pub(super) struct Gates {
    clock: Clock,
    concurrency: usize,
    by_site: Mutex<HashMap<String, Arc<Gate>>>,
}

struct Gate {
    permits: Arc<Semaphore>,
    rest: Mutex<Rest>,
}

#[derive(Clone, Copy, Default)]
struct Rest {
    until: Option<DateTime<Utc>>,
    /// Waits in a row without an answer between them.
    in_a_row: u32,
}

/// One call's turn.
pub(super) struct Turn<'a> {
    gate: Arc<Gate>,
    clock: &'a Clock,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Gates {
    pub(super) fn new(clock: Clock, concurrency: usize) -> Self {
        Self {
            clock,
            concurrency: concurrency.max(1),
            by_site: Mutex::default(),
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// When the site is resting: for how long still.
    pub(super) async fn enter(&self, site: &Site) -> Result<Turn<'_>, Duration> {
        let gate = self.gate(site);
        // A gate is never closed; without a permit the call would merely not be counted.
        let permit = Arc::clone(&gate.permits).acquire_owned().await.ok();
        // After the wait: those who waited in line must not call a site that has just asked for
        // rest.
        match gate.resting(self.clock.now()) {
            Some((_, remaining)) => Err(remaining),
            None => Ok(Turn {
                gate,
                clock: &self.clock,
                _permit: permit,
            }),
        }
    }

    /// Until when a site rests.
    pub(super) fn resting_until(&self, site: &Site) -> Option<DateTime<Utc>> {
        let gate = self.lock().get(authority(site)).map(Arc::clone)?;
        gate.resting(self.clock.now()).map(|(until, _)| until)
    }

    fn gate(&self, site: &Site) -> Arc<Gate> {
        let mut gates = self.lock();
        if let Some(gate) = gates.get(authority(site)) {
            return Arc::clone(gate);
        }
        // Whoever adds a gate removes those without a purpose: the map holds no more than the
        // sites that are called or rest.
        let now = self.clock.now();
        gates.retain(|_, gate| Arc::strong_count(gate) > 1 || gate.remembers(now));
        let permits = Arc::new(Semaphore::new(self.concurrency));
        let gate = Arc::new(Gate {
            permits,
            rest: Mutex::default(),
        });
        gates.insert(authority(site).to_owned(), Arc::clone(&gate));
        gate
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Gate>>> {
        self.by_site.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn resting(&self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, Duration)> {
        let until = self.lock().until?;
        let remaining = (until - now).to_std().ok().filter(|left| !left.is_zero())?;
        Some((until, remaining))
    }

    /// Whether the gate knows more than a new one would: a rest, or how long the last one was.
    fn remembers(&self, now: DateTime<Utc>) -> bool {
        self.lock()
            .until
            .is_some_and(|until| now < until + LONGEST_WAIT)
    }
}

impl Turn<'_> {
    /// Learns from the outcome of the call.
    pub(super) fn learn(&self, verdict: &Verdict) {
        let now = self.clock.now();
        let mut rest = self.gate.lock();
        let asked = match verdict {
            Verdict::NoVerdict(
                Outage::RateLimited { retry_after } | Outage::Unavailable { retry_after },
            ) => *retry_after,
            Verdict::Accepted(_) | Verdict::Refused(_) => {
                rest.in_a_row = 0;
                return;
            }
            // Not a word about load.
            Verdict::NoVerdict(_) | Verdict::NotAllowed(_) => return,
        };
        // Calls under way together are turned away together: that is one refusal, not four.
        let already = rest.until.is_some_and(|until| until > now);
        if !already {
            rest.in_a_row = rest.in_a_row.saturating_add(1);
        }
        let wait = asked
            .and_then(|wait| TimeDelta::from_std(wait).ok())
            .unwrap_or(own_wait(rest.in_a_row));
        rest.until = rest.until.max(now.checked_add_signed(wait));
    }
}

fn own_wait(in_a_row: u32) -> TimeDelta {
    let doublings = in_a_row.saturating_sub(1).min(10);
    (FIRST_WAIT * 2_i32.pow(doublings)).min(LONGEST_WAIT)
}

/// Host and port of a site. On Atlassian's gateway, which is the same for all, the id of the site
/// belongs to it: limits are those of a tenant. So does an organisation: its list must not have
/// anybody else wait.
fn authority(site: &Site) -> &str {
    if site.base.contains("/ex/jira/") || site.base.contains(ADMIN_PATH) {
        return &site.base;
    }
    let rest = site.base.strip_prefix("https://").unwrap_or(&site.base);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests;
