//! Which credentials this process serves. It watches all of them, so that what one credential means for
//! another is known across shards; it acts on those of its shard.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use kube::api::ObjectMeta;

use crate::cluster::{Key, Shard};
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

    /// This process begins to act, and the status of this credential has a password that was sent and not answered.
    /// A process that started after the label was changed cannot know whether another shard sent it.
    pub(super) fn may_have_arrived(&self, key: &Key, now: Duration) {
        let mut known = self.lock();
        if self.shard.is_some() && !known.foreign.contains(key) {
            known.arrived.insert(key.clone(), now);
        }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn labelled(shard: &str) -> ObjectMeta {
        ObjectMeta {
            labels: Some(BTreeMap::from([("shard".to_owned(), shard.to_owned())])),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn what_comes_from_another_shard_waits_and_what_is_new_does_not() {
        let shard = Shard::new("shard=a".parse().unwrap());
        let mine = Membership::of(Some(shard), TimeScale(1));
        let key = Key::new("team", "bot");
        let at = Duration::from_secs;
        assert!(!mine.note(&key, &labelled("a"), at(0)));
        assert_eq!(mine.served(&key, at(0)), Served::Here);
        assert!(mine.note(&key, &labelled("b"), at(1)));
        assert_eq!(mine.served(&key, at(100)), Served::Elsewhere);
        assert!(!mine.note(&key, &labelled("a"), at(100)));
        assert!(!mine.note(&key, &labelled("a"), at(130)));
        assert_eq!(mine.served(&key, at(130)), Served::In(at(30)));
        assert_eq!(mine.served(&key, at(160)), Served::Here);
        // Deleted and made again, it comes from nowhere.
        mine.note(&key, &labelled("b"), at(200));
        mine.forget(&key);
        mine.note(&key, &labelled("a"), at(201));
        assert_eq!(mine.served(&key, at(201)), Served::Here);
        assert!(mine.note(&key, &ObjectMeta::default(), at(202)));
    }

    #[test]
    fn what_may_have_been_begun_elsewhere_waits_when_this_process_begins() {
        let at = Duration::from_secs;
        let (key, other) = (Key::new("team", "bot"), Key::new("team", "other"));
        let mine = Membership::of(Some(Shard::new("shard=a".parse().unwrap())), TimeScale(1));
        mine.note(&key, &labelled("a"), at(0));
        mine.note(&other, &labelled("b"), at(0));
        mine.may_have_arrived(&key, at(10));
        mine.may_have_arrived(&other, at(10));
        assert_eq!(mine.served(&key, at(20)), Served::In(at(50)));
        assert_eq!(mine.served(&key, at(70)), Served::Here);
        assert_eq!(mine.served(&other, at(20)), Served::Elsewhere);
        let all = Membership::of(None, TimeScale(1));
        all.may_have_arrived(&key, at(10));
        assert_eq!(all.served(&key, at(10)), Served::Here);
    }

    #[test]
    fn without_a_selector_everything_is_served() {
        let all = Membership::of(None, TimeScale(1));
        let key = Key::new("team", "bot");
        assert!(!all.is_partial() && !all.note(&key, &labelled("b"), Duration::ZERO));
        assert_eq!(all.served(&key, Duration::ZERO), Served::Here);
    }
}
