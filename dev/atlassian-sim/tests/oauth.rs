//! The lives of refresh tokens and access tokens, in virtual time.

#![allow(clippy::unwrap_used, reason = "a test file")]

mod support;

use atlassian_sim::{Replay, SpendOutcome, Verdict};
use chrono::TimeDelta;
use support::get;
use support::oauth::{SCOPES, USER, is_refused, world};

fn exchanged(successor: &str) -> SpendOutcome {
    SpendOutcome::Exchanged {
        successor: successor.to_owned(),
    }
}

fn replayed(successor: &str) -> SpendOutcome {
    SpendOutcome::Replayed {
        successor: successor.to_owned(),
    }
}

#[tokio::test]
async fn an_answer_has_the_documented_fields() {
    let w = world();
    let answer = w.refresh(&w.consent.refresh_token()).await;
    let body = answer.json();
    assert_eq!(answer.status, 200);
    assert_eq!(body["expires_in"], 3600);
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["scope"], SCOPES.join(" "));
    assert_ne!(body["refresh_token"], w.consent.refresh_token());
    assert_ne!(body["access_token"], w.consent.access_token());
    let access = body["access_token"].as_str().unwrap();
    assert_eq!(access.split('.').count(), 3);
    assert!((700..1400).contains(&access.len()), "{}", access.len());
    let headers = [
        ("content-type", "application/json"),
        (
            "cache-control",
            "no-cache, no-store, max-age=0, must-revalidate",
        ),
        ("pragma", "no-cache"),
        ("x-frame-options", "DENY"),
        ("server", "AtlassianEdge"),
    ];
    for (name, value) in headers {
        assert_eq!(answer.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn every_refresh_rotates() {
    let w = world();
    let mut token = w.consent.refresh_token();
    for _ in 0..3 {
        assert!(w.consent.holds_newest(&token));
        let (next, access) = w.exchange(&token).await;
        assert!(!w.consent.holds_newest(&token));
        assert!(w.consent.can_exchange(&token), "within the leeway");
        assert_eq!(w.myself(&access).await, 200);
        token = next;
        w.later(TimeDelta::hours(1));
    }
    assert_eq!(
        w.outcomes(),
        [exchanged("rt-2"), exchanged("rt-3"), exchanged("rt-4")]
    );
    let spends = w.sim.spends_of(w.consent.family());
    let tokens: Vec<_> = spends
        .iter()
        .map(|s| (s.number, s.token.as_str()))
        .collect();
    assert_eq!(tokens, [(1, "rt-1"), (2, "rt-2"), (3, "rt-3")]);
    assert!(spends.iter().all(|spend| spend.answered));
}

/// The leeway counts from the first exchange; a replay does not prolong it.
#[tokio::test]
async fn a_replay_within_the_leeway_succeeds() {
    for mode in [Replay::SameSuccessor, Replay::NewSuccessor] {
        let w = world();
        w.sim.configure_oauth(|settings| settings.replay = mode);
        let seed = w.consent.refresh_token();
        let first = w.exchange(&seed).await;
        w.later(TimeDelta::minutes(6));
        let second = w.exchange(&seed).await;
        assert_eq!(first == second, mode == Replay::SameSuccessor);
        let successor = if first == second { "rt-2" } else { "rt-3" };
        assert_eq!(w.outcomes(), [exchanged("rt-2"), replayed(successor)]);
        assert_eq!(w.myself(&second.1).await, 200);
        // Siblings are good until one of them is late.
        assert!(w.consent.holds_newest(&first.0) && w.consent.holds_newest(&second.0));
        w.later(TimeDelta::minutes(4) - TimeDelta::seconds(1));
        w.exchange(&seed).await;
        w.later(TimeDelta::seconds(1));
        is_refused(&w.refresh(&seed).await);
        assert!(!w.consent.is_alive());
    }
}

#[tokio::test]
async fn the_same_successor_comes_with_the_rest_of_its_life() {
    let w = world();
    w.sim
        .configure_oauth(|settings| settings.replay = Replay::SameSuccessor);
    let seed = w.consent.refresh_token();
    w.exchange(&seed).await;
    w.later(TimeDelta::minutes(5));
    assert_eq!(w.refresh(&seed).await.json()["expires_in"], 3300);
}

#[tokio::test]
async fn an_unused_sibling_can_be_exchanged_long_after() {
    let w = world();
    let seed = w.consent.refresh_token();
    let (first, _) = w.exchange(&seed).await;
    let (second, _) = w.exchange(&seed).await;
    w.exchange(&first).await;
    w.later(TimeDelta::days(3));
    assert!(w.consent.holds_newest(&second));
    w.exchange(&second).await;
    assert!(w.consent.is_alive());
}

#[tokio::test]
async fn late_reuse_kills_the_family_and_no_other() {
    let w = world();
    let other = w.app.consent(USER, &[&w.site], &SCOPES);
    let seed = w.consent.refresh_token();
    let (next, access) = w.exchange(&seed).await;
    w.later(TimeDelta::minutes(10));
    assert_eq!(w.myself(&access).await, 200);
    is_refused(&w.refresh(&seed).await);
    assert_eq!(w.myself(&access).await, 401, "access tokens die as well");
    assert_eq!(w.sim.calls().last().unwrap().verdict, Verdict::Revoked);
    is_refused(&w.refresh(&next).await);
    is_refused(&w.refresh(&seed).await);
    assert_eq!(
        w.outcomes()[1..],
        [
            SpendOutcome::LateReuse,
            SpendOutcome::Dead,
            SpendOutcome::Dead
        ]
    );
    assert!(!w.consent.is_alive() && !w.consent.holds_newest(&next));
    assert!(other.is_alive());
    w.exchange(&other.refresh_token()).await;
    assert_eq!(w.sim.spends_of(w.consent.family()).len(), 4);
}

#[tokio::test]
async fn a_token_unused_for_ninety_days_is_dead() {
    let w = world();
    w.later(TimeDelta::days(90) - TimeDelta::seconds(1));
    assert!(w.consent.is_alive());
    let (next, _) = w.exchange(&w.consent.refresh_token()).await;
    w.later(TimeDelta::days(90) - TimeDelta::seconds(1));
    assert!(w.consent.holds_newest(&next), "a use starts the time again");
    w.later(TimeDelta::seconds(1));
    assert!(!w.consent.holds_newest(&next) && !w.consent.is_alive());
    is_refused(&w.refresh(&next).await);
    assert_eq!(w.outcomes()[1], SpendOutcome::Dead);
    assert_eq!(w.sim.calls().last().unwrap().verdict, Verdict::Expired);
}

#[tokio::test]
async fn a_consent_ends_after_a_year_whatever_its_use() {
    let w = world();
    let (mut token, mut access) = (w.consent.refresh_token(), String::new());
    for _ in 0..73 {
        (token, access) = w.exchange(&token).await;
        w.later(TimeDelta::days(5) - TimeDelta::seconds(1));
    }
    w.later(TimeDelta::seconds(72));
    (token, _) = w.exchange(&token).await;
    assert_eq!(w.myself(&access).await, 401, "long expired");
    let (token, access) = w.exchange(&token).await;
    assert_eq!(w.myself(&access).await, 200);
    assert!(w.consent.is_alive());
    w.later(TimeDelta::seconds(1));
    is_refused(&w.refresh(&token).await);
    assert_eq!(w.myself(&access).await, 401);
    assert!(!w.consent.is_alive());
}

#[tokio::test]
async fn an_access_token_expires() {
    let w = world();
    let access = w.consent.access_token();
    w.later(TimeDelta::minutes(60) - TimeDelta::seconds(1));
    assert_eq!(w.myself(&access).await, 200);
    w.later(TimeDelta::seconds(1));
    assert_eq!(w.myself(&access).await, 401);
    assert_eq!(w.sim.calls().last().unwrap().verdict, Verdict::Expired);
}

#[tokio::test]
async fn an_old_access_token_is_revoked_with_the_overlap() {
    let w = world();
    let old = w.consent.access_token();
    let (token, new) = w.exchange(&w.consent.refresh_token()).await;
    w.later(TimeDelta::minutes(5));
    // A further exchange does not put the end off.
    let (_, newest) = w.exchange(&token).await;
    w.later(TimeDelta::minutes(5) - TimeDelta::seconds(1));
    assert_eq!(w.myself(&old).await, 200);
    w.later(TimeDelta::seconds(1));
    assert_eq!(w.myself(&old).await, 401);
    assert_eq!(w.sim.calls().last().unwrap().verdict, Verdict::Revoked);
    assert_eq!(w.myself(&new).await, 200);
    w.later(TimeDelta::minutes(5));
    assert_eq!(w.myself(&new).await, 401);
    assert_eq!(w.myself(&newest).await, 200);
}

#[tokio::test]
async fn an_answer_without_a_refresh_token_does_not_rotate() {
    let w = world();
    w.sim
        .configure_oauth(|settings| settings.omit_refresh_token = true);
    let seed = w.consent.refresh_token();
    for _ in 0..3 {
        let answer = w.refresh(&seed).await;
        assert_eq!(answer.status, 200);
        assert!(answer.json().get("refresh_token").is_none());
        assert!(w.consent.holds_newest(&seed));
        w.later(TimeDelta::days(60));
    }
    assert_eq!(w.outcomes(), vec![exchanged("rt-1"); 3]);
    w.sim
        .configure_oauth(|settings| settings.omit_refresh_token = false);
    w.exchange(&seed).await;
    // A token that was rotated is replayed with a successor.
    w.sim
        .configure_oauth(|settings| settings.omit_refresh_token = true);
    let (again, _) = w.exchange(&seed).await;
    assert!(w.consent.holds_newest(&again));
}

#[tokio::test]
async fn a_revoked_consent_is_dead() {
    let w = world();
    let access = w.consent.access_token();
    assert_eq!(w.myself(&access).await, 200);
    w.consent.revoke();
    assert_eq!(w.myself(&access).await, 401);
    is_refused(&w.refresh(&w.consent.refresh_token()).await);
    assert_eq!(w.outcomes(), [SpendOutcome::Dead]);
    assert!(!w.consent.is_alive());
}

#[tokio::test]
async fn an_access_token_can_die_early() {
    let w = world();
    let access = w.consent.access_token();
    assert!(w.sim.revoke_access_token(&access));
    assert!(!w.sim.revoke_access_token("unknown"));
    assert!(!w.sim.revoke_access_token(&w.consent.refresh_token()));
    assert_eq!(w.myself(&access).await, 401);
    let (_, next) = w.exchange(&w.consent.refresh_token()).await;
    assert_eq!(w.myself(&next).await, 200);
}

#[tokio::test]
async fn without_offline_access_there_is_no_refresh_token() {
    let w = world();
    let consent = w.app.consent(USER, &[&w.site], &SCOPES[..2]);
    assert_eq!(w.myself(&consent.access_token()).await, 200);
    assert_eq!(w.sim.token_id(&consent.refresh_token()), None);
    is_refused(&w.refresh(&consent.refresh_token()).await);
    let spend = w.sim.spends().pop().unwrap();
    assert_eq!((spend.family, spend.token.as_str()), (None, "unknown"));
    assert!(consent.is_alive() && !consent.holds_newest(&consent.refresh_token()));
}

/// Scopes, sites and doors of an access token.
#[tokio::test]
async fn where_an_access_token_works() {
    let w = world();
    let other = w.sim.cloud_site("other").user(USER);
    let short = w.app.consent(USER, &[&w.site], &["read:jira-work"]);
    let on_gateway = format!("{}/rest/api/3/myself", w.site.gateway_url());
    let (full, short) = (w.consent.access_token(), short.access_token());
    let scope = "Unauthorized; scope does not match";
    let cases = [
        (on_gateway.clone(), full.as_str(), 200, ""),
        (on_gateway.clone(), &short, 401, scope),
        (on_gateway, "a.b.c", 401, "Unauthorized"),
        (
            format!("{}/rest/api/3/project", w.site.gateway_url()),
            &short,
            200,
            "",
        ),
        (
            format!("{}/rest/api/3/myself", other.gateway_url()),
            &full,
            403,
            "The app is not installed on this instance",
        ),
        (
            format!("{}/rest/api/3/myself", w.site.url()),
            &full,
            401,
            "Client must be authenticated to access this resource.",
        ),
    ];
    for (url, token, status, message) in cases {
        let answer = get(&w.client, &url, &format!("Bearer {token}")).await;
        assert_eq!(answer.status, status, "{url}");
        if status != 200 {
            assert_eq!(answer.json()["message"], message, "{url}");
        }
    }
    let header = atlassian_sim::basic(USER, &full);
    let url = format!("{}/rest/api/3/myself", w.site.gateway_url());
    assert_eq!(get(&w.client, &url, &header).await.status, 401);
    let call = w.sim.calls().remove(0);
    assert_eq!(
        (call.user.as_deref(), call.token_id.as_deref()),
        (Some(USER), Some("at-1"))
    );
}
