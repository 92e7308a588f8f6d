//! Personal access tokens by REST: listed, made, revoked, refused, and written down.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test file")]

mod support;

use atlassian_sim::{
    DataCenterSettings, DateStyle, Fault, PatAsk, PatRequest, TooLong, UserState, Verdict, basic,
};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use support::Answer;
use support::kept::{TOKENS, USER, World, problem, world};

fn text(body: &Value, field: &str) -> String {
    body[field].as_str().unwrap().to_owned()
}

/// What a request to the resource was, and what came.
fn line(request: &PatRequest) -> (PatAsk, Option<u64>, Option<&str>, u16, bool) {
    (
        request.ask,
        request.pat,
        request.name.as_deref(),
        request.status,
        request.answered,
    )
}

impl World {
    /// The list as a caller sees it.
    async fn list(&self, with: &str) -> Vec<Value> {
        let answer = self.send(Method::GET, TOKENS, with).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json().as_array().unwrap().clone()
    }

    async fn revoke(&self, with: &str, id: &str) -> u16 {
        let path = format!("{TOKENS}/{id}");
        self.send(Method::DELETE, &path, with).await.status
    }
}

#[tokio::test]
async fn a_token_makes_its_successor_which_works_until_its_end() {
    let w = world();
    let old = w.dc.pat(USER);
    let answer = w.mint(&old.bearer(), "next", 90).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("x-ausername"), USER);
    let body = answer.json();
    let raw = text(&body, "rawToken");
    assert_eq!(raw.len(), 44);
    assert_eq!(body["name"], "next");
    assert_eq!(body["lastAccessedAt"], Value::Null);
    let new = format!("Bearer {raw}");
    assert_eq!(w.myself(&new).await, 200, "at once");
    assert_eq!(
        w.last_call().token_id,
        Some(format!("token-{}", body["id"]))
    );
    w.sim
        .clock()
        .advance(TimeDelta::days(90) - TimeDelta::seconds(1));
    assert_eq!(w.myself(&new).await, 200);
    assert!(w.dc.accepts(&raw));
    w.sim.clock().advance(TimeDelta::seconds(1));
    assert_eq!(w.myself(&new).await, 401);
    assert_eq!(w.last_call().verdict, Verdict::Expired);
    assert!(!w.dc.accepts(&raw));
    assert_eq!(w.mint(&new, "too late", 1).await.status, 401);
    assert_eq!(w.dc.pats_of(USER).len(), 2, "an expired one keeps its slot");
}

#[tokio::test]
async fn the_list_shows_what_is_ones_own_and_never_a_secret() {
    let w = world();
    let end = w.sim.clock().now() + TimeDelta::days(30);
    let first = w.dc.pat(USER);
    let second = w.dc.named_pat(USER, "by hand", Some(end));
    let other = w.dc.pat("somebody");
    let gone = w.dc.pat(USER);
    w.sim.revoke(&gone);
    let foreign = w.sim.data_center("other").pat(USER);

    let password = basic(USER, &w.dc.new_password(USER));
    let list = w.list(&password).await;
    let ids: Vec<Option<u64>> = list.iter().map(|entry| entry["id"].as_u64()).collect();
    assert_eq!(ids, [w.dc.pat_id(&first), w.dc.pat_id(&second)]);
    assert_eq!(list[0]["expiringAt"], Value::Null);
    assert_eq!(list[1]["name"], "by hand");
    for entry in &list {
        assert_eq!(entry["lastAccessedAt"], Value::Null, "not used yet");
        assert!(entry.get("rawToken").is_none());
    }
    w.sim.clock().advance(TimeDelta::hours(1));
    let answer = w.send(Method::GET, TOKENS, &second.bearer()).await;
    for token in [&first, &second, &other, &gone, &foreign] {
        assert!(!answer.text.contains(token.secret()));
    }
    assert!(answer.json()[1]["lastAccessedAt"].is_string());
    assert_eq!(w.dc.pats_of(USER)[1].last_used, Some(w.sim.clock().now()));

    w.dc.hide_pat(w.dc.pat_id(&second).unwrap(), true);
    assert_eq!(
        w.list(&second.bearer()).await.len(),
        1,
        "it leaves itself out"
    );
    assert_eq!(w.dc.pats_of(USER).len(), 2);
    w.dc.hide_pat(w.dc.pat_id(&second).unwrap(), false);
    assert_eq!(w.list(&second.bearer()).await.len(), 2);
}

#[tokio::test]
async fn dates_are_written_as_the_versions_do() {
    let w = world();
    let start: DateTime<Utc> = "2027-03-04T05:06:07.089Z".parse().unwrap();
    w.sim.clock().set(start);
    let pat =
        w.dc.named_pat(USER, "n", Some(start + TimeDelta::days(365)));
    let cases = [
        (DateStyle::Compact, "2028-03-03T05:06:07.089+0000"),
        (DateStyle::CompactSeconds, "2028-03-03T05:06:07+0000"),
        (DateStyle::Rfc3339, "2028-03-03T05:06:07+00:00"),
        (DateStyle::Rfc3339Millis, "2028-03-03T05:06:07.089+00:00"),
        (DateStyle::Zulu, "2028-03-03T05:06:07.089Z"),
    ];
    for (style, end) in cases {
        w.dc.configure(|settings| settings.token_dates = style);
        let list = w.list(&pat.bearer()).await;
        assert_eq!(list[0]["expiringAt"], end);
        let made = w
            .mint(&pat.bearer(), &format!("{style:?}"), 365)
            .await
            .json();
        assert_eq!(made["expiringAt"], end);
    }
}

#[tokio::test]
async fn revoking_is_for_the_owner_and_final() {
    let w = world();
    let (mine, next, other) = (w.dc.pat(USER), w.dc.pat(USER), w.dc.pat("somebody"));
    let id = |token| w.dc.pat_id(token).unwrap().to_string();
    let cases = [
        ("", id(&mine), 401),
        ("Bearer nothing", id(&mine), 401),
        (&*other.bearer(), id(&mine), 404),
        (&*next.bearer(), "999".to_owned(), 404),
        (&*next.bearer(), "..".to_owned(), 404),
        (&*next.bearer(), "abc".to_owned(), 404),
    ];
    for (with, id, status) in cases {
        assert_eq!(w.revoke(with, &id).await, status, "{with} {id}");
    }
    assert_eq!(w.myself(&mine.bearer()).await, 200);
    assert_eq!(w.revoke(&next.bearer(), &id(&mine)).await, 204);
    assert_eq!(w.myself(&mine.bearer()).await, 401);
    assert_eq!(w.last_call().verdict, Verdict::Revoked);
    assert_eq!(
        w.revoke(&next.bearer(), &id(&mine)).await,
        404,
        "it is gone"
    );
    assert_eq!(
        w.revoke(&next.bearer(), &id(&next)).await,
        204,
        "even itself"
    );
    assert_eq!(w.revoke(&next.bearer(), &id(&next)).await, 401);
    assert_eq!(w.dc.pats_of(USER), []);
}

type Change = fn(&mut DataCenterSettings);

/// Asks for a token where one is held already, after a change of the settings.
async fn ask(change: Change, body: &Value) -> (World, Answer) {
    let w = world();
    let pat = w.dc.pat(USER);
    w.dc.configure(change);
    let answer = w.post(TOKENS, &pat.bearer(), body).await;
    let held = w.dc.pats_of(USER).len();
    assert_eq!(w.list(&pat.bearer()).await.len(), held, "listing goes on");
    (w, answer)
}

fn days(days: i64) -> Value {
    json!({ "name": "n", "expirationDuration": days })
}

#[tokio::test]
async fn tokens_that_are_made() {
    let none: Change = |_| ();
    let strict: Change = |s| (s.too_long, s.longest_token_days) = (TooLong::Refused, 30);
    let forty = json!({ "name": "x".repeat(40), "expirationDuration": 1 });
    let cases: [(&str, Change, Value, Option<i64>); 7] = [
        ("a day", none, days(1), Some(1)),
        ("a year", none, days(365), Some(365)),
        ("clamped", none, days(366), Some(365)),
        ("without an end", none, json!({ "name": "n" }), None),
        ("just not too long", strict, days(30), Some(30)),
        ("the last slot", |s| s.most_tokens = 2, days(1), Some(1)),
        ("a long name", none, forty, Some(1)),
    ];
    for (what, change, body, life) in cases {
        let (w, answer) = ask(change, &body).await;
        assert_eq!(answer.status, 201, "{what}: {}", answer.text);
        let held = w.dc.pats_of(USER);
        let made = held.last().unwrap();
        assert_eq!(held.len(), 2, "{what}");
        let lives = made.expires.map(|end| (end - made.created).num_days());
        assert_eq!(lives, life, "{what}");
    }
}

#[tokio::test]
async fn tokens_that_are_refused() {
    let none: Change = |_| ();
    let strict: Change = |s| (s.too_long, s.longest_token_days) = (TooLong::Refused, 30);
    let invalid = (400, "IllegalArgumentException");
    let full = (403, "UserTokenLimitExceededException");
    let forbidden = (403, "AuthorisationException");
    let nameless = json!({ "expirationDuration": 1 });
    let long = json!({ "name": "x".repeat(41), "expirationDuration": 1 });
    let endless = json!({ "name": "n" });
    let cases: [(&str, Change, Value, (u16, &str)); 9] = [
        ("too long", strict, days(31), invalid),
        ("no day", none, days(0), invalid),
        ("no end", |s| s.eternal_tokens = false, endless, invalid),
        ("no slot", |s| s.most_tokens = 1, days(1), full),
        (
            "forbidden",
            |s| s.minting_forbidden = true,
            days(1),
            forbidden,
        ),
        ("no name", none, nameless, invalid),
        ("a blank name", none, json!({ "name": " " }), invalid),
        ("too long a name", none, long, invalid),
        ("no object", none, json!(7), (400, "JsonParseException")),
    ];
    for (what, change, body, (status, exception)) in cases {
        let (w, answer) = ask(change, &body).await;
        assert_eq!(problem(&answer), (status, exception.to_owned()), "{what}");
        assert_eq!(w.dc.pats_of(USER).len(), 1, "{what}");
        let refused = w.dc.pat_requests_of(USER, PatAsk::Mint).pop().unwrap();
        assert_eq!((refused.status, refused.done()), (status, false));
    }
}

#[tokio::test]
async fn what_is_no_request_for_a_token() {
    let w = world();
    let pat = w.dc.pat(USER);
    let request = w
        .request(Method::POST, TOKENS, &pat.bearer())
        .body("name=n")
        .header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(w.try_send(request).await.unwrap().status, 415);
    let answer = w.send(Method::PUT, TOKENS, &pat.bearer()).await;
    assert_eq!(answer.status, 405);
    assert!(answer.header("allow").contains("DELETE"));
    assert_eq!(w.dc.pats_of(USER).len(), 1);
    w.dc.configure(|settings| settings.minted_status = 200);
    assert_eq!(w.mint(&pat.bearer(), "n", 1).await.status, 200);
}

#[tokio::test]
async fn who_may_ask() {
    let w = world();
    let good = basic(USER, &w.dc.new_password(USER));
    let pat = w.dc.pat(USER);
    let (expired, revoked) = (w.dc.pat(USER), w.dc.pat(USER));
    w.sim.expire_at(&expired, w.sim.clock().now());
    w.sim.revoke(&revoked);
    for (with, status) in [
        (&*good, 200),
        (&*pat.bearer(), 200),
        ("", 401),
        (&*basic(USER, "wrong"), 401),
        (&*pat.basic(), 401),
        (&*expired.bearer(), 401),
        (&*revoked.bearer(), 401),
    ] {
        let answer = w.send(Method::GET, TOKENS, with).await;
        assert_eq!(answer.status, status, "{with}");
    }
    let statuses: Vec<u16> = w.dc.pat_requests().iter().map(|line| line.status).collect();
    assert_eq!(statuses, [200, 200, 401, 401, 401, 401, 401]);
    let _ = w.dc.clone().basic(false);
    assert_eq!(w.send(Method::GET, TOKENS, &good).await.status, 403);
    w.dc.set_user_state(USER, UserState::Deactivated);
    assert_eq!(w.mint(&pat.bearer(), "n", 1).await.status, 401);

    // Older versions know no such resource, and it can be switched off.
    for (version, absent) in [("8.13.5", false), ("10.4.0", true)] {
        let w = world();
        let dc = w.dc.clone().version(version);
        dc.configure(|settings| settings.tokens_absent = absent);
        let good = basic(USER, &dc.new_password(USER));
        assert_eq!(w.send(Method::GET, TOKENS, &good).await.status, 404);
        assert_eq!(w.mint(&good, "n", 1).await.status, 404);
        assert_eq!(w.revoke(&good, "1").await, 404);
        assert_eq!(dc.pats_of(USER), []);
    }
}

#[tokio::test]
async fn the_ledger_tells_who_asked_what_with_which_token() {
    let w = world();
    let pat = w.dc.pat(USER);
    let id = w.dc.pat_id(&pat).unwrap();
    let made = w.mint(&pat.bearer(), "next", 30).await.json();
    let next = format!("Bearer {}", text(&made, "rawToken"));
    w.sim.clock().advance(TimeDelta::hours(1));
    w.list(&next).await;
    w.revoke(&next, &id.to_string()).await;
    let somebody = w.dc.pat("somebody");
    w.list(&somebody.bearer()).await;

    let ledger = w.dc.pat_requests();
    let lines: Vec<_> = ledger.iter().map(line).collect();
    let number = made["id"].as_u64();
    assert_eq!(
        lines,
        [
            (PatAsk::Mint, number, Some("next"), 201, true),
            (PatAsk::List, None, None, 200, true),
            (PatAsk::Revoke, Some(id), Some("made by hand 1"), 204, true),
            (PatAsk::List, None, None, 200, true),
        ]
    );
    let with: Vec<_> = ledger.iter().map(|line| line.with.as_deref()).collect();
    let new = format!("token-{}", made["id"]);
    let expected = [pat.id(), &new, &new, somebody.id()].map(Some);
    assert_eq!(with, expected);
    assert_eq!(ledger[1].at - ledger[0].at, TimeDelta::hours(1));
    assert!(ledger.iter().all(PatRequest::done));
    assert_eq!(ledger[3].user.as_deref(), Some("somebody"));
    assert_eq!(w.dc.pat_requests_of(USER, PatAsk::List).len(), 1);
    assert_eq!(w.dc.pats_of(USER).len(), 1, "no strays");
    assert!(!format!("{ledger:?}").contains(pat.secret()));
    w.dc.clear_pat_requests();
    w.list(&next).await;
    assert_eq!(w.dc.pat_requests()[0].number, 5, "the numbers go on");
}

#[tokio::test]
async fn faults_aim_at_what_is_asked() {
    let w = world();
    let pat = w.dc.pat(USER);
    let body = json!({ "name": "lost", "expirationDuration": 1 });
    let mint = || w.request(Method::POST, TOKENS, &pat.bearer()).json(&body);
    // Before the effect.
    w.sim.fault(
        w.dc.at_pats(Fault::ServerError { status: 502 })
            .method("post")
            .once(),
    );
    assert_eq!(w.list(&pat.bearer()).await.len(), 1, "another method");
    assert_eq!(w.try_send(mint()).await.unwrap().status, 502);
    w.sim
        .fault(w.dc.at_pats(Fault::DropBefore).method("POST").once());
    assert!(w.try_send(mint()).await.is_err());
    assert_eq!(w.dc.pats_of(USER).len(), 1);
    // After it.
    w.sim
        .fault(w.dc.at_pats(Fault::DropAfter).method("POST").once());
    assert!(w.try_send(mint()).await.is_err());
    let stray = w.dc.pats_of(USER).pop().unwrap();
    assert_eq!(stray.name, "lost");
    let lost = w.dc.pat_requests_of(USER, PatAsk::Mint).pop().unwrap();
    assert_eq!((lost.status, lost.answered), (201, false));
    w.sim
        .fault(w.dc.at_pats(Fault::DropAfter).method("DELETE").once());
    let path = format!("{TOKENS}/{}", stray.id);
    let request = w.request(Method::DELETE, &path, &pat.bearer());
    assert!(w.try_send(request).await.is_err());
    assert_eq!(w.dc.pats_of(USER).len(), 1, "revoked all the same");
    // Slow, limited, spoilt.
    w.sim
        .fault(w.dc.at_pats(Fault::Latency { millis: 5 }).once());
    let limit = Fault::RateLimit {
        retry_after: Some(7),
        html: false,
    };
    w.sim.fault(w.dc.at_pats(limit).method("POST").once());
    let answer = w.try_send(mint()).await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (429, "7"));
    assert_eq!(w.last_call().faults, ["latency", "rate-limit"]);
    w.sim.fault(w.dc.at_pats(Fault::GarbageJson).once());
    assert_eq!(w.try_send(mint()).await.unwrap().status, 201);
    let spoilt = w.dc.pat_requests().pop().unwrap();
    assert_eq!((spoilt.status, spoilt.answered), (201, false));
    let _ = w.dc.clone().rate_limit_headers();
    let answer = w.send(Method::GET, TOKENS, &pat.bearer()).await;
    assert_eq!(answer.header("retry-after"), "0");
}
