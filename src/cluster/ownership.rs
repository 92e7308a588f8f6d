//! Who holds a Secret. What this credential does not hold is not written.

use aws_lc_rs::digest;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};

use crate::api::{CREDENTIAL_LABEL, GROUP, JiraCredential, MANAGED_BY_LABEL, OPERATOR_NAME};
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
/// it cannot be made up, and it fits one credential and one target only.
pub fn target_mark(
    key: &FingerprintKey,
    namespace: &str,
    credential: &str,
    target: &str,
) -> Fingerprint {
    key.fingerprint(&[
        b"target",
        namespace.as_bytes(),
        credential.as_bytes(),
        target.as_bytes(),
    ])
}

/// Ours is what the status records by its uid as ours, and what bears our mark, such as a Secret that
/// a process wrote before it ended, or one from a backup; provided that it still names this credential
/// as its owner or in its labels, and that no other living object controls it. Labels and owner
/// references alone prove nothing, because the user who creates a Secret chooses them.
pub(super) fn ownership(found: &ObjectMeta, owner: &JiraCredential, mark: &str) -> Ownership {
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
    let annotations = found.annotations.as_ref();
    let marked = annotations.and_then(|all| all.get(MARK_ANNOTATION)) == Some(&mark.to_owned());
    if is_attached(found, owner) && (marked || is_recorded(found, owner)) {
        return Ownership::Ours;
    }
    let label = |key: &str| found.labels.as_ref().and_then(|labels| labels.get(key));
    let managed = label(MANAGED_BY_LABEL).is_some_and(|by| by == OPERATOR_NAME);
    match label(CREDENTIAL_LABEL) {
        Some(credential) if managed && *credential != label_value(&name) => {
            Ownership::Theirs(Holder::Credential(credential.clone()))
        }
        _ => Ownership::Theirs(Holder::Stranger),
    }
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
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::TargetVersion;

    fn owner() -> JiraCredential {
        serde_json::from_value(json!({
            "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
            "metadata": {"name": "bot", "namespace": "team", "uid": "uid-1"},
            "spec": {"site": "https://acme.atlassian.net", "auth": {"basic": {"secretRef": {"name": "s"}}}}
        }))
        .unwrap()
    }

    fn found(controller: Option<(&str, &str, &str)>, labels: &[(&str, &str)]) -> ObjectMeta {
        let reference = |(kind, name, uid): (&str, &str, &str)| OwnerReference {
            api_version: "jira-operator.dev/v1alpha1".into(),
            kind: kind.into(),
            name: name.into(),
            uid: uid.into(),
            controller: Some(true),
            block_owner_deletion: None,
        };
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect();
        ObjectMeta {
            owner_references: controller.map(|controller| vec![reference(controller)]),
            labels: Some(labels),
            ..ObjectMeta::default()
        }
    }

    /// The target that the operator wrote has the uid `written`.
    fn with_status(mut owner: JiraCredential) -> JiraCredential {
        let target = |name: &str, uid: &str, hash: Option<&str>| TargetVersion {
            name: name.into(),
            uid: uid.into(),
            resource_version: "1".into(),
            hash: hash.map(str::to_owned),
            held_by: None,
            merge: None,
        };
        let targets = vec![
            target("jira", "written", Some("d")),
            target("jira", "seen", None),
        ];
        owner.status = Some(crate::api::JiraCredentialStatus {
            targets,
            ..Default::default()
        });
        owner
    }

    #[test]
    fn only_what_this_operator_wrote_is_ours() {
        let mine = [(MANAGED_BY_LABEL, OPERATOR_NAME), (CREDENTIAL_LABEL, "bot")];
        let theirs = [
            (MANAGED_BY_LABEL, OPERATOR_NAME),
            (CREDENTIAL_LABEL, "other"),
        ];
        let stranger = Ownership::Theirs(Holder::Stranger);
        let other = Ownership::Theirs(Holder::Credential("other".into()));
        let us = Some(("JiraCredential", "bot", "uid-1"));
        let before_us = Some(("JiraCredential", "bot", "uid-0"));
        let another = Some(("JiraCredential", "other", "uid-2"));
        let workload = Some(("Deployment", "bot", "uid-1"));
        for (controller, labels, uid, mark, expected) in [
            (us, &mine[..], "written", "", Ownership::Ours),
            (us, &mine[..], "new", "mark", Ownership::Ours),
            (None, &mine[..], "new", "mark", Ownership::Ours),
            (before_us, &mine[..], "new", "mark", Ownership::Ours),
            // Somebody took owner and labels away.
            (None, &[], "written", "mark", stranger.clone()),
            // Prepared by a user.
            (us, &mine[..], "new", "", stranger.clone()),
            (us, &mine[..], "new", "another mark", stranger.clone()),
            (us, &mine[..], "seen", "", stranger.clone()),
            (before_us, &mine[..], "new", "", stranger.clone()),
            (None, &mine[..], "new", "", stranger.clone()),
            (None, &theirs[..], "new", "", other.clone()),
            (None, &[], "new", "", stranger.clone()),
            // Held by another, whatever it bears.
            (another, &mine[..], "written", "mark", other.clone()),
            (workload, &mine[..], "written", "mark", stranger.clone()),
        ] {
            let metadata = ObjectMeta {
                name: Some("jira".into()),
                uid: Some(uid.into()),
                annotations: Some([(MARK_ANNOTATION.into(), mark.into())].into()),
                ..found(controller, labels)
            };
            let owner = with_status(owner());
            assert_eq!(
                ownership(&metadata, &owner, "mark"),
                expected,
                "{metadata:?}"
            );
        }
    }

    #[test]
    fn a_mark_fits_one_credential_and_one_target() {
        let key = FingerprintKey::new(b"key");
        let mark = target_mark(&key, "team", "bot", "jira");
        assert_eq!(mark, target_mark(&key, "team", "bot", "jira"));
        for other in [
            target_mark(&key, "other", "bot", "jira"),
            target_mark(&key, "team", "other", "jira"),
            target_mark(&key, "team", "bot", "other"),
            target_mark(&FingerprintKey::new(b"other"), "team", "bot", "jira"),
        ] {
            assert_ne!(mark, other);
        }
    }

    #[test]
    fn names_of_any_length_are_told_apart_by_their_label() {
        let long = |last: char| format!("{}{last}", "a".repeat(199));
        assert_eq!(label_value("bot"), "bot");
        assert_eq!(label_value(&long('b')).len(), 63);
        assert_ne!(label_value(&long('b')), label_value(&long('c')));
    }
}
