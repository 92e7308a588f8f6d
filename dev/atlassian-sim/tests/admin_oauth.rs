//! The admin API and the state document: OAuth 2.0.

#![allow(clippy::unwrap_used, reason = "a test file")]

mod support;

use atlassian_sim::{Config, Sim};
use reqwest::Method;
use serde_json::{Value, json};
use support::client;

struct Admin {
    sim: Sim,
    client: reqwest::Client,
    host: String,
}

fn admin() -> Admin {
    let config = Config {
        admin_port: Some(0),
        ..Config::default()
    };
    let sim = Sim::start_blocking(config).unwrap();
    let client = client(&sim, &[]);
    let host = sim.cloud_site("acme").host().to_owned();
    Admin { sim, client, host }
}

impl Admin {
    async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/admin{path}", self.sim.admin_url().unwrap());
        let request = self.client.request(method, url).json(&body);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or(Value::Null))
    }

    async fn done(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, body).await;
        assert_eq!(status, 200, "{path} {answer}");
        answer
    }

    async fn consent(&self, app: &Value) -> Value {
        let order = json!({
            "clientId": app["clientId"],
            "user": "ann@acme.example",
            "hosts": [self.host],
            "scopes": ["read:jira-user", "offline_access"],
            "confluence": [self.host],
        });
        self.done(Method::POST, "/consents", order).await
    }

    async fn token(&self, body: Value) -> (u16, Value) {
        let url = format!("{}/oauth/token", self.sim.auth_url());
        let response = self.client.post(url).json(&body).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap())
    }

    async fn refresh(&self, id: &Value, secret: &Value, token: &Value) -> (u16, Value) {
        self.token(json!({
            "grant_type": "refresh_token",
            "client_id": id,
            "client_secret": secret,
            "refresh_token": token,
        }))
        .await
    }
}

#[tokio::test]
async fn an_app_a_consent_and_its_spends() {
    let a = admin();
    let health = a.done(Method::GET, "/health", Value::Null).await;
    assert_eq!(health["authUrl"], a.sim.auth_url());
    let app = a.done(Method::POST, "/oauth-apps", json!({})).await;
    let consent = a.consent(&app).await;
    let seed = &consent["refreshToken"];
    let (status, pair) = a.refresh(&app["clientId"], &app["secret"], seed).await;
    assert_eq!(status, 200, "{pair}");
    assert!(pair["scope"].as_str().unwrap().contains("confluence"));
    let spends = a.done(Method::GET, "/spends", Value::Null).await;
    assert_eq!(spends[0]["token"], consent["refreshTokenId"]);
    assert_eq!(
        spends[0]["outcome"],
        json!({ "kind": "exchanged", "successor": "rt-2" })
    );
    assert_eq!(spends[0]["answered"], true);
    let none = a.done(Method::GET, "/spends?family=99", Value::Null).await;
    assert_eq!(none, json!([]));

    let secrets = format!("/oauth-apps/{}/secrets", app["clientId"].as_str().unwrap());
    let second = a.done(Method::POST, &secrets, json!({})).await;
    let order = json!({ "secret": app["secret"] });
    a.done(Method::DELETE, &secrets, order).await;
    assert_eq!(
        a.refresh(&app["clientId"], &app["secret"], seed).await.0,
        401
    );
    assert_eq!(
        a.refresh(&app["clientId"], &second["secret"], seed).await.0,
        200
    );

    let family = format!("/consents/{}", consent["family"]);
    a.done(Method::DELETE, &family, Value::Null).await;
    assert_eq!(
        a.refresh(&app["clientId"], &second["secret"], seed).await.0,
        403
    );
    a.done(Method::DELETE, "/spends", Value::Null).await;
    assert_eq!(a.done(Method::GET, "/spends", Value::Null).await, json!([]));
}

#[tokio::test]
async fn a_service_client_and_settings() {
    let a = admin();
    let change = json!({ "accessLifeSeconds": 120, "replay": "same-successor" });
    let settings = a.done(Method::PATCH, "/oauth-settings", change).await;
    assert_eq!(settings["replay"], "same-successor");
    assert_eq!(settings["leewaySeconds"], 600);
    assert_eq!(
        a.done(Method::GET, "/oauth-settings", Value::Null).await,
        settings
    );
    let order = json!({ "host": a.host, "name": "ci", "scopes": ["read:jira-user"] });
    let service = a.done(Method::POST, "/service-clients", order).await;
    assert!(service["user"].as_str().unwrap().starts_with("ci-"));
    let (status, answer) = a
        .token(json!({
            "grant_type": "client_credentials",
            "client_id": service["clientId"],
            "client_secret": service["secret"],
        }))
        .await;
    assert_eq!((status, &answer["expires_in"]), (200, &json!(120)));
}

#[tokio::test]
async fn orders_that_make_no_sense() {
    let a = admin();
    let dc = a.sim.data_center("jira").host().to_owned();
    let app = a.done(Method::POST, "/oauth-apps", json!({})).await;
    let consent = a.consent(&app).await;
    let ordered = |host: &str, token: &Value| {
        json!({
            "clientId": app["clientId"],
            "user": "ann@acme.example",
            "hosts": [host],
            "scopes": ["offline_access"],
            "refreshToken": token,
        })
    };
    let service = |host: &str| json!({ "host": host, "name": "ci", "scopes": [] });
    let cases = [
        (
            "POST",
            "/oauth-apps",
            json!({ "clientId": app["clientId"] }),
            400,
        ),
        ("POST", "/oauth-apps/unknown/secrets", json!({}), 404),
        (
            "POST",
            "/consents",
            ordered(&a.host, &consent["refreshToken"]),
            400,
        ),
        ("POST", "/consents", ordered(&dc, &Value::Null), 400),
        ("POST", "/consents", ordered("nowhere", &Value::Null), 404),
        ("POST", "/service-clients", service("nowhere"), 404),
        ("DELETE", "/consents/99", Value::Null, 404),
        (
            "PATCH",
            "/oauth-settings",
            json!({ "idleSeconds": i64::MAX }),
            400,
        ),
    ];
    for (method, path, body, status) in cases {
        let method = method.parse().unwrap();
        let (got, answer) = a.call(method, path, body.clone()).await;
        assert_eq!(got, status, "{path} {body}");
        assert!(answer["error"].is_string());
    }
}

#[tokio::test]
async fn a_state_document_with_fixed_values() {
    let a = admin();
    let document = json!({
        "oauthSettings": { "omitRefreshToken": true },
        "oauthApps": [{ "clientId": "app", "secret": "app-secret" }],
        "serviceClients": [{
            "host": a.host, "name": "ci", "scopes": ["read:jira-user"],
            "clientId": "bot", "secret": "bot-secret",
        }],
        "consents": [{
            "clientId": "app", "user": "ann@acme.example", "hosts": [a.host],
            "scopes": ["read:jira-user", "offline_access"], "refreshToken": "seed",
        }],
    });
    a.sim.load_state(&document.to_string()).unwrap();
    let (status, answer) = a
        .refresh(&json!("app"), &json!("app-secret"), &json!("seed"))
        .await;
    assert_eq!((status, answer.get("refresh_token")), (200, None));
    let grant = json!({
        "grant_type": "client_credentials", "client_id": "bot", "client_secret": "bot-secret",
    });
    assert_eq!(a.token(grant).await.0, 200);
    let again = a.sim.load_state(&document.to_string());
    assert_eq!(again.unwrap_err().to_string(), "clientId is taken");
}

#[tokio::test]
async fn an_application_link_of_a_data_center() {
    let a = admin();
    let jira = a.sim.data_center("jira").version("11.3.5");
    let redirect = "https://app.example/callback";
    let order = json!({ "host": jira.host(), "redirectUris": [redirect], "clientId": "link" });
    let link = a.done(Method::POST, "/oauth-apps", order).await;
    let order = json!({ "clientId": "link", "user": "bot", "scopes": ["READ"] });
    let consent = a.done(Method::POST, "/consents", order).await;
    let settings = json!({ "dataCenter": { "accessLifeSeconds": 60 } });
    let settings = a.done(Method::PATCH, "/oauth-settings", settings).await;
    assert_eq!(settings["dataCenter"]["accessLifeSeconds"], 60);
    assert_eq!(settings["accessLifeSeconds"], 3600);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let order = json!({ "host": jira.host(), "name": "robot", "scopes": ["READ"] });
    let service = a.done(Method::POST, "/service-clients", order).await;
    assert_eq!(service["user"], "robot");
    let client = client(&a.sim, &[jira.host()]);
    for fields in [
        vec![
            ("grant_type", "refresh_token".to_owned()),
            ("client_id", "link".to_owned()),
            ("client_secret", text(&link["secret"])),
            ("refresh_token", text(&consent["refreshToken"])),
            ("redirect_uri", redirect.to_owned()),
        ],
        vec![
            ("grant_type", "client_credentials".to_owned()),
            ("client_id", text(&service["clientId"])),
            ("client_secret", text(&service["secret"])),
            ("scope", "READ".to_owned()),
        ],
    ] {
        let url = format!("{}/rest/oauth2/latest/token", jira.url());
        let mut form = form_urlencoded::Serializer::new(String::new());
        let body = form.extend_pairs(fields).finish();
        let kind = "application/x-www-form-urlencoded";
        let request = client.post(url).header("content-type", kind).body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["expires_in"], 60);
    }
    let (status, _) = a
        .call(Method::POST, "/oauth-apps", json!({ "host": a.host }))
        .await;
    assert_eq!(status, 400, "an app belongs to no Cloud site");
}

#[tokio::test]
async fn the_callback_of_an_app_is_registered() {
    let a = admin();
    let callback = "http://127.0.0.1:8765/callback";
    let order = json!({ "callback": callback });
    let app = a.done(Method::POST, "/oauth-apps", order).await;
    let query = format!(
        "audience=api.atlassian.com&client_id={}&scope=read:jira-user&redirect_uri={callback}&\
         state=s&response_type=code&prompt=consent",
        app["clientId"].as_str().unwrap()
    );
    let url = format!("{}/authorize?{query}", a.sim.auth_url());
    let landing = a.sim.person("nobody@acme.example").decline(&url);
    assert_eq!(landing.callback(), None, "no such account");
    a.sim.cloud_site("acme").account_id("ann@acme.example");
    let landing = a.sim.person("ann@acme.example").decline(&url);
    assert!(landing.callback().unwrap().starts_with(callback));

    a.sim.data_center("jira");
    let host = a.sim.data_center("jira").host().to_owned();
    let order = json!({ "host": host, "callback": callback });
    assert_eq!(a.call(Method::POST, "/oauth-apps", order).await.0, 400);
}
