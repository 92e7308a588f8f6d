//! The clock of the node may be wrong, and set right, at any time.

use chrono::TimeDelta;
use proptest::prelude::*;

use crate::convergence::settle;
use crate::simulator::{REJECTED, World, at};
use jira_credential_operator::api::{ConditionType, Reason};

/// The validation interval of the simulated credential, with its spread and a confirmation.
const FOUND_WITHIN: i64 = 3600 + 360 + 120;

/// Moves of the clock, and the time that passes after each.
fn moves() -> impl Strategy<Value = Vec<(i64, i64)>> {
    let jump = prop_oneof![-200_000..200_000_i64, -400..400_i64];
    proptest::collection::vec((jump, 0..8000_i64), 1..6)
}

/// Reconciles whenever the operator said that it would, for so many seconds.
fn live(world: &mut World, seconds: i64) {
    let mut left = TimeDelta::seconds(seconds);
    while left > TimeDelta::zero() {
        let wake = world.pass().conclusion.wake;
        world.now += wake;
        left -= wake;
    }
    world.pass();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_revoked_token_is_found_within_an_interval_however_the_clock_is_moved(moves in moves()) {
        let mut world = World::token().at_rest();
        for (jump, wait) in moves {
            world.now += TimeDelta::seconds(jump);
            settle(&mut world);
            world.wait(wait);
            settle(&mut world);
            prop_assert_eq!(world.status_of(ConditionType::Ready), "True Validated");
        }
        world.jira.insert("good", REJECTED);
        live(&mut world, FOUND_WITHIN);
        prop_assert_eq!(world.status_of(ConditionType::Ready), "False Rejected");
    }
}

/// The clock was five hours ahead when the token was validated, and is right again.
#[test]
fn times_that_lie_ahead_are_told_once_and_put_nothing_off() {
    let mut world = World::token();
    world.now = at(5 * 3600);
    let mut world = world.at_rest();
    world.now = at(0);
    let passed = world.pass();
    assert_eq!(world.effects.calls.len(), 1, "{:?}", passed.steps);
    let told = |passed: &crate::simulator::Passed| {
        let events = passed.conclusion.events.iter();
        events.map(|event| event.reason).collect::<Vec<_>>()
    };
    assert_eq!(told(&passed), [Reason::ClockSkew]);
    assert_eq!(world.status.last_validated_time, Some(at(0)));
    let passed = world.pass();
    assert_eq!((passed.steps.len(), told(&passed)), (0, Vec::new()));
    // Two nodes may differ by a few minutes.
    world.now = at(-240);
    let passed = world.pass();
    assert_eq!((passed.steps.len(), told(&passed)), (0, Vec::new()));
}

/// What waits for a person waits on.
#[test]
fn a_refused_password_is_not_sent_again_because_the_clock_was_ahead() {
    let mut world = World::password();
    world.now = at(5 * 3600);
    world.jira.insert("good", REJECTED);
    world.pass();
    let calls = world.effects.calls.len();
    world.now = at(0);
    world.pass();
    live(&mut world, FOUND_WITHIN);
    assert_eq!(world.effects.calls.len(), calls);
}
