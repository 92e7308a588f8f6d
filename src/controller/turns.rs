//! What a reconcile occupies: a slot while it works, and a turn while it calls Jira.
//!
//! A site that does not answer must hold up nobody else. So a reconcile never has a slot while it
//! waits for its turn or for an answer, and one that would wait long for its first call is put
//! back: it ends without that call, and the operator wakes the credential when it is its turn.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::api::JiraCredential;
use crate::cluster::{Key, Scope};
use crate::controller::config::OperatorConfig;
use crate::controller::fair_share::{Claim, FairShare, Limits, Place, Priority};
use crate::controller::wake::Wake;
use crate::core::decide::{CleanupTask, Step};
use crate::core::facts::Facts;
use crate::core::spec::RenewalKind;
use crate::core::time::later;
use crate::jira::site_key;

/// A reconcile that gets its turn within this time goes on with what it has read; one that does not
/// is put back.
const BRIEF: Duration = Duration::from_secs(1);

/// A new credential that waits for its first turn says so after this time.
const SILENT: Duration = Duration::from_secs(30);

/// A credential that was put back looks again after this time, if nothing wakes it.
const PUT_BACK: TimeDelta = TimeDelta::minutes(5);

/// Calls to Jira at a time, as a multiple of the slots: a call takes longer than the work around it.
const CALLS_PER_SLOT: usize = 4;

/// The slots and turns of all reconciles.
pub(super) struct Capacity {
    slots: Arc<FairShare>,
    calls: Arc<FairShare>,
}

/// What one reconcile occupies.
pub(super) struct Turns<'a> {
    capacity: &'a Capacity,
    key: Key,
    priority: Priority,
    slot: Option<Place>,
    call: Option<Place>,
    has_called: bool,
    is_put_back: bool,
}

impl Capacity {
    pub(super) fn new(config: &OperatorConfig, wake: &Arc<Wake>) -> Self {
        let slots = usize::from(config.max_concurrent_reconciles).max(1);
        let calls = slots * CALLS_PER_SLOT;
        let at_site = config.max_concurrent_calls_per_site.max(1);
        // The only namespace shares with nobody.
        let scopes = Scope::of(&config.watch_namespaces);
        let is_shared = !matches!(scopes.as_slice(), [Scope::Namespace(_)]);
        let left = |part: usize| if is_shared { part } else { 0 };
        let of_slots = Limits {
            total: slots,
            reserve: left(slots.div_ceil(4)).min(slots - 1),
            namespace: slots,
            site: slots,
            site_reserve: 0,
        };
        let of_calls = Limits {
            total: calls,
            reserve: left(calls / 4),
            namespace: if is_shared { calls / 4 } else { calls },
            site: at_site,
            site_reserve: left(at_site.div_ceil(4)).min(at_site - 1),
        };
        Self {
            slots: FairShare::new(of_slots, Arc::clone(wake)),
            calls: FairShare::new(of_calls, Arc::clone(wake)),
        }
    }

    /// Begins a reconcile, if there is a slot for it. One that does nothing before its first call to
    /// `first_site` begins only when there is a turn for that call, too: what waits has read nothing.
    ///
    /// # Errors
    /// When there is neither: the credential is woken when there is, and looks again after the time.
    pub(super) async fn begin(
        &self,
        key: Key,
        priority: Priority,
        first_site: Option<&str>,
    ) -> Result<Turns<'_>, Option<Duration>> {
        let of_slot = Claim {
            namespace: Arc::clone(&key.namespace),
            site: None,
            priority,
        };
        let (slot, call) = if let Some(call) = self.calls.take_kept(&key) {
            let nearly_there = Claim {
                priority: priority.min(Priority::Resumed),
                ..of_slot
            };
            (self.slots.enter(nearly_there).await, Some(call))
        } else {
            let slot = self.slots.enter_or_line_up(&key, &of_slot).ok_or(None)?;
            // Who has waited for so long without a word says in its status that it waits.
            let site = first_site.filter(|_| !self.calls.is_lined_up(&key));
            let turn = |site: &str| {
                let claim = Claim {
                    site: Some(site.into()),
                    ..of_slot.clone()
                };
                let place = self.calls.enter_or_line_up(&key, &claim);
                place.ok_or(Some(SILENT))
            };
            (slot, site.map(turn).transpose()?)
        };
        Ok(Turns {
            capacity: self,
            key,
            priority,
            slot: Some(slot),
            call,
            has_called: false,
            is_put_back: false,
        })
    }

    /// A slot for work that is no reconcile.
    pub(super) async fn slot(&self, namespace: &Arc<str>) -> Place {
        let claim = Claim {
            namespace: Arc::clone(namespace),
            site: None,
            priority: Priority::Routine,
        };
        self.slots.enter(claim).await
    }

    /// Gives up what is kept for a credential that is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.slots.leave(key);
        self.calls.leave(key);
    }
}

impl Turns<'_> {
    /// Takes a turn at a site, without a slot while it waits. Without a turn the reconcile is put
    /// back.
    async fn take(&mut self, site: &str) -> bool {
        let claim = Claim {
            namespace: Arc::clone(&self.key.namespace),
            site: Some(site.into()),
            priority: match self.priority {
                Priority::Renewal => Priority::Renewal,
                Priority::Resumed | Priority::Routine if self.has_called => Priority::Resumed,
                Priority::Resumed | Priority::Routine => Priority::Routine,
            },
        };
        let is_ours = |held: &Claim| held.site == claim.site && held.renews() == claim.renews();
        if self.call.as_ref().is_some_and(|held| is_ours(held.claim())) {
            return true;
        }
        self.call = None;
        let place = if self.has_called || self.is_put_back {
            Some(self.wait_for(&claim).await)
        } else {
            self.take_first(&claim).await
        };
        self.is_put_back = place.is_none();
        self.call = place;
        self.call.is_some()
    }

    /// A reconcile that has an answer of Jira is not put back: the answer would be lost. Nor is one
    /// twice, whose renewal cannot wait.
    async fn wait_for(&mut self, claim: &Claim) -> Place {
        let calls = &self.capacity.calls;
        calls.leave(&self.key);
        if let Some(place) = calls.try_enter(claim) {
            return place;
        }
        self.slot = None;
        calls.enter(claim.clone()).await
    }

    async fn take_first(&mut self, claim: &Claim) -> Option<Place> {
        let calls = &self.capacity.calls;
        let waits = calls.is_lined_up(&self.key);
        if let Some(place) = calls.enter_or_line_up(&self.key, claim) {
            return Some(place);
        }
        if waits {
            return None;
        }
        calls.leave(&self.key);
        self.slot = None;
        match tokio::time::timeout(BRIEF, calls.enter(claim.clone())).await {
            Ok(place) => Some(place),
            Err(_) => calls.enter_or_line_up(&self.key, claim),
        }
    }

    /// Takes a slot again, before all that have not begun.
    pub(super) async fn resume(&mut self) {
        if self.slot.is_none() {
            let claim = Claim {
                namespace: Arc::clone(&self.key.namespace),
                site: None,
                priority: self.priority.min(Priority::Resumed),
            };
            self.slot = Some(self.capacity.slots.enter(claim).await);
        }
    }

    /// No step is left that calls Jira.
    pub(super) fn end_calls(&mut self) {
        self.call = None;
    }

    /// Gets ready for a step: with a slot if it works on the cluster, with a turn if it calls Jira
    /// or leads to a call. `false`: the facts say now why the step has to wait.
    pub(super) async fn prepare(&mut self, step: &Step, facts: &mut Facts) -> bool {
        let Some(site) = site_of(step, facts) else {
            self.call = None;
            self.resume().await;
            return true;
        };
        if matches!(step, Step::Intend(_) | Step::Renew(_)) {
            self.priority = Priority::Renewal;
        }
        if !self.take(&site).await {
            facts.progress.queued_until = Some(later(facts.now, PUT_BACK));
            self.resume().await;
            return false;
        }
        facts.progress.queued_until = None;
        if calls_jira(step) {
            self.slot = None;
            self.has_called = true;
        } else {
            self.resume().await;
        }
        true
    }
}

impl Drop for Turns<'_> {
    fn drop(&mut self) {
        // What was kept for this reconcile and not used is for others.
        if !self.is_put_back {
            self.capacity.calls.leave(&self.key);
        }
    }
}

/// Who comes first: a renewal that is due.
pub(super) fn priority_of(object: &JiraCredential, now: DateTime<Utc>) -> Priority {
    let status = object.status.as_ref();
    let renewal = status.and_then(|status| status.next_renewal_time);
    if renewal.is_some_and(|time| time <= now) {
        Priority::Renewal
    } else {
        Priority::Routine
    }
}

/// Whether a step calls Jira: it takes as long as Jira takes.
fn calls_jira(step: &Step) -> bool {
    match step {
        Step::Validate
        | Step::Renew(_)
        | Step::ResolveCloudId
        | Step::ListSites
        | Step::ValidateCandidate
        | Step::LookUp
        | Step::Permissions
        | Step::Cleanup(CleanupTask::Revoke | CleanupTask::FindTokenId) => true,
        Step::RecordAttempt(_)
        | Step::Publish(_)
        | Step::Restart(_)
        | Step::DeleteTarget(_)
        | Step::ImportToken
        | Step::CheckDuplicate
        | Step::Intend(_)
        | Step::Promote
        | Step::Cleanup(CleanupTask::ConfirmRollout) => false,
    }
}

/// Which site a step calls, or leads to a call of: what is written down before a call must be
/// followed by it at once.
fn site_of(step: &Step, facts: &Facts) -> Option<String> {
    let plan = facts.plan.as_ref().ok()?;
    let own = || Some(site_key(&plan.site.base, plan.site.hosting).to_owned());
    match step {
        Step::Intend(_) | Step::Renew(_) => match facts.renewal_plan() {
            Some(renewal) => match renewal.kind {
                RenewalKind::Refresh | RenewalKind::ClientCredentials => {
                    Some(site_key(&renewal.client.endpoint, renewal.hosting()).to_owned())
                }
                RenewalKind::Successor | RenewalKind::Login => own(),
            },
            None => own(),
        },
        Step::RecordAttempt(_) | Step::Validate | Step::Permissions | Step::ValidateCandidate => {
            let site = facts.probe_site();
            site.map(|site| site_key(&site.base, site.hosting).to_owned())
        }
        Step::ListSites => {
            let gateway = facts.gateway()?;
            Some(site_key(gateway, plan.site.hosting).to_owned())
        }
        // Each organisation has limits of its own.
        Step::LookUp => facts
            .spec
            .expiry_lookup
            .as_ref()
            .map(|lookup| format!("organization {}", lookup.organization_id)),
        Step::ResolveCloudId | Step::Cleanup(CleanupTask::Revoke | CleanupTask::FindTokenId) => {
            own()
        }
        Step::Publish(_)
        | Step::Restart(_)
        | Step::DeleteTarget(_)
        | Step::ImportToken
        | Step::CheckDuplicate
        | Step::Promote
        | Step::Cleanup(CleanupTask::ConfirmRollout) => None,
    }
}
