//! When the workloads of `spec.restart` are restarted: in batches, so that not everything rolls out at once,
//! but early enough for the last rollout to end while the credential before still works.
//!
//! The process remembers how far it is. The next process begins with the first batch, which changes nothing
//! on workloads that have the revision.

use chrono::{DateTime, TimeDelta, Utc};

use crate::api::{ConditionStatus, ConditionType, Workload};
use crate::core::facts::Facts;
use crate::core::facts::process::TimeScale;
use crate::core::facts::types::Restarted;
use crate::core::time::{IDLE_LIVES, earlier, later};

/// At most so many workloads are restarted together.
pub const BATCH: usize = 4;

/// The next batch begins after this time.
pub const PAUSE: TimeDelta = TimeDelta::minutes(1);

/// How long an access token of Cloud works at most after its refresh token was used.
const OLD_TOKEN_WORKS: TimeDelta = TimeDelta::minutes(10);

/// The restarts for one change, as this process remembers them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Batches {
    /// What the annotation of the pod templates says.
    pub revision: String,
    /// The recorded revision when they began: once another is recorded, they are over.
    pub before: Option<String>,
    /// Fingerprint of the credential that they are for.
    pub print: String,
    /// When the first batch began.
    pub first: DateTime<Utc>,
    /// When the last one began.
    pub last: DateTime<Utc>,
    /// What became of the workloads so far.
    pub tried: Vec<(Workload, Restarted)>,
    /// Targets that did not hold the credential at one of the batches.
    pub behind: Vec<String>,
}

impl Facts {
    /// Adds what this process remembers. To be called once, before anything is decided.
    pub fn recall_batches(&mut self, remembered: Option<Batches>) {
        let recorded = self.status.restart.as_ref();
        let is_current = |batches: &Batches| {
            recorded.is_some_and(|recorded| recorded.revision == batches.before)
        };
        self.batches = remembered.filter(is_current);
    }

    /// What is remembered of the restarts for this revision.
    pub fn batches_of(&self, revision: &str) -> Option<&Batches> {
        let batches = self.batches.as_ref();
        batches.filter(|batches| batches.revision == revision)
    }

    /// Whether a workload may be restarted now.
    pub fn has_batch(&self, revision: &str) -> bool {
        let together = self.progress.restarts.len();
        let next = self.next_batch(revision);
        (1..BATCH).contains(&together) || next.is_none_or(|time| time <= self.now)
    }

    /// When the next batch begins; `None` before the first one.
    pub fn next_batch(&self, revision: &str) -> Option<DateTime<Utc>> {
        let batches = self.batches_of(revision);
        let began_now = (!self.progress.restarts.is_empty()).then_some(self.now);
        let last = began_now.or(batches.map(|batches| batches.last))?;
        // The clock was ahead.
        if last > self.now {
            return Some(self.now);
        }
        let first = batches.map_or(self.now, |batches| batches.first);
        let next = later(last, self.pace().of(PAUSE));
        Some(self.last_begin(first).map_or(next, |end| end.min(next)))
    }

    /// When the last batch begins at the latest; `None` if the credential before works until it is ended.
    fn last_begin(&self, first: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.was_not_valid() {
            return Some(first);
        }
        let plan = self.renewal_plan().filter(|plan| !plan.is_kept())?;
        if !plan.has_leeway() {
            return Some(first);
        }
        let used = self.status.grant.as_ref().and_then(|grant| {
            let idle = grant.idle_expires_at.filter(|_| plan.spends())?;
            Some(earlier(idle, IDLE_LIVES))
        });
        let began = used.unwrap_or(first);
        let works = self.pace().of(OLD_TOKEN_WORKS);
        // It may end by itself before.
        let works = self.status.expires_at.map_or(works, |end| {
            let life = (end - began).max(TimeDelta::zero());
            works.min(plan.renewed_before(life)).min(life / 2)
        });
        Some(later(began, works * 2 / 5))
    }

    /// Whether the credential before was not known to work when this one was accepted: what uses it fails.
    fn was_not_valid(&self) -> bool {
        let valid = self.status.condition(ConditionType::Valid);
        valid.is_some_and(|valid| {
            valid.status == ConditionStatus::True
                && Some(valid.last_transition_time) == self.status.last_validated_time
        })
    }

    fn pace(&self) -> TimeScale {
        let renewal = self.renewal.as_ref();
        renewal.map_or_else(TimeScale::default, |renewal| renewal.time_scale)
    }
}
