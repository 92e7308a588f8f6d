//! Cookie sessions: begun by a login, used, ended, refused, and written down.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test file")]

mod support;

use atlassian_sim::{Fault, PatAsk, Rule, SessionAct, UserState, Verdict, basic};
use chrono::TimeDelta;
use reqwest::Method;
use reqwest::header::SET_COOKIE;
use serde_json::{Value, json};
use support::Answer;
use support::kept::{SESSION, TOKENS, USER, World, world};

const GET: Method = Method::GET;
const DELETE: Method = Method::DELETE;

fn cookies(answer: &Answer) -> Vec<&str> {
    let cookies = answer.headers.get_all(SET_COOKIE).iter();
    cookies.map(|cookie| cookie.to_str().unwrap()).collect()
}

fn value(cookie: &str) -> &str {
    cookie.strip_prefix("JSESSIONID=").unwrap()
}

impl World {
    fn later(&self, delta: TimeDelta) {
        self.sim.clock().advance(delta);
    }

    fn acts(&self) -> Vec<SessionAct> {
        self.dc.session_acts_of(USER)
    }
}

#[tokio::test]
async fn a_login_begins_a_session_that_works_everywhere() {
    let w = world();
    let password = w.dc.new_password(USER);
    let answer = w.log_in(&password).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-seraph-loginreason"), "OK");
    assert_eq!(answer.header("x-ausername"), USER);
    let body = answer.json();
    assert_eq!(body["session"]["name"], "JSESSIONID");
    let id = body["session"]["value"].as_str().unwrap();
    let set = cookies(&answer);
    assert_eq!(
        set[0],
        format!("JSESSIONID={id}; Path=/jira; Secure; HttpOnly")
    );
    assert!(set[1].starts_with("atlassian.xsrf.token="));
    assert!(set[1].contains("_lin; Path=/jira"), "{}", set[1]);
    assert_eq!(set.len(), 2);

    let cookie = format!("JSESSIONID={id}");
    for path in ["/rest/api/2/myself", "/rest/api/2/mypermissions", TOKENS] {
        let answer = w.send(GET, path, &cookie).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(cookies(&answer), Vec::<&str>::new(), "it has one");
        let call = w.last_call();
        assert_eq!(
            (call.scheme, call.verdict),
            (Some("cookie"), Verdict::Accepted)
        );
        assert_eq!(call.user.as_deref(), Some(USER));
        assert_eq!(call.token_id, w.dc.session_id(id));
    }
    assert_eq!(w.mint(&cookie, "by session", 1).await.status, 201);
    let made = w.dc.pat_requests_of(USER, PatAsk::Mint).pop().unwrap();
    assert_eq!(
        (made.scheme, made.with),
        (Some("cookie"), w.dc.session_id(id))
    );
    let several = format!("{cookie}; atlassian.xsrf.token=x");
    assert_eq!(w.myself(&several).await, 200);

    let who = w.send(GET, SESSION, &cookie).await;
    assert_eq!(who.status, 200);
    assert_eq!(who.json()["name"], USER);
    assert_eq!(who.json()["loginInfo"]["loginCount"], 1);
    assert_eq!(w.dc.sessions().len(), 1);
    assert_eq!(w.dc.sessions()[0].owner, USER);
    let shown = format!(
        "{:?} {:?} {:?}",
        w.dc.sessions(),
        w.dc.session_events(),
        w.sim.calls()
    );
    assert!(!shown.contains(id) && !shown.contains(&password));
}

#[tokio::test]
async fn a_logout_ends_it() {
    let w = world();
    let password = w.dc.new_password(USER);
    let (first, second) = (w.cookie(&password).await, w.cookie(&password).await);
    assert_ne!(first, second);
    assert_eq!(w.dc.live_sessions(), 2);
    assert_eq!(w.send(DELETE, SESSION, &first).await.status, 204);
    assert_eq!(w.myself(&first).await, 401);
    assert_eq!(
        w.myself(&second).await,
        200,
        "another session is not touched"
    );
    assert_eq!(w.send(DELETE, SESSION, &first).await.status, 401);
    assert_eq!(w.send(DELETE, SESSION, "").await.status, 401);
    assert_eq!(w.dc.logins_and_logouts(), (2, 1));
    assert_eq!(w.dc.live_sessions(), 1);
    let pat = w.dc.pat(USER).bearer();
    assert_eq!(w.send(DELETE, SESSION, &pat).await.status, 204);
    assert_eq!(w.dc.logins_and_logouts(), (2, 1), "there was none to end");
    assert_eq!(w.send(Method::PUT, SESSION, &second).await.status, 405);
}

#[tokio::test]
async fn an_unused_session_dies_and_each_use_renews_it() {
    let w = world();
    let _ = w.dc.clone().session_idle(TimeDelta::hours(1));
    let cookie = w.cookie(&w.dc.new_password(USER)).await;
    let almost = TimeDelta::minutes(59);
    for path in ["/rest/api/2/myself", SESSION, "/rest/api/2/serverInfo"] {
        w.later(almost);
        assert_eq!(w.send(GET, path, &cookie).await.status, 200, "{path}");
    }
    w.later(almost);
    assert!(w.dc.accepts_session(value(&cookie)));
    w.later(TimeDelta::minutes(1));
    assert!(!w.dc.accepts_session(value(&cookie)));
    assert_eq!(w.dc.live_sessions(), 0);
    for path in [
        "/rest/api/2/myself",
        "/rest/api/2/serverInfo",
        SESSION,
        TOKENS,
    ] {
        let answer = w.send(GET, path, &cookie).await;
        assert_eq!(answer.status, 401, "not taken for nobody: {path}");
        assert_eq!(w.last_call().verdict, Verdict::Expired);
        assert_eq!(cookies(&answer).len(), 2, "nobody's session is offered");
    }
    // Neither nobody's cookie nor one beside a good credential does harm.
    assert_eq!(w.myself("JSESSIONID=0").await, 401);
    let pat = w.dc.pat(USER).bearer();
    let both = w
        .request(GET, "/rest/api/2/myself", &pat)
        .header("cookie", cookie);
    assert_eq!(w.try_send(both).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_restart_or_an_administrator_drops_sessions() {
    let w = world();
    let cookie = w.cookie(&w.dc.new_password(USER)).await;
    w.dc.end_sessions_of("somebody");
    assert_eq!(w.myself(&cookie).await, 200);
    w.dc.end_sessions_of(USER);
    assert_eq!(w.myself(&cookie).await, 401);
    let cookie = w.cookie(&w.dc.new_password(USER)).await;
    w.dc.set_user_state(USER, UserState::Deactivated);
    assert_eq!(w.myself(&cookie).await, 401);
    assert_eq!(w.last_call().verdict, Verdict::Deactivated);
    w.dc.set_user_state(USER, UserState::Active);
    assert_eq!(w.myself(&cookie).await, 200);
    w.dc.restart();
    assert_eq!((w.myself(&cookie).await, w.dc.live_sessions()), (401, 0));
    assert_eq!(w.dc.logins_and_logouts(), (2, 0));
}

/// What stands in the way of a login, and what is said of it.
#[tokio::test]
async fn logins_that_fail() {
    let w = world();
    let good = w.dc.new_password(USER);
    let answer = w.log_in("wrong").await;
    assert_eq!(answer.status, 401);
    assert_eq!(
        answer.json(),
        json!({ "errorMessages": ["Login failed"], "errors": {} })
    );
    assert_eq!(answer.header("www-authenticate"), "JIRA REST POST");
    assert_eq!(
        answer.header("x-seraph-loginreason"),
        "AUTHENTICATED_FAILED"
    );
    assert!(cookies(&answer)[1].contains("_lout"));
    assert_eq!((w.dc.failed_logins(USER), w.dc.live_sessions()), (1, 0));
    let pat = w.dc.pat(USER);
    assert_eq!(w.log_in(pat.secret()).await.status, 401, "no password");

    let _ = w.dc.clone().more_steps(true);
    let answer = w.log_in(&good).await;
    assert_eq!((answer.status, w.dc.live_sessions()), (403, 0));
    assert_eq!(answer.header("x-authentication-denied-reason"), "");
    assert_eq!(
        w.log_in("wrong").await.status,
        401,
        "the password comes first"
    );
    let _ = w.dc.clone().more_steps(false);

    w.dc.set_user_state(USER, UserState::Deactivated);
    assert_eq!(w.log_in(&good).await.status, 401);
    w.dc.set_user_state(USER, UserState::Active);
    let nobody = json!({ "username": "nobody", "password": good });
    assert_eq!(w.post(SESSION, "", &nobody).await.status, 401);
    let malformed = json!({ "username": USER });
    assert_eq!(w.post(SESSION, "", &malformed).await.status, 400);
    let form = w
        .request(Method::POST, SESSION, "")
        .header("content-type", "text/plain")
        .body(json!({ "username": USER, "password": good }).to_string());
    assert_eq!(w.try_send(form).await.unwrap().status, 415);

    let _ = w.dc.clone().basic(false);
    let answer = w.log_in(&good).await;
    let message = "Basic Authentication has been disabled on this instance.";
    assert_eq!(
        (answer.status, answer.json()),
        (403, json!({ "message": message }))
    );
    let acts = [
        SessionAct::Refused,
        SessionAct::Refused,
        SessionAct::MoreSteps,
        SessionAct::Refused,
        SessionAct::Refused,
        SessionAct::Malformed,
        SessionAct::BasicDisabled,
    ];
    assert_eq!(w.acts(), acts);
    assert_eq!(
        (w.dc.logins_and_logouts(), w.dc.live_sessions()),
        ((0, 0), 0)
    );

    let eleven = world();
    let good = eleven.dc.new_password(USER);
    let _ = eleven.dc.clone().version("11.3.5");
    assert_eq!(eleven.log_in(&good).await.status, 403, "off from 11 on");
}

#[tokio::test]
async fn failures_lead_to_the_captcha_as_they_do_elsewhere() {
    for status in [403, 401] {
        let w = world();
        let dc = w.dc.clone().captcha_answer(status, false);
        let good = dc.new_password(USER);
        assert_eq!(w.log_in("wrong").await.status, 401);
        assert_eq!(w.myself(&basic(USER, "wrong")).await, 401);
        assert_eq!(w.log_in("wrong").await.status, 401);
        assert!(dc.captcha_required(USER), "both ways count");
        let answer = w.log_in(&good).await;
        assert_eq!(answer.status, status, "even the right one");
        let expected = format!("CAPTCHA_CHALLENGE; login-url={}/login.jsp", dc.url());
        assert_eq!(answer.header("x-authentication-denied-reason"), expected);
        assert_eq!(
            answer.header("x-seraph-loginreason"),
            "AUTHENTICATION_DENIED"
        );
        assert_eq!(answer.json()["errorMessages"], json!(["Login denied"]));
        assert_eq!(dc.denied_logins(USER), 1);
        assert_eq!(w.acts().last(), Some(&SessionAct::CaptchaRequired));
        dc.solve_captcha(USER);
        let cookie = w.cookie(&good).await;
        assert_eq!(dc.failed_logins(USER), 0);
        let info = w.send(GET, SESSION, &cookie).await.json()["loginInfo"].clone();
        assert_eq!(info["failedLoginCount"], 3);
        assert!(
            info["lastFailedLoginTime"]
                .as_str()
                .unwrap()
                .ends_with("+0000")
        );
        assert_eq!(info.get("previousLoginTime"), None::<&Value>);
    }
}

#[tokio::test]
async fn the_ledger_tells_who_logged_in_when() {
    let w = world();
    let good = w.dc.new_password(USER);
    w.log_in("wrong").await;
    w.later(TimeDelta::minutes(1));
    let cookie = w.cookie(&good).await;
    let id = w.dc.session_id(value(&cookie));
    w.later(TimeDelta::minutes(1));
    w.send(DELETE, SESSION, &cookie).await;
    w.send(DELETE, SESSION, &cookie).await;
    let events = w.dc.session_events();
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.number, event.act, event.session.clone(), event.status))
        .collect();
    assert_eq!(
        told,
        [
            (1, SessionAct::Refused, None, 401),
            (2, SessionAct::LoggedIn, id.clone(), 200),
            (3, SessionAct::LoggedOut, id, 204),
            (4, SessionAct::NotLoggedIn, None, 401),
        ]
    );
    assert!(events.iter().all(|event| event.answered));
    assert_eq!(events[1].at - events[0].at, TimeDelta::minutes(1));
    // A secret in the place of the user name is not written down.
    let pat = w.dc.pat(USER);
    let body = json!({ "username": pat.secret(), "password": "x" });
    assert_eq!(w.post(SESSION, "", &body).await.status, 401);
    let user = w.dc.session_events().pop().unwrap().user;
    assert_eq!(user, Some(format!("({})", pat.id())));
    w.dc.clear_session_events();
    assert_eq!(w.dc.session_events(), []);
}

#[tokio::test]
async fn faults_aim_at_logins_by_method_user_and_session() {
    let w = world();
    let good = w.dc.new_password(USER);
    let body = json!({ "username": USER, "password": good });
    let login = || w.request(Method::POST, SESSION, "").json(&body);
    let gone = Fault::ServerError { status: 503 };
    w.sim.fault(w.dc.at_session(gone).method("POST").once());
    assert_eq!(w.send(GET, SESSION, "").await.status, 401, "another method");
    assert_eq!(w.try_send(login()).await.unwrap().status, 503);
    assert_eq!(w.dc.session_events(), [], "before the effect");

    w.sim
        .fault(w.dc.at_session(Fault::DropAfter).user(USER).once());
    let somebody = json!({ "username": "somebody", "password": "x" });
    assert_eq!(w.post(SESSION, "", &somebody).await.status, 401);
    assert!(w.try_send(login()).await.is_err());
    let lost = w.dc.session_events().pop().unwrap();
    assert_eq!((lost.act, lost.answered), (SessionAct::LoggedIn, false));
    assert_eq!(w.dc.live_sessions(), 1, "nobody knows its cookie");

    let cookie = w.cookie(&good).await;
    let session = w.dc.session_id(value(&cookie)).unwrap();
    let mut rule = Rule::new(Fault::DropAfter).once();
    rule.token_id = Some(session);
    w.sim.fault(rule);
    assert_eq!(w.myself(&w.dc.pat(USER).bearer()).await, 200);
    let logout = w.request(DELETE, SESSION, &cookie);
    assert!(w.try_send(logout).await.is_err());
    assert_eq!(w.myself(&cookie).await, 401, "ended all the same");

    let limit = Fault::RateLimit {
        retry_after: Some(3),
        html: false,
    };
    w.sim.fault(w.dc.at_session(limit).once());
    let answer = w.try_send(login()).await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (429, "3"));
    w.sim
        .fault(w.dc.at_session(Fault::Latency { millis: 5 }).once());
    assert_eq!(w.try_send(login()).await.unwrap().status, 200);
    assert_eq!(w.last_call().faults, ["latency"]);
}

#[tokio::test]
async fn there_are_no_sessions_on_cloud() {
    let w = world();
    let site = w.sim.cloud_site("acme");
    let client = support::client(&w.sim, &[site.host()]);
    let request = client
        .post(format!("{}{SESSION}", site.url()))
        .json(&json!({ "username": USER, "password": "x" }));
    assert_eq!(w.try_send(request).await.unwrap().status, 404);
}
