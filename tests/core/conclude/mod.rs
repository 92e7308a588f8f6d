mod life;
mod rest;

use crate::simulator::{Effects, Held, REJECTED, Standing, World, accepted, at};
use jira_credential_operator::api::{ConditionType, Reason, Target};
use jira_credential_operator::core::facts::Holder;
use jira_credential_operator::core::probe::{Refusal, Verdict};

const HOUR: i64 = 3600;

const DAY: i64 = 24 * HOUR;

fn ready(world: &World) -> String {
    world.status_of(ConditionType::Ready)
}

fn valid(world: &World) -> String {
    world.status_of(ConditionType::Valid)
}

fn expires(world: &mut World, seconds: i64) {
    world.edit(|spec| spec.auth.api_token.as_mut().unwrap().expires_at = Some(at(seconds).into()));
}

#[test]
fn events_tell_transitions_and_nothing_else() {
    type Change = fn(&mut World);
    let story: [(&str, Change, &[&str]); 16] = [
        ("created", |_| {}, &["Validated"]),
        ("nothing", |_| {}, &[]),
        ("a regular validation", |world| world.wait(2 * HOUR), &[]),
        ("an edited target", |world| world.tamper("bot"), &[]),
        ("a deleted target", |world| world.secrets.clear(), &[]),
        (
            "a rotation",
            |world| {
                world.jira.insert("next", accepted("anna"));
                world.store("next");
            },
            &["Rotated"],
        ),
        (
            "an end in sight",
            |world| expires(world, 10 * DAY),
            &["ExpiresSoon"],
        ),
        (
            "a later end",
            |world| expires(world, 100 * DAY),
            &["NotDue"],
        ),
        (
            "a surprise",
            |world| {
                world.jira.clear();
                world.wait(2 * HOUR);
            },
            &["Confirming"],
        ),
        ("confirmed", |world| world.wait(60), &["Rejected"]),
        ("still refused", |world| world.wait(7 * HOUR), &[]),
        (
            "another cause",
            |world| {
                world
                    .jira
                    .insert("next", Verdict::Refused(Refusal::AccountInactive));
                world.wait(7 * HOUR);
            },
            &["AccountInactive"],
        ),
        (
            "the source is gone",
            |world| world.source = Held::Nothing,
            &["SourceMissing"],
        ),
        (
            "it is back",
            |world| {
                world.jira.insert("last", accepted("anna"));
                world.store("last");
            },
            &["Validated"],
        ),
        (
            "suspended",
            |world| world.edit(|spec| spec.suspend = true),
            &["Suspended"],
        ),
        (
            "resumed",
            |world| world.edit(|spec| spec.suspend = false),
            &["Validated"],
        ),
    ];
    let mut world = World::token();
    for (name, change, expected) in story {
        change(&mut world);
        let events = world.pass().conclusion.events;
        let told: Vec<String> = events
            .iter()
            .map(|event| format!("{:?}", event.reason))
            .collect();
        assert_eq!(told, expected, "{name}: {}", ready(&world));
        let healthy = ["Validated", "NotDue", "Rotated"];
        for event in events
            .iter()
            .filter(|event| event.reason != Reason::Suspended)
        {
            let name = format!("{:?}", event.reason);
            assert_eq!(
                event.warning,
                !healthy.contains(&name.as_str()),
                "{event:?}"
            );
        }
        assert_eq!(world.pass().conclusion.events, [], "{name}: told once");
    }
}

#[test]
fn the_time_of_transition_moves_with_the_status_alone() {
    let mut world = World::token().with(|world| world.jira.clear());
    world.pass();
    let since = |world: &World| {
        world
            .condition(ConditionType::Valid)
            .unwrap()
            .last_transition_time
    };
    assert_eq!(since(&world), at(0));
    world
        .jira
        .insert("good", Verdict::Refused(Refusal::AccountInactive));
    world.wait(7 * HOUR);
    world.pass();
    assert_eq!(valid(&world), "False AccountInactive");
    assert_eq!(since(&world), at(0), "another reason is no transition");
    world.jira.insert("good", accepted("anna"));
    world.wait(7 * HOUR);
    world.pass();
    assert_eq!(since(&world), at(14 * HOUR));
}

#[test]
fn one_problem_is_told_at_a_time_and_by_the_right_name() {
    let target = |name: &str| Target {
        name: name.into(),
        ..Target::default()
    };
    let foreign = |uid: &str| Standing {
        uid: uid.into(),
        version: 7,
        holder: Some(Holder::Stranger),
        contents: None,
    };
    let mut world = World::token();
    world.spec.targets = vec![target("one"), target("two")];
    for name in ["one", "two"] {
        world.secrets.insert(name.into(), foreign(name));
    }
    world.pass();
    let message = |world: &World| {
        world
            .condition(ConditionType::Published)
            .unwrap()
            .message
            .clone()
    };
    assert!(
        message(&world).contains("Secret one "),
        "{}",
        message(&world)
    );
    world.secrets.remove("one");
    world.pass();
    assert!(
        message(&world).contains("Secret two "),
        "{}",
        message(&world)
    );
    world.effects = Effects::default();
    world.pass();
    assert_eq!(world.effects, Effects::default());
}

#[test]
fn the_status_says_where_the_credential_is_used_and_what_to_bind_to() {
    let mut world = World::token();
    world.jira.insert("good", REJECTED);
    world.pass();
    assert_eq!(
        world.status.site.as_ref().unwrap().api_url,
        "https://acme.atlassian.net"
    );
    assert_eq!(world.status.binding, None, "nothing is published");
    world.jira.insert("good", accepted("anna"));
    world.object.renew = Some("now".into());
    world.pass();
    assert_eq!(world.status.binding.as_ref().unwrap().name, "bot");
    assert_eq!(world.status.last_handled_renew.as_deref(), Some("now"));
}
