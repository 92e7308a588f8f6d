//! Why the operator writes no keys into a Secret of somebody else.

use crate::api::{MERGE_ANNOTATION, MergeStatus, Reason};
use crate::core::facts::Facts;

/// The message for a target with `creationPolicy: Merge`.
pub fn merge(facts: &Facts, secret: &str, merge: &MergeStatus) -> String {
    let credential = &facts.object.name;
    let detail = merge.detail.as_deref().unwrap_or_default();
    match merge.blocked_by {
        Some(Reason::MergeTargetMissing) => format!(
            "The Secret {secret} does not exist, and with creationPolicy Merge the operator creates none. Its owner has to create it as an Opaque Secret with the annotation {MERGE_ANNOTATION}: {credential}."
        ),
        Some(Reason::MergeNotAllowed) => format!(
            "The Secret {secret} does not allow this JiraCredential to write keys, so the operator leaves it as it is. Its owner has to add {credential} to the annotation {MERGE_ANNOTATION} of the Secret, which holds names separated by commas."
        ),
        Some(Reason::MergeConflict) => format!(
            "The Secret {secret} stays as it is: another client manages {detail}, and the operator overwrites nothing of others. Remove that from the Secret and from what the other client applies, or give the target other keys; then the operator writes all of its keys."
        ),
        _ => format!(
            "The operator writes no keys into the Secret {secret}: {detail}. Name an Opaque Secret that can be changed and that the operator does not write as a whole."
        ),
    }
}
