//! When a reconcile that failed is repeated. Each credential waits longer from failure to failure,
//! and all of them together come back at a bounded rate: an API server that returns from an outage
//! must not be met by everybody at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::cluster::{ClusterError, Key};
use crate::core::time::jitter;

/// The wait after the first failure. It doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(2);

/// No credential waits longer for its own next attempt, apart from the brake and the spread.
const LONGEST: Duration = Duration::from_secs(120);

/// The wait after the API server refused a right: only an administrator can help.
const REFUSED: Duration = Duration::from_secs(300);

/// At most one credential in this time is repeated because the API server did not answer: 50 a
/// second.
const BETWEEN: Duration = Duration::from_millis(20);

/// The failures of all credentials.
#[derive(Default)]
pub(super) struct Retries(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    failures: HashMap<Key, u32>,
    promised: Promised,
}

/// The times at which a repetition takes place, counted in units of [`BETWEEN`]: begins of runs without a
/// gap, and their ends.
#[derive(Default)]
struct Promised(BTreeMap<u128, u128>);

impl Promised {
    /// Takes the first free time that is not earlier than `wanted`.
    fn take(&mut self, wanted: Duration, now: Duration) -> Duration {
        let over = unit(now);
        self.0.retain(|_, end| *end > over);
        let wanted = unit(wanted);
        let before = self.0.range(..=wanted).next_back();
        let (begin, free) = match before {
            Some((begin, end)) if *end >= wanted => (*begin, *end),
            _ => (wanted, wanted),
        };
        // The run that this one grows into becomes part of it.
        let end = self.0.remove(&(free + 1)).unwrap_or(free + 1);
        self.0.insert(begin, end);
        BETWEEN.saturating_mul(u32::try_from(free).unwrap_or(u32::MAX))
    }
}

fn unit(time: Duration) -> u128 {
    time.as_millis().div_ceil(BETWEEN.as_millis())
}

impl Retries {
    /// How long a credential waits after a failure. `now` is monotonic.
    pub(super) fn wait(
        &self,
        key: &Key,
        uid: &str,
        error: &ClusterError,
        now: Duration,
    ) -> Duration {
        if error.is_refusal() {
            return REFUSED + spread(uid, FIRST);
        }
        let mut inner = self.lock();
        let failures = inner.failures.entry(key.clone()).or_default();
        let wait = FIRST.saturating_mul(1 << (*failures).min(10)).min(LONGEST);
        *failures = failures.saturating_add(1);
        let wait = wait + spread(uid, wait);
        if !error.is_silence() {
            return wait;
        }
        let turn = inner.promised.take(now + wait, now);
        turn.saturating_sub(now)
    }

    /// A reconcile has succeeded, or the credential is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.lock().failures.remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn spread(uid: &str, most: Duration) -> Duration {
    let most = chrono::TimeDelta::from_std(most).unwrap_or_default();
    jitter(uid, most).to_std().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::{BTreeMap, BinaryHeap};

    use super::*;

    fn silence() -> ClusterError {
        ClusterError::Unavailable("connection refused".to_owned())
    }

    #[test]
    fn a_credential_waits_longer_from_failure_to_failure_and_anew_after_a_success() {
        let (retries, key) = (Retries::default(), Key::new("team", "bot"));
        let mut now = Duration::ZERO;
        let mut next = |error: &ClusterError| {
            let wait = retries.wait(&key, "uid", error, now);
            now += wait;
            wait.as_secs()
        };
        for least in [2, 4, 8, 16, 32, 64, 120, 120] {
            let wait = next(&silence());
            assert!((least..2 * least).contains(&wait), "{least}: {wait}");
        }
        retries.forget(&key);
        assert!((2..4).contains(&next(&silence())));
        let refused = ClusterError::Refused("no".to_owned());
        assert!((300..302).contains(&next(&refused)));
    }

    #[test]
    fn one_that_fails_for_long_holds_up_no_other() {
        let retries = Retries::default();
        let mut now = Duration::ZERO;
        for _ in 0..10 {
            let wait = retries.wait(&Key::new("team-a", "bad"), "bad", &silence(), now);
            let other = retries.wait(&Key::new("team-b", "good"), "good", &silence(), now);
            assert!(other < Duration::from_secs(5), "{other:?}");
            retries.forget(&Key::new("team-b", "good"));
            now += wait;
        }
        assert!(now > Duration::from_secs(600));
    }

    #[test]
    fn each_time_is_promised_once() {
        let mut promised = Promised::default();
        let now = Duration::ZERO;
        let mut taken = std::collections::BTreeSet::new();
        for step in [5, 5, 7, 6, 5, 100, 7, 99, 98, 98, 0, 5] {
            let wanted = BETWEEN * step;
            let time = promised.take(wanted, now);
            assert!(time >= wanted && taken.insert(time), "{step}: {time:?}");
        }
        let steps = taken
            .iter()
            .map(|time| time.as_millis() / BETWEEN.as_millis());
        let steps: Vec<u128> = steps.collect();
        assert_eq!(steps, [0, 5, 6, 7, 8, 9, 10, 11, 98, 99, 100, 101]);
        assert_eq!(promised.0.len(), 3, "{:?}", promised.0);
        promised.take(BETWEEN * 200, BETWEEN * 150);
        assert_eq!(promised.0.len(), 1, "{:?}", promised.0);
    }

    /// 10,000 credentials, and an API server that is away for half an hour.
    #[test]
    fn an_api_server_that_returns_is_not_met_by_everybody_at_once() {
        let retries = Retries::default();
        let back = Duration::from_secs(1800);
        let mut queue: BinaryHeap<Reverse<(Duration, usize)>> =
            (0..10_000).map(|n| Reverse((Duration::ZERO, n))).collect();
        let mut started: BTreeMap<u64, usize> = BTreeMap::new();
        let mut recovered = Duration::ZERO;
        while let Some(Reverse((now, n))) = queue.pop() {
            *started.entry(now.as_secs()).or_default() += 1;
            if now >= back {
                recovered = now;
                continue;
            }
            let (key, uid) = (Key::new("team", &format!("bot-{n}")), format!("uid-{n}"));
            let wait = retries.wait(&key, &uid, &silence(), now);
            queue.push(Reverse((now + wait, n)));
        }
        let busiest = started.range(1..).map(|(_, count)| *count).max();
        assert!(busiest <= Some(51), "{busiest:?} in one second");
        let all_back = recovered.saturating_sub(back);
        println!("busiest second: {busiest:?}; all are back after {all_back:?}");
        assert!(all_back <= Duration::from_secs(300), "{all_back:?}");
    }
}
