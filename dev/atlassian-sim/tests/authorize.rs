//! The authorize page of Cloud, and the codes that come of it.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test file")]

mod support;

use atlassian_sim::{CloudSite, Config, ConsentCounts, Landing, OAuthApp, Sim, Verdict};
use chrono::TimeDelta;
use serde_json::{Value, json};
use support::authorize::{CALLBACK, Pairs, encoded, post, with};
use support::oauth::refusal;
use support::{Answer, client, get};

const ANN: &str = "ann@acme.example";

struct World {
    sim: Sim,
    acme: CloudSite,
    globex: CloudSite,
    app: OAuthApp,
    client: reqwest::Client,
}

fn world() -> World {
    let sim = Sim::start_blocking(Config::default()).unwrap();
    sim.clock().freeze();
    let acme = sim.cloud_site("acme").user(ANN);
    let globex = sim
        .cloud_site("globex")
        .user(ANN)
        .user("bob@globex.example");
    let app = sim.oauth_app().callback(CALLBACK);
    let client = client(&sim, &[acme.host(), globex.host()]);
    World {
        sim,
        acme,
        globex,
        app,
        client,
    }
}

impl World {
    fn asked(&self) -> Vec<(&str, &str)> {
        vec![
            ("audience", "api.atlassian.com"),
            ("client_id", self.app.client_id()),
            ("scope", "read:jira-user read:jira-work offline_access"),
            ("redirect_uri", CALLBACK),
            ("state", "a&b=c"),
            ("response_type", "code"),
            ("prompt", "consent"),
        ]
    }

    fn url(&self, asked: &[(&str, &str)]) -> String {
        format!("{}/authorize?{}", self.sim.auth_url(), encoded(asked))
    }

    fn accepted(&self) -> String {
        let ann = self.sim.person(ANN).at(&[&self.acme]);
        let landing = ann.accept(&self.url(&self.asked()));
        landing.parameter("code").unwrap()
    }

    /// The request of the grant, in order.
    fn body(&self, code: &str) -> Value {
        json!({
            "grant_type": "authorization_code",
            "client_id": self.app.client_id(),
            "client_secret": self.app.secret(),
            "code": code,
            "redirect_uri": CALLBACK,
        })
    }

    async fn exchange(&self, body: &Value) -> Answer {
        let url = format!("{}/oauth/token", self.sim.auth_url());
        let response = self.client.post(url).json(body).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer {
            status,
            headers,
            text: response.text().await.unwrap(),
        }
    }

    async fn resources(&self, access: &str) -> Vec<String> {
        let url = format!(
            "{}/oauth/token/accessible-resources",
            self.sim.gateway_url()
        );
        let answer = get(&self.client, &url, &format!("Bearer {access}")).await;
        let list = answer.json();
        let ids = list.as_array().unwrap().iter();
        ids.map(|entry| entry["id"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// Over the network, as a browser does it.
#[tokio::test]
async fn a_browser_gets_a_page_and_its_form_leads_to_the_callback() {
    let w = world();
    let url = w.url(&w.asked());
    let page = get(&w.client, &url, "").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    for shown in [
        "read:jira-user",
        "value=\"ann@acme.example\"",
        "value=\"bob@globex.example\"",
        "name=\"site\" value=\"acme.",
        ">Accept</button>",
        ">Decline</button>",
    ] {
        assert!(page.text.contains(shown), "{shown}: {}", page.text);
    }
    let (acme, globex) = (w.acme.host(), w.globex.host());
    let form = [
        ("account", ANN),
        ("site", acme),
        ("site", globex),
        ("decision", "accept"),
    ];
    let back = post(&w.client, &url, &form).await;
    assert_eq!(back.status, 302, "{}", back.text);
    let location = back.header("location");
    assert!(location.starts_with(&format!("{CALLBACK}?code=")));
    assert!(location.ends_with("&state=a%26b%3Dc"), "{location}");
    let counts = ConsentCounts {
        pages: 1,
        codes: 1,
        declined: 0,
    };
    assert_eq!(w.sim.consent_counts(), counts);
}

#[test]
fn a_person_who_declines_is_sent_back_with_an_error() {
    let w = world();
    let landing = w.sim.person(ANN).decline(&w.url(&w.asked()));
    let parameter = |name| landing.parameter(name).unwrap_or_default();
    assert!(landing.callback().unwrap().starts_with(CALLBACK));
    assert_eq!(parameter("error"), "access_denied");
    assert_eq!(parameter("state"), "a&b=c");
    assert!(!parameter("error_description").is_empty());
    assert_eq!(landing.parameter("code"), None);
    let counts = w.sim.consent_counts();
    assert_eq!((counts.pages, counts.codes, counts.declined), (1, 0, 1));
}

/// None of these asks the person, and none redirects.
#[test]
fn requests_that_are_not_in_order_get_a_page() {
    let w = world();
    let (bare, other) = (w.sim.oauth_app(), w.acme.service_client("ci", &["x"]));
    let asked = w.asked();
    let slash = format!("{CALLBACK}/");
    let cases = [
        ("client_id", "unknown", "unauthorized_client"),
        ("client_id", "", "unauthorized_client"),
        ("client_id", bare.client_id(), "invalid_request"),
        ("client_id", other.client_id(), "unauthorized_client"),
        ("redirect_uri", &slash, "invalid_request"),
        (
            "redirect_uri",
            "http://127.0.0.1:8765/Callback",
            "invalid_request",
        ),
        (
            "redirect_uri",
            "http://localhost:8765/callback",
            "invalid_request",
        ),
        ("redirect_uri", "", "invalid_request"),
        ("audience", "jira", "invalid_request"),
        ("audience", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "", "unsupported_response_type"),
        ("prompt", "none", "invalid_request"),
        ("prompt", "", "invalid_request"),
        ("state", "", "invalid_request"),
        ("scope", "", "invalid_scope"),
        ("scope", "a  b", "invalid_scope"),
        ("code_challenge_method", "S256", "invalid_request"),
    ];
    for (name, value, code) in cases {
        let landing = w.sim.person(ANN).accept(&w.url(&with(&asked, name, value)));
        let Landing::Page { status, html } = &landing else {
            panic!("{name}={value}: {landing:?}");
        };
        assert_eq!(*status, 400, "{name}={value}");
        assert!(
            html.contains(&format!("<code>{code}</code>")),
            "{name}={value}: {html}"
        );
        assert!(!html.contains("<form"), "{name}={value}");
    }
    let twice = w.url(&asked) + "&scope=more";
    assert_eq!(w.sim.person(ANN).accept(&twice).callback(), None);
    assert_eq!(w.sim.consent_counts(), ConsentCounts::default());
}

/// A callback that was registered with a slash is as exact.
#[test]
fn the_slash_of_a_registered_callback_counts() {
    let w = world();
    let slash = format!("{CALLBACK}/");
    let app = w.app.clone().callback(&slash);
    assert_eq!(app.client_id(), w.app.client_id());
    let asked = w.asked();
    let ann = w.sim.person(ANN).at(&[&w.acme]);
    assert_eq!(ann.accept(&w.url(&asked)).callback(), None);
    let landing = ann.accept(&w.url(&with(&asked, "redirect_uri", &slash)));
    let start = format!("{slash}?code=");
    assert!(landing.callback().unwrap().starts_with(&start));
}

#[tokio::test]
async fn forms_that_are_not_in_order_show_the_page_again() {
    let w = world();
    let url = w.url(&w.asked());
    let (acme, bob) = (w.acme.host(), "bob@globex.example");
    let cases: [(Pairs<'_>, &str); 5] = [
        (&[("account", ANN), ("site", acme)], "buttons"),
        (&[("account", ANN), ("decision", "accept")], "Choose a site"),
        (
            &[("site", acme), ("decision", "accept")],
            "Choose an account",
        ),
        (
            &[("account", bob), ("site", acme), ("decision", "accept")],
            "no access",
        ),
        (
            &[("account", ANN), ("site", "x"), ("decision", "accept")],
            "no access",
        ),
    ];
    for (form, text) in cases {
        let answer = post(&w.client, &url, form).await;
        assert_eq!(answer.status, 400, "{form:?}");
        assert!(answer.text.contains(text), "{form:?}: {}", answer.text);
        assert!(answer.text.contains("<form"), "{form:?}");
    }
    assert_eq!(w.sim.consent_counts().codes, 0);
}

#[test]
fn what_the_page_shows_is_escaped() {
    let w = world();
    let asked = w.asked();
    let evil = "\"><script>alert(1)</script>";
    w.acme.account_id(evil);
    for name in ["scope", "state", "extra", "prompt", "client_id"] {
        let landing = w.sim.person(ANN).open(&w.url(&with(&asked, name, evil)));
        let Landing::Page { html, .. } = landing else {
            panic!("{name}");
        };
        assert!(!html.contains("<script"), "{name}: {html}");
    }
}

#[tokio::test]
async fn a_code_is_exchanged_once() {
    let w = world();
    let both = w.sim.person(ANN).at(&[&w.globex, &w.acme]);
    let landing = both.accept(&w.url(&w.asked()));
    let body = w.body(&landing.parameter("code").unwrap());
    let answer = w.exchange(&body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let granted = answer.json();
    assert_eq!(granted["expires_in"], 3600);
    assert_eq!(granted["token_type"], "Bearer");
    assert_eq!(
        granted["scope"],
        "read:jira-user read:jira-work offline_access"
    );
    let call = w.sim.calls().pop().unwrap();
    assert_eq!(call.user.as_deref(), Some(ANN));
    assert_eq!(call.verdict, Verdict::Accepted);
    let access = granted["access_token"].as_str().unwrap();
    let ids = [w.globex.cloud_id(), w.acme.cloud_id()];
    assert_eq!(w.resources(access).await, ids);
    let url = format!("{}/rest/api/3/myself", w.acme.gateway_url());
    let myself = get(&w.client, &url, &format!("Bearer {access}")).await;
    assert_eq!(myself.status, 200);

    let again = w.exchange(&body).await;
    assert_eq!(refusal(&again), (403, "invalid_grant".to_owned()));
    let refresh = json!({
        "grant_type": "refresh_token",
        "client_id": w.app.client_id(),
        "client_secret": w.app.secret(),
        "refresh_token": granted["refresh_token"],
    });
    assert_eq!(w.exchange(&refresh).await.status, 200);
}

#[tokio::test]
async fn without_offline_access_there_is_no_refresh_token() {
    let w = world();
    let asked = w.asked();
    let url = w.url(&with(&asked, "scope", "read:jira-user"));
    let landing = w.sim.person(ANN).at(&[&w.acme]).accept(&url);
    let code = landing.parameter("code").unwrap();
    let granted = w.exchange(&w.body(&code)).await.json();
    assert!(granted["access_token"].is_string());
    assert_eq!(granted.get("refresh_token"), None);
}

/// No refusal harms the code.
#[tokio::test]
async fn codes_are_refused_to_others() {
    let w = world();
    let other = w.sim.oauth_app().callback(CALLBACK);
    let (other_id, other_secret) = (other.client_id(), other.secret());
    let code = w.accepted();
    let slash = format!("{CALLBACK}/");
    let cases: [(Pairs<'_>, u16, &str); 6] = [
        (&[("redirect_uri", &slash)], 403, "invalid_grant"),
        (&[("redirect_uri", "")], 403, "invalid_grant"),
        (&[("client_secret", "wrong")], 401, "access_denied"),
        (
            &[("client_id", other_id), ("client_secret", &other_secret)],
            403,
            "invalid_grant",
        ),
        (&[("code", "unknown")], 403, "invalid_grant"),
        (&[("code", "")], 400, "invalid_request"),
    ];
    for (changes, status, error) in cases {
        let mut body = w.body(&code);
        for (name, value) in changes {
            body[name] = json!(value);
        }
        let answer = w.exchange(&body).await;
        assert_eq!(refusal(&answer), (status, error.to_owned()), "{changes:?}");
    }
    assert_eq!(w.exchange(&w.body(&code)).await.status, 200);
}

#[tokio::test]
async fn a_code_lives_ten_minutes() {
    let w = world();
    let life = TimeDelta::minutes(10);
    for (after, status) in [(life - TimeDelta::seconds(1), 200), (life, 403)] {
        let code = w.accepted();
        w.sim.clock().advance(after);
        assert_eq!(w.exchange(&w.body(&code)).await.status, status, "{after}");
    }
    assert_eq!(w.sim.calls().pop().unwrap().verdict, Verdict::Expired);
}

/// Atlassian takes a challenge and ignores it at the token step.
#[tokio::test]
async fn a_challenge_is_ignored() {
    let w = world();
    let mut asked = w.asked();
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    asked.extend([
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
    ]);
    let landing = w.sim.person(ANN).at(&[&w.acme]).accept(&w.url(&asked));
    let code = landing.parameter("code").unwrap();
    assert_eq!(w.exchange(&w.body(&code)).await.status, 200);
}

/// The person chooses only what the page offers.
#[test]
fn a_person_cannot_choose_what_is_not_offered() {
    let w = world();
    let url = w.url(&w.asked());
    for person in [
        w.sim.person("nobody@acme.example").at(&[&w.acme]),
        w.sim.person(ANN).at(&[]),
    ] {
        assert_eq!(person.accept(&url).callback(), None);
    }
    assert_eq!(w.sim.consent_counts().codes, 0);
}
