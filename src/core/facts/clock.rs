//! What a clock that was ahead, and has been set back, has written into the status. A recorded time
//! that lies ahead counts as due: otherwise nothing would be validated or renewed, and nothing grow
//! too old, for as long as the clock was ahead.

use chrono::{DateTime, TimeDelta, Utc};

use crate::api::Attempt;
use crate::core::facts::Facts;
use crate::core::time::{LONGEST_BACKOFF, earlier, is_ahead, later};

/// Older than any interval after which something is asked again.
const LONG_AGO: TimeDelta = TimeDelta::days(2);

impl Facts {
    /// Corrects times of the status that lie ahead. To be called once, before anything is decided.
    pub fn correct_times(&mut self) {
        let now = self.now;
        let interval = self.plan.as_ref().map(|plan| plan.periods.interval);
        // Due, and not too old yet: what Jira says decides.
        let due = earlier(
            now,
            interval.map_or(TimeDelta::zero(), |usual| usual + usual / 10),
        );
        let status = &mut self.status;
        let mut found = set_back(&mut status.last_validated_time, now, due);
        found |= set_back(&mut status.first_seen_time, now, now);
        found |= set_back(&mut status.rotated_time, now, now);
        found |= status.attempt.as_mut().is_some_and(|last| retry(last, now));
        if let Some(permissions) = &mut status.permissions
            && is_ahead(permissions.checked_time, now)
        {
            permissions.checked_time = earlier(now, LONG_AGO);
            found = true;
        }
        if let Some(lookup) = &mut status.expiry_lookup
            && is_ahead(lookup.last_checked_time, now)
        {
            lookup.last_checked_time = now;
            lookup.next_check_time = now;
            found = true;
        }
        if let Some(restart) = &mut status.restart {
            // No wait is longer, so that one that ends later began ahead.
            let latest = later(now, LONGEST_BACKOFF * 2);
            restart.next_attempt_time = restart.next_attempt_time.filter(|next| *next <= latest);
        }
        if let Some(grant) = &mut status.grant {
            found |= grant
                .candidate
                .as_mut()
                .is_some_and(|last| retry(last, now));
            found |= set_back(&mut grant.interrupted_time, now, now);
        }
        if found {
            self.look_at_grant();
        }
        self.progress.clock_was_ahead = found;
    }

    /// Has the grant read: its times were written by the same clock.
    fn look_at_grant(&mut self) {
        let now = self.now;
        let soon = |time: &mut Option<DateTime<Utc>>| {
            *time = time.map(|time| time.min(now));
        };
        soon(&mut self.status.next_renewal_time);
        if let Some(grant) = &mut self.status.grant {
            soon(&mut grant.next_cleanup_time);
        }
    }
}

/// Replaces a time that lies ahead. Returns whether it did.
fn set_back(time: &mut Option<DateTime<Utc>>, now: DateTime<Utc>, to: DateTime<Utc>) -> bool {
    let found = time.take_if(|time| is_ahead(*time, now)).is_some();
    if found {
        *time = Some(to);
    }
    found
}

/// A wait that began ahead is over; what waits for a person still does.
fn retry(last: &mut Attempt, now: DateTime<Utc>) -> bool {
    let found = is_ahead(last.last_failure_time, now);
    if found {
        last.last_failure_time = now;
        last.next_attempt_time = last.next_attempt_time.map(|next| next.min(now));
    }
    found
}
