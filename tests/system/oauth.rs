//! OAuth 2.0 with a refresh token and client credentials, from consent to renewal.

mod consent;
mod data_center;
mod endpoint_errors;
mod grant;
pub(crate) mod redaction;
mod renewal;
mod versions;

use atlassian_sim::{Consent, OAuthApp, Spend, SpendOutcome};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason, SecretKeyRef};
use jira_credential_operator::core::spec::grant_name;
use serde_json::{Value, json};

use crate::support::{Running, World, says, value};

/// Longer than until the renewal of any token of an hour, shorter than until its end.
pub(crate) const RENEWAL_IS_DUE: TimeDelta = TimeDelta::minutes(50);

pub(crate) const SCOPES: [&str; 3] = ["read:jira-work", "read:jira-user", "offline_access"];

impl World {
    /// A consent, its refresh token and the client secret in Secrets, and the credential that uses
    /// them.
    pub(crate) async fn oauth(&self, name: &str) -> (OAuthApp, Consent) {
        let app = self.sim.oauth_app();
        let consent = app.consent(&format!("{name}@acme.example"), &[&self.cloud()], &SCOPES);
        self.seed(name, &consent.refresh_token()).await;
        self.client_secret(name, &app.secret()).await;
        self.create(name, self.oauth_spec(name, &app)).await;
        (app, consent)
    }

    pub(crate) async fn seed(&self, name: &str, token: &str) {
        self.secret(&format!("{name}-seed"), &[("refresh-token", token)])
            .await;
    }

    pub(crate) async fn client_secret(&self, name: &str, secret: &str) {
        self.secret(&format!("{name}-client"), &[("secret", secret)])
            .await;
    }

    pub(crate) fn oauth_spec(&self, name: &str, app: &OAuthApp) -> Value {
        json!({
            "site": self.cloud().url(),
            "hosting": "Cloud",
            "auth": {"oauth2": {
                "clientId": app.client_id(),
                "clientSecretRefs": [{"name": format!("{name}-client"), "key": "secret"}],
                "refreshTokenSecretRef": {"name": format!("{name}-seed"), "key": "refresh-token"},
                "scopes": ["read:jira-work", "read:jira-user"],
            }},
        })
    }

    /// A client of a service account, with its Secret, and what a credential `bot` says that uses it.
    pub(crate) async fn service_spec(&self) -> (OAuthApp, Value) {
        let scopes = ["read:jira-work", "read:jira-user"];
        let app = self.cloud().service_client("robot", &scopes);
        self.client_secret("bot", &app.secret()).await;
        let spec = json!({
            "site": self.cloud().url(),
            "hosting": "Cloud",
            "auth": {"clientCredentials": {
                "clientId": app.client_id(),
                "clientSecretRefs": [{"name": "bot-client", "key": "secret"}],
            }},
        });
        (app, spec)
    }

    /// The grant of a credential.
    pub(crate) async fn grant(&self, name: &str) -> Option<Value> {
        let secret = self.secrets().get_opt(&grant_of(name)).await;
        let secret = secret.unwrap()?;
        Some(serde_json::from_str(&value(&secret, "grant")).unwrap())
    }

    /// The refresh token in use.
    pub(crate) async fn kept(&self, name: &str) -> String {
        let grant = self.grant(name).await.unwrap();
        grant["live"]["refresh"].as_str().unwrap().to_owned()
    }

    /// The token that pods get.
    pub(crate) async fn published(&self, name: &str) -> String {
        let secret = self.secrets().get(name).await.unwrap();
        value(&secret, "token")
    }

    /// Lets time pass until a renewal is due, and the operator look.
    pub(crate) async fn renewal_falls_due(&self, operator: &Running) {
        self.advance(RENEWAL_IS_DUE);
        operator.look_again(1).await;
    }

    /// What became of every refresh token that was spent.
    pub(crate) fn outcomes(&self) -> Vec<String> {
        let spends = self.sim.spends();
        let word = |spend: &Spend| match &spend.outcome {
            SpendOutcome::Exchanged { .. } => "exchanged".to_owned(),
            SpendOutcome::Replayed { .. } => "replayed".to_owned(),
            other => format!("{other:?}"),
        };
        spends.iter().map(word).collect()
    }
}

/// A world in which the credential `bot` is Ready by a consent, and its operator is at rest.
pub(crate) async fn renewing() -> (World, Running, OAuthApp, Consent) {
    let world = World::new().await;
    let operator = world.operator().await;
    let (app, consent) = world.oauth("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    (world, operator, app, consent)
}

/// The name of the grant of a credential.
pub(crate) fn grant_of(name: &str) -> String {
    grant_name(&SecretKeyRef {
        name: format!("{name}-seed"),
        key: "refresh-token".into(),
    })
}

/// Another look neither writes nor calls: what a reconcile that reads the grant concludes and what
/// one that does not is the same.
pub(crate) async fn assert_at_rest(world: &World, operator: &Running) {
    operator.quiet().await;
    for _ in 0..2 {
        let (mark, calls) = (operator.mark(), world.calls());
        operator.look_again(1).await;
        assert_eq!(operator.requests_since(mark), Vec::<String>::new());
        assert_eq!(world.calls(), calls);
    }
}

/// No token value is spent twice, except as the replay of a lost answer inside the leeway.
pub(crate) fn assert_none_was_spent_late(world: &World) {
    for spend in world.sim.spends() {
        let late = matches!(spend.outcome, SpendOutcome::LateReuse | SpendOutcome::Dead);
        assert!(!late, "{spend:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_becomes_a_validated_secret() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mark = operator.mark();
    let (_, consent) = world.oauth("bot").await;
    let object = world.wait_ready("bot").await;
    operator.quiet().await;
    let expected = [
        "get secrets",
        "get secrets",
        "get secrets",
        "create secrets",
        "update secrets",
        "update secrets",
        "update secrets",
        "create secrets",
        "create events",
        "update jiracredentials/status",
    ];
    assert_eq!(operator.requests_since(mark), expected);
    let secret = world.secrets().get("bot").await.unwrap();
    assert_eq!(value(&secret, "url"), world.cloud().gateway_url());
    assert_eq!(value(&secret, "site"), world.cloud().url());
    assert_eq!(value(&secret, "cloudId"), world.cloud().cloud_id());
    let bearer = format!("Bearer {}", value(&secret, "token"));
    assert_eq!(value(&secret, "authorization"), bearer);
    let seed = consent.refresh_token();
    let leaked = secret.data.iter().flatten().any(|(_, value)| {
        let text = String::from_utf8(value.0.clone()).unwrap();
        text.contains(&seed)
    });
    assert!(!leaked, "a refresh token in a target");
    assert!(consent.holds_newest(&world.kept("bot").await));
    let status = object.status.unwrap();
    assert_eq!(status.scopes.len(), SCOPES.len());
    let grant = status.grant.unwrap();
    assert!(grant.consumed && grant.blocked_by.is_none());
    let now = world.clock.now();
    assert_eq!(grant.consent_expires_at, Some(now + TimeDelta::days(365)));
    assert_eq!(grant.idle_expires_at, Some(now + TimeDelta::days(90)));
    assert_eq!(status.expires_at, Some(now + TimeDelta::hours(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_takes_six_requests_two_calls_and_no_event() {
    let (world, operator, _, consent) = renewing().await;
    for _ in 0..3 {
        let first = world.published("bot").await;
        let (mark, calls) = (operator.mark(), world.calls());
        world.renewal_falls_due(&operator).await;
        let expected = [
            "get secrets",
            "get secrets",
            "update secrets",
            "update secrets",
            "patch secrets",
            "update jiracredentials/status",
        ];
        assert_eq!(operator.requests_since(mark), expected);
        assert_eq!(world.calls() - calls, 2);
        world.wait_ready("bot").await;
        assert_ne!(world.published("bot").await, first);
        assert!(consent.holds_newest(&world.kept("bot").await));
        let mark = operator.mark();
        operator.look_again(1).await;
        assert_eq!(operator.requests_since(mark), Vec::<String>::new());
    }
    assert_eq!(world.events("bot").await.len(), 1);
    assert_eq!(world.outcomes(), vec!["exchanged"; 4]);
    // Neither a restart nor a label is a change.
    operator.stop().await;
    let operator = world.operator().await;
    world.label("bot", json!({"team": "a"})).await;
    operator.look_again(1).await;
    // The key of the fingerprints and the refused passwords are read at each start.
    assert_eq!(
        operator.requests_since(operator.start),
        ["get secrets", "get secrets"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn client_credentials_are_asked_again_without_an_intent() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (app, spec) = world.service_spec().await;
    world.create("bot", spec).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let (mark, first) = (operator.mark(), world.published("bot").await);
    world.renewal_falls_due(&operator).await;
    let expected = [
        "get secrets",
        "get secrets",
        "update secrets",
        "patch secrets",
        "update jiracredentials/status",
    ];
    assert_eq!(operator.requests_since(mark), expected);
    assert_ne!(world.published("bot").await, first);
    world.wait_ready("bot").await;
    operator.quiet().await;
    let mark = operator.mark();
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());

    // The client secret is rotated: the old one goes, the new one is used as soon as it is stored.
    let (old, new) = (app.secret(), app.add_secret());
    app.revoke_secret(&old);
    world.renewal_falls_due(&operator).await;
    let wait = world.wait(
        "bot",
        ConditionType::Valid,
        ConditionStatus::False,
        Reason::ClientRejected,
    );
    let message = says(&wait.await, ConditionType::Ready).message;
    assert!(message.contains("bot-client"), "{message}");
    world.client_secret("bot", &new).await;
    world.wait_ready("bot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_credentials_with_another_client_id_do_not_disturb_those_that_hold_the_secret() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = world
        .cloud()
        .service_client("robot", &["read:jira-work", "read:jira-user"]);
    world.client_secret("robot", &app.secret()).await;
    let spec = |client: &str| {
        json!({
            "site": world.cloud().url(),
            "hosting": "Cloud",
            "auth": {"clientCredentials": {
                "clientId": client,
                "clientSecretRefs": [{"name": "robot-client", "key": "secret"}],
            }},
        })
    };
    world.create("robot", spec(app.client_id())).await;
    let robot = world.wait_ready("robot").await;
    let born = robot.metadata.creation_timestamp;
    // Ages are compared in seconds.
    world
        .until("a second has passed", || async {
            let younger = world.secret("clock", &[]).await;
            world.delete_secret("clock").await;
            (younger.metadata.creation_timestamp > born).then_some(())
        })
        .await;
    world.create("other", spec("mistyped")).await;
    let object = world.wait_unready("other", Reason::GrantConflict);
    let said = says(&object.await, ConditionType::Ready).message;
    assert!(said.contains("JiraCredential robot"), "{said}");
    let calls = world.calls();
    operator.look_again(2).await;
    world.wait_ready("robot").await;
    assert_eq!(world.calls(), calls);
    let metrics = operator.metrics.render().unwrap();
    for (metric, name, value) in [
        ("renewal_blocked", "robot", 0),
        ("renewal_blocked", "other", 1),
        ("validation_interval_seconds", "robot", 3600),
    ] {
        let namespace = &world.namespace;
        let series = format!(
            "jira_credential_{metric}{{namespace=\"{namespace}\",name=\"{name}\"}} {value}\n"
        );
        assert!(metrics.contains(&series), "{series}{metrics}");
    }
}
