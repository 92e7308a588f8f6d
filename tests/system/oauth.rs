//! OAuth 2.0 with a refresh token and client credentials, from consent to renewal.

use atlassian_sim::{Consent, OAuthApp};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use serde_json::{Value, json};

use crate::support::{World, says, value};

const SCOPES: [&str; 3] = ["read:jira-work", "read:jira-user", "offline_access"];

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
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_becomes_a_proven_secret_and_is_renewed_with_six_requests() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mark = operator.mark();
    let (_, consent) = world.oauth("bot").await;
    let object = world.wait_ready("bot").await;
    operator.quiet().await;
    eprintln!("{:#?}", operator.requests_since(mark));
    let status = object.status.unwrap();
    eprintln!("{}", serde_json::to_string_pretty(&status).unwrap());
    let secret = world.secrets().get("bot").await.unwrap();
    assert_eq!(value(&secret, "url"), world.cloud().gateway_url());
    assert_eq!(value(&secret, "site"), world.cloud().url());
    assert_eq!(value(&secret, "cloudId"), world.cloud().cloud_id());
    let first = value(&secret, "token").clone();
    assert!(consent.is_alive());

    let mark = operator.mark();
    world.advance(TimeDelta::minutes(50));
    operator.look_again(1).await;
    let requests = operator.requests_since(mark);
    assert_eq!(
        requests,
        [
            "get secrets",
            "get secrets",
            "update secrets",
            "update secrets",
            "patch secrets",
            "patch jiracredentials/status"
        ]
    );
    let object = world.wait_ready("bot").await;
    assert_eq!(says(&object, ConditionType::Valid).reason, Reason::Accepted);
    let secret = world.secrets().get("bot").await.unwrap();
    assert_ne!(value(&secret, "token"), first);
    let mark = operator.mark();
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
    assert_eq!(world.events("bot").await.len(), 1);
    let _ = ConditionStatus::True;
}
