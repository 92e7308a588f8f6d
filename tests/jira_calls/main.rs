//! Calls to a simulated Jira over real HTTPS: what is made of every kind of answer, and of none.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test")]

mod proxied;
mod safety;
mod support;

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atlassian_sim::{Canned, Fault, Rule, UserState};
use chrono::TimeDelta;
use jira_credential_operator::api::{Account, Hosting};
use jira_credential_operator::clock::Clock;
use jira_credential_operator::core::probe::{Outage, Refusal, Verdict};
use jira_credential_operator::jira::{Credential, Jira, JiraConfig, Observer, Urgency};

use support::{Server, basic, config, jira, noon, simulator, site};

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
        display_name: Some("Bot".to_owned()),
        user_name: Some("bot@acme.example".to_owned()),
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
        (Fault::GarbageJson, Outage::BrokenJson),
        (text, Outage::NotJson),
        (Fault::Canned(no_user), Outage::NotAUser),
        (redirect, Outage::SingleSignOn),
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

/// Until when the site gets no calls.
fn rests(jira: &Jira, server: &Server) -> Option<chrono::DateTime<chrono::Utc>> {
    let wait = jira.site_wait(&server.site(), Urgency::Routine);
    wait.map(|wait| wait.until)
}

#[tokio::test]
async fn a_site_that_asks_for_rest_gets_it() {
    let server = Server::start();
    let clock = Clock::standing_at(noon());
    let jira = Jira::new(config(), clock.clone()).unwrap();
    assert_eq!(rests(&jira, &server), None);
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
    assert_eq!(rests(&jira, &server), Some(noon() + TimeDelta::seconds(90)));
    clock.advance(TimeDelta::seconds(80));
    assert_eq!(server.ask(&jira).await, limited(10));
    assert_eq!(server.sim.calls().len(), 1);
    clock.advance(TimeDelta::seconds(10));
    assert_eq!(server.ask(&jira).await, server.bot());
    assert_eq!(server.sim.calls().len(), 2);
    assert_eq!(rests(&jira, &server), None);
}
