//! Calls to a simulated Jira over real HTTPS: what is trusted, where a credential goes, and what
//! is made of every kind of answer and of none.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fmt::Write as _;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atlassian_sim::{Canned, Config, DataCenter, Fault, Rule, Sim, Token, UserState};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use jira_credential_operator::api::{Account, Hosting};
use jira_credential_operator::clock::Clock;
use jira_credential_operator::core::answer::{Forbidden, Outage, Refusal, Verdict};
use jira_credential_operator::core::site::Site;
use jira_credential_operator::jira::{
    AddressPolicy, Credential, Jira, JiraConfig, Observer, Timeouts,
};

const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1"];

fn simulator() -> Sim {
    Sim::start_blocking(Config::default()).unwrap()
}

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_793_880_000, 0).unwrap()
}

/// Loopback is allowed, and waits are short.
fn config() -> JiraConfig {
    JiraConfig {
        addresses: AddressPolicy::parse(LOOPBACK).unwrap(),
        timeouts: Timeouts {
            resolve: Duration::from_millis(300),
            connect: Duration::from_secs(5),
            read: Duration::from_millis(400),
            total: Duration::from_millis(1200),
            ..Timeouts::default()
        },
        ..JiraConfig::default()
    }
}

fn jira(config: JiraConfig) -> Jira {
    Jira::new(config, Clock::standing_at(noon())).unwrap()
}

fn site(hosting: Hosting, url: &str, host: &str) -> Site {
    Site {
        hosting,
        base: url.to_owned(),
        host: host.to_owned(),
    }
}

fn basic(user: &str, secret: &str) -> Credential {
    Credential::Basic {
        user: user.to_owned(),
        secret: secret.to_owned().into(),
    }
}

/// A Data Center behind the simulator's own authority, and a good token of `bot`.
struct Server {
    sim: Sim,
    dc: DataCenter,
    token: Token,
}

impl Server {
    fn start() -> Self {
        let sim = simulator();
        let dc = sim.data_center("jira");
        let token = dc.pat("bot");
        Self { sim, dc, token }
    }

    fn site(&self) -> Site {
        site(Hosting::DataCenter, &self.dc.url(), self.dc.host())
    }

    fn bearer(&self) -> Credential {
        Credential::Bearer(self.token.secret().to_owned().into())
    }

    async fn ask(&self, jira: &Jira) -> Verdict {
        jira.whoami(
            &self.site(),
            Some(self.sim.ca_pem().as_bytes()),
            &self.bearer(),
        )
        .await
    }

    fn bot(&self) -> Verdict {
        Verdict::Accepted(Account {
            id: self.dc.user_key("bot"),
            kind: None,
        })
    }
}

#[derive(Default)]
struct Seen(Mutex<Vec<(&'static str, &'static str)>>);

impl Observer for Seen {
    fn call(&self, operation: &'static str, outcome: &'static str, seconds: f64) {
        assert!((0.0..60.0).contains(&seconds));
        self.0.lock().unwrap().push((operation, outcome));
    }
}

#[tokio::test]
async fn good_credentials_of_both_hostings_are_accepted() {
    let server = Server::start();
    let acme = server.sim.cloud_site("acme");
    let token = acme.api_token("bot@acme.example");
    let seen = Arc::new(Seen::default());
    let jira = jira(JiraConfig {
        extra_ca_pem: Some(server.sim.ca_pem().as_bytes().to_vec()),
        observer: Some(Arc::clone(&seen) as Arc<dyn Observer>),
        ..config()
    });

    let cloud = site(Hosting::Cloud, &acme.url(), acme.host());
    let credential = basic("bot@acme.example", token.secret());
    let account = Account {
        id: acme.account_id("bot@acme.example"),
        kind: Some("atlassian".to_owned()),
    };
    assert_eq!(
        jira.whoami(&cloud, None, &credential).await,
        Verdict::Accepted(account)
    );
    server.sim.revoke(&token);
    let rejected = Verdict::Refused(Refusal::Rejected);
    assert_eq!(jira.whoami(&cloud, None, &credential).await, rejected);

    assert_eq!(
        jira.whoami(&server.site(), None, &server.bearer()).await,
        server.bot()
    );
    let password = server.dc.new_password("bot");
    let good = basic("bot", &password);
    assert_eq!(jira.whoami(&server.site(), None, &good).await, server.bot());

    let paths: Vec<_> = server
        .sim
        .calls()
        .into_iter()
        .map(|call| call.path)
        .collect();
    let (cloud, data_center) = ("/rest/api/3/myself", "/rest/api/2/myself");
    assert_eq!(paths, [cloud, cloud, data_center, data_center]);
    let seen = seen.0.lock().unwrap();
    let outcomes: Vec<_> = seen
        .iter()
        .map(|(operation, outcome)| (*operation, *outcome))
        .collect();
    let accepted = ("myself", "accepted");
    assert_eq!(
        outcomes,
        [accepted, ("myself", "rejected"), accepted, accepted]
    );
}

#[tokio::test]
async fn a_context_path_belongs_to_the_site() {
    let sim = simulator();
    let server = sim.data_center("jira").context_path("/jira");
    let credential = Credential::Bearer(server.pat("bot").secret().to_owned().into());
    let verdict = jira(config())
        .whoami(
            &site(Hosting::DataCenter, &server.url(), server.host()),
            Some(sim.ca_pem().as_bytes()),
            &credential,
        )
        .await;
    assert!(matches!(verdict, Verdict::Accepted(_)), "{verdict:?}");
    assert_eq!(sim.calls().pop().unwrap().path, "/jira/rest/api/2/myself");
}

#[tokio::test]
async fn a_captcha_and_a_switched_off_method_are_told_from_a_wrong_password() {
    let server = Server::start();
    server.dc.set_password("bot", "right-password");
    let jira = jira(config());
    let ca = server.sim.ca_pem().to_owned();
    let ask = async |password: &str| {
        jira.whoami(&server.site(), Some(ca.as_bytes()), &basic("bot", password))
            .await
    };
    for _ in 0..3 {
        assert_eq!(
            ask("wrong-password").await,
            Verdict::Refused(Refusal::Rejected)
        );
    }
    assert_eq!(
        ask("right-password").await,
        Verdict::Refused(Refusal::CaptchaRequired)
    );
    server.dc.solve_captcha("bot");
    assert_eq!(ask("right-password").await, server.bot());
    server.dc.configure(|settings| settings.basic = Some(false));
    assert_eq!(
        ask("right-password").await,
        Verdict::Refused(Refusal::BasicAuthDisabled)
    );
    server.dc.set_user_state("bot", UserState::Deactivated);
    let verdict = server.ask(&jira).await;
    assert!(matches!(verdict, Verdict::Refused(_)), "{verdict:?}");
}

#[tokio::test]
async fn every_way_to_get_no_answer_is_an_outage() {
    let server = Server::start();
    let redirect = Fault::Redirect {
        status: 302,
        location: format!("{}/login.jsp", server.dc.url()),
    };
    let text = Fault::WrongContentType {
        content_type: "text/plain".to_owned(),
    };
    let slow = Fault::SlowBody {
        chunk: 1,
        millis: 100,
    };
    let no_user = Canned {
        status: 200,
        headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
        body: "{}".to_owned(),
    };
    for (fault, outage) in [
        (Fault::TlsUnknownCa, Outage::Certificate),
        (Fault::TlsWrongName, Outage::Certificate),
        (Fault::TlsExpired, Outage::Certificate),
        (Fault::DropBefore, Outage::ConnectionLost),
        (Fault::DropAfter, Outage::ConnectionLost),
        (Fault::TruncatedBody, Outage::ConnectionLost),
        (Fault::HangBefore, Outage::Timeout),
        (Fault::HangAfter, Outage::Timeout),
        (slow, Outage::Timeout),
        (Fault::EndlessBody, Outage::TooLarge),
        (Fault::HtmlPage, Outage::NotJson),
        (Fault::GarbageJson, Outage::NotJson),
        (text, Outage::NotJson),
        (Fault::Canned(no_user), Outage::NotAUser),
        (redirect, Outage::Redirect),
        (Fault::ServerError { status: 502 }, Outage::ServerError(502)),
        (
            Fault::Unavailable { retry_after: None },
            Outage::ServerError(503),
        ),
    ] {
        // With a connection of its own, so that a fault of the handshake strikes.
        let jira = jira(config());
        let handle = server.sim.fault(Rule::new(fault.clone()).once());
        let calls = server.sim.calls().len();
        assert_eq!(
            server.ask(&jira).await,
            Verdict::NoVerdict(outage),
            "{fault:?}"
        );
        assert_eq!(handle.hits(), 1, "{fault:?}");
        assert!(
            server.sim.calls().len() <= calls + 1,
            "called again after {fault:?}"
        );
        server.sim.clear_faults();
        assert_eq!(server.ask(&jira).await, server.bot(), "after {fault:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_told_apart() {
    let server = Server::start();
    let jira = jira(config());
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let ask = async |base: String, host: &str| {
        let site = site(Hosting::DataCenter, &base, host);
        jira.whoami(&site, None, &server.bearer()).await
    };
    let connect = ask(format!("https://jira.localhost:{closed}"), "jira.localhost").await;
    assert_eq!(connect, Verdict::NoVerdict(Outage::Connect));
    let dns = ask("https://jira.invalid".to_owned(), "jira.invalid").await;
    assert_eq!(dns, Verdict::NoVerdict(Outage::Dns));
    server.sim.fault(Rule::new(Fault::TlsAbort).once());
    let aborted = server.ask(&jira).await;
    assert!(
        matches!(aborted, Verdict::NoVerdict(Outage::Connect | Outage::Tls)),
        "{aborted:?}"
    );
}

#[tokio::test]
async fn a_name_that_points_to_loopback_is_not_connected_to() {
    let server = Server::start();
    let jira = jira(JiraConfig {
        addresses: AddressPolicy::default(),
        ..config()
    });
    assert_eq!(
        server.ask(&jira).await,
        Verdict::NotAllowed(Forbidden::Loopback)
    );
    // Nor is an address in place of a name, which would meet no resolver.
    let port = server.sim.port();
    for host in ["127.0.0.1", "[::1]", "0x7f.1", "2130706433"] {
        let site = site(Hosting::DataCenter, &format!("https://{host}:{port}"), host);
        let verdict = jira.whoami(&site, None, &server.bearer()).await;
        assert!(
            matches!(verdict, Verdict::NotAllowed(_)),
            "{host}: {verdict:?}"
        );
    }
    assert_eq!(server.sim.counters().handshakes, 0);
}

#[tokio::test]
async fn plain_http_is_never_spoken() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let base = format!(
        "http://jira.localhost:{}",
        listener.local_addr().unwrap().port()
    );
    let site = site(Hosting::DataCenter, &base, "jira.localhost");
    let verdict = jira(config())
        .whoami(&site, None, &basic("bot", "password"))
        .await;
    assert!(
        !matches!(verdict, Verdict::Accepted(_) | Verdict::Refused(_)),
        "{verdict:?}"
    );
    assert!(listener.accept().is_err(), "somebody connected");
}

#[tokio::test]
async fn the_trust_of_one_credential_does_not_reach_another() {
    let server = Server::start();
    let jira = jira(config());
    assert_eq!(server.ask(&jira).await, server.bot());
    // Same site, open connections and all, but without the authority.
    let certificate = Verdict::NoVerdict(Outage::Certificate);
    assert_eq!(
        jira.whoami(&server.site(), None, &server.bearer()).await,
        certificate
    );
    // Atlassian's cloud has public certificates: a private authority counts for nothing there.
    let acme = server.sim.cloud_site("acme");
    let cloud = site(Hosting::Cloud, &acme.url(), acme.host());
    let credential = basic(
        "bot@acme.example",
        acme.api_token("bot@acme.example").secret(),
    );
    let ca = server.sim.ca_pem().as_bytes();
    assert_eq!(
        jira.whoami(&cloud, Some(ca), &credential).await,
        certificate
    );
    let bad = jira
        .whoami(&server.site(), Some(b"not PEM"), &server.bearer())
        .await;
    assert_eq!(bad, Verdict::NoVerdict(Outage::BadCaBundle));
}

#[tokio::test]
async fn a_site_that_asks_for_rest_gets_it() {
    let server = Server::start();
    let clock = Clock::standing_at(noon());
    let jira = Jira::new(config(), clock.clone()).unwrap();
    assert_eq!(jira.cooling_until(&server.site()), None);
    let fault = Fault::RateLimit {
        retry_after: Some(90),
        html: true,
    };
    server.sim.fault(Rule::new(fault).once());
    let limited = |seconds| {
        let retry_after = Some(Duration::from_secs(seconds));
        Verdict::NoVerdict(Outage::RateLimited { retry_after })
    };
    assert_eq!(server.ask(&jira).await, limited(90));
    assert_eq!(
        jira.cooling_until(&server.site()),
        Some(noon() + TimeDelta::seconds(90))
    );
    clock.advance(TimeDelta::seconds(80));
    assert_eq!(server.ask(&jira).await, limited(10));
    assert_eq!(server.sim.calls().len(), 1);
    clock.advance(TimeDelta::seconds(10));
    assert_eq!(server.ask(&jira).await, server.bot());
    assert_eq!(server.sim.calls().len(), 2);
    assert_eq!(jira.cooling_until(&server.site()), None);
}

#[tokio::test]
async fn a_site_gets_no_more_calls_at_a_time_than_configured() {
    let server = Server::start();
    let timeouts = Timeouts {
        read: Duration::from_secs(20),
        ..Timeouts::default()
    };
    let jira = jira(JiraConfig {
        concurrency: 2,
        timeouts,
        ..config()
    });
    let hang = server.sim.fault(Rule::new(Fault::HangBefore));
    let calls = futures::future::join_all((0..6).map(|_| server.ask(&jira)));
    let release = async {
        hang.reached(2).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert_eq!(hang.hits(), 2);
        hang.remove();
        hang.release();
    };
    let (verdicts, ()) = tokio::join!(calls, release);
    assert_eq!(verdicts, vec![server.bot(); 6]);
}

#[tokio::test]
async fn what_cannot_be_sent_is_not_sent() {
    let server = Server::start();
    let jira = jira(config());
    let broken = Credential::Bearer(format!("{}\n", server.token.secret()).into());
    assert!(!broken.is_sendable());
    let verdict = jira.whoami(&server.site(), None, &broken).await;
    assert_eq!(verdict, Verdict::Refused(Refusal::Rejected));
    assert_eq!(server.sim.counters().handshakes, 0);
}

#[tokio::test]
async fn an_account_named_like_the_secret_is_not_taken_for_one() {
    let server = Server::start();
    server.dc.set_user_key("bot", server.token.secret());
    let verdict = server.ask(&jira(config())).await;
    assert_eq!(verdict, Verdict::NoVerdict(Outage::NotAUser));
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_printed_or_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // For all tests of this program: what the others log does no harm here.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let server = Server::start();
    let jira = jira(config());
    let password = server.dc.new_password("bot");
    let (bearer, basic) = (server.bearer(), basic("bot", &password));
    let mut printed = format!("{jira:?} {bearer:?} {basic:#?}");
    for fault in [
        None,
        Some(Fault::DropAfter),
        Some(Fault::GarbageJson),
        Some(Fault::HangAfter),
    ] {
        server.sim.clear_faults();
        if let Some(fault) = fault {
            server.sim.fault(Rule::new(fault));
        }
        for credential in [&bearer, &basic] {
            let ca = server.sim.ca_pem().as_bytes();
            let verdict = jira.whoami(&server.site(), Some(ca), credential).await;
            write!(printed, "{verdict:?}").unwrap();
        }
    }
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("called Jira"), "{logged}");
    let pair = STANDARD.encode(format!("bot:{password}"));
    for secret in [server.token.secret(), password.as_str(), pair.as_str()] {
        assert!(!printed.contains(secret) && !logged.contains(secret));
    }
}
