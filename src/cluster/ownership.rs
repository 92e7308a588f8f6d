//! Who holds a Secret. What this credential does not hold is not written.

use aws_lc_rs::digest;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};

use crate::api::{
    CREDENTIAL_LABEL, DELETION_POLICY_ANNOTATION, GROUP, JiraCredential, MANAGED_BY_LABEL,
    OPERATOR_NAME, OWNER_ANNOTATION, Target,
};
use crate::cluster::key::Key;
use crate::core::facts::Holder;
use crate::core::fingerprint::{Fingerprint, FingerprintKey, hex};

/// The annotation that holds the mark of a target.
pub(super) const MARK_ANNOTATION: &str = "jira-operator.dev/mark";

/// Who holds a Secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Ownership {
    /// This credential.
    Ours,
    /// Another party.
    Theirs(Holder),
}

/// A name as the value of a label, which may have 63 characters only: a longer one ends in a
/// digest of the whole, so that no two names share a value.
pub(super) fn label_value(name: &str) -> String {
    if name.len() <= 63 {
        return name.to_owned();
    }
    let start: String = name.chars().take(46).collect();
    let digest = digest::digest(&digest::SHA256, name.as_bytes());
    format!("{start}-{}", hex(digest.as_ref(), 16))
}

/// The credential that controls a Secret which the operator wrote.
pub fn controller_of(found: &ObjectMeta) -> Option<&OwnerReference> {
    let labels = found.labels.as_ref()?;
    if labels.get(MANAGED_BY_LABEL)? != OPERATOR_NAME {
        return None;
    }
    let mut references = found.owner_references.iter().flatten();
    references.find(|owner| owner.controller == Some(true) && is_credential(owner))
}

fn is_credential(owner: &OwnerReference) -> bool {
    owner.kind == JiraCredential::kind(&()) && owner.api_version.split('/').next() == Some(GROUP)
}

/// What tells the operator's own targets from Secrets that a user prepared: without the operator's key
/// it cannot be made up, and it fits one credential and one target only. `elsewhere`: the namespace of the target,
/// where that is another.
pub fn target_mark(
    key: &FingerprintKey,
    credential: &Key,
    elsewhere: Option<&str>,
    target: &str,
) -> Fingerprint {
    let (namespace, name) = (credential.namespace.as_bytes(), credential.name.as_bytes());
    let kind: &[u8] = elsewhere.map_or(b"target", |_| b"target elsewhere");
    let parts = [kind, namespace, name, target.as_bytes()];
    let elsewhere = elsewhere.map(str::as_bytes);
    let parts: Vec<&[u8]> = parts.into_iter().chain(elsewhere).collect();
    key.fingerprint(&parts)
}

/// Namespace and name of a credential, as a Secret in another namespace names it.
pub(super) fn full_name(owner: &JiraCredential) -> String {
    let namespace = owner.namespace().unwrap_or_default();
    format!("{namespace}/{}", owner.name_any())
}

/// Whether the operator wrote a Secret as one that stays.
pub(super) fn is_retained(metadata: &ObjectMeta) -> bool {
    let policy = metadata
        .annotations
        .as_ref()
        .and_then(|all| all.get(DELETION_POLICY_ANNOTATION));
    policy.is_some_and(|policy| policy == "Retain")
}

/// The credential of another namespace that a Secret names as its own.
fn named_owner(found: &ObjectMeta) -> Option<Key> {
    let named = found.annotations.as_ref()?.get(OWNER_ANNOTATION)?;
    let (namespace, name) = named.split_once('/')?;
    let elsewhere = found.namespace.as_deref() != Some(namespace);
    elsewhere.then(|| Key::new(namespace, name))
}

/// The credential of another namespace for which the operator wrote a Secret that goes with it. The mark proves it:
/// labels and annotations alone are anybody's.
pub fn owner_elsewhere(found: &ObjectMeta, key: &FingerprintKey) -> Option<Key> {
    let owner = named_owner(found)?;
    let (namespace, name) = (found.namespace.as_deref(), found.name.as_deref()?);
    let mark = target_mark(key, &owner, namespace, name);
    let marked = has_mark(found, mark.as_str());
    let is_ours = marked && is_managed(found) && !has_controller(found);
    (is_ours && !is_retained(found)).then_some(owner)
}

fn has_mark(found: &ObjectMeta, mark: &str) -> bool {
    let annotations = found.annotations.as_ref();
    let found = annotations.and_then(|all| all.get(MARK_ANNOTATION));
    found.is_some_and(|found| found == mark)
}

fn has_controller(found: &ObjectMeta) -> bool {
    let mut owners = found.owner_references.iter().flatten();
    owners.any(|owner| owner.controller == Some(true))
}

/// Whether a label of a Secret says that the operator manages it. Who removes it takes the Secret away.
fn is_managed(found: &ObjectMeta) -> bool {
    let labels = found.labels.as_ref();
    let manager = labels.and_then(|labels| labels.get(MANAGED_BY_LABEL));
    manager.is_some_and(|by| by == OPERATOR_NAME)
}

/// Ours is what the status records by its uid as ours, and what bears our mark, such as a Secret that
/// a process wrote before it ended, or one from a backup; provided that it still names this credential
/// as its owner or in its labels, and that no other living object controls it. Labels and owner
/// references alone prove nothing, because the user who creates a Secret chooses them.
pub(super) fn ownership(
    found: &ObjectMeta,
    owner: &JiraCredential,
    target: &Target,
    mark: &str,
) -> Ownership {
    if target.namespace.is_some() {
        return ownership_elsewhere(found, owner, mark);
    }
    let (name, uid) = (owner.name_any(), owner.uid().unwrap_or_default());
    let mut references = found.owner_references.iter().flatten();
    if let Some(controller) = references.find(|owner| owner.controller == Some(true)) {
        // A controller that bears our own name and another uid is dead: names are unique.
        match (
            is_credential(controller),
            controller.uid == uid || controller.name == name,
        ) {
            (true, true) => {}
            (true, false) => {
                return Ownership::Theirs(Holder::Credential(controller.name.clone()));
            }
            (false, _) => return Ownership::Theirs(Holder::Stranger),
        }
    }
    let proven = has_mark(found, mark) || is_recorded(found, owner);
    if is_attached(found, owner) && proven {
        return Ownership::Ours;
    }
    if is_managed(found) && named_owner(found).is_some() {
        return Ownership::Theirs(Holder::Elsewhere);
    }
    let labels = found.labels.as_ref();
    match labels.and_then(|labels| labels.get(CREDENTIAL_LABEL)) {
        Some(credential) if is_managed(found) && *credential != label_value(&name) => {
            Ownership::Theirs(Holder::Credential(credential.clone()))
        }
        _ => Ownership::Theirs(Holder::Stranger),
    }
}

/// The same in another namespace, where there are no owner references of ours, and where a credential of the same
/// name may live: the Secret must name this one in full, and nobody else may control it.
fn ownership_elsewhere(found: &ObjectMeta, owner: &JiraCredential, mark: &str) -> Ownership {
    let me = Key::new(&owner.namespace().unwrap_or_default(), &owner.name_any());
    let names_me = named_owner(found).as_ref() == Some(&me) && is_managed(found);
    let proven = has_mark(found, mark) || is_recorded(found, owner);
    if names_me && proven && !has_controller(found) {
        return Ownership::Ours;
    }
    let mut owners = found.owner_references.iter().flatten();
    let controller = owners.find(|owner| owner.controller == Some(true));
    let theirs = controller.map_or_else(
        || {
            let labels = found.labels.as_ref();
            let named = labels.is_some_and(|labels| labels.contains_key(CREDENTIAL_LABEL));
            named && is_managed(found) && !names_me
        },
        is_credential,
    );
    Ownership::Theirs(if theirs {
        Holder::Elsewhere
    } else {
        Holder::Stranger
    })
}

/// Whether a Secret still names this credential as its owner or in its labels. A user who removes both
/// takes the Secret away from the operator.
fn is_attached(found: &ObjectMeta, owner: &JiraCredential) -> bool {
    let uid = owner.uid().unwrap_or_default();
    let mut references = found.owner_references.iter().flatten();
    let label = found
        .labels
        .as_ref()
        .and_then(|all| all.get(CREDENTIAL_LABEL));
    references.any(|reference| reference.uid == uid)
        || label.is_some_and(|label| *label == label_value(&owner.name_any()))
}

/// Whether the status says that the operator wrote this very Secret.
fn is_recorded(found: &ObjectMeta, owner: &JiraCredential) -> bool {
    let status = owner.status.as_ref();
    let mut recorded = status.iter().flat_map(|status| &status.targets);
    recorded.any(|target| {
        target.hash.is_some()
            && target.merge.is_none()
            && Some(&target.name) == found.name.as_ref()
            && Some(&target.uid) == found.uid.as_ref()
    })
}

#[cfg(test)]
mod tests;
