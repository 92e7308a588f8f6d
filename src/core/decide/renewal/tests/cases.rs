//! What the protocol does with seeds, candidates, strangers and failures.

use crate::api::{AttemptOutcome, Reason, SourceVersion};
use crate::core::decide::renewal::tests::{
    at, begun, client, facts, in_use, me, other, print, wait, word,
};
use crate::core::facts::{Denial, Facts, GrantState, Held, SeedState, Source};
use crate::core::grant::{
    Access, Grant, RefreshRequest, RenewalFailure, Seed, SeedOutcome, Tokens,
};
use crate::core::probe::WaitCause;
use crate::core::{conclude, decide};

#[test]
fn a_seed_is_adopted_once_looked_for_elsewhere_and_spent() {
    let seed = |facts: &mut Facts, digest: &str| {
        facts.renewal.as_mut().unwrap().seed = SeedState::Read {
            digest: digest.into(),
            print: print(digest),
        };
    };
    let mut first = facts(0, None);
    first.status.validated_fingerprint = None;
    seed(&mut first, "one");
    assert_eq!(word(&first), "import token");
    let mut adopted = Grant::default();
    adopted.adopt("one", print("seed"), client(), at(0), false);
    let mut second = facts(0, Some(adopted));
    seed(&mut second, "one");
    assert_eq!(word(&second), "check duplicate");
    second.progress.duplicate_checked = true;
    assert_eq!(word(&second), "intend first 0 -");
    second.progress.is_duplicate = true;
    assert_eq!(word(&second), "blocked GrantConflict");
    // An older copy of what was consumed comes back: nothing is done with it.
    let mut stale = in_use();
    stale.seeds.insert(
        0,
        Seed {
            digest: "zero".into(),
            seen: at(-9),
            outcome: SeedOutcome::Accepted,
        },
    );
    let mut third = facts(1, Some(stale));
    seed(&mut third, "zero");
    assert_eq!(word(&third), "at 45");
    assert_eq!(third.seed_trouble(), Some(Reason::SeedStale));
}

/// A token that may be spent elsewhere waits, and is looked for in every reconcile; the one in use is renewed.
#[test]
fn what_may_be_spent_elsewhere_waits_and_holds_up_no_renewal() {
    let unknown = |minute: i64, grant: Grant<_>| {
        let mut facts = facts(minute, Some(grant));
        assert_eq!(word(&facts), "check duplicate");
        facts.progress.duplicate_checked = true;
        facts.progress.is_duplicate = true;
        facts.progress.twins_unknown = Some(Denial::Refused("nobody knows".into()));
        facts
    };
    let mut adopted = Grant::default();
    adopted.adopt("one", print("seed"), client(), at(0), false);
    let mut first = unknown(10, adopted);
    assert_eq!(word(&first), "at 10");
    first.status.next_renewal_time = Some(at(5));
    assert_eq!(word(&first), "at 5");
    let mut beside = in_use();
    beside.adopt("two", print("new"), client(), at(1), false);
    assert_eq!(word(&unknown(10, beside.clone())), "at 10");
    assert_eq!(word(&unknown(45, beside)), "intend first 45 -");
}

#[test]
fn a_grant_that_is_gone_or_strange_waits_for_a_person() {
    let seed = |facts: &mut Facts, digest: &str| {
        facts.renewal.as_mut().unwrap().seed = SeedState::Read {
            digest: digest.into(),
            print: print(digest),
        };
    };
    let consumed = |facts: &mut Facts| {
        facts.status.grant = Some(crate::api::GrantStatus {
            name: "grant".into(),
            seed: Some("k0000:one".into()),
            consumed: true,
            ..Default::default()
        });
    };
    let mut lost = facts(10, None);
    consumed(&mut lost);
    assert_eq!(word(&lost), "blocked GrantLost");
    let mut moved = lost.clone();
    moved.plan.as_mut().unwrap().renewal.as_mut().unwrap().grant = "elsewhere".into();
    assert_eq!(word(&moved), "idle");
    seed(&mut moved, "one");
    assert_eq!(
        word(&moved),
        "blocked GrantLost",
        "spent wherever it stands"
    );
    seed(&mut lost, "one");
    assert_eq!(word(&lost), "blocked GrantLost");
    seed(&mut lost, "two");
    assert_eq!(
        word(&lost),
        "import token",
        "a new consent needs nothing of the old"
    );
    seed(&mut lost, "one");
    lost.object.renew = Some("a person".into());
    assert_eq!(word(&lost), "import token");

    let mut foreign = facts(10, None);
    foreign.renewal.as_mut().unwrap().grant = GrantState::Foreign;
    assert_eq!(word(&foreign), "blocked GrantForeign");
    foreign.renewal.as_mut().unwrap().grant = GrantState::Later;
    assert_eq!(word(&foreign), "blocked GrantVersionUnsupported");

    let mut copy = in_use();
    copy.uid = Some("another".into());
    let mut restored = facts(50, Some(copy));
    assert_eq!(word(&restored), "blocked GrantRestored");
    restored.object.renew = Some("a person".into());
    assert_eq!(word(&restored), "intend first 50 -");
}

#[test]
fn a_validated_candidate_is_not_put_aside_for_a_newer_seed() {
    let mut grant = in_use();
    grant.candidate = grant.live.take();
    let mut facts = facts(10, Some(grant));
    facts.renewal.as_mut().unwrap().seed = SeedState::Read {
        digest: "two".into(),
        print: print("two"),
    };
    assert_eq!(word(&facts), "promote");
    // To write into a copy would make it an original.
    let GrantState::Read(held) = &mut facts.renewal.as_mut().unwrap().grant else {
        panic!()
    };
    held.uid = "another".into();
    assert_eq!(word(&facts), "import token");
}

#[test]
fn another_client_gets_nothing() {
    let mut facts = facts(50, Some(in_use()));
    let plan = facts.plan.as_mut().unwrap().renewal.as_mut().unwrap();
    plan.client.id = "another".into();
    assert_eq!(word(&facts), "blocked GrantConflict");
    assert!(!facts.has_token());
}

#[test]
fn what_was_begun_for_another_client_is_waited_for_and_not_repeated() {
    let mut grant = begun(other(), 50, 50);
    let mut another = client();
    another.id = "another".into();
    grant.adopt("two", print("two"), another.clone(), at(50), false);
    let mut facts = facts(51, Some(grant));
    facts
        .plan
        .as_mut()
        .unwrap()
        .renewal
        .as_mut()
        .unwrap()
        .client = another;
    assert_eq!(word(&facts), "at 52", "it may still be running");
    facts.now = at(53);
    assert_eq!(
        word(&facts),
        "check duplicate",
        "the new consent goes on at once"
    );
}

#[test]
fn a_refused_candidate_is_renewed_again_only_for_another_spec_or_a_person() {
    let mut grant = in_use();
    grant.adopt("two", print("two"), client(), at(0), false);
    let access = Access {
        token: print("other"),
        obtained: at(0),
        expires: at(5),
        scopes: Vec::new(),
        id: None,
    };
    let tokens = Tokens {
        access,
        refresh: Some(print("next")),
        offline_missing: false,
    };
    grant.keep("two", "second", tokens);
    let mut facts = facts(10, Some(grant));
    facts.status.grant = Some(crate::api::GrantStatus {
        candidate: Some(crate::api::Attempt {
            failures: 1,
            last_failure_time: at(0),
            next_attempt_time: None,
            fingerprint: "k0000:other".into(),
            outcome: AttemptOutcome::Refused,
            reason: Some(Reason::AccountChanged),
        }),
        ..Default::default()
    });
    assert_eq!(word(&facts), "at 45", "the chain in use");
    facts.object.generation = 2;
    assert_eq!(word(&facts), "intend first 10 -");
    facts.object.generation = 1;
    facts.object.renew = Some("a person".into());
    assert_eq!(word(&facts), "intend first 10 -");
}

#[test]
fn a_conflict_is_looked_at_again_once_the_rival_is_gone() {
    let mut facts = facts(10, None);
    let pass = |facts: &mut Facts, rival: Option<&str>, grant: GrantState| {
        let renewal = facts.renewal.as_mut().unwrap();
        renewal.rival = rival.map(str::to_owned);
        renewal.grant = grant;
        facts.status = conclude::conclude(facts, &facts.status).status;
        facts.renewal.as_mut().unwrap().grant = GrantState::NotRead;
        facts.source = Source::Unchanged;
        facts.status.sources = vec![SourceVersion {
            name: "seed".into(),
            uid: "uid".into(),
            resource_version: "1".into(),
        }];
    };
    let looks = decide::needs_source;
    pass(&mut facts, Some("older"), GrantState::Absent);
    assert!(!looks(&facts));
    facts.renewal.as_mut().unwrap().rival = None;
    assert!(looks(&facts));
    // What it left behind is still in the way: once looked at, there is nothing more to see.
    let mut left = in_use();
    left.live.as_mut().unwrap().client.id = "another".into();
    let held = Held {
        grant: left,
        uid: "uid".into(),
    };
    pass(&mut facts, None, GrantState::Read(Box::new(held)));
    assert!(!looks(&facts));
}

#[test]
fn a_refresh_token_is_used_well_before_it_expires_unused() {
    let day = 24 * 60;
    let mut grant = in_use();
    let access = grant.live.as_mut().unwrap().access.as_mut().unwrap();
    access.expires = at(300 * day);
    let facts = facts(10, Some(grant));
    assert_eq!(word(&facts), format!("at {}", 45 * day));
}

#[test]
fn a_dead_chain_is_spent_by_nobody_but_a_person() {
    let mut grant = in_use();
    grant.miss("one", RenewalFailure::Dead, at(46), at(46));
    let mut facts = facts(50, Some(grant));
    assert_eq!(word(&facts), "idle");
    facts.object.renew = Some("a person".into());
    assert_eq!(word(&facts), "intend first 50 -");
}

#[test]
fn a_failure_is_waited_out_unless_what_failed_has_changed() {
    let now = "intend first 50 -";
    for (reason, changed, edited, expected) in [
        (Reason::SiteUnavailable, false, false, "at 55"),
        (Reason::SiteUnavailable, true, false, "at 55"),
        // Another CA or another site may be the remedy.
        (Reason::SiteUnavailable, false, true, now),
        // The wait is the site's own word.
        (Reason::RateLimited, false, true, "at 55"),
        (Reason::ClientRejected, false, false, "at 55"),
        (Reason::ClientRejected, true, false, now),
        (Reason::ClientRejected, false, true, now),
    ] {
        let mut grant = in_use();
        let miss = RenewalFailure::NotSpent(reason);
        grant.miss("one", miss, at(46), at(55));
        let mut facts = facts(50, Some(grant));
        facts.renewal.as_mut().unwrap().clients_changed = changed;
        facts.object.generation += i64::from(edited);
        assert_eq!(word(&facts), expected, "{reason:?} {changed} {edited}");
        // Once in a reconcile.
        facts.progress.renewed = true;
        assert_eq!(word(&facts), "at 55", "{reason:?} {changed} {edited}");
    }
}

#[test]
fn while_the_site_rests_a_renewal_waits_but_not_to_the_end() {
    for (minute, until, expected) in [
        (46, 50, "at 50"),
        (46, 90, "at 55"),
        (55, 90, "intend first 55 -"),
    ] {
        let mut facts = facts(minute, Some(in_use()));
        facts.renewal_wait = Some(wait(WaitCause::RateLimited, until));
        assert_eq!(word(&facts), expected);
    }
}

#[test]
fn after_a_signal_to_stop_nothing_begins() {
    let mut facts = facts(50, Some(in_use()));
    facts.renewal.as_mut().unwrap().process.stopping = true;
    assert_eq!(word(&facts), "idle");
}

#[test]
fn an_intent_that_is_durable_is_followed_by_its_renewal_and_a_failure_by_none() {
    let mut facts = facts(50, Some(begun(me(), 50, 50)));
    facts.progress.intended = Some(RefreshRequest::fresh("one", at(50), false));
    assert_eq!(word(&facts), "renew");
}

#[test]
fn missing_scopes_are_told_alike_whether_the_grant_was_read_or_not() {
    let mut grant = in_use();
    let access = grant.live.as_mut().unwrap().access.as_mut().unwrap();
    access.token = print("renewed");
    access.scopes = vec!["read:jira-work".into()];
    let mut facts = facts(10, Some(grant));
    let plan = facts.plan.as_mut().unwrap().renewal.as_mut().unwrap();
    plan.scopes = vec!["read:jira-work".into(), "read:jira-user".into()];
    // Validated with all of them before, and Jira cannot be asked about the successor.
    facts.status.scopes.clone_from(&plan.scopes);
    facts.status.attempt = Some(crate::api::Attempt {
        failures: 1,
        last_failure_time: at(10),
        next_attempt_time: Some(at(20)),
        fingerprint: "k0000:renewed".into(),
        outcome: AttemptOutcome::NoVerdict,
        reason: Some(Reason::SiteUnavailable),
    });
    let read = conclude::conclude(&facts, &facts.status).status;
    facts.status = read.clone();
    facts.source = Source::Unchanged;
    facts.renewal.as_mut().unwrap().grant = GrantState::NotRead;
    let unread = conclude::conclude(&facts, &read).status;
    assert_eq!(read.conditions, unread.conditions);
    let valid = &read.conditions[1];
    assert_eq!(valid.reason, Reason::InsufficientScope);
    assert!(
        valid.message.contains("read:jira-user"),
        "{}",
        valid.message
    );
}
