//! `mypermissions`: who may do what, and what anonymous callers get.

#![allow(clippy::unwrap_used, reason = "a test file")]

mod support;

use atlassian_sim::{Config, Sim, Verdict, basic};
use serde_json::{Value, json};
use support::{client, get};

const USER: &str = "bot@acme.example";

/// The keys that the answer says are held.
fn held(body: &Value) -> Vec<&str> {
    let permissions = body["permissions"].as_object().unwrap();
    permissions
        .iter()
        .filter(|(_, entry)| entry["havePermission"] == json!(true))
        .map(|(key, _)| key.as_str())
        .collect()
}

#[tokio::test]
async fn cloud_tells_what_it_is_asked_about() {
    let sim = Sim::start_blocking(Config::default()).unwrap();
    let site = sim.cloud_site("acme").user(USER);
    let client = client(&sim, &[site.host()]);
    let token = site.api_token(USER);
    let path = "/rest/api/3/mypermissions?permissions=BROWSE_PROJECTS,ADMINISTER";
    for base in [site.url(), site.gateway_url()] {
        let answer = get(&client, &format!("{base}{path}"), &token.basic()).await;
        assert_eq!(answer.status, 200, "{base}");
        let body = answer.json();
        assert_eq!(body["permissions"].as_object().unwrap().len(), 2);
        assert_eq!(held(&body), ["BROWSE_PROJECTS"]);
    }
    site.set_permission(USER, "ADMINISTER", true);
    site.set_permission(USER, "BROWSE_PROJECTS", false);
    let url = format!("{}{path}", site.url());
    let answer = get(&client, &url, &token.basic()).await;
    assert_eq!(held(&answer.json()), ["ADMINISTER"]);
    let wrong = get(&client, &url, &basic(USER, "wrong")).await;
    assert_eq!(wrong.status, 200, "as anonymous");
    assert_eq!(held(&wrong.json()), ["BROWSE_PROJECTS"]);
    assert_eq!(sim.calls().last().unwrap().verdict, Verdict::FellThrough);
}

#[tokio::test]
async fn cloud_refuses_questions_that_it_does_not_understand() {
    let sim = Sim::start_blocking(Config::default()).unwrap();
    let site = sim.cloud_site("acme").user(USER);
    let client = client(&sim, &[site.host()]);
    let url = format!("{}/rest/api/3/mypermissions", site.url());
    let answer = get(&client, &url, "").await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.json(),
        json!({"errorMessages": ["The 'permissions' query parameter is required."], "errors": {}})
    );
    let url = format!("{url}?permissions=BROWSE_PROJECTS%2CLAUNCH_ROCKETS");
    let answer = get(&client, &url, "").await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.json(),
        json!({"errorMessages": [], "errors": {"LAUNCH_ROCKETS": "Unrecognized permission"}})
    );
}

#[tokio::test]
async fn a_token_with_scopes_needs_the_one_for_work() {
    let sim = Sim::start_blocking(Config::default()).unwrap();
    let site = sim.cloud_site("acme").user(USER);
    let client = client(&sim, &[site.host()]);
    let url = format!(
        "{}/rest/api/3/mypermissions?permissions=ADMINISTER",
        site.gateway_url()
    );
    for (scopes, status) in [
        (&["read:jira-user"][..], 401),
        (&["read:jira-user", "read:jira-work"], 200),
    ] {
        let token = site.scoped_token(USER, scopes);
        let answer = get(&client, &url, &token.basic()).await;
        assert_eq!(answer.status, status, "{scopes:?}");
        assert_eq!(answer.text.contains("scope does not match"), status == 401);
    }
}

#[tokio::test]
async fn data_center_tells_everything_to_everybody() {
    let sim = Sim::start_blocking(Config::default()).unwrap();
    let jira = sim.data_center("jira").user("robot");
    let client = client(&sim, &[jira.host()]);
    let pat = jira.pat("robot");
    jira.set_permission("robot", "SYSTEM_ADMIN", true);
    let url = format!(
        "{}/rest/api/2/mypermissions?permissions=CREATE_ISSUES",
        jira.url()
    );
    let answer = get(&client, &url, &pat.bearer()).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert!(body["permissions"].as_object().unwrap().len() > 10);
    assert!(held(&body).contains(&"SYSTEM_ADMIN"));
    assert!(!held(&body).contains(&"ADMINISTER"));
    let answer = get(&client, &url, "").await;
    assert_eq!(answer.header("x-ausername"), "anonymous");
    assert_eq!(held(&answer.json()), ["BROWSE_PROJECTS"]);
}

#[tokio::test]
async fn outside_the_context_path_a_proxy_may_show_the_way() {
    let sim = Sim::start_blocking(Config::default()).unwrap();
    let jira = sim.data_center("jira").context_path("/jira");
    let client = client(&sim, &[jira.host()]);
    let url = format!("https://{}:{}/rest/api/2/myself", jira.host(), sim.port());
    let answer = get(&client, &url, "").await;
    assert_eq!(answer.status, 404);
    assert!(answer.header("content-type").starts_with("text/html"));
    let jira = jira.redirect_to_context();
    let answer = get(&client, &url, "").await;
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header("location"), "/jira/rest/api/2/myself");
    assert_eq!(jira.settings().context_path, "/jira");
}
