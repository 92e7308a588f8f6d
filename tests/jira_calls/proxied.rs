//! Calls through a proxy: who resolves what, whom TLS is with, and what each failure is taken for.

use std::io::Write as _;
use std::net::{IpAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use atlassian_sim::{ForwardProxy, ProxyAnswer, ProxyTransport};
use chrono::TimeDelta;
use jira_credential_operator::api::Hosting;
use jira_credential_operator::clock::Clock;
use jira_credential_operator::core::probe::token_list::{LookupError, Sought};
use jira_credential_operator::core::probe::{Forbidden, Outage, ProxyFault, Verdict, WaitCause};
use jira_credential_operator::jira::{
    AddressPolicy, Credential, Jira, JiraConfig, Login, LoginAnswer, MintAnswer, Owner, Place,
    Provider, Proxy, Timeouts, TokenAnswer, TokenList, TokenRequest, Urgency,
};
use secrecy::SecretString;

use crate::support::{Server, basic, config, jira, noon, site};

/// A name that nobody on this machine can resolve.
const CLOSED: &str = "jira.closed.invalid";

fn through(url: &str, direct: &[&str], credentials: Option<&PathBuf>) -> JiraConfig {
    let credentials = credentials.map(PathBuf::as_path);
    JiraConfig {
        proxy: Proxy::parse(url, direct, credentials).unwrap(),
        // Nothing local is allowed: what is reached was reached by the proxy.
        addresses: AddressPolicy::default(),
        timeouts: Timeouts {
            read: Duration::from_secs(10),
            total: Duration::from_secs(10),
            ..config().timeouts
        },
        ..config()
    }
}

fn proxy(server: &Server) -> ForwardProxy {
    ForwardProxy::start(&server.sim, 0, ProxyTransport::Plain).unwrap()
}

/// A proxy that wants `robot:right`, and a folder for the file that holds the credentials.
fn strict_proxy(server: &Server) -> (ForwardProxy, tempfile::TempDir) {
    let proxy = proxy(server);
    proxy.require("robot", "right");
    (proxy, tempfile::tempdir().unwrap())
}

/// A Data Center whose name only the proxy knows.
struct Closed {
    server: Server,
    dc: atlassian_sim::DataCenter,
    credential: Credential,
}

impl Closed {
    fn start() -> Self {
        let server = Server::start();
        let dc = server.sim.data_center_at(CLOSED);
        let credential = Credential::Bearer(dc.pat("bot").secret().to_owned().into());
        Self {
            server,
            dc,
            credential,
        }
    }

    async fn ask(&self, jira: &Jira) -> Verdict {
        let site = site(Hosting::DataCenter, &self.dc.url(), CLOSED);
        let ca = self.server.sim.ca_pem().as_bytes();
        jira.whoami(&site, Some(ca), &self.credential).await
    }

    async fn fault(&self, config: JiraConfig) -> Outage {
        match self.ask(&jira(config)).await {
            Verdict::NoVerdict(outage) => outage,
            other => panic!("{other:?}"),
        }
    }
}

fn is_accepted(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Accepted(account) if account.user_name.as_deref() == Some("bot"))
}

#[tokio::test]
async fn a_site_that_only_the_proxy_can_resolve_is_called_through_it() {
    let closed = Closed::start();
    let proxy = proxy(&closed.server);
    assert_eq!(closed.fault(config()).await, Outage::Dns);
    let jira = jira(through(&proxy.url(), &[], None));
    for _ in 0..2 {
        let verdict = closed.ask(&jira).await;
        assert!(is_accepted(&verdict), "{verdict:?}");
    }
    // One tunnel is kept for both calls, and the proxy has heard nothing but its address.
    let connects = proxy.connects();
    let [connect] = connects.as_slice() else {
        panic!("{connects:?}");
    };
    let authority = format!("{CLOSED}:{}", closed.server.sim.port());
    assert_eq!(connect.authority, authority);
    assert_eq!(connect.authorization, None);
    let names: Vec<_> = connect.head.lines().skip(1).collect();
    assert!(
        names.iter().all(|line| {
            line.is_empty() || line.starts_with("Host: ") || line.starts_with("User-Agent: ")
        }),
        "{names:?}"
    );
}

#[tokio::test]
async fn tls_is_with_the_site_and_not_with_the_proxy() {
    let closed = Closed::start();
    let proxy = proxy(&closed.server);
    let jira = jira(through(&proxy.url(), &[], None));
    let site = site(Hosting::DataCenter, &closed.dc.url(), CLOSED);
    // Without the authority of the site.
    let verdict = jira.whoami(&site, None, &closed.credential).await;
    assert_eq!(verdict, Verdict::NoVerdict(Outage::Certificate));
    assert!(closed.server.sim.calls().is_empty());
}

#[tokio::test]
async fn a_proxy_of_https_is_verified_by_the_administrators_authorities_alone() {
    let closed = Closed::start();
    let sim = &closed.server.sim;
    let good = ForwardProxy::start(sim, 0, ProxyTransport::Tls).unwrap();
    let ca = sim.ca_pem().as_bytes().to_vec();
    let with_ca = |url: &str| JiraConfig {
        extra_ca_pem: Some(ca.clone()),
        ..through(url, &[], None)
    };
    let verdict = closed.ask(&jira(with_ca(&good.url()))).await;
    assert!(is_accepted(&verdict), "{verdict:?}");
    let stranger = ForwardProxy::start(sim, 0, ProxyTransport::UnknownAuthority).unwrap();
    let certificate = Outage::Proxy(ProxyFault::Certificate);
    assert_eq!(closed.fault(with_ca(&stranger.url())).await, certificate);
    // The authority of a credential counts for its site, and not for the proxy.
    let without = through(&good.url(), &[], None);
    assert_eq!(closed.fault(without).await, certificate);
    assert_eq!((good.connects().len(), stranger.connects().len()), (1, 0));
}

#[tokio::test]
async fn every_failure_of_the_proxy_is_told_apart() {
    let closed = Closed::start();
    let proxy = proxy(&closed.server);
    let (url, no_credentials) = (proxy.url(), ProxyFault::Unauthorized { sent: false });
    for (answer, expected) in [
        (ProxyAnswer::Status(407), no_credentials),
        (ProxyAnswer::Status(403), ProxyFault::Refused(403)),
        (ProxyAnswer::Status(502), ProxyFault::Failed(502)),
        (ProxyAnswer::Status(504), ProxyFault::Failed(504)),
        (ProxyAnswer::Status(429), ProxyFault::Failed(429)),
        (ProxyAnswer::Close, ProxyFault::Closed),
        (ProxyAnswer::Garbage, ProxyFault::Strange),
    ] {
        proxy.answer(answer);
        let told = closed.fault(through(&url, &[], None)).await;
        assert_eq!(told, Outage::Proxy(expected), "{answer:?}");
        assert!(!told.may_have_arrived(), "{answer:?}");
    }
    proxy.answer(ProxyAnswer::Silence);
    let mut impatient = through(&url, &[], None);
    impatient.timeouts.connect = Duration::from_secs(2);
    let told = closed.fault(impatient).await;
    assert_eq!(told, Outage::Proxy(ProxyFault::Silent));

    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    for (url, expected) in [
        (format!("http://127.0.0.1:{port}"), ProxyFault::Unreachable),
        ("http://proxy.invalid:3128".into(), ProxyFault::Unresolved),
        // Plain HTTP behind a port that should speak TLS.
        (url.replace("http:", "https:"), ProxyFault::Tls),
    ] {
        let told = closed.fault(through(&url, &[], None)).await;
        assert_eq!(told, Outage::Proxy(expected), "{url}");
    }
    assert!(closed.server.sim.calls().is_empty());
}

#[tokio::test]
async fn credentials_for_the_proxy_are_read_for_each_connection() {
    let closed = Closed::start();
    let (proxy, folder) = strict_proxy(&closed.server);
    let file = folder.path().join("credentials");
    std::fs::write(&file, "robot:wrong\n").unwrap();
    let jira = jira(through(&proxy.url(), &[], Some(&file)));
    let wrong = Outage::Proxy(ProxyFault::Unauthorized { sent: true });
    assert_eq!(closed.ask(&jira).await, Verdict::NoVerdict(wrong));
    std::fs::write(&file, "not a pair").unwrap();
    let broken = Outage::Proxy(ProxyFault::NoCredentials);
    assert_eq!(closed.ask(&jira).await, Verdict::NoVerdict(broken));
    std::fs::write(&file, "robot:right").unwrap();
    let verdict = closed.ask(&jira).await;
    assert!(is_accepted(&verdict), "{verdict:?}");
}

/// A renewal that is due.
async fn renew(jira: &Jira) -> Verdict {
    let secret = SecretString::from("secret");
    let request = TokenRequest {
        endpoint: "https://auth.invalid/oauth/token",
        provider: Provider::Atlassian,
        client_id: "client",
        client_secret: &secret,
        refresh_token: Some(&secret),
        attempt: "attempt",
        limit: Duration::from_secs(5),
        until: None,
    };
    match jira.tokens(&request).await {
        TokenAnswer::NoVerdict(outage) => Verdict::NoVerdict(outage),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_wrong_password_of_the_proxy_is_sent_once_for_all_sites_and_seldom_again() {
    let closed = Closed::start();
    let (proxy, folder) = strict_proxy(&closed.server);
    let file = folder.path().join("credentials");
    std::fs::write(&file, "robot:wrong").unwrap();
    let clock = Clock::standing_at(noon());
    let jira = Jira::new(through(&proxy.url(), &[], Some(&file)), clock.clone()).unwrap();
    let wrong = Verdict::NoVerdict(Outage::Proxy(ProxyFault::Unauthorized { sent: true }));
    let other = site(
        Hosting::DataCenter,
        "https://other.invalid",
        "other.invalid",
    );
    let all = || async {
        let credential = basic("bot", "password");
        let (one, two, three) = tokio::join!(
            closed.ask(&jira),
            jira.whoami(&other, None, &credential),
            renew(&jira)
        );
        assert_eq!(
            [one, two, three],
            [wrong.clone(), wrong.clone(), wrong.clone()]
        );
        proxy.connects().len()
    };
    assert_eq!(Box::pin(all()).await, 1);
    for (seconds, connects) in [(119, 1), (1, 2), (239, 2), (1, 3)] {
        clock.advance(TimeDelta::seconds(seconds));
        assert_eq!(Box::pin(all()).await, connects, "{seconds}");
    }
    std::fs::write(&file, "robot:right").unwrap();
    let verdict = closed.ask(&jira).await;
    assert!(is_accepted(&verdict), "{verdict:?}");
}

#[tokio::test]
async fn a_host_of_no_proxy_goes_direct_and_its_address_is_checked() {
    let server = Server::start();
    let proxy = proxy(&server);
    let direct = through(&proxy.url(), &[".dc.localhost"], None);
    let refused = Verdict::NotAllowed(Forbidden::Loopback);
    assert_eq!(server.ask(&jira(direct.clone())).await, refused);
    let allowed = JiraConfig {
        addresses: AddressPolicy::parse(["127.0.0.0/8"]).unwrap(),
        ..direct
    };
    assert_eq!(server.ask(&jira(allowed)).await, server.bot());
    assert!(proxy.connects().is_empty());
}

#[tokio::test]
async fn what_is_an_address_by_its_name_is_refused_through_the_proxy_too() {
    let server = Server::start();
    let proxy = proxy(&server);
    let jira = jira(through(&proxy.url(), &[], None));
    for host in ["169.254.169.254", "127.0.0.1", "[::1]", "jira.localhost"] {
        let site = site(Hosting::DataCenter, &format!("https://{host}"), host);
        let verdict = jira.whoami(&site, None, &basic("bot", "password")).await;
        assert!(
            matches!(verdict, Verdict::NotAllowed(_)),
            "{host}: {verdict:?}"
        );
    }
    assert!(proxy.connects().is_empty());
}

/// Every kind of call, each to a host of its own.
async fn every_kind(jira: &Jira) -> Vec<(&'static str, Verdict)> {
    let secret = SecretString::from("secret");
    let bearer = Credential::Bearer(secret.clone());
    let at = |host: &str| site(Hosting::DataCenter, &format!("https://{host}"), host);
    let place = |site| Place {
        site,
        ca_pem: None,
        limit: Duration::from_secs(5),
        until: None,
    };
    let mut all = Vec::new();
    let whoami = at("whoami.invalid");
    all.push(("whoami", jira.whoami(&whoami, None, &bearer).await));
    let cloud = site(Hosting::Cloud, "https://cloud.invalid", "cloud.invalid");
    all.push(("locate", jira.locate(&cloud).await.unwrap_err()));
    let survey = jira.survey("https://gateway.invalid", &secret).await;
    all.push(("survey", survey.unwrap_err()));
    let tokens = at("tokens.invalid");
    let owner = Owner {
        place: place(&tokens),
        token: &secret,
    };
    let listed = jira.list_tokens(&owner).await.unwrap_err();
    all.push(("list tokens", listed.verdict()));
    let MintAnswer::Silent(minted) = jira.mint(&owner, "name", 1).await else {
        panic!("a token was made");
    };
    all.push(("mint", minted));
    all.push(("revoke", jira.revoke(&owner, "1").await.unwrap_err()));
    let session = at("session.invalid");
    let login = Login {
        place: place(&session),
        user: "robot",
        password: &secret,
    };
    let LoginAnswer::Silent(begun) = jira.log_in(&login).await else {
        panic!("a session was begun");
    };
    all.push(("log in", begun));
    let ended = jira.log_out(&place(&session), &secret).await;
    all.push(("log out", ended.unwrap_err()));
    for (kind, provider) in [
        ("token of Atlassian", Provider::Atlassian),
        (
            "token of Data Center",
            Provider::DataCenter {
                ca_pem: None,
                redirect_uri: None,
                scopes: &[],
            },
        ),
    ] {
        let request = TokenRequest {
            endpoint: "https://auth.invalid/oauth/token",
            provider,
            client_id: "client",
            client_secret: &secret,
            refresh_token: Some(&secret),
            attempt: "attempt",
            limit: Duration::from_secs(5),
            until: None,
        };
        let answer = jira.tokens(&request).await;
        assert!(!answer.may_have_spent(), "{kind}");
        let TokenAnswer::NoVerdict(outage) = answer else {
            panic!("{kind}: {answer:?}");
        };
        all.push((kind, Verdict::NoVerdict(outage)));
    }
    let list = TokenList {
        gateway: "https://admin.invalid",
        organization: "org",
        key: &secret,
        label: "label",
    };
    let sought = Sought {
        account: "account",
        email: None,
        issued_at: None,
        accepted_at: None,
    };
    let Err(LookupError::NoVerdict(outage)) = jira.listed(&list, &sought).await else {
        panic!("the tokens were listed");
    };
    all.push(("look-up of an expiry", Verdict::NoVerdict(outage)));
    all
}

#[tokio::test]
async fn every_kind_of_call_goes_through_the_proxy() {
    let server = Server::start();
    let proxy = proxy(&server);
    proxy.answer(ProxyAnswer::Status(403));
    let jira = jira(through(&proxy.url(), &[], None));
    let all = every_kind(&jira).await;
    for (kind, verdict) in &all {
        let refused = Verdict::NoVerdict(Outage::Proxy(ProxyFault::Refused(403)));
        assert_eq!(verdict, &refused, "{kind}");
    }
    assert_eq!(proxy.connects().len(), all.len());
}

#[tokio::test]
async fn calls_are_paused_when_the_proxy_is_down_or_wants_other_credentials() {
    let closed = Closed::start();
    let proxy = proxy(&closed.server);
    for (status, pauses) in [(403, false), (502, true), (407, true)] {
        proxy.answer(ProxyAnswer::Status(status));
        let jira = jira(through(&proxy.url(), &[], None));
        let callers = ["one", "two"].map(|namespace| {
            jira.on_behalf_of(jira_credential_operator::jira::Caller {
                namespace: namespace.to_owned(),
                account: namespace.to_owned(),
                credential: namespace.to_owned(),
            })
        });
        for caller in &callers {
            closed.ask(caller).await;
        }
        let site = site(Hosting::DataCenter, &closed.dc.url(), CLOSED);
        let wait = callers[0].site_wait(&site, Urgency::Routine);
        assert_eq!(
            wait.is_some_and(|wait| wait.until > noon()),
            pauses,
            "{status}"
        );
        // The site is not blamed for what the proxy does to all.
        let told = closed.ask(&callers[0]).await;
        let is_of_the_proxy = matches!(
            told,
            Verdict::NoVerdict(Outage::Paused {
                cause: WaitCause::Proxy,
                ..
            })
        );
        assert_eq!(is_of_the_proxy, status == 407, "{told:?}");
    }
}

/// Leads a port of `::1` to the simulator.
async fn on_ipv6_alone(to: std::net::SocketAddr) -> Option<u16> {
    let listener = tokio::net::TcpListener::bind(("::1", 0)).await.ok()?;
    let port = listener.local_addr().ok()?.port();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut to = tokio::net::TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    Some(port)
}

#[tokio::test]
async fn a_site_that_has_ipv6_alone_is_called() {
    let server = Server::start();
    let Some(port) = on_ipv6_alone(server.sim.addr()).await else {
        // Past the harness, which hides what passing tests print.
        let _ = writeln!(std::io::stderr(), "skipped: this machine has no ::1");
        return;
    };
    let six: IpAddr = "::1".parse().unwrap();
    let dc = server.sim.data_center_at("six.example");
    let credential = Credential::Bearer(dc.pat("bot").secret().to_owned().into());
    let jira = jira(JiraConfig {
        names: vec![("six.example".into(), six)],
        ..config()
    });
    let base = format!("https://six.example:{port}");
    let site = site(Hosting::DataCenter, &base, "six.example");
    let ca = server.sim.ca_pem().as_bytes();
    let verdict = jira.whoami(&site, Some(ca), &credential).await;
    assert!(is_accepted(&verdict), "{verdict:?}");
}
