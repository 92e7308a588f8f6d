//! Cloud sites: how they are found, and what they say when they are gone.

#![allow(clippy::unwrap_used, reason = "a test file")]

mod support;

use atlassian_sim::{CloudSite, Config, Sim, SiteState, Verdict, basic};
use support::{Answer, client, get};

const USER: &str = "bot@acme.example";

struct World {
    sim: Sim,
    site: CloudSite,
    client: reqwest::Client,
}

fn world() -> World {
    let sim = Sim::start_blocking(Config::default()).unwrap();
    let site = sim.cloud_site("acme").user(USER);
    let client = client(&sim, &[site.host(), "nobody.cloud.localhost"]);
    World { sim, site, client }
}

impl World {
    async fn site(&self, path: &str, authorization: &str) -> (Answer, Verdict) {
        self.ask(&format!("{}{path}", self.site.url()), authorization)
            .await
    }

    async fn gateway(&self, path: &str, authorization: &str) -> (Answer, Verdict) {
        self.ask(&format!("{}{path}", self.site.gateway_url()), authorization)
            .await
    }

    async fn ask(&self, url: &str, authorization: &str) -> (Answer, Verdict) {
        let answer = get(&self.client, url, authorization).await;
        assert_eq!(answer.header("server"), "AtlassianEdge", "{url}");
        (answer, self.sim.calls().last().unwrap().verdict)
    }
}

#[tokio::test]
async fn discovery() {
    let w = world();
    let (answer, _) = w.site("/_edge/tenant_info", "").await;
    assert_eq!(answer.json()["cloudId"], w.site.cloud_id());
    let (answer, verdict) = w.site("/rest/api/2/serverInfo", "").await;
    assert_eq!((answer.status, verdict), (200, Verdict::Anonymous));
    assert_eq!(answer.json()["deploymentType"], "Cloud");
    assert_eq!(answer.json()["baseUrl"], w.site.url());
}

#[tokio::test]
async fn paths_that_are_not_there() {
    let w = world();
    for version in ["2", "3"] {
        let (answer, verdict) = w.site(&format!("/rest/api/{version}/search"), "").await;
        assert_eq!((answer.status, verdict), (410, Verdict::Removed));
    }
    for path in [
        "/rest/api/3/no-such-thing",
        "/rest/api/4/myself",
        "/nothing",
    ] {
        let (answer, verdict) = w.site(path, "").await;
        assert_eq!((answer.status, verdict), (404, Verdict::NotFound));
        assert!(
            answer
                .header("content-type")
                .starts_with("application/problem+json")
        );
        assert_eq!(answer.json()["instance"], path);
    }
    let (answer, verdict) = w.ask(&format!("{}/nothing", w.sim.gateway_url()), "").await;
    assert_eq!((answer.status, verdict), (404, Verdict::NotFound));
    assert_eq!(answer.json()["path"], "/nothing");
    assert_eq!(answer.header("x-failure-category"), "");
}

#[tokio::test]
async fn an_unknown_cloud_id_is_answered_before_the_credential() {
    let w = world();
    let id = "00000000-0000-0000-0000-000000000000";
    let url = format!("{}/ex/jira/{id}/rest/api/3/myself", w.sim.gateway_url());
    for header in [
        String::new(),
        basic(USER, "wrong"),
        w.site.api_token(USER).basic(),
    ] {
        let (answer, verdict) = w.ask(&url, &header).await;
        assert_eq!((answer.status, verdict), (404, Verdict::UnknownCloudId));
        assert_eq!(answer.header("x-failure-category"), "FAILURE_CLIENT_TCS");
        assert_eq!(answer.json()["status"], 404);
    }
}

#[tokio::test]
async fn sites_that_are_gone() {
    let w = world();
    let token = w.site.api_token(USER);
    let port = w.sim.port();
    let nobody = format!("https://nobody.cloud.localhost:{port}/rest/api/3/myself");
    let (answer, verdict) = w.ask(&nobody, &token.basic()).await;
    assert_eq!((answer.status, verdict), (404, Verdict::UnknownSite));
    assert_eq!(answer.header("atl-missing-tcs"), "true");
    assert_eq!(answer.header("content-type"), "text/html");
    assert!(answer.text.contains("Page unavailable"));

    w.site.set_state(SiteState::Deleted);
    let (answer, verdict) = w.site("/rest/api/3/myself", &token.basic()).await;
    assert_eq!((answer.status, verdict), (404, Verdict::UnknownSite));
    assert_eq!(w.site("/_edge/tenant_info", "").await.0.status, 404);
    let (_, verdict) = w.gateway("/rest/api/3/myself", &token.basic()).await;
    assert_eq!(verdict, Verdict::UnknownCloudId);

    w.site.set_state(SiteState::Suspended);
    for (answer, verdict) in [
        w.site("/rest/api/3/myself", &token.basic()).await,
        w.gateway("/rest/api/3/myself", &token.basic()).await,
    ] {
        assert_eq!((answer.status, verdict), (503, Verdict::Unavailable));
        assert_eq!(
            answer.json()["errorMessage"],
            "Site temporarily unavailable"
        );
    }

    w.site.set_state(SiteState::Active);
    assert_eq!(
        w.site("/rest/api/3/myself", &token.basic()).await.0.status,
        200
    );
}

#[tokio::test]
async fn the_ip_allow_list() {
    let w = world();
    let token = w.site.api_token(USER);
    w.site.reject_ip(true);
    let (answer, verdict) = w.site("/rest/api/3/myself", &token.basic()).await;
    assert_eq!((answer.status, verdict), (403, Verdict::IpRejected));
    let text = answer.json()["errorMessages"][0]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(text.starts_with("The IP address has been rejected because it is not on the allowed"));
}

#[tokio::test]
async fn one_account_serves_several_sites() {
    let w = world();
    let token = w.site.api_token(USER);
    let other = w
        .sim
        .cloud_site_at("jira.corp.example")
        .user(USER)
        .with_cloud_id("fixed-id");
    let client = client(&w.sim, &[other.host()]);
    let url = format!("{}/rest/api/3/myself", other.url());
    let answer = get(&client, &url, &token.basic()).await;
    assert_eq!(answer.json()["accountId"], w.site.account_id(USER));
    other.remove_access(USER);
    assert_eq!(get(&client, &url, &token.basic()).await.status, 401);
    assert!(other.gateway_url().ends_with("/ex/jira/fixed-id"));
    let url = format!("{}/rest/api/3/serverInfo", other.gateway_url());
    assert_eq!(get(&w.client, &url, "").await.status, 200);
}
