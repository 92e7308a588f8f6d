//! What the OAuth tests share: a consent, and requests to the token endpoint.

#![allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "each test file uses a part of this"
)]

use atlassian_sim::{CloudSite, Config, Consent, OAuthApp, Sim, SpendOutcome};
use chrono::TimeDelta;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::{Answer, client, get};

pub(crate) const USER: &str = "ann@acme.example";
pub(crate) const SCOPES: [&str; 3] = ["read:jira-user", "read:jira-work", "offline_access"];

pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) site: CloudSite,
    pub(crate) app: OAuthApp,
    pub(crate) consent: Consent,
    pub(crate) client: reqwest::Client,
}

/// A world whose time stands still.
pub(crate) fn world() -> World {
    let sim = Sim::start_blocking(Config::default()).unwrap();
    sim.clock().freeze();
    let site = sim.cloud_site("acme");
    let app = sim.oauth_app();
    let consent = app.consent(USER, &[&site], &SCOPES);
    let client = client(&sim, &[site.host()]);
    World {
        sim,
        site,
        app,
        consent,
        client,
    }
}

impl World {
    pub(crate) fn later(&self, delta: TimeDelta) {
        self.sim.clock().advance(delta);
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/oauth/token", self.sim.auth_url())
    }

    /// The request of the grant `refresh_token`, in order.
    pub(crate) fn body(&self, token: &str) -> Value {
        json!({
            "grant_type": "refresh_token",
            "client_id": self.app.client_id(),
            "client_secret": self.app.secret(),
            "refresh_token": token,
        })
    }

    pub(crate) async fn post(&self, body: &Value) -> Answer {
        self.send(self.client.post(self.url()).json(body))
            .await
            .unwrap()
    }

    pub(crate) async fn raw(&self, content_type: &str, body: String) -> Answer {
        let request = self.client.post(self.url());
        self.send(request.header(CONTENT_TYPE, content_type).body(body))
            .await
            .unwrap()
    }

    pub(crate) async fn send(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<Answer, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer {
            status,
            headers,
            text: response.text().await?,
        })
    }

    /// The answer to a refresh.
    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        self.post(&self.body(token)).await
    }

    /// A refresh that must succeed: the new refresh token and the new access token.
    pub(crate) async fn exchange(&self, token: &str) -> (String, String) {
        let answer = self.refresh(token).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let body = answer.json();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        (text("refresh_token"), text("access_token"))
    }

    /// The status of `/myself` on the gateway.
    pub(crate) async fn myself(&self, access: &str) -> u16 {
        let url = format!("{}/rest/api/3/myself", self.site.gateway_url());
        get(&self.client, &url, &format!("Bearer {access}"))
            .await
            .status
    }

    pub(crate) fn outcomes(&self) -> Vec<SpendOutcome> {
        let spends = self.sim.spends();
        spends.into_iter().map(|spend| spend.outcome).collect()
    }

    pub(crate) fn id(&self, token: &str) -> String {
        self.sim.token_id(token).unwrap()
    }
}

/// A refusal: its status and its `error`.
pub(crate) fn refusal(answer: &Answer) -> (u16, String) {
    let error = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(answer.json()["error_description"].is_string());
    (answer.status, error)
}

pub(crate) fn is_refused(answer: &Answer) {
    assert_eq!(refusal(answer), (403, "invalid_grant".to_owned()));
    assert_eq!(
        answer.json()["error_description"],
        "Unknown or invalid refresh token."
    );
}
