//! The one place where the time of day is read.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// Tells the time, in whole seconds: the resolution in which Kubernetes stores it. A finer time
/// would differ from what comes back and cause a write on every reconcile.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    standing: Option<Arc<Mutex<Standing>>>,
}

/// The two times of a clock that stands still.
#[derive(Clone, Copy, Debug)]
struct Standing {
    wall: DateTime<Utc>,
    elapsed: Duration,
}

impl Clock {
    /// The time of the machine.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still until it is advanced. Copies share the time.
    pub fn standing_at(now: DateTime<Utc>) -> Self {
        let wall = now.trunc_subsecs(0);
        let seconds = u64::try_from(wall.timestamp()).unwrap_or_default();
        let standing = Standing {
            wall,
            elapsed: Duration::from_secs(seconds),
        };
        Self {
            standing: Some(Arc::new(Mutex::new(standing))),
        }
    }

    /// The present time.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.standing {
            Some(standing) => read(standing).wall,
            None => machine_time().trunc_subsecs(0),
        }
    }

    /// Time that only ever grows, from some point in the past: what one has watched oneself is
    /// measured by it, since the clock on the wall may be set.
    pub fn elapsed(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        match &self.standing {
            Some(standing) => read(standing).elapsed,
            None => START.elapsed(),
        }
    }

    /// The same as a point in time, for what rests for a while: it has nothing to do with the time of
    /// day, and does not move when the clock on the wall is set.
    pub fn steady(&self) -> DateTime<Utc> {
        let elapsed = TimeDelta::from_std(self.elapsed()).unwrap_or_default();
        DateTime::UNIX_EPOCH
            .checked_add_signed(elapsed)
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Moves a standing clock; the machine's clock is not ours to move.
    pub fn advance(&self, by: TimeDelta) {
        if let Some(standing) = &self.standing {
            let mut standing = standing.lock().unwrap_or_else(PoisonError::into_inner);
            standing.elapsed += by.to_std().unwrap_or_default();
        }
        self.set(by);
    }

    /// Sets a standing clock on the wall forward or back. No time passes.
    pub fn set(&self, by: TimeDelta) {
        if let Some(standing) = &self.standing {
            let mut standing = standing.lock().unwrap_or_else(PoisonError::into_inner);
            let wall = standing.wall.checked_add_signed(by);
            standing.wall = wall.unwrap_or(standing.wall);
        }
    }
}

fn read(standing: &Mutex<Standing>) -> Standing {
    *standing.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn machine_time() -> DateTime<Utc> {
    Utc::now()
}
