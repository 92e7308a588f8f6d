//! When to ask the organisation for the expiry of an API token.

use chrono::{DateTime, TimeDelta, Utc};

use crate::api::ExpiryLookupStatus;
use crate::core::facts::{ApiKey, Facts, Source};
use crate::core::time::{jitter, later};

/// A look-up that found no room waits this long and up to 20 s more.
const PUT_OFF: TimeDelta = TimeDelta::seconds(5);

/// When the organisation is asked next; `None`: not before something else changes.
pub fn next_lookup(facts: &Facts) -> Option<DateTime<Utc>> {
    facts.spec.expiry_lookup.as_ref()?;
    let idle = facts.object.deleting || facts.spec.suspend || facts.plan.is_err();
    if idle || matches!(facts.source, Source::Unusable(_)) || !facts.may_publish() {
        return None;
    }
    if facts.api_key == ApiKey::PutOff {
        let wait = PUT_OFF + jitter(&facts.object.uid, TimeDelta::seconds(20));
        return Some(later(facts.now, wait));
    }
    match facts.looked_up() {
        Some(looked) if !is_new_key(facts, looked) => Some(looked.next_check_time),
        Some(_) | None => Some(facts.now),
    }
}

/// Whether the spec or the key is another than at the recorded look-up.
fn is_new_key(facts: &Facts, looked: &ExpiryLookupStatus) -> bool {
    if looked.observed_generation != facts.object.generation {
        return true;
    }
    match &facts.api_key {
        // Whether more than its labels has changed is seen when it is read.
        ApiKey::Unmoved | ApiKey::Moved | ApiKey::PutOff => false,
        ApiKey::Read { fingerprint, .. } => match (fingerprint, &looked.key_fingerprint) {
            (Some(now), Some(then)) => now.as_str() != then,
            (Some(_), None) | (None, Some(_)) => true,
            // What exactly is wrong with it may have changed; to tell costs no call.
            (None, None) => facts.progress.lookup.is_none(),
        },
    }
}

/// Whether the key must be read to decide whether a look-up is due.
pub fn wants_api_key(facts: &Facts) -> bool {
    let next = next_lookup(facts);
    let moved = facts.api_key == ApiKey::Moved;
    next.is_some_and(|next| moved || next <= facts.now)
}

/// Whether the organisation is to be asked now: in a reconcile that has nothing else to tell, so
/// that nothing waits for the response.
pub fn lookup_is_due(facts: &Facts) -> bool {
    facts.progress.lookup.is_none()
        && !facts.spec_changed()
        && !facts.has_effects()
        && matches!(facts.api_key, ApiKey::Read { .. })
        && next_lookup(facts).is_some_and(|next| next <= facts.now)
}
