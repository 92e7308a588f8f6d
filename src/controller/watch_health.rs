//! Whether a watch works. A quiet cluster shows no events, so only failures tell: a watch that fails is
//! tried again within a minute, and one that works fails rarely.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Failures that lie further apart than this have nothing to do with each other: in between the watch
/// worked. The watch retries after at most 30 s, and a request may take as long.
const SAME_TROUBLE: Duration = Duration::from_secs(90);

/// A watch that has failed for this long is no hiccup.
const TOLERATED: Duration = Duration::from_secs(60);

/// The failures of one watch.
#[derive(Debug, Default)]
pub(super) struct WatchHealth(Mutex<Option<Failures>>);

#[derive(Clone, Copy, Debug)]
struct Failures {
    first: Duration,
    last: Duration,
}

impl WatchHealth {
    /// The watch was refused, or broke. `now` is monotonic.
    pub(super) fn failed(&self, now: Duration) {
        let mut known = self.lock();
        let same = known.filter(|known| now.saturating_sub(known.last) <= SAME_TROUBLE);
        let first = same.map_or(now, |known| known.first);
        *known = Some(Failures { first, last: now });
    }

    /// The watch has shown something.
    pub(super) fn works(&self) {
        *self.lock() = None;
    }

    /// Whether the watch has failed for long, and still does.
    pub(super) fn is_broken(&self, now: Duration) -> bool {
        self.lock().is_some_and(|known| {
            known.last.saturating_sub(known.first) >= TOLERATED
                && now.saturating_sub(known.last) <= SAME_TROUBLE
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_broken_while_it_fails_for_longer_than_a_minute() {
        type Failed<'a> = &'a [u64];
        let table: [(&str, Failed<'_>, u64, bool); 6] = [
            ("never failed", &[], 1000, false),
            ("failed once", &[10], 20, false),
            ("for less than a minute", &[10, 40, 69], 70, false),
            ("for a minute", &[10, 40, 70], 71, true),
            ("it has worked since", &[10, 40, 70], 161, false),
            ("two hiccups", &[10, 101, 192], 193, false),
        ];
        for (name, failed, now, broken) in table {
            let watch = WatchHealth::default();
            for second in failed {
                watch.failed(Duration::from_secs(*second));
            }
            assert_eq!(watch.is_broken(Duration::from_secs(now)), broken, "{name}");
        }
        let watch = WatchHealth::default();
        for second in [10, 40, 70] {
            watch.failed(Duration::from_secs(second));
        }
        watch.works();
        assert!(
            !watch.is_broken(Duration::from_secs(71)),
            "an event ends it"
        );
    }
}
