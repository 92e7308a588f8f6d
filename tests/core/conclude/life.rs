//! Outages, ends of life, rotation.

use std::time::Duration;

use chrono::TimeDelta;

use crate::conclude::{DAY, HOUR, expires, ready, valid};
use crate::simulator::{World, accepted, at};
use jira_credential_operator::api::{ConditionStatus, ConditionType, Date, Period, Reason};
use jira_credential_operator::core::conclude::conclude;
use jira_credential_operator::core::facts::Facts;
use jira_credential_operator::core::probe::{Forbidden, Outage, ProxyFault, Verdict};

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
        Outage::Proxy(ProxyFault::Unreachable),
        Outage::Proxy(ProxyFault::Unauthorized { sent: true }),
        Outage::Proxy(ProxyFault::Refused(403)),
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
            assert_eq!(ready(&validated), "True Validated", "{outage:?}");
            let told = validated.condition(ConditionType::Reconciling).unwrap();
            assert!(
                told.message.contains("two validation intervals"),
                "{told:?}"
            );
            let cause = told
                .message
                .split(" Ready stays")
                .next()
                .unwrap()
                .to_owned();
            let events: Vec<_> = events
                .iter()
                .map(|told| (told.warning, &told.note))
                .collect();
            assert_eq!(events, [(true, &told.message)], "{outage:?}");
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
            assert_eq!(events, [], "an event was published: {outage:?}");
            let message = &validated.condition(ConditionType::Ready).unwrap().message;
            assert!(message.starts_with(&cause), "{message}: {cause}");
            assert_eq!(validated.secrets, published, "pods keep what they have");
        }
    }
}

#[test]
fn the_end_of_an_outage_is_told_once() {
    let mut world = World::token().at_rest();
    world.outage = Some(Verdict::NoVerdict(Outage::Dns));
    world.wait(HOUR);
    assert_eq!(world.pass().conclusion.events.len(), 1);
    world.wait(60);
    assert_eq!(world.pass().conclusion.events, [], "it still lasts");
    world.outage = None;
    world.wait(60);
    let events = world.pass().conclusion.events;
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(!events[0].warning);
    assert_eq!(world.status_of(ConditionType::Reconciling), "absent");
    assert_eq!(
        world.condition(ConditionType::Ready).unwrap().message,
        "The published credential is current and validated."
    );
}

#[test]
fn a_requested_validation_is_pending_until_jira_answers() {
    let mut world = World::token().at_rest();
    world.outage = Some(Verdict::NoVerdict(Outage::Timeout));
    world.object.renew = Some("now".into());
    let told = |world: &World| {
        let found = world.condition(ConditionType::Reconciling).cloned();
        found.map(|found| found.message.contains("is pending until Jira answers"))
    };
    let calls = |world: &World| world.effects.calls.len();
    let before = calls(&world);
    world.pass();
    assert_eq!(world.status.pending_renew.as_deref(), Some("now"));
    assert_eq!(world.status.last_handled_renew, None);
    assert_eq!(told(&world), Some(true));
    world.pass();
    assert_eq!(calls(&world), before + 1, "the backoff is kept");

    // Another value is another request, and is tried at once.
    world.object.renew = Some("again".into());
    world.pass();
    assert_eq!(calls(&world), before + 2);
    assert_eq!(world.status.pending_renew.as_deref(), Some("again"));

    world.outage = None;
    world.wait(60);
    world.pass();
    assert_eq!(world.status.pending_renew, None);
    assert_eq!(world.status.last_handled_renew.as_deref(), Some("again"));
    assert_eq!(told(&world), None);
}

/// A password that Jira took, though its account lacks something, waits for its heartbeat: the request to
/// send it was carried out.
#[test]
fn only_a_password_that_jira_refused_waits_to_be_sent_again() {
    for (reason, waits) in [
        (Reason::Rejected, true),
        (Reason::CaptchaRequired, true),
        (Reason::PermissionMissing, false),
        (Reason::AccountChanged, false),
    ] {
        let mut world = World::password().with(|world| world.store("bad"));
        world.pass();
        let asked = Some("now".to_owned());
        world.object.renew.clone_from(&asked);
        world.status.pending_renew.clone_from(&asked);
        world.status.last_handled_renew = asked;
        let attempt = world.status.attempt.as_mut().unwrap();
        attempt.reason = Some(reason);
        attempt.next_attempt_time = Some(at(60));
        let facts = world.observe();
        assert_eq!(facts.unsent_request().is_some(), waits, "{reason:?}");
        assert_eq!(facts.password_is_asked_for(), waits, "{reason:?}");
    }
}

/// What a person no longer asks for is not sent when there is a connection again.
#[test]
fn a_withdrawn_request_for_a_refused_password_sends_nothing() {
    for restarted in [false, true] {
        let mut world = World::password().with(|world| world.store("bad"));
        world.pass();
        world.object.renew = Some("now".into());
        world.outage = Some(Verdict::NoVerdict(Outage::Dns));
        world.pass();
        let calls = world.effects.calls.len();
        world.object.renew = None;
        world.outage = None;
        if restarted {
            world.restart();
        }
        for _ in 0..3 {
            world.wait(86_400);
            world.pass();
            assert_eq!(world.effects.calls.len(), calls, "restarted: {restarted}");
        }
        assert_eq!(valid(&world), "False Rejected");
    }
}

/// Each is a refused password that a person has sent again: once, also if the first connection failed
/// before it was sent, and the process was replaced after that.
#[test]
fn a_request_for_a_refused_password_is_open_until_the_password_was_sent() {
    let pending = |world: &World| world.status.pending_renew.clone();
    for (outage, restarted) in outages()
        .into_iter()
        .flat_map(|one| [(one, false), (one, true)])
    {
        let mut world = World::password().with(|world| world.store("bad"));
        world.pass();
        world.object.renew = Some("now".into());
        world.outage = Some(Verdict::NoVerdict(outage));
        world.pass();
        let name = format!("{outage:?}, restarted: {restarted}");
        assert_eq!(valid(&world), "False Rejected", "{name}");
        // What limits the rate may have seen the password.
        let may_count = outage.may_have_arrived() || matches!(outage, Outage::RateLimited { .. });
        let (calls, waits) = (world.effects.calls.len(), !may_count);
        assert_eq!(pending(&world).is_some(), waits, "{name}");
        let stalled = world.condition(ConditionType::Stalled).unwrap();
        let told = stalled.message.contains("sends it once when it can");
        assert_eq!(told, waits, "{name}: {}", stalled.message);
        assert_eq!(calls, 2, "{name}");
        if restarted {
            world.restart();
        }
        world.pass();
        assert_eq!(world.effects.calls.len(), calls, "{name}: no backoff");
        world.outage = None;
        for _ in 0..2 {
            world.wait(86_400);
            world.pass();
            let expected = calls + usize::from(waits);
            assert_eq!(world.effects.calls.len(), expected, "{name}");
            assert_eq!(pending(&world), None, "{name}");
            let handled = world.status.last_handled_renew.as_deref();
            assert_eq!(handled, Some("now"), "{name}");
        }
    }
}

#[test]
fn a_refused_password_that_may_have_been_sent_with_the_process_is_not_sent_again() {
    let mut world = World::password().with(|world| world.store("bad"));
    world.pass();
    world.object.renew = Some("now".into());
    world.outage = Some(Verdict::NoVerdict(Outage::Connect));
    world.pass();
    assert!(world.status.pending_renew.is_some());
    world.wait(3_600);
    world.cut_after = Some(1);
    world.try_pass().expect_err("it is cut");
    world.restart();
    let calls = world.effects.calls.len();
    for _ in 0..2 {
        world.pass();
        world.wait(86_400);
    }
    assert_eq!(world.effects.calls.len(), calls);
    assert_eq!(world.status.pending_renew, None);
    assert_eq!(world.status.last_handled_renew.as_deref(), Some("now"));
}

#[test]
fn an_acceptance_alone_is_written_once_an_hour() {
    let mut world = World::token().at_rest();
    world.spec.validation.interval = None;
    world.object.generation += 1;
    world.pass();
    let recorded = world.status.clone();
    let mut writes = 0;
    for _ in 0..8 {
        let facts = world.observe();
        let before = facts.status.clone();
        let wake = conclude(&facts, &before).wake;
        world.wait(wake.num_seconds());
        let passed = world.pass();
        assert_eq!(world.status.last_validated_time, Some(world.now));
        writes += i32::from(passed.conclusion.differs_from(&passed.facts, &recorded));
    }
    assert!(
        (4..=5).contains(&writes),
        "{writes} of 8 lie an hour or more after the record"
    );
}

#[test]
fn a_record_that_is_behind_counts_until_the_new_process_has_validated() {
    let mut world = World::token().at_rest();
    world.spec.validation.interval = None;
    // An hour and a quarter after the record: the acceptances in between were not written.
    world.wait(HOUR + 900);
    let facts = |world: &World, since: Option<i64>| {
        let mut facts = world.clone().observe();
        facts.watched_since = since.map(|ago| world.now - TimeDelta::seconds(ago));
        // There is no turn for a call yet.
        facts.progress.queued_until = Some(world.now + TimeDelta::seconds(5));
        facts
    };
    let ready = |facts: &Facts| {
        let status = conclude(facts, &facts.status).status;
        status.condition(ConditionType::Ready).unwrap().status
    };
    for (name, since, expected) in [
        (
            "a process that has just started",
            Some(1),
            ConditionStatus::True,
        ),
        (
            "one that had an interval for it",
            Some(901),
            ConditionStatus::Unknown,
        ),
        (
            "one that wrote the record itself",
            None,
            ConditionStatus::Unknown,
        ),
    ] {
        assert_eq!(ready(&facts(&world, since)), expected, "{name}");
    }
    world.wait(HOUR);
    assert_eq!(
        ready(&facts(&world, Some(1))),
        ConditionStatus::Unknown,
        "too old anyway"
    );
}

#[test]
fn a_validation_outlives_a_site_that_must_not_be_called() {
    let mut world = World::token().at_rest();
    world.outage = Some(Verdict::NotAllowed(Forbidden::Private));
    world.object.renew = Some("now".into());
    world.pass();
    assert_eq!(ready(&world), "True Validated");
    assert_eq!(
        world.status_of(ConditionType::Stalled),
        "True HostNotAllowed"
    );
}

#[test]
fn what_has_expired_is_unknown_until_jira_says_so_and_then_it_is_expired() {
    let mut world = World::token().at_rest();
    world.edit(|spec| spec.validation.interval = Some(Period::new("1d")));
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
        ("False Expired", 1),
        "RotationDue says the same as Ready"
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

#[test]
fn the_date_of_the_credential_before_is_told_as_such() {
    let rotate = |world: &mut World| {
        world.jira.insert("next", accepted("anna"));
        world.store("next");
        world.pass();
        let told = world.condition(ConditionType::RotationDue).unwrap();
        (told.reason, told.message.clone())
    };
    let mut world = World::token().at_rest();
    expires(&mut world, 10 * DAY);
    world.pass();
    let asked = &world.condition(ConditionType::RotationDue).unwrap().message;
    assert!(asked.contains("Store a new one"), "{asked}");
    let (reason, text) = rotate(&mut world);
    assert_eq!(reason, Reason::ExpiresSoon);
    assert!(text.contains("the date of the credential before"), "{text}");

    let mut world = World::token().at_rest();
    expires(&mut world, HOUR);
    world.wait(2 * HOUR);
    world.pass();
    let (reason, text) = rotate(&mut world);
    assert_eq!(reason, Reason::Expired);
    assert!(
        !text.contains("Store a new one"),
        "it was just done: {text}"
    );
    assert!(
        text.contains("set expiresAt to the end of the new one"),
        "{text}"
    );

    // Long before the end the date may well be that of the new one.
    let mut world = World::token().at_rest();
    expires(&mut world, 100 * DAY);
    let (reason, _) = rotate(&mut world);
    assert_eq!(reason, Reason::NotDue);
}

#[test]
fn a_refused_credential_is_said_to_be_the_one_that_pods_have() {
    let mut world = World::token().at_rest();
    world.jira.clear();
    for _ in 0..2 {
        world.wait(HOUR);
        world.pass();
    }
    assert_eq!(valid(&world), "False Rejected");
    let text = &world.condition(ConditionType::Ready).unwrap().message;
    assert!(
        text.contains("pods that use it are probably refused, too"),
        "{text}"
    );
    assert_eq!(world.status_of(ConditionType::RotationDue), "True Rejected");

    // A new value that Jira refuses does not touch what pods have.
    let mut world = World::token().at_rest();
    world.store("wrong");
    world.pass();
    let text = &world.condition(ConditionType::Ready).unwrap().message;
    assert!(
        text.contains("still hold the last validated credential"),
        "{text}"
    );
}
