//! The one place where the time of day is read.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// Tells the time, in whole seconds: the resolution in which Kubernetes stores it. A finer time
/// would differ from what comes back and cause a write on every reconcile.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    standing: Option<Arc<Mutex<DateTime<Utc>>>>,
}

impl Clock {
    /// The time of the machine.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still until it is advanced. Copies share the time.
    pub fn standing_at(now: DateTime<Utc>) -> Self {
        Self {
            standing: Some(Arc::new(Mutex::new(now.trunc_subsecs(0)))),
        }
    }

    /// The present time.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.standing {
            Some(now) => *now.lock().unwrap_or_else(PoisonError::into_inner),
            None => machine_time().trunc_subsecs(0),
        }
    }

    /// Time that only ever grows, from some point in the past: what one has watched oneself is
    /// measured by it, since the clock on the wall may be set.
    pub fn elapsed(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        match &self.standing {
            Some(_) => {
                let seconds = u64::try_from(self.now().timestamp()).unwrap_or_default();
                Duration::from_secs(seconds)
            }
            None => START.elapsed(),
        }
    }

    /// Moves a standing clock; the machine's clock is not ours to move.
    pub fn advance(&self, by: TimeDelta) {
        if let Some(now) = &self.standing {
            let mut now = now.lock().unwrap_or_else(PoisonError::into_inner);
            *now = now.checked_add_signed(by).unwrap_or(*now);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn machine_time() -> DateTime<Utc> {
    Utc::now()
}
