//! accessible-resources: which sites an access token opens.

#![allow(clippy::unwrap_used, reason = "a test file")]

mod support;

use atlassian_sim::{Consent, SiteState, UserState};
use chrono::TimeDelta;
use serde_json::{Value, json};
use support::oauth::{SCOPES, USER, World, world};
use support::{Answer, get};

async fn ask(w: &World, authorization: &str) -> Answer {
    let url = format!("{}/oauth/token/accessible-resources", w.sim.gateway_url());
    get(&w.client, &url, authorization).await
}

async fn list(w: &World, consent: &Consent) -> Vec<Value> {
    let answer = ask(w, &format!("Bearer {}", consent.access_token())).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json().as_array().unwrap().clone()
}

#[tokio::test]
async fn one_site() {
    let w = world();
    let header = format!("Bearer {}", w.consent.access_token());
    let answer = ask(&w, &header).await;
    assert_eq!(
        answer.header("content-type"),
        "application/json; charset=utf-8"
    );
    let entries = answer.json();
    assert_eq!(entries.as_array().unwrap().len(), 1);
    let entry = &entries[0];
    assert_eq!(entry["id"], w.site.cloud_id());
    assert_eq!(entry["url"], w.site.url());
    assert_eq!(entry["name"], "acme");
    assert_eq!(
        entry["scopes"],
        json!(SCOPES[..2]),
        "offline_access is no permission"
    );
    assert!(entry["avatarUrl"].is_string());
    let call = w.sim.calls().pop().unwrap();
    assert_eq!(
        (call.user.as_deref(), call.token_id.as_deref()),
        (Some(USER), Some("at-1"))
    );
    w.site
        .configure(|settings| settings.base_url = Some("https://jira.acme.example".to_owned()));
    assert_eq!(
        list(&w, &w.consent).await[0]["url"],
        "https://jira.acme.example"
    );
}

#[tokio::test]
async fn several_sites_and_none() {
    let w = world();
    let other = w.sim.cloud_site("other");
    let both = w.app.consent(USER, &[&other, &w.site], &SCOPES);
    let urls = |list: &[Value]| list.iter().map(|e| e["url"].clone()).collect::<Vec<_>>();
    assert_eq!(urls(&list(&w, &both).await), [other.url(), w.site.url()]);
    assert_eq!(w.myself(&both.access_token()).await, 200);
    let none = w.app.consent(USER, &[], &SCOPES);
    assert_eq!(list(&w, &none).await, Vec::<Value>::new());
    assert_eq!(w.myself(&none.access_token()).await, 403);
    other.set_state(SiteState::Deleted);
    assert_eq!(urls(&list(&w, &both).await), [w.site.url()]);
    w.site.remove_access(USER);
    assert_eq!(list(&w, &both).await, Vec::<Value>::new());
}

/// The Confluence entry of a site comes first, so that the first entry is a trap.
#[tokio::test]
async fn confluence_on_the_same_site() {
    let w = world();
    let consent = w.consent.clone().also_confluence(&w.site);
    let entries = list(&w, &consent).await;
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["id"], entries[1]["id"]);
    let scopes = entries[0]["scopes"].as_array().unwrap();
    assert!(
        scopes
            .iter()
            .all(|scope| scope.as_str().unwrap().ends_with(":confluence"))
    );
    assert_eq!(entries[1]["scopes"], json!(SCOPES[..2]));
    let (_, access) = w.exchange(&consent.refresh_token()).await;
    assert_eq!(w.myself(&access).await, 200);
}

#[tokio::test]
async fn confluence_only() {
    let w = world();
    let scopes = ["read:page:confluence", "offline_access"];
    let consent = w.app.consent(USER, &[&w.site], &scopes);
    assert_eq!(
        list(&w, &consent).await[0]["scopes"],
        json!(["read:page:confluence"])
    );
    assert_eq!(w.myself(&consent.access_token()).await, 401);
    // A site that the consent covers for Confluence alone.
    let other = w.sim.cloud_site("other").user(USER);
    let consent = w.consent.clone().also_confluence(&other);
    let entries = list(&w, &consent).await;
    assert_eq!(
        (entries.len(), &entries[0]["url"]),
        (2, &json!(other.url()))
    );
    let url = format!("{}/rest/api/3/myself", other.gateway_url());
    let header = format!("Bearer {}", consent.access_token());
    let answer = get(&w.client, &url, &header).await;
    let message = "Unauthorized; scope does not match";
    assert_eq!(
        (answer.status, &answer.json()["message"]),
        (401, &json!(message))
    );
    assert_eq!(w.myself(&consent.access_token()).await, 200);
}

#[tokio::test]
async fn a_service_account_sees_its_site() {
    let w = world();
    let app = w.site.service_client("ci", &["read:jira-user"]);
    let body = json!({
        "grant_type": "client_credentials",
        "client_id": app.client_id(),
        "client_secret": app.secret(),
    });
    let access = w.post(&body).await.json()["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let entries = ask(&w, &format!("Bearer {access}")).await.json();
    assert_eq!(entries.as_array().unwrap().len(), 1);
    assert_eq!(entries[0]["url"], w.site.url());
    assert_eq!(entries[0]["scopes"], json!(["read:jira-user"]));
}

#[tokio::test]
async fn who_is_refused() {
    let w = world();
    let bot = w.site.service_account("ci");
    let service = w.site.service_account_token(&bot, &["read:jira-user"]);
    let access = w.consent.access_token();
    let revoked = w.app.consent(USER, &[&w.site], &SCOPES);
    revoked.revoke();
    let gone = w.app.consent("gone@acme.example", &[&w.site], &SCOPES);
    w.site
        .set_user_state("gone@acme.example", UserState::Deactivated);
    let refused = [
        String::new(),
        "Bearer unknown".to_owned(),
        service.bearer(),
        atlassian_sim::basic(USER, &access),
        format!("Bearer {}", revoked.access_token()),
        format!("Bearer {}", gone.access_token()),
        format!("Bearer {}", w.consent.refresh_token()),
    ];
    for header in refused {
        let answer = ask(&w, &header).await;
        assert_eq!(answer.status, 401);
        assert_eq!(
            answer.json(),
            json!({ "code": 401, "message": "Unauthorized" })
        );
    }
    assert_eq!(ask(&w, &format!("Bearer {access}")).await.status, 200);
    w.later(TimeDelta::minutes(60));
    assert_eq!(ask(&w, &format!("Bearer {access}")).await.status, 401);
}
