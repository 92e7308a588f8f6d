//! A password is sent once.

use crate::decide::{interval, steps};
use crate::simulator::{Sent, World, at};
use jira_credential_operator::api::{ConditionType, Period, Reason};
use jira_credential_operator::core::facts::Peer;
use jira_credential_operator::core::probe::{Outage, Verdict};

#[test]
fn a_refused_password_waits_for_a_person() {
    type Change = fn(&mut World);
    let table: [(&str, Change, &str); 7] = [
        ("nothing", |_| {}, ""),
        ("a month", |world| world.wait(30 * 86_400), ""),
        (
            "labels of the source",
            |world| world.source_version += 1,
            "",
        ),
        (
            "the spec",
            |world| {
                world.edit(|spec| spec.rotation.warn_before = Period::new("30d"));
            },
            "",
        ),
        (
            "another account",
            |world| {
                world.edit(|spec| spec.validation.account_id = Some("berta".into()));
            },
            "",
        ),
        (
            "a new password",
            |world| world.store("good"),
            "record, validate, publish bot",
        ),
        (
            "a person asks",
            |world| world.object.renew = Some("now".into()),
            "record, validate",
        ),
    ];
    for restarted in [false, true] {
        for (name, change, expected) in table {
            let mut world = World::password().with(|world| world.store("bad"));
            assert_eq!(steps(&mut world), "record, validate", "{name}");
            let promised = world.status.attempt.as_ref().unwrap().next_attempt_time;
            assert_eq!(promised, None, "no time at which it is tried again");
            if restarted {
                world.restart();
            }
            change(&mut world);
            assert_eq!(
                steps(&mut world),
                expected,
                "{name}, restarted: {restarted}"
            );
            assert_eq!(steps(&mut world), "", "{name}: a second time");
        }
    }
}

#[test]
fn another_pin_ends_the_refusal_of_an_account_even_for_a_password() {
    for mut world in [World::token(), World::password()] {
        world.spec.validation.account_id = Some("berta".into());
        world.pass();
        assert_eq!(
            world.status_of(ConditionType::Ready),
            "False AccountChanged"
        );
        world.restart();
        world.edit(|spec| spec.validation.account_id = Some("anna".into()));
        world.pass();
        assert_eq!(world.status_of(ConditionType::Ready), "True Validated");
    }
}

#[test]
fn a_password_is_never_confirmed() {
    let mut world = World::password().at_rest();
    world.jira.clear();
    world.wait(interval(&world));
    assert_eq!(steps(&mut world), "record, validate");
    assert_eq!(world.status_of(ConditionType::Valid), "False Rejected");
    world.wait(86_400);
    assert_eq!(steps(&mut world), "");
}

#[test]
fn a_password_whose_answer_was_lost_is_not_sent_again_by_itself() {
    for effects in [0, 1] {
        let mut world = World::password().with(|world| world.cut_after = Some(effects));
        world.try_pass().expect_err("it is cut");
        world.restart();
        assert_eq!(steps(&mut world), "", "cut after {effects}");
        assert_eq!(world.status_of(ConditionType::Ready), "False NotValidated");
        assert_eq!(world.status_of(ConditionType::Stalled), "True NotValidated");
        world.wait(86_400);
        world.edit(|spec| spec.rotation.warn_before = Period::new("30d"));
        assert_eq!(steps(&mut world), "");
        world.object.renew = Some("now".into());
        assert_eq!(steps(&mut world), "record, validate, publish bot");
    }
}

#[test]
fn a_validated_password_whose_answer_was_lost_is_validated_before_its_validation_is_too_old() {
    for cut in [0, 1] {
        let mut world = World::password().at_rest();
        world.wait(interval(&world));
        world.cut_after = Some(cut);
        world.try_pass().expect_err("it is cut");
        world.restart();
        assert_eq!(steps(&mut world), "");
        world.now = at(2 * interval(&world) - 1);
        assert_eq!(steps(&mut world), "");
        assert_eq!(world.status_of(ConditionType::Ready), "True Validated");
        world.wait(1);
        assert_eq!(steps(&mut world), "record, validate");
        assert_eq!(world.status_of(ConditionType::Ready), "True Validated");
    }
}

#[test]
fn one_request_of_a_person_sends_a_password_once_even_if_the_process_dies() {
    for secret in ["good", "bad"] {
        let mut world = World::password().with(|world| world.store("bad"));
        world.pass();
        world.store(secret);
        world.object.renew = Some("now".into());
        world.cut_after = Some(1);
        world.try_pass().expect_err("it is cut");
        world.restart();
        let sent = world.effects.calls.len();
        assert_eq!(steps(&mut world), "", "{secret}");
        assert_eq!(world.effects.calls.len(), sent);
    }
}

#[test]
fn a_refused_password_whose_second_attempt_was_lost_stays_refused() {
    let mut world = World::password().at_rest();
    world.jira.clear();
    world.wait(interval(&world));
    world.pass();
    world.object.renew = Some("now".into());
    world.cut_after = Some(0);
    world.try_pass().expect_err("it is cut");
    world.restart();
    world.secrets.clear();
    assert_eq!(steps(&mut world), "");
    assert_eq!(world.status_of(ConditionType::Valid), "False Rejected");
    world.wait(86_400);
    assert_eq!(steps(&mut world), "");
}

#[test]
fn what_other_credentials_know_of_a_password_counts() {
    let refused = Peer::Refused(Reason::Rejected);
    let table = [
        // What they know, whether it is validated here, whether a person asks, what is done.
        (Peer::InFlight, false, false, ""),
        (Peer::InFlight, false, true, ""),
        (Peer::Interrupted, false, false, ""),
        (
            Peer::Interrupted,
            false,
            true,
            "record, validate, publish bot",
        ),
        (Peer::Interrupted, true, false, "record, publish bot"),
        (refused, false, false, ""),
        (refused, true, false, ""),
        (refused, true, true, "record, validate, publish bot"),
    ];
    for (what, validated, asked, expected) in table {
        let mut world = World::password();
        if validated {
            world.pass();
        } else if asked {
            // Its own annotation is that of a new object at the first reconcile.
            world.status.observed_generation = 1;
        }
        world.wait(interval(&world));
        world.secrets.clear();
        world.object.renew = asked.then(|| "now".into());
        let print = world.print("good").as_str().to_owned();
        world.passwords.insert(print, Sent { uid: "other", what });
        let done = steps(&mut world);
        assert_eq!(
            done, expected,
            "{what:?}, validated: {validated}, asked: {asked}"
        );
    }
}

#[test]
fn a_password_that_was_accepted_elsewhere_since_is_sent_without_a_person() {
    let mut world = World::password();
    let jira = std::mem::take(&mut world.jira);
    world.pass();
    assert_eq!(world.status_of(ConditionType::Valid), "False Rejected");
    world.jira = jira;
    world.secrets.clear();
    world.wait(86_400);
    assert_eq!(steps(&mut world), "");
    let print = world.print("good").as_str().to_owned();
    let sent = Sent {
        uid: "other",
        what: Peer::Accepted,
    };
    world.passwords.insert(print, sent);
    assert_eq!(steps(&mut world), "record, validate, publish bot");
    assert_eq!(world.status_of(ConditionType::Ready), "True Validated");
}

#[test]
fn a_password_that_was_released_and_not_sent_keeps_its_backoff() {
    let mut world = World::password();
    let jira = std::mem::take(&mut world.jira);
    world.pass();
    world.jira = jira;
    world.outage = Some(Verdict::NoVerdict(Outage::Connect));
    let print = world.print("good").as_str().to_owned();
    let accepted = |world: &mut World| {
        let sent = Sent {
            uid: "other",
            what: Peer::Accepted,
        };
        world.passwords.insert(print.clone(), sent);
    };
    // The refusal before was the first failure.
    for least in [10, 20, 40] {
        accepted(&mut world);
        assert_eq!(steps(&mut world), "record, validate", "{least}");
        assert_eq!(world.status_of(ConditionType::Valid), "False Rejected");
        let attempt = world.status.attempt.clone().unwrap();
        let wait = (attempt.next_attempt_time.unwrap() - world.now).num_seconds();
        assert!((least..=least + least / 5).contains(&wait), "{wait}");
        for seconds in [0, wait - 1] {
            world.wait(seconds);
            accepted(&mut world);
            assert_eq!(steps(&mut world), "", "{least}: no hot loop");
        }
        world.wait(1);
    }
    world.outage = None;
    accepted(&mut world);
    assert_eq!(steps(&mut world), "record, validate, publish bot");
}

/// Whose password it is matters to one credential alone: that another was accepted changes nothing.
#[test]
fn an_acceptance_elsewhere_releases_no_password_of_another_account() {
    let mut world = World::password().with(|world| {
        world.spec.validation.account_id = Some("berta".into());
    });
    world.pass();
    assert_eq!(
        world.status_of(ConditionType::Valid),
        "False AccountChanged"
    );
    let print = world.print("good").as_str().to_owned();
    let sent = Sent {
        uid: "other",
        what: Peer::Accepted,
    };
    world.passwords.insert(print, sent);
    world.wait(86_400);
    assert_eq!(steps(&mut world), "");
}
