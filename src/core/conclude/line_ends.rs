//! Line ends that were left out: recorded, so that each is reported once.

use crate::api::{JiraCredentialStatus, LineEnd, Reason};
use crate::core::conclude::notice::Notice;
use crate::core::facts::{Facts, TextValue};
use crate::core::spec::text_values;

/// Brings the record up to date with the values that this reconcile has read. A value that was not read
/// stays as it is recorded, one that the spec no longer names goes.
pub(super) fn record_line_ends(facts: &Facts, status: &mut JiraCredentialStatus) {
    let named = text_values(&facts.spec);
    status.line_ends.retain(|old| {
        let is_named =
            |value: &crate::api::SecretKeyRef| (&value.name, &value.key) == (&old.secret, &old.key);
        let was_read = |text: &TextValue| (&text.secret, &text.key) == (&old.secret, &old.key);
        named.iter().any(is_named) && !facts.texts.iter().any(was_read)
    });
    let read = facts.texts.iter().filter_map(|text| {
        Some(LineEnd {
            secret: text.secret.clone(),
            key: text.key.clone(),
            fingerprint: text.line_end.as_ref()?.as_str().to_owned(),
        })
    });
    status.line_ends.extend(read);
    let place = |end: &LineEnd| (end.secret.clone(), end.key.clone());
    status.line_ends.sort_by_key(place);
    status.line_ends.dedup_by_key(|end| place(end));
}

/// One event for each content that is used without its line end.
pub(super) fn line_end_notices(
    recorded: &JiraCredentialStatus,
    status: &JiraCredentialStatus,
) -> Vec<Notice> {
    let is_new = |end: &&LineEnd| !recorded.line_ends.contains(end);
    let tell = |end: &LineEnd| Notice {
        warning: false,
        reason: Reason::LineEndIgnored,
        note: line_end_ignored(&end.secret, &end.key),
    };
    status.line_ends.iter().filter(is_new).map(tell).collect()
}

/// The words of the event.
pub fn line_end_ignored(secret: &str, key: &str) -> String {
    format!(
        "The key {key} of the Secret {secret} ends in a line end, which is left out: the value before it \
         is used. Nothing has to be done. kubectl create secret --from-literal and printf store none."
    )
}
