//! Projects and issues: search, create, comment, transition.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test file")]

mod support;

use atlassian_sim::{Config, Project, Sim, Token, basic};
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};
use support::{Answer, client, get};

const USER: &str = "bot@acme.example";

/// Somebody who may do what an ordinary account may, and a project.
struct Desk {
    client: reqwest::Client,
    base: String,
    authorization: String,
    project: Project,
    sim: Sim,
}

impl Desk {
    fn cloud() -> Self {
        let sim = Sim::start_blocking(Config::default()).unwrap();
        let site = sim.cloud_site("acme").user(USER);
        Self {
            client: client(&sim, &[site.host()]),
            base: site.url(),
            authorization: site.api_token(USER).basic(),
            project: site.project("OPS"),
            sim,
        }
    }

    fn data_center() -> Self {
        let sim = Sim::start_blocking(Config::default()).unwrap();
        let jira = sim.data_center("jira").user("robot");
        Self {
            client: client(&sim, &[jira.host()]),
            base: jira.url(),
            authorization: jira.pat("robot").bearer(),
            project: jira.project("OPS"),
            sim,
        }
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, body).await
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, &self.authorization);
        let response = request.body(body.to_string()).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer {
            status,
            headers,
            text,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        get(
            &self.client,
            &format!("{}{path}", self.base),
            &self.authorization,
        )
        .await
    }

    async fn found(&self, path: &str, jql: &str) -> Vec<String> {
        let answer = self
            .post(path, json!({"jql": jql, "fields": ["status"]}))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let body = answer.json();
        let issues = body["issues"].as_array().unwrap().iter();
        issues
            .map(|one| one["key"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn wish(summary: &str) -> Value {
    json!({"fields": {
        "project": {"key": "OPS"},
        "issuetype": {"name": "Task"},
        "summary": summary,
        "description": "text",
        "labels": ["a-1", "b"],
    }})
}

const OPEN: &str = "project = \"OPS\" AND labels = \"a-1\" AND creator = currentUser() AND statusCategory != Done ORDER BY created ASC";

async fn lives(desk: &Desk, search: &str) {
    let created = desk.post("/rest/api/2/issue", wish("first")).await;
    assert_eq!(
        (created.status, &created.json()["key"]),
        (201, &json!("OPS-1"))
    );
    desk.post("/rest/api/2/issue", wish("second")).await;
    assert_eq!(desk.found(search, OPEN).await, ["OPS-1", "OPS-2"]);
    let comment = desk.post(
        "/rest/api/2/issue/OPS-1/comment",
        json!({"body": "a comment"}),
    );
    assert_eq!(comment.await.status, 201);
    let listed = desk.get("/rest/api/2/issue/OPS-1/transitions").await.json();
    let done = listed["transitions"].as_array().unwrap().iter();
    let done: Vec<&Value> = done
        .filter(|one| one["to"]["statusCategory"]["key"] == "done")
        .collect();
    let id = &done[0]["id"];
    let made = desk.post(
        "/rest/api/2/issue/OPS-1/transitions",
        json!({"transition": {"id": id}}),
    );
    let made = made.await;
    assert_eq!((made.status, made.text.as_str()), (204, ""));
    let again = desk.post(
        "/rest/api/2/issue/OPS-1/transitions",
        json!({"transition": {"id": id}}),
    );
    assert_eq!(again.await.status, 400);
    assert_eq!(desk.found(search, OPEN).await, ["OPS-2"]);
    let shown = desk
        .get("/rest/api/2/issue/OPS-1?fields=status")
        .await
        .json();
    assert_eq!(shown["fields"]["status"]["statusCategory"]["key"], "done");
    let issues = desk.project.issues();
    assert_eq!(issues[0].comments, ["a comment"]);
    assert_eq!(
        (issues[0].status.as_str(), issues[1].status.as_str()),
        ("Done", "To Do")
    );
}

#[tokio::test]
async fn an_issue_is_created_found_commented_and_closed_on_cloud() {
    let desk = Desk::cloud();
    lives(&desk, "/rest/api/3/search/jql").await;
    let old = desk.get("/rest/api/3/search").await;
    assert_eq!(old.status, 410);
}

#[tokio::test]
async fn an_issue_is_created_found_commented_and_closed_on_data_center() {
    lives(&Desk::data_center(), "/rest/api/2/search").await;
}

/// Searches as clients do that send no body, for two issues.
async fn is_searched_by_address(desk: &Desk, search: &str) -> Value {
    for summary in ["first", "second"] {
        desk.post("/rest/api/2/issue", wish(summary)).await;
    }
    let jql = "jql=project%3D%22OPS%22+ORDER+BY+created+DESC";
    let all = desk.get(&format!("{search}?{jql}&fields=*all")).await;
    let keys = |answer: &Value| {
        let issues = answer["issues"].as_array().unwrap().iter();
        issues.map(|one| one["key"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(keys(&all.json()), ["OPS-2", "OPS-1"]);
    let page = desk.get(&format!("{search}?{jql}&maxResults=1")).await;
    assert_eq!(keys(&page.json()), ["OPS-2"]);
    let other = desk.get(&format!("{search}?jql=project=HR")).await;
    assert_eq!(other.status, 400);
    page.json()
}

#[tokio::test]
async fn issues_are_searched_and_counted_on_cloud() {
    let desk = Desk::cloud();
    let page = is_searched_by_address(&desk, "/rest/api/3/search/jql").await;
    assert_eq!(page["isLast"], false);
    let counted = |jql: &str| {
        desk.post(
            "/rest/api/3/search/approximate-count",
            json!({ "jql": jql }),
        )
    };
    assert_eq!(counted("project = OPS").await.json(), json!({"count": 2}));
    assert_eq!(counted("project = HR").await.status, 400);
    let stranger = Desk {
        authorization: basic(USER, "wrong"),
        ..desk
    };
    let path = "/rest/api/3/search/approximate-count";
    let refused = stranger.post(path, json!({"jql": "project = OPS"})).await;
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn issues_are_searched_and_counted_on_data_center() {
    let desk = Desk::data_center();
    let page = is_searched_by_address(&desk, "/rest/api/2/search").await;
    assert_eq!(page["total"], 2);
    let path = "/rest/api/2/search/approximate-count";
    let counted = desk.post(path, json!({"jql": "project = OPS"})).await;
    assert_eq!(counted.status, 405);
}

#[tokio::test]
async fn an_issue_is_edited_by_who_may() {
    let sim = Sim::start_blocking(Config::default()).unwrap();
    let jira = sim.data_center("jira").user("robot");
    let desk = Desk {
        client: client(&sim, &[jira.host()]),
        base: jira.url(),
        authorization: jira.pat("robot").bearer(),
        project: jira.project("OPS"),
        sim,
    };
    desk.post("/rest/api/2/issue", wish("first")).await;
    let change = json!({"fields": {"summary": "other", "labels": ["c"]}});
    let edited = desk.send(Method::PUT, "/rest/api/2/issue/OPS-1", change.clone());
    assert_eq!(edited.await.status, 204);
    let issue = &desk.project.issues()[0];
    assert_eq!(
        (issue.summary.as_str(), issue.description.as_str()),
        ("other", "text")
    );
    assert_eq!(issue.labels, ["c"]);
    let absent = desk.send(Method::PUT, "/rest/api/2/issue/OPS-2", change.clone());
    assert_eq!(absent.await.status, 404);
    jira.set_permission("robot", "EDIT_ISSUES", false);
    let refused = desk.send(Method::PUT, "/rest/api/2/issue/OPS-1", change);
    assert_eq!(refused.await.status, 403);
}

#[tokio::test]
async fn what_is_wrong_is_told_by_field() {
    let desk = Desk::cloud();
    desk.project.require("customfield_10001");
    let mut bad = wish("two\nlines");
    bad["fields"]["issuetype"]["name"] = json!("Wish");
    bad["fields"]["labels"] = json!(["with blank"]);
    let answer = desk.post("/rest/api/2/issue", bad.clone()).await;
    assert_eq!(answer.status, 400);
    let body = answer.json();
    let named: Vec<&String> = body["errors"].as_object().unwrap().keys().collect();
    assert_eq!(
        named,
        ["customfield_10001", "issuetype", "labels", "summary"]
    );
    bad["fields"]["project"]["key"] = json!("NONE");
    let answer = desk.post("/rest/api/2/issue", bad.clone()).await.json();
    assert_eq!(
        answer["errors"],
        json!({"project": "valid project is required"})
    );
    // Version 3 takes documents.
    let answer = desk.post("/rest/api/3/issue", wish("first")).await.json();
    assert!(answer["errors"]["description"].is_string(), "{answer}");
    let jql = json!({"jql": "assignee = currentUser()"});
    assert_eq!(desk.post("/rest/api/3/search/jql", jql).await.status, 400);
    assert_eq!(desk.project.issues(), []);
}

#[tokio::test]
async fn each_permission_counts() {
    let desk = Desk::cloud();
    let site = desk.sim.cloud_site("acme");
    desk.post("/rest/api/2/issue", wish("first")).await;
    for key in ["CREATE_ISSUES", "ADD_COMMENTS", "TRANSITION_ISSUES"] {
        site.set_permission(USER, key, false);
    }
    assert_eq!(
        desk.post("/rest/api/2/issue", wish("second")).await.status,
        403
    );
    let body = json!({"body": "x"});
    assert_eq!(
        desk.post("/rest/api/2/issue/OPS-1/comment", body)
            .await
            .status,
        403
    );
    let listed = desk.get("/rest/api/2/issue/OPS-1/transitions").await.json();
    assert_eq!(listed["transitions"], json!([]));
    site.set_permission(USER, "BROWSE_PROJECTS", false);
    assert_eq!(desk.get("/rest/api/2/issue/OPS-1").await.status, 404);
    let jql = json!({"jql": OPEN});
    assert_eq!(desk.post("/rest/api/3/search/jql", jql).await.status, 400);
}

#[tokio::test]
async fn a_refused_token_finds_nothing_and_may_do_nothing() {
    let mut desk = Desk::cloud();
    desk.post("/rest/api/2/issue", wish("first")).await;
    desk.authorization = basic(USER, "wrong");
    assert_eq!(desk.found("/rest/api/3/search/jql", OPEN).await, [""; 0]);
    assert_eq!(
        desk.post("/rest/api/2/issue", wish("second")).await.status,
        401
    );
    assert_eq!(desk.project.issues().len(), 1);
}

#[tokio::test]
async fn a_private_project_is_unknown_to_a_refused_token() {
    let mut desk = Desk::cloud();
    desk.post("/rest/api/2/issue", wish("first")).await;
    desk.project.set_private(true);
    assert_eq!(desk.found("/rest/api/3/search/jql", OPEN).await, ["OPS-1"]);
    desk.authorization = basic(USER, "wrong");
    let jql = json!({"jql": OPEN});
    let found = desk.post("/rest/api/3/search/jql", jql).await;
    let seen = desk.get("/rest/api/2/issue/OPS-1").await;
    let created = desk.post("/rest/api/2/issue", wish("second")).await;
    assert_eq!((found.status, seen.status, created.status), (400, 404, 400));
    assert!(created.json()["errors"]["project"].is_string());
    assert_eq!(desk.project.issues().len(), 1);
}

#[tokio::test]
async fn a_clone_is_found_by_its_creator_alone() {
    let desk = Desk::cloud();
    desk.post("/rest/api/2/issue", wish("first")).await;
    desk.project.clone_issue("OPS-1", "ann@acme.example");
    assert_eq!(desk.found("/rest/api/3/search/jql", OPEN).await, ["OPS-1"]);
    desk.project.set_labels("OPS-1", &["b"]);
    assert_eq!(desk.found("/rest/api/3/search/jql", OPEN).await, [""; 0]);
    let of_all = OPEN
        .replace("creator = currentUser() AND ", "")
        .replace("\"a-1\"", "\"b\"");
    assert_eq!(
        desk.found("/rest/api/3/search/jql", &of_all).await,
        ["OPS-1", "OPS-2"]
    );
}

#[tokio::test]
async fn a_token_needs_the_scope_to_write() {
    let desk = Desk::cloud();
    let site = desk.sim.cloud_site("acme");
    let with = |token: Token| Desk {
        client: desk.client.clone(),
        base: site.gateway_url(),
        authorization: token.basic(),
        project: desk.project.clone(),
        sim: desk.sim.clone(),
    };
    let reader = with(site.scoped_token(USER, &["read:jira-work"]));
    assert_eq!(reader.found("/rest/api/3/search/jql", OPEN).await.len(), 0);
    let answer = reader.post("/rest/api/2/issue", wish("first")).await;
    assert_eq!(answer.status, 401);
    assert!(
        answer.text.contains("scope does not match"),
        "{}",
        answer.text
    );
    let writer = with(site.scoped_token(USER, &["read:jira-work", "write:jira-work"]));
    assert_eq!(
        writer.post("/rest/api/2/issue", wish("first")).await.status,
        201
    );
}

#[tokio::test]
async fn the_search_may_stay_behind() {
    let desk = Desk::cloud();
    desk.project.set_index_behind(true);
    desk.post("/rest/api/2/issue", wish("first")).await;
    assert_eq!(desk.found("/rest/api/3/search/jql", OPEN).await.len(), 0);
    assert_eq!(desk.get("/rest/api/2/issue/OPS-1").await.status, 200);
    desk.project.set_index_behind(false);
    assert_eq!(desk.found("/rest/api/3/search/jql", OPEN).await, ["OPS-1"]);
}
