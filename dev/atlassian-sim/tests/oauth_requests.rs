//! Requests to the token endpoint: bodies, clients, refusals, and what the log says of them.

#![allow(clippy::unwrap_used, reason = "a test file")]

mod support;

use atlassian_sim::{SpendOutcome, Verdict};
use chrono::TimeDelta;
use serde_json::{Value, json};
use support::get;
use support::oauth::{SCOPES, USER, World, is_refused, refusal, world};

const FORM: &str = "application/x-www-form-urlencoded";

fn as_form(body: &Value) -> String {
    let fields = body.as_object().unwrap();
    let pairs = fields
        .iter()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap()));
    pairs.collect::<Vec<_>>().join("&")
}

#[tokio::test]
async fn forms_and_json_are_equal() {
    let w = world();
    let body = w.body(&w.consent.refresh_token());
    let answer = w.raw(FORM, as_form(&body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let next = answer.json()["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(w.refresh(&next).await.status, 200);
    let crossed = w.body(&next);
    for (content_type, body) in [
        ("application/json", as_form(&crossed)),
        (FORM, crossed.to_string()),
    ] {
        let answer = w.raw(content_type, body).await;
        assert_eq!(refusal(&answer), (400, "invalid_request".to_owned()));
    }
}

/// Requests that are refused before any token is looked at, and harm none.
#[tokio::test]
async fn malformed_requests_spend_nothing() {
    let w = world();
    let seed = w.consent.refresh_token();
    let without = |field: &str| {
        let mut body = w.body(&seed);
        body.as_object_mut().unwrap().remove(field);
        body.to_string()
    };
    let with = |field: &str, value: Value| {
        let mut body = w.body(&seed);
        body[field] = value;
        body.to_string()
    };
    let cases = [
        ("nope".to_owned(), "none"),
        ("{}".to_owned(), "none"),
        (without("grant_type"), "rt-1"),
        (without("client_id"), "rt-1"),
        (without("refresh_token"), "none"),
        (with("refresh_token", json!("")), "none"),
        (with("refresh_token", json!(7)), "none"),
        (with("grant_type", json!("password")), "rt-1"),
        (with("grant_type", json!("authorization_code")), "rt-1"),
    ];
    for (number, (body, token)) in (1..).zip(cases) {
        let answer = w.raw("application/json", body.clone()).await;
        assert_eq!(
            refusal(&answer),
            (400, "invalid_request".to_owned()),
            "{body}"
        );
        assert_eq!(w.sim.calls().last().unwrap().verdict, Verdict::Malformed);
        let spend = w.sim.spends().pop().unwrap();
        assert_eq!(
            (spend.number, spend.token.as_str()),
            (number, token),
            "{body}"
        );
        assert_eq!(spend.outcome, SpendOutcome::NotGranted);
        assert!(spend.answered);
    }
    assert!(w.consent.holds_newest(&seed));
}

#[tokio::test]
async fn a_body_beyond_all_measure_closes_the_connection() {
    let w = world();
    let request = w.client.post(w.url()).body(" ".repeat(100_000));
    assert!(w.send(request).await.is_err());
    assert!(w.sim.spends().is_empty());
}

#[tokio::test]
async fn a_wrong_secret_harms_nothing() {
    let w = world();
    let seed = w.consent.refresh_token();
    let (next, _) = w.exchange(&seed).await;
    // Even a token whose reuse would kill the family is not looked at.
    w.later(TimeDelta::hours(1));
    for token in [&seed, &next] {
        for (field, value) in [
            ("client_secret", "wrong"),
            ("client_secret", ""),
            ("client_id", "unknown"),
        ] {
            let mut body = w.body(token);
            body[field] = json!(value);
            let answer = w.post(&body).await;
            assert_eq!(refusal(&answer), (401, "access_denied".to_owned()));
            assert_eq!(answer.json()["error_description"], "Unauthorized");
            let spend = w.sim.spends().pop().unwrap();
            assert_eq!(spend.outcome, SpendOutcome::ClientRejected);
            assert_eq!(spend.family, Some(w.consent.family()));
        }
    }
    assert!(w.consent.is_alive() && w.consent.holds_newest(&next));
    w.exchange(&next).await;
}

#[tokio::test]
async fn an_app_may_have_two_secrets() {
    let w = world();
    let old = w.app.secret();
    let new = w.app.add_secret();
    assert_eq!(w.app.secret(), new);
    let mut token = w.consent.refresh_token();
    for secret in [&old, &new] {
        let mut body = w.body(&token);
        body["client_secret"] = json!(secret);
        let answer = w.post(&body).await.json();
        answer["refresh_token"]
            .as_str()
            .unwrap()
            .clone_into(&mut token);
    }
    w.app.revoke_secret(&old);
    let mut body = w.body(&token);
    body["client_secret"] = json!(old);
    assert_eq!(w.post(&body).await.status, 401);
    (token, _) = w.exchange(&token).await;
    w.app.revoke_secret(&new);
    assert_eq!(
        (w.app.secret(), w.refresh(&token).await.status),
        (String::new(), 401)
    );
    assert!(w.consent.holds_newest(&token));
}

#[tokio::test]
async fn a_token_is_good_for_its_own_client_only() {
    let w = world();
    let other = w.sim.oauth_app();
    let seed = w.consent.refresh_token();
    let mut body = w.body(&seed);
    body["client_id"] = json!(other.client_id());
    body["client_secret"] = json!(other.secret());
    let answer = w.post(&body).await;
    assert_eq!(refusal(&answer), (403, "unauthorized_client".to_owned()));
    assert_eq!(
        answer.json()["error_description"],
        "refresh_token is invalid"
    );
    assert_eq!(w.outcomes(), [SpendOutcome::ClientRejected]);
    w.exchange(&seed).await;
}

#[tokio::test]
async fn an_unknown_token_is_refused() {
    let w = world();
    is_refused(&w.refresh("never-heard-of").await);
    is_refused(&w.refresh(&w.consent.access_token()).await);
    assert_eq!(w.outcomes(), [SpendOutcome::Dead, SpendOutcome::Dead]);
    assert_eq!(w.sim.spends()[0].family, None);
    assert!(w.consent.is_alive());
}

async fn grant(w: &World, grant_type: &str, id: &str, secret: &str) -> support::Answer {
    w.post(&json!({
        "grant_type": grant_type,
        "client_id": id,
        "client_secret": secret,
        "code": "c",
        "audience": "api.atlassian.com",
    }))
    .await
}

#[tokio::test]
async fn a_service_account_gets_access_tokens_only() {
    let w = world();
    let app = w.site.service_client("ci", &["read:jira-user"]);
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let answer = grant(&w, "client_credentials", app.client_id(), &app.secret()).await;
        let body = answer.json();
        assert_eq!(answer.status, 200, "{body}");
        assert!(body.get("refresh_token").is_none());
        assert_eq!(
            (&body["expires_in"], &body["scope"]),
            (&json!(3600), &json!("read:jira-user"))
        );
        tokens.push(body["access_token"].as_str().unwrap().to_owned());
        w.later(TimeDelta::minutes(20));
    }
    // No exchange ends the ones before.
    assert_eq!(w.myself(&tokens[0]).await, 200);
    let url = format!("{}/rest/api/3/myself", w.site.gateway_url());
    let me = get(&w.client, &url, &format!("Bearer {}", tokens[1]))
        .await
        .json();
    assert_eq!(me["accountType"], "app");
    assert!(me["emailAddress"].as_str().unwrap().starts_with("ci-"));
    let short = w.site.service_client("short", &["read:jira-work"]);
    let answer = grant(&w, "client_credentials", short.client_id(), &short.secret()).await;
    let access = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(w.myself(&access).await, 401);
    w.later(TimeDelta::minutes(20));
    assert_eq!(w.myself(&tokens[0]).await, 401, "expired");
    assert!(w.sim.spends().is_empty(), "nothing is spent");
    let calls = w.sim.calls_for(w.sim.auth_host());
    assert_eq!(calls.len(), 3);
    assert!(calls[0].user.as_ref().unwrap().starts_with("ci-"));
}

#[tokio::test]
async fn grants_that_are_refused() {
    let w = world();
    let service = w.site.service_client("ci", &["read:jira-user"]);
    let (app, bot) = (w.app.client_id(), service.client_id());
    let (app_secret, bot_secret) = (w.app.secret(), service.secret());
    let cases = [
        ("client_credentials", bot, "wrong", 400, "invalid_client"),
        ("client_credentials", bot, "", 400, "invalid_client"),
        (
            "client_credentials",
            "unknown",
            &bot_secret,
            400,
            "invalid_client",
        ),
        (
            "client_credentials",
            app,
            &app_secret,
            403,
            "unauthorized_client",
        ),
        ("authorization_code", app, &app_secret, 403, "invalid_grant"),
        ("authorization_code", app, "wrong", 401, "access_denied"),
    ];
    for (grant_type, id, secret, status, error) in cases {
        let answer = grant(&w, grant_type, id, secret).await;
        assert_eq!(refusal(&answer), (status, error.to_owned()), "{grant_type}");
    }
    assert!(w.sim.spends().is_empty());
}

#[tokio::test]
async fn other_paths_and_methods() {
    let w = world();
    let url = w.sim.auth_url();
    for (path, status) in [("/", 404), ("/authorize", 404), ("/oauth/token", 405)] {
        let answer = get(&w.client, &format!("{url}{path}"), "").await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.json()["error"].is_string());
    }
    assert!(w.sim.spends().is_empty());
}

/// The log and the ledger name tokens by their ids, and the ledger the attempt.
#[tokio::test]
async fn the_records_name_tokens_and_never_show_them() {
    let w = world();
    let seed = w.consent.refresh_token();
    let request = w.client.post(w.url()).json(&w.body(&seed));
    let answer = w
        .send(request.header("x-request-id", "attempt-7"))
        .await
        .unwrap()
        .json();
    let (next, access) = (
        answer["refresh_token"].as_str().unwrap(),
        answer["access_token"].as_str().unwrap(),
    );
    w.myself(access).await;
    let calls = w.sim.calls();
    let brief: Vec<_> = calls
        .iter()
        .map(|call| (call.user.as_deref(), call.token_id.as_deref(), call.status))
        .collect();
    assert_eq!(
        brief,
        [
            (Some(USER), Some("rt-1"), Some(200)),
            (Some(USER), Some("at-2"), Some(200)),
        ]
    );
    let spends = w.sim.wait_for_spends(1).await;
    assert_eq!(spends[0].attempt.as_deref(), Some("attempt-7"));
    assert_eq!(spends[0].at, w.sim.clock().now());
    assert_eq!(
        (w.id(&seed), w.id(next)),
        ("rt-1".to_owned(), "rt-2".to_owned())
    );
    assert_eq!(w.sim.token_id(access), None);
    let text = format!("{calls:?} {spends:?} {:?} {:?}", w.consent, w.app)
        + &serde_json::to_string(&(&calls, &spends)).unwrap();
    for secret in [seed.as_str(), next, access, &w.app.secret()] {
        assert!(!text.contains(secret));
    }
    w.sim.clear_spends();
    assert!(w.sim.spends().is_empty());
    w.refresh(next).await;
    assert_eq!(w.sim.spends()[0].number, 2);
}

#[tokio::test]
async fn two_simulated_people_do_not_share_a_family() {
    let w = world();
    let other = w.app.consent("ben@acme.example", &[&w.site], &SCOPES);
    assert_ne!(w.consent.family(), other.family());
    let (next, _) = w.exchange(&other.refresh_token()).await;
    assert!(other.holds_newest(&next) && !w.consent.holds_newest(&next));
    assert!(!w.consent.can_exchange(&next));
    assert_eq!(w.sim.spends_of(w.consent.family()), []);
}
