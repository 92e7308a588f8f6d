//! Which workloads are restarted, and when.

use crate::decide::steps;
use crate::simulator::{Effects, World, accepted};
use jira_credential_operator::api::{
    ConditionType, JiraCredentialStatus, Period, Reason, RestartStatus, Workload, WorkloadKind,
};

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
fn what_is_published_in_another_namespace_restarts_nothing_here() {
    let mut world = world();
    world.store("next");
    world.pass();
    let mut facts = world.pass().facts;
    facts.status.restart.as_mut().unwrap().fingerprint = "k0000:before".to_owned();
    assert!(facts.published_print().is_some());
    assert!(facts.catches_up(&pending("bot")));
    facts.targets[0].target.namespace = Some("team-b".to_owned());
    for record in &mut facts.status.targets {
        record.namespace = Some("team-b".to_owned());
    }
    assert!(facts.is_in_sync(&facts.targets[0]));
    assert_eq!(facts.published_print(), None);
    assert!(!facts.catches_up(&pending("bot")));
}

fn pending(target: &str) -> RestartStatus {
    RestartStatus {
        pending_targets: vec![target.to_owned()],
        ..RestartStatus::default()
    }
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
fn what_is_named_while_a_target_is_behind_is_restarted_when_it_follows() {
    let mut world = World::token().at_rest();
    world.jira.insert("next", accepted("anna"));
    world
        .workloads
        .insert("DaemonSet late".into(), String::new());
    world.refuses.insert("bot");
    world.store("next");
    world.pass();
    world.refuses.clear();
    world.edit(|spec| spec.restart = vec![workload(WorkloadKind::DaemonSet, "late")]);
    assert_eq!(steps(&mut world), "publish bot, restart DaemonSet late");
    world.restart();
    assert_eq!(steps(&mut world), "");
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
fn a_credential_that_was_created_again_restarts_for_the_same_change() {
    let mut world = world();
    world.store("next");
    world.pass();
    assert_eq!(world.effects.rolled.len(), 2);
    world.object.uid = "uid-of-the-second".into();
    world.status = JiraCredentialStatus::default();
    world.secrets.clear();
    world.store("good");
    world.pass();
    assert_eq!(world.effects.rolled.len(), 2, "the first publication");
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
            world.wait(1);
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

/// A look that fails says nothing new about it.
#[test]
fn a_failed_look_takes_a_missing_workload_for_no_other() {
    for reason in [Reason::OperatorRightMissing, Reason::RestartRefused] {
        let mut world = world();
        world.workloads.remove("Deployment sync");
        world.store("next");
        world.pass();
        world.stuck.insert("Deployment sync", reason);
        world.wait(20);
        assert_eq!(steps(&mut world), "restart Deployment sync");
        let said = world.status_of(ConditionType::RestartFailed);
        assert_eq!(said, "True WorkloadMissing", "{reason:?}");
        world.stuck.clear();
        world.silent.insert("Deployment sync");
        world.wait(40);
        assert_eq!(steps(&mut world), "restart Deployment sync");
        let said = world.status_of(ConditionType::RestartFailed);
        assert_eq!(said, "True WorkloadMissing", "{reason:?}");
        world.silent.clear();
        world
            .workloads
            .insert("Deployment sync".into(), String::new());
        world.wait(80);
        assert_eq!(steps(&mut world), "restart Deployment sync");
        assert_eq!(world.effects.rolled, ["StatefulSet db"], "{reason:?}");
    }
}

/// Each request to an API server that is silent takes its whole time.
#[test]
fn an_api_server_that_is_silent_is_asked_about_one_workload_at_a_time() {
    let mut world = world();
    world.silent.insert("Deployment sync");
    world.store("next");
    assert!(steps(&mut world).ends_with("publish bot, restart Deployment sync"));
    let said = world.condition(ConditionType::RestartFailed).unwrap();
    assert_eq!(said.reason, Reason::RestartRefused);
    let both = "StatefulSet db, Deployment sync";
    assert!(said.message.contains(both), "{}", said.message);
    assert_eq!(steps(&mut world), "");
    // What was not reached comes first.
    world.wait(20);
    let rest = "restart StatefulSet db, restart Deployment sync";
    assert_eq!(steps(&mut world), rest);
    assert_eq!(world.effects.rolled, ["StatefulSet db"]);
    world.silent.clear();
    world.wait(40);
    assert_eq!(steps(&mut world), "restart Deployment sync");
    assert_eq!(world.effects.rolled, ["StatefulSet db", "Deployment sync"]);
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
    assert_eq!(steps(&mut world), "publish other", "and is refused");
    world.restart();
    world.refuses.clear();
    let again = format!("publish other, {BOTH}");
    assert_eq!(steps(&mut world), again, "its pods have the older one");
    assert_eq!(world.effects.rolled.len(), 4);
    world.restart();
    assert_eq!(steps(&mut world), "");
    world.tamper("other");
    assert_eq!(steps(&mut world), "publish other");
    assert_eq!(world.effects.rolled.len(), 4);
}

/// Each of several that follow later is a restart of its own.
#[test]
fn every_target_that_follows_later_restarts_once() {
    for crash in [false, true] {
        let mut world = world();
        world.edit(|spec| {
            let names = ["bot", "b", "c", "d"];
            spec.targets = names.map(|name| crate::decide::target(name, None)).into();
        });
        world.pass();
        world.effects = Effects::default();
        world.refuses.extend(["b", "c", "d"]);
        world.store("next");
        world.pass();
        assert_eq!(world.effects.rolled.len(), 2);
        // How many effects there are until the first workload is restarted.
        for (name, restarts, effects) in [("b", 4, 6), ("c", 6, 4)] {
            world.refuses.remove(name);
            if crash {
                world.cut_after = Some(effects);
                assert!(world.try_pass().is_err());
                assert_eq!(world.effects.rolled.len(), restarts - 1, "{name}");
                world.restart();
            }
            world.pass();
            assert_eq!(world.effects.rolled.len(), restarts, "{name} {crash}");
            world.pass();
            assert_eq!(world.effects.rolled.len(), restarts, "{name} {crash}");
        }
        // One that is named no longer is waited for no longer.
        let status = world.status.restart.clone().unwrap();
        assert_eq!(status.pending_targets, ["d"]);
        world.edit(|spec| {
            spec.targets.pop();
        });
        world.pass();
        assert_eq!(
            world.status.restart.clone().unwrap().pending_targets.len(),
            0
        );
        assert_eq!(world.effects.rolled.len(), 6);
    }
}

/// Restarts may take long; a process that dies meanwhile must not ask Jira again.
#[test]
fn what_jira_said_is_recorded_before_anything_is_restarted() {
    let mut world = world();
    world.store("next");
    for name in ["Deployment sync", "StatefulSet db"] {
        world.silent.insert(name);
    }
    // The call, the target, the status, the first restart.
    world.cut_after = Some(3);
    assert!(world.try_pass().is_err());
    assert_eq!(world.effects.restart_requests, 1);
    assert_eq!(world.effects.status_writes, 1);
    world.restart();
    world.silent.clear();
    assert_eq!(steps(&mut world), BOTH);
    assert_eq!(world.effects.calls.len(), 1);
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
