//! When to ask the organisation for the expiry of an API token.

use crate::core::facts::Facts;
use chrono::{DateTime, TimeDelta, Utc};

use crate::api::ExpiryLookupStatus;
use crate::core::decide::publication::may_publish;
use crate::core::facts::{ApiKey, Source};
use crate::core::time::{later, splay};

/// A look-up that found no room waits this long and up to 20 s more.
const PUT_OFF: TimeDelta = TimeDelta::seconds(5);

impl Facts {
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
}
