//! The conditions of a world in which nothing goes on.

use chrono::TimeDelta;

use crate::conclude::{HOUR, ready};
use crate::simulator::{Effects, Held, Standing, World, at};
use jira_credential_operator::api::ConditionType;
use jira_credential_operator::core::conclude::conclude;
use jira_credential_operator::core::facts::{Holder, Source};
use jira_credential_operator::core::probe::{Forbidden, Outage, Verdict};
use jira_credential_operator::core::spec::SourceError;
use jira_credential_operator::core::time::LONGEST_WAIT;

/// Worlds in which nothing goes on, by name.
fn worlds_at_rest() -> Vec<(&'static str, World)> {
    let mut worlds = unobstructed();
    worlds.extend(obstructed());
    worlds
}

/// Worlds in which all depends on what Jira says.
fn unobstructed() -> Vec<(&'static str, World)> {
    let interrupted = World::password().with(|world| {
        world.cut_after = Some(1);
        world.try_pass().expect_err("it is cut");
        world.restart();
    });
    let confirming = World::token().at_rest().with(|world| {
        world.jira.clear();
        world.object.renew = Some("now".into());
    });
    let out = Verdict::NoVerdict(Outage::ServerError(500));
    vec![
        ("ready", World::token()),
        ("ready with a password", World::password()),
        ("rejected", World::token().with(|world| world.jira.clear())),
        (
            "rejected password",
            World::password().with(|world| world.jira.clear()),
        ),
        (
            "rejected successor",
            World::token().at_rest().with(|world| world.store("bad")),
        ),
        (
            "wrong account",
            World::token().with(|world| {
                world.spec.validation.account_id = Some("berta".into());
            }),
        ),
        ("confirming", confirming),
        ("interrupted", interrupted),
        (
            "out from the beginning",
            World::token().with(|world| world.outage = Some(out.clone())),
        ),
        (
            "out",
            World::token().at_rest().with(|world| {
                world.outage = Some(out.clone());
                world.wait(3 * HOUR);
            }),
        ),
        (
            "not allowed",
            World::token().with(|world| {
                world.outage = Some(Verdict::NotAllowed(Forbidden::Loopback));
            }),
        ),
        (
            "cooling",
            World::token().with(|world| world.rate_limited_until = Some(at(60))),
        ),
        (
            "cooling with a stale validation",
            World::token().at_rest().with(|world| {
                world.wait(3 * HOUR);
                world.secrets.clear();
                world.rate_limited_until = Some(at(4 * HOUR));
            }),
        ),
    ]
}

/// Worlds in which something other than Jira stands in the way.
fn obstructed() -> Vec<(&'static str, World)> {
    let foreign = Standing {
        uid: "theirs".into(),
        version: 7,
        holder: Some(Holder::Stranger),
        contents: None,
    };
    vec![
        (
            "no source",
            World::token().with(|world| world.source = Held::Nothing),
        ),
        (
            "bad source",
            World::token().at_rest().with(|world| {
                world.source = Held::Garbage;
                world.source_version += 1;
            }),
        ),
        (
            "bad site",
            World::token().with(|world| world.spec.site = "https://10.0.0.1".into()),
        ),
        (
            "host not allowed",
            World::token()
                .at_rest()
                .with(|world| world.host_allowed = false),
        ),
        (
            "suspended at first",
            World::token().with(|world| world.spec.suspend = true),
        ),
        (
            "suspended",
            World::token().at_rest().with(|world| {
                world.edit(|spec| spec.suspend = true);
                world.secrets.clear();
            }),
        ),
        (
            "foreign target",
            World::token().with(|world| {
                world.secrets.insert("bot".into(), foreign);
            }),
        ),
        (
            "older claim",
            World::token().with(|world| {
                world.claims.insert("bot");
            }),
        ),
        (
            "refused write",
            World::token().with(|world| {
                world.refuses.insert("bot");
            }),
        ),
        (
            "lost target of a refused credential",
            World::token().at_rest().with(|world| {
                world.store("bad");
                world.pass();
                world.secrets.clear();
            }),
        ),
    ]
}

#[test]
fn kstatus_can_tell_waiting_from_stuck_from_fine() {
    let table = [
        ("ready", "True Validated", "-"),
        ("ready with a password", "True Validated", "-"),
        ("rejected", "False Rejected", "stalled"),
        ("rejected password", "False Rejected", "stalled"),
        ("rejected successor", "False Rejected", "stalled"),
        ("wrong account", "False AccountChanged", "stalled"),
        ("confirming", "Unknown Confirming", "reconciling"),
        ("interrupted", "False NotValidated", "stalled"),
        (
            "out from the beginning",
            "False SiteUnavailable",
            "reconciling",
        ),
        ("out", "Unknown SiteUnavailable", "reconciling"),
        ("not allowed", "False HostNotAllowed", "stalled"),
        ("cooling", "False RateLimited", "reconciling"),
        (
            "cooling with a stale validation",
            "Unknown RateLimited",
            "reconciling",
        ),
        ("no source", "False SourceMissing", "reconciling"),
        ("bad source", "False SourceIsTarget", "stalled"),
        ("bad site", "False SpecInvalid", "stalled"),
        ("host not allowed", "False HostNotAllowed", "stalled"),
        ("suspended at first", "False Suspended", "stalled"),
        ("suspended", "False Suspended", "stalled"),
        ("foreign target", "False TargetForeign", "stalled"),
        ("older claim", "False TargetConflict", "stalled"),
        ("refused write", "False WriteRefused", "stalled"),
        (
            "lost target of a refused credential",
            "False Rejected",
            "stalled",
        ),
    ];
    for ((name, mut world), (expected_name, expected, waits)) in
        worlds_at_rest().into_iter().zip(table)
    {
        assert_eq!(name, expected_name);
        world.pass();
        assert_eq!(ready(&world), expected, "{name}");
        let reason = expected.split_once(' ').unwrap().1;
        let (reconciling, stalled) = match waits {
            "reconciling" => (format!("True {reason}"), "absent".to_owned()),
            "stalled" => ("absent".to_owned(), format!("True {reason}")),
            _ => ("absent".to_owned(), "absent".to_owned()),
        };
        assert_eq!(
            world.status_of(ConditionType::Reconciling),
            reconciling,
            "{name}"
        );
        assert_eq!(world.status_of(ConditionType::Stalled), stalled, "{name}");
        assert_eq!(world.status.observed_generation, world.object.generation);
    }
}

#[test]
fn a_later_pass_writes_nothing_as_long_as_nothing_is_due() {
    for (name, mut world) in worlds_at_rest() {
        world.pass();
        let wake = world.pass().conclusion.wake;
        assert!(
            wake > TimeDelta::zero() && wake <= LONGEST_WAIT,
            "{name}: {wake}"
        );
        world.effects = Effects::default();
        for seconds in [0, 1, wake.num_seconds() / 2, wake.num_seconds() - 1] {
            let mut world = world.clone();
            world.wait(seconds);
            if world
                .rate_limited_until
                .is_some_and(|until| until <= world.now)
            {
                continue;
            }
            world.pass();
            let done = Effects {
                reads: 0,
                refused_writes: 0,
                ..world.effects.clone()
            };
            assert_eq!(
                done,
                Effects::default(),
                "{name} after {seconds} s: {:#?}",
                world.status
            );
        }
    }
}

#[test]
fn the_next_pass_comes_when_something_can_be_due() {
    let regular = |wake: TimeDelta| (HOUR - 360..=HOUR).contains(&wake.num_seconds());
    let heartbeat = |wake: TimeDelta| (6 * HOUR..7 * HOUR).contains(&wake.num_seconds());
    let exactly = |seconds| move |wake: TimeDelta| wake.num_seconds() == seconds;
    let table: [(&str, &dyn Fn(TimeDelta) -> bool); 10] = [
        ("ready", &regular),
        ("rejected", &heartbeat),
        ("rejected password", &exactly(12 * HOUR)),
        ("confirming", &exactly(60)),
        ("out from the beginning", &|wake| {
            (5..6).contains(&wake.num_seconds())
        }),
        ("cooling", &exactly(60)),
        ("no source", &exactly(12 * HOUR)),
        ("host not allowed", &exactly(12 * HOUR)),
        ("suspended", &exactly(2 * HOUR)),
        ("refused write", &exactly(300)),
    ];
    for (name, fits) in table {
        let (_, mut world) = worlds_at_rest()
            .into_iter()
            .find(|(other, _)| *other == name)
            .unwrap();
        world.pass();
        let wake = world.pass().conclusion.wake;
        assert!(fits(wake), "{name}: {wake}");
    }
}

#[test]
fn changes_without_a_watch_are_polled() {
    let mut world = World::token().at_rest();
    for (kind, seconds) in [("ConfigMap", 60), ("Secret", 12 * 3600)] {
        let mut facts = world.observe();
        let name = "ca".to_owned();
        facts.source = Source::Unusable(SourceError::Missing { kind, name });
        facts.status.last_validated_time = None;
        let recorded = facts.status.clone();
        assert_eq!(
            conclude(&facts, &recorded).wake.num_seconds(),
            seconds,
            "{kind}"
        );
    }
}
