//! From any state the reconciles settle, and then nothing is done any more; and they settle on the
//! same state however often the process dies on the way.

mod clock;
mod start;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use proptest::prelude::*;

use crate::convergence::start::{Start, start};
use crate::simulator::{Effects, Passed, World};
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use jira_credential_operator::core::decide::Step;
use jira_credential_operator::core::probe::{Outage, Verdict};
use jira_credential_operator::core::time::LONGEST_WAIT;

/// Reconciles at one moment after which nothing may be left to do.
const MOST_PASSES: usize = 6;

/// What must hold of every reconcile.
fn check(world: &World, before: &Effects, passed: &Passed) {
    let called = world.effects.calls.len() - before.calls.len();
    assert!(
        called <= 1,
        "{called} calls in one pass: {:?}",
        passed.steps
    );
    let wake = passed.conclusion.wake;
    assert!(
        wake > TimeDelta::zero() && wake <= LONGEST_WAIT,
        "wakes in {wake}"
    );
    for condition in &passed.conclusion.status.conditions {
        assert!(!condition.message.is_empty(), "no words: {condition:?}");
        assert_ne!(condition.reason, Reason::Unrecognised);
    }
    let is = |kind, status| {
        world
            .condition(kind)
            .is_some_and(|condition| condition.status == status)
    };
    let waiting = is(ConditionType::Reconciling, ConditionStatus::True);
    let stuck = is(ConditionType::Stalled, ConditionStatus::True);
    assert!(
        !(waiting && stuck),
        "waiting and stuck: {:?}",
        world.status.conditions
    );
    let fine = is(ConditionType::Ready, ConditionStatus::True);
    // Something may fail beside a credential that is still ready.
    assert!(fine || waiting || stuck, "{:?}", world.status.conditions);
    if fine {
        assert!(is(ConditionType::Valid, ConditionStatus::True));
        assert!(is(ConditionType::Published, ConditionStatus::True));
    }
}

/// Reconciles until one does nothing, cut or not; the number of reconciles is bounded.
fn settle(world: &mut World) {
    for _ in 0..=MOST_PASSES {
        let before = world.effects.clone();
        match world.try_pass() {
            Ok(passed) => {
                check(world, &before, &passed);
                let idle = Effects {
                    reads: before.reads,
                    refused_writes: before.refused_writes,
                    ..world.effects.clone()
                };
                if idle == before {
                    let refused = |step: &Step| match step {
                        Step::Publish(publish) => {
                            let target = &passed.facts.targets[publish.index].target;
                            world.refuses.contains(target.name.as_str())
                        }
                        Step::RecordAttempt(_) => true,
                        Step::Validate | Step::DeleteTarget(_) | Step::Permissions => false,
                        other => panic!("a step of the renewal protocol: {other:?}"),
                    };
                    assert!(passed.steps.iter().all(refused), "{:?}", passed.steps);
                    return;
                }
            }
            Err(_) => world.restart(),
        }
    }
    panic!("it does not settle: {:#?}", world.status);
}

/// Everything that a person or a pod can see, without times and versions.
fn visible(world: &World) -> String {
    let status = &world.status;
    let conditions = status.conditions.iter();
    let conditions: Vec<_> = conditions
        .map(|condition| {
            format!(
                "{:?} {:?} {:?} {}",
                condition.kind, condition.status, condition.reason, condition.message
            )
        })
        .collect();
    let attempt = status.attempt.as_ref();
    let attempt =
        attempt.map(|attempt| (attempt.outcome, attempt.reason, attempt.fingerprint.clone()));
    let targets: BTreeMap<_, _> = status
        .targets
        .iter()
        .map(|target| (&target.name, &target.hash))
        .collect();
    let secrets: Vec<_> = world
        .secrets
        .iter()
        .map(|(name, standing)| (name, &standing.holder, &standing.contents))
        .collect();
    format!(
        "{conditions:#?}\n{attempt:?}\n{targets:?}\n{secrets:#?}\n{:?}",
        (
            &status.validated_fingerprint,
            &status.account,
            &status.site,
            &status.sources,
            &status.binding,
            &status.last_handled_renew
        )
    )
}

/// A day and a half of a world that does not change, at the end of which a person asks.
fn live(world: &mut World) {
    for seconds in [0, 120, 7 * 3600, 30 * 3600] {
        world.wait(seconds);
        settle(world);
    }
    world.object.renew = Some("a person".into());
    settle(world);
    world.wait(120);
    settle(world);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn from_any_state_it_settles_and_then_does_nothing(start in start()) {
        let mut world = start.world();
        settle(&mut world);
        let calls = world.effects.calls.len();
        prop_assert!(calls <= 1, "one moment, one call: {calls}");
        // A restart is no change, and neither is a second in which nothing is due.
        let settled = visible(&world);
        let cooling = world.rate_limited_until;
        world.restart();
        world.rate_limited_until = cooling;
        let before = world.effects.clone();
        let wake = world.pass().conclusion.wake;
        if wake > TimeDelta::seconds(1) {
            world.wait(1);
            world.pass();
        }
        let idle = Effects { reads: before.reads, refused_writes: before.refused_writes, ..world.effects.clone() };
        prop_assert_eq!(idle, before);
        prop_assert_eq!(visible(&world), settled);
    }

    #[test]
    fn an_outage_makes_nothing_false_and_changes_no_target(start in start()) {
        let mut world = start.world();
        if world.outage.is_none() {
            world.outage = Some(Verdict::NoVerdict(Outage::ServerError(502)));
        }
        let refused = world.observe().refusal().is_some() || start.around.peer.is_some();
        world.effects = Effects::default();
        settle(&mut world);
        let falsified = world.status_of(ConditionType::Valid).starts_with("False");
        prop_assert!(refused || !falsified, "{:?}", world.status);
    }

    #[test]
    fn it_settles_on_the_same_state_wherever_the_process_dies(start in start().prop_map(Start::without_race)) {
        let mut straight = start.world();
        settle(&mut straight);
        let effects = straight.effects.status_writes
            + straight.effects.target_writes
            + straight.effects.refused_writes
            + straight.effects.calls.len();
        live(&mut straight);
        for cut in 0..effects {
            let mut world = start.world();
            world.cut_after = Some(cut);
            settle(&mut world);
            let mut sent = world.effects.calls.clone();
            sent.sort();
            sent.dedup();
            let once = sent.len() == world.effects.calls.len();
            prop_assert!(once || !start.password, "a password was sent twice");
            live(&mut world);
            prop_assert_eq!(visible(&world), visible(&straight), "cut after {}", cut);
        }
    }
}
