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
