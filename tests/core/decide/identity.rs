//! Which credential, and whose.

use crate::decide::{OUT, interval, steps};
use crate::simulator::{REJECTED, World, accepted, at};
use jira_credential_operator::api::{ConditionType, Period};

#[test]
fn the_first_validated_account_is_pinned_until_site_or_method_changes() {
    let mut world = World::token().at_rest();
    world.jira.insert("berta's", accepted("berta"));
    world.store("berta's");
    assert_eq!(steps(&mut world), "validate");
    assert_eq!(
        world.status_of(ConditionType::Ready),
        "False AccountChanged"
    );
    world.edit(|spec| spec.site = "https://other.atlassian.net".into());
    assert_eq!(steps(&mut world), "validate, publish bot");
    assert_eq!(world.status.account.as_ref().unwrap().id, "berta");
}

#[test]
fn the_account_of_the_spec_wins_over_the_pinned_one() {
    let mut world = World::token().at_rest();
    world.jira.insert("berta's", accepted("berta"));
    world.edit(|spec| spec.validation.account_id = Some("berta".into()));
    world.secrets.clear();
    assert_eq!(
        steps(&mut world),
        "validate",
        "not even a lost target is restored"
    );
    assert_eq!(
        world.status_of(ConditionType::Valid),
        "False AccountChanged"
    );
    world.store("berta's");
    assert_eq!(steps(&mut world), "validate, publish bot");
}

#[test]
fn a_credential_that_comes_back_after_a_bad_one_is_at_rest_again() {
    for (second, call) in [(REJECTED, "validate"), (OUT, "validate")] {
        let mut world = World::token().at_rest();
        world.jira.insert("second", second);
        world.store("second");
        assert_eq!(steps(&mut world), call);
        world.store("good");
        assert_eq!(steps(&mut world), "", "it was validated");
        assert_eq!(world.status_of(ConditionType::Ready), "True Validated");
        assert_eq!(steps(&mut world), "");
        assert_eq!(
            world.status_of(ConditionType::Ready),
            "True Validated",
            "unread as well"
        );
    }
}

#[test]
fn a_refused_credential_that_comes_back_is_validated_again() {
    let mut world = World::token().with(|world| {
        world.spec.validation.interval = Some(Period::new("1d"));
    });
    world = world.at_rest();
    world.jira.clear();
    world.object.renew = Some("now".into());
    for _ in 0..2 {
        world.pass();
        world.wait(60);
    }
    assert_eq!(world.status_of(ConditionType::Valid), "False Rejected");
    world.store("other");
    world.pass();
    world.store("good");
    world.secrets.clear();
    assert_eq!(steps(&mut world), "validate");
    assert_eq!(world.status_of(ConditionType::Valid), "False Rejected");
}

#[test]
fn what_was_read_but_could_not_be_validated_is_not_taken_for_what_was_validated() {
    let mut world = World::token().at_rest();
    world.store("second");
    world.rate_limited_until = Some(at(30));
    assert_eq!(steps(&mut world), "");
    assert_eq!(world.status_of(ConditionType::Valid), "Unknown RateLimited");
    assert_eq!(steps(&mut world), "");
    world.wait(30);
    assert_eq!(steps(&mut world), "validate");
    assert_eq!(world.status_of(ConditionType::Valid), "False Rejected");
}

#[test]
fn a_replaced_fingerprint_key_changes_nothing_that_a_person_sees() {
    let mut world = World::token().at_rest();
    let seen = world.status.first_seen_time;
    world.key = b"key two";
    assert_eq!(
        steps(&mut world),
        "",
        "nothing is read, so nothing is unknown"
    );
    world.wait(interval(&world));
    let passed = world.pass();
    assert_eq!(passed.conclusion.events, [], "it was Ready and is Ready");
    assert_eq!(world.status.first_seen_time, seen);
    assert_eq!(
        world.status.validated_fingerprint.as_deref(),
        Some(world.print("good").as_str())
    );
    assert_eq!(steps(&mut world), "");
    let mut world = World::token().at_rest();
    world.key = b"key two";
    world.jira.insert("next", accepted("anna"));
    world.store("next");
    assert_eq!(steps(&mut world), "validate, publish bot");
}

#[test]
fn a_refusal_survives_the_replacement_of_the_fingerprint_key() {
    let mut world = World::password().with(|world| world.store("bad"));
    world.pass();
    world.restart();
    world.key = b"key two";
    world.edit(|spec| spec.rotation.warn_before = Period::new("30d"));
    assert_eq!(steps(&mut world), "");
    world.store("good");
    assert_eq!(steps(&mut world), "record, validate, publish bot");
}
