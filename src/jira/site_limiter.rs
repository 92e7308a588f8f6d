//! When a site gets no calls, and from whom. How many it gets at a time is decided elsewhere
//! (`controller/turns`).
//!
//! Jira limits the rate of calls per user (its documentation of rate limits, Cloud and Data Center).
//! So after a 429 the account that received it waits, and everybody only when others received one, too:
//! a tenant whose account is limited must not have other tenants wait. A call without an answer, or a
//! 503, may be the fault of the path that a tenant chose, so it counts for everybody only when
//! tenants of several namespaces met it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::api::Hosting;
use crate::clock::Clock;
use crate::core::probe::{Outage, ProxyFault, SiteWait, Verdict, WaitCause};
use crate::core::spec::Site;

/// Where the interface starts on the gateway.
pub(super) const ADMIN_PATH: &str = "/admin/api-access/v1/orgs/";

/// Where the sites start on the gateway, each with its id.
const GATEWAY_PATH: &str = "/ex/jira/";

/// The wait after a first 429 without a Retry-After; it doubles with each one that follows.
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(30);
/// The wait after the first calls without an answer; it doubles with each one that follows. A single
/// credential retries after as long.
const FIRST_UNRESPONSIVE_WAIT: TimeDelta = TimeDelta::seconds(15);
/// The longest wait that we choose ourselves.
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(10);

/// What several accounts met within this time concerns more than an account.
const TOGETHER: TimeDelta = TimeDelta::minutes(1);

/// For whom a call is made.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Caller {
    /// The namespace of the credential.
    pub namespace: String,
    /// The account of the credential, or what stands in for it as long as it is not known.
    pub account: String,
    /// The uid of the credential.
    pub credential: String,
}

/// Whether a call can wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Urgency {
    /// It waits as long as the site rests.
    Routine,
    /// A renewal that is due: a token that expires meanwhile is worth a call more. It waits only for
    /// limits of its own account.
    Renewal,
}

/// The gates of all sites.
pub(super) struct Gates {
    clock: Clock,
    by_site: Mutex<HashMap<String, Arc<Gate>>>,
}

#[derive(Default)]
struct Gate {
    rests: Mutex<Rests>,
}

#[derive(Default)]
struct Rests {
    by_scope: HashMap<Scope, Rest>,
    /// Who met it last that the site limits calls, and who that it does not answer.
    met: Vec<Met>,
}

/// Who waits.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Scope {
    /// An account of a namespace.
    Account(String, String),
    /// Several accounts of one namespace met it.
    Namespace(String),
    /// Accounts of several namespaces met it.
    Site,
}

/// What a caller met.
struct Met {
    when: DateTime<Utc>,
    cause: WaitCause,
    namespace: String,
    /// Limits are those of an account; a lack of an answer is met by each credential.
    who: String,
}

#[derive(Clone, Copy, Default)]
struct Rest {
    wait: Option<SiteWait>,
    /// Waits in a row without an answer between them.
    in_a_row: u32,
}

/// One call.
pub(super) struct Call<'a> {
    gate: Arc<Gate>,
    clock: &'a Clock,
    caller: &'a Caller,
}

impl Gates {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            by_site: Mutex::default(),
        }
    }

    /// Lets a call through.
    ///
    /// # Errors
    /// When the caller has to wait.
    pub(super) fn enter<'a>(
        &'a self,
        site: &Site,
        caller: &'a Caller,
        urgency: Urgency,
    ) -> Result<Call<'a>, Outage> {
        let gate = self.gate(site);
        let now = self.clock.steady();
        let wait = gate.lock().wait(caller, urgency, now);
        match wait {
            Some(wait) => {
                let retry_after = (wait.until - now).to_std().ok();
                Err(match wait.cause {
                    WaitCause::RateLimited => Outage::RateLimited { retry_after },
                    cause @ (WaitCause::Unresponsive | WaitCause::Proxy) => {
                        Outage::Paused { retry_after, cause }
                    }
                })
            }
            None => Ok(Call {
                gate,
                clock: &self.clock,
                caller,
            }),
        }
    }

    /// Whether a caller has to wait at a site.
    pub(super) fn wait(&self, site: &Site, caller: &Caller, urgency: Urgency) -> Option<SiteWait> {
        let gate = self.lock().get(authority(site)).map(Arc::clone)?;
        let now = self.clock.steady();
        let rests = gate.lock();
        let wait = rests.wait(caller, urgency, now)?;
        // Rests are kept in steady time; others reckon in the time of day.
        let until = self.clock.now().checked_add_signed(wait.until - now)?;
        Some(SiteWait { until, ..wait })
    }

    fn gate(&self, site: &Site) -> Arc<Gate> {
        let mut gates = self.lock();
        if let Some(gate) = gates.get(authority(site)) {
            return Arc::clone(gate);
        }
        // Adding a gate removes the unused ones: the map holds only the sites that are called or rest.
        let now = self.clock.steady();
        gates.retain(|_, gate| Arc::strong_count(gate) > 1 || gate.remembers(now));
        let gate = Arc::<Gate>::default();
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
        !rests.by_scope.is_empty() || !rests.met.is_empty()
    }
}

impl Rests {
    /// The longest wait of a caller.
    fn wait(&self, caller: &Caller, urgency: Urgency, now: DateTime<Utc>) -> Option<SiteWait> {
        let scopes = Scope::around(caller);
        let wait = |scope| self.by_scope.get(scope).and_then(|rest| rest.wait);
        scopes
            .iter()
            .filter(|scope| urgency == Urgency::Routine || matches!(scope, Scope::Account(..)))
            .filter_map(wait)
            .filter(|wait| wait.until > now)
            .max_by_key(|wait| wait.until)
    }

    /// Whom it concerns what a caller has just met. A lack of an answer concerns nobody as long as a
    /// single account met it: its own credential backs off anyway.
    fn concerned(&mut self, caller: &Caller, cause: WaitCause, now: DateTime<Utc>) -> Vec<Scope> {
        self.forget(now);
        self.met.push(Met {
            when: now,
            cause,
            namespace: caller.namespace.clone(),
            who: match cause {
                WaitCause::RateLimited => caller.account.clone(),
                WaitCause::Unresponsive | WaitCause::Proxy => caller.credential.clone(),
            },
        });
        let met = self.met.iter().filter(|met| met.cause == cause);
        let all: BTreeSet<_> = met.map(|met| (&met.namespace, &met.who)).collect();
        let here = all
            .iter()
            .filter(|(namespace, _)| **namespace == caller.namespace);
        let mut scopes = Vec::new();
        if cause == WaitCause::RateLimited {
            scopes.push(Scope::of_account(caller));
        }
        if here.clone().count() > 1 {
            scopes.push(Scope::Namespace(caller.namespace.clone()));
        }
        if all.len() > here.count() {
            scopes.push(Scope::Site);
        }
        scopes
    }

    fn rest(
        &mut self,
        scope: Scope,
        cause: WaitCause,
        asked: Option<Duration>,
        now: DateTime<Utc>,
    ) {
        let rest = self.by_scope.entry(scope).or_default();
        // Calls under way together are turned away together: that is one refusal, not four.
        let already = rest.wait.is_some_and(|wait| wait.until > now);
        if !already {
            rest.in_a_row = rest.in_a_row.saturating_add(1);
        }
        let wait = asked
            .and_then(|wait| TimeDelta::from_std(wait).ok())
            .unwrap_or(own_wait(cause, rest.in_a_row));
        let until = now.checked_add_signed(wait);
        let next = until.map(|until| SiteWait { until, cause });
        let longer = |wait: &SiteWait| rest.wait.is_none_or(|known| known.until < wait.until);
        if let Some(next) = next.filter(longer) {
            rest.wait = Some(next);
        }
    }

    fn meet(
        &mut self,
        caller: &Caller,
        cause: WaitCause,
        asked: Option<Duration>,
        now: DateTime<Utc>,
    ) {
        for scope in self.concerned(caller, cause, now) {
            self.rest(scope, cause, asked, now);
        }
    }

    /// How long the last wait was is remembered as long as the longest one.
    fn forget(&mut self, now: DateTime<Utc>) {
        self.met.retain(|met| now - met.when < TOGETHER);
        self.by_scope.retain(|_, rest| {
            rest.wait
                .is_some_and(|wait| now < wait.until + LONGEST_WAIT)
        });
    }
}

impl Scope {
    fn of_account(caller: &Caller) -> Self {
        Self::Account(caller.namespace.clone(), caller.account.clone())
    }

    /// Everything that has a caller wait.
    fn around(caller: &Caller) -> [Self; 3] {
        [
            Self::of_account(caller),
            Self::Namespace(caller.namespace.clone()),
            Self::Site,
        ]
    }
}

impl Call<'_> {
    /// Learns from the outcome of the call.
    pub(super) fn learn(&self, verdict: &Verdict) {
        let now = self.clock.steady();
        let mut rests = self.gate.lock();
        match verdict {
            Verdict::NoVerdict(
                Outage::RateLimited { retry_after } | Outage::Unavailable { retry_after },
            ) => {
                rests.meet(self.caller, WaitCause::RateLimited, *retry_after, now);
            }
            // The proxy is to blame, and not the site. How often wrong credentials are sent is limited in
            // proxy_attempts.
            Verdict::NoVerdict(Outage::Proxy(
                ProxyFault::Unreachable | ProxyFault::Unauthorized { .. },
            )) => {
                rests.meet(self.caller, WaitCause::Proxy, None, now);
            }
            Verdict::NoVerdict(
                Outage::Timeout
                | Outage::Connect
                | Outage::Proxy(ProxyFault::Silent | ProxyFault::Closed | ProxyFault::Failed(_)),
            ) => {
                rests.meet(self.caller, WaitCause::Unresponsive, None, now);
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

fn own_wait(cause: WaitCause, in_a_row: u32) -> TimeDelta {
    let doublings = in_a_row.saturating_sub(1).min(10);
    let first = match cause {
        WaitCause::RateLimited => FIRST_WAIT,
        WaitCause::Unresponsive | WaitCause::Proxy => FIRST_UNRESPONSIVE_WAIT,
    };
    (first * 2_i32.pow(doublings)).min(LONGEST_WAIT)
}

fn authority(site: &Site) -> &str {
    site_key(&site.base, site.hosting)
}

/// Host and port of an address. On Atlassian's gateway, which is the same for all, the id of the site
/// belongs to it: limits are those of a tenant. So does an organisation: its list must not have
/// anybody else wait. The context path of a Data Center is the user's choice, and none of this.
pub fn site_key(base: &str, hosting: Hosting) -> &str {
    let shared = base.contains(GATEWAY_PATH) || base.contains(ADMIN_PATH);
    if shared && hosting == Hosting::Cloud {
        return base;
    }
    let rest = base.strip_prefix("https://").unwrap_or(base);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests;
