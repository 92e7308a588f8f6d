//! OAuth 2.0 on Data Center: the token endpoint of an instance, and what its tokens are worth.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test file")]

mod support;

use atlassian_sim::{
    Config, Consent, DataCenter, Fault, OAuthApp, Rule, Sim, SpendOutcome, UserState, Verdict,
};
use chrono::TimeDelta;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;
use support::{Answer, client, get};

const REDIRECT: &str = "https://app.example/callback";
const FORM: &str = "application/x-www-form-urlencoded";

struct World {
    sim: Sim,
    jira: DataCenter,
    link: OAuthApp,
    consent: Consent,
    client: reqwest::Client,
}

/// An instance whose time stands still.
fn world() -> World {
    let sim = Sim::start_blocking(Config::default()).unwrap();
    sim.clock().freeze();
    let jira = sim
        .data_center("jira")
        .context_path("/jira")
        .version("11.3.5");
    let link = jira.oauth_link(&[REDIRECT, "https://app.example/other"]);
    let consent = jira.consent(&link, "bot", &["WRITE"]);
    let client = client(&sim, &[jira.host()]);
    World {
        sim,
        jira,
        link,
        consent,
        client,
    }
}

impl World {
    async fn raw(&self, content_type: &str, body: String) -> Result<Answer, reqwest::Error> {
        let url = format!("{}/rest/oauth2/latest/token", self.jira.url());
        let request = self.client.post(url).header(CONTENT_TYPE, content_type);
        let response = request.body(body).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer {
            status,
            headers,
            text: response.text().await?,
        })
    }

    async fn form(&self, fields: &[(&str, &str)]) -> Result<Answer, reqwest::Error> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        self.raw(FORM, form.finish()).await
    }

    async fn try_refresh(
        &self,
        secret: &str,
        token: &str,
        redirect: Option<&str>,
    ) -> Result<Answer, reqwest::Error> {
        let mut fields = vec![
            ("grant_type", "refresh_token"),
            ("client_id", self.link.client_id()),
            ("client_secret", secret),
            ("refresh_token", token),
        ];
        fields.extend(redirect.map(|redirect| ("redirect_uri", redirect)));
        self.form(&fields).await
    }

    async fn refresh_by(&self, secret: &str, token: &str, redirect: Option<&str>) -> Answer {
        self.try_refresh(secret, token, redirect).await.unwrap()
    }

    async fn refresh(&self, token: &str) -> Answer {
        self.refresh_by(&self.link.secret(), token, Some(REDIRECT))
            .await
    }

    /// A refresh that must succeed: the new refresh token and the new access token.
    async fn exchange(&self, token: &str) -> (String, String) {
        let answer = self.refresh(token).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let body = answer.json();
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        (text("refresh_token"), text("access_token"))
    }

    async fn service(&self, client: &OAuthApp, secret: &str, scope: &str) -> Answer {
        self.form(&[
            ("grant_type", "client_credentials"),
            ("client_id", client.client_id()),
            ("client_secret", secret),
            ("scope", scope),
        ])
        .await
        .unwrap()
    }

    async fn myself(&self, access: &str) -> (u16, Verdict) {
        let url = format!("{}/rest/api/2/myself", self.jira.url());
        let answer = get(&self.client, &url, &format!("Bearer {access}")).await;
        (answer.status, self.sim.calls().last().unwrap().verdict)
    }

    fn outcome(&self) -> SpendOutcome {
        self.sim.spends().pop().unwrap().outcome
    }
}

fn refusal(answer: &Answer) -> (u16, String) {
    let error = answer.json()["error"].as_str().unwrap().to_owned();
    (answer.status, error)
}

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

#[tokio::test]
async fn a_refresh_ends_both_old_tokens_at_once() {
    let w = world();
    let (seed, first) = (w.consent.refresh_token(), w.consent.access_token());
    assert_eq!(w.myself(&first).await, (200, Verdict::Accepted));
    let (next, access) = w.exchange(&seed).await;
    let successor = w.sim.token_id(&next).unwrap();
    assert_eq!(w.outcome(), SpendOutcome::Exchanged { successor });
    assert_eq!(w.myself(&access).await, (200, Verdict::Accepted));
    assert_eq!(w.myself(&first).await, (401, Verdict::Revoked));
    assert!(!w.sim.access_token_lives(&first) && w.sim.access_token_lives(&access));
    // Nothing is honoured twice, not for a moment; what came of it goes on.
    assert_eq!(refusal(&w.refresh(&seed).await), invalid_grant());
    assert_eq!(w.outcome(), SpendOutcome::Dead);
    assert!(!w.consent.can_exchange(&seed) && w.consent.holds_newest(&next));
    w.exchange(&next).await;
}

#[tokio::test]
async fn an_answer_is_a_bearer_token_with_its_life() {
    let w = world();
    let answer = w.refresh(&w.consent.refresh_token()).await.json();
    assert_eq!(answer["expires_in"], 3600);
    assert_eq!(answer["token_type"], "bearer");
    assert_eq!(answer["scope"], "WRITE");
    assert_eq!(answer["created_at"], w.sim.clock().now().timestamp());
    let life = TimeDelta::minutes(5);
    w.sim.configure_data_center_oauth(|settings| {
        settings.access_life = life;
        settings.omit_scope = true;
    });
    let next = answer["refresh_token"].as_str().unwrap();
    let answer = w.refresh(next).await.json();
    assert_eq!(answer["expires_in"], 300);
    assert_eq!(answer.get("scope"), None);
    let access = answer["access_token"].as_str().unwrap();
    w.sim.clock().advance(life);
    assert_eq!(w.myself(access).await, (401, Verdict::Expired));
}

#[tokio::test]
async fn the_redirect_url_must_be_that_of_the_consent() {
    let w = world();
    let seed = w.consent.refresh_token();
    for redirect in [
        None,
        Some(""),
        Some("https://app.example/other"),
        Some("https://app.example/callback/"),
    ] {
        let answer = w.refresh_by(&w.link.secret(), &seed, redirect).await;
        assert_eq!(refusal(&answer), invalid_grant(), "{redirect:?}");
        assert_eq!(w.outcome(), SpendOutcome::WrongRedirect);
    }
    assert!(w.consent.holds_newest(&seed));
    w.exchange(&seed).await;
}

#[tokio::test]
async fn only_forms_are_read() {
    let w = world();
    let seed = w.consent.refresh_token();
    let body = json!({
        "grant_type": "refresh_token",
        "client_id": w.link.client_id(),
        "client_secret": w.link.secret(),
        "refresh_token": seed,
        "redirect_uri": REDIRECT,
    });
    let answer = w.raw("application/json", body.to_string()).await.unwrap();
    assert_eq!(answer.status, 500);
    assert_eq!(w.outcome(), SpendOutcome::NotGranted);
    let answer = w.form(&[("grant_type", "password")]).await.unwrap();
    assert_eq!(refusal(&answer), (400, "unsupported_grant_type".to_owned()));
    assert!(w.consent.holds_newest(&seed));
}

#[tokio::test]
async fn a_client_validates_itself_at_its_own_instance() {
    let w = world();
    let seed = w.consent.refresh_token();
    let unvalidated = (401, "invalid_client".to_owned());
    for secret in ["", "wrong"] {
        let answer = w.refresh_by(secret, &seed, Some(REDIRECT)).await;
        assert_eq!(refusal(&answer), unvalidated);
        assert_eq!(w.outcome(), SpendOutcome::ClientRejected);
    }
    // Neither another instance nor Atlassian's endpoint knows it.
    let other = w.sim.data_center("other");
    let elsewhere = World {
        client: client(&w.sim, &[other.host()]),
        jira: other,
        sim: w.sim.clone(),
        link: w.link.clone(),
        consent: w.consent.clone(),
    };
    assert_eq!(refusal(&elsewhere.refresh(&seed).await), unvalidated);
    let (id, secret) = (w.link.client_id(), w.link.secret());
    let cloud = w.client.post(format!("{}/oauth/token", w.sim.auth_url()));
    let cloud = cloud.json(&json!({
        "grant_type": "refresh_token", "client_id": id, "client_secret": secret,
        "refresh_token": seed,
    }));
    assert_eq!(cloud.send().await.unwrap().status(), 401);
    // Nor does a token work at another instance.
    let access = w.consent.access_token();
    assert_eq!(elsewhere.myself(&access).await.0, 401);
    w.exchange(&seed).await;
}

#[tokio::test]
async fn what_ends_a_consent_ends_its_tokens() {
    for end in ["revoked", "idle", "user"] {
        let w = world();
        let (seed, access) = (w.consent.refresh_token(), w.consent.access_token());
        match end {
            "revoked" => w.consent.revoke(),
            "idle" => w.sim.clock().advance(TimeDelta::days(90)),
            _ => w.jira.set_user_state("bot", UserState::Deactivated),
        }
        assert_eq!(w.myself(&access).await.0, 401, "{end}");
        if end != "user" {
            assert_eq!(refusal(&w.refresh(&seed).await), invalid_grant(), "{end}");
        }
    }
    // A consent has no end of its own.
    let w = world();
    let mut token = w.consent.refresh_token();
    for _ in 0..6 {
        w.sim.clock().advance(TimeDelta::days(80));
        token = w.exchange(&token).await.0;
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_has_done_its_work() {
    let w = world();
    let seed = w.consent.refresh_token();
    let path = Some("/jira/rest/oauth2/latest/token".to_owned());
    w.sim.fault(Rule {
        path_prefix: path,
        times: Some(1),
        ..Rule::new(Fault::DropAfter)
    });
    let lost = w.try_refresh(&w.link.secret(), &seed, Some(REDIRECT)).await;
    assert!(lost.is_err());
    let spend = w.sim.spends().pop().unwrap();
    assert!(matches!(spend.outcome, SpendOutcome::Exchanged { .. }));
    assert!(!spend.answered);
    assert_eq!(refusal(&w.refresh(&seed).await), invalid_grant());
    assert!(w.consent.is_alive(), "the one with the answer could go on");
}

#[tokio::test]
async fn a_service_account_asks_for_a_scope() {
    let w = world();
    let client = w.jira.service_client("robot", &["WRITE"]);
    let secret = client.secret();
    for scope in ["READ", "WRITE", "READ WRITE"] {
        let answer = w.service(&client, &secret, scope).await;
        assert_eq!(answer.status, 200, "{scope} {}", answer.text);
        let body = answer.json();
        assert_eq!(body["scope"], scope);
        assert_eq!(body.get("refresh_token"), None);
        let access = body["access_token"].as_str().unwrap();
        assert_eq!(w.myself(access).await, (200, Verdict::Accepted));
    }
    let reader = w.jira.service_client("reader", &["READ"]);
    for (client, scope) in [
        (&client, "ADMIN"),
        (&client, "write"),
        (&client, ""),
        (&reader, "WRITE"),
    ] {
        let answer = w.service(client, &client.secret(), scope).await;
        assert_eq!(refusal(&answer), (400, "invalid scope".to_owned()));
    }
    let added = client.add_secret();
    client.revoke_secret(&secret);
    let unvalidated = (401, "invalid_client".to_owned());
    assert_eq!(
        refusal(&w.service(&client, &secret, "READ").await),
        unvalidated
    );
    assert_eq!(w.service(&client, &added, "READ").await.status, 200);
    let refused = w.service(&w.link, &w.link.secret(), "READ").await;
    assert_eq!(refusal(&refused), (400, "unauthorized_client".to_owned()));
    // The credential itself ends; what it gave before does not.
    let last = w.service(&client, &added, "READ").await.json();
    w.jira
        .end_service_client(&client, Some(w.sim.clock().now()));
    assert_eq!(
        refusal(&w.service(&client, &added, "READ").await),
        unvalidated
    );
    let access = last["access_token"].as_str().unwrap();
    assert_eq!(w.myself(access).await.0, 200);
}

#[tokio::test]
async fn what_a_version_does_not_have() {
    for (version, refresh, service) in [("8.21.0", 404, 404), ("8.22.0", 200, 400)] {
        let w = world();
        w.jira
            .configure(|settings| settings.version = version.to_owned());
        let client = w.jira.service_client("robot", &["READ"]);
        let answer = w.service(&client, &client.secret(), "READ").await;
        assert_eq!(answer.status, service, "{version}");
        let answer = w.refresh(&w.consent.refresh_token()).await;
        assert_eq!(answer.status, refresh, "{version}");
    }
}
