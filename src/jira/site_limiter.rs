//! How many calls one site gets at a time, and when it gets none.
//!
//! Jira limits the rate of calls per user (its documentation of rate limits, Cloud and Data Center).
//! So a 429 has the account wait that was told, and everybody only when it was told to others as well:
//! a tenant whose account is limited must not have other tenants wait.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::Hosting;
use crate::clock::Clock;
use crate::core::probe::{Outage, Verdict};
use crate::core::spec::Site;

/// Where the interface starts on the gateway.
pub(super) const ADMIN_PATH: &str = "/admin/api-access/v1/orgs/";

/// Where the sites start on the gateway, each with its id.
const GATEWAY_PATH: &str = "/ex/jira/";

/// The wait after a first refusal without a Retry-After; it doubles with each one that follows.
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(30);
/// The longest wait that we choose ourselves.
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(10);

/// What is told to several accounts within this time concerns more than an account.
const TOGETHER: TimeDelta = TimeDelta::minutes(1);

/// For whom a call is made.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Caller {
    /// The namespace of the credential.
    pub namespace: String,
    /// The account of the credential, or what stands in for it as long as it is not known.
    pub account: String,
}

/// Whether a call can wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Urgency {
    /// It waits as long as the site rests.
    Routine,
    /// A renewal that is due: a token that expires meanwhile is worth a call more. It waits only for
    /// what its own account was told.
    Renewal,
}

/// The gates of all sites.
pub(super) struct Gates {
    clock: Clock,
    concurrency: usize,
    by_site: Mutex<HashMap<String, Arc<Gate>>>,
}

struct Gate {
    permits: Arc<Semaphore>,
    rests: Mutex<Rests>,
}

#[derive(Default)]
struct Rests {
    by_scope: HashMap<Scope, Rest>,
    /// Whose calls were turned away last.
    told: Vec<(DateTime<Utc>, Caller)>,
}

/// Who waits.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Scope {
    Account(Caller),
    /// Several accounts of one namespace were told.
    Namespace(String),
    /// Accounts of several namespaces were told, or the site has no time for anybody.
    Site,
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
    caller: &'a Caller,
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
    /// When the caller has to wait: for how long still.
    pub(super) async fn enter<'a>(
        &'a self,
        site: &Site,
        caller: &'a Caller,
        urgency: Urgency,
    ) -> Result<Turn<'a>, Duration> {
        let gate = self.gate(site);
        // A gate is never closed; without a permit the call would merely not be counted.
        let permit = Arc::clone(&gate.permits).acquire_owned().await.ok();
        // After the wait: those who waited in line must not call a site that has just asked for
        // rest.
        let now = self.clock.now();
        let until = gate.lock().until(caller, urgency, now);
        match until.and_then(|until| (until - now).to_std().ok()) {
            Some(remaining) => Err(remaining),
            None => Ok(Turn {
                gate,
                clock: &self.clock,
                caller,
                _permit: permit,
            }),
        }
    }

    /// Until when a caller has to wait at a site.
    pub(super) fn resting_until(&self, site: &Site, caller: &Caller) -> Option<DateTime<Utc>> {
        let gate = self.lock().get(authority(site)).map(Arc::clone)?;
        let rests = gate.lock();
        rests.until(caller, Urgency::Routine, self.clock.now())
    }

    fn gate(&self, site: &Site) -> Arc<Gate> {
        let mut gates = self.lock();
        if let Some(gate) = gates.get(authority(site)) {
            return Arc::clone(gate);
        }
        // Adding a gate removes the unused ones: the map holds only the sites that are called or rest.
        let now = self.clock.now();
        gates.retain(|_, gate| Arc::strong_count(gate) > 1 || gate.remembers(now));
        let permits = Arc::new(Semaphore::new(self.concurrency));
        let gate = Arc::new(Gate {
            permits,
            rests: Mutex::default(),
        });
        gates.insert(authority(site).to_owned(), Arc::clone(&gate));
        gate
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Gate>>> {
        self.by_site.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, Rests> {
        self.rests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the gate knows more than a new one would.
    fn remembers(&self, now: DateTime<Utc>) -> bool {
        let mut rests = self.lock();
        rests.forget(now);
        !rests.by_scope.is_empty()
    }
}

impl Rests {
    /// Until when a caller has to wait.
    fn until(
        &self,
        caller: &Caller,
        urgency: Urgency,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let scopes = Scope::around(caller);
        let until = |scope| self.by_scope.get(scope).and_then(|rest| rest.until);
        scopes
            .iter()
            .filter(|scope| urgency == Urgency::Routine || matches!(scope, Scope::Account(_)))
            .filter_map(until)
            .max()
            .filter(|until| *until > now)
    }

    /// Whom a 429 concerns.
    fn turned_away(&mut self, caller: &Caller, now: DateTime<Utc>) -> Vec<Scope> {
        self.told.retain(|(when, _)| now - *when < TOGETHER);
        self.told.push((now, caller.clone()));
        let told: BTreeSet<&Caller> = self.told.iter().map(|(_, caller)| caller).collect();
        let namespaces: BTreeSet<&str> = told.iter().map(|told| told.namespace.as_str()).collect();
        let here = told
            .iter()
            .filter(|told| told.namespace == caller.namespace);
        let mut scopes = vec![Scope::Account(caller.clone())];
        if here.count() > 1 {
            scopes.push(Scope::Namespace(caller.namespace.clone()));
        }
        if namespaces.len() > 1 {
            scopes.push(Scope::Site);
        }
        scopes
    }

    fn rest(&mut self, scope: Scope, asked: Option<Duration>, now: DateTime<Utc>) {
        let rest = self.by_scope.entry(scope).or_default();
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

    /// How long the last wait was is remembered as long as the longest one.
    fn forget(&mut self, now: DateTime<Utc>) {
        self.by_scope
            .retain(|_, rest| rest.until.is_some_and(|until| now < until + LONGEST_WAIT));
    }
}

impl Scope {
    /// Everything that has a caller wait.
    fn around(caller: &Caller) -> [Self; 3] {
        [
            Self::Account(caller.clone()),
            Self::Namespace(caller.namespace.clone()),
            Self::Site,
        ]
    }
}

impl Turn<'_> {
    /// Learns from the outcome of the call.
    pub(super) fn learn(&self, verdict: &Verdict) {
        let now = self.clock.now();
        let mut rests = self.gate.lock();
        match verdict {
            Verdict::NoVerdict(Outage::RateLimited { retry_after }) => {
                rests.forget(now);
                for scope in rests.turned_away(self.caller, now) {
                    rests.rest(scope, *retry_after, now);
                }
            }
            Verdict::NoVerdict(Outage::Unavailable { retry_after }) => {
                rests.rest(Scope::Site, *retry_after, now);
            }
            Verdict::Accepted(_) | Verdict::Refused(_) => {
                for scope in Scope::around(self.caller) {
                    if let Some(rest) = rests.by_scope.get_mut(&scope) {
                        rest.in_a_row = 0;
                    }
                }
            }
            // Not a word about load.
            Verdict::NoVerdict(_) | Verdict::NotAllowed(_) => {}
        }
    }
}

fn own_wait(in_a_row: u32) -> TimeDelta {
    let doublings = in_a_row.saturating_sub(1).min(10);
    (FIRST_WAIT * 2_i32.pow(doublings)).min(LONGEST_WAIT)
}

/// Host and port of a site. On Atlassian's gateway, which is the same for all, the id of the site
/// belongs to it: limits are those of a tenant. So does an organisation: its list must not have
/// anybody else wait. The context path of a Data Center is the user's choice, and none of this.
fn authority(site: &Site) -> &str {
    let shared = site.base.contains(GATEWAY_PATH) || site.base.contains(ADMIN_PATH);
    if shared && site.hosting == Hosting::Cloud {
        return &site.base;
    }
    let rest = site.base.strip_prefix("https://").unwrap_or(&site.base);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests;
