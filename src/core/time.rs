//! Times and waits: when a retry, a validation or a renewal is due. Pure arithmetic over recorded
//! times. The wait after a 429 is elsewhere: `Outage::retry_delay` (`core/probe/verdict`) for the
//! credential, `jira/site_limiter` for everybody else.

use chrono::{DateTime, TimeDelta, Utc};

/// A surprising refusal is confirmed after this time.
pub const CONFIRM_AFTER: TimeDelta = TimeDelta::seconds(60);

/// A refused token is validated again after this time: a block may have been lifted.
pub const REFUSED_HEARTBEAT: TimeDelta = TimeDelta::hours(6);

/// A site on an address that must not be called is looked up again after this time.
pub const FORBIDDEN_HEARTBEAT: TimeDelta = TimeDelta::hours(1);

/// The shortest validation interval: anything less is load without knowledge.
pub const SHORTEST_INTERVAL: TimeDelta = TimeDelta::seconds(10);

/// While nothing else changes, the time of the last acceptance is written to the status this often: a
/// write for each validation would cost the API server more than it tells.
pub const RECORDED_EVERY: TimeDelta = TimeDelta::hours(1);

/// No wait is longer, so that clock jumps and missed wakes heal.
pub const LONGEST_WAIT: TimeDelta = TimeDelta::hours(12);

/// A consent ends 365 days after it was given, however often the token is refreshed (reported by
/// Atlassian's staff in 2022).
pub const CONSENT_LIVES: TimeDelta = TimeDelta::days(365);

/// An unused refresh token expires after 90 days (Atlassian documentation).
pub const IDLE_LIVES: TimeDelta = TimeDelta::days(90);

/// The clocks of two nodes may differ by this much. A recorded time that lies further ahead was
/// written by a clock that was wrong, and says nothing.
pub const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(5);

const FIRST_BACKOFF: TimeDelta = TimeDelta::seconds(15);

/// No retry after a failure waits for longer, apart from what spreads them.
pub const LONGEST_BACKOFF: TimeDelta = TimeDelta::hours(1);

/// The first retry of a validation that got no answer: most outages last for seconds.
const FIRST_PROBE_BACKOFF: TimeDelta = TimeDelta::seconds(5);

/// The wait after the `failures`-th failure in a row, 15 s doubling to 1 h, spread by up to a
/// fifth so that objects that failed together do not come back together.
pub fn backoff(failures: i32, uid: &str) -> TimeDelta {
    doubled(FIRST_BACKOFF, LONGEST_BACKOFF, failures, uid)
}

/// The wait after the `failures`-th validation in a row without an answer, 5 s doubling to the
/// interval of the validations and to at most 1 h, spread like [`backoff`].
pub fn probe_backoff(failures: i32, interval: TimeDelta, uid: &str) -> TimeDelta {
    let longest = interval.clamp(FIRST_PROBE_BACKOFF, LONGEST_BACKOFF);
    doubled(FIRST_PROBE_BACKOFF, longest, failures, uid)
}

fn doubled(first: TimeDelta, longest: TimeDelta, failures: i32, uid: &str) -> TimeDelta {
    let doublings = u32::try_from(failures.saturating_sub(1))
        .unwrap_or(0)
        .min(12);
    let wait = first
        .checked_mul(1_i32.checked_shl(doublings).unwrap_or(i32::MAX))
        .unwrap_or(longest)
        .min(longest);
    wait + jitter(uid, wait / 5)
}

/// When a credential that was accepted at `last` is to be validated again: at the latest after the
/// interval, up to a tenth of it earlier, so that objects made together drift apart.
pub fn next_validation(last: DateTime<Utc>, interval: TimeDelta, uid: &str) -> DateTime<Utc> {
    later(last, interval - jitter(uid, interval / 10))
}

/// Whether a time that was recorded as present or past lies ahead: the clock was, and has been set
/// back.
pub fn is_ahead(recorded: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    recorded > later(now, CLOCK_TOLERANCE)
}

/// A share of `most` that depends on nothing but the object: 0 up to, not including, `most`.
pub fn jitter(uid: &str, most: TimeDelta) -> TimeDelta {
    // FNV-1a: any even spread will do, and it must be the same after a restart.
    let hash = uid.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let seconds = u64::try_from(most.num_seconds()).unwrap_or(0);
    let share = if seconds == 0 {
        0
    } else {
        (hash >> 16) % seconds
    };
    TimeDelta::seconds(i64::try_from(share).unwrap_or(0))
}

/// `time + delta`, at most the end of time.
pub fn later(time: DateTime<Utc>, delta: TimeDelta) -> DateTime<Utc> {
    time.checked_add_signed(delta)
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// `time - delta`, at least the beginning of time.
pub fn earlier(time: DateTime<Utc>, delta: TimeDelta) -> DateTime<Utc> {
    time.checked_sub_signed(delta)
        .unwrap_or(DateTime::<Utc>::MIN_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_an_hour() {
        for (failures, least) in [
            (1, 15),
            (2, 30),
            (3, 60),
            (8, 1920),
            (9, 3600),
            (i32::MAX, 3600),
        ] {
            let wait = backoff(failures, "uid").num_seconds();
            assert!(
                (least..=least + least / 5).contains(&wait),
                "{failures}: {wait}"
            );
        }
        assert!(backoff(i32::MIN, "uid") >= FIRST_BACKOFF);
    }

    #[test]
    fn a_validation_is_retried_within_seconds_and_at_least_once_an_interval() {
        let quarter = TimeDelta::minutes(15);
        for (failures, interval, least) in [
            (1, quarter, 5),
            (2, quarter, 10),
            (8, quarter, 640),
            (9, quarter, 900),
            (i32::MAX, quarter, 900),
            (i32::MAX, TimeDelta::days(1), 3600),
            (3, TimeDelta::seconds(1), 5),
        ] {
            let wait = probe_backoff(failures, interval, "uid").num_seconds();
            assert!(
                (least..=least + least / 5).contains(&wait),
                "{failures}: {wait}"
            );
        }
    }

    #[test]
    fn the_next_validation_is_due_within_the_interval() {
        let last = DateTime::UNIX_EPOCH;
        for uid in ["a", "b", "c", "d"] {
            let wait = next_validation(last, TimeDelta::seconds(1000), uid) - last;
            assert!((901..=1000).contains(&wait.num_seconds()), "{uid}: {wait}");
        }
    }

    #[test]
    fn splay_is_even_and_bounded() {
        let most = TimeDelta::seconds(100);
        let shares: Vec<i64> = (0..1000)
            .map(|n| jitter(&format!("uid-{n}"), most).num_seconds())
            .collect();
        assert!(shares.iter().all(|share| (0..100).contains(share)));
        let low = shares.iter().filter(|share| **share < 50).count();
        assert!((400..600).contains(&low), "{low} of 1000 in the lower half");
        assert_eq!(jitter("uid", TimeDelta::zero()), TimeDelta::zero());
    }
}
