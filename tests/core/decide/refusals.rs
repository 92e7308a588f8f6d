//! What a refusal, a doubt and an outage do to the next validation.

use crate::decide::{OUT, interval, steps};
use crate::simulator::World;
use jira_credential_operator::api::{ConditionType, Period};
use jira_credential_operator::core::probe::{Forbidden, Refusal, Verdict};
use jira_credential_operator::core::time::{CONFIRM_AFTER, REFUSED_HEARTBEAT};

#[test]
fn a_refused_token_is_not_tried_again_until_something_changes() {
    type Change = fn(&mut World);
    let table: [(&str, Change, &str); 7] = [
        ("nothing", |_| {}, ""),
        ("an hour", |world| world.wait(3600), ""),
        (
            "labels of the source",
            |world| world.source_version += 1,
            "",
        ),
        (
            "a new token",
            |world| world.store("good"),
            "validate, publish bot",
        ),
        (
            "the spec",
            |world| {
                world.edit(|spec| spec.rotation.warn_before = Period::new("30d"));
            },
            "validate",
        ),
        (
            "a person asks",
            |world| world.object.renew = Some("now".into()),
            "validate",
        ),
        (
            "the heartbeat",
            |world| {
                world.wait(REFUSED_HEARTBEAT.num_seconds() * 11 / 10);
            },
            "validate",
        ),
    ];
    for (name, change, expected) in table {
        let mut world = World::token().with(|world| world.store("bad"));
        assert_eq!(steps(&mut world), "validate", "{name}");
        assert_eq!(
            world.status_of(ConditionType::Valid),
            "False Rejected",
            "at once"
        );
        change(&mut world);
        assert_eq!(steps(&mut world), expected, "{name}");
        assert_eq!(steps(&mut world), "", "{name}: a second time");
    }
}

#[test]
fn a_surprising_refusal_is_confirmed_after_a_minute() {
    let mut world = World::token().at_rest();
    world.jira.clear();
    world.wait(interval(&world));
    assert_eq!(steps(&mut world), "validate");
    assert_eq!(world.status_of(ConditionType::Valid), "Unknown Confirming");
    world.wait(CONFIRM_AFTER.num_seconds() - 1);
    assert_eq!(steps(&mut world), "");
    world.wait(1);
    assert_eq!(steps(&mut world), "validate");
    assert_eq!(world.status_of(ConditionType::Valid), "False Rejected");
}

#[test]
fn a_confirmation_that_meets_an_outage_is_still_a_confirmation() {
    let mut world = World::token().at_rest();
    world.jira.clear();
    world.wait(interval(&world));
    world.pass();
    world.wait(60);
    world.outage = Some(OUT);
    assert_eq!(steps(&mut world), "validate");
    assert_eq!(world.status_of(ConditionType::Valid), "Unknown Confirming");
    world.secrets.clear();
    assert_eq!(
        steps(&mut world),
        "",
        "what Jira refused once is not published"
    );
    world.outage = None;
    world.wait(3600);
    assert_eq!(steps(&mut world), "validate");
    assert_eq!(world.status_of(ConditionType::Valid), "False Rejected");
}

#[test]
fn an_outage_takes_no_refusal_back() {
    for (mut world, expected) in [
        (World::token(), "validate"),
        (World::password(), "record, validate"),
    ] {
        world.spec.validation.interval = Some(Period::new("1d"));
        let mut world = world.at_rest();
        world
            .jira
            .insert("good", Verdict::Refused(Refusal::AccountInactive));
        world.object.renew = Some("first".into());
        world.pass();
        world.wait(60);
        world.pass();
        assert_eq!(
            world.status_of(ConditionType::Valid),
            "False AccountInactive"
        );
        world.outage = Some(OUT);
        world.object.renew = Some("second".into());
        assert_eq!(steps(&mut world), expected);
        assert_eq!(
            world.status_of(ConditionType::Valid),
            "False AccountInactive"
        );
        world.secrets.clear();
        assert_eq!(steps(&mut world), "");
        assert_eq!(
            world.status_of(ConditionType::Valid),
            "False AccountInactive"
        );
    }
}

#[test]
fn a_corrected_spec_ends_the_wait_after_an_outage() {
    let mut world = World::token().with(|world| world.outage = Some(OUT));
    assert_eq!(steps(&mut world), "validate");
    assert_eq!(steps(&mut world), "");
    world.edit(|spec| spec.rotation.warn_before = Period::new("30d"));
    world.outage = None;
    assert_eq!(steps(&mut world), "validate, publish bot");
}

#[test]
fn a_site_that_must_not_be_called_is_looked_up_again_after_an_hour() {
    let forbidden = Verdict::NotAllowed(Forbidden::Loopback);
    let mut world = World::token().with(|world| world.outage = Some(forbidden));
    assert_eq!(steps(&mut world), "validate");
    assert_eq!(
        world.status_of(ConditionType::Stalled),
        "True HostNotAllowed"
    );
    world.wait(3599);
    assert_eq!(steps(&mut world), "");
    world.wait(600);
    assert_eq!(steps(&mut world), "validate");
}
