//! Why the operator writes no keys into a Secret of somebody else.

use crate::api::{MERGE_ANNOTATION, MergeStatus, Reason};
use crate::core::facts::{Facts, KeysStay};

/// What to do when the policy for the operator's own writes refuses keys. It cannot tell keys of the operator from
/// those of others in a Secret without managed fields, such as one that a backup tool has made again.
pub const REFUSED: &str = " If the Secret was restored from a backup, nothing says any more that the keys of this JiraCredential are the operator's: remove them from the Secret, or restore it with its managed fields.";

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
        Some(Reason::MergeConflict) if merge.next_repair_time.is_some() => format!(
            "Another client removed or changed keys in the Secret {secret} again, soon after the operator had written them, so the operator writes them in growing pauses: {detail}. Let that client leave keys of others alone, or name another Secret."
        ),
        Some(Reason::MergeConflict) => format!(
            "The Secret {secret} stays as it is: another client manages {detail}, and the operator overwrites nothing of others. Remove that from the Secret and from what the other client applies, or give the target other keys; then the operator writes all of its keys."
        ),
        _ => format!(
            "The operator writes no keys into the Secret {secret}: {detail}. Name an Opaque Secret that can be changed and that the operator does not write as a whole."
        ),
    }
}

/// The note for keys that stay in a Secret that the spec does not name any more.
pub fn keys_stay(facts: &Facts, stay: &KeysStay) -> String {
    let credential = &facts.object.name;
    let KeysStay { secret, keys, .. } = stay;
    let why = if stay.reason == Reason::MergeNotAllowed {
        "it does not let this JiraCredential write any more".to_owned()
    } else {
        format!(
            "other clients manage them, too, or it does not say any more that {credential} wrote them"
        )
    };
    // The keys stand at the end, where a long text is cut.
    format!(
        "Keys of this JiraCredential stay in the Secret {secret}, since {why}. A token in them may still work. The owner of the Secret has to remove these keys: {}",
        keys.join(", ")
    )
}
