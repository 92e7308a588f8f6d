//! No secret byte outside the Secrets that the operator is asked to write: not in logs at their
//! finest level, events, status, metrics, errors or debug output, whatever goes wrong.

mod stage;

mod malformed;
mod program;

mod log;

pub(crate) use log::Log;
use program::{Program, get};
use stage::Stage;
use std::fmt::Write as _;
use std::io::{Read as _, Write};
use std::net::TcpListener;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use control_plane::ControlPlane;
use jira_credential_operator::api::{Hosting, JiraCredential, MethodName, Preset};
use jira_credential_operator::cluster::{
    Cluster, ClusterError, ObserveContext, RenewalContext, VersionIndex, observe,
};
use jira_credential_operator::core::conclude::conclude;
use jira_credential_operator::core::facts::{Peer, Process, TimeScale};
use jira_credential_operator::core::fingerprint::FingerprintKey;
use jira_credential_operator::core::spec::{Periods, Plan, Site};
use jira_credential_operator::crd::crd;
use jira_credential_operator::jira::Credential;
use jira_credential_operator::render::{Parts, Validated, contents};
use k8s_openapi::api::core::v1::Secret;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::support::{OPERATOR, PATIENCE, World};

/// The length of a piece that counts as a leak.
const PIECE: usize = 16;

/// The secrets of a test, and what each looks like outside.
#[derive(Default)]
pub(crate) struct Canaries(Vec<(String, String)>);

impl Canaries {
    /// Looks for a secret from now on: for pieces of it, as they are, in hex and in base64 at
    /// every alignment, as they would stand in `base64(user:secret)` or in a rendered Secret.
    pub(crate) fn watch(&mut self, name: &str, secret: &str) {
        assert!(secret.len() >= PIECE, "{name} is too short to be told");
        for piece in secret.as_bytes().chunks_exact(PIECE).take(8) {
            let mut forms = vec![String::from_utf8_lossy(piece).into_owned()];
            forms.push(piece.iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            }));
            for shift in 0..3 {
                let shifted = [&[0; 2][..shift], piece].concat();
                for engine in [&STANDARD, &URL_SAFE] {
                    let text = engine.encode(&shifted);
                    // Only the letters that the piece alone decides.
                    let (begin, end) = ((shift * 8).div_ceil(6), shifted.len() * 8 / 6);
                    forms.push(text[begin..end].to_owned());
                }
            }
            forms.sort();
            forms.dedup();
            self.0
                .extend(forms.into_iter().map(|form| (name.to_owned(), form)));
        }
    }

    fn leaks(&self, text: &str) -> Vec<&str> {
        let mut found: Vec<&str> = self
            .0
            .iter()
            .filter(|(_, form)| text.contains(form.as_str()))
            .map(|(name, _)| name.as_str())
            .collect();
        found.dedup();
        found
    }

    pub(crate) fn absent(&self, place: &str, text: &str) {
        let leaks = self.leaks(text);
        assert!(leaks.is_empty(), "{place}: {leaks:?} in {text}");
    }
}

#[test]
fn the_search_finds_what_it_is_for() {
    let secret = "a-Secret_of/some+length=0123456789";
    let mut canaries = Canaries::default();
    canaries.watch("it", secret);
    for user in ["", "x", "xy", "xyz"] {
        let header = format!("{user}:{secret}");
        for text in [
            header.clone(),
            STANDARD.encode(&header),
            URL_SAFE.encode(&header),
            STANDARD.encode(&header[3..]),
        ] {
            assert_eq!(canaries.leaks(&format!("<{text}>")), ["it"], "{text}");
        }
    }
    canaries.absent("another text", "a-Secret_of, some+length");
}

/// An object that was stored under looser rules, with a date that the operator cannot read.
async fn store_what_cannot_be_read(plane: &ControlPlane) {
    let mut loose = serde_json::to_value(crd()).unwrap();
    strip_rules(&mut loose);
    let loose = serde_json::from_value(loose).unwrap();
    plane.install_crd(&loose).await.unwrap();
    let namespace = plane.namespace("stored").await.unwrap();
    let object = json!({
        "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
        "metadata": {"name": "unreadable"},
        "spec": {"site": "https://acme.cloud.localhost", "auth": {"apiToken": {
            "email": "bot@acme.example", "expiresAt": "2027-03-01T00:00:00+99:99",
            "tokenSecretRef": {"name": "source", "key": "token"},
        }}},
    });
    let uri = format!("/apis/jira-operator.dev/v1alpha1/namespaces/{namespace}/jiracredentials");
    let request = http::Request::post(uri)
        .header("content-type", "application/json")
        .body(object.to_string().into_bytes())
        .unwrap();
    let client = plane.client().unwrap();
    client.request::<Value>(request).await.unwrap();
    plane.install_crd(&crd()).await.unwrap();
}

fn strip_rules(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields
                .get("format")
                .is_some_and(|format| format == "date-time")
            {
                fields.remove("pattern");
            }
            fields.remove("x-kubernetes-validations");
            fields.values_mut().for_each(strip_rules);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_rules),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_that_ships_tells_no_secret_at_its_most_talkative() {
    // The program watches the whole cluster.
    let world = World::alone().await;
    let plane = world.plane;
    store_what_cannot_be_read(plane).await;
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    plane
        .service_account_kubeconfig(OPERATOR, OPERATOR, &kubeconfig)
        .await
        .unwrap();
    let program = Program::start(&world, directory.path(), &kubeconfig);
    world
        .until("the program is ready", || async {
            program.is_ready().then_some(())
        })
        .await;
    let mut stage = Stage::new(&world);
    stage.accepted().await;
    // The program has the time of the machine, the simulator its own.
    stage.signed(true).await;
    stage.refused().await;
    stage.malformed().await;
    stage.echoes().await;
    stage.lookups().await;
    stage.outages().await;
    stage.settled().await;
    stage.targets().await;
    stage.settled().await;
    stage.later().await;
    stage.over_quota().await;
    stage.settled().await;
    stage.look_around().await;

    let metrics = get(program.metrics, "/metrics").unwrap();
    assert!(metrics.contains("jira_credential_ready{"), "{metrics}");
    stage.canaries.absent("metrics", &metrics);
    let id = program.child.id();
    let arguments = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let arguments = String::from_utf8_lossy(&arguments).into_owned();
    stage.canaries.absent("arguments", &arguments);
    let log = program.stop();
    let out = std::fs::read_to_string(directory.path().join("out")).unwrap();
    stage.canaries.absent("standard output", &out);
    stage.canaries.absent("the log", &log);
    for said in ["started", "called Jira", "authentication failed", "stopped"] {
        assert!(log.contains(said), "{said} is not in {log}");
    }
    // One object that cannot be read is named, and stopped nothing of the above.
    assert!(log.contains("the stored object cannot be read") && log.contains("unreadable"));
    assert!(!log.contains("panicked"), "{log}");
}

/// An API server, or something in front of it, that answers what it likes, with the request in it.
fn parrot(status: &'static str, kind: &'static str, answer: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
            let mut request = Vec::new();
            let _ = stream.read_to_end(&mut request);
            let request = String::from_utf8_lossy(&request);
            let body = answer.replace("{request}", request.split("\r\n\r\n").nth(1).unwrap_or(""));
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
        }
    });
    port
}

fn chain(error: &ClusterError) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let _ = write!(text, " {cause} {cause:?}");
        next = cause.source();
    }
    text
}

/// On one thread, so that its logs are this test's.
#[tokio::test]
async fn an_answer_that_is_not_understood_is_neither_logged_nor_kept() {
    let canary = "c4n4ryAbCdEfGhIjKlMnOpQrStUvWxYz0123456789";
    let mut canaries = Canaries::default();
    canaries.watch("it", canary);
    let log = Log::default();
    let _guard = tracing::dispatcher::set_default(&log.dispatch());
    let encoded = STANDARD.encode(canary);
    let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
        "data": {"token": encoded}});
    let status = |code: u16, reason: &str| {
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": format!("cannot take {encoded} {{request}}"), "reason": reason, "code": code,
            "details": {"causes": [{"reason": "FieldValueInvalid", "field": "data[token]",
                "message": format!("Invalid value: {canary}")}]}})
        .to_string()
    };
    let (json, html) = ("application/json", "text/html");
    let half = object.to_string();
    let half = half[..half.len() - 5].to_owned();
    let page = format!("<p>{canary} {{request}}</p>");
    for (code, kind, answer) in [
        ("200 OK", json, half),
        ("200 OK", html, page.clone()),
        ("200 OK", json, json!({"data": encoded}).to_string()),
        (
            "200 OK",
            json,
            json!({"kind": "Secret", "data": {"token": [canary]}}).to_string(),
        ),
        ("200 OK", json, json!({"metadata": canary}).to_string()),
        ("400 Bad Request", json, status(400, "BadRequest")),
        ("400 Bad Request", html, page.clone()),
        ("403 Forbidden", json, status(403, "Forbidden")),
        ("403 Forbidden", html, page.clone()),
        ("409 Conflict", json, status(409, "Conflict")),
        ("422 Unprocessable Entity", json, status(422, "Invalid")),
        (
            "500 Internal Server Error",
            json,
            status(500, "InternalError"),
        ),
        ("500 Internal Server Error", html, page.clone()),
        ("502 Bad Gateway", html, page),
    ] {
        let port = parrot(code, kind, answer.clone());
        let config = kube::Config::new(format!("http://127.0.0.1:{port}").parse().unwrap());
        let client = kube::Client::try_from(config).unwrap();
        let cluster = Cluster::new(client, Duration::from_secs(2));
        let secret: Secret = serde_json::from_value(object.clone()).unwrap();
        let errors = [
            cluster.secret("n", "s").await.err(),
            cluster.secret_metadata("n", "s").await.err(),
            cluster.create_secret("n", &secret).await.err(),
            cluster.credential("n", "s").await.err(),
            cluster.delete_secret("n", "s", "uid").await.err(),
        ];
        assert!(errors.iter().any(Option::is_some), "{answer}");
        for error in errors.iter().flatten() {
            canaries.absent(code, &chain(error));
        }
    }
    canaries.absent("the log", &log.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn debug_output_of_what_holds_secrets_is_silent() {
    let world = World::new().await;
    let mut stage = Stage::new(&world);
    let jira = world.data_center();
    let secret = stage.invented("password");
    let ca = world.sim.ca_pem().as_bytes();
    let login: [(&str, &[u8]); 2] = [("username", b"robot"), ("password", secret.as_bytes())];
    let data = [login.as_slice(), &[("ca.crt", ca)]].concat();
    stage.opaque("bot", &data).await;
    let mut spec = Stage::basic("bot", &jira.url());
    spec["tls"] = json!({"caSecretRef": {"name": "bot-source", "key": "ca.crt"}});
    let object: JiraCredential = world.create("bot", spec).await;
    let cluster = Cluster::new(world.client.clone(), PATIENCE);
    let key = FingerprintKey::new(secret.as_bytes());
    let site = Site::of(&object.spec).unwrap();
    let around = ObserveContext {
        now: world.clock.now(),
        plan: Ok(Plan {
            method: MethodName::Basic,
            site: site.clone(),
            periods: Periods::of(&object.spec).unwrap(),
            issued_at: None,
            expires_at: None,
            renewal: None,
            gateway_fallback: None,
        }),
        watched_since: None,
        site_wait: None,
        renewal_wait: None,
        proxy: None,
        peer: &|_| Peer::Silent,
        older_claim: &|_| None,
        barrier: &|_| None,
        lookups_are_full: false,
        renewals: RenewalContext {
            rival: None,
            others: Vec::new(),
            stopping: false,
            process: &|_, _| Process::default(),
            unsent: &|_, _| false,
            time_scale: TimeScale::default(),
        },
    };
    let index = VersionIndex::default();
    let observed = observe(&cluster, &index, &key, &object, around).await;
    let observed = observed.unwrap();
    let material = observed.material.as_ref().unwrap();
    assert_eq!(material.secret.expose_secret(), secret);
    let validated = Validated {
        name: "team-a/bot",
        hosting: Hosting::DataCenter,
        method: MethodName::Basic,
        url: &site.base,
        site: &site.base,
        cloud_id: None,
        user: material.user.as_deref(),
        secret: &material.secret,
        previous: None,
        signing: Some(Parts {
            consumer_key: "sync",
            private_key: &material.secret,
            token_secret: Some(&material.secret),
        }),
        account: "JIRAUSER10000",
        expires_at: None,
    };
    let contents = contents(&validated, &Preset::ALL);
    assert!(contents.iter().any(|(_, value)| value == secret));
    let conclusion = conclude(&observed.facts, &observed.facts.status);
    let basic = Credential::Basic {
        user: "robot".into(),
        secret: material.secret.clone(),
    };
    let bearer = Credential::Bearer(SecretString::from(secret.clone()));
    for (what, text) in [
        ("Observed", format!("{observed:?} {observed:#?}")),
        (
            "Facts",
            format!("{:?} {:#?}", observed.facts, observed.facts),
        ),
        ("Material", format!("{material:?} {material:#?}")),
        ("Validated", format!("{validated:?} {validated:#?}")),
        ("Contents", format!("{contents:?} {contents:#?}")),
        ("Conclusion", format!("{conclusion:?} {conclusion:#?}")),
        (
            "Credential",
            format!("{basic:?} {basic:#?} {bearer:?} {bearer:#?}"),
        ),
        ("FingerprintKey", format!("{key:?} {key:#?}")),
        ("VersionIndex", format!("{index:?} {index:#?}")),
    ] {
        assert!(!text.trim().is_empty());
        stage.canaries.absent(what, &text);
    }
    // A panic prints what it is given.
    let panic = std::panic::catch_unwind(|| panic!("{observed:?} {contents:?} {basic:?}"));
    let text = panic.unwrap_err();
    stage
        .canaries
        .absent("a panic", text.downcast_ref::<String>().unwrap());
}
