use serde_json::json;

use super::*;
use crate::api::{JiraCredentialStatus, MethodName, SourceVersion};
use crate::core::facts::{Happened, Object, Peer, Plan, Source};
use crate::core::grant::{Client, Holder, Tokens};
use crate::core::problem::Periods;
use crate::core::renewal::Process;
use crate::core::site::Site;

fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_760_000_000, 0).unwrap() + TimeDelta::minutes(minutes)
}

fn client() -> Client {
    Client {
        endpoint: "https://auth.example/oauth/token".into(),
        id: "client".into(),
    }
}

fn print(token: &str) -> Fingerprint {
    Fingerprint::recorded(&format!("k0000:{token}"))
}

fn me() -> Holder {
    Holder {
        pod: "pod".into(),
        nonce: "mine".into(),
    }
}

fn other() -> Holder {
    Holder {
        pod: "pod".into(),
        nonce: "earlier".into(),
    }
}

/// A grant in use since minute 0, its token good for an hour.
fn in_use() -> Grant<Fingerprint> {
    let mut grant = Grant::default();
    grant.adopt("one", print("seed"), client(), at(0), false);
    let access = Access {
        token: print("access"),
        obtained: at(0),
        expires: at(60),
        scopes: Vec::new(),
    };
    let tokens = Tokens {
        access,
        refresh: Some(print("refresh")),
        offline_missing: false,
    };
    grant.keep("one", "first", tokens);
    grant.promote();
    grant.uid = Some("uid".into());
    grant
}

/// A uid that comes no earlier than others with this wait.
fn unsplayed(before: TimeDelta) -> String {
    let none = |uid: &String| splay(uid, before / 5).is_zero();
    (0..10_000).map(|n: u32| n.to_string()).find(none).unwrap()
}

fn begun(by: Holder, started: i64, first_sent: i64) -> Grant<Fingerprint> {
    let mut grant = in_use();
    grant.intend(Intent {
        attempt: "attempt".into(),
        holder: by,
        origin: "one".into(),
        first_sent: at(first_sent),
        started: at(started),
        interrupted: None,
        replay: false,
    });
    grant
}

fn facts(minute: i64, grant: Option<Grant<Fingerprint>>) -> Facts {
    let spec: crate::api::JiraCredentialSpec = serde_json::from_value(json!({
        "site": "https://acme.atlassian.net",
        "auth": {"oauth2": {
            "clientId": "client",
            "clientSecretRefs": [{"name": "client", "key": "secret"}],
            "refreshTokenSecretRef": {"name": "seed", "key": "token"},
        }},
    }))
    .unwrap();
    let site = Site::of(&spec).unwrap();
    let periods = Periods::of(&spec).unwrap();
    let grant = grant.map_or(GrantState::Absent, |grant| {
        GrantState::Read(Box::new(Held {
            grant,
            uid: "uid".into(),
        }))
    });
    Facts {
        now: at(minute),
        object: Object {
            namespace: "team".into(),
            name: "bot".into(),
            uid: unsplayed(TimeDelta::minutes(15)),
            generation: 1,
            deleting: false,
            renew: None,
        },
        status: JiraCredentialStatus {
            observed_generation: 1,
            proven_fingerprint: Some("k0000:access".into()),
            ..JiraCredentialStatus::default()
        },
        plan: Ok(Plan {
            method: MethodName::OAuth2,
            site,
            periods,
            issued_at: None,
            expires_at: None,
            renewal: Some(RenewalPlan {
                grant: "grant".into(),
                spends: true,
                client: client(),
                gateway: "https://api.example".into(),
                cloud_id: Some("id".into()),
                scopes: Vec::new(),
                renew_before: None,
                retention: TimeDelta::hours(24),
            }),
        }),
        source: Source::Read {
            fingerprint: print("access"),
            versions: Vec::<SourceVersion>::new(),
        },
        targets: Vec::new(),
        surplus: Vec::new(),
        peer: Peer::Silent,
        cooling_until: None,
        renewal: Some(Renewal {
            grant,
            seed: SeedState::NotRead,
            rival: None,
            clients_changed: false,
            clients_read: true,
            process: Process {
                holder: me(),
                ..Process::default()
            },
            pace: Pace::default(),
        }),
        happened: Happened::default(),
        spec,
    }
}

fn word(facts: &Facts) -> String {
    match next(facts) {
        None => "none".into(),
        Some(Move::At(time)) => format!("at {}", (time - at(0)).num_minutes()),
        Some(Move::Intend(spend)) => {
            let minutes = |time: DateTime<Utc>| (time - at(0)).num_minutes();
            let interrupted = spend
                .interrupted
                .map_or("-".into(), |time| minutes(time).to_string());
            let replay = if spend.replay { "replay" } else { "first" };
            let early = if spend.early { " early" } else { "" };
            format!(
                "intend {replay} {} {interrupted}{early}",
                minutes(spend.first_sent)
            )
        }
        Some(Move::Renew(_)) => "renew".into(),
        Some(Move::Stuck(reason)) => format!("stuck {reason:?}"),
        Some(other) => format!("{other:?}").to_lowercase(),
    }
}

#[test]
fn a_token_of_an_hour_is_renewed_a_quarter_before_its_end() {
    for (minute, expected) in [
        (0, "at 45"),
        (44, "at 45"),
        (45, "intend first 45 -"),
        (70, "intend first 70 -"),
    ] {
        assert_eq!(word(&facts(minute, Some(in_use()))), expected);
    }
}

#[test]
fn renewal_never_takes_more_than_half_of_a_life_and_comes_earlier_for_some() {
    let access = Access {
        token: print("access"),
        obtained: at(0),
        expires: at(60),
        scopes: Vec::new(),
    };
    for (before, minute) in [(None, 45), (Some(10), 50), (Some(59), 30), (Some(500), 30)] {
        let before = before.map(TimeDelta::minutes);
        let uid = unsplayed(before.unwrap_or(TimeDelta::minutes(15)));
        assert_eq!(renew_at(&access, before, &uid), at(minute));
    }
    for n in 0..50 {
        let time = renew_at(&access, None, &format!("uid-{n}"));
        assert!(time <= at(45) && time > at(41), "{time}");
    }
}

#[test]
fn what_another_process_has_begun_is_taken_over_by_ones_own_clock_or_when_it_is_old() {
    for (started, seen_for, expected) in [
        (50, 0, "at 51"),
        (50, 89, "at 50"),
        (50, 90, "intend replay 50 -"),
        // Three minutes of age need no watching.
        (47, 0, "intend replay 47 -"),
        // A clock that is behind ours, or ahead, makes nobody wait for ever.
        (90, 90, "intend replay 90 -"),
    ] {
        let mut facts = facts(50, Some(begun(other(), started, started)));
        let process = &mut facts.renewal.as_mut().unwrap().process;
        process.seen_for = TimeDelta::seconds(seen_for);
        assert_eq!(word(&facts), expected, "{started} {seen_for}");
    }
}

#[test]
fn ones_own_attempt_is_waited_for_while_it_runs_and_repeated_when_it_has_ended() {
    let mut facts = facts(50, Some(begun(me(), 50, 50)));
    assert_eq!(word(&facts), "intend replay 50 -");
    facts.renewal.as_mut().unwrap().process.running = true;
    assert_eq!(word(&facts), "at 50");
}

#[test]
fn after_the_leeway_there_is_one_last_attempt_and_it_says_since_when() {
    for (leads, minute, seen_for, expected) in [
        (None, 58, 90, "intend replay 50 -"),
        (None, 59, 90, "at 70"),
        (None, 70, 90, "intend replay 70 50"),
        // Its holder may still have the answer: however old, it is watched first.
        (None, 70, 0, "at 71"),
        (Some(true), 59, 90, "intend replay 59 50"),
        (Some(true), 59, 0, "at 60"),
        (Some(false), 80, 90, "rest"),
    ] {
        let mut facts = facts(minute, Some(begun(other(), 50, 50)));
        let process = &mut facts.renewal.as_mut().unwrap().process;
        process.leads = leads;
        process.seen_for = TimeDelta::seconds(seen_for);
        assert_eq!(word(&facts), expected, "{leads:?} {minute} {seen_for}");
    }
}

#[test]
fn a_seed_is_adopted_once_looked_for_elsewhere_and_spent() {
    let seed = |facts: &mut Facts, digest: &str| {
        facts.renewal.as_mut().unwrap().seed = SeedState::Read {
            digest: digest.into(),
            print: print(digest),
        };
    };
    let mut first = facts(0, None);
    first.status.proven_fingerprint = None;
    seed(&mut first, "one");
    assert_eq!(word(&first), "adopt");
    let mut adopted = Grant::default();
    adopted.adopt("one", print("seed"), client(), at(0), false);
    let mut second = facts(0, Some(adopted));
    seed(&mut second, "one");
    assert_eq!(word(&second), "seek");
    second.happened.sought = true;
    assert_eq!(word(&second), "intend first 0 -");
    second.happened.twin = true;
    assert_eq!(word(&second), "stuck GrantConflict");
    // An older copy of what was consumed comes back: nothing is done with it.
    let mut stale = in_use();
    stale.seeds.insert(
        0,
        crate::core::grant::Seed {
            digest: "zero".into(),
            seen: at(-9),
            outcome: crate::core::grant::SeedOutcome::Accepted,
        },
    );
    let mut third = facts(1, Some(stale));
    seed(&mut third, "zero");
    assert_eq!(word(&third), "at 45");
    assert_eq!(third.seed_trouble(), Some(Reason::SeedStale));
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
    assert_eq!(word(&lost), "stuck GrantLost");
    let mut moved = lost.clone();
    moved.plan.as_mut().unwrap().renewal.as_mut().unwrap().grant = "elsewhere".into();
    assert_eq!(word(&moved), "rest");
    seed(&mut moved, "one");
    assert_eq!(word(&moved), "stuck GrantLost", "spent wherever it stands");
    seed(&mut lost, "one");
    assert_eq!(word(&lost), "stuck GrantLost");
    seed(&mut lost, "two");
    assert_eq!(
        word(&lost),
        "adopt",
        "a new consent needs nothing of the old"
    );
    seed(&mut lost, "one");
    lost.object.renew = Some("a person".into());
    assert_eq!(word(&lost), "adopt");

    let mut foreign = facts(10, None);
    foreign.renewal.as_mut().unwrap().grant = GrantState::Foreign;
    assert_eq!(word(&foreign), "stuck GrantForeign");

    let mut copy = in_use();
    copy.uid = Some("another".into());
    let mut restored = facts(50, Some(copy));
    assert_eq!(word(&restored), "stuck GrantRestored");
    restored.object.renew = Some("a person".into());
    assert_eq!(word(&restored), "intend first 50 -");
}

#[test]
fn a_proven_candidate_is_not_put_aside_for_a_newer_seed() {
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
    assert_eq!(word(&facts), "adopt");
}

#[test]
fn another_client_gets_nothing() {
    let mut facts = facts(50, Some(in_use()));
    let plan = facts.plan.as_mut().unwrap().renewal.as_mut().unwrap();
    plan.client.id = "another".into();
    assert_eq!(word(&facts), "stuck GrantConflict");
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
    assert_eq!(word(&facts), "seek", "the new consent goes on at once");
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
        facts.status = crate::core::conclude::conclude(facts, &facts.status).status;
        facts.renewal.as_mut().unwrap().grant = GrantState::NotRead;
        facts.source = Source::Unchanged;
        facts.status.sources = vec![SourceVersion {
            name: "seed".into(),
            uid: "uid".into(),
            resource_version: "1".into(),
        }];
    };
    let looks = crate::core::decide::needs_source;
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
fn a_refresh_token_is_used_well_before_it_dies_of_idleness() {
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
    grant.miss("one", crate::core::grant::Miss::Dead, at(46), at(46));
    let mut facts = facts(50, Some(grant));
    assert_eq!(word(&facts), "rest");
    facts.object.renew = Some("a person".into());
    assert_eq!(word(&facts), "intend first 50 -");
}

#[test]
fn a_failure_is_waited_out_unless_what_failed_has_changed() {
    for (reason, changed, expected) in [
        (Reason::SiteUnavailable, false, "at 55"),
        (Reason::SiteUnavailable, true, "at 55"),
        (Reason::ClientRejected, false, "at 55"),
        (Reason::ClientRejected, true, "intend first 50 -"),
    ] {
        let mut grant = in_use();
        let miss = crate::core::grant::Miss::NotSpent(reason);
        grant.miss("one", miss, at(46), at(55));
        let mut facts = facts(50, Some(grant));
        facts.renewal.as_mut().unwrap().clients_changed = changed;
        assert_eq!(word(&facts), expected, "{reason:?} {changed}");
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
        facts.cooling_until = Some(at(until));
        assert_eq!(word(&facts), expected);
    }
}

#[test]
fn after_a_signal_to_stop_nothing_begins() {
    let mut facts = facts(50, Some(in_use()));
    facts.renewal.as_mut().unwrap().process.stopping = true;
    assert_eq!(word(&facts), "rest");
}

#[test]
fn an_intent_that_is_durable_is_followed_by_its_renewal_and_a_failure_by_none() {
    let mut facts = facts(50, Some(begun(me(), 50, 50)));
    facts.happened.intended = Some(Spend::fresh("one", at(50), false));
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
    // Proven with all of them before, and Jira cannot be asked about the successor.
    facts.status.scopes.clone_from(&plan.scopes);
    facts.status.attempt = Some(crate::api::Attempt {
        failures: 1,
        last_failure_time: at(10),
        next_attempt_time: Some(at(20)),
        fingerprint: "k0000:renewed".into(),
        outcome: AttemptOutcome::NoVerdict,
        reason: Some(Reason::SiteUnavailable),
    });
    let read = crate::core::conclude::conclude(&facts, &facts.status).status;
    facts.status = read.clone();
    facts.source = Source::Unchanged;
    facts.renewal.as_mut().unwrap().grant = GrantState::NotRead;
    let unread = crate::core::conclude::conclude(&facts, &read).status;
    assert_eq!(read.conditions, unread.conditions);
    let valid = &read.conditions[1];
    assert_eq!(valid.reason, Reason::InsufficientScope);
    assert!(
        valid.message.contains("read:jira-user"),
        "{}",
        valid.message
    );
}
