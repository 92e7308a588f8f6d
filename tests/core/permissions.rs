use crate::simulator::{Effects, World, accepted};
use jira_credential_operator::api::{AttemptOutcome, ConditionType, Permission, Reason};
use jira_credential_operator::core::decide::Step;
use jira_credential_operator::core::facts::Peer;
use jira_credential_operator::core::probe::{Outage, Permissions, Refusal, Verdict};

fn told(held: &[&str], missing: &[&str], unknown: &[&str]) -> Permissions {
    let own = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    Permissions {
        held: own(held),
        missing: own(missing),
        unknown: own(unknown),
    }
}

fn require(world: &mut World, keys: &[&str]) {
    let keys = keys
        .iter()
        .map(|key| Permission((*key).to_owned()))
        .collect();
    world.edit(|spec| spec.validation.required_permissions = keys);
}

/// A credential whose spec requires permissions, before its first reconcile.
fn requiring(answer: Result<Permissions, Verdict>) -> World {
    let mut world = World::token().with(|world| world.permissions = answer);
    require(&mut world, &["BROWSE_PROJECTS", "CREATE_ISSUES"]);
    world
}

const SILENCES: [Verdict; 4] = [
    Verdict::NoVerdict(Outage::Timeout),
    Verdict::NoVerdict(Outage::ServerError(502)),
    Verdict::Refused(Refusal::Forbidden),
    Verdict::Refused(Refusal::InsufficientScope),
];

#[test]
fn nothing_is_published_without_the_required_permissions() {
    let both = ["BROWSE_PROJECTS", "CREATE_ISSUES"];
    let mut world = requiring(Ok(told(&both, &["ADMINISTER", "SYSTEM_ADMIN"], &[])));
    let passed = world.pass();
    assert_eq!(passed.steps[..2], [Step::Validate, Step::Permissions]);
    assert_eq!(world.status_of(ConditionType::Ready), "True Validated");
    let mut world = requiring(Ok(told(&["BROWSE_PROJECTS"], &["CREATE_ISSUES"], &[])));
    let passed = world.pass();
    assert_eq!(passed.steps, [Step::Validate, Step::Permissions]);
    assert_eq!(
        world.status_of(ConditionType::Valid),
        "False PermissionMissing"
    );
    assert_eq!(
        world.status_of(ConditionType::Ready),
        "False PermissionMissing"
    );
    let text = world
        .condition(ConditionType::Ready)
        .unwrap()
        .message
        .clone();
    assert!(text.contains(": CREATE_ISSUES."), "{text}");
    assert!(!text.contains("BROWSE_PROJECTS"), "{text}");
    assert!(world.secrets.is_empty());
    assert_eq!(world.status.validated_fingerprint, None);
    let quiet = world.status.clone();
    world.wait(60);
    world.pass();
    assert_eq!(
        world.status, quiet,
        "not again at once, and in the same words"
    );
    world.permissions = Ok(told(&both, &[], &[]));
    world.wait(7 * 3600);
    world.pass();
    assert_eq!(
        world.status_of(ConditionType::Ready),
        "True Validated",
        "by itself"
    );
}

#[test]
fn a_permission_that_jira_does_not_know_is_told_with_the_field() {
    let mut world = requiring(Ok(told(&[], &[], &["CREATE_ISSUES"])));
    world.pass();
    assert_eq!(
        world.status_of(ConditionType::Valid),
        "False PermissionMissing"
    );
    let text = world
        .condition(ConditionType::Valid)
        .unwrap()
        .message
        .clone();
    assert!(
        text.contains("does not know the permissions CREATE_ISSUES"),
        "{text}"
    );
    assert!(
        text.contains("spec.validation.requiredPermissions"),
        "{text}"
    );
    require(&mut world, &["BROWSE_PROJECTS"]);
    world.permissions = Ok(told(&["BROWSE_PROJECTS"], &[], &[]));
    world.pass();
    assert_eq!(
        world.status_of(ConditionType::Ready),
        "True Validated",
        "another spec ends it"
    );
}

#[test]
fn what_is_published_stays_when_a_permission_is_lost() {
    let mut world = requiring(Ok(told(&["BROWSE_PROJECTS", "CREATE_ISSUES"], &[], &[]))).at_rest();
    let secrets = world.secrets.clone();
    world.permissions = Ok(told(&["BROWSE_PROJECTS"], &["CREATE_ISSUES"], &[]));
    world.wait(2 * 3600);
    world.pass();
    assert_eq!(
        world.status_of(ConditionType::Valid),
        "False PermissionMissing"
    );
    assert_eq!(world.status_of(ConditionType::Published), "True Written");
    assert_eq!(world.secrets, secrets);
    world.secrets.clear();
    world.pass();
    assert!(world.secrets.is_empty(), "nor is it written again");
}

#[test]
fn a_requirement_that_is_added_is_looked_at_at_once() {
    let mut world = World::token().at_rest();
    require(&mut world, &["BROWSE_PROJECTS"]);
    world.permissions = Ok(told(&[], &["BROWSE_PROJECTS"], &[]));
    world.pass();
    assert_eq!(
        world.status_of(ConditionType::Valid),
        "False PermissionMissing"
    );
    let mut world = World::token().at_rest();
    require(&mut world, &["BROWSE_PROJECTS"]);
    for silence in SILENCES {
        let mut world = world.clone();
        world.permissions = Err(silence);
        world.pass();
        assert_ne!(
            world.status_of(ConditionType::Ready),
            "True Validated",
            "nobody knows yet"
        );
    }
}

#[test]
fn silence_is_no_verdict_though_permissions_are_required() {
    for silence in SILENCES {
        let mut world =
            requiring(Ok(told(&["BROWSE_PROJECTS", "CREATE_ISSUES"], &[], &[]))).at_rest();
        let mut new = requiring(Err(silence.clone()));
        world.permissions = Err(silence.clone());
        world.wait(5400);
        for world in [&mut world, &mut new] {
            world.pass();
        }
        let valid = (
            world.status_of(ConditionType::Valid),
            new.status_of(ConditionType::Valid),
        );
        if silence == Verdict::Refused(Refusal::InsufficientScope) {
            let text = &world.condition(ConditionType::Valid).unwrap().message;
            assert!(text.contains("read:jira-work"), "{text}");
            assert_eq!(
                valid,
                (
                    "False InsufficientScope".into(),
                    "False InsufficientScope".into()
                )
            );
        } else {
            assert_eq!(
                valid.0, "True Accepted",
                "{silence:?}: until the validation is stale"
            );
            assert!(valid.1.starts_with("Unknown"), "{silence:?}: {}", valid.1);
        }
        assert!(new.secrets.is_empty(), "{silence:?}");
    }
}

#[test]
fn a_password_that_jira_accepted_is_not_lost_in_a_silence_about_permissions() {
    let mut world = World::password().with(|world| {
        world.permissions = Err(Verdict::NoVerdict(Outage::Timeout));
    });
    require(&mut world, &["BROWSE_PROJECTS"]);
    world.pass();
    let attempt = world.status.attempt.clone().unwrap();
    assert_eq!(attempt.outcome, AttemptOutcome::NoVerdict);
    assert!(attempt.next_attempt_time.is_some(), "it needs no person");
    world.permissions = Ok(told(&[], &["BROWSE_PROJECTS"], &[]));
    world.wait(120);
    world.pass();
    assert_eq!(
        world.status_of(ConditionType::Valid),
        "False PermissionMissing"
    );
    world.restart();
    let print = world.print("good");
    let sent = world.passwords.get(print.as_str());
    assert!(
        sent.is_none_or(|sent| !matches!(sent.what, Peer::Refused(_))),
        "its twins may use it"
    );
    world.permissions = Ok(told(&["BROWSE_PROJECTS"], &[], &[]));
    world.wait(7 * 3600);
    world.pass();
    assert_eq!(world.status_of(ConditionType::Ready), "True Validated");
}

#[test]
fn rights_of_an_administrator_are_told_and_hinder_nothing() {
    let mut world = World::token().with(|world| {
        world.permissions = Ok(told(&["ADMINISTER"], &["SYSTEM_ADMIN"], &[]));
    });
    let passed = world.pass();
    assert_eq!(world.effects.questions, ["permissions"]);
    assert_eq!(world.status_of(ConditionType::Ready), "True Validated");
    assert_eq!(
        world.status_of(ConditionType::OverPrivileged),
        "True Administrator"
    );
    let text = &world
        .condition(ConditionType::OverPrivileged)
        .unwrap()
        .message;
    assert!(
        text.contains("anna") && text.contains(": ADMINISTER."),
        "{text}"
    );
    let told_of: Vec<_> = passed
        .conclusion
        .events
        .iter()
        .map(|event| (event.warning, event.reason))
        .collect();
    assert_eq!(
        told_of,
        [(false, Reason::Validated), (true, Reason::Administrator)]
    );
    world.wait(2 * 3600);
    assert!(world.pass().conclusion.events.is_empty(), "told once");
    // Asked for, they are no surplus.
    require(&mut world, &["ADMINISTER"]);
    world.pass();
    assert_eq!(world.status_of(ConditionType::OverPrivileged), "absent");
    assert_eq!(world.status_of(ConditionType::Ready), "True Validated");
}

#[test]
fn it_is_asked_once_for_a_new_credential_and_then_once_a_day() {
    let mut world = World::token().with(|world| {
        world.jira.insert("bad", accepted("anna"));
    });
    let asked = |world: &mut World, wait: i64| {
        world.wait(wait);
        world.effects = Effects::default();
        world.pass();
        (world.effects.calls.len(), world.effects.questions.len())
    };
    assert_eq!(asked(&mut world, 0), (1, 1));
    for _ in 0..12 {
        assert_eq!(asked(&mut world, 2 * 3600 - 60), (1, 0));
    }
    assert_eq!(asked(&mut world, 2 * 3600), (1, 1), "a day later");
    assert_eq!(asked(&mut world, 2 * 3600), (1, 0));
    world.store("bad");
    assert_eq!(asked(&mut world, 1), (1, 1), "another credential");
    // What the account may do is known to change, too.
    world.permissions = Ok(told(&["SYSTEM_ADMIN"], &[], &[]));
    assert_eq!(asked(&mut world, 25 * 3600), (1, 1));
    assert_eq!(
        world.status_of(ConditionType::OverPrivileged),
        "True Administrator"
    );
    world.permissions = Ok(told(&[], &["SYSTEM_ADMIN"], &[]));
    assert_eq!(asked(&mut world, 25 * 3600), (1, 1));
    assert_eq!(world.status_of(ConditionType::OverPrivileged), "absent");
}

#[test]
fn a_refused_permission_query_is_retried_after_a_day_and_an_outage_after_an_interval() {
    for silence in SILENCES {
        let mut world = World::token().with(|world| world.permissions = Err(silence.clone()));
        world.pass();
        assert_eq!(
            world.status_of(ConditionType::Ready),
            "True Validated",
            "{silence:?}"
        );
        assert_eq!(world.status_of(ConditionType::OverPrivileged), "absent");
        world.effects = Effects::default();
        world.wait(2 * 3600);
        world.pass();
        let again = matches!(silence, Verdict::NoVerdict(_));
        assert_eq!(!world.effects.questions.is_empty(), again, "{silence:?}");
    }
}

#[test]
fn what_is_known_outlives_a_silence() {
    let mut world =
        World::token().with(|world| world.permissions = Ok(told(&["ADMINISTER"], &[], &[])));
    world.pass();
    for silence in SILENCES {
        world.permissions = Err(silence);
        world.wait(25 * 3600);
        world.pass();
        assert_eq!(
            world.status_of(ConditionType::OverPrivileged),
            "True Administrator"
        );
    }
}
