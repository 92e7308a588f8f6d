use chrono::{DateTime, TimeDelta, Utc};

use crate::api::Reason;
use crate::core::grant::{
    Access, ENDLESS, Grant, Holder, Intent, Listed, RenewalFailure, Replaced, SeedOutcome,
};
use crate::core::spec::Client;

const OURS: &str = "jco-abc-";

fn at(days: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_760_000_000, 0).unwrap() + TimeDelta::days(days)
}

fn client() -> Client {
    Client {
        endpoint: "https://jira.example/rest".into(),
        id: String::new(),
    }
}

fn access(token: &'static str, id: Option<&str>, end: i64) -> Access<&'static str> {
    Access {
        token,
        obtained: at(0),
        expires: at(end),
        scopes: Vec::new(),
        id: id.map(str::to_owned),
    }
}

fn intent(origin: &str) -> Intent {
    Intent {
        attempt: "attempt".into(),
        holder: Holder::default(),
        origin: origin.into(),
        first_sent: at(0),
        started: at(0),
        interrupted: None,
        replay: false,
    }
}

fn listed(id: &str, name: &str, end: Option<i64>) -> Listed {
    Listed {
        id: id.into(),
        name: name.into(),
        created: Some(at(-3)),
        expires: end.map(at),
    }
}

/// A token that a person made, in use.
fn adopted(id: Option<&str>) -> Grant<&'static str> {
    let mut grant = Grant::default();
    grant.import_token("one", access("first", id, 90), client(), at(0), false);
    grant.succeed(Replaced::Token, at(0));
    grant
}

fn retired(grant: &Grant<&'static str>) -> Vec<(Option<String>, &'static str)> {
    let old = grant.retired.iter();
    old.map(|old| (old.id.clone(), old.token)).collect()
}

#[test]
fn a_successor_waits_beside_its_predecessor_until_it_is_validated() {
    let mut grant = adopted(Some("1"));
    grant.intend(intent("one"));
    grant.keep_successor("one", "second", access("second", Some("2"), 180));
    assert_eq!(grant.intent, None);
    assert_eq!(
        grant.chain("one").unwrap().access.as_ref().unwrap().token,
        "first"
    );
    assert!(
        grant.retired.is_empty(),
        "nothing is ended before it is validated"
    );
    assert_eq!(grant.chain("second").unwrap().root(), "one");
    assert_eq!(grant.known_ids(), ["1", "2"]);
    grant.succeed(Replaced::Token, at(1));
    assert_eq!(retired(&grant), [(Some("1".into()), "first")]);
    assert_eq!(grant.seed("one").unwrap().outcome, SeedOutcome::Accepted);
    assert!(grant.has_successor(Some("one")) && !grant.has_successor(Some("other")));
    assert_eq!(
        grant.known_ids(),
        ["2", "1"],
        "what is to be ended is no stray"
    );
}

#[test]
fn a_successor_that_jira_refused_is_ended_when_another_takes_its_place() {
    let mut grant = adopted(Some("1"));
    grant.keep_successor("one", "second", access("second", Some("2"), 180));
    grant.keep_successor("one", "third", access("third", Some("3"), 180));
    assert_eq!(retired(&grant), [(Some("2".into()), "second")]);
    assert_eq!(grant.candidate.as_ref().unwrap().origin, "third");
}

#[test]
fn a_token_of_unknown_id_is_replaced_and_left_alone() {
    let mut grant = adopted(None);
    grant.keep_successor("one", "second", access("second", Some("2"), 180));
    grant.succeed(Replaced::Token, at(1));
    assert!(grant.retired.is_empty());
}

#[test]
fn a_token_of_a_person_takes_the_place_of_an_earlier_one_which_is_ended() {
    let mut grant = adopted(Some("1"));
    grant.import_token("two", access("new", None, 90), client(), at(2), false);
    grant.succeed(Replaced::Token, at(2));
    assert_eq!(retired(&grant), [(Some("1".into()), "first")]);
    // In a copy the original goes on with its own.
    let mut copy = adopted(Some("1"));
    copy.keep_successor("one", "second", access("second", Some("2"), 180));
    copy.succeed(Replaced::Token, at(1));
    copy.import_token("two", access("new", None, 90), client(), at(2), true);
    copy.succeed(Replaced::Token, at(2));
    assert!(copy.retired.is_empty());
}

#[test]
fn a_token_is_found_when_it_is_the_only_one_that_it_may_be() {
    let of_ours = listed("9", "jco-abc-1", Some(90));
    for (list, stated, found) in [
        (vec![listed("1", "a", Some(40))], None, Some("1")),
        (vec![listed("1", "a", Some(40)), of_ours], None, Some("1")),
        (
            vec![listed("1", "a", Some(-1)), listed("2", "b", None)],
            None,
            Some("2"),
        ),
        (
            vec![listed("1", "a", Some(40)), listed("2", "b", Some(50))],
            None,
            None,
        ),
        (
            vec![listed("1", "a", Some(40)), listed("2", "b", Some(50))],
            Some(50),
            Some("2"),
        ),
        (
            vec![listed("1", "a", Some(50)), listed("2", "b", Some(50))],
            Some(50),
            None,
        ),
        (vec![], None, None),
    ] {
        let mut grant = adopted(None);
        let count = list.len();
        grant.identify("one", &list, OURS, stated.map(at), at(0));
        let chain = grant.chain("one").unwrap();
        let access = chain.access.as_ref().unwrap();
        assert_eq!(access.id.as_deref(), found, "{list:?}");
        let search = chain.search.as_ref().unwrap();
        assert_eq!(search.has_failed(), found.is_none(), "{count}");
        let end = list.iter().find(|token| Some(token.id.as_str()) == found);
        if let Some(end) = end {
            assert_eq!(access.expires, end.expires.unwrap_or(ENDLESS));
            assert_eq!(access.obtained, at(-3), "it is as old as the list says");
        } else {
            assert_eq!(access.expires, stated.map_or(at(90), at));
        }
    }
}

#[test]
fn the_day_of_an_earlier_token_finds_no_later_one() {
    let mut later = listed("2", "b", Some(50));
    later.created = Some(at(-1));
    let list = [listed("1", "a", Some(40)), later];
    for (stated, found) in [(40, None), (50, Some("2"))] {
        let mut grant = adopted(None);
        grant.identify("one", &list, OURS, Some(at(stated)), at(0));
        let access = grant.chain("one").unwrap().access.as_ref().unwrap();
        assert_eq!(access.id.as_deref(), found, "{stated}");
    }
}

#[test]
fn a_session_takes_the_place_of_the_one_before_which_is_ended_unless_jira_did() {
    for ended in [false, true] {
        let mut grant: Grant<&'static str> = Grant::default();
        grant.import_login("one", client(), at(0));
        grant.intend(intent("one"));
        grant.keep_session("one", "a", access("cookie-1", None, 1), false);
        grant.succeed(Replaced::Session, at(0));
        assert!(grant.retired.is_empty());
        grant.keep_session("one", "b", access("cookie-2", None, 1), ended);
        let expected = if ended {
            Vec::new()
        } else {
            vec![(None, "cookie-1")]
        };
        assert_eq!(retired(&grant), expected);
        // Another password.
        grant.import_login("two", client(), at(0));
        grant.keep_session("two", "c", access("cookie-3", None, 1), false);
        grant.succeed(Replaced::Session, at(0));
        assert_eq!(retired(&grant).last(), Some(&(None, "cookie-2")));
    }
}

#[test]
fn a_refused_password_ends_its_chain_and_leaves_the_session_in_use_alone() {
    let mut grant: Grant<&'static str> = Grant::default();
    grant.import_login("one", client(), at(0));
    grant.keep_session("one", "a", access("cookie-1", None, 1), false);
    grant.succeed(Replaced::Session, at(0));
    grant.import_login("two", client(), at(0));
    grant.intend(intent("two"));
    grant.miss(
        "two",
        RenewalFailure::Refused(Reason::CaptchaRequired),
        at(0),
        at(0),
    );
    assert!(grant.live.as_ref().is_some_and(|live| live.dead.is_none()));
    assert_eq!((&grant.candidate, &grant.intent), (&None, &None));
    assert_eq!(grant.seed("two").unwrap().outcome, SeedOutcome::Refused);
    grant.intend(intent("one"));
    grant.miss(
        "one",
        RenewalFailure::Refused(Reason::Rejected),
        at(0),
        at(0),
    );
    let dead = grant.live.as_ref().unwrap().dead.as_ref().unwrap();
    assert_eq!(dead.reason, Some(Reason::Rejected));
}

#[test]
fn what_is_to_be_ended_is_shown_first_and_tried_again() {
    let mut grant = adopted(Some("1"));
    grant.keep_successor("one", "second", access("second", Some("2"), 180));
    grant.succeed(Replaced::Token, at(1));
    grant.show(at(2));
    grant.show(at(3));
    assert_eq!(grant.retired[0].shown, Some(at(2)));
    grant.settle_retired(0, Some(at(4)));
    assert_eq!(grant.retired[0].next_attempt, Some(at(4)));
    grant.settle_retired(0, None);
    grant.settle_retired(0, None);
    assert!(grant.retired.is_empty());
}

#[test]
fn only_what_was_published_counts_as_the_previous_one() {
    type Change = fn(&mut Grant<&'static str>);
    let token: [(&str, Change, Option<&str>); 4] = [
        ("nothing was replaced", |_| {}, None),
        (
            "its successor took its place",
            |grant| {
                grant.keep_successor("one", "second", access("second", Some("2"), 180));
                grant.succeed(Replaced::Token, at(1));
            },
            Some("first"),
        ),
        (
            "a successor without a verdict, and a token of a person",
            |grant| {
                grant.keep_successor("one", "second", access("second", Some("2"), 180));
                grant.import_token(
                    "two",
                    access("third", Some("3"), 90),
                    client(),
                    at(2),
                    false,
                );
            },
            None,
        ),
        (
            "two successors, of which the second took its place",
            |grant| {
                grant.keep_successor("one", "second", access("second", Some("2"), 180));
                grant.keep_successor("one", "third", access("third", Some("3"), 180));
                grant.succeed(Replaced::Token, at(1));
            },
            Some("first"),
        ),
    ];
    for (name, change, expected) in token {
        let mut grant = adopted(Some("1"));
        change(&mut grant);
        let previous = grant.previous().map(|old| old.token);
        assert_eq!(previous, expected, "{name}");
    }
    let session: [(&str, Change, Option<&str>); 4] = [
        (
            "the next session",
            |grant| grant.keep_session("one", "b", access("cookie-2", None, 2), false),
            Some("cookie-1"),
        ),
        (
            "two more, and nobody shows the first of them",
            |grant| {
                grant.keep_session("one", "b", access("cookie-2", None, 2), false);
                grant.keep_session("one", "c", access("cookie-3", None, 2), false);
            },
            Some("cookie-1"),
        ),
        (
            "two more, and everybody shows the first of them",
            |grant| {
                grant.keep_session("one", "b", access("cookie-2", None, 2), false);
                grant.show(at(0));
                grant.keep_session("one", "c", access("cookie-3", None, 2), false);
            },
            Some("cookie-2"),
        ),
        (
            "sessions of another password that was not validated",
            |grant| {
                grant.import_login("two", client(), at(0));
                grant.keep_session("two", "b", access("cookie-2", None, 2), false);
                grant.keep_session("two", "c", access("cookie-3", None, 2), false);
                grant.import_login("three", client(), at(0));
            },
            None,
        ),
    ];
    for (name, change, expected) in session {
        let mut grant: Grant<&'static str> = Grant::default();
        grant.import_login("one", client(), at(0));
        grant.keep_session("one", "a", access("cookie-1", None, 2), false);
        grant.succeed(Replaced::Session, at(0));
        change(&mut grant);
        let previous = grant.previous().map(|old| old.token);
        assert_eq!(previous, expected, "{name}");
    }
}
