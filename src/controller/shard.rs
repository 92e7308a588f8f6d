//! Which credentials this process serves. It watches all of them, so that what one credential means for
//! another is known across shards; it acts on those of its shard.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use kube::api::ObjectMeta;

use crate::api::JiraCredential;
use crate::cluster::{Key, Shard, key_of};
use crate::controller::Operator;
use crate::core::facts::TimeScale;

/// A credential that comes from another shard is left alone for this long: the operator there sees the label
/// by then, and has ended what it had begun. The protocol of renewals does not depend on that.
const HANDOVER: TimeDelta = TimeDelta::seconds(60);

/// The credentials of other shards, and those that came from there.
#[derive(Debug)]
pub(super) struct Membership {
    shard: Option<Shard>,
    handover: Duration,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    foreign: HashSet<Key>,
    /// Since when, by the clock of the process.
    arrived: HashMap<Key, Duration>,
}

/// What a credential is to this process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Served {
    /// It is its own.
    Here,
    /// It is its own in a while.
    In(Duration),
    /// It is another's, or nobody's.
    Elsewhere,
}

impl Membership {
    pub(super) fn of(shard: Option<Shard>, time_scale: TimeScale) -> Self {
        Self {
            shard,
            handover: time_scale.of(HANDOVER).to_std().unwrap_or_default(),
            known: Mutex::default(),
        }
    }

    /// Whether other operators serve other credentials of the cluster.
    pub(super) fn is_partial(&self) -> bool {
        self.shard.is_some()
    }

    pub(super) fn shard(&self) -> Option<&Shard> {
        self.shard.as_ref()
    }

    /// Learns the labels of a credential. Returns whether it is of another shard.
    pub(super) fn note(&self, key: &Key, metadata: &ObjectMeta, now: Duration) -> bool {
        let Some(shard) = &self.shard else {
            return false;
        };
        let mut known = self.lock();
        if !shard.selector().matches(metadata.labels.as_ref()) {
            known.arrived.remove(key);
            known.foreign.insert(key.clone());
            return true;
        }
        if known.foreign.remove(key) {
            known.arrived.insert(key.clone(), now);
        }
        false
    }

    pub(super) fn forget(&self, key: &Key) {
        let mut known = self.lock();
        known.foreign.remove(key);
        known.arrived.remove(key);
    }

    /// What a credential is to this process, by the labels that the watch has shown last.
    pub(super) fn served(&self, key: &Key, now: Duration) -> Served {
        if self.shard.is_none() {
            return Served::Here;
        }
        let mut known = self.lock();
        if known.foreign.contains(key) {
            return Served::Elsewhere;
        }
        let since = known.arrived.get(key).copied();
        let left = since.map(|since| (since + self.handover).saturating_sub(now));
        match left {
            Some(left) if left > Duration::ZERO => Served::In(left),
            Some(_) => {
                known.arrived.remove(key);
                Served::Here
            }
            None => Served::Here,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Operator {
    /// Whether a credential is served by another operator, or by none: by its labels here, and as the watch has
    /// shown them last.
    pub(super) fn is_elsewhere(&self, object: &JiraCredential) -> bool {
        let Some(shard) = self.membership.shard() else {
            return false;
        };
        let labels = object.metadata.labels.as_ref();
        let is_watched = self
            .membership
            .served(&key_of(object), self.clock.elapsed());
        // What the watch keeps has its labels, and so has what is read.
        !shard.selector().matches(labels) || is_watched == Served::Elsewhere
    }
}
