//! Whether the access token that a renewal replaces is kept, and until when it is published.

use chrono::TimeDelta;
use serde_json::json;

use super::{at, facts, in_use, print};
use crate::api::{Attempt, AttemptOutcome, GrantStatus, Target};
use crate::core::decide::cleanup::next_cleanup;
use crate::core::facts::{Facts, GrantState, GrantUser, Held, TargetFacts, TargetState};
use crate::core::fingerprint::Fingerprint;
use crate::core::grant::{Grant, Overlap, PreviousAccess, Replacement};
use crate::core::spec::RenewalKind;

fn target(keep_previous: bool) -> TargetFacts {
    let target: Target =
        serde_json::from_value(json!({"name": "one", "keepPrevious": keep_previous})).unwrap();
    TargetFacts {
        target,
        state: TargetState::Unknown,
        older_claim: None,
        barrier: None,
    }
}

fn user(shows: &str, keeps_previous: bool) -> GrantUser {
    GrantUser {
        holds: Some(shows.into()),
        shows: Some(shows.into()),
        keeps_previous,
    }
}

fn attempt(outcome: AttemptOutcome) -> Attempt {
    Attempt {
        failures: 1,
        last_failure_time: at(40),
        next_attempt_time: None,
        fingerprint: "k0000:access".into(),
        outcome,
        reason: None,
    }
}

fn keeping() -> Facts {
    let mut facts = facts(45, Some(in_use()));
    facts.targets = vec![target(false), target(true)];
    facts
}

#[test]
fn the_token_that_targets_hold_is_kept_where_a_target_wants_it_and_it_is_known_to_work() {
    type Change = fn(&mut Facts);
    let cases: [(&str, Change, &str); 14] = [
        ("a target wants it", |_| {}, "keep"),
        (
            "none does",
            |facts| facts.targets = vec![target(false)],
            "drop",
        ),
        ("there is no target", |facts| facts.targets.clear(), "drop"),
        (
            "one of another credential does",
            |facts| {
                facts.targets.clear();
                facts.renewal.as_mut().unwrap().others = vec![user("k0000:access", true)];
            },
            "keep",
        ),
        (
            "another credential alone shows it",
            |facts| {
                facts.status.validated_fingerprint = Some("k0000:earlier".into());
                facts.renewal.as_mut().unwrap().others = vec![user("k0000:access", false)];
            },
            "drop",
        ),
        (
            "nobody shows it",
            |facts| facts.status.validated_fingerprint = Some("k0000:earlier".into()),
            "skip",
        ),
        (
            "Jira refused it and pods have the one before",
            |facts| {
                facts.status.validated_fingerprint = Some("k0000:earlier".into());
                facts.status.attempt = Some(attempt(AttemptOutcome::Refused));
            },
            "skip",
        ),
        (
            "Jira refused it",
            |facts| facts.status.attempt = Some(attempt(AttemptOutcome::Refused)),
            "drop",
        ),
        (
            "Jira may have refused it",
            |facts| facts.status.attempt = Some(attempt(AttemptOutcome::Unconfirmed)),
            "drop",
        ),
        (
            "Jira does not answer",
            |facts| facts.status.attempt = Some(attempt(AttemptOutcome::NoVerdict)),
            "keep",
        ),
        (
            "it was published unvalidated",
            |facts| {
                facts.status.validated_fingerprint = Some("k0000:earlier".into());
                facts.status.grant = Some(GrantStatus {
                    provisional: Some("k0000:access".into()),
                    ..GrantStatus::default()
                });
            },
            "keep",
        ),
        (
            "Data Center",
            |facts| renewal_plan(facts).gateway = None,
            "drop",
        ),
        (
            "client credentials",
            |facts| renewal_plan(facts).kind = RenewalKind::ClientCredentials,
            "keep",
        ),
        (
            "a session, which the operator ends",
            |facts| renewal_plan(facts).kind = RenewalKind::Login,
            "drop",
        ),
    ];
    for (name, change, expected) in cases {
        let mut facts = keeping();
        change(&mut facts);
        let word = match facts.replacement("one") {
            Replacement::Drop => "drop",
            Replacement::Keep(overlap) => {
                let known = Overlap {
                    attempt: Some("first".into()),
                    lasts: TimeDelta::minutes(10),
                    margin: TimeDelta::seconds(30),
                };
                assert_eq!(overlap, known, "{name}");
                "keep"
            }
            Replacement::Skip => "skip",
        };
        assert_eq!(word, expected, "{name}");
    }
}

fn renewal_plan(facts: &mut Facts) -> &mut crate::core::spec::RenewalPlan {
    facts.plan.as_mut().unwrap().renewal.as_mut().unwrap()
}

/// A grant with a token that was replaced and works until minute 54.
fn replaced() -> Grant<Fingerprint> {
    let mut grant = in_use();
    grant.live.as_mut().unwrap().previous = Some(PreviousAccess {
        token: print("earlier"),
        until: at(54),
    });
    grant
}

#[test]
fn it_is_published_until_it_ends_beside_a_successor_that_was_validated() {
    type Change = fn(&mut Facts);
    let cases: [(&str, i64, Change, bool, bool); 7] = [
        ("it works", 53, |_| {}, true, true),
        ("it has ended", 54, |_| {}, false, false),
        (
            "it has ended, and nothing may be written",
            54,
            |facts| {
                facts.spec.validation.account_id = Some("another".into());
                facts.status.grant = Some(GrantStatus {
                    previous: Some("k0000:earlier".into()),
                    ..GrantStatus::default()
                });
            },
            true,
            false,
        ),
        (
            "no target wants it",
            53,
            |facts| facts.targets = vec![target(false)],
            true,
            false,
        ),
        (
            "its successor is not validated",
            53,
            |facts| facts.status.validated_fingerprint = Some("k0000:earlier".into()),
            false,
            false,
        ),
        (
            "the grant has it for another client",
            53,
            |facts| renewal_plan(facts).client.id = "another".into(),
            false,
            false,
        ),
        (
            "nobody read the grant",
            53,
            |facts| {
                facts.renewal.as_mut().unwrap().grant = GrantState::NotRead;
                facts.status.grant = Some(GrantStatus {
                    previous: Some("k0000:earlier".into()),
                    next_cleanup_time: Some(at(54)),
                    ..GrantStatus::default()
                });
            },
            true,
            true,
        ),
    ];
    for (name, minute, change, published, waited_for) in cases {
        let mut facts = keeping();
        facts.now = at(minute);
        facts.renewal.as_mut().unwrap().grant = GrantState::Read(Box::new(Held {
            grant: replaced(),
            uid: "uid".into(),
        }));
        change(&mut facts);
        let expected = published.then_some("k0000:earlier");
        assert_eq!(facts.previous(), expected, "{name}");
        let end = waited_for.then(|| at(54));
        assert_eq!(next_cleanup(&facts), end, "{name}");
    }
}
