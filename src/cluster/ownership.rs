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
    let theirs = match controller {
        Some(controller) => is_credential(controller),
        None => {
            let labels = found.labels.as_ref();
            let named = labels.is_some_and(|labels| labels.contains_key(CREDENTIAL_LABEL));
            named && is_managed(found) && !names_me
        }
    };
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
            namespace: None,
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
                ownership(&metadata, &owner, &Target::default(), "mark"),
                expected,
                "{metadata:?}"
            );
        }
    }

    #[test]
    fn a_mark_fits_one_credential_and_one_target() {
        let key = FingerprintKey::new(b"key");
        let of = |namespace: &str, name: &str, elsewhere: Option<&str>, target: &str| {
            target_mark(&key, &Key::new(namespace, name), elsewhere, target)
        };
        let mark = of("team", "bot", None, "jira");
        assert_eq!(mark, of("team", "bot", None, "jira"));
        let bot = Key::new("team", "bot");
        for other in [
            of("other", "bot", None, "jira"),
            of("team", "other", None, "jira"),
            of("team", "bot", None, "other"),
            of("team", "bot", Some("b"), "jira"),
            target_mark(&FingerprintKey::new(b"other"), &bot, None, "jira"),
        ] {
            assert_ne!(mark, other);
        }
        let elsewhere = of("team", "bot", Some("b"), "jira");
        assert_ne!(elsewhere, of("team", "bot", Some("c"), "jira"));
    }

    #[test]
    fn in_another_namespace_only_a_mark_or_the_record_tells_what_is_ours() {
        let key = FingerprintKey::new(b"key");
        let me = Key::new("team", "bot");
        let mark = target_mark(&key, &me, Some("b"), "jira");
        let mine = [(MANAGED_BY_LABEL, OPERATOR_NAME), (CREDENTIAL_LABEL, "bot")];
        let target = Target {
            namespace: Some("b".into()),
            ..Target::default()
        };
        let ours = Some(me.clone());
        let (stranger, elsewhere) = (Holder::Stranger, Holder::Elsewhere);
        let theirs = Ownership::Theirs;
        let us = Some(("JiraCredential", "bot", "uid-1"));
        for (controller, labels, named, marked, uid, expected, owner) in [
            (
                None,
                &mine[..],
                "team/bot",
                true,
                "x",
                Ownership::Ours,
                ours.clone(),
            ),
            // The operator has another key now.
            (
                None,
                &mine[..],
                "team/bot",
                false,
                "written",
                Ownership::Ours,
                None,
            ),
            // Prepared by a user who knows the names.
            (
                None,
                &mine[..],
                "team/bot",
                false,
                "x",
                theirs(stranger.clone()),
                None,
            ),
            // A credential of the same name, in the namespace of the Secret or in a third one.
            (
                None,
                &mine[..],
                "b/bot",
                true,
                "written",
                theirs(elsewhere.clone()),
                None,
            ),
            (
                None,
                &mine[..],
                "c/bot",
                true,
                "written",
                theirs(elsewhere.clone()),
                None,
            ),
            (
                us,
                &mine[..],
                "team/bot",
                true,
                "written",
                theirs(elsewhere.clone()),
                None,
            ),
            // A user took it away.
            (
                None,
                &[],
                "team/bot",
                true,
                "written",
                theirs(stranger.clone()),
                None,
            ),
        ] {
            let mark = if marked { mark.as_str() } else { "forged" };
            let annotations = [(MARK_ANNOTATION, mark), (OWNER_ANNOTATION, named)];
            let annotations = annotations.map(|(key, value)| (key.into(), value.into()));
            let metadata = ObjectMeta {
                name: Some("jira".into()),
                namespace: Some("b".into()),
                uid: Some(uid.into()),
                annotations: Some(annotations.into()),
                ..found(controller, labels)
            };
            let mark = target_mark(&key, &me, Some("b"), "jira");
            let judged = ownership(
                &metadata,
                &with_status(self::owner()),
                &target,
                mark.as_str(),
            );
            assert_eq!(judged, expected, "{metadata:?}");
            assert_eq!(owner_elsewhere(&metadata, &key), owner, "{metadata:?}");
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
