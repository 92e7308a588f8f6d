//! Personal access tokens and sessions by the admin API.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test file")]

mod support;

use atlassian_sim::{Config, Sim};
use reqwest::Method;
use serde_json::{Value, json};
use support::client;

struct Admin {
    sim: Sim,
    http: reqwest::Client,
}

impl Admin {
    async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/admin{path}", self.sim.admin_url().unwrap());
        let request = self.http.request(method, url).json(&body);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or(Value::Null))
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::POST, path, body).await;
        assert_eq!(status, 200, "{path} {answer}");
        answer
    }

    async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, Value::Null).await.1
    }
}

#[tokio::test]
async fn tokens_and_sessions_are_set_up_and_read_by_orders() {
    let config = Config {
        admin_port: Some(0),
        ..Config::default()
    };
    let sim = Sim::start_blocking(config).unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let a = Admin { sim, http };
    let settings = json!({
        "mostTokens": 2,
        "tooLong": "refused",
        "tokenDates": "rfc3339",
        "sessionIdleSeconds": 60,
    });
    let order = json!({ "name": "jira", "settings": settings });
    let instance = a.post("/data-centers", order).await;
    let (host, url) = (
        instance["host"].as_str().unwrap(),
        instance["url"].as_str().unwrap(),
    );
    let order = json!({
        "host": host, "user": "robot", "name": "first", "expiresAt": "2099-01-01T00:00:00Z",
    });
    let token = a.post("/tokens", order).await;
    let order = json!({ "host": host, "user": "robot", "password": "an old one" });
    a.post("/users", order).await;

    let client = client(&a.sim, &[host]);
    let tokens = format!("{url}/rest/pat/latest/tokens");
    let bearer = format!("Bearer {}", token["secret"].as_str().unwrap());
    for status in [201, 403] {
        let mint = client
            .post(&tokens)
            .header("authorization", &bearer)
            .json(&json!({ "name": "second", "expirationDuration": 3 }));
        assert_eq!(mint.send().await.unwrap().status().as_u16(), status);
    }
    let pats = a.get(&format!("/pats?host={host}&user=robot")).await;
    assert_eq!(pats[0]["name"], "first");
    assert_eq!(pats[0]["expires"], "2099-01-01T00:00:00Z");
    assert_eq!(pats[1]["name"], "second");
    let ledger = format!("/pat-requests?host={host}&user=Robot");
    let asked = a.get(&ledger).await;
    assert_eq!(asked[0]["ask"], "mint");
    assert_eq!(asked[0]["with"], token["id"]);
    assert_eq!(asked[1]["status"], 403);
    let others = format!("/pat-requests?host={host}&user=other");
    assert_eq!(a.get(&others).await, json!([]));
    a.call(Method::DELETE, &ledger, Value::Null).await;
    assert_eq!(a.get(&ledger).await, json!([]));

    let log_in = || {
        client
            .post(format!("{url}/rest/auth/1/session"))
            .json(&json!({ "username": "robot", "password": "an old one" }))
            .send()
    };
    let (sessions, ofs) = (
        format!("/sessions?host={host}"),
        format!("/sessions?host={host}&user=robot"),
    );
    for ending in [&sessions, &ofs] {
        assert_eq!(log_in().await.unwrap().status().as_u16(), 200);
        let live = a.get(&ofs).await;
        assert_eq!(live.as_array().unwrap().len(), 1);
        assert_eq!(live[0]["owner"], "robot");
        a.call(Method::DELETE, ending, Value::Null).await;
        assert_eq!(a.get(&sessions).await, json!([]));
    }
    log_in().await.unwrap();
    a.post("/clock", json!({ "frozen": true, "advanceSeconds": 61 }))
        .await;
    assert_eq!(a.get(&sessions).await, json!([]), "idle for too long");
    let events = format!("/session-events?host={host}");
    let told = a.get(&events).await;
    assert_eq!(told.as_array().unwrap().len(), 3);
    assert_eq!(told[0]["act"], "logged-in");
    a.call(Method::DELETE, &events, Value::Null).await;
    assert_eq!(a.get(&events).await, json!([]));

    let rule =
        json!({ "method": "POST", "pathPrefix": "/rest/auth/", "fault": {"kind": "drop-after"} });
    a.post("/faults", rule).await;
    assert!(log_in().await.is_err());
    assert_eq!(a.get(&sessions).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn orders_that_make_no_sense() {
    let config = Config {
        admin_port: Some(0),
        ..Config::default()
    };
    let sim = Sim::start_blocking(config).unwrap();
    sim.cloud_site("acme");
    let jira = sim.data_center("jira");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let host = jira.host().to_owned();
    let a = Admin { sim, http };
    for (path, status) in [
        ("/sessions?host=acme.cloud.localhost".to_owned(), 400),
        ("/sessions?host=nobody.dc.localhost".to_owned(), 404),
        ("/pat-requests".to_owned(), 400),
        (format!("/pats?host={host}"), 400),
    ] {
        assert_eq!(
            a.call(Method::GET, &path, Value::Null).await.0,
            status,
            "{path}"
        );
    }
}
