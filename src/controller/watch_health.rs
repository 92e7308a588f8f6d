//! Whether a watch works. A quiet cluster shows no events, so only failures tell: a watch that fails is
//! tried again within a minute, and one that works fails rarely.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::cluster::Scope;

/// Failures that lie further apart than this have nothing to do with each other: in between the watch
/// worked. The watch retries after at most 30 s, and a request may take as long.
const SAME_TROUBLE: Duration = Duration::from_secs(90);

/// A watch that has failed for this long is no hiccup.
const TOLERATED: Duration = Duration::from_secs(60);

/// The watches on one kind of objects, one for each scope.
#[derive(Debug)]
pub(super) struct Watches {
    kind: &'static str,
    health: Vec<(Scope, WatchHealth)>,
}

impl Watches {
    pub(super) fn over(kind: &'static str, scopes: &[Scope]) -> Self {
        let health = scopes.iter().cloned();
        Self {
            kind,
            health: health
                .map(|scope| (scope, WatchHealth::default()))
                .collect(),
        }
    }

    /// What is watched.
    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    /// The watch of a scope was refused, or broke. `during`: since when nothing was heard, and now, by a
    /// monotonic clock. `refusal` is set when the API server denied the right.
    pub(super) fn failed(&self, scope: &Scope, during: Range<Duration>, refusal: Option<String>) {
        if let Some(health) = self.of(scope) {
            health.failed(during, refusal);
        }
    }

    /// The watch of a scope has shown something.
    pub(super) fn works(&self, scope: &Scope) {
        if let Some(health) = self.of(scope) {
            health.works();
        }
    }

    /// Why the API server refused the watch of a scope when it failed last.
    pub(super) fn refusal(&self, scope: &Scope) -> Option<String> {
        self.of(scope)?.refusal()
    }

    /// The first watch that has failed for long, and still does.
    pub(super) fn broken(&self, now: Duration) -> Option<String> {
        let mut all = self.health.iter();
        let (scope, _) = all.find(|(_, health)| health.is_broken(now))?;
        Some(format!("{}{scope}", self.kind))
    }

    fn of(&self, scope: &Scope) -> Option<&WatchHealth> {
        let mut all = self.health.iter();
        all.find(|(mine, _)| mine == scope)
            .map(|(_, health)| health)
    }
}

/// The failures of one watch.
#[derive(Debug, Default)]
struct WatchHealth(Mutex<Option<Failures>>);

#[derive(Clone, Debug)]
struct Failures {
    first: Duration,
    last: Duration,
    /// When the next failure is noticed at the latest, if this one goes on.
    next: Duration,
    refusal: Option<String>,
}

impl WatchHealth {
    fn failed(&self, during: Range<Duration>, refusal: Option<String>) {
        let Range { start, end } = during;
        let mut known = self.lock();
        let same = known
            .as_ref()
            .filter(|known| start.saturating_sub(known.last) <= SAME_TROUBLE);
        *known = Some(Failures {
            first: same.map_or(start, |known| known.first),
            last: end,
            next: end + SAME_TROUBLE + end.saturating_sub(start),
            refusal,
        });
    }

    fn works(&self) {
        *self.lock() = None;
    }

    fn refusal(&self) -> Option<String> {
        self.lock().as_ref()?.refusal.clone()
    }

    fn is_broken(&self, now: Duration) -> bool {
        self.lock().as_ref().is_some_and(|known| {
            known.last.saturating_sub(known.first) >= TOLERATED && now <= known.next
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A failure without a wait for it.
    fn at(second: u64) -> Range<Duration> {
        Duration::from_secs(second)..Duration::from_secs(second)
    }

    #[test]
    fn an_api_server_that_says_nothing_breaks_a_watch_until_it_answers() {
        let watch = WatchHealth::default();
        let silent = |second: u64| Duration::from_secs(second - 215)..Duration::from_secs(second);
        watch.failed(silent(1000), None);
        for (now, broken) in [(1000, true), (1300, true), (1310, false)] {
            assert_eq!(watch.is_broken(Duration::from_secs(now)), broken, "{now}");
        }
        watch.failed(silent(1245), None);
        assert!(watch.is_broken(Duration::from_secs(1500)));
        watch.works();
        assert!(!watch.is_broken(Duration::from_secs(1246)));
    }

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
                watch.failed(at(*second), None);
            }
            assert_eq!(watch.is_broken(Duration::from_secs(now)), broken, "{name}");
        }
        let watch = WatchHealth::default();
        for second in [10, 40, 70] {
            watch.failed(at(second), None);
        }
        watch.works();
        assert!(
            !watch.is_broken(Duration::from_secs(71)),
            "an event ends it"
        );
    }

    #[test]
    fn the_watch_of_each_namespace_is_judged_by_itself() {
        let scopes = Scope::of(&["a", "b"].map(str::to_owned));
        let watches = Watches::over("Secrets", &scopes);
        let (first, second) = (scopes.first().unwrap(), scopes.last().unwrap());
        for second in [10, 40, 70] {
            let refusal = Some("no right".to_owned());
            watches.failed(first, at(second), refusal);
        }
        watches.works(second);
        let now = Duration::from_secs(71);
        let broken = watches.broken(now);
        assert_eq!(broken.as_deref(), Some("Secrets in the namespace a"));
        assert_eq!(watches.refusal(first).as_deref(), Some("no right"));
        assert_eq!(watches.refusal(second), None);
        watches.works(first);
        assert_eq!((watches.broken(now), watches.refusal(first)), (None, None));
    }
}
