//! The admin API, the state document, and the simulator's life.

#![allow(clippy::unwrap_used, reason = "a test file")]

mod support;

use atlassian_sim::{Config, Sim, basic};
use reqwest::Method;
use serde_json::{Value, json};
use support::{client, get};

struct Admin {
    sim: Sim,
    http: reqwest::Client,
}

fn admin() -> Admin {
    let config = Config {
        admin_port: Some(0),
        ..Config::default()
    };
    let sim = Sim::start_blocking(config).unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    Admin { sim, http }
}

impl Admin {
    async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/admin{path}", self.sim.admin_url().unwrap());
        let response = self
            .http
            .request(method, url)
            .json(&body)
            .send()
            .await
            .unwrap();
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
async fn a_cloud_site_by_admin_api() {
    let a = admin();
    let site = a.post("/cloud-sites", json!({ "name": "acme" })).await;
    let host = site["host"].as_str().unwrap();
    let order =
        json!({ "host": host, "user": "bot@acme.example", "id": "1:a", "displayName": "B" });
    assert_eq!(a.post("/users", order).await["id"], "1:a");
    let order = json!({ "host": host, "user": "bot@acme.example" });
    let token = a.post("/tokens", order).await;
    let header = basic("bot@acme.example", token["secret"].as_str().unwrap());
    let client = client(&a.sim, &[host]);
    let url = format!("{}/rest/api/3/myself", site["url"].as_str().unwrap());
    let answer = get(&client, &url, &header).await;
    assert_eq!(
        (answer.status, &answer.json()["accountId"]),
        (200, &json!("1:a"))
    );

    let settings = json!({ "name": "acme", "settings": { "state": "suspended" } });
    let again = a.post("/cloud-sites", settings).await;
    assert_eq!(again["cloudId"], site["cloudId"]);
    assert_eq!(get(&client, &url, &header).await.status, 503);
    a.post(
        "/cloud-sites",
        json!({ "host": host, "settings": { "state": "active" } }),
    )
    .await;

    let path = format!("/tokens/{}", token["id"].as_str().unwrap());
    let end = json!({ "expiresAt": "2001-01-01T00:00:00Z" });
    assert_eq!(a.call(Method::PATCH, &path, end).await.0, 200);
    assert_eq!(get(&client, &url, &header).await.status, 401);

    let calls = a.get(&format!("/calls?host={host}&limit=2")).await;
    let verdicts: Vec<_> = calls
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["verdict"])
        .collect();
    assert_eq!(verdicts, ["unavailable", "expired"]);
    assert_eq!(a.get("/counters").await["total"], 3);
    a.call(Method::DELETE, "/calls", Value::Null).await;
    assert_eq!(a.get("/calls").await, json!([]));
    let listed = a.get("/hosts").await;
    assert_eq!(listed[0], json!({ "host": host, "kind": "cloud" }));
}

#[tokio::test]
async fn a_data_center_by_admin_api() {
    let a = admin();
    let order = json!({
        "name": "jira",
        "settings": { "contextPath": "jira", "captchaAfter": 1, "version": "9.12.2" },
    });
    let dc = a.post("/data-centers", order).await;
    let host = dc["host"].as_str().unwrap();
    let user = json!({ "host": host, "user": "robot", "password": "correct" });
    a.post("/users", user).await;
    let client = client(&a.sim, &[host]);
    let url = format!("{}/rest/api/2/myself", dc["url"].as_str().unwrap());
    assert!(url.contains("/jira/rest"));
    for (password, status) in [("wrong", 401), ("correct", 403)] {
        assert_eq!(
            get(&client, &url, &basic("robot", password)).await.status,
            status
        );
    }
    a.post("/captcha-solved", json!({ "host": host, "user": "robot" }))
        .await;
    assert_eq!(
        get(&client, &url, &basic("robot", "correct")).await.status,
        200
    );

    let bulk = a
        .post(
            "/tokens/bulk",
            json!({ "host": host, "prefix": "u", "count": 3 }),
        )
        .await;
    let secret = bulk[2]["secret"].as_str().unwrap();
    assert_eq!(
        get(&client, &url, &format!("Bearer {secret}")).await.json()["name"],
        "u2"
    );
    let path = format!("/tokens/{}", bulk[2]["id"].as_str().unwrap());
    assert_eq!(a.call(Method::DELETE, &path, Value::Null).await.0, 200);
    assert_eq!(
        get(&client, &url, &format!("Bearer {secret}")).await.status,
        401
    );
}

#[tokio::test]
async fn faults_and_clock_by_admin_api() {
    let a = admin();
    let site = a.sim.cloud_site("acme");
    let client = client(&a.sim, &[site.host()]);
    let url = format!("{}/rest/api/3/serverInfo", site.url());
    let rule = json!({
        "host": site.host(),
        "times": 1,
        "fault": { "kind": "rate-limit", "retryAfter": 7 },
    });
    let id = a.post("/faults", rule).await["id"].as_u64().unwrap();
    assert_eq!(get(&client, &url, "").await.header("retry-after"), "7");
    let listed = a.get("/faults").await;
    assert_eq!(
        (&listed[0]["hits"], &listed[0]["fault"]["kind"]),
        (&json!(1), &json!("rate-limit"))
    );
    assert_eq!(
        a.call(Method::DELETE, &format!("/faults/{id}"), Value::Null)
            .await
            .0,
        200
    );
    assert_eq!(
        a.call(Method::DELETE, &format!("/faults/{id}"), Value::Null)
            .await
            .0,
        404
    );
    let canned = json!({ "fault": { "kind": "canned", "status": 299, "body": "x" } });
    a.post("/faults", canned).await;
    assert_eq!(get(&client, &url, "").await.status, 299);
    a.call(Method::DELETE, "/faults", Value::Null).await;

    let order = json!({ "frozen": true, "set": "2030-01-01T00:00:00Z", "advanceSeconds": 60 });
    let clock = a.post("/clock", order).await;
    assert_eq!(
        clock,
        json!({ "now": "2030-01-01T00:01:00Z", "frozen": true })
    );
    assert_eq!(a.get("/clock").await, clock);
    let date = get(&client, &url, "").await.header("date").to_owned();
    assert_eq!(date, "Tue, 01 Jan 2030 00:01:00 GMT");
}

#[tokio::test]
async fn orders_that_make_no_sense() {
    let a = admin();
    let cases = [
        ("/cloud-sites", json!({}), 400),
        (
            "/cloud-sites",
            json!({ "name": "a", "settings": { "nonsense": 1 } }),
            400,
        ),
        ("/tokens", json!({ "host": "nowhere", "user": "x" }), 404),
        (
            "/captcha-solved",
            json!({ "host": "nowhere", "user": "x" }),
            404,
        ),
    ];
    for (path, body, expected) in cases {
        let (status, answer) = a.call(Method::POST, path, body).await;
        assert_eq!(status, expected, "{path}");
        assert!(answer["error"].is_string());
    }
}

#[tokio::test]
async fn a_state_document() {
    let sim = Sim::start_blocking(Config::default()).unwrap();
    let document = json!({
        "clock": { "frozen": true, "set": "2027-01-01T00:00:00Z" },
        "cloudSites": [{ "host": "acme.atlassian.test", "settings": { "cloudId": "c-1" } }],
        "dataCenters": [{ "name": "jira", "settings": { "version": "11.3.5" } }],
        "users": [{ "host": "jira.dc.localhost", "user": "robot", "password": "pw" }],
        "tokens": [
            { "host": "acme.atlassian.test", "user": "bot@acme.example", "secret": "known" },
            { "host": "jira.dc.localhost", "user": "robot", "secret": "known-pat" },
        ],
        "faults": [{ "pathPrefix": null, "times": 0, "fault": { "kind": "drop-before" } }],
    });
    sim.load_state(&document.to_string()).unwrap();
    let client = client(&sim, &["acme.atlassian.test", "jira.dc.localhost"]);
    let site = sim.cloud_site_at("acme.atlassian.test");
    assert_eq!(site.cloud_id(), "c-1");
    let url = format!("{}/rest/api/3/myself", site.url());
    assert_eq!(
        get(&client, &url, &basic("bot@acme.example", "known"))
            .await
            .status,
        200
    );
    let url = format!("{}/rest/api/2/myself", sim.data_center("jira").url());
    assert_eq!(get(&client, &url, "Bearer known-pat").await.status, 200);
    assert!(sim.load_state("{\"unknown\": []}").is_err());
}

#[tokio::test]
async fn the_simulator_ends_with_its_last_handle() {
    let a = admin();
    let (address, site) = (a.sim.addr(), a.sim.cloud_site("acme"));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    a.sim.write_ca(&file).unwrap();
    let url = format!("{}/admin/ca.pem", a.sim.admin_url().unwrap());
    let served = a.http.get(url).send().await.unwrap().text().await.unwrap();
    assert_eq!(std::fs::read_to_string(file).unwrap(), served);
    drop(a);
    assert!(
        tokio::net::TcpStream::connect(address).await.is_ok(),
        "a site handle holds it"
    );
    drop(site);
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn thousands_of_users_are_quick_to_make() {
    let sim = Sim::start_blocking(Config::default()).unwrap();
    let tokens = sim.cloud_site("acme").bulk_tokens("user", 5000);
    let pats = sim.data_center("jira").bulk_pats("user", 5000);
    assert_eq!((tokens.len(), pats.len()), (5000, 5000));
    assert_ne!(tokens[0].secret(), tokens[1].secret());
}
