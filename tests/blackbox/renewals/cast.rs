//! The credentials whose tokens are renewed all the time, and the Secrets that they live in.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use atlassian_sim::{Consent, OAuthApp};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, JiraCredential, Reason};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::process::PATIENCE;
use crate::stage::{Stage, email, texts};

pub(crate) const SCOPES: [&str; 3] = ["read:jira-work", "read:jira-user", "offline_access"];

/// How fast everything goes.
#[derive(Clone, Debug)]
pub(crate) struct Tempo {
    /// Divides the protocol's own waits.
    pub(crate) time_scale: i32,
    /// The life of an access token.
    pub(crate) life: TimeDelta,
    /// How long a spent refresh token is honoured.
    pub(crate) leeway: TimeDelta,
    /// How long an access token outlives the next exchange.
    pub(crate) overlap: TimeDelta,
}

impl Tempo {
    /// Everything that Atlassian promises, divided by the same number as the protocol's waits.
    /// The life of access tokens is apart: it says only how often there is something to see.
    pub(crate) fn divided_by(time_scale: i32, life: TimeDelta) -> Self {
        Self {
            time_scale,
            life,
            leeway: TimeDelta::minutes(10) / time_scale,
            overlap: TimeDelta::minutes(10) / time_scale,
        }
    }

    /// A wait of the protocol at this pace.
    pub(crate) fn of(&self, wait: TimeDelta) -> TimeDelta {
        wait / self.time_scale
    }
}

/// One credential, and the consents that a person gave for it, one after another.
pub(crate) struct Member {
    pub(crate) name: String,
    consents: Mutex<Vec<Consent>>,
}

impl Member {
    pub(crate) fn consents(&self) -> Vec<Consent> {
        let consents = self.consents.lock();
        consents.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, consent: Consent) {
        let consents = self.consents.lock();
        consents
            .unwrap_or_else(PoisonError::into_inner)
            .push(consent);
    }

    /// The consent that counts.
    pub(crate) fn consent(&self) -> Consent {
        self.consents().pop().unwrap()
    }
}

/// All of them.
pub(crate) struct Cast {
    pub(crate) stage: Stage,
    pub(crate) tempo: Tempo,
    pub(crate) app: OAuthApp,
    pub(crate) members: Vec<Member>,
}

impl Cast {
    /// Writes the consents of so many people, with client secret and credential.
    pub(crate) async fn gather(mut stage: Stage, tempo: Tempo, count: usize) -> Self {
        stage.set_pace(tempo.time_scale);
        stage.sim.configure_oauth(|oauth| {
            oauth.access_life = tempo.life;
            oauth.leeway = tempo.leeway;
            oauth.overlap = tempo.overlap;
        });
        let app = stage.sim.oauth_app();
        stage.secret("client", &[("secret", &app.secret())]).await;
        let mut cast = Self {
            stage,
            tempo,
            app,
            members: Vec::new(),
        };
        for number in 0..count {
            let member = Member {
                name: format!("bot-{number}"),
                consents: Mutex::default(),
            };
            cast.consent(&member).await;
            let spec = cast.spec(&member.name, number);
            cast.stage.create(&member.name, spec).await;
            cast.members.push(member);
        }
        cast
    }

    /// A person consents, and stores the refresh token.
    pub(crate) async fn consent(&self, member: &Member) {
        let site = self.stage.cloud();
        let consent = self.app.consent(&email(&member.name), &[&site], &SCOPES);
        let token = consent.refresh_token();
        member.add(consent);
        let seed = format!("{}-seed", member.name);
        self.stage.secret(&seed, &[("refresh-token", &token)]).await;
    }

    /// Not all renew equally early, so that they drift apart and something happens all the time.
    fn spec(&self, name: &str, number: usize) -> Value {
        let half = self.tempo.life.num_seconds() / 2;
        let before = half - i64::try_from(number).unwrap() % (half / 4).max(1);
        json!({
            "site": self.stage.cloud().url(),
            "hosting": "Cloud",
            "rotation": {"renewBefore": format!("{before}s")},
            "auth": {"oauth2": {
                "clientId": self.app.client_id(),
                "clientSecretRefs": [{"name": "client", "key": "secret"}],
                "refreshTokenSecretRef": {"name": format!("{name}-seed"), "key": "refresh-token"},
                "scopes": ["read:jira-work", "read:jira-user"],
            }},
        })
    }

    pub(crate) fn member(&self, name: &str) -> &Member {
        let found = self.members.iter().find(|member| member.name == name);
        found.unwrap()
    }

    /// What the operator keeps, by the name of the credential.
    pub(crate) async fn grants(&self) -> BTreeMap<String, Grant> {
        let secrets = self.stage.secrets().list(&ListParams::default()).await;
        secrets.unwrap().iter().filter_map(Grant::read).collect()
    }

    /// The credentials as they stand.
    pub(crate) async fn credentials(&self) -> Vec<JiraCredential> {
        let all = ListParams::default();
        self.stage.credentials().list(&all).await.unwrap().items
    }

    /// Waits until every credential is ready, and the grant holds a token that can be exchanged.
    pub(crate) async fn settled(&self) {
        let deadline = Instant::now() + PATIENCE * 2;
        let mut waiting: Vec<&str> = self.members.iter().map(|m| m.name.as_str()).collect();
        while !waiting.is_empty() {
            let (grants, all) = (self.grants().await, self.credentials().await);
            for object in all.iter().filter(|object| is_ready(object)) {
                let name = object.name_any();
                let grant = grants.get(&name);
                let idle = grant.filter(|grant| grant.intent.is_none());
                let stored = idle.and_then(|grant| grant.refresh.as_deref());
                let consent = self.member(&name).consent();
                if stored.is_some_and(|token| consent.can_exchange(token)) {
                    waiting.retain(|other| *other != name);
                }
            }
            assert!(
                Instant::now() < deadline,
                "not ready: {waiting:?}\n{all:#?}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// What stands in a Secret of the operator.
pub(crate) struct Grant {
    /// Name of the Secret.
    pub(crate) secret: String,
    /// The refresh token of the chain in use, or else of the one that is to become it.
    pub(crate) refresh: Option<String>,
    /// The attempt that is under way.
    pub(crate) intent: Option<String>,
}

impl Grant {
    fn read(secret: &Secret) -> Option<(String, Self)> {
        if !secret.name_any().starts_with("jco-grant-") {
            return None;
        }
        let seed = secret.annotations().get("jira-operator.dev/seed-name")?;
        let owner = seed.strip_suffix("-seed")?.to_owned();
        let content: Value = serde_json::from_str(texts(secret).get("grant")?).ok()?;
        let lives = |chain: &&Value| chain["refresh"].is_string() && chain["dead"].is_null();
        let chains = [&content["candidate"], &content["live"]];
        let chain = chains.into_iter().find(lives);
        let grant = Self {
            secret: secret.name_any(),
            refresh: chain.and_then(|chain| chain["refresh"].as_str().map(str::to_owned)),
            intent: content["intent"]["attempt"].as_str().map(str::to_owned),
        };
        Some((owner, grant))
    }
}

pub(crate) fn is_ready(object: &JiraCredential) -> bool {
    let ready = object
        .status
        .as_ref()
        .and_then(|status| status.condition(ConditionType::Ready));
    ready.is_some_and(|ready| {
        ready.status == ConditionStatus::True && ready.reason == Reason::Validated
    })
}
