//! Who holds a Secret. What this credential does not hold is not written.

use aws_lc_rs::digest;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};

use crate::api::{CREDENTIAL_LABEL, GROUP, JiraCredential, MANAGED_BY_LABEL, OPERATOR_NAME};
use crate::core::facts::Holder;
use crate::core::fingerprint::hex;

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

/// Ours is what our credential controls, and what carries our labels while no living owner
/// controls it. A controller that bears our own name and another uid is dead: names are unique.
pub(super) fn ownership(found: &ObjectMeta, owner: &JiraCredential) -> Ownership {
    let (name, uid) = (owner.name_any(), owner.uid().unwrap_or_default());
    let mut references = found.owner_references.iter().flatten();
    if let Some(controller) = references
        .clone()
        .find(|owner| owner.controller == Some(true))
    {
        return match (
            is_credential(controller),
            controller.uid == uid,
            controller.name == name,
        ) {
            (true, true, _) | (true, _, true) => Ownership::Ours,
            (true, false, false) => Ownership::Theirs(Holder::Credential(controller.name.clone())),
            (false, ..) => Ownership::Theirs(Holder::Stranger),
        };
    }
    if references.any(|owner| owner.uid == uid) {
        return Ownership::Ours;
    }
    let label = |key: &str| found.labels.as_ref().and_then(|labels| labels.get(key));
    let managed = label(MANAGED_BY_LABEL).is_some_and(|by| by == OPERATOR_NAME);
    match label(CREDENTIAL_LABEL) {
        Some(credential) if managed && *credential == label_value(&name) => Ownership::Ours,
        Some(credential) if managed => Ownership::Theirs(Holder::Credential(credential.clone())),
        _ => Ownership::Theirs(Holder::Stranger),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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

    #[test]
    fn only_what_this_credential_holds_is_ours() {
        let mine = [(MANAGED_BY_LABEL, OPERATOR_NAME), (CREDENTIAL_LABEL, "bot")];
        let theirs = [
            (MANAGED_BY_LABEL, OPERATOR_NAME),
            (CREDENTIAL_LABEL, "other"),
        ];
        let stranger = Ownership::Theirs(Holder::Stranger);
        let other = Ownership::Theirs(Holder::Credential("other".into()));
        for (metadata, expected) in [
            (
                found(Some(("JiraCredential", "bot", "uid-1")), &[]),
                Ownership::Ours,
            ),
            (
                found(Some(("JiraCredential", "bot", "uid-0")), &[]),
                Ownership::Ours,
            ),
            (
                found(Some(("JiraCredential", "other", "uid-2")), &mine),
                other.clone(),
            ),
            (
                found(Some(("Deployment", "bot", "uid-1")), &mine),
                stranger.clone(),
            ),
            (found(None, &mine), Ownership::Ours),
            (found(None, &theirs), other),
            (found(None, &[(CREDENTIAL_LABEL, "bot")]), stranger.clone()),
            (found(None, &[]), stranger),
        ] {
            assert_eq!(ownership(&metadata, &owner()), expected, "{metadata:?}");
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
