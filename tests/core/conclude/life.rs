//! Outages, ends of life, rotation.

use std::time::Duration;

use chrono::TimeDelta;

use crate::conclude::{DAY, HOUR, expires, ready, valid};
use crate::simulator::{World, accepted, at};
use jira_credential_operator::api::{ConditionType, Date, Period};
use jira_credential_operator::core::probe::{Forbidden, Outage, Verdict};

fn outages() -> Vec<Outage> {
    let retry_after = Some(Duration::from_secs(30));
    vec![
        Outage::Dns,
        Outage::Connect,
        Outage::Tls,
        Outage::Certificate,
        Outage::Timeout,
        Outage::ConnectionLost,
        Outage::TooLarge,
        Outage::Redirect,
        Outage::NotJson,
        Outage::NotAUser,
        Outage::NotFound,
        Outage::RateLimited { retry_after: None },
        Outage::RateLimited { retry_after },
        Outage::Unavailable { retry_after },
        Outage::ServerError(502),
        Outage::Unexpected(418),
        Outage::BadCaBundle,
        Outage::ClockSkew,
        Outage::NonceUsed,
        Outage::OAuthForm,
        Outage::NotSigned,
        Outage::TooLate,
    ]
}

#[test]
fn an_outage_is_no_verdict() {
    for outage in outages() {
        for world in [World::token(), World::password()] {
            let mut new = world.clone();
            new.outage = Some(Verdict::NoVerdict(outage));
            new.pass();
            assert!(
                valid(&new).starts_with("Unknown"),
                "{outage:?}: {}",
                valid(&new)
            );
            assert!(
                ready(&new).starts_with("False"),
                "nothing is published: {outage:?}"
            );
            assert!(new.secrets.is_empty());

            let mut validated = world.at_rest();
            let published = validated.secrets.clone();
            validated.outage = Some(Verdict::NoVerdict(outage));
            validated.wait(2 * HOUR - 1);
            let events = validated.pass().conclusion.events;
            assert_eq!(validated.effects.calls.len(), 1);
            assert_eq!(valid(&validated), "True Accepted", "{outage:?}");
            assert_eq!(
                (ready(&validated).as_str(), events),
                ("True Validated", vec![]),
                "{outage:?}"
            );
            let wait = validated.pass().conclusion.wake;
            assert_eq!(wait, TimeDelta::seconds(1), "the validation grows stale");
            validated.wait(1);
            let events = validated.pass().conclusion.events;
            assert!(
                valid(&validated).starts_with("Unknown"),
                "{outage:?}: {}",
                valid(&validated)
            );
            assert!(
                ready(&validated).starts_with("Unknown"),
                "{outage:?}: {}",
                ready(&validated)
            );
            assert_eq!(events.len(), 1);
            let message = &validated.condition(ConditionType::Ready).unwrap().message;
            assert!(message.contains("The operator retries."), "{message}");
            assert_eq!(validated.secrets, published, "pods keep what they have");
        }
    }
}

#[test]
fn a_validation_outlives_a_site_that_must_not_be_called() {
    let mut world = World::token().at_rest();
    world.outage = Some(Verdict::NotAllowed(Forbidden::Private));
    world.object.renew = Some("now".into());
    world.pass();
    assert_eq!(ready(&world), "True Validated");
}

#[test]
fn what_has_expired_is_unknown_until_jira_says_so_and_then_it_is_expired() {
    let mut world = World::token().at_rest();
    world.edit(|spec| spec.validation.interval = Period::new("1d"));
    expires(&mut world, HOUR);
    let wake = world.pass().conclusion.wake;
    assert_eq!(wake, TimeDelta::seconds(HOUR));
    world.wait(HOUR);
    world.pass();
    assert_eq!(valid(&world), "Unknown NotValidated");
    assert_eq!(
        ready(&world),
        "Unknown NotValidated",
        "it stands in the targets"
    );
    assert_eq!(world.status_of(ConditionType::RotationDue), "True Expired");
    world.jira.clear();
    world.object.renew = Some("now".into());
    world.pass();
    assert_eq!(
        valid(&world),
        "False Expired",
        "at once: it surprises nobody"
    );
    world.jira.insert("good", accepted("anna"));
    world.object.renew = Some("again".into());
    world.pass();
    assert_eq!(
        valid(&world),
        "True Accepted",
        "Jira knows better than the spec"
    );
}

#[test]
fn a_refusal_before_the_stated_end_becomes_an_expiry_at_it() {
    let mut world = World::token().with(|world| world.jira.clear());
    expires(&mut world, HOUR);
    world.pass();
    let told = world
        .condition(ConditionType::Valid)
        .unwrap()
        .message
        .clone();
    assert_eq!(valid(&world), "False Rejected");
    world.wait(HOUR);
    let events = world.pass().conclusion.events;
    assert_eq!(
        (valid(&world).as_str(), events.len()),
        ("False Expired", 2),
        "Ready, RotationDue"
    );
    assert_eq!(world.condition(ConditionType::Valid).unwrap().message, told);
    assert_eq!(world.effects.calls.len(), 1);
}

#[test]
fn rotation_is_due_by_the_first_end_of_life() {
    // expiresAt, issuedAt, maxAge, now in days after noon; what is due, and from which day on.
    type Days = Option<i64>;
    type Row = (Days, Days, Option<&'static str>, i64, &'static str, Days);
    let table: [Row; 12] = [
        (None, None, None, 400, "False NotDue", None),
        (Some(90), None, None, 0, "False NotDue", Some(76)),
        (Some(90), None, None, 75, "False NotDue", Some(76)),
        (Some(90), None, None, 76, "True ExpiresSoon", Some(76)),
        (Some(90), None, None, 90, "True Expired", Some(76)),
        (None, None, Some("30d"), 15, "False NotDue", Some(16)),
        (None, None, Some("30d"), 16, "True MaxAgeReached", Some(16)),
        (None, None, Some("30d"), 31, "True MaxAgeReached", Some(16)),
        (None, Some(-10), Some("30d"), 5, "False NotDue", Some(6)),
        (
            None,
            Some(-10),
            Some("30d"),
            6,
            "True MaxAgeReached",
            Some(6),
        ),
        (
            Some(90),
            Some(-10),
            Some("30d"),
            6,
            "True MaxAgeReached",
            Some(6),
        ),
        (
            Some(10),
            Some(-10),
            Some("90d"),
            0,
            "True ExpiresSoon",
            Some(-4),
        ),
    ];
    for row in table {
        let (expires_at, issued_at, max_age, now, expected, due) = row;
        let day = |days: i64| at(days * DAY);
        let mut world = World::token().at_rest();
        world.edit(|spec| {
            let token = spec.auth.api_token.as_mut().unwrap();
            token.expires_at = expires_at.map(day).map(Date::from);
            token.issued_at = issued_at.map(day).map(Date::from);
            spec.rotation.max_age = max_age.map(Period::new);
        });
        world.pass();
        world.now = day(now);
        world.pass();
        assert_eq!(
            world.status_of(ConditionType::RotationDue),
            expected,
            "{row:?}"
        );
        assert_eq!(world.status.rotation_due_time, due.map(day), "{row:?}");
        assert_eq!(
            ready(&world),
            "True Validated",
            "it leaves Ready alone: {row:?}"
        );
    }
}

#[test]
fn the_first_sight_of_a_credential_is_that_of_its_first_acceptance() {
    let mut world = World::token().at_rest();
    world.wait(DAY);
    world.pass();
    assert_eq!(world.status.first_seen_time, Some(at(0)));
    world.jira.insert("next", accepted("anna"));
    world.store("next");
    world.pass();
    assert_eq!(world.status.first_seen_time, Some(at(DAY)));
}
