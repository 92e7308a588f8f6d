//! In which batches workloads are restarted, and by when.

use chrono::{DateTime, TimeDelta, Utc};

use crate::decide::{steps, target};
use crate::simulator::{Effects, World, accepted, at};
use jira_credential_operator::api::{ConditionType, GrantStatus, Reason, Workload, WorkloadKind};
use jira_credential_operator::core::facts::{
    Batches, Facts, GrantState, Peer, Process, Renewal, Restarted, SeedState, TimeScale,
};
use jira_credential_operator::core::grant::Holder;
use jira_credential_operator::core::spec::{Client, RenewalKind, RenewalPlan, Stated};
use jira_credential_operator::core::time::IDLE_LIVES;

fn workload(number: usize) -> Workload {
    Workload {
        kind: WorkloadKind::Deployment,
        name: format!("d{number}"),
    }
}

/// A credential at rest that names so many Deployments, all there. An hour later `next` and `third` are
/// accepted, too.
fn world(workloads: usize) -> World {
    let mut world = World::token().with(|world| {
        world.spec.restart = (1..=workloads).map(workload).collect();
        for workload in &world.spec.restart {
            world.workloads.insert(workload.to_string(), String::new());
        }
        world.jira.insert("next", accepted("anna"));
        world.jira.insert("third", accepted("anna"));
    });
    world.pass();
    world.wait(1800);
    world.effects = Effects::default();
    world
}

/// The Deployments with these numbers.
fn deployments(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    let named = numbers.into_iter();
    named
        .map(|number| format!("Deployment d{number}"))
        .collect()
}

/// Reconciles, and waits for the next reconcile, a minute at most. Which workloads were restarted.
fn rolled(world: &mut World) -> Vec<String> {
    let before = world.effects.rolled.len();
    let wake = world.pass().conclusion.wake;
    world.wait(wake.num_seconds().min(60));
    world.effects.rolled[before..].to_vec()
}

#[test]
fn four_are_restarted_together_and_the_next_a_minute_later() {
    for count in [1, 4, 5, 16] {
        let mut world = world(count);
        world.store("next");
        for first in (1..=count).step_by(4) {
            let last = count.min(first + 3);
            let before = world.effects.clone();
            let wake = world.pass().conclusion.wake;
            let rolled = &world.effects.rolled[before.rolled.len()..];
            assert_eq!(rolled, deployments(first..=last), "{count}");
            let is_last = last == count;
            assert_eq!(wake == TimeDelta::minutes(1), !is_last, "{count}: {wake}");
            // The change of the credential is recorded first; the restarts, with the last of them.
            let records = usize::from(first == 1) + usize::from(is_last);
            let writes = world.effects.status_writes - before.status_writes;
            assert_eq!(writes, records, "{count}");
            world.wait(60);
            assert_eq!(world.status_of(ConditionType::Ready), "True Validated");
            assert_eq!(world.status_of(ConditionType::Reconciling), "absent");
            assert_eq!(world.status_of(ConditionType::RestartFailed), "absent");
        }
        assert_eq!(world.effects.restart_requests, count);
        world.restart();
        assert_eq!(steps(&mut world), "", "{count}");
    }
}

#[test]
fn between_batches_nothing_is_done() {
    let mut world = world(6);
    world.store("next");
    world.pass();
    world.effects = Effects::default();
    for _ in 0..3 {
        world.wait(15);
        assert_eq!(steps(&mut world), "");
    }
    assert_eq!(world.effects, Effects::default());
    world.wait(15);
    let rest = "restart Deployment d5, restart Deployment d6";
    assert_eq!(steps(&mut world), rest);
}

#[test]
fn a_clock_that_is_set_back_holds_up_no_batch() {
    let mut world = world(6);
    world.store("next");
    world.pass();
    world.wait(-300);
    assert_eq!(rolled(&mut world), deployments(5..=6));
}

#[test]
fn a_workload_that_is_missing_takes_a_place_in_its_batch_and_is_told_at_the_end() {
    let mut world = world(6);
    world.workloads.remove("Deployment d2");
    world.store("next");
    assert_eq!(rolled(&mut world), deployments([1, 3, 4]));
    assert_eq!(world.status_of(ConditionType::RestartFailed), "absent");
    assert_eq!(rolled(&mut world), deployments(5..=6));
    let told = world.status_of(ConditionType::RestartFailed);
    assert_eq!(told, "True WorkloadMissing");
}

/// What failed is late, and waits for no batch.
#[test]
fn what_failed_is_tried_again_together() {
    let mut world = world(6);
    let names: Vec<&'static str> = deployments(1..=6)
        .into_iter()
        .map(|name| &*name.leak())
        .collect();
    for name in names {
        world.stuck.insert(name, Reason::RestartRefused);
    }
    world.store("next");
    assert_eq!(rolled(&mut world), deployments([]));
    world.pass();
    let told = world.status_of(ConditionType::RestartFailed);
    assert_eq!(told, "True RestartRefused");
    world.stuck.clear();
    world.wait(20);
    assert_eq!(rolled(&mut world), deployments(1..=6));
}

/// Each request to an API server that is silent takes its whole time.
#[test]
fn a_silent_api_server_ends_the_batches() {
    let mut world = world(9);
    world.store("next");
    assert_eq!(rolled(&mut world), deployments(1..=4));
    world.silent.insert("Deployment d5");
    assert_eq!(rolled(&mut world), deployments([]));
    let told = world.status_of(ConditionType::RestartFailed);
    assert_eq!(told, "True RestartRefused");
    world.silent.clear();
    assert_eq!(rolled(&mut world), deployments([6, 7, 8, 9, 5]));
    assert_eq!(world.status_of(ConditionType::RestartFailed), "absent");
}

#[test]
fn a_process_that_dies_anywhere_between_the_batches_restarts_each_workload_once() {
    for cut in 0.. {
        let mut world = world(6);
        world.store("next");
        world.cut_after = Some(cut);
        let mut ends = 0;
        for _ in 0..6 {
            if let Ok(passed) = world.try_pass() {
                world.wait(passed.conclusion.wake.num_seconds().min(60));
            } else {
                ends += 1;
                world.restart();
            }
        }
        let mut rolled = world.effects.rolled.clone();
        rolled.sort_unstable();
        assert_eq!(rolled, deployments(1..=6), "{cut}");
        assert_eq!(world.status.restart.clone().unwrap().failed, [], "{cut}");
        if ends == 0 {
            assert!(cut > 8, "it was cut at {cut} effects only");
            break;
        }
    }
}

#[test]
fn another_change_in_between_begins_with_the_first_batch() {
    let mut world = world(6);
    world.store("next");
    assert_eq!(rolled(&mut world), deployments(1..=4));
    world.store("third");
    assert_eq!(rolled(&mut world), deployments(1..=4));
    assert_eq!(rolled(&mut world), deployments(5..=6));
    assert_eq!(steps(&mut world), "");
}

/// Pods of the first batch have the one in between.
#[test]
fn going_back_in_between_restarts_what_was_restarted() {
    let mut world = world(6);
    world.store("next");
    assert_eq!(rolled(&mut world), deployments(1..=4));
    world.store("good");
    assert_eq!(rolled(&mut world), deployments(1..=4));
    assert_eq!(rolled(&mut world), deployments(5..=6));
    assert_eq!(steps(&mut world), "");
    world.store("next");
    assert_eq!(rolled(&mut world), deployments(1..=4));
    assert_eq!(rolled(&mut world), deployments(5..=6));
    assert_eq!(steps(&mut world), "");
}

#[test]
fn going_back_and_forth_restarts_all_and_ends() {
    let mut world = world(9);
    world.store("next");
    for batch in [1..=4, 5..=8, 9..=9] {
        assert_eq!(rolled(&mut world), deployments(batch));
    }
    world.store("good");
    for batch in [1..=4, 5..=8] {
        assert_eq!(rolled(&mut world), deployments(batch));
    }
    // What was recorded last is published again.
    world.store("next");
    for batch in [1..=4, 5..=8, 9..=9] {
        assert_eq!(rolled(&mut world), deployments(batch));
    }
    assert_eq!(steps(&mut world), "");
}

/// Pods of the first batch have started without it.
#[test]
fn a_target_that_follows_between_batches_restarts_all_once_more() {
    let mut world = world(6);
    world.edit(|spec| spec.targets = vec![target("bot", None), target("other", None)]);
    world.pass();
    world.refuses.insert("other");
    world.store("next");
    assert_eq!(rolled(&mut world), deployments(1..=4));
    world.refuses.clear();
    assert_eq!(rolled(&mut world), deployments(5..=6));
    let behind = world.status.restart.clone().unwrap().pending_targets;
    assert_eq!(behind, ["other"]);
    assert_eq!(rolled(&mut world), deployments(1..=4));
    assert_eq!(rolled(&mut world), deployments(5..=6));
    let behind = world.status.restart.clone().unwrap().pending_targets;
    assert_eq!(behind, Vec::<String>::new());
    assert_eq!(steps(&mut world), "");
}

#[test]
fn what_the_spec_names_in_between_is_restarted_as_well() {
    let mut world = world(6);
    world.store("next");
    assert_eq!(rolled(&mut world), deployments(1..=4));
    world
        .workloads
        .insert(workload(7).to_string(), String::new());
    world.edit(|spec| {
        spec.restart.remove(4);
        spec.restart.push(workload(7));
    });
    assert_eq!(rolled(&mut world), deployments(6..=7));
    assert_eq!(steps(&mut world), "");
}

/// What uses a credential that Jira has refused fails already.
#[test]
fn what_takes_the_place_of_a_refused_credential_waits_for_no_batch() {
    let mut world = world(6);
    world.store("bad");
    world.pass();
    world.wait(60);
    world.store("next");
    assert_eq!(rolled(&mut world), deployments(1..=6));
}

/// What is remembered counts no more when another process has recorded a restart.
#[test]
fn what_another_process_recorded_is_not_overruled() {
    let mut world = world(6);
    world.store("next");
    world.pass();
    let remembered: Option<Batches> = world.batches.clone();
    world.restart();
    for _ in 0..3 {
        world.pass();
        world.wait(60);
    }
    world.store("third");
    for _ in 0..3 {
        world.pass();
        world.wait(60);
    }
    assert_eq!(world.effects.rolled.len(), 12);
    world.batches = remembered;
    assert_eq!(steps(&mut world), "");
}

/// A token that was renewed five minutes past noon, when the first batch begins so many seconds later.
fn renewed(kind: RenewalKind, is_cloud: bool, late: i64) -> Facts {
    let mut facts = world(16).pass().facts;
    let used = at(300);
    facts.now = used + TimeDelta::seconds(late);
    facts.status.last_validated_time = Some(used);
    facts.status.expires_at = Some(used + TimeDelta::hours(1));
    facts.status.grant = Some(GrantStatus {
        idle_expires_at: (kind == RenewalKind::Refresh).then(|| used + IDLE_LIVES),
        ..GrantStatus::default()
    });
    facts.plan.as_mut().unwrap().renewal = Some(RenewalPlan {
        grant: "grant".into(),
        kind,
        client: Client {
            endpoint: "https://auth.example/oauth/token".into(),
            id: "client".into(),
        },
        gateway: is_cloud.then(|| "https://api.example".into()),
        redirect_uri: None,
        cloud_id: None,
        scopes: Vec::new(),
        renew_before: None,
        retention: TimeDelta::hours(24),
        stated: Stated::default(),
    });
    facts.renewal = Some(Renewal {
        grant: GrantState::NotRead,
        seed: SeedState::NotRead,
        rival: None,
        others: Vec::new(),
        login: Peer::Silent,
        clients_changed: false,
        missing: None,
        clients_read: false,
        process: Process {
            holder: Holder::default(),
            ..Process::default()
        },
        time_scale: TimeScale::default(),
    });
    facts
}

/// After how many seconds each batch of sixteen workloads begins, and how many workloads it has.
fn batches(mut facts: Facts) -> Vec<(i64, usize)> {
    let first: DateTime<Utc> = facts.now;
    let mut found: Vec<(i64, usize)> = Vec::new();
    let mut done = 0;
    while done < 16 {
        while done < 16 && facts.has_batch("revision") {
            done += 1;
            facts
                .progress
                .restarts
                .push((workload(done), Restarted::Done));
        }
        let since = (facts.now - first).num_seconds();
        found.push((since, facts.progress.restarts.len()));
        let next = facts.next_batch("revision").unwrap();
        let remembered = Batches {
            revision: "revision".into(),
            before: None,
            print: "print".into(),
            first,
            last: facts.now,
            tried: Vec::new(),
            behind: Vec::new(),
        };
        facts.progress.restarts.clear();
        facts.recall_batches(Some(remembered));
        assert!(found.len() < 17, "no batch has a workload: {found:?}");
        facts.now = next.max(facts.now);
    }
    found
}

const PACED: &[(i64, usize)] = &[(0, 4), (60, 4), (120, 4), (180, 4)];
const TOGETHER: &[(i64, usize)] = &[(0, 16)];

#[test]
fn every_batch_begins_while_the_credential_before_works_long_enough() {
    let table: [(i64, &[(i64, usize)]); 6] = [
        (0, PACED),
        (60, PACED),
        (90, &[(0, 4), (60, 4), (120, 4), (150, 4)]),
        (210, &[(0, 4), (30, 12)]),
        (240, TOGETHER),
        (3600, TOGETHER),
    ];
    for (late, expected) in table {
        let facts = renewed(RenewalKind::Refresh, true, late);
        assert_eq!(batches(facts), expected, "{late} seconds later");
    }
    let mut facts = renewed(RenewalKind::Refresh, true, 0);
    facts.renewal.as_mut().unwrap().time_scale = TimeScale(60);
    let quick = [(0, 4), (1, 4), (2, 4), (3, 4)];
    assert_eq!(batches(facts), quick, "at another pace");
}

#[test]
fn what_ends_sooner_or_not_by_itself_has_batches_of_its_own() {
    let table = [
        // Data Center counts the token before as dead at once.
        (RenewalKind::Refresh, false, 0, TOGETHER),
        (RenewalKind::ClientCredentials, false, 0, TOGETHER),
        (RenewalKind::ClientCredentials, true, 0, PACED),
        (RenewalKind::Successor, false, 600, PACED),
        (RenewalKind::Login, false, 600, PACED),
    ];
    for (kind, is_cloud, late, expected) in table {
        let facts = renewed(kind, is_cloud, late);
        assert_eq!(batches(facts), expected, "{kind:?} {is_cloud}");
    }
    for kind in [RenewalKind::Refresh, RenewalKind::ClientCredentials] {
        // It lived for eight minutes, and was renewed two minutes before its end.
        let mut facts = renewed(kind, true, 0);
        facts.status.expires_at = Some(facts.now + TimeDelta::minutes(8));
        assert_eq!(batches(facts), [(0, 4), (48, 12)], "{kind:?}");
        let mut facts = renewed(kind, true, 0);
        let plan = facts.plan.as_mut().unwrap().renewal.as_mut().unwrap();
        plan.renew_before = Some(TimeDelta::minutes(5));
        assert_eq!(batches(facts), [(0, 4), (60, 4), (120, 8)], "{kind:?}");
    }
}
