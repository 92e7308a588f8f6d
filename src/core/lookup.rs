//! The look-up of an API token's end: when it is due, what it leaves behind, what it means.
//!
//! It comes after everything else, in a pass of its own: nothing that pods need ever waits for it.

use aws_lc_rs::digest;
use chrono::{DateTime, TimeDelta, Utc};

use super::decide::may_publish;
use super::facts::{Facts, Source};
use super::fingerprint::{Fingerprint, hex};
use super::judge::outage_reason;
use super::listed::{Found, Miss};
use super::schedule::{REFUSED_HEARTBEAT, backoff, later, splay};
use crate::api::{ExpiryLookupStatus, Reason, SourceVersion};

/// The organisation is asked again after this time and up to an hour more: twice a day.
const LOOK_AGAIN: TimeDelta = TimeDelta::hours(11);

/// A look-up that found no room waits this long and up to 20 s more.
const PUT_OFF: TimeDelta = TimeDelta::seconds(5);

/// Outages in a row, over about an hour, before they are told: what is known has not changed.
const SILENT_OUTAGES: i32 = 8;

/// A token that is in use, and yet was not used for so long, is another one.
const UNUSED_FOR: TimeDelta = TimeDelta::days(90);

/// How long a token must have been in use here before its last use can be relied on; Atlassian's
/// dates of activity lag by up to a day (documentation).
const IN_USE_FOR: TimeDelta = TimeDelta::days(2);

/// What is known of the organisation's API key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ApiKey {
    /// Its Secret has the version that is recorded, or there is no look-up; it was not read.
    Unmoved,
    /// Its Secret has another version than is recorded.
    Moved,
    /// It was not read although it is time, because other look-ups take the room that there is.
    PutOff,
    /// It was read.
    Read {
        /// Keyed fingerprint of the key; `None`: there is none to send.
        fingerprint: Option<Fingerprint>,
        /// The version of the Secret.
        version: SourceVersion,
    },
}

impl Facts {
    /// The recorded look-up, if it was made for the credential that was proven last and for what
    /// the spec asks.
    pub fn looked_up(&self) -> Option<&ExpiryLookupStatus> {
        let looked = self.recorded_lookup()?;
        let proven = self.status.proven_fingerprint.as_deref()?;
        (looked.fingerprint == proven).then_some(looked)
    }

    fn recorded_lookup(&self) -> Option<&ExpiryLookupStatus> {
        let query = self.query()?;
        let looked = self.status.expiry_lookup.as_ref();
        looked.filter(|looked| looked.query == query)
    }

    /// A digest of the organisation and the label that are asked for.
    fn query(&self) -> Option<String> {
        let lookup = self.spec.expiry_lookup.as_ref()?;
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [&lookup.organization_id, &lookup.label] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        Some(hex(context.finish().as_ref(), 16))
    }

    /// The end of life of the credential that was proven last, if it does not renew itself: what
    /// the user says, else what the organisation says.
    pub fn static_end(&self) -> Option<DateTime<Utc>> {
        let told = self.plan.as_ref().ok().and_then(|plan| plan.expires_at);
        told.or_else(|| self.looked_up()?.expires_at)
    }

    /// Whether the end of the credential in the source has come.
    pub fn source_has_ended(&self) -> bool {
        let told = self.plan.as_ref().ok().and_then(|plan| plan.expires_at);
        let end = told.or_else(|| {
            let looked = self.recorded_lookup()?;
            let print = self.fingerprint()?;
            looked
                .expires_at
                .filter(|_| self.is_same(&print, &looked.fingerprint))
        });
        end.is_some_and(|end| end <= self.now)
    }

    /// When the organisation is asked next; `None`: not before something else changes.
    pub fn next_lookup(&self) -> Option<DateTime<Utc>> {
        self.spec.expiry_lookup.as_ref()?;
        let idle = self.object.deleting || self.spec.suspend || self.plan.is_err();
        if idle || matches!(self.source, Source::Unusable(_)) || !may_publish(self) {
            return None;
        }
        if self.api_key == ApiKey::PutOff {
            let wait = PUT_OFF + splay(&self.object.uid, TimeDelta::seconds(20));
            return Some(later(self.now, wait));
        }
        match self.looked_up() {
            Some(looked) if !self.is_new_key(looked) => Some(looked.next_check_time),
            Some(_) | None => Some(self.now),
        }
    }

    /// Whether the spec or the key is another than at the recorded look-up.
    fn is_new_key(&self, looked: &ExpiryLookupStatus) -> bool {
        if looked.observed_generation != self.object.generation {
            return true;
        }
        match &self.api_key {
            // Whether more than its labels has changed is seen when it is read.
            ApiKey::Unmoved | ApiKey::Moved | ApiKey::PutOff => false,
            ApiKey::Read { fingerprint, .. } => match (fingerprint, &looked.key_fingerprint) {
                (Some(now), Some(then)) => now.as_str() != then,
                (Some(_), None) | (None, Some(_)) => true,
                // What exactly is wrong with it may have changed; to tell costs no call.
                (None, None) => self.happened.lookup.is_none(),
            },
        }
    }

    /// Whether the key must be read to decide whether a look-up is due.
    pub fn wants_api_key(&self) -> bool {
        let next = self.next_lookup();
        let moved = self.api_key == ApiKey::Moved;
        next.is_some_and(|next| moved || next <= self.now)
    }

    /// Whether the organisation is to be asked now: in a pass that has nothing else to tell, so
    /// that nobody waits for the answer.
    pub fn lookup_is_due(&self) -> bool {
        self.happened.lookup.is_none()
            && !self.spec_changed()
            && !self.has_effects()
            && matches!(self.api_key, ApiKey::Read { .. })
            && self.next_lookup().is_some_and(|next| next <= self.now)
    }

    /// Has the organisation asked again soon, because a person asked for a proof.
    pub(super) fn look_up_again(&mut self) {
        if let Some(looked) = &mut self.status.expiry_lookup {
            looked.next_check_time = self.now;
        }
    }

    /// Takes in what the organisation said.
    pub(super) fn record_lookup(&mut self, answer: Result<Found, Miss>) {
        let before = self.looked_up().cloned();
        let (Some(query), Some(fingerprint)) =
            (self.query(), self.status.proven_fingerprint.clone())
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
        self.happened.lookup = Some(answer);
    }

    fn wait_after(&self, answer: &Result<Found, Miss>, failures: i32) -> TimeDelta {
        let uid = self.object.uid.as_str();
        match answer {
            Ok(_) => LOOK_AGAIN + splay(uid, TimeDelta::hours(1)),
            Err(Miss::NoVerdict(outage)) => {
                let asked = outage.retry_after();
                let asked = asked.and_then(|wait| TimeDelta::from_std(wait).ok());
                backoff(failures, uid).max(asked.unwrap_or_default())
            }
            Err(_) => REFUSED_HEARTBEAT + splay(uid, REFUSED_HEARTBEAT / 10),
        }
    }

    /// Whether an entry is of another token: ours is used all the time.
    fn is_unused(&self, found: &Found) -> bool {
        let long_ago =
            |time: Option<DateTime<Utc>>, long| time.is_some_and(|time| self.now - time > long);
        long_ago(found.last_active, UNUSED_FOR) && long_ago(self.status.first_seen_time, IN_USE_FOR)
    }
}

impl Miss {
    /// The reason to report.
    pub fn reason(&self) -> Reason {
        match self {
            Miss::NoKey(problem) => problem.reason(),
            Miss::KeyRejected => Reason::LookupKeyRejected,
            Miss::Forbidden => Reason::LookupForbidden,
            Miss::IpBlocked => Reason::IpBlocked,
            Miss::UnknownOrganization => Reason::OrganizationUnknown,
            Miss::NotListed | Miss::TooLong => Reason::TokenNotListed,
            Miss::Ambiguous => Reason::TokenAmbiguous,
            Miss::NoVerdict(outage) => outage_reason(*outage),
            Miss::NotAllowed(_) => Reason::HostNotAllowed,
        }
    }

    /// Whether the organisation spoke about the token: then what it said before does not hold.
    fn is_verdict(&self) -> bool {
        match self {
            Miss::NotListed | Miss::Ambiguous => true,
            Miss::NoKey(_)
            | Miss::KeyRejected
            | Miss::Forbidden
            | Miss::IpBlocked
            | Miss::UnknownOrganization
            | Miss::TooLong
            | Miss::NoVerdict(_)
            | Miss::NotAllowed(_) => false,
        }
    }

    fn is_outage(&self) -> bool {
        matches!(self, Miss::NoVerdict(_))
    }
}

#[cfg(test)]
mod tests;
