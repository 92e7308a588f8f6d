use chrono::{DateTime, TimeDelta, Utc};

use crate::api::Reason;
use crate::core::grant::Grant;
use crate::core::grant::chain::{Access, Holder, Intent, RenewalFailure, SeedOutcome, Tokens};
use crate::core::spec::Client;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_760_000_000 + seconds, 0).unwrap()
}

fn client() -> Client {
    Client {
        endpoint: "https://auth.example/oauth/token".into(),
        id: "client".into(),
    }
}

fn tokens(name: &'static str, refresh: Option<&'static str>) -> Tokens<&'static str> {
    Tokens {
        access: Access {
            token: name,
            obtained: at(0),
            expires: at(3600),
            scopes: Vec::new(),
            id: None,
        },
        refresh,
        offline_missing: false,
    }
}

fn intent(origin: &str, replay: bool) -> Intent {
    Intent {
        attempt: "attempt".into(),
        holder: Holder::default(),
        origin: origin.into(),
        first_sent: at(10),
        started: at(20),
        interrupted: None,
        replay,
    }
}

/// A grant whose chain in use descends from `one`.
fn in_use() -> Grant<&'static str> {
    let mut grant = Grant::default();
    grant.adopt("one", "seed-1", client(), at(0), false);
    grant.intend(intent("one", false));
    grant.keep("one", "first", tokens("access-1", Some("refresh-1")));
    grant.promote();
    grant
}

#[test]
fn what_a_repeated_request_gave_may_be_as_old_as_the_first() {
    let exchanged = |grant: &Grant<_>| grant.live.as_ref().unwrap().exchanged;
    let mut grant = in_use();
    assert_eq!(exchanged(&grant), None);
    for (is_replay, expected) in [(true, Some(at(10))), (false, None)] {
        grant.intend(intent("one", is_replay));
        let mut tokens = tokens("access-2", Some("refresh-2"));
        tokens.access.obtained = at(400);
        grant.keep("one", "second", tokens);
        assert_eq!(exchanged(&grant), expected, "{is_replay}");
    }
}

#[test]
fn a_seed_becomes_a_candidate_and_its_validation_the_chain_in_use() {
    let mut grant = Grant::default();
    grant.adopt("one", "seed-1", client(), at(0), false);
    let outcome = |grant: &Grant<_>| grant.seed("one").unwrap().outcome;
    assert_eq!(outcome(&grant), SeedOutcome::Seen);
    // The token itself is kept before it is spent: the user's Secret may go.
    assert_eq!(grant.chain("one").unwrap().refresh, Some("seed-1"));
    grant.intend(intent("one", false));
    assert_eq!(outcome(&grant), SeedOutcome::Spent);
    grant.keep("one", "first", tokens("access-1", Some("refresh-1")));
    assert!(grant.live.is_none() && grant.intent.is_none());
    grant.promote();
    assert_eq!(outcome(&grant), SeedOutcome::Accepted);
    assert_eq!(grant.live.unwrap().refresh, Some("refresh-1"));
}

#[test]
fn what_a_renewal_gave_goes_into_its_own_chain_whatever_happened_to_the_seed() {
    let mut grant = in_use();
    grant.intend(intent("one", false));
    grant.adopt("two", "seed-2", client(), at(5), false);
    assert!(
        grant.intent.is_some(),
        "the renewal of the other chain goes on"
    );
    grant.keep("one", "second", tokens("access-2", Some("refresh-2")));
    assert_eq!(grant.live.as_ref().unwrap().refresh, Some("refresh-2"));
    assert_eq!(grant.candidate.as_ref().unwrap().refresh, Some("seed-2"));
    // It is the same chain when it has taken another's place meanwhile.
    grant.intend(intent("two", false));
    grant.promote();
    grant.keep("two", "third", tokens("access-3", Some("refresh-3")));
    assert_eq!(grant.live.unwrap().refresh, Some("refresh-3"));
    // And nothing at all when it is gone.
    let mut grant = in_use();
    grant.intend(intent("gone", false));
    grant.keep("gone", "fourth", tokens("access-4", Some("refresh-4")));
    assert_eq!(grant.live.unwrap().refresh, Some("refresh-1"));
}

#[test]
fn an_answer_without_a_refresh_token_keeps_the_old_one() {
    let mut grant = in_use();
    grant.keep("one", "second", tokens("access-2", None));
    let live = grant.live.unwrap();
    assert_eq!(live.refresh, Some("refresh-1"));
    assert_eq!(live.access.unwrap().token, "access-2");
}

#[test]
fn an_intent_stays_as_long_as_nobody_knows_whether_the_token_was_spent() {
    let reason = Reason::SiteUnavailable;
    for (miss, replay, stays) in [
        (RenewalFailure::Unknown(reason), false, true),
        (RenewalFailure::Unknown(reason), true, true),
        (RenewalFailure::NotSpent(reason), false, false),
        // The attempt before it may have been carried out.
        (RenewalFailure::NotSpent(reason), true, true),
        (RenewalFailure::Dead, false, false),
        (RenewalFailure::Dead, true, false),
    ] {
        let mut grant = in_use();
        grant.intend(intent("one", replay));
        grant.miss("one", miss, at(30), at(60));
        assert_eq!(grant.intent.is_some(), stays, "{miss:?} {replay}");
        let live = grant.live.unwrap();
        assert_eq!(live.refresh, Some("refresh-1"), "nothing is discarded");
        assert_eq!(live.dead.is_some(), miss == RenewalFailure::Dead);
        if let Some(dead) = live.dead {
            assert_eq!(dead.interrupted, replay.then(|| at(10)), "{replay}");
            assert_eq!((grant.failures, grant.next_attempt), (0, None));
        } else {
            assert_eq!(grant.next_attempt, Some(at(60)));
        }
    }
}

#[test]
fn a_refused_seed_leaves_the_chain_in_use_alone() {
    let mut grant = in_use();
    grant.adopt("two", "seed-2", client(), at(5), false);
    grant.intend(intent("two", false));
    grant.miss("two", RenewalFailure::Dead, at(30), at(30));
    assert_eq!(grant.seed("two").unwrap().outcome, SeedOutcome::Refused);
    assert!(grant.candidate.is_none());
    assert!(grant.live.unwrap().dead.is_none());
    // Alone, it is what there is to tell about.
    let mut grant = Grant::default();
    grant.adopt("two", "seed-2", client(), at(5), false);
    grant.intend(intent("two", false));
    grant.miss("two", RenewalFailure::Dead, at(30), at(30));
    assert!(grant.candidate.unwrap().dead.is_some());
}

#[test]
fn a_new_initial_token_on_a_copied_grant_ends_its_family() {
    let mut grant = in_use();
    grant.intend(intent("one", false));
    grant.adopt("two", "seed-2", client(), at(5), true);
    assert!(grant.live.as_ref().unwrap().dead.is_some());
    assert!(grant.intent.is_none());
}

#[test]
fn a_newer_seed_takes_the_place_of_an_unvalidated_one_and_of_what_was_begun_with_it() {
    let mut grant = in_use();
    grant.adopt("two", "seed-2", client(), at(5), false);
    grant.intend(intent("two", false));
    grant.adopt("three", "seed-3", client(), at(6), false);
    assert!(grant.intent.is_none());
    assert_eq!(grant.candidate.unwrap().origin, "three");
}

#[test]
fn the_newest_sixteen_seeds_are_remembered() {
    let mut grant = Grant::default();
    for n in 0..20 {
        grant.adopt(&n.to_string(), "seed", client(), at(n), false);
    }
    assert_eq!(grant.seeds.len(), 16);
    assert!(grant.seed("3").is_none() && grant.seed("4").is_some());
}

#[test]
fn what_is_stored_is_read_again_and_tokens_are_seen_only_as_one_sees_them() {
    let mut grant = in_use();
    grant.intend(intent("one", true));
    grant.early = Some(at(0) + TimeDelta::seconds(1));
    let text = serde_json::to_string(&grant).unwrap();
    let read: Grant<String> = serde_json::from_str(&text).unwrap();
    assert_eq!(read.map(&|_| ()), grant.map(&|_| ()));
    let seen = format!("{:?}", grant.map(&|_| ()));
    assert!(
        !seen.contains("refresh-1") && !seen.contains("access-1"),
        "{seen}"
    );
}
