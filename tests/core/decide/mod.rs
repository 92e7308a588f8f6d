mod batches;
mod identity;
mod passwords;
mod refusals;
mod restart;
mod targets;

use chrono::TimeDelta;

use crate::simulator::{Effects, Held, World, accepted, at};
use jira_credential_operator::api::{Period, TargetTemplate};
use jira_credential_operator::core::decide::step::Step;
use jira_credential_operator::core::probe::{Outage, Verdict};
use jira_credential_operator::core::time::next_validation;

/// The steps of the next reconcile, as words.
fn steps(world: &mut World) -> String {
    let passed = world.pass();
    let message = passed.steps.iter().map(|step| match step {
        Step::RecordAttempt(_) => "record".to_owned(),
        Step::Validate => "validate".to_owned(),
        Step::Publish(publish) => {
            format!(
                "publish {}",
                passed.facts.targets[publish.index].target.name
            )
        }
        Step::Restart(restart) => format!("restart {}", restart.workload),
        Step::DeleteTarget(old) => format!("retract {}", old.name),
        other => format!("{other:?}"),
    });
    message.collect::<Vec<_>>().join(", ")
}

fn target(name: &str, kind: Option<&str>) -> jira_credential_operator::api::Target {
    let template = kind.map(|kind| TargetTemplate {
        kind: Some(kind.into()),
        ..Default::default()
    });
    jira_credential_operator::api::Target {
        name: name.into(),
        template,
        ..jira_credential_operator::api::Target::default()
    }
}

/// Seconds until the regular validation of what was validated at noon.
fn interval(world: &World) -> i64 {
    (next_validation(at(0), TimeDelta::hours(1), &world.object.uid) - at(0)).num_seconds()
}

const OUT: Verdict = Verdict::NoVerdict(Outage::Timeout);

type Change = fn(&mut World);

/// What is done after each change of a credential at rest, and that it is done once.
fn check(table: &[(&str, Change, &str)]) {
    for (name, change, expected) in table {
        let mut world = World::token().at_rest().with(change);
        assert_eq!(steps(&mut world), *expected, "{name}");
        assert_eq!(steps(&mut world), "", "{name}: a second time");
    }
}

#[test]
fn only_what_the_user_has_changed_is_done() {
    check(&[
        ("nothing", |_| {}, ""),
        (
            "labels of the source",
            |world| world.source_version += 1,
            "",
        ),
        (
            "the token",
            |world| {
                world.jira.insert("next", accepted("anna"));
                world.store("next");
            },
            "validate, publish bot",
        ),
        (
            "a token that is refused",
            |world| world.store("bad"),
            "validate",
        ),
        (
            "warnBefore",
            |world| {
                world.edit(|spec| spec.rotation.warn_before = Period::new("30d"));
            },
            "",
        ),
        (
            "maxAge",
            |world| world.edit(|spec| spec.rotation.max_age = Some(Period::new("90d"))),
            "",
        ),
        (
            "expiresAt",
            |world| {
                world.edit(|spec| {
                    spec.auth.api_token.as_mut().unwrap().expires_at = Some(at(9_000_000).into());
                });
            },
            "publish bot",
        ),
        (
            "the type of the target",
            |world| {
                world.edit(|spec| {
                    spec.targets = vec![target("bot", Some("kubernetes.io/basic-auth"))];
                });
            },
            "publish bot",
        ),
        (
            "one more target",
            |world| {
                world.edit(|spec| {
                    spec.targets = vec![target("bot", None), target("more", None)];
                });
            },
            "publish more",
        ),
        (
            "the name of the target",
            |world| {
                world.edit(|spec| {
                    spec.targets = vec![target("new", None)];
                });
            },
            "publish new, retract bot",
        ),
        (
            "the account",
            |world| {
                world.edit(|spec| {
                    spec.validation.account_id = Some("berta".into());
                });
            },
            "validate",
        ),
        (
            "the account, to the validated one",
            |world| {
                world.edit(|spec| {
                    spec.validation.account_id = Some("anna".into());
                });
            },
            "",
        ),
        (
            "the site",
            |world| {
                world.edit(|spec| spec.site = "https://other.atlassian.net".into());
            },
            "validate, publish bot",
        ),
    ]);
}

#[test]
fn what_is_due_or_has_drifted_is_done_unless_something_forbids_it() {
    check(&[
        (
            "an edited target",
            |world| world.tamper("bot"),
            "publish bot",
        ),
        (
            "a deleted target",
            |world| world.secrets.clear(),
            "publish bot",
        ),
        (
            "a person asks",
            |world| world.object.renew = Some("now".into()),
            "validate",
        ),
        (
            "the interval, nearly",
            |world| world.wait(interval(world) - 1),
            "",
        ),
        (
            "the interval",
            |world| world.wait(interval(world)),
            "validate",
        ),
        (
            "the site is cooling",
            |world| {
                world.wait(interval(world));
                world.rate_limited_until = Some(world.now + TimeDelta::seconds(9));
            },
            "",
        ),
        (
            "suspended",
            |world| {
                world.edit(|spec| spec.suspend = true);
                world.secrets.clear();
                world.wait(interval(world));
            },
            "",
        ),
        (
            "deleted",
            |world| {
                world.object.deleting = true;
                world.secrets.clear();
                world.wait(interval(world));
            },
            "",
        ),
        (
            "the site is no longer allowed",
            |world| {
                world.host_allowed = false;
                world.secrets.clear();
                world.wait(interval(world));
            },
            "",
        ),
        (
            "the source is gone",
            |world| {
                world.source = Held::Nothing;
                world.secrets.clear();
                world.wait(interval(world));
            },
            "",
        ),
        (
            "the source is no credential",
            |world| {
                world.source = Held::Garbage;
                world.source_version += 1;
                world.secrets.clear();
                world.wait(interval(world));
            },
            "",
        ),
    ]);
}

#[test]
fn a_new_credential_is_validated_then_published() {
    assert_eq!(steps(&mut World::token()), "validate, publish bot");
    assert_eq!(
        steps(&mut World::password()),
        "record, validate, publish bot"
    );
}

#[test]
fn a_credential_at_rest_is_not_even_read() {
    let mut world = World::token().at_rest();
    world.pass();
    assert_eq!(world.effects, Effects::default());
}

#[test]
fn the_annotation_of_a_new_object_counts_as_handled_and_each_value_counts_once() {
    let mut world = World::token()
        .with(|world| world.object.renew = Some("old".into()))
        .at_rest();
    assert_eq!(steps(&mut world), "");
    world.object.renew = Some("new".into());
    assert_eq!(steps(&mut world), "validate");
    assert_eq!(steps(&mut world), "");
    world.object.renew = None;
    assert_eq!(steps(&mut world), "");
}

#[test]
fn a_request_during_a_cool_down_is_kept_for_its_end() {
    let mut world = World::token().at_rest();
    world.object.renew = Some("now".into());
    world.rate_limited_until = Some(at(30));
    assert_eq!(steps(&mut world), "");
    world.wait(30);
    assert_eq!(steps(&mut world), "validate");
}
