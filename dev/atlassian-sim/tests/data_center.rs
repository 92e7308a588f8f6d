//! The Data Center personality, as a table: what is asked, and what comes.

#![allow(clippy::unwrap_used, reason = "a test file")]

mod support;

use atlassian_sim::{Config, DataCenter, Sim, Sso, UserState, Verdict, basic};
use chrono::TimeDelta;
use support::{Answer, client, get};

const USER: &str = "robot";

struct World {
    sim: Sim,
    dc: DataCenter,
    client: reqwest::Client,
}

fn world(version: &str, context_path: &str) -> World {
    let sim = Sim::start_blocking(Config::default()).unwrap();
    let dc = sim
        .data_center("jira")
        .version(version)
        .context_path(context_path)
        .user(USER);
    let client = client(&sim, &[dc.host(), "nobody.dc.localhost"]);
    World { sim, dc, client }
}

impl World {
    async fn ask(&self, path: &str, authorization: &str) -> (Answer, Verdict) {
        let answer = get(
            &self.client,
            &format!("{}{path}", self.dc.url()),
            authorization,
        )
        .await;
        (answer, self.sim.calls().last().unwrap().verdict)
    }

    async fn myself(&self, authorization: &str) -> (Answer, Verdict) {
        self.ask("/rest/api/2/myself", authorization).await
    }
}

#[tokio::test]
async fn myself_under_both_context_paths_and_names_of_the_api() {
    for context in ["", "/jira"] {
        let w = world("10.4.0", context);
        let pat = w.dc.pat(USER);
        for version in ["2", "latest"] {
            let (answer, verdict) = w
                .ask(&format!("/rest/api/{version}/myself"), &pat.bearer())
                .await;
            assert_eq!((answer.status, verdict), (200, Verdict::Accepted));
            let body = answer.json();
            assert_eq!(body["key"], w.dc.user_key(USER));
            assert_eq!(body["name"], USER);
            assert!(body.get("accountId").is_none());
            assert!(body["self"].as_str().unwrap().starts_with(&w.dc.url()));
            assert_eq!(answer.header("x-ausername"), USER);
            assert_eq!(
                answer.header("x-seraph-loginreason"),
                "",
                "that is for Basic"
            );
            assert!(answer.header("set-cookie").starts_with("JSESSIONID="));
            for header in ["x-arequestid", "x-asessionid", "x-anodeid"] {
                assert!(!answer.header(header).is_empty(), "{header}");
            }
        }
    }
}

#[tokio::test]
async fn outside_the_context_path_there_is_nothing() {
    let w = world("10.4.0", "/jira");
    let url = format!(
        "https://{}:{}/rest/api/2/serverInfo",
        w.dc.host(),
        w.sim.port()
    );
    assert_eq!(get(&w.client, &url, "").await.status, 404);
    let url = format!(
        "https://nobody.dc.localhost:{}/rest/api/2/serverInfo",
        w.sim.port()
    );
    assert_eq!(get(&w.client, &url, "").await.status, 502);
}

#[tokio::test]
async fn server_info_of_the_versions() {
    let cases = [
        ("8.5.3", [8, 5, 3], 805_003),
        ("8.20.8", [8, 20, 8], 820_008),
        ("9.12.2", [9, 12, 2], 912_002),
        ("10.4.0", [10, 4, 0], 10_040_001),
        ("11.3.5", [11, 3, 5], 11_030_006),
    ];
    for (version, numbers, build) in cases {
        let w = world(version, "");
        let (answer, verdict) = w.ask("/rest/api/2/serverInfo", "").await;
        assert_eq!((answer.status, verdict), (200, Verdict::Anonymous));
        let body = answer.json();
        assert_eq!(body["version"], version);
        assert_eq!(body["versionNumbers"], serde_json::json!(numbers));
        assert_eq!(body["buildNumber"], build);
        assert_eq!(body["deploymentType"], "Server");
        assert_eq!(answer.header("x-ausername"), "anonymous");
        assert_eq!(w.ask("/status", "").await.0.json()["state"], "RUNNING");
    }
}

#[tokio::test]
async fn api_version_3() {
    for (version, status) in [("9.12.2", 302), ("8.5.3", 302), ("10.4.0", 404)] {
        let w = world(version, "/jira");
        let header = basic(USER, &w.dc.new_password(USER));
        let (answer, _) = w.ask("/rest/api/3/myself", &header).await;
        assert_eq!(answer.status, status, "{version}");
        if status == 302 {
            assert!(
                answer
                    .header("location")
                    .starts_with(&format!("{}/login.jsp", w.dc.url()))
            );
        }
    }
}

#[tokio::test]
async fn passwords() {
    let w = world("10.4.0", "");
    let good = basic(USER, &w.dc.new_password(USER));
    let (answer, verdict) = w.myself(&good).await;
    assert_eq!((answer.status, verdict), (200, Verdict::Accepted));
    assert_eq!(answer.header("x-seraph-loginreason"), "OK");

    let pat = w.dc.pat(USER);
    for (header, verdict) in [
        (basic(USER, "wrong"), Verdict::Rejected),
        (basic("nobody", "wrong"), Verdict::Rejected),
        (pat.basic(), Verdict::Rejected),
    ] {
        let (answer, seen) = w.myself(&header).await;
        assert_eq!((answer.status, seen), (401, verdict));
        assert_eq!(
            answer.header("x-seraph-loginreason"),
            "AUTHENTICATED_FAILED"
        );
        assert_eq!(answer.header("x-ausername"), "anonymous");
    }
    assert_eq!(
        w.dc.failed_logins(USER),
        2,
        "a token in Basic counts as a failed login"
    );

    let (answer, verdict) = w.myself("").await;
    assert_eq!((answer.status, verdict), (401, Verdict::Anonymous));
    assert_eq!(answer.header("x-seraph-loginreason"), "");

    assert_eq!(w.myself(&good).await.0.status, 200);
    w.dc.set_user_state(USER, UserState::Deactivated);
    assert_eq!(w.myself(&good).await.1, Verdict::Deactivated);
    assert_eq!(w.myself(&pat.bearer()).await.1, Verdict::Deactivated);
    w.dc.set_user_state(USER, UserState::DeactivatedButAnswered);
    assert_eq!(w.myself(&good).await.0.json()["active"], false);
}

#[tokio::test]
async fn personal_access_tokens() {
    let w = world("10.4.0", "");
    let (expired, revoked) = (w.dc.pat(USER), w.dc.pat(USER));
    w.sim
        .expire_at(&expired, w.sim.clock().now() + TimeDelta::days(1));
    assert_eq!(w.myself(&expired.bearer()).await.0.status, 200);
    w.sim.clock().advance(TimeDelta::days(1));
    w.sim.revoke(&revoked);
    let foreign = w.sim.data_center("other").pat(USER);
    for (header, verdict) in [
        (expired.bearer(), Verdict::Expired),
        (revoked.bearer(), Verdict::Revoked),
        (foreign.bearer(), Verdict::Rejected),
        ("Bearer nothing".to_owned(), Verdict::Rejected),
    ] {
        let (answer, seen) = w.myself(&header).await;
        assert_eq!((answer.status, seen), (401, verdict));
        assert!(
            answer
                .header("www-authenticate")
                .starts_with("OAuth realm=")
        );
    }
    assert_eq!(w.dc.failed_logins(USER), 0);

    let old = world("8.13.0", "");
    let pat = old.dc.pat(USER);
    assert_eq!(
        old.myself(&pat.bearer()).await.0.status,
        401,
        "they came with 8.14"
    );
}

#[tokio::test]
async fn the_captcha() {
    for (status, says_failed) in [(403, false), (401, false), (403, true)] {
        let w = world("8.20.8", "");
        let dc = w.dc.clone().captcha_answer(status, says_failed);
        let good = basic(USER, &dc.new_password(USER));
        for failures in 1..=3 {
            let (answer, verdict) = w.ask("/rest/api/2/serverInfo", &basic(USER, "wrong")).await;
            assert_eq!((answer.status, verdict), (401, Verdict::Rejected));
            assert_eq!(answer.header("x-authentication-denied-reason"), "");
            assert_eq!(dc.failed_logins(USER), failures);
        }
        assert!(dc.captcha_required(USER));
        let (answer, verdict) = w.myself(&good).await;
        assert_eq!(
            (answer.status, verdict),
            (status, Verdict::Captcha),
            "even the right one"
        );
        let expected = format!("CAPTCHA_CHALLENGE; login-url={}/login.jsp", dc.url());
        assert_eq!(answer.header("x-authentication-denied-reason"), expected);
        let says = if says_failed {
            "AUTHENTICATED_FAILED"
        } else {
            "AUTHENTICATION_DENIED"
        };
        assert_eq!(answer.header("x-seraph-loginreason"), says);
        assert_eq!(dc.denied_logins(USER), 1);
        assert_eq!(
            w.myself(&dc.pat(USER).bearer()).await.0.status,
            200,
            "tokens still work"
        );

        dc.solve_captcha(USER);
        assert_eq!(w.myself(&good).await.0.status, 200);
    }
}

#[tokio::test]
async fn a_good_login_resets_the_count() {
    let w = world("10.4.0", "");
    let good = basic(USER, &w.dc.new_password(USER));
    for header in [
        basic(USER, "a"),
        basic(USER, "b"),
        good.clone(),
        basic(USER, "c"),
    ] {
        w.myself(&header).await;
    }
    assert_eq!(w.dc.failed_logins(USER), 1);
    let _ = w.dc.clone().captcha_after(Some(1));
    assert!(w.dc.captcha_required(USER));
    let _ = w.dc.clone().captcha_after(None);
    assert_eq!(w.myself(&good).await.0.status, 200);
}

#[tokio::test]
async fn basic_is_off_from_jira_11_on() {
    let w = world("11.3.5", "");
    let good = basic(USER, &w.dc.new_password(USER));
    for path in ["/rest/api/2/myself", "/rest/api/2/serverInfo"] {
        let (answer, verdict) = w.ask(path, &good).await;
        assert_eq!((answer.status, verdict), (403, Verdict::BasicDisabled));
        let message = "Basic Authentication has been disabled on this instance.";
        assert_eq!(answer.json(), serde_json::json!({ "message": message }));
        for absent in [
            "x-authentication-denied-reason",
            "x-seraph-loginreason",
            "www-authenticate",
        ] {
            assert_eq!(answer.header(absent), "", "{absent}");
        }
    }
    assert_eq!(w.dc.failed_logins(USER), 0);
    assert_eq!(w.ask("/rest/api/2/serverInfo", "").await.0.status, 200);
    assert_eq!(w.myself(&w.dc.pat(USER).bearer()).await.0.status, 200);
    let _ = w.dc.clone().basic(true);
    assert_eq!(w.myself(&good).await.0.status, 200);
}

#[tokio::test]
async fn single_sign_on_hides_a_rejection() {
    let w = world("10.4.0", "");
    let pat = w.dc.pat(USER);
    let _ = w.dc.clone().sso(Sso::LoginPage);
    let (answer, verdict) = w.myself("Bearer nothing").await;
    assert_eq!((answer.status, verdict), (200, Verdict::Rejected));
    assert!(answer.header("content-type").starts_with("text/html"));
    assert_eq!(w.myself("").await.0.status, 200);
    assert_eq!(w.myself(&pat.bearer()).await.0.json()["name"], USER);

    let idp = "https://idp.example/saml";
    let _ = w.dc.clone().sso(Sso::Redirect(idp.to_owned()));
    let (answer, _) = w.myself("Bearer nothing").await;
    assert_eq!((answer.status, answer.header("location")), (302, idp));
}

#[tokio::test]
async fn healthy_answers_may_say_retry_after_0() {
    let w = world("10.4.0", "");
    let _ = w.dc.clone().rate_limit_headers();
    let (answer, _) = w.myself(&w.dc.pat(USER).bearer()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (200, "0"));
    assert_eq!(answer.header("x-ratelimit-interval-seconds"), "60");
}
