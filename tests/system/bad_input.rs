//! Whatever is wrong with what people write or with what answers at the site: each case has its
//! reason, a message that names the remedy, and publishes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use atlassian_sim::{Canned, DataCenter, Fault, Rule};
use chrono::TimeDelta;
use jira_credential_operator::api::{
    ConditionStatus, ConditionType, JiraCredential, JiraCredentialSpec, Reason,
};
use jira_credential_operator::core::spec::{Site, SiteError};
use jira_credential_operator::jira::HostPolicy;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, ObjectMeta, PostParams};
use serde_json::{Value, json};

use crate::support::{World, says, value};

/// Stands in every value that is no credential; no message may repeat it.
const CANARY: &str = "c4n4ryC4N4RY";

type Data = Vec<(&'static str, Vec<u8>)>;

/// What refers to the Secret of a case.
#[derive(Clone, Copy)]
enum Use {
    Token,
    Email,
    Pat,
    Basic,
    Ca,
}

fn spec(world: &World, jira: &DataCenter, used: Use, secret: &str) -> Value {
    let cloud = world.cloud().url();
    let reference = |key: &str| json!({"name": secret, "key": key});
    match used {
        Use::Token => json!({"site": cloud, "auth": {"apiToken": {
            "email": "bot@acme.example", "tokenSecretRef": reference("token"),
        }}}),
        Use::Email => json!({"site": cloud, "auth": {"apiToken": {
            "emailSecretRef": reference("email"), "tokenSecretRef": reference("token"),
        }}}),
        Use::Pat => json!({"site": jira.url(), "auth": {"personalAccessToken": {
            "tokenSecretRef": reference("token"),
        }}}),
        Use::Basic => {
            json!({"site": jira.url(), "auth": {"basic": {"secretRef": {"name": secret}}}})
        }
        Use::Ca => json!({"site": jira.url(), "tls": {"caSecretRef": reference("ca.crt")},
            "auth": {"personalAccessToken": {"tokenSecretRef": reference("token")}}}),
    }
}

async fn store(world: &World, name: &str, data: Data) {
    let data: BTreeMap<String, ByteString> = data
        .into_iter()
        .map(|(key, bytes)| (key.to_owned(), ByteString(bytes)))
        .collect();
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(data),
        ..Secret::default()
    };
    world
        .secrets()
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();
}

fn text(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// Every case: name, use, contents of the Secret (`None`: there is none), reason, remedy.
#[expect(clippy::too_many_lines, reason = "a table")]
fn sources() -> Vec<(&'static str, Use, Option<Data>, Reason, &'static str)> {
    use Reason::{SourceMalformed, SourceMissing};
    let canary = || text(CANARY);
    let with = |before: &[u8], after: &[u8]| [before, CANARY.as_bytes(), after].concat();
    let token = |bytes: Vec<u8>| Some(vec![("token", bytes)]);
    let login =
        |user: Vec<u8>, password: Vec<u8>| Some(vec![("username", user), ("password", password)]);
    let pem = |body: &str| {
        let block = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        Some(vec![("token", canary()), ("ca.crt", text(&block))])
    };
    vec![
        (
            "no-secret",
            Use::Token,
            None,
            SourceMissing,
            "create it in this namespace",
        ),
        (
            "no-key",
            Use::Token,
            Some(vec![("tokn", canary())]),
            SourceMissing,
            "has no key token; add it, or correct the reference",
        ),
        (
            "no-data",
            Use::Token,
            Some(vec![]),
            SourceMissing,
            "has no key token",
        ),
        (
            "empty",
            Use::Token,
            token(vec![]),
            SourceMalformed,
            "is empty; store the value in it",
        ),
        (
            "whitespace",
            Use::Token,
            token(text(" \t \n")),
            SourceMalformed,
            "is empty; store the value in it",
        ),
        (
            "not-utf8",
            Use::Token,
            token(with(b"\xff\xfe", b"\x80")),
            SourceMalformed,
            "is not UTF-8 text; store the value itself",
        ),
        (
            "newline",
            Use::Token,
            token(with(b"", b"\n")),
            SourceMalformed,
            "ends in a newline; create it with kubectl create secret --from-literal",
        ),
        (
            "windows-newline",
            Use::Token,
            token(with(b"", b"\r\n")),
            SourceMalformed,
            "ends in a newline",
        ),
        (
            "control",
            Use::Token,
            token(with(b"a\x07", b"")),
            SourceMalformed,
            "contains control characters; store the value without them",
        ),
        (
            "nul",
            Use::Token,
            token(with(b"a\0", b"")),
            SourceMalformed,
            "contains control characters",
        ),
        (
            "blank",
            Use::Token,
            token(with(b" ", b"")),
            SourceMalformed,
            "begins or ends with whitespace",
        ),
        (
            "inner-blank",
            Use::Token,
            token(with(b"a ", b"")),
            SourceMalformed,
            "other than printable ASCII",
        ),
        (
            "umlaut",
            Use::Token,
            token(with("ü".as_bytes(), b"")),
            SourceMalformed,
            "printable ASCII, which tokens and client secrets never contain; copy it again",
        ),
        (
            "absurd",
            Use::Token,
            token(CANARY.repeat(100_000 / CANARY.len()).into_bytes()),
            SourceMalformed,
            "longer than any Jira credential; check that it holds the value alone",
        ),
        (
            "pat-newline",
            Use::Pat,
            token(with(b"", b"\n")),
            SourceMalformed,
            "ends in a newline",
        ),
        (
            "pat-absurd",
            Use::Pat,
            token(CANARY.repeat(1_000).into_bytes()),
            SourceMalformed,
            "longer than any Jira credential",
        ),
        (
            "no-user",
            Use::Basic,
            Some(vec![("password", canary())]),
            SourceMissing,
            "has no key username",
        ),
        (
            "no-password",
            Use::Basic,
            Some(vec![("username", canary())]),
            SourceMissing,
            "has no key password",
        ),
        (
            "user-colon",
            Use::Basic,
            login(with(b"ro:", b""), canary()),
            SourceMalformed,
            "contains a colon, which a user name in Basic authentication cannot have",
        ),
        (
            "user-newline",
            Use::Basic,
            login(with(b"", b"\n"), canary()),
            SourceMalformed,
            "key username of the Secret user-newline-source ends in a newline",
        ),
        (
            "user-absurd",
            Use::Basic,
            login(CANARY.repeat(30).into_bytes(), canary()),
            SourceMalformed,
            "longer than any Jira credential",
        ),
        (
            "password-control",
            Use::Basic,
            login(text("robot"), with(b"a\x1b", b"")),
            SourceMalformed,
            "contains control characters",
        ),
        (
            "password-utf8",
            Use::Basic,
            login(text("robot"), with(b"\xc3\x28", b"")),
            SourceMalformed,
            "is not UTF-8 text",
        ),
        (
            "no-email",
            Use::Email,
            token(canary()),
            SourceMissing,
            "has no key email",
        ),
        (
            "email-colon",
            Use::Email,
            Some(vec![("email", with(b"a:", b"@b.c")), ("token", canary())]),
            SourceMalformed,
            "contains a colon",
        ),
        (
            "no-ca",
            Use::Ca,
            token(canary()),
            SourceMissing,
            "has no key ca.crt",
        ),
        (
            "ca-der",
            Use::Ca,
            Some(vec![
                ("token", canary()),
                ("ca.crt", with(b"\x30\x82", b"")),
            ]),
            SourceMalformed,
            "store the CA certificates in PEM form",
        ),
        (
            "ca-garbage",
            Use::Ca,
            pem(CANARY),
            SourceMalformed,
            "holds no usable PEM certificates",
        ),
        (
            "ca-empty",
            Use::Ca,
            pem(""),
            SourceMalformed,
            "holds no usable PEM certificates",
        ),
    ]
}

/// What every case has in common.
async fn nothing_came_of_it(world: &World, object: &JiraCredential, remedy: &str) {
    let name = object.metadata.name.as_deref().unwrap();
    let ready = says(object, ConditionType::Ready);
    assert!(ready.message.contains(remedy), "{name}: {}", ready.message);
    assert!(
        ready.message.contains("Nothing is published."),
        "{name}: {}",
        ready.message
    );
    let published = says(object, ConditionType::Published);
    assert_eq!(
        (published.status, published.reason),
        (ConditionStatus::False, Reason::Waiting),
        "{name}"
    );
    let all = serde_json::to_string(object).unwrap();
    assert!(!all.contains(CANARY), "{name}: {all}");
    let target = world.secrets().get_opt(name).await.unwrap();
    assert!(target.is_none(), "{name}: a target was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_credential_is_told_by_name_and_never_sent() {
    let world = World::new().await;
    let operator = world.operator().await;
    let jira = world.data_center();
    let table = sources();
    for (name, used, data, ..) in &table {
        let source = format!("{name}-source");
        if let Some(data) = data {
            store(&world, &source, data.clone()).await;
        }
        world
            .create(name, spec(&world, &jira, *used, &source))
            .await;
    }
    for (name, _, _, reason, remedy) in &table {
        let object = world
            .wait(name, ConditionType::Ready, ConditionStatus::False, *reason)
            .await;
        nothing_came_of_it(&world, &object, remedy).await;
        let ready = says(&object, ConditionType::Ready);
        assert!(
            ready.message.contains(&format!("{name}-source")),
            "{name}: {}",
            ready.message
        );
        // What is missing may still come; what is malformed waits for a person.
        let waits = match reason {
            Reason::SourceMissing => ConditionType::Reconciling,
            _ => ConditionType::Stalled,
        };
        assert_eq!(says(&object, waits).reason, *reason, "{name}");
    }
    operator.quiet().await;
    assert_eq!(world.sim.counters().handshakes, 0, "something was sent");

    // Each heals as soon as the Secret holds what it should.
    let token = world.cloud().api_token("bot@acme.example");
    let pat = jira.pat("robot");
    let password = jira.new_password("robot");
    for (name, used, ..) in &table {
        let data = match used {
            Use::Token | Use::Email => [("token", token.secret()), ("email", "bot@acme.example")],
            Use::Pat | Use::Ca => [("token", pat.secret()), ("ca.crt", world.sim.ca_pem())],
            Use::Basic => [("username", "robot"), ("password", password.as_str())],
        };
        world.secret(&format!("{name}-source"), &data).await;
    }
    for (name, used, ..) in &table {
        world.wait_ready(name).await;
        let published = world.secrets().get(name).await.unwrap();
        let (key, expected) = match used {
            Use::Token | Use::Email => ("token", token.secret()),
            Use::Pat | Use::Ca => ("token", pat.secret()),
            Use::Basic => ("password", password.as_str()),
        };
        assert_eq!(value(&published, key), expected, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_in_a_config_map_is_asked_for_by_name() {
    let world = World::new().await;
    let _operator = world.operator().await;
    let jira = world.data_center();
    let pat = jira.pat("bot");
    world.secret("source", &[("token", pat.secret())]).await;
    let auth =
        json!({"personalAccessToken": {"tokenSecretRef": {"name": "source", "key": "token"}}});
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    for (name, data, reason, remedy) in [
        (
            "absent",
            None,
            Reason::SourceMissing,
            "the ConfigMap absent-ca does not exist",
        ),
        (
            "no-key",
            Some(("other", "x")),
            Reason::SourceMissing,
            "has no key ca.crt; add it",
        ),
        (
            "no-pem",
            Some(("ca.crt", CANARY)),
            Reason::SourceMalformed,
            "in PEM form",
        ),
    ] {
        if let Some((key, value)) = data {
            let map = serde_json::from_value(
                json!({"metadata": {"name": format!("{name}-ca")}, "data": {key: value}}),
            )
            .unwrap();
            maps.create(&PostParams::default(), &map).await.unwrap();
        }
        let ca = json!({"caConfigMapRef": {"name": format!("{name}-ca"), "key": "ca.crt"}});
        let spec = json!({"site": jira.url(), "tls": ca, "auth": auth});
        world.create(name, spec).await;
        let object = world
            .wait(name, ConditionType::Ready, ConditionStatus::False, reason)
            .await;
        let said = says(&object, ConditionType::Ready).message.to_lowercase();
        assert!(said.contains(&remedy.to_lowercase()), "{name}: {said}");
        let target = world.secrets().get_opt(name).await.unwrap();
        assert!(target.is_none(), "{name}");
    }
    assert_eq!(world.sim.counters().handshakes, 0);
}

/// An answer of the site: its name, what goes wrong there, the reason, and the remedy.
type Answer = (&'static str, Fault, Reason, &'static str);

#[expect(clippy::too_many_lines, reason = "a table")]
fn answers() -> Vec<Answer> {
    use Reason::{RateLimited, SiteUnavailable};
    let canned = |status: u16, kind: &str, body: &str| {
        Fault::Canned(Canned {
            status,
            headers: BTreeMap::from([("content-type".to_owned(), kind.to_owned())]),
            body: body.to_owned(),
        })
    };
    let redirect = Fault::Redirect {
        status: 302,
        location: "https://login.example/".to_owned(),
    };
    let slow = Fault::SlowBody {
        chunk: 1,
        millis: 500,
    };
    let json = "application/json";
    vec![
        (
            "unknown-ca",
            Fault::TlsUnknownCa,
            SiteUnavailable,
            "For a private CA set spec.tls.",
        ),
        (
            "wrong-name",
            Fault::TlsWrongName,
            SiteUnavailable,
            "made for another name",
        ),
        (
            "expired",
            Fault::TlsExpired,
            SiteUnavailable,
            "not trusted, expired",
        ),
        (
            "tls-abort",
            Fault::TlsAbort,
            SiteUnavailable,
            "The operator retries.",
        ),
        (
            "html",
            Fault::HtmlPage,
            SiteUnavailable,
            "Check that spec.site is the base address of Jira and that the REST API is reachable without a login page.",
        ),
        (
            "redirect",
            redirect,
            SiteUnavailable,
            "Set spec.site to the address that it points to",
        ),
        (
            "endless",
            Fault::EndlessBody,
            SiteUnavailable,
            "more data than a Jira user has. Check that spec.site is the base address",
        ),
        ("slow", slow, SiteUnavailable, "did not answer in time"),
        (
            "silent",
            Fault::HangBefore,
            SiteUnavailable,
            "did not answer in time",
        ),
        (
            "garbage",
            Fault::GarbageJson,
            SiteUnavailable,
            "Check that spec.site",
        ),
        (
            "truncated",
            Fault::TruncatedBody,
            SiteUnavailable,
            "broke before the answer was complete",
        ),
        (
            "dropped",
            Fault::DropBefore,
            SiteUnavailable,
            "broke before the answer was complete",
        ),
        (
            "not-a-user",
            canned(200, json, "{\"name\": 5}"),
            SiteUnavailable,
            "not a Jira user. Check that spec.site",
        ),
        (
            "a-list",
            canned(200, json, "[]"),
            SiteUnavailable,
            "not a Jira user",
        ),
        (
            "deep",
            canned(200, json, &"[".repeat(60_000)),
            SiteUnavailable,
            "Check that spec.site",
        ),
        (
            "not-found",
            canned(404, "text/html", "<html>"),
            SiteUnavailable,
            "Check the name in spec.site, and whether Jira has a context path there",
        ),
        (
            "error",
            Fault::ServerError { status: 500 },
            SiteUnavailable,
            "the server error 500",
        ),
        (
            "teapot",
            canned(418, json, "{}"),
            SiteUnavailable,
            "the unexpected status 418",
        ),
        (
            "firewall",
            canned(403, "text/html", "<html>blocked"),
            SiteUnavailable,
            "the unexpected status 403",
        ),
        (
            "maintenance",
            Fault::Unavailable {
                retry_after: Some(600),
            },
            SiteUnavailable,
            "is unavailable",
        ),
        (
            "limited",
            Fault::RateLimit {
                retry_after: Some(600),
                html: false,
            },
            RateLimited,
            "limits the rate of calls",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_says_nothing_about_the_credential_is_waited_out() {
    let world = World::new().await;
    let operator = world
        .operator_with(|config| config.max_concurrent_reconciles = 16)
        .await;
    let table = answers();
    let mut tokens = Vec::new();
    for (name, fault, ..) in &table {
        let jira = world.sim.data_center(name);
        world.sim.fault(Rule::new(fault.clone()).host(jira.host()));
        let token = jira.pat("bot");
        let source = format!("{name}-source");
        world.secret(&source, &[("token", token.secret())]).await;
        world
            .create(name, spec(&world, &jira, Use::Pat, &source))
            .await;
        tokens.push(token);
    }
    for ((name, _, reason, remedy), token) in table.iter().zip(&tokens) {
        let object = world
            .wait(name, ConditionType::Ready, ConditionStatus::False, *reason)
            .await;
        nothing_came_of_it(&world, &object, remedy).await;
        let valid = says(&object, ConditionType::Valid);
        assert_eq!(
            (valid.status, valid.reason),
            (ConditionStatus::Unknown, *reason),
            "{name}"
        );
        assert_eq!(
            says(&object, ConditionType::Reconciling).reason,
            *reason,
            "{name}"
        );
        let message = says(&object, ConditionType::Ready).message;
        assert!(
            message.contains(&format!("{name}.dc.localhost")),
            "{name}: {message}"
        );
        let all = serde_json::to_string(&object).unwrap();
        assert!(!all.contains(token.secret()), "{name}");
    }
    world.sim.clear_faults();
    world.sim.cut_connections();
    world.advance(TimeDelta::hours(2));
    operator.look_again(table.len() as u64).await;
    for ((name, ..), token) in table.iter().zip(&tokens) {
        world.wait_ready(name).await;
        let published = world.secrets().get(name).await.unwrap();
        assert_eq!(value(&published, "token"), token.secret(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_whose_answer_says_nothing_waits_for_a_person() {
    let world = World::new().await;
    let operator = world.operator().await;
    let cases = [
        ("html", Fault::HtmlPage),
        ("lost", Fault::DropAfter),
        ("error", Fault::ServerError { status: 502 }),
    ];
    for (name, fault) in &cases {
        let jira = world.sim.data_center(name);
        world.sim.fault(Rule::new(fault.clone()).host(jira.host()));
        let password = jira.new_password("robot");
        let source = format!("{name}-source");
        let data = [("username", "robot"), ("password", password.as_str())];
        world.secret(&source, &data).await;
        world
            .create(name, spec(&world, &jira, Use::Basic, &source))
            .await;
        let object = world
            .wait(
                name,
                ConditionType::Ready,
                ConditionStatus::False,
                Reason::NotValidated,
            )
            .await;
        let remedy = "Set the annotation jira-operator.dev/renew to a new value to try again, or change the Secret.";
        nothing_came_of_it(&world, &object, remedy).await;
        assert_eq!(
            says(&object, ConditionType::Stalled).reason,
            Reason::NotValidated,
            "{name}"
        );
    }
    world.sim.clear_faults();
    world.advance(TimeDelta::days(2));
    operator.look_again(cases.len() as u64).await;
    for (name, _) in &cases {
        let calls = world.sim.calls_for(&format!("{name}.dc.localhost"));
        assert_eq!(calls.len(), 1, "{name}: the password was sent again");
        world.annotate(name, "jira-operator.dev/renew", "now").await;
        world.wait_ready(name).await;
    }
}

/// A port of this machine on which nobody listens.
fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_is_not_there_is_told_with_what_to_check() {
    let world = World::new().await;
    let hosts = ["*.dc.localhost", "*.nowhere.invalid"];
    let _operator = world
        .operator_with(|config| {
            config.hosts = HostPolicy::parse(["*.cloud.localhost"], hosts).unwrap();
            config.jira.timeouts.resolve = Duration::from_millis(500);
        })
        .await;
    let jira = world.data_center();
    let token = jira.pat("bot");
    world.secret("source", &[("token", token.secret())]).await;
    let without_path = format!("https://{}:{}", jira.host(), world.sim.port());
    let auth =
        json!({"personalAccessToken": {"tokenSecretRef": {"name": "source", "key": "token"}}});
    for (name, site, remedy) in [
        (
            "no-path",
            without_path.clone(),
            "Check the name in spec.site, and whether Jira has a context path there",
        ),
        (
            "other-path",
            format!("{without_path}/wiki"),
            "whether Jira has a context path there",
        ),
        (
            "closed-port",
            format!("https://{}:{}", jira.host(), closed_port()),
            "Check spec.site, network policies and whether Jira is up.",
        ),
        (
            "no-such-name",
            "https://jira.nowhere.invalid".to_owned(),
            "does not resolve. Check spec.site and the cluster's DNS.",
        ),
    ] {
        world
            .create(name, json!({"site": site, "auth": auth}))
            .await;
        let object = world
            .wait(
                name,
                ConditionType::Ready,
                ConditionStatus::False,
                Reason::SiteUnavailable,
            )
            .await;
        nothing_came_of_it(&world, &object, remedy).await;
    }
    // The correction is tried at once, not after the wait that the wrong site had earned.
    for name in ["no-path", "closed-port", "no-such-name"] {
        world.change(name, json!({"site": jira.url()})).await;
        world.wait_ready(name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_spec_is_tried_at_once_after_an_outage() {
    let world = World::new().await;
    let _operator = world
        .operator_with(|config| config.jira.extra_ca_pem = None)
        .await;
    let jira = world.data_center();
    let token = jira.pat("bot");
    let data = [("token", token.secret()), ("ca.crt", world.sim.ca_pem())];
    world.secret("source", &data).await;
    world
        .create("bot", spec(&world, &jira, Use::Pat, "source"))
        .await;
    let object = world
        .wait(
            "bot",
            ConditionType::Ready,
            ConditionStatus::False,
            Reason::SiteUnavailable,
        )
        .await;
    nothing_came_of_it(&world, &object, "For a private CA set spec.tls.").await;
    let ca = json!({"caSecretRef": {"name": "source", "key": "ca.crt"}});
    world.change("bot", json!({"tls": ca})).await;
    world.wait_ready("bot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_international_name_works_in_its_ascii_form() {
    let world = World::new().await;
    let _operator = world.operator().await;
    let jira = world.sim.data_center("xn--bcher-kva");
    let token = jira.pat("bot");
    world.secret("source", &[("token", token.secret())]).await;
    world
        .create("bot", spec(&world, &jira, Use::Pat, "source"))
        .await;
    world.wait_ready("bot").await;
}

fn basic_spec(site: &str) -> JiraCredentialSpec {
    let auth = json!({"basic": {"secretRef": {"name": "source"}}});
    serde_json::from_value(json!({"site": site, "auth": auth})).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_no_site_is_refused_by_the_api_server_and_again_by_the_operator() {
    use SiteError::{IpLiteral, NotAUrl, NotHttps, Surplus};
    let world = World::new().await;
    for (site, remedy, again) in [
        (
            "http://jira.example.com",
            "must start with https://",
            Some(NotHttps),
        ),
        (
            "jira.example.com",
            "must start with https://",
            Some(NotAUrl),
        ),
        ("https://", "", Some(NotAUrl)),
        (
            "https://bot:secret@jira.example.com",
            "must not contain user info: remove everything up to the @",
            Some(Surplus),
        ),
        (
            "https://bot@jira.example.com",
            "must not contain user info",
            Some(Surplus),
        ),
        (
            "https://jira.example.com/?a=b",
            "must not contain a query or fragment",
            Some(Surplus),
        ),
        (
            "https://jira.example.com/#a",
            "must not contain a query or fragment",
            Some(Surplus),
        ),
        ("https://127.0.0.1", "not an IP address", Some(IpLiteral)),
        (
            "https://169.254.169.254/jira",
            "not an IP address",
            Some(IpLiteral),
        ),
        ("https://[::1]:8443", "not an IP address", Some(IpLiteral)),
        (
            "https://[::ffff:169.254.169.254]",
            "not an IP address",
            Some(IpLiteral),
        ),
        ("https://2130706433", "not an IP address", Some(IpLiteral)),
        ("https://0x7f000001", "not an IP address", Some(IpLiteral)),
        ("https://127.1", "not an IP address", Some(IpLiteral)),
        // To be corrected by the author; the operator reads these as the name that is meant.
        (
            "https://bücher.example.com",
            "write an international name in its xn-- form",
            None,
        ),
        ("https://JIRA.example.com", "lower-case ASCII", None),
        ("https://jira.example.com:0", "a port from 1 to 65535", None),
        (
            "https://jira.example.com/a/../b",
            "a plain context path",
            None,
        ),
    ] {
        let object = JiraCredential::new("site", basic_spec(site));
        let refusal = world
            .credentials()
            .create(&PostParams::default(), &object)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            refusal.contains("spec.site") && refusal.contains(remedy),
            "{site}: {refusal}"
        );
        let read = Site::of(&object.spec);
        assert_eq!(read.err(), again, "{site}");
    }
}
