//! What is written, and what is left alone.

use crate::decide::{OUT, steps, target};
use crate::simulator::{Standing, World, at};
use jira_credential_operator::api::{
    ConditionType, CreationPolicy, JiraCredentialSpec, MergeStatus, Period, Reason, Target,
    TargetVersion,
};
use jira_credential_operator::core::apply::Answer;
use jira_credential_operator::core::conclude::conclude;
use jira_credential_operator::core::decide::{Step, decide};
use jira_credential_operator::core::facts::targets::targets;
use jira_credential_operator::core::facts::{
    Barrier, Facts, Holder, KeysStay, Source, TargetState,
};
use jira_credential_operator::core::spec::{SpecError, check_targets};

/// A target in another namespace, of which nothing is known.
fn elsewhere(world: &mut World) -> Facts {
    let mut facts = world.pass().facts;
    let mut target = facts.targets[0].clone();
    target.target.namespace = Some("team-b".to_owned());
    target.state = TargetState::Absent;
    facts.targets.push(target);
    facts
}

#[test]
fn a_target_of_another_namespace_is_another_and_waits_behind_a_barrier_alone() {
    let mut facts = elsewhere(&mut World::token());
    // What is recorded of the name at home says nothing of it.
    let mut world = World::token();
    steps(&mut world);
    let rested = elsewhere(&mut world);
    assert!(rested.recorded(&rested.targets[0].target).is_some());
    assert!(rested.recorded(&rested.targets[1].target).is_none());
    let step = decide(&facts);
    assert!(
        matches!(&step, Some(Step::Publish(publish)) if publish.index == 1 && publish.holds.is_none()),
        "{step:?}"
    );
    let barriers = [
        Barrier::Policy,
        Barrier::NotWatched,
        Barrier::NotListed,
        Barrier::Missing,
    ];
    for barrier in barriers {
        facts.targets[1].barrier = Some(barrier);
        assert_eq!(decide(&facts), None);
        facts.targets[0].state = TargetState::Absent;
        let step = decide(&facts);
        assert!(
            matches!(&step, Some(Step::Publish(publish)) if publish.index == 0),
            "{step:?}"
        );
        facts.targets[0].state = elsewhere(&mut World::token()).targets[0].state.clone();
    }
}

/// A spec with targets of these namespaces and names.
fn naming(targets: &[(Option<&str>, &str)]) -> JiraCredentialSpec {
    let mut spec = World::token().spec;
    let targets = targets.iter().map(|(namespace, name)| Target {
        namespace: namespace.map(str::to_owned),
        ..target(name, None)
    });
    spec.targets = targets.collect();
    spec
}

#[test]
fn one_name_in_several_namespaces_is_several_secrets_and_one_secret_twice_is_refused() {
    let paths = |spec: &JiraCredentialSpec| -> Vec<String> {
        let targets = targets(spec, "team", "bot");
        targets.iter().map(Target::path).collect()
    };
    let spec = naming(&[
        (None, "jira"),
        (Some("team-b"), "jira"),
        (Some("team-c"), "jira"),
    ]);
    assert_eq!(check_targets(&spec, "team"), Ok(()));
    assert_eq!(paths(&spec), ["jira", "team-b/jira", "team-c/jira"]);
    for (twice, once) in [
        ([(None, "jira"), (Some("team"), "jira")], "jira"),
        ([(Some("team"), "jira"), (None, "jira")], "jira"),
        ([(Some("team-b"), "jira"); 2], "team-b/jira"),
    ] {
        let spec = naming(&twice);
        let error = check_targets(&spec, "team").unwrap_err();
        assert_eq!(error, SpecError::SameTarget(once.to_owned()));
        assert_eq!(error.reason(), Reason::SpecInvalid);
        assert!(error.to_string().contains("another name or namespace"));
        assert_eq!(paths(&spec), [once], "the status has it once");
    }
}

#[test]
fn of_several_secrets_of_one_name_only_the_one_that_left_the_spec_goes() {
    let mut world = World::token();
    steps(&mut world);
    let mut facts = world.observe();
    let at_home = facts.status.targets[0].clone();
    let there = |namespace: &str| TargetVersion {
        namespace: Some(namespace.to_owned()),
        ..at_home.clone()
    };
    let mut stays = facts.targets[0].clone();
    stays.target.namespace = Some("team-b".to_owned());
    facts.targets.push(stays);
    facts.status.targets = vec![at_home.clone(), there("team-b"), there("team-c")];
    facts.surplus = vec![there("team-c")];
    let step = decide(&facts);
    assert_eq!(step, Some(Step::DeleteTarget(there("team-c"))));
    let facts = facts.apply(Answer::TargetDeleted("team-c/bot".to_owned()));
    assert_eq!(decide(&facts), None);
    let status = conclude(&facts, &facts.status).status;
    assert_eq!(status.targets, [at_home.clone(), there("team-b")]);
    let published = status.condition(ConditionType::Published).unwrap();
    assert_eq!(
        published.message,
        "The Secrets bot, team-b/bot hold the validated credential."
    );
}

#[test]
fn what_somebody_else_holds_is_not_written() {
    type Change = fn(&mut World);
    let foreign = |world: &mut World, holder| {
        let standing = Standing {
            uid: "theirs".into(),
            version: 7,
            holder: Some(holder),
            contents: None,
        };
        world.secrets.insert("bot".into(), standing);
    };
    for (holder, reason) in [
        (Holder::Stranger, "False TargetForeign"),
        (Holder::Credential("other".into()), "False TargetConflict"),
    ] {
        let table: [(&str, Change, &str); 4] = [
            ("nothing", |_| {}, ""),
            (
                "the spec",
                |world| {
                    world.edit(|spec| spec.rotation.warn_before = Period::new("30d"));
                },
                "publish bot",
            ),
            (
                "their labels",
                |world| {
                    world.secrets.get_mut("bot").unwrap().version += 1;
                },
                "publish bot",
            ),
            ("they leave", |world| world.secrets.clear(), "publish bot"),
        ];
        for (name, change, expected) in table {
            let mut world = World::token();
            foreign(&mut world, holder.clone());
            assert_eq!(steps(&mut world), "validate, publish bot", "one look");
            assert_eq!(world.status_of(ConditionType::Ready), reason);
            change(&mut world);
            let before = world.secrets.clone();
            assert_eq!(steps(&mut world), expected, "{name}");
            if !before.is_empty() {
                assert_eq!(world.secrets, before, "{name}: it is left alone");
                assert_eq!(world.status_of(ConditionType::Ready), reason);
            }
        }
    }
}

#[test]
fn an_older_claim_yields_only_to_a_target_that_is_held() {
    let mut world = World::token().with(|world| {
        world.claims.insert("bot");
    });
    assert_eq!(steps(&mut world), "validate");
    assert_eq!(
        world.status_of(ConditionType::Ready),
        "False TargetConflict"
    );
    world.claims.clear();
    assert_eq!(steps(&mut world), "publish bot");
    world.claims.insert("bot");
    world.tamper("bot");
    assert_eq!(steps(&mut world), "publish bot", "who holds it keeps it");
    world.secrets.clear();
    assert_eq!(
        steps(&mut world),
        "",
        "between two that hold nothing, the older"
    );
}

#[test]
fn a_target_of_which_nothing_is_known_is_written_as_it_is_recorded() {
    let mut facts = World::token().at_rest().observe();
    facts.targets[0].state = TargetState::Unknown;
    facts.source = Source::Read {
        fingerprint: facts.fingerprint().unwrap(),
        versions: facts.status.sources.clone(),
    };
    let Some(Step::Publish(publish)) = decide(&facts) else {
        panic!("{facts:?}")
    };
    assert_eq!(publish.holds, Some(facts.status.targets[0].uid.clone()));
    facts.status.targets[0].hash = None;
    let Some(Step::Publish(publish)) = decide(&facts) else {
        panic!("{facts:?}")
    };
    assert_eq!(
        publish.holds, None,
        "what we do not hold is created or not at all"
    );
}

#[test]
fn a_refused_write_is_tried_once_in_a_pass() {
    let mut world = World::token().with(|world| {
        world.refuses.insert("bot");
    });
    assert_eq!(steps(&mut world), "validate, publish bot");
    assert_eq!(world.status_of(ConditionType::Ready), "False WriteRefused");
    world.refuses.clear();
    assert_eq!(steps(&mut world), "publish bot");
}

#[test]
fn old_targets_go_only_when_all_new_ones_are_there() {
    let mut world = World::token().at_rest();
    world.edit(|spec| spec.targets = vec![target("one", None), target("two", None)]);
    world.refuses.insert("two");
    assert_eq!(steps(&mut world), "publish one, publish two");
    assert!(world.secrets.contains_key("bot"), "pods may still mount it");
    world.refuses.clear();
    assert_eq!(steps(&mut world), "publish two, retract bot");
    assert_eq!(world.secrets.keys().collect::<Vec<_>>(), ["one", "two"]);
}

/// One that is barred may be so for ever.
#[test]
fn a_barred_target_holds_up_no_old_one_but_the_one_whose_place_it_takes() {
    let old = |namespace: Option<&str>, name: &str| TargetVersion {
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
        uid: "uid".into(),
        resource_version: "1".into(),
        hash: Some("hash".into()),
        held_by: None,
        merge: None,
    };
    let new = ("team-b", "jira");
    // The second target, whether it was written before, what is left, and whether that goes.
    for (name, was_written, surplus, goes) in [
        ("elsewhere", false, old(Some("team-c"), "old"), true),
        ("at home", false, old(None, "old"), true),
        ("renamed", false, old(Some("team-b"), "old"), false),
        ("removed beside it", true, old(Some("team-b"), "old"), true),
        ("moved", false, old(None, "jira"), false),
        ("moved on", false, old(Some("team-c"), "jira"), false),
    ] {
        let mut facts = elsewhere(&mut World::token().at_rest());
        let target = &mut facts.targets[1];
        target.target.name = new.1.to_owned();
        target.barrier = Some(Barrier::Policy);
        if was_written {
            facts.status.targets.push(old(Some(new.0), new.1));
        }
        facts.surplus = vec![surplus.clone()];
        let expected = goes.then_some(Step::DeleteTarget(surplus));
        assert_eq!(decide(&facts), expected, "{name}");
        // Without the barrier it comes first.
        facts.targets[1].barrier = None;
        let step = decide(&facts);
        assert!(!matches!(step, Some(Step::DeleteTarget(_))), "{name}");
    }
}

#[test]
fn nothing_is_published_that_was_refused_or_is_in_doubt() {
    type Change = fn(&mut World);
    let table: [(&str, Change); 4] = [
        ("refused", |world| world.store("bad")),
        ("unconfirmed", |world| {
            world.jira.clear();
            world.object.renew = Some("now".into());
        }),
        ("of another account", |world| {
            world.edit(|spec| spec.validation.account_id = Some("berta".into()));
            world.rate_limited_until = Some(at(30));
        }),
        ("unvalidated", |world| {
            world.store("second");
            world.outage = Some(OUT);
        }),
    ];
    for (name, change) in table {
        let mut world = World::token().at_rest().with(change);
        world.pass();
        for target in ["deleted", "edited"] {
            let mut world = world.clone();
            if target == "deleted" {
                world.secrets.clear();
            } else {
                world.tamper("bot");
            }
            let before = world.secrets.clone();
            world.pass();
            assert_eq!(world.secrets, before, "{name}, {target}");
        }
    }
}

#[test]
fn a_status_that_fills_up_has_old_targets_retracted_before_the_new_ones_stand() {
    let mut world = World::token().at_rest();
    let mut facts = world.observe();
    let old = |number: usize| TargetVersion {
        namespace: None,
        name: format!("old-{number}"),
        uid: format!("uid-{number}"),
        resource_version: "1".into(),
        hash: Some("hash".into()),
        held_by: None,
        merge: None,
    };
    facts.targets[0].state = TargetState::OwnedByOther(Holder::Stranger, old(99));
    facts.surplus = (0..24).map(old).collect();
    assert_eq!(decide(&facts), None, "pods may still mount the old ones");
    facts.surplus.push(old(24));
    assert_eq!(decide(&facts), Some(Step::DeleteTarget(old(0))));
    let facts = facts.apply(Answer::TargetDeleted("old-0".into()));
    assert_eq!(decide(&facts), None);
}

#[test]
fn keys_wait_for_a_secret_of_somebody_else_that_takes_them() {
    use Reason::{MergeNotAllowed, MergeTargetMissing, Written};
    type State<'a> = &'a dyn Fn(&TargetVersion) -> TargetState;
    let blocked = |version: &TargetVersion| TargetVersion {
        hash: None,
        merge: Some(MergeStatus {
            blocked_by: Some(MergeNotAllowed),
            ..MergeStatus::default()
        }),
        ..version.clone()
    };
    let present = |version: &TargetVersion| TargetState::Present {
        uid: version.uid.clone(),
        resource_version: version.resource_version.clone(),
    };
    let edited: State<'_> = &|version| TargetState::Present {
        uid: version.uid.clone(),
        resource_version: "1000".into(),
    };
    let absent: State<'_> = &|_| TargetState::Absent;
    let unknown: State<'_> = &|_| TargetState::Unknown;
    let found: State<'_> = &|version| TargetState::NotMerged(blocked(version));
    for (name, state, is_blocked, spec_changed, writes, reason) in [
        (
            "at rest",
            &present as State<'_>,
            false,
            false,
            false,
            Some(Written),
        ),
        ("edited", edited, false, false, true, None),
        (
            "gone",
            absent,
            false,
            false,
            false,
            Some(MergeTargetMissing),
        ),
        ("not seen", unknown, false, false, true, None),
        (
            "closed",
            &present,
            true,
            false,
            false,
            Some(MergeNotAllowed),
        ),
        ("closed and edited", edited, true, false, true, None),
        ("closed and another spec", &present, true, true, true, None),
        (
            "found closed",
            found,
            false,
            false,
            false,
            Some(MergeNotAllowed),
        ),
    ] {
        let mut facts = World::token().at_rest().observe();
        facts.targets[0].target.creation_policy = CreationPolicy::Merge;
        let hash = facts.wanted_digest(&facts.targets[0].target);
        let recorded = &mut facts.status.targets[0];
        assert_ne!(recorded.hash, hash, "another policy is another target");
        recorded.hash = hash;
        recorded.merge = Some(MergeStatus::default());
        if is_blocked {
            *recorded = blocked(recorded);
        }
        facts.targets[0].state = state(&facts.status.targets[0]);
        if spec_changed {
            facts.object.generation += 1;
        }
        facts.source = Source::Read {
            fingerprint: facts.fingerprint().unwrap(),
            versions: facts.status.sources.clone(),
        };
        match decide(&facts) {
            Some(Step::Publish(publish)) => {
                assert!(writes, "{name}");
                assert_eq!(publish.holds, None, "{name}: it is never ours");
            }
            other => assert!(!writes && other.is_none(), "{name}: {other:?}"),
        }
        if let Some(reason) = reason {
            let status = conclude(&facts, &facts.status).status;
            let published = status.condition(ConditionType::Published).unwrap();
            assert_eq!(published.reason, reason, "{name}");
        }
    }
}

#[test]
fn keys_that_could_not_be_renewed_are_removed_with_their_target() {
    let mut facts = World::token().at_rest().observe();
    let old = TargetVersion {
        namespace: None,
        name: "app".into(),
        hash: None,
        merge: Some(MergeStatus::default()),
        ..facts.status.targets[0].clone()
    };
    facts.surplus = vec![old.clone()];
    assert_eq!(decide(&facts), Some(Step::DeleteTarget(old)));
}

#[test]
fn a_secret_that_stays_in_a_namespace_that_is_not_served_is_told_and_forgotten() {
    let mut facts = World::token().at_rest().observe();
    let old = TargetVersion {
        namespace: Some("team-b".to_owned()),
        ..facts.status.targets[0].clone()
    };
    facts.status.targets.push(old.clone());
    facts.surplus = vec![old.clone()];
    let answer = Answer::TargetStays(old.path(), "team-b".to_owned());
    let facts = facts.apply(answer);
    assert_eq!(decide(&facts), None, "it is not tried again");
    let conclusion = conclude(&facts, &facts.status);
    let [event] = conclusion.events.as_slice() else {
        panic!("{:?}", conclusion.events)
    };
    assert!(event.warning && event.reason == Reason::NamespaceNotServed);
    assert!(event.note.contains(&old.path()), "{}", event.note);
    let kept = conclusion.status.targets.iter();
    assert!(kept.clone().all(|target| target.namespace.is_none()));
}

#[test]
fn keys_that_stay_in_a_secret_of_somebody_else_are_told_in_an_event() {
    for reason in [Reason::MergeNotAllowed, Reason::MergeConflict] {
        let mut facts = World::token().at_rest().observe();
        let old = TargetVersion {
            namespace: None,
            name: "app".into(),
            hash: None,
            merge: Some(MergeStatus::default()),
            ..facts.status.targets[0].clone()
        };
        facts.surplus = vec![old];
        let facts = facts.apply(Answer::KeysStay(KeysStay {
            secret: "app".into(),
            keys: vec!["jira".into(), "url".into()],
            reason,
        }));
        assert_eq!(decide(&facts), None, "it is not tried again");
        let conclusion = conclude(&facts, &facts.status);
        let [event] = conclusion.events.as_slice() else {
            panic!("{:?}", conclusion.events)
        };
        assert_eq!((event.warning, event.reason), (true, reason));
        for words in ["the Secret app", "jira, url", "has to remove these keys"] {
            assert!(event.note.contains(words), "{}", event.note);
        }
        let kept = conclusion.status.targets.iter();
        assert!(kept.clone().all(|target| target.name != "app"));
    }
}
