//! Application links: what a signed request must be like, and what it hears if it is not.

#![allow(clippy::unwrap_used, reason = "a test file")]

mod support;

use atlassian_sim::{
    AccessToken, ApplicationLink, Config, DataCenter, LinkKey, Sim, UserState, Verdict,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::{Pkcs1v15Sign, PrivateKey};
use sha1::{Digest as _, Sha1};
use support::{Answer, client, get};

const USER: &str = "robot";
const PATH: &str = "/jira/rest/api/2/myself";

struct World {
    sim: Sim,
    dc: DataCenter,
    key: LinkKey,
    link: ApplicationLink,
    access: AccessToken,
    client: reqwest::Client,
}

/// What a request says of itself; changed in one place at a time.
#[derive(Clone)]
struct Claim {
    consumer: String,
    token: String,
    method: &'static str,
    version: &'static str,
    timestamp: i64,
    nonce: String,
    /// Path and query that are signed, where they are not those that are asked.
    address: Option<String>,
}

fn world() -> World {
    let sim = Sim::start_blocking(Config::default()).unwrap();
    sim.clock().freeze();
    let dc = sim.data_center("jira").context_path("/jira").user(USER);
    let key = LinkKey::generate().unwrap();
    let link = dc.application_link("sync", &key);
    let access = link.authorize(USER);
    let client = client(&sim, &[dc.host()]);
    World {
        sim,
        dc,
        key,
        link,
        access,
        client,
    }
}

impl World {
    fn claim(&self, nonce: &str) -> Claim {
        Claim {
            consumer: "sync".into(),
            token: self.access.token.secret().into(),
            method: "RSA-SHA1",
            version: "1.0",
            timestamp: self.sim.clock().now().timestamp(),
            nonce: nonce.into(),
            address: None,
        }
    }

    /// The header for `/myself`, over a base string that is written out.
    fn header(&self, claim: &Claim, key: &LinkKey) -> String {
        let Claim {
            consumer,
            token,
            method,
            version,
            timestamp,
            nonce,
            ..
        } = claim;
        let origin = format!("https%3A%2F%2Fjira.dc.localhost%3A{}", self.sim.port());
        let path = PATH.replace('/', "%2F");
        let address = claim.address.clone().unwrap_or(format!("{origin}{path}"));
        let text = format!(
            "GET&{address}&oauth_consumer_key%3D{consumer}%26oauth_nonce%3D{nonce}%26\
             oauth_signature_method%3D{method}%26oauth_timestamp%3D{timestamp}%26\
             oauth_token%3D{token}%26oauth_version%3D{version}"
        );
        let key = PrivateKey::from_pkcs8_pem(&key.private_pem()).unwrap();
        let digest = Sha1::digest(text.as_bytes());
        let signature = key.sign(Pkcs1v15Sign::new::<Sha1>(), &digest).unwrap();
        let signature = STANDARD.encode(signature).replace('+', "%2B");
        let signature = signature.replace('/', "%2F").replace('=', "%3D");
        format!(
            "OAuth realm=\"x\", oauth_consumer_key=\"{consumer}\", oauth_token=\"{token}\", \
             oauth_signature_method=\"{method}\", oauth_timestamp=\"{timestamp}\", \
             oauth_nonce=\"{nonce}\", oauth_version=\"{version}\", \
             oauth_signature=\"{signature}\""
        )
    }

    async fn send(&self, header: &str) -> (Answer, Verdict) {
        let url = format!("https://{}:{}{PATH}", self.dc.host(), self.sim.port());
        let answer = get(&self.client, &url, header).await;
        (answer, self.sim.calls().last().unwrap().verdict)
    }

    /// What comes of a request, in a word.
    async fn ask(&self, claim: &Claim) -> (u16, String, Verdict) {
        let (answer, verdict) = self.send(&self.header(claim, &self.key)).await;
        (answer.status, word(&answer), verdict)
    }
}

fn word(answer: &Answer) -> String {
    let rest = answer.text.strip_prefix("oauth_problem=").unwrap_or("");
    let word = rest.split('&').next().unwrap_or("").to_owned();
    let challenge = answer.header("www-authenticate");
    let said = format!("oauth_problem=\"{word}\"");
    assert!(word.is_empty() || challenge.contains(&said), "{challenge}");
    word
}

#[tokio::test]
async fn a_signed_request_is_somebody() {
    let w = world();
    let (answer, verdict) = w.send(&w.header(&w.claim("n1"), &w.key)).await;
    assert_eq!((answer.status, verdict), (200, Verdict::Accepted));
    assert_eq!(answer.json()["name"], USER);
    let call = w.sim.calls().last().cloned().unwrap();
    assert_eq!(call.scheme, Some("oauth"));
    assert_eq!(call.token_id.as_deref(), Some(w.access.token.id()));
    assert_eq!(call.user.as_deref(), Some(USER));
    let life = w.sim.expiry(&w.access.token).unwrap() - w.sim.clock().now();
    assert_eq!(life, TimeDelta::seconds(157_680_000));
    assert_eq!(w.access.token_secret().len(), 32);
}

#[tokio::test]
async fn each_thing_that_is_wrong_has_its_word() {
    let w = world();
    let good = w.claim("n");
    let now = good.timestamp;
    let with = |nonce: &str, change: &dyn Fn(&mut Claim)| {
        let mut claim = w.claim(nonce);
        change(&mut claim);
        claim
    };
    let other = w.dc.application_link("other", &w.key);
    let elsewhere = format!("https%3A%2F%2Fproxy.example{}", PATH.replace('/', "%2F"));
    for (claim, status, word, verdict) in [
        (good.clone(), 200, "", Verdict::Accepted),
        (good, 401, "nonce_used", Verdict::NonceUsed),
        (
            with("a", &|c| c.timestamp = now - 300),
            200,
            "",
            Verdict::Accepted,
        ),
        (
            with("b", &|c| c.timestamp = now + 300),
            200,
            "",
            Verdict::Accepted,
        ),
        (
            with("c", &|c| c.timestamp = now - 301),
            400,
            "timestamp_refused",
            Verdict::TimestampRefused,
        ),
        (
            with("d", &|c| c.timestamp = now + 301),
            400,
            "timestamp_refused",
            Verdict::TimestampRefused,
        ),
        (
            with("e", &|c| c.consumer = "nobody".into()),
            401,
            "consumer_key_unknown",
            Verdict::ConsumerUnknown,
        ),
        (
            with("f", &|c| c.consumer = other.consumer_key().into()),
            401,
            "token_rejected",
            Verdict::Rejected,
        ),
        (
            with("g", &|c| c.token = "nothing".into()),
            401,
            "token_rejected",
            Verdict::Rejected,
        ),
        (
            with("h", &|c| c.method = "HMAC-SHA1"),
            400,
            "signature_method_rejected",
            Verdict::SignatureInvalid,
        ),
        (
            with("i", &|c| c.version = "2.0"),
            400,
            "version_rejected",
            Verdict::Malformed,
        ),
        (
            with("j", &|c| c.address = Some(elsewhere.clone())),
            401,
            "signature_invalid",
            Verdict::SignatureInvalid,
        ),
    ] {
        assert_eq!(w.ask(&claim).await, (status, word.to_owned(), verdict));
    }
}

#[tokio::test]
async fn what_ends_a_token_and_a_link() {
    let w = world();
    let pasted = LinkKey::generate().unwrap();
    let (answer, _) = w.send(&w.header(&w.claim("1"), &pasted)).await;
    assert_eq!(word(&answer), "signature_invalid");
    assert!(answer.text.contains("oauth_signature_base_string=GET%26"));
    w.link.set_key(&pasted);
    let (answer, _) = w.send(&w.header(&w.claim("2"), &pasted)).await;
    assert_eq!(answer.status, 200);
    w.link.set_key(&w.key);
    w.dc.set_user_state(USER, UserState::Deactivated);
    assert_eq!(w.ask(&w.claim("3")).await.0, 401);
    w.dc.set_user_state(USER, UserState::Active);
    w.link.remove();
    assert_eq!(w.ask(&w.claim("4")).await.1, "consumer_key_unknown");
    w.link.set_key(&w.key);
    w.sim.clock().advance(TimeDelta::seconds(157_680_000));
    assert_eq!(w.ask(&w.claim("5")).await.1, "token_expired");
    w.sim.never_expire(&w.access.token);
    assert_eq!(w.ask(&w.claim("6")).await.0, 200);
    w.sim.revoke(&w.access.token);
    assert_eq!(w.ask(&w.claim("7")).await.1, "token_revoked");
}

#[tokio::test]
async fn what_is_not_signed_is_nobody() {
    let w = world();
    let whole = w.header(&w.claim("1"), &w.key);
    for name in [
        "oauth_consumer_key",
        "oauth_token",
        "oauth_nonce",
        "oauth_timestamp",
    ] {
        let cut = whole.replace(&format!("{name}="), "oauth_nothing=");
        let (answer, verdict) = w.send(&cut).await;
        assert_eq!((answer.status, verdict), (400, Verdict::Malformed));
        assert_eq!(word(&answer), "parameter_absent");
        assert!(answer.text.contains(name), "{}", answer.text);
    }
    for header in [w.access.token.bearer(), "OAuth realm=x".to_owned()] {
        let (answer, verdict) = w.send(&header).await;
        assert_eq!((answer.status, verdict), (401, Verdict::Rejected));
    }
}

#[tokio::test]
async fn jira_verifies_against_its_base_url() {
    let w = world();
    w.dc.configure(|settings| settings.base_url = Some("https://Proxy.example:443/jira".into()));
    assert_eq!(w.ask(&w.claim("1")).await.1, "signature_invalid");
    let mut claim = w.claim("2");
    claim.address = Some(format!(
        "https%3A%2F%2Fproxy.example{}",
        PATH.replace('/', "%2F")
    ));
    assert_eq!(w.ask(&claim).await.0, 200);
    assert!(
        w.key
            .private_pem_pkcs1()
            .starts_with("-----BEGIN RSA PRIVATE KEY-----\n")
    );
    assert!(w.key.public_pem().ends_with("-----END PUBLIC KEY-----\n"));
    let debug = format!("{:?} {:?}", w.key, w.access);
    assert!(!debug.contains(w.access.token.secret()), "{debug}");
    assert!(!debug.contains(w.access.token_secret()), "{debug}");
}
