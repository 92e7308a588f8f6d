//! Which workloads are restarted, and when.

use crate::decide::steps;
use crate::simulator::{Effects, World, accepted};
use jira_credential_operator::api::{ConditionType, Period, Reason, Workload, WorkloadKind};

fn workload(kind: WorkloadKind, name: &str) -> Workload {
    let name = name.to_owned();
    Workload { kind, name }
}

/// A credential at rest that names a Deployment and a `StatefulSet`, both there; `next` is accepted, too.
fn world() -> World {
    let mut world = World::token().with(|world| {
        world.spec.restart = vec![
            workload(WorkloadKind::Deployment, "sync"),
            workload(WorkloadKind::StatefulSet, "db"),
        ];
        for name in ["Deployment sync", "StatefulSet db"] {
            world.workloads.insert(name.into(), String::new());
        }
        world.jira.insert("next", accepted("anna"));
        world.jira.insert("third", accepted("anna"));
    });
    assert_eq!(
        steps(&mut world),
        "validate, publish bot",
        "the first value"
    );
    assert_eq!(world.effects.rolled, Vec::<String>::new());
    world.effects = Effects::default();
    world
}

const BOTH: &str = "restart Deployment sync, restart StatefulSet db";

#[test]
fn a_change_of_the_credential_restarts_each_workload_once() {
    let mut world = world();
    assert_eq!(steps(&mut world), "");
    for secret in ["next", "third", "next", "good"] {
        world.store(secret);
        let expected = format!("validate, publish bot, {BOTH}");
        assert_eq!(steps(&mut world), expected, "{secret}");
        world.restart();
        assert_eq!(steps(&mut world), "", "{secret}");
    }
    assert_eq!(world.effects.rolled.len(), 8);
}

#[test]
fn nothing_but_a_change_of_the_credential_restarts_anything() {
    type Change = fn(&mut World);
    let table: [(&str, Change); 8] = [
        ("a restart of the operator", World::restart),
        ("an edited target", |world| world.tamper("bot")),
        ("a deleted target", |world| world.secrets.clear()),
        ("another target", |world| {
            world.edit(|spec| spec.targets = vec![crate::decide::target("more", None)]);
        }),
        ("another interval", |world| {
            world.edit(|spec| spec.rotation.max_age = Some(Period::new("9d")));
        }),
        ("another key of the fingerprints", |world| {
            world.key = b"key two";
            world.source_version += 1;
        }),
        ("a person who asks", |world| {
            world.object.renew = Some("now".into());
        }),
        ("a refused credential", |world| world.store("bad")),
    ];
    for (name, change) in table {
        let mut world = world();
        change(&mut world);
        for _ in 0..3 {
            world.pass();
            world.wait(2 * 3600);
        }
        assert_eq!(world.effects.restart_requests, 0, "{name}");
    }
}

#[test]
fn what_is_named_later_is_restarted_by_the_next_change() {
    let mut world = World::token().at_rest();
    world.jira.insert("next", accepted("anna"));
    world
        .workloads
        .insert("DaemonSet late".into(), String::new());
    let late = vec![workload(WorkloadKind::DaemonSet, "late")];
    let mut at_once = world.clone();
    world.edit(|spec| spec.restart.clone_from(&late));
    assert_eq!(steps(&mut world), "");
    world.store("next");
    assert!(steps(&mut world).ends_with("publish bot, restart DaemonSet late"));

    // Together with a new credential: its pods have the old one.
    at_once.edit(|spec| spec.restart = late);
    at_once.store("next");
    assert!(steps(&mut at_once).ends_with("publish bot, restart DaemonSet late"));
}

#[test]
fn going_back_to_an_older_credential_is_another_change() {
    let mut world = world();
    world.store("next");
    world.pass();
    let named = world.spec.restart.clone();
    world.edit(|spec| spec.restart.clear());
    world.store("third");
    world.pass();
    world.edit(|spec| spec.restart = named);
    world.pass();
    world.store("next");
    world.pass();
    assert_eq!(world.effects.rolled.len(), 4);
}

#[test]
fn a_process_that_dies_anywhere_restarts_each_workload_once() {
    for cut in 0.. {
        let mut world = world();
        world.store("next");
        world.cut_after = Some(cut);
        if world.try_pass().is_ok() {
            assert!(cut > 4, "it was cut at {cut} effects only");
            break;
        }
        world.restart();
        for _ in 0..3 {
            world.pass();
        }
        let mut rolled = world.effects.rolled.clone();
        rolled.sort_unstable();
        assert_eq!(rolled, ["Deployment sync", "StatefulSet db"], "{cut}");
    }
}

#[test]
fn one_that_fails_stops_no_other_and_is_tried_again() {
    for reason in [
        Reason::OperatorRightMissing,
        Reason::RestartHeld,
        Reason::RestartRefused,
    ] {
        let mut world = world();
        world.stuck.insert("Deployment sync", reason);
        world.store("next");
        assert!(steps(&mut world).ends_with(BOTH));
        assert_eq!(world.effects.rolled, ["StatefulSet db"]);
        let said = world.status_of(ConditionType::RestartFailed);
        assert_eq!(said, format!("True {reason:?}"));
        assert_eq!(world.status_of(ConditionType::Ready), "True Validated");
        assert_eq!(world.status_of(ConditionType::Reconciling), "absent");
        assert_eq!(steps(&mut world), "");
        world.wait(20);
        assert_eq!(steps(&mut world), "restart Deployment sync");
        world.stuck.clear();
        world.wait(20);
        assert_eq!(steps(&mut world), "", "it waits longer each time");
        world.wait(20);
        assert_eq!(steps(&mut world), "restart Deployment sync");
        assert_eq!(world.effects.rolled, ["StatefulSet db", "Deployment sync"]);
        assert_eq!(world.status_of(ConditionType::RestartFailed), "absent");
        world.wait(7200);
        assert_eq!(steps(&mut world), "validate");
    }
}

#[test]
fn a_workload_that_comes_later_has_started_with_what_is_published() {
    let mut world = world();
    world.workloads.remove("Deployment sync");
    world.store("next");
    assert!(steps(&mut world).ends_with(BOTH));
    let said = world.status_of(ConditionType::RestartFailed);
    assert_eq!(said, "True WorkloadMissing");
    world
        .workloads
        .insert("Deployment sync".into(), String::new());
    world.wait(20);
    assert_eq!(steps(&mut world), "restart Deployment sync");
    assert_eq!(world.effects.rolled, ["StatefulSet db"]);
    assert_eq!(world.status_of(ConditionType::RestartFailed), "absent");
}

#[test]
fn what_the_spec_no_longer_names_is_forgotten() {
    let mut world = world();
    world.workloads.clear();
    world.store("next");
    world.pass();
    world.edit(|spec| {
        spec.restart.remove(0);
    });
    assert_eq!(steps(&mut world), "restart StatefulSet db");
    let failed = world.status.restart.clone().unwrap().failed;
    assert_eq!(failed.len(), 1);
    world.edit(|spec| spec.restart.clear());
    assert_eq!(steps(&mut world), "");
    assert_eq!(world.status.restart, None);
    assert_eq!(world.status_of(ConditionType::RestartFailed), "absent");
}

#[test]
fn a_target_that_cannot_be_written_holds_up_no_restart() {
    let mut world = world();
    world.edit(|spec| {
        spec.targets = vec![
            crate::decide::target("bot", None),
            crate::decide::target("other", None),
        ];
    });
    world.refuses.insert("other");
    world.pass();
    world.store("next");
    assert!(steps(&mut world).ends_with(BOTH));
    assert_eq!(world.effects.rolled.len(), 2);
}

#[test]
fn a_suspended_credential_restarts_nothing_until_it_is_resumed() {
    let mut world = world();
    world
        .stuck
        .insert("Deployment sync", Reason::RestartRefused);
    world.store("next");
    world.pass();
    world.edit(|spec| spec.suspend = true);
    world.wait(60);
    assert_eq!(steps(&mut world), "");
    world.edit(|spec| spec.suspend = false);
    assert!(steps(&mut world).contains("restart Deployment sync"));
}
