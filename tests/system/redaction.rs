//! No secret byte outside the Secrets that the operator is asked to write: not in logs at their
//! finest level, events, status, metrics, errors or debug output, whatever goes wrong.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{Read as _, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use atlassian_sim::{Canned, Fault, LinkKey, Rule, basic};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use control_plane::ControlPlane;
use control_plane::faults::{Cut, Fault as ApiFault, Requests, Verb};
use jira_credential_operator::api::{
    ConditionStatus, ConditionType, JiraCredential, MethodName, Reason,
};
use jira_credential_operator::cluster::{
    Cluster, ClusterError, ObserveContext, RenewalContext, VersionIndex, observe,
};
use jira_credential_operator::core::conclude::conclude;
use jira_credential_operator::core::facts::{Peer, Process, TimeScale};
use jira_credential_operator::core::fingerprint::FingerprintKey;
use jira_credential_operator::core::spec::{Periods, Plan, Site};
use jira_credential_operator::crd::crd;
use jira_credential_operator::jira::Credential;
use jira_credential_operator::ops::telemetry;
use jira_credential_operator::render::{Parts, Validated, standard};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ResourceQuota, Secret};
use kube::api::{Api, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::discovery::ApiResource;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, fmt};

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

/// Everything that may go wrong with a credential, each with a canary.
struct Stage<'a> {
    world: &'a World,
    canaries: Canaries,
    waiting: Vec<(String, Option<Reason>)>,
    number: u32,
}

impl<'a> Stage<'a> {
    fn new(world: &'a World) -> Self {
        Self {
            world,
            canaries: Canaries::default(),
            waiting: Vec::new(),
            number: 0,
        }
    }

    /// A secret that no Jira knows.
    fn invented(&mut self, name: &str) -> String {
        self.number += 1;
        let piece = |salt: u32| {
            let mut hasher = DefaultHasher::new();
            (name, self.number, salt).hash(&mut hasher);
            format!("{:016x}", hasher.finish())
        };
        let secret = format!("{}{}{}", piece(1), piece(2), piece(3));
        self.canaries.watch(name, &secret);
        secret
    }

    async fn source(&self, name: &str, kind: &str, data: &[(&str, &[u8])]) {
        let data: BTreeMap<String, ByteString> = data
            .iter()
            .map(|(key, bytes)| ((*key).to_owned(), ByteString(bytes.to_vec())))
            .collect();
        // What `kubectl apply` leaves behind.
        let applied = json!({"data": data}).to_string();
        let last = "kubectl.kubernetes.io/last-applied-configuration".to_owned();
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(format!("{name}-source")),
                annotations: Some([(last, applied)].into()),
                ..ObjectMeta::default()
            },
            data: Some(data),
            type_: Some(kind.to_owned()),
            ..Secret::default()
        };
        let params = PostParams::default();
        self.world.secrets().create(&params, &secret).await.unwrap();
    }

    async fn opaque(&self, name: &str, data: &[(&str, &[u8])]) {
        self.source(name, "Opaque", data).await;
    }

    async fn create(&mut self, name: &str, spec: Value, reason: Option<Reason>) {
        self.world.create(name, spec).await;
        self.waiting.push((name.to_owned(), reason));
    }

    fn cloud(name: &str, site: &str) -> Value {
        json!({"site": site, "hosting": "Cloud", "auth": {"apiToken": {
            "email": format!("{name}@acme.example"),
            "tokenSecretRef": {"name": format!("{name}-source"), "key": "token"},
        }}})
    }

    fn pat(name: &str, site: &str) -> Value {
        json!({"site": site, "auth": {"personalAccessToken": {
            "tokenSecretRef": {"name": format!("{name}-source"), "key": "token"},
        }}})
    }

    fn basic(name: &str, site: &str) -> Value {
        json!({"site": site, "auth": {"basic": {"secretRef": {"name": format!("{name}-source")}}}})
    }

    /// One credential of each method that works.
    async fn accepted(&mut self) {
        let world = self.world;
        let token = world.cloud().api_token("good-cloud@acme.example");
        self.canaries.watch("good-cloud", token.secret());
        let data: [(&str, &[u8]); 1] = [("token", token.secret().as_bytes())];
        self.opaque("good-cloud", &data).await;
        let spec = Self::cloud("good-cloud", &world.cloud().url());
        self.create("good-cloud", spec, Some(Reason::Validated))
            .await;

        let jira = world.data_center();
        let token = jira.pat("bot");
        self.canaries.watch("good-pat", token.secret());
        let data: [(&str, &[u8]); 1] = [("token", token.secret().as_bytes())];
        self.opaque("good-pat", &data).await;
        let spec = Self::pat("good-pat", &jira.url());
        self.create("good-pat", spec, Some(Reason::Validated)).await;

        let password = self.invented("good-basic");
        jira.set_password("robot", &password);
        let data: [(&str, &[u8]); 2] = [("username", b"robot"), ("password", password.as_bytes())];
        self.source("good-basic", "kubernetes.io/basic-auth", &data)
            .await;
        let spec = Self::basic("good-basic", &jira.url());
        self.create("good-basic", spec, Some(Reason::Validated))
            .await;
    }

    /// OAuth 1.0a: one that works, one with a key that does not fit, to which Jira answers with all
    /// that was signed, and keys that are none. `skewed`: the clocks do not agree.
    async fn signed(&mut self, skewed: bool) {
        let jira = self.world.data_center();
        let key = LinkKey::generate().unwrap();
        let link = jira.application_link("sync", &key);
        let outcome = |reason| Some(if skewed { Reason::ClockSkew } else { reason });
        let other = LinkKey::generate().unwrap().private_pem();
        let older = key.private_pem_pkcs1();
        let encrypted = older.replace("KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\n\n");
        let malformed = Some(Reason::SourceMalformed);
        for (name, pem, reason) in [
            ("signed", key.private_pem(), outcome(Reason::Validated)),
            ("signed-older", older.clone(), outcome(Reason::Validated)),
            ("signed-bad", other, outcome(Reason::SignatureRejected)),
            ("signed-encrypted", encrypted, malformed),
            ("signed-torn", older.replacen('\n', "", 3), malformed),
            ("signed-bare", older.lines().skip(1).collect(), malformed),
        ] {
            let access = link.authorize("bot");
            self.canaries.watch(name, access.token.secret());
            self.canaries.watch(name, access.token_secret());
            let lines = pem.lines().filter(|line| line.len() == 64);
            for line in lines.take(4) {
                self.canaries.watch(name, line);
            }
            let data: [(&str, &[u8]); 3] = [
                ("privateKey", pem.as_bytes()),
                ("token", access.token.secret().as_bytes()),
                ("tokenSecret", access.token_secret().as_bytes()),
            ];
            self.opaque(name, &data).await;
            let source = format!("{name}-source");
            let oauth1 = json!({"consumerKey": "sync", "secretRef": {"name": source}});
            let spec = json!({"site": jira.url(), "auth": {"oauth1": oauth1}});
            self.create(name, spec, reason).await;
        }
    }

    /// One of each method that Jira refuses.
    async fn refused(&mut self) {
        let (cloud, jira) = (self.world.cloud().url(), self.world.data_center().url());
        for (name, spec) in [
            ("bad-cloud", Self::cloud("bad-cloud", &cloud)),
            ("bad-pat", Self::pat("bad-pat", &jira)),
            ("bad-basic", Self::basic("bad-basic", &jira)),
        ] {
            let secret = self.invented(name);
            let bytes = secret.as_bytes();
            let data = [
                ("token", bytes),
                ("username", name.as_bytes()),
                ("password", bytes),
            ];
            self.opaque(name, &data).await;
            self.create(name, spec, Some(Reason::Rejected)).await;
        }
    }

    /// What is no credential, with a canary in the middle of it.
    async fn malformed(&mut self) {
        let (cloud, jira) = (self.world.cloud().url(), self.world.data_center().url());
        let malformed = Some(Reason::SourceMalformed);
        for (name, before, after) in [
            ("newline", &b""[..], &b"\n"[..]),
            ("windows", b"", b"\r\n"),
            ("not-utf8", b"\xff\xfe", b"\xc3\x28"),
            ("blank", b" ", b" "),
            ("control", b"\x1b[31m", b"\0"),
            ("umlaut", "ü".as_bytes(), b""),
            ("long", &[b'x'; 5000], &[b'y'; 5000]),
        ] {
            let secret = self.invented(name);
            let value = [before, secret.as_bytes(), after].concat();
            self.opaque(name, &[("token", &value)]).await;
            self.create(name, Self::cloud(name, &cloud), malformed)
                .await;
            let name = format!("{name}-login");
            let secret = self.invented(&name);
            let value = [before, secret.as_bytes(), after].concat();
            // The password where the user name should be, as well.
            let data = [("username", value.as_slice()), ("password", &value)];
            self.opaque(&name, &data).await;
            // A password may have letters of any language.
            let reason = match name.as_str() {
                "umlaut-login" => Some(Reason::Rejected),
                _ => malformed,
            };
            self.create(&name, Self::basic(&name, &jira), reason).await;
        }
        let secret = self.invented("colon");
        let value = format!("robot:{secret}");
        let data: [(&str, &[u8]); 2] = [("username", value.as_bytes()), ("password", b"x")];
        self.opaque("colon", &data).await;
        self.create("colon", Self::basic("colon", &jira), malformed)
            .await;
        // The secret as the name of the key.
        let secret = self.invented("key-name");
        self.opaque("key-name", &[(&secret, b"x")]).await;
        let missing = Some(Reason::SourceMissing);
        self.create("key-name", Self::cloud("key-name", &cloud), missing)
            .await;
        let secret = self.invented("registry");
        let config = json!({"auths": {"x": {"auth": secret}}}).to_string();
        let data = [
            (".dockerconfigjson", config.as_bytes()),
            ("token", secret.as_bytes()),
        ];
        self.source("registry", "kubernetes.io/dockerconfigjson", &data)
            .await;
        self.create("registry", Self::cloud("registry", &cloud), malformed)
            .await;
        // A private key among or in place of the certificates.
        for (name, block, reason) in [
            ("ca-key", "PRIVATE KEY", malformed),
            ("ca-body", "CERTIFICATE", malformed),
            ("ca-both", "PRIVATE KEY", Some(Reason::Validated)),
        ] {
            let secret = self.invented(name);
            let mut pem = format!("-----BEGIN {block}-----\n{secret}\n-----END {block}-----\n");
            let mut token = self.invented(&format!("{name}-token"));
            if name == "ca-both" {
                // A key whose lines are whole groups of base64, as real ones are.
                let body = STANDARD.encode(format!("{secret}{secret}"));
                self.canaries.watch(name, &body);
                pem = format!("-----BEGIN {block}-----\n{body}\n-----END {block}-----\n");
                pem.push_str(self.world.sim.ca_pem());
                self.world
                    .data_center()
                    .pat("both")
                    .secret()
                    .clone_into(&mut token);
                self.canaries.watch("ca-both-token", &token);
            }
            let data: [(&str, &[u8]); 2] =
                [("ca.crt", pem.as_bytes()), ("token", token.as_bytes())];
            self.opaque(name, &data).await;
            let mut spec = Self::pat(name, &jira);
            spec["tls"] =
                json!({"caSecretRef": {"name": format!("{name}-source"), "key": "ca.crt"}});
            self.create(name, spec, reason).await;
        }
    }

    /// Sites that give back what they were sent, in every header and in the body.
    async fn echoes(&mut self) {
        let (html, json) = ("text/html", "application/json");
        let page = "<p>{bearer} {basic} {token}</p>";
        for (name, status, kind, body) in [
            ("page", 200, html, page),
            ("account", 200, json, r#"{"key": "{token}", "name": "x"}"#),
            (
                "names",
                200,
                json,
                r#"{"key": "JIRAUSER1", "name": "{token}", "displayName": "{bearer}", "emailAddress": "{token}", "active": true}"#,
            ),
            (
                "wrong-type",
                200,
                json,
                r#"{"key": ["{token}"], "active": "{token}"}"#,
            ),
            ("no-json", 200, json, "{token}"),
            ("redirect", 302, html, page),
            ("bad-request", 400, html, page),
            ("unauthorized", 401, json, r#"{"message": "{token}"}"#),
            ("login-page", 401, html, page),
            ("forbidden", 403, json, r#"{"message": "{bearer}"}"#),
            ("firewall", 403, html, page),
            ("not-found", 404, html, page),
            ("teapot", 418, html, page),
            ("limited", 429, html, page),
            ("error", 500, html, page),
            ("down", 503, html, page),
        ] {
            for method in ["pat", "basic"] {
                let name = format!("echo-{name}-{method}");
                let jira = self.world.sim.data_center(&name);
                let (secret, header, spec) = if method == "pat" {
                    let token = jira.pat("bot");
                    self.canaries.watch(&name, token.secret());
                    let secret = token.secret().to_owned();
                    (secret, token.bearer(), Self::pat(&name, &jira.url()))
                } else {
                    let password = self.invented(&name);
                    jira.set_password("robot", &password);
                    let header = basic("robot", &password);
                    (password, header, Self::basic(&name, &jira.url()))
                };
                let encoded = header.split(' ').nth(1).unwrap().to_owned();
                let body = body
                    .replace("{token}", if kind == json { &encoded } else { &secret })
                    .replace("{bearer}", &header)
                    .replace("{basic}", &STANDARD.encode(&secret));
                let mut headers = BTreeMap::from([("content-type".to_owned(), kind.to_owned())]);
                for echo in [
                    "x-echo",
                    "set-cookie",
                    "www-authenticate",
                    "retry-after",
                    "location",
                    "server",
                    "x-seraph-loginreason",
                    "x-authentication-denied-reason",
                    "x-ausername",
                ] {
                    let value = match echo {
                        "location" => format!("https://x.example/?{secret}"),
                        "www-authenticate" => format!("Bearer realm=\"{header}\""),
                        _ => header.clone(),
                    };
                    headers.insert(echo.to_owned(), value);
                }
                let canned = Canned {
                    status,
                    headers,
                    body,
                };
                let rule = Rule::new(Fault::Canned(canned)).host(jira.host());
                self.world.sim.fault(rule);
                let data: [(&str, &[u8]); 3] = [
                    ("token", secret.as_bytes()),
                    ("username", b"robot"),
                    ("password", secret.as_bytes()),
                ];
                self.opaque(&name, &data).await;
                self.create(&name, spec, None).await;
            }
        }
    }

    /// API keys of organisations: one that works, and others that go wrong in every way.
    async fn lookups(&mut self) {
        let echo = r#"{"message": "{bearer}", "data": [{"label": "{token}"}], "links": {"next": "{token}"}}"#;
        for (name, status) in [
            ("found", 0),
            ("newline", 0),
            ("invented", 0),
            ("garbage", 200),
            ("unauthorized", 401),
            ("forbidden", 403),
            ("unknown", 404),
            ("limited", 429),
            ("down", 503),
        ] {
            let name = format!("lookup-{name}");
            let email = format!("{name}@acme.example");
            let token = self.world.cloud().api_token(&email);
            self.canaries.watch(&name, token.secret());
            let organization = self.world.sim.organization();
            organization.manage(&email);
            organization.label(&token, "ci bot");
            let key = organization.reading_key().secret().to_owned();
            let key = match name.as_str() {
                "lookup-invented" => self.invented("lookup-invented"),
                _ => key,
            };
            self.canaries.watch(&format!("{name}-key"), &key);
            if status > 0 {
                let bearer = format!("Bearer {key}");
                let body = echo.replace("{token}", &key).replace("{bearer}", &bearer);
                let headers = [("content-type", "application/json"), ("x-echo", &bearer)];
                let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
                let canned = Canned {
                    status,
                    headers: headers.into(),
                    body,
                };
                let rule = Rule::new(Fault::Canned(canned)).path(organization.tokens_path());
                self.world.sim.fault(rule);
            }
            let stored = match name.as_str() {
                "lookup-newline" => format!("{key}\n"),
                _ => key,
            };
            let data: [(&str, &[u8]); 2] = [
                ("token", token.secret().as_bytes()),
                ("key", stored.as_bytes()),
            ];
            self.opaque(&name, &data).await;
            let mut spec = Self::cloud(&name, &self.world.cloud().url());
            spec["expiryLookup"] = json!({
                "apiKeySecretRef": {"name": format!("{name}-source"), "key": "key"},
                "organizationId": organization.id(), "label": "ci bot",
            });
            self.create(&name, spec, Some(Reason::Validated)).await;
        }
    }

    /// Outages below HTTP.
    async fn outages(&mut self) {
        for (name, fault) in [
            ("unknown-ca", Fault::TlsUnknownCa),
            ("expired", Fault::TlsExpired),
            ("dropped", Fault::DropAfter),
            ("truncated", Fault::TruncatedBody),
            ("endless", Fault::EndlessBody),
        ] {
            let jira = self.world.sim.data_center(name);
            self.world.sim.fault(Rule::new(fault).host(jira.host()));
            let token = jira.pat("bot");
            self.canaries.watch(name, token.secret());
            let data: [(&str, &[u8]); 1] = [("token", token.secret().as_bytes())];
            self.opaque(name, &data).await;
            let spec = Self::pat(name, &jira.url());
            self.create(name, spec, Some(Reason::SiteUnavailable)).await;
        }
    }

    /// Good credentials whose targets cannot be written.
    async fn targets(&mut self) {
        let jira = self.world.data_center();
        let secret = self.invented("theirs");
        let theirs = json!({"metadata": {"name": "theirs"}, "stringData": {"a": secret}});
        let theirs: Secret = serde_json::from_value(theirs).unwrap();
        let params = PostParams::default();
        self.world.secrets().create(&params, &theirs).await.unwrap();
        let typed = json!({"name": "typed", "template": {"type": "kubernetes.io/basic-auth"}});
        let labels = json!({"app.kubernetes.io/x": "no label at all!"});
        let labelled = json!({"name": "labelled", "template": {"labels": labels}});
        for (name, target, reason) in [
            (
                "onto-theirs",
                json!({"name": "theirs"}),
                Reason::TargetForeign,
            ),
            (
                "onto-ours",
                json!({"name": "good-pat"}),
                Reason::TargetConflict,
            ),
            ("typed", typed, Reason::WriteRefused),
            ("labelled", labelled, Reason::WriteRefused),
        ] {
            let token = jira.pat(name);
            self.canaries.watch(name, token.secret());
            let data: [(&str, &[u8]); 1] = [("token", token.secret().as_bytes())];
            self.opaque(name, &data).await;
            let mut spec = Self::pat(name, &jira.url());
            spec["targets"] = json!([target]);
            self.create(name, spec, Some(reason)).await;
        }
        // What the operator publishes is no source.
        let mut spec = Self::pat("good-pat", &jira.url());
        spec["auth"]["personalAccessToken"]["tokenSecretRef"]["name"] = json!("good-pat");
        self.create("thief", spec, Some(Reason::SourceIsTarget))
            .await;
    }

    async fn settled(&self) {
        for (name, reason) in &self.waiting {
            self.world
                .until(&format!("{name} is {reason:?}"), || async {
                    let object = self.world.credential(name).await;
                    let status = object.status?;
                    let seen = Some(status.observed_generation) == object.metadata.generation;
                    let found = status.conditions.iter().any(|condition| {
                        condition.kind == ConditionType::Ready
                            && reason.is_none_or(|reason| condition.reason == reason)
                    });
                    let looked_up = status
                        .conditions
                        .iter()
                        .any(|condition| condition.kind == ConditionType::ExpiryKnown);
                    let wanted = object.spec.expiry_lookup.is_some();
                    (seen && found && looked_up == wanted).then_some(())
                })
                .await;
        }
    }

    /// A quota, after which no further Secret is accepted.
    async fn over_quota(&mut self) {
        let quota = json!({"metadata": {"name": "full"}, "spec": {"hard": {"count/secrets": "1"}}});
        let quotas: Api<ResourceQuota> =
            Api::namespaced(self.world.client.clone(), &self.world.namespace);
        let quota = serde_json::from_value(quota).unwrap();
        quotas.create(&PostParams::default(), &quota).await.unwrap();
        // What the quota controller would count.
        let full = json!({"count/secrets": "1"});
        let counted = Patch::Merge(json!({"status": {"hard": full, "used": full}}));
        let params = PatchParams::default();
        quotas
            .patch_status("full", &params, &counted)
            .await
            .unwrap();
        let extra = json!({"metadata": {"generateName": "extra-"}});
        let extra: Secret = serde_json::from_value(extra).unwrap();
        self.world
            .until("the quota is in force", || async {
                let dry_run = true;
                let params = PostParams {
                    dry_run,
                    ..PostParams::default()
                };
                let tried = self.world.secrets().create(&params, &extra).await;
                tried.is_err().then_some(())
            })
            .await;
        let spec = Self::pat("good-pat", &self.world.data_center().url());
        self.create("over-quota", spec, Some(Reason::WriteRefused))
            .await;
    }

    /// A target is damaged, a token is revoked, a person asks.
    async fn later(&mut self) {
        let world = self.world;
        let secret = self.invented("vandalised");
        let damage = Patch::Merge(json!({"stringData": {"token": secret}}));
        let params = PatchParams::default();
        world
            .secrets()
            .patch("good-cloud", &params, &damage)
            .await
            .unwrap();
        world
            .until("the target is as it was", || async {
                let target = world.secrets().get("good-cloud").await.unwrap();
                let value = crate::support::value(&target, "token");
                (value != secret).then_some(())
            })
            .await;
        let jira = world.data_center();
        let secret = self.invented("changed-password");
        jira.set_password("robot", &secret);
        world
            .annotate("good-basic", "jira-operator.dev/renew", "now")
            .await;
        world
            .wait(
                "good-basic",
                ConditionType::Ready,
                ConditionStatus::False,
                Reason::Rejected,
            )
            .await;
        world
            .secret("good-basic-source", &[("password", &secret)])
            .await;
        world.wait_ready("good-basic").await;
    }

    /// Everything that the cluster shows of the operator's work, and that is no Secret's value.
    async fn look_around(&self) {
        let world = self.world;
        for object in world
            .credentials()
            .list(&ListParams::default())
            .await
            .unwrap()
        {
            let name = object.metadata.name.clone().unwrap();
            let text = serde_json::to_string(&object).unwrap();
            self.canaries
                .absent(&format!("JiraCredential {name}"), &text);
        }
        for group in ["", "events.k8s.io"] {
            let kind =
                ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(group, "v1", "Event"));
            let events: Api<DynamicObject> =
                Api::namespaced_with(world.client.clone(), &world.namespace, &kind);
            let events = events.list(&ListParams::default()).await.unwrap();
            assert!(events.items.len() > 10);
            let text = serde_json::to_string(&events).unwrap();
            self.canaries.absent("events", &text);
        }
        let published = ListParams::default().labels("jira-operator.dev/credential");
        for secret in world.secrets().list(&published).await.unwrap() {
            let text = serde_json::to_string(&secret.metadata).unwrap();
            self.canaries.absent("metadata of a target", &text);
        }
        // Where the secrets belong they are found: the search works.
        for name in ["good-cloud", "good-pat", "good-basic", "ca-both"] {
            let secret = world.secrets().get(name).await.unwrap();
            let text = serde_json::to_string(&secret).unwrap();
            assert!(!self.canaries.leaks(&text).is_empty(), "{name}");
        }
    }
}

/// The program as it ships.
struct Program {
    child: Child,
    log: std::path::PathBuf,
    metrics: u16,
    health: u16,
}

impl Program {
    fn start(world: &World, directory: &std::path::Path, kubeconfig: &std::path::Path) -> Self {
        let ca = directory.join("ca.pem");
        world.sim.write_ca(&ca).unwrap();
        let log = directory.join("log");
        let (metrics, health) = (free_port(), free_port());
        let child = Command::new(env!("CARGO_BIN_EXE_jira-credential-operator"))
            .arg("run")
            .args(["--namespace", OPERATOR])
            .args(["--cloud-hosts", "*.cloud.localhost"])
            .args(["--allowed-hosts", "*.dc.localhost"])
            .args(["--api-url", &world.sim.gateway_url()])
            .args(["--allowed-addresses", "127.0.0.0/8,::1"])
            .args(["--log-level", "trace"])
            .arg("--extra-ca-file")
            .arg(&ca)
            .arg(format!("--metrics-bind-address=127.0.0.1:{metrics}"))
            .arg(format!("--health-probe-bind-address=127.0.0.1:{health}"))
            .env("KUBECONFIG", kubeconfig)
            // What an administrator in search of a fault sets, in the hope that it helps.
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(File::create(directory.join("out")).unwrap())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self {
            child,
            log,
            metrics,
            health,
        }
    }

    fn is_ready(&self) -> bool {
        get(self.health, "/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// Stops in good order; returns the logs.
    fn stop(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
        let started = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < PATIENCE, "the program does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(self.child.wait().unwrap().success());
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// An object that was stored under looser rules, with a date that the operator cannot read.
async fn store_what_cannot_be_read(plane: &ControlPlane) {
    let mut loose = serde_json::to_value(crd()).unwrap();
    strip_patterns(&mut loose);
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

fn strip_patterns(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields
                .get("format")
                .is_some_and(|format| format == "date-time")
            {
                fields.remove("pattern");
            }
            fields.values_mut().for_each(strip_patterns);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_patterns),
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
    // One object that cannot be read is told by name, and stopped nothing of the above.
    assert!(log.contains("the stored object cannot be read") && log.contains("unreadable"));
    assert!(!log.contains("panicked"), "{log}");
}

/// Collects what is logged.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// With the filter that ships, at its finest level.
    ///
    /// While there is one subscriber only, tracing asks the thread that comes to a line first
    /// whether anybody wants it, and remembers a no for all: so there are two.
    pub(crate) fn dispatch(&self) -> tracing::Dispatch {
        static SECOND: OnceLock<tracing::Dispatch> = OnceLock::new();
        SECOND.get_or_init(|| Self::default().subscriber());
        self.subscriber()
    }

    fn subscriber(&self) -> tracing::Dispatch {
        let log = self.clone();
        let layer = fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(move || log.clone())
            .with_filter(telemetry::filter(tracing::Level::TRACE));
        tracing::Dispatch::new(tracing_subscriber::registry().with(layer))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_api_server_makes_the_operator_tell_no_secret() {
    let world = World::new().await;
    let log = Log::default();
    let operator = world.operator_logging(|_| {}, log.dispatch()).await;
    let jira = world.data_center();
    let mut stage = Stage::new(&world);
    let (get, create) = (Verb::Get, Verb::Create);
    for (name, verb, resource, of, fault) in [
        (
            "get-500",
            get,
            "secrets",
            "get-500-source",
            ApiFault::Status(500),
        ),
        (
            "get-401",
            get,
            "secrets",
            "get-401-source",
            ApiFault::Status(401),
        ),
        (
            "get-lost",
            get,
            "secrets",
            "get-lost-source",
            ApiFault::LostAnswer,
        ),
        (
            "create-500",
            create,
            "secrets",
            "create-500",
            ApiFault::Status(500),
        ),
        (
            "create-403",
            create,
            "secrets",
            "create-403",
            ApiFault::Status(403),
        ),
        (
            "create-413",
            create,
            "secrets",
            "create-413",
            ApiFault::Status(413),
        ),
        (
            "create-422",
            create,
            "secrets",
            "create-422",
            ApiFault::Status(422),
        ),
        (
            "create-429",
            create,
            "secrets",
            "create-429",
            ApiFault::Status(429),
        ),
        (
            "create-lost",
            create,
            "secrets",
            "create-lost",
            ApiFault::LostAnswer,
        ),
        (
            "create-504",
            create,
            "secrets",
            "create-504",
            ApiFault::LostAnswerStatus(504),
        ),
        (
            "create-gone",
            create,
            "secrets",
            "create-gone",
            ApiFault::Unreachable,
        ),
        (
            "status-500",
            Verb::Patch,
            "jiracredentials/status",
            "status-500",
            ApiFault::Status(500),
        ),
        (
            "status-409",
            Verb::Patch,
            "jiracredentials/status",
            "status-409",
            ApiFault::Status(409),
        ),
        (
            "status-422",
            Verb::Patch,
            "jiracredentials/status",
            "status-422",
            ApiFault::Status(422),
        ),
        (
            "status-lost",
            Verb::Patch,
            "jiracredentials/status",
            "status-lost",
            ApiFault::LostAnswer,
        ),
    ] {
        let requests = Requests::verb(verb).resource(resource).name(of);
        operator.faults.add(requests, 1..=1, fault);
        let token = jira.pat(name);
        stage.canaries.watch(name, token.secret());
        let data: [(&str, &[u8]); 1] = [("token", token.secret().as_bytes())];
        stage.opaque(name, &data).await;
        let spec = Stage::pat(name, &jira.url());
        stage.create(name, spec, Some(Reason::Validated)).await;
    }
    let events = Requests::verb(create).resource("events");
    operator.faults.add(events, 1..=5, ApiFault::Status(403));
    stage.accepted().await;
    stage.signed(false).await;
    stage.malformed().await;
    for cut in [Cut::Broken, Cut::Gone] {
        operator.faults.cut_watches(&Requests::any(), cut);
        operator.quiet().await;
        // What was refused is tried again after five minutes.
        world.advance(chrono::TimeDelta::minutes(6));
        operator.look_again(1).await;
    }
    stage.settled().await;
    stage.look_around().await;
    let metrics = operator.metrics.render().unwrap();
    stage.canaries.absent("metrics", &metrics);
    operator.stop().await;
    let log = log.text();
    for said in [
        "retrying the reconcile",
        "called Jira",
        "an event could not be published",
    ] {
        assert!(log.contains(said), "{said} is not in {log}");
    }
    stage.canaries.absent("the log", &log);
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
    let data: [(&str, &[u8]); 3] = [
        ("username", b"robot"),
        ("password", secret.as_bytes()),
        ("ca.crt", ca),
    ];
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
        rate_limited_until: None,
        peer: &|_| Peer::Silent,
        older_claim: &|_| None,
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
        method: MethodName::Basic,
        url: &site.base,
        site: &site.base,
        cloud_id: None,
        user: material.user.as_deref(),
        secret: &material.secret,
        signing: Some(Parts {
            consumer_key: "sync",
            private_key: &material.secret,
            token_secret: Some(&material.secret),
        }),
        account: "JIRAUSER10000",
        expires_at: None,
    };
    let contents = standard(&validated);
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
