//! How long the last validation counts, and when the credential expires.

use crate::core::facts::Facts;
use chrono::{DateTime, Utc};

use crate::api::ExpiryLookupStatus;
use crate::core::fingerprint::digest_of;
use crate::core::time;
use crate::core::time::{RECORDED_EVERY, later};

impl Facts {
    /// When a validation of the credential that was validated last falls due.
    pub fn next_validation(&self) -> Option<DateTime<Utc>> {
        self.validation_after(self.status.last_validated_time?)
    }

    /// When the regular validation after the probe at `last` falls due.
    pub fn validation_after(&self, last: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let interval = self.plan.as_ref().ok()?.periods.interval;
        Some(time::next_validation(last, interval, &self.object.uid))
    }

    /// When the validated credential is validated again after a response was lost:
    /// at the usual time, at the latest when the last validation grows too old.
    pub fn validation_after_silence(&self, asked: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let usual = self.validation_after(asked)?;
        let stale = self
            .validation_is_stale_from()
            .filter(|stale| *stale > asked);
        Some(stale.map_or(usual, |stale| stale.min(usual)))
    }

    /// From when on the last validation says nothing any more: two intervals after it, or when what
    /// was validated has expired.
    pub fn validation_is_stale_from(&self) -> Option<DateTime<Utc>> {
        let plan = self.plan.as_ref().ok()?;
        let last = self.status.last_validated_time?;
        let stale = later(last, plan.periods.interval * 2);
        let stale = self
            .unrecorded(stale)
            .map_or(stale, |shown| shown.max(stale));
        // A token that Jira accepted after its stated end is no token that has ended.
        let expiry = self.published_end().filter(|expiry| *expiry > last);
        Some(expiry.map_or(stale, |expiry| expiry.min(stale)))
    }

    /// An earlier process may have recorded less than it knew. Until this one has validated the
    /// credential, for which it has one interval, the record counts for as much longer as it may be
    /// behind.
    fn unrecorded(&self, stale: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let start = self.watched_since?;
        let interval = self.plan.as_ref().ok()?.periods.interval;
        let tried = self.attempt().is_some() || self.spec.suspend;
        let until = later(start, interval).min(later(stale, RECORDED_EVERY));
        (!tried).then_some(until)
    }

    /// When what pods mount ends, where that is known.
    pub fn published_end(&self) -> Option<DateTime<Utc>> {
        if self.renews() {
            self.status.expires_at
        } else {
            self.static_end()
        }
    }

    /// The recorded look-up, if it was made for the credential that was validated last and for what
    /// the spec asks.
    pub fn looked_up(&self) -> Option<&ExpiryLookupStatus> {
        let looked = self.recorded_lookup()?;
        let validated = self.status.validated_fingerprint.as_deref()?;
        (looked.fingerprint == validated).then_some(looked)
    }

    fn recorded_lookup(&self) -> Option<&ExpiryLookupStatus> {
        let query = self.query()?;
        let looked = self.status.expiry_lookup.as_ref();
        looked.filter(|looked| looked.query == query)
    }

    /// A digest of the organisation and the label that are asked for.
    pub(crate) fn query(&self) -> Option<String> {
        let lookup = self.spec.expiry_lookup.as_ref()?;
        let parts = [&lookup.organization_id, &lookup.label];
        Some(digest_of(parts.map(String::as_str)))
    }

    /// The end of life of the credential that was validated last, if it does not renew itself: what
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
}
