//! The list of an organisation's API tokens.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test file")]

mod support;

use atlassian_sim::{CloudSite, Config, Organization, OrganizationKey, Sim, Token, Verdict};
use chrono::{TimeDelta, Utc};
use serde_json::Value;
use support::{Answer, client, get};

struct World {
    sim: Sim,
    site: CloudSite,
    organization: Organization,
    key: OrganizationKey,
    client: reqwest::Client,
}

const EMAIL: &str = "bot@acme.example";

fn world() -> World {
    let sim = Sim::start_blocking(Config::default()).unwrap();
    sim.clock().freeze();
    let site = sim.cloud_site("acme");
    let organization = sim.organization();
    organization.manage(EMAIL);
    let key = organization.reading_key();
    let client = client(&sim, &[site.host()]);
    World {
        sim,
        site,
        organization,
        key,
        client,
    }
}

impl World {
    async fn ask(&self, query: &str, authorization: &str) -> Answer {
        let path = self.organization.tokens_path();
        let url = format!("{}{path}{query}", self.sim.gateway_url());
        get(&self.client, &url, authorization).await
    }

    async fn list(&self, query: &str) -> Value {
        let answer = self.ask(query, &self.key.bearer()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    async fn use_token(&self, token: &Token) {
        let url = format!("{}/rest/api/3/myself", self.site.url());
        assert_eq!(get(&self.client, &url, &token.basic()).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_says_what_is_known_of_a_token() {
    let w = world();
    let token = w.site.api_token(EMAIL);
    w.organization.label(&token, "ci bot");
    w.site.api_token("somebody@else.example");
    let list = w.list("").await;
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "managed only");
    let entry = &list["data"][0];
    assert_eq!(entry["label"], "ci bot");
    assert_eq!(entry["status"], "ALLOWED");
    assert_eq!(entry["user"]["id"], w.site.account_id(EMAIL));
    assert_eq!(entry["user"]["email"], EMAIL);
    assert!(entry["lastActiveAt"].is_null());
    let end = w.sim.expiry(&token).unwrap();
    let told: chrono::DateTime<Utc> = entry["expiresAt"].as_str().unwrap().parse().unwrap();
    assert_eq!(told.timestamp_millis(), end.timestamp_millis());
    w.sim.clock().advance(TimeDelta::hours(1));
    w.use_token(&token).await;
    w.organization.block(&token, true);
    let list = w.list("").await;
    let entry = &list["data"][0];
    assert_eq!(entry["status"], "BLOCKED");
    let active: chrono::DateTime<Utc> = entry["lastActiveAt"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        active.timestamp_millis(),
        w.sim.clock().now().timestamp_millis()
    );
    w.sim.revoke(&token);
    assert!(w.list("").await["data"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_one_another_and_keep_their_filter() {
    let w = world();
    w.organization.manage("other@acme.example");
    for email in [EMAIL, "other@acme.example", EMAIL, EMAIL] {
        w.site.api_token(email);
    }
    w.organization.configure(|settings| settings.page_size = 2);
    let first = w.list("?q=BOT@acme.example").await;
    let next = first["links"]["next"].as_str().unwrap();
    assert!(next.starts_with(&format!(
        "{}{}",
        w.sim.gateway_url(),
        w.organization.tokens_path()
    )));
    let last = get(&w.client, next, &w.key.bearer()).await.json();
    assert!(last["links"]["next"].is_null());
    let labels = |list: &Value| -> Vec<String> {
        let entries = list["data"].as_array().unwrap().iter();
        entries
            .map(|entry| entry["label"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = [labels(&first), labels(&last)].concat();
    assert_eq!(all, ["token-1-label", "token-3-label", "token-4-label"]);
    w.organization
        .configure(|settings| settings.bare_cursors = true);
    let first = w.list("").await;
    let cursor = first["links"]["next"].as_str().unwrap();
    assert!(!cursor.contains('/'));
    let second = w.list(&format!("?cursor={cursor}")).await;
    assert_eq!(labels(&second), ["token-3-label", "token-4-label"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_its_own_organisation_with_the_scope_and_in_its_time() {
    let w = world();
    let token = w.site.api_token(EMAIL);
    let stranger = w.sim.organization().reading_key();
    let narrow = w.organization.key(&["read:keys:admin"]);
    let revoked = w.organization.reading_key();
    w.organization.revoke(&revoked);
    for (header, status, verdict) in [
        (String::new(), 401, Verdict::Anonymous),
        (token.basic(), 401, Verdict::Rejected),
        (token.bearer(), 401, Verdict::Rejected),
        (revoked.bearer(), 401, Verdict::Revoked),
        (narrow.bearer(), 403, Verdict::ScopeMissing),
        (stranger.bearer(), 404, Verdict::NotFound),
        (w.key.bearer(), 200, Verdict::Accepted),
    ] {
        assert_eq!(w.ask("", &header).await.status, status, "{verdict:?}");
        assert_eq!(w.sim.calls().pop().unwrap().verdict, verdict);
    }
    w.sim.clock().advance(TimeDelta::weeks(1));
    assert_eq!(w.ask("", &w.key.bearer()).await.status, 401);
    let call = w.sim.calls().pop().unwrap();
    assert_eq!(call.verdict, Verdict::Expired);
    assert_eq!(call.token_id.as_deref(), Some(w.key.id()));
    assert!(!format!("{:?}", w.key).contains(w.key.secret()));
}
