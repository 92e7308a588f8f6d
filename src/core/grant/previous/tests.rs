use chrono::{DateTime, TimeDelta, Utc};

use crate::core::grant::{
    Access, Grant, Holder, Intent, Overlap, PreviousAccess, Replacement, Tokens,
};
use crate::core::spec::Client;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_760_000_000 + seconds, 0).unwrap()
}

fn client(id: &str) -> Client {
    Client {
        endpoint: "https://auth.example/oauth/token".into(),
        id: id.into(),
    }
}

fn tokens(token: &'static str, obtained: i64, expires: i64) -> Tokens<&'static str> {
    Tokens {
        access: Access {
            token,
            obtained: at(obtained),
            expires: at(expires),
            scopes: Vec::new(),
            id: None,
        },
        refresh: Some("refresh"),
        offline_missing: false,
    }
}

fn keep(attempt: &str) -> Replacement {
    Replacement::Keep(Overlap {
        attempt: Some(attempt.into()),
        lasts: TimeDelta::seconds(600),
        margin: TimeDelta::seconds(30),
    })
}

/// A chain in use whose access token ends at this second.
fn in_use(expires: i64) -> Grant<&'static str> {
    let mut grant = Grant::default();
    grant.adopt("one", "seed", client("client"), at(0), false);
    grant.keep("one", "first", tokens("access-1", 0, expires));
    grant.promote();
    grant
}

fn intend(grant: &mut Grant<&'static str>, first_sent: i64, interrupted: Option<i64>) {
    grant.intend(Intent {
        attempt: "second".into(),
        holder: Holder::default(),
        origin: "one".into(),
        first_sent: at(first_sent),
        started: at(2_500),
        interrupted: interrupted.map(at),
        replay: interrupted.is_some(),
    });
}

fn previous(grant: &Grant<&'static str>) -> Option<(&'static str, i64)> {
    let old = grant.live.as_ref()?.previous.as_ref()?;
    Some((old.token, (old.until - at(0)).num_seconds()))
}

#[test]
fn what_is_replaced_works_until_its_end_or_for_the_overlap_whichever_is_sooner() {
    for (name, expires, first_sent, interrupted, asked, expected) in [
        ("the overlap", 3_600, 2_500, None, 2_500, Some(3_070)),
        ("its own end", 3_000, 2_500, None, 2_500, Some(2_970)),
        ("both at once", 3_100, 2_500, None, 2_500, Some(3_070)),
        // The first request may have been carried out, and the exchange counts from it.
        ("a repetition", 3_600, 2_200, None, 2_500, Some(2_770)),
        ("late", 3_600, 2_400, Some(2_000), 2_500, Some(2_570)),
        ("too late", 3_600, 2_400, Some(1_900), 2_500, None),
        ("at the end", 2_530, 2_500, None, 2_500, None),
    ] {
        let mut grant = in_use(expires);
        intend(&mut grant, first_sent, interrupted);
        grant.set_aside("one", &keep("first"), at(asked));
        grant.keep("one", "second", tokens("access-2", asked, 9_000));
        let expected = expected.map(|until| ("access-1", until));
        assert_eq!(previous(&grant), expected, "{name}");
    }
}

#[test]
fn only_what_targets_hold_takes_the_place_of_the_one_before() {
    let earlier = |grant: &mut Grant<&'static str>, until: i64| {
        grant.live.as_mut().unwrap().previous = Some(PreviousAccess {
            token: "access-0",
            until: at(until),
        });
    };
    for (name, replacement, until, expected) in [
        ("held", keep("first"), 2_700, Some(("access-1", 3_070))),
        (
            "not held",
            Replacement::Skip,
            2_700,
            Some(("access-0", 2_700)),
        ),
        ("ended", Replacement::Skip, 2_500, None),
        ("not wanted", Replacement::Drop, 2_700, None),
        (
            "stored by another",
            keep("zero"),
            2_700,
            Some(("access-0", 2_700)),
        ),
    ] {
        let mut grant = in_use(3_600);
        earlier(&mut grant, until);
        intend(&mut grant, 2_500, None);
        grant.set_aside("one", &replacement, at(2_500));
        grant.keep("one", "second", tokens("access-2", 2_500, 9_000));
        assert_eq!(previous(&grant), expected, "{name}");
        assert_eq!(grant.live.unwrap().access.unwrap().token, "access-2");
    }
}

#[test]
fn a_token_of_client_credentials_is_kept_unless_it_is_of_another_client() {
    let mut grant = Grant::default();
    grant.set_aside("client", &Replacement::Drop, at(0));
    grant.cache(client("client"), "first", tokens("access-1", 0, 3_600));
    assert_eq!(previous(&grant), None);
    grant.set_aside("client", &keep("first"), at(2_500));
    grant.cache(client("client"), "second", tokens("access-2", 2_500, 9_000));
    assert_eq!(previous(&grant), Some(("access-1", 3_070)));
    grant.set_aside("another", &keep("second"), at(2_600));
    grant.cache(client("another"), "third", tokens("access-3", 2_600, 9_000));
    assert_eq!(previous(&grant), None);
}

#[test]
fn a_new_consent_starts_without_one() {
    let mut grant = in_use(3_600);
    intend(&mut grant, 2_500, None);
    grant.set_aside("one", &keep("first"), at(2_500));
    grant.keep("one", "second", tokens("access-2", 2_500, 9_000));
    grant.adopt("two", "seed-2", client("client"), at(2_600), false);
    grant.keep("two", "third", tokens("access-3", 2_600, 9_000));
    grant.promote();
    assert_eq!(previous(&grant), None);
}

#[test]
fn it_is_stored_and_a_grant_without_it_is_as_before() {
    let mut grant = in_use(3_600);
    let text = |grant: &Grant<&str>| serde_json::to_string(grant).unwrap();
    assert!(!text(&grant).contains("previous"));
    grant.set_aside("one", &keep("first"), at(2_500));
    let stored: Grant<String> = serde_json::from_str(&text(&grant)).unwrap();
    let old = stored.live.unwrap().previous.unwrap();
    assert_eq!((old.token.as_str(), old.until), ("access-1", at(3_070)));
}
