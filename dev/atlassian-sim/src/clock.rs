//! The simulator's one clock: real by default, but it can be frozen, set and advanced.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// A clock whose time a test can move.
///
/// Expiry of tokens, `Retry-After`, dates in answers and the call log follow it. Real delays
/// (latency faults, slow bodies) do not: a client waits for those in its own time.
#[derive(Debug, Clone, Default)]
pub struct VirtualClock(Arc<Mutex<Mode>>);

#[derive(Debug, Clone, Copy)]
enum Mode {
    Running { offset: TimeDelta },
    Frozen { at: DateTime<Utc> },
}

impl Default for Mode {
    fn default() -> Self {
        Self::Running {
            offset: TimeDelta::zero(),
        }
    }
}

impl Mode {
    fn now(self) -> DateTime<Utc> {
        match self {
            Self::Running { offset } => system_now() + offset,
            Self::Frozen { at } => at,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this module is the simulator's clock"
)]
fn system_now() -> DateTime<Utc> {
    Utc::now()
}

impl VirtualClock {
    /// The virtual time.
    pub fn now(&self) -> DateTime<Utc> {
        self.with(|mode| mode.now())
    }

    /// Whether time stands still.
    pub fn is_frozen(&self) -> bool {
        self.with(|mode| matches!(mode, Mode::Frozen { .. }))
    }

    /// Stops time at the present virtual instant.
    pub fn freeze(&self) {
        self.with(|mode| *mode = Mode::Frozen { at: mode.now() });
    }

    /// Lets time run again, from the present virtual instant.
    pub fn resume(&self) {
        self.with(|mode| {
            *mode = Mode::Running {
                offset: mode.now() - system_now(),
            }
        });
    }

    /// Jumps to `at`; a frozen clock stays frozen, a running one runs on from there.
    pub fn set(&self, at: DateTime<Utc>) {
        self.with(|mode| {
            *mode = match mode {
                Mode::Running { .. } => Mode::Running {
                    offset: at - system_now(),
                },
                Mode::Frozen { .. } => Mode::Frozen { at },
            }
        });
    }

    /// Moves by `delta`, which may be negative.
    pub fn advance(&self, delta: TimeDelta) {
        self.with(|mode| match mode {
            Mode::Running { offset } => *offset += delta,
            Mode::Frozen { at } => *at += delta,
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Mode) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_moves_only_when_told() {
        let clock = VirtualClock::default();
        clock.freeze();
        let start = clock.now();
        assert_eq!(clock.now(), start);
        clock.advance(TimeDelta::hours(2));
        assert_eq!(clock.now(), start + TimeDelta::hours(2));
        clock.set(start);
        assert_eq!(clock.now(), start);
        assert!(clock.is_frozen());
    }

    #[test]
    fn a_running_clock_keeps_its_offset() {
        let clock = VirtualClock::default();
        let start = clock.now();
        clock.advance(TimeDelta::days(400));
        assert!(clock.now() - start >= TimeDelta::days(400));
        clock.freeze();
        clock.resume();
        assert!(clock.now() - start >= TimeDelta::days(400));
        assert!(!clock.is_frozen());
    }
}
