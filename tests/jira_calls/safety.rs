//! Where a credential goes, whom it trusts, and that nothing of it is seen elsewhere.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use atlassian_sim::{Fault, Rule};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jira_credential_operator::api::Hosting;
use jira_credential_operator::core::probe::{Forbidden, Outage, Refusal, Verdict};
use jira_credential_operator::jira::{AddressPolicy, Credential, JiraConfig};

use crate::support::{Server, basic, config, jira, site};

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
