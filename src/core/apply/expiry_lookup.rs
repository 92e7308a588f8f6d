//! Records the answer of the organisation about the expiry of an API token.

use crate::core::facts::Facts;
use chrono::{DateTime, TimeDelta, Utc};

use crate::api::{ExpiryLookupStatus, Reason};
use crate::core::facts::ApiKey;
use crate::core::probe::token_list::{Found, LookupError};
use crate::core::time::{REFUSED_HEARTBEAT, backoff, jitter, later};

/// The organisation is asked again after this time and up to an hour more: twice a day.
pub(crate) const LOOK_AGAIN: TimeDelta = TimeDelta::hours(11);

/// Outages in a row, over about an hour, before they are reported: what is known has not changed.
pub const SILENT_OUTAGES: i32 = 8;

/// A token that is in use, and yet was not used for so long, is another one.
const UNUSED_FOR: TimeDelta = TimeDelta::days(90);

/// How long a token must have been in use here before its last use can be relied on; Atlassian's
/// dates of activity lag by up to a day (documentation).
const IN_USE_FOR: TimeDelta = TimeDelta::days(2);

impl Facts {
    /// Has the organisation asked again soon, because a person asked for a validation.
    pub(crate) fn look_up_again(&mut self) {
        if let Some(looked) = &mut self.status.expiry_lookup {
            looked.next_check_time = self.now;
        }
    }

    /// Records what the organisation said.
    pub(crate) fn record_lookup(&mut self, answer: Result<Found, LookupError>) {
        let before = self.looked_up().cloned();
        let (Some(query), Some(fingerprint)) =
            (self.query(), self.status.validated_fingerprint.clone())
        else {
            return;
        };
        let ApiKey::Read {
            fingerprint: key,
            version,
        } = self.api_key.clone()
        else {
            return;
        };
        let failures = before.as_ref().map_or(0, |before| before.failures);
        let failures = failures.saturating_add(1);
        let wait = self.wait_after(&answer, failures);
        let mut looked = ExpiryLookupStatus {
            observed_generation: self.object.generation,
            fingerprint,
            query,
            source: version,
            key_fingerprint: key.map(|key| key.as_str().to_owned()),
            reason: Reason::ExpiryFound,
            failures,
            last_checked_time: self.now,
            next_check_time: later(self.now, wait),
            expires_at: None,
            last_active_time: None,
            blocked: false,
        };
        match &answer {
            Ok(found) => {
                looked.last_active_time = found.last_active;
                if self.is_unused(found) {
                    looked.reason = Reason::TokenUnused;
                } else {
                    looked.failures = 0;
                    looked.expires_at = found.expires_at;
                    looked.blocked = found.blocked;
                }
            }
            Err(miss) => {
                looked.reason = miss.reason();
                if let Some(before) = before.filter(|_| !miss.is_verdict()) {
                    looked.expires_at = before.expires_at;
                    looked.last_active_time = before.last_active_time;
                    looked.blocked = before.blocked;
                    if miss.is_outage() && failures < SILENT_OUTAGES {
                        looked.reason = before.reason;
                    }
                }
            }
        }
        self.status.expiry_lookup = Some(looked);
        self.progress.lookup = Some(answer);
    }

    fn wait_after(&self, answer: &Result<Found, LookupError>, failures: i32) -> TimeDelta {
        let uid = self.object.uid.as_str();
        match answer {
            Ok(_) => LOOK_AGAIN + jitter(uid, TimeDelta::hours(1)),
            Err(LookupError::NoVerdict(outage)) => outage.retry_delay(backoff(failures, uid)),
            Err(_) => REFUSED_HEARTBEAT + jitter(uid, REFUSED_HEARTBEAT / 10),
        }
    }

    /// Whether an entry is of another token: ours is used all the time.
    fn is_unused(&self, found: &Found) -> bool {
        let long_ago =
            |time: Option<DateTime<Utc>>, long| time.is_some_and(|time| self.now - time > long);
        long_ago(found.last_active, UNUSED_FOR) && long_ago(self.status.first_seen_time, IN_USE_FOR)
    }
}
