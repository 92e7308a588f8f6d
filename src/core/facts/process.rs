//! The process that decides, what it has seen of others, and how fast its clocks run.

use std::time::Duration;

use chrono::TimeDelta;

use crate::core::grant::Holder;

/// A process of the operator.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// How an intent of this process is signed.
    pub holder: Holder,
    /// Whether the attempt of the intent is running in this process.
    pub running: bool,
    /// How long this process has seen the same intent.
    pub seen_for: TimeDelta,
    /// Whether it is the elected leader; `None` without an election.
    pub leads: Option<bool>,
    /// Whether it was asked to stop: no renewal starts any more.
    pub stopping: bool,
}

/// Who looks less often than this has not watched: the holder of an intent may have had no API
/// server to store its answer in, just as the watcher had none to look at.
const LONGEST_GAP: TimeDelta = TimeDelta::minutes(3);

/// Reconciles lie a second apart or more, however fast the protocol's clocks run.
const SHORTEST_GAP: TimeDelta = TimeDelta::seconds(5);

/// An intent under the eyes of a process, by the process's own clock.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Watched {
    attempt: String,
    since: Duration,
    last: Duration,
}

impl Watched {
    /// Looks at an intent, which may be the one that was seen `before`.
    pub fn look(
        before: Option<&Self>,
        attempt: &str,
        now: Duration,
        time_scale: TimeScale,
    ) -> Self {
        let gap = time_scale.of(LONGEST_GAP).max(SHORTEST_GAP);
        let gap = gap.to_std().unwrap_or_default();
        let same = before.filter(|seen| seen.attempt == attempt);
        let watched = same.filter(|seen| now.saturating_sub(seen.last) <= gap);
        Self {
            attempt: attempt.to_owned(),
            since: watched.map_or(now, |seen| seen.since),
            last: now,
        }
    }

    /// The attempt of the intent.
    pub fn attempt(&self) -> &str {
        &self.attempt
    }

    /// For how long it was watched without a gap.
    pub fn seen_for(&self) -> TimeDelta {
        TimeDelta::from_std(self.last.saturating_sub(self.since)).unwrap_or_default()
    }
}

/// The protocol's own waits, all divided by one number: a test runs it against a simulator whose
/// lifetimes are divided alike.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TimeScale(pub i32);

impl Default for TimeScale {
    fn default() -> Self {
        Self(1)
    }
}

impl TimeScale {
    /// A wait at this pace.
    pub fn of(self, wait: TimeDelta) -> TimeDelta {
        wait / self.0.max(1)
    }
}
