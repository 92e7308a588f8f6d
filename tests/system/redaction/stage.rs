//! What the secrets are fed through: every place where they could show.

use super::Canaries;
use crate::support::World;
use atlassian_sim::{Canned, Fault, LinkKey, Rule};
use jira_credential_operator::api::{ConditionType, Reason};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ResourceQuota, Secret};
use kube::api::{Api, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::discovery::ApiResource;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Everything that may go wrong with a credential, each with a canary.
pub(super) struct Stage<'a> {
    pub(super) world: &'a World,
    pub(super) canaries: Canaries,
    pub(super) waiting: Vec<(String, Option<Reason>)>,
    pub(super) number: u32,
}

impl<'a> Stage<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        Self {
            world,
            canaries: Canaries::default(),
            waiting: Vec::new(),
            number: 0,
        }
    }

    /// A secret that no Jira knows.
    pub(super) fn invented(&mut self, name: &str) -> String {
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

    pub(super) async fn source(&self, name: &str, kind: &str, data: &[(&str, &[u8])]) {
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

    pub(super) async fn opaque(&self, name: &str, data: &[(&str, &[u8])]) {
        self.source(name, "Opaque", data).await;
    }

    pub(super) async fn create(&mut self, name: &str, spec: Value, reason: Option<Reason>) {
        self.world.create(name, spec).await;
        self.waiting.push((name.to_owned(), reason));
    }

    pub(super) fn cloud(name: &str, site: &str) -> Value {
        json!({"site": site, "hosting": "Cloud", "auth": {"apiToken": {
            "email": format!("{name}@acme.example"),
            "tokenSecretRef": {"name": format!("{name}-source"), "key": "token"},
        }}})
    }

    pub(super) fn pat(name: &str, site: &str) -> Value {
        json!({"site": site, "auth": {"personalAccessToken": {
            "tokenSecretRef": {"name": format!("{name}-source"), "key": "token"},
        }}})
    }

    pub(super) fn basic(name: &str, site: &str) -> Value {
        json!({"site": site, "auth": {"basic": {"secretRef": {"name": format!("{name}-source")}}}})
    }

    /// One credential of each method that works.
    pub(super) async fn accepted(&mut self) {
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
    pub(super) async fn signed(&mut self, skewed: bool) {
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
    pub(super) async fn refused(&mut self) {
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

    /// API keys of organisations: one that works, and others that go wrong in every way.
    pub(super) async fn lookups(&mut self) {
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
                "lookup-newline" => format!("{key}\n\n"),
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
    pub(super) async fn outages(&mut self) {
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
    pub(super) async fn targets(&mut self) {
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

    pub(super) async fn settled(&self) {
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
    pub(super) async fn over_quota(&mut self) {
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
    pub(super) async fn later(&mut self) {
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
        world.wait_unready("good-basic", Reason::Rejected).await;
        world
            .secret("good-basic-source", &[("password", &secret)])
            .await;
        world.wait_ready("good-basic").await;
    }

    /// Everything that the cluster shows of the operator's work, and that is no Secret's value.
    pub(super) async fn look_around(&self) {
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
