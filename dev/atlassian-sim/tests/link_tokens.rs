//! How a consumer gets an access token of OAuth 1.0a.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test file")]

mod support;

use std::collections::BTreeMap;

use atlassian_sim::{ApplicationLink, Config, DataCenter, Landing, LinkKey, Sim};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use reqwest::header::AUTHORIZATION;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::{Pkcs1v15Sign, PrivateKey};
use sha1::{Digest as _, Sha1};
use support::authorize::{CALLBACK, post};
use support::{Answer, client, get};

const USER: &str = "robot";

struct World {
    sim: Sim,
    dc: DataCenter,
    key: LinkKey,
    link: ApplicationLink,
    client: reqwest::Client,
}

fn world() -> World {
    let sim = Sim::start_blocking(Config::default()).unwrap();
    sim.clock().freeze();
    let dc = sim.data_center("jira").context_path("/jira").user(USER);
    let key = LinkKey::generate().unwrap();
    let link = dc.application_link("sync", &key).callback(CALLBACK);
    let client = client(&sim, &[dc.host()]);
    World {
        sim,
        dc,
        key,
        link,
        client,
    }
}

/// Percent-encoding of RFC 5849, section 3.6.
fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// The pairs of a form.
fn pairs(text: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect()
}

impl World {
    /// The header of a signed request of this consumer.
    fn header(&self, method: &str, url: &str, more: &[(&str, &str)]) -> String {
        self.header_as("sync", &self.key, method, url, more)
    }

    fn header_as(
        &self,
        consumer: &str,
        key: &LinkKey,
        method: &str,
        url: &str,
        more: &[(&str, &str)],
    ) -> String {
        let timestamp = self.sim.clock().now().timestamp().to_string();
        let nonce = format!("n{}", self.sim.calls().len());
        let mut pairs = vec![
            ("oauth_consumer_key", consumer),
            ("oauth_nonce", &nonce),
            ("oauth_signature_method", "RSA-SHA1"),
            ("oauth_timestamp", &timestamp),
        ];
        pairs.extend(more);
        let mut encoded: Vec<_> = pairs
            .iter()
            .map(|(name, value)| (escape(name), escape(value)))
            .collect();
        encoded.sort();
        let list: Vec<_> = encoded.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let text = [method, url, &list.join("&")].map(escape).join("&");
        let key = PrivateKey::from_pkcs8_pem(&key.private_pem()).unwrap();
        let digest = Sha1::digest(text.as_bytes());
        let signature = key.sign(Pkcs1v15Sign::new::<Sha1>(), &digest).unwrap();
        encoded.push((
            "oauth_signature".into(),
            escape(&STANDARD.encode(signature)),
        ));
        let list: Vec<_> = encoded
            .iter()
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        format!("OAuth {}", list.join(", "))
    }

    fn servlet(&self, name: &str) -> String {
        format!("{}/plugins/servlet/oauth/{name}", self.dc.url())
    }

    async fn send(&self, url: &str, header: &str) -> Answer {
        let request = self.client.post(url).header(AUTHORIZATION, header);
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer {
            status,
            headers,
            text: response.text().await.unwrap(),
        }
    }

    async fn signed(&self, servlet: &str, more: &[(&str, &str)]) -> Answer {
        let url = self.servlet(servlet);
        let header = self.header("POST", &url, more);
        self.send(&url, &header).await
    }

    async fn request_token(&self, callback: &str) -> String {
        let answer = self
            .signed("request-token", &[("oauth_callback", callback)])
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let told = pairs(&answer.text);
        assert_eq!(told["oauth_callback_confirmed"], "true");
        assert!(!told["oauth_token_secret"].is_empty());
        told["oauth_token"].clone()
    }

    fn page(&self, token: &str) -> String {
        format!("{}?oauth_token={token}", self.servlet("authorize"))
    }

    fn allow(&self, token: &str) -> Landing {
        self.sim.person(USER).accept(&self.page(token))
    }

    async fn access(&self, token: &str, verifier: &str) -> Answer {
        let more = [("oauth_token", token), ("oauth_verifier", verifier)];
        self.signed("access-token", &more).await
    }
}

fn problem(answer: &Answer) -> (u16, String) {
    let told = pairs(&answer.text);
    let word = told.get("oauth_problem").cloned();
    assert!(answer.header("www-authenticate").starts_with("OAuth "));
    (answer.status, word.unwrap_or_default())
}

#[tokio::test]
async fn the_token_at_the_end_signs_ordinary_calls() {
    let w = world();
    let token = w.request_token(CALLBACK).await;
    let landing = w.allow(&token);
    assert!(landing.callback().unwrap().starts_with(CALLBACK));
    let back = landing.parameter("oauth_token");
    assert_eq!(back.as_deref(), Some(token.as_str()));
    let verifier = landing.verifier().unwrap();
    let answer = w.access(&token, &verifier).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let told = pairs(&answer.text);
    for (name, value) in [
        ("oauth_expires_in", "157680000"),
        ("oauth_authorization_expires_in", "160272000"),
    ] {
        assert_eq!(told[name], value);
    }
    let url = format!("{}/rest/api/2/myself", w.dc.url());
    let access = told["oauth_token"].as_str();
    let header = w.header("GET", &url, &[("oauth_token", access)]);
    let myself = get(&w.client, &url, &header).await;
    assert_eq!(myself.status, 200, "{}", myself.text);
    assert_eq!(myself.json()["name"], USER);

    let again = w.access(&token, &verifier).await;
    assert_eq!(problem(&again), (401, "token_used".to_owned()));
    let counts = w.sim.consent_counts();
    assert_eq!((counts.pages, counts.codes, counts.declined), (1, 1, 0));
    assert_eq!(w.allow(&token).callback(), None);
}

/// Over the network, as a browser does it.
#[tokio::test]
async fn a_browser_gets_a_page_and_reads_the_verifier_from_another() {
    let w = world();
    let token = w.request_token("oob").await;
    let url = w.page(&token);
    let page = get(&w.client, &url, "").await;
    assert_eq!(page.status, 200);
    for shown in ["sync", "value=\"robot\"", ">Allow<", ">Deny<"] {
        assert!(page.text.contains(shown), "{shown}: {}", page.text);
    }
    let unknown = [("account", "nobody"), ("decision", "accept")];
    assert_eq!(post(&w.client, &url, &unknown).await.status, 400);
    let form = [("account", USER), ("decision", "accept")];
    let shown = post(&w.client, &url, &form).await;
    assert_eq!((shown.status, shown.header("location")), (200, ""));
    let html = Landing::Page {
        status: 200,
        html: shown.text,
    };
    let answer = w.access(&token, &html.verifier().unwrap()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test]
async fn callbacks_are_exact() {
    let w = world();
    let slash = format!("{CALLBACK}/");
    for wrong in [slash.as_str(), "http://127.0.0.1:9/callback", "", "OOB"] {
        let answer = w
            .signed("request-token", &[("oauth_callback", wrong)])
            .await;
        let expected = (400, "parameter_rejected".to_owned());
        assert_eq!(problem(&answer), expected, "{wrong}");
    }
    let absent = w.signed("request-token", &[]).await;
    assert_eq!(problem(&absent), (400, "parameter_absent".to_owned()));
    assert!(!w.link.consumer_key().is_empty());
}

/// Without a registered callback the request token names its own.
#[tokio::test]
async fn a_link_without_a_callback_takes_any_address() {
    let w = world();
    let link = w.dc.application_link("free", &w.key);
    let url = w.servlet("request-token");
    for (callback, status) in [(CALLBACK, 200), ("javascript:alert(1)", 400)] {
        let more = [("oauth_callback", callback)];
        let header = w.header_as(link.consumer_key(), &w.key, "POST", &url, &more);
        assert_eq!(w.send(&url, &header).await.status, status, "{callback}");
    }
}

#[tokio::test]
async fn request_tokens_need_a_good_signature() {
    let w = world();
    let url = w.servlet("request-token");
    let more = [("oauth_callback", CALLBACK)];
    let other = LinkKey::generate().unwrap();
    for (consumer, key, method, word) in [
        ("sync", &other, "POST", "signature_invalid"),
        ("sync", &w.key, "GET", "signature_invalid"),
        ("nobody", &w.key, "POST", "consumer_key_unknown"),
    ] {
        let header = w.header_as(consumer, key, method, &url, &more);
        let answer = w.send(&url, &header).await;
        assert_eq!(
            problem(&answer),
            (401, word.to_owned()),
            "{consumer} {method}"
        );
    }
    let unsigned = w.send(&url, "").await;
    assert_eq!(problem(&unsigned), (400, "parameter_absent".to_owned()));
    assert_eq!(get(&w.client, &url, "").await.status, 405);
}

#[tokio::test]
async fn access_tokens_need_a_consent_and_its_verifier() {
    let w = world();
    let token = w.request_token(CALLBACK).await;
    let early = w.access(&token, "x").await;
    assert_eq!(problem(&early), (401, "permission_unknown".to_owned()));
    let verifier = w.allow(&token).verifier().unwrap();
    for (token, verifier) in [(token.as_str(), "wrong"), ("unknown", &verifier)] {
        let answer = w.access(token, verifier).await;
        assert_eq!(problem(&answer), (401, "token_rejected".to_owned()));
    }
    let absent = w.signed("access-token", &[("oauth_token", &token)]).await;
    assert_eq!(problem(&absent), (400, "parameter_absent".to_owned()));

    let other = LinkKey::generate().unwrap();
    let foreign = w.dc.application_link("other", &other);
    let url = w.servlet("access-token");
    let more = [
        ("oauth_token", token.as_str()),
        ("oauth_verifier", &verifier),
    ];
    let header = w.header_as(foreign.consumer_key(), &other, "POST", &url, &more);
    let answer = w.send(&url, &header).await;
    assert_eq!(problem(&answer), (401, "token_rejected".to_owned()));
    let stolen = w.header_as("sync", &other, "POST", &url, &more);
    let answer = w.send(&url, &stolen).await;
    assert_eq!(problem(&answer), (401, "signature_invalid".to_owned()));
    assert_eq!(w.access(&token, &verifier).await.status, 200);
}

#[tokio::test]
async fn a_user_who_denies_gives_nothing() {
    let w = world();
    let token = w.request_token(CALLBACK).await;
    let landing = w.sim.person(USER).decline(&w.page(&token));
    assert_eq!(landing.verifier().as_deref(), Some("denied"));
    let answer = w.access(&token, "denied").await;
    assert_eq!(problem(&answer), (401, "permission_denied".to_owned()));

    let token = w.request_token("oob").await;
    let landing = w.sim.person(USER).decline(&w.page(&token));
    assert!(matches!(landing, Landing::Page { status: 200, .. }));
    assert_eq!(landing.verifier(), None);
    assert_eq!(w.sim.consent_counts().declined, 2);
}

#[tokio::test]
async fn request_tokens_live_ten_minutes() {
    let w = world();
    let token = w.request_token(CALLBACK).await;
    let verifier = w.allow(&token).verifier().unwrap();
    let unanswered = w.request_token(CALLBACK).await;
    w.sim.clock().advance(TimeDelta::minutes(10));
    let answer = w.access(&token, &verifier).await;
    assert_eq!(problem(&answer), (401, "token_expired".to_owned()));
    for token in [unanswered.as_str(), "unknown"] {
        let landing = w.allow(token);
        assert!(
            matches!(landing, Landing::Page { status: 400, .. }),
            "{token}"
        );
    }
}
