//! The authorize page of a Data Center instance, its codes, and the proof that comes with them.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test file")]

mod support;

use atlassian_sim::{Config, DataCenter, Landing, OAuthApp, Sim};
use chrono::TimeDelta;
use support::authorize::{CALLBACK, Pairs, encoded, post, with};
use support::oauth::refusal;
use support::{Answer, client, get};

const USER: &str = "robot";
/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

struct World {
    sim: Sim,
    dc: DataCenter,
    link: OAuthApp,
    client: reqwest::Client,
}

fn world() -> World {
    let sim = Sim::start_blocking(Config::default()).unwrap();
    sim.clock().freeze();
    let dc = sim.data_center("jira").context_path("/jira").user(USER);
    let link = dc.oauth_link(&["http://127.0.0.1:1/first", CALLBACK]);
    let client = client(&sim, &[dc.host()]);
    World {
        sim,
        dc,
        link,
        client,
    }
}

impl World {
    fn asked(&self) -> Vec<(&str, &str)> {
        vec![
            ("client_id", self.link.client_id()),
            ("redirect_uri", CALLBACK),
            ("response_type", "code"),
            ("state", "s 1"),
            ("scope", "WRITE"),
        ]
    }

    fn url(&self, asked: &[(&str, &str)]) -> String {
        let page = "/rest/oauth2/latest/authorize";
        format!("{}{page}?{}", self.dc.url(), encoded(asked))
    }

    fn code(&self, more: &[(&str, &str)]) -> String {
        let asked = [&self.asked(), more].concat();
        let landing = self.sim.person(USER).accept(&self.url(&asked));
        landing.parameter("code").unwrap()
    }

    async fn exchange(&self, code: &str, more: &[(&str, &str)]) -> Answer {
        let secret = self.link.secret();
        let mut pairs = vec![
            ("grant_type", "authorization_code"),
            ("client_id", self.link.client_id()),
            ("client_secret", &secret),
            ("code", code),
            ("redirect_uri", CALLBACK),
        ];
        for (name, value) in more {
            pairs = with(&pairs, name, value);
        }
        let url = format!("{}/rest/oauth2/latest/token", self.dc.url());
        post(&self.client, &url, &pairs).await
    }
}

/// Over the network, as a browser does it.
#[tokio::test]
async fn a_browser_gets_a_page_and_its_form_leads_to_the_callback() {
    let w = world();
    let url = w.url(&w.asked());
    let page = get(&w.client, &url, "").await;
    assert_eq!(page.status, 200);
    for shown in ["<li>WRITE</li>", "value=\"robot\"", ">Allow<", ">Deny<"] {
        assert!(page.text.contains(shown), "{shown}: {}", page.text);
    }
    assert!(!page.text.contains("name=\"site\""));
    let form = [("account", USER), ("decision", "accept")];
    let back = post(&w.client, &url, &form).await;
    assert_eq!(back.status, 302, "{}", back.text);
    let location = back.header("location");
    assert!(location.starts_with(&format!("{CALLBACK}?code=")));
    assert!(location.ends_with("&state=s+1"), "{location}");
    for form in [&[("account", USER)], &[("decision", "accept")]] {
        assert_eq!(post(&w.client, &url, form).await.status, 400, "{form:?}");
    }
}

#[test]
fn a_person_who_denies_is_sent_back_with_an_error() {
    let w = world();
    let landing = w.sim.person(USER).decline(&w.url(&w.asked()));
    let error = landing.parameter("error");
    assert_eq!(error.as_deref(), Some("access_denied"));
    assert_eq!(landing.parameter("state").as_deref(), Some("s 1"));
    let counts = w.sim.consent_counts();
    assert_eq!((counts.pages, counts.codes, counts.declined), (1, 0, 1));
}

#[test]
fn requests_that_are_not_in_order_get_a_page() {
    let w = world();
    let elsewhere = w.sim.data_center("other").oauth_link(&[CALLBACK]);
    let cloud = w.sim.oauth_app().callback(CALLBACK);
    let robot = w.dc.service_client("ci", &["READ"]);
    let asked = w.asked();
    let slash = format!("{CALLBACK}/");
    let cases = [
        ("client_id", "unknown", "invalid_client"),
        ("client_id", elsewhere.client_id(), "invalid_client"),
        ("client_id", cloud.client_id(), "invalid_client"),
        ("client_id", robot.client_id(), "invalid_client"),
        ("redirect_uri", &slash, "invalid_request"),
        ("redirect_uri", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("scope", "", "invalid scope"),
        ("scope", "read", "invalid scope"),
        ("scope", "READ DELETE", "invalid scope"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "S256", "invalid_request"),
    ];
    for (name, value, code) in cases {
        let url = w.url(&with(&asked, name, value));
        let landing = w.sim.person(USER).accept(&url);
        let Landing::Page { status, html } = &landing else {
            panic!("{name}={value}: {landing:?}");
        };
        assert_eq!(*status, 400, "{name}={value}");
        let shown = format!("<code>{code}</code>");
        assert!(html.contains(&shown), "{name}={value}: {html}");
    }
    assert_eq!(w.sim.consent_counts().pages, 0);
}

#[test]
fn old_versions_have_no_such_page() {
    let w = world();
    w.dc.configure(|settings| settings.version = "8.21.1".to_owned());
    let Landing::Page { status, .. } = w.sim.person(USER).accept(&w.url(&w.asked())) else {
        panic!("a callback");
    };
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_code_is_exchanged_once_and_its_tokens_work() {
    let w = world();
    let code = w.code(&[]);
    let answer = w.exchange(&code, &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let granted = answer.json();
    assert_eq!(
        (&granted["expires_in"], &granted["scope"]),
        (&3600.into(), &"WRITE".into())
    );
    let access = granted["access_token"].as_str().unwrap();
    let url = format!("{}/rest/api/2/myself", w.dc.url());
    let myself = get(&w.client, &url, &format!("Bearer {access}")).await;
    assert_eq!(myself.json()["name"], USER);

    let again = w.exchange(&code, &[]).await;
    assert_eq!(refusal(&again), (400, "invalid_grant".to_owned()));
    let refresh = granted["refresh_token"].as_str().unwrap();
    let grant = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    let first = [("redirect_uri", "http://127.0.0.1:1/first")];
    let answer = w.exchange("", &[&grant[..], &first].concat()).await;
    assert_eq!(answer.status, 400, "the redirect URL of another consent");
    assert_eq!(w.exchange("", &grant).await.status, 200);
}

#[tokio::test]
async fn codes_are_refused_to_others() {
    let w = world();
    let other = w.dc.oauth_link(&[CALLBACK]);
    let (id, secret) = (other.client_id(), other.secret());
    let code = w.code(&[]);
    let cases: [(Pairs<'_>, u16, &str); 5] = [
        (
            &[("redirect_uri", "http://127.0.0.1:1/first")],
            400,
            "invalid_grant",
        ),
        (
            &[("client_id", id), ("client_secret", &secret)],
            400,
            "invalid_grant",
        ),
        (&[("client_secret", "wrong")], 401, "invalid_client"),
        (&[("code_verifier", VERIFIER)], 400, "invalid_grant"),
        (&[("code", "")], 400, "invalid_request"),
    ];
    for (changes, status, error) in cases {
        let answer = w.exchange(&code, changes).await;
        assert_eq!(refusal(&answer), (status, error.to_owned()), "{changes:?}");
    }
    assert_eq!(w.exchange(&code, &[]).await.status, 200);
}

#[tokio::test]
async fn a_challenge_needs_its_verifier() {
    let w = world();
    for (challenge, method) in [(CHALLENGE, "S256"), (VERIFIER, "plain"), (VERIFIER, "")] {
        let mut more = vec![("code_challenge", challenge)];
        if !method.is_empty() {
            more.push(("code_challenge_method", method));
        }
        let code = w.code(&more);
        for wrong in ["", CHALLENGE, "short"] {
            let answer = w.exchange(&code, &[("code_verifier", wrong)]).await;
            assert_eq!(answer.status, 400, "{method} {wrong}");
        }
        let answer = w.exchange(&code, &[("code_verifier", VERIFIER)]).await;
        assert_eq!(answer.status, 200, "{method}");
    }
}

/// Ten seconds; what an administrator sets ends at 600.
#[tokio::test]
async fn a_code_lives_ten_seconds() {
    let w = world();
    for (life, after, status) in [
        (None, 9, 200),
        (None, 10, 400),
        (Some(300), 299, 200),
        (Some(3600), 599, 200),
        (Some(3600), 600, 400),
    ] {
        if let Some(life) = life {
            let life = TimeDelta::seconds(life);
            w.sim
                .configure_data_center_oauth(|settings| settings.code_life = life);
        }
        let code = w.code(&[]);
        w.sim.clock().advance(TimeDelta::seconds(after));
        let answer = w.exchange(&code, &[]).await;
        assert_eq!(answer.status, status, "{life:?} {after}");
    }
}
