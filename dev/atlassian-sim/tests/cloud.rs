//! The Cloud personality, as a table: what is asked, and what comes.

#![allow(clippy::unwrap_used, reason = "a test file")]

mod support;

use atlassian_sim::{CloudSite, Config, Sim, SiteState, Token, UserState, Verdict, basic};
use chrono::TimeDelta;
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

const CLIENT: &str = "Client must be authenticated to access this resource.";

#[tokio::test]
async fn both_api_versions_know_the_user() {
    let w = world();
    let token = w.site.api_token(USER);
    for version in ["2", "3", "latest"] {
        let path = format!("/rest/api/{version}/myself");
        let (answer, verdict) = w.site(&path, &token.basic()).await;
        assert_eq!((answer.status, verdict), (200, Verdict::Accepted));
        let body = answer.json();
        let id = w.site.account_id(USER);
        assert_eq!(body["accountId"], id);
        assert_eq!(body["emailAddress"], USER);
        assert_eq!(body["active"], true);
        assert!(body.get("name").is_none() && body.get("key").is_none());
        assert!(body["self"].as_str().unwrap().starts_with(&w.site.url()));
        assert_eq!(answer.header("x-aaccountid"), id.replace(':', "%3A"));
        for header in ["x-arequestid", "atl-traceid", "set-cookie", "date"] {
            assert!(!answer.header(header).is_empty(), "{header}");
        }
        let (answer, _) = w.gateway(&path, &token.basic()).await;
        assert_eq!(answer.status, 200);
        assert!(
            answer.json()["self"]
                .as_str()
                .unwrap()
                .starts_with(&w.site.gateway_url())
        );
        assert_eq!(answer.header("x-ratelimit-limit"), "350");
    }
}

#[tokio::test]
async fn the_email_is_compared_without_regard_to_case() {
    let w = world();
    let token = w.site.api_token(USER);
    let header = basic("BOT@Acme.Example", token.secret());
    assert_eq!(w.site("/rest/api/3/myself", &header).await.0.status, 200);
}

/// Every way for a token to be bad, and what the log knows where the answer does not tell.
#[tokio::test]
async fn bad_tokens_look_alike() {
    let w = world();
    let ended = w.site.api_token(USER);
    w.sim
        .expire_at(&ended, w.sim.clock().now() - TimeDelta::seconds(1));
    let revoked = w.site.api_token(USER);
    w.sim.revoke(&revoked);
    let good = w.site.api_token(USER);
    let elsewhere = w
        .sim
        .cloud_site("other")
        .api_token("stranger@other.example");
    let inactive = w.site.api_token("gone@acme.example");
    w.site
        .set_user_state("gone@acme.example", UserState::Deactivated);
    let cases = [
        (basic(USER, "wrong"), Verdict::Rejected),
        (
            basic(USER, &format!("{}\n", good.secret())),
            Verdict::Rejected,
        ),
        (basic("else@acme.example", good.secret()), Verdict::Rejected),
        ("Basic nonsense".to_owned(), Verdict::Rejected),
        (ended.basic(), Verdict::Expired),
        (revoked.basic(), Verdict::Revoked),
        (inactive.basic(), Verdict::Deactivated),
        (elsewhere.basic(), Verdict::NoAccess),
        (String::new(), Verdict::Anonymous),
    ];
    for (header, expected) in cases {
        let (answer, verdict) = w.site("/rest/api/3/myself", &header).await;
        assert_eq!((answer.status, verdict), (401, expected));
        assert_eq!(answer.json()["message"], CLIENT);
        assert_eq!(answer.json()["status-code"], 401);
        let (answer, verdict) = w.gateway("/rest/api/3/myself", &header).await;
        assert_eq!((answer.status, verdict), (401, expected));
        assert_eq!(
            answer.json(),
            serde_json::json!({ "code": 401, "message": "Unauthorized" })
        );
    }
}

#[tokio::test]
async fn plain_text_401_is_a_setting() {
    let w = world();
    w.site.configure(|settings| settings.plain_text_401 = true);
    let (answer, _) = w.site("/rest/api/3/myself", &basic(USER, "wrong")).await;
    assert_eq!((answer.status, answer.text.as_str()), (401, CLIENT));
    assert_eq!(
        answer.header("x-seraph-loginreason"),
        "AUTHENTICATED_FAILED"
    );
}

#[tokio::test]
async fn bad_basic_credentials_fall_through_to_anonymous() {
    let w = world();
    let bad = basic(USER, "wrong");
    let paths = [
        "/rest/api/3/project",
        "/rest/api/2/serverInfo",
        "/rest/api/3/search/jql",
    ];
    for path in paths {
        let (answer, verdict) = w.site(path, &bad).await;
        assert_eq!(
            (answer.status, verdict),
            (200, Verdict::FellThrough),
            "{path}"
        );
    }
    w.site.configure(|settings| settings.anonymous = false);
    assert_eq!(w.site("/rest/api/3/project", &bad).await.0.status, 401);
    assert_eq!(w.site("/rest/api/3/serverInfo", &bad).await.0.status, 200);
}

/// Which token works where, with which scheme and which scopes.
#[tokio::test]
async fn kinds_of_token_and_their_hosts() {
    let w = world();
    let bot = w.site.service_account("ci");
    let granular = [
        "read:user:jira",
        "read:application-role:jira",
        "read:group:jira",
        "read:avatar:jira",
    ];
    let scoped = w.site.scoped_token(USER, &["read:jira-user"]);
    let fine = w.site.scoped_token(USER, &granular);
    let short = w.site.scoped_token(USER, &granular[..3]);
    let service = w.site.service_account_token(&bot, &["read:jira-user"]);
    let service_short = w.site.service_account_token(&bot, &["read:jira-work"]);
    let classic = w.site.api_token(USER);
    let b = |token: &Token| token.bearer();
    let cases = [
        (classic.basic(), Verdict::Accepted, Verdict::Accepted),
        (b(&classic), Verdict::WrongHost, Verdict::WrongHost),
        (scoped.basic(), Verdict::WrongHost, Verdict::Accepted),
        (b(&scoped), Verdict::WrongHost, Verdict::WrongHost),
        (fine.basic(), Verdict::WrongHost, Verdict::Accepted),
        (short.basic(), Verdict::WrongHost, Verdict::ScopeMissing),
        (service.basic(), Verdict::WrongHost, Verdict::Accepted),
        (b(&service), Verdict::WrongHost, Verdict::Accepted),
        (b(&service_short), Verdict::WrongHost, Verdict::ScopeMissing),
        (
            "Bearer nobody".to_owned(),
            Verdict::WrongHost,
            Verdict::Rejected,
        ),
    ];
    for (header, on_site, on_gateway) in cases {
        let (answer, verdict) = w.site("/rest/api/3/myself", &header).await;
        assert_eq!(verdict, on_site, "{header}");
        if verdict == Verdict::WrongHost && header.starts_with("Basic") {
            assert_eq!(
                (answer.status, &answer.json()["message"]),
                (401, &CLIENT.into())
            );
        }
        let (answer, verdict) = w.gateway("/rest/api/3/myself", &header).await;
        assert_eq!(verdict, on_gateway, "{header}");
        assert_eq!(
            answer.status,
            if verdict == Verdict::Accepted {
                200
            } else {
                401
            }
        );
        if verdict == Verdict::ScopeMissing {
            assert_eq!(
                answer.json()["message"],
                "Unauthorized; scope does not match"
            );
        }
    }
}

#[tokio::test]
async fn bearer_on_the_site_host() {
    let w = world();
    let (answer, _) = w.site("/rest/api/3/myself", "Bearer opaque").await;
    assert_eq!(answer.status, 403);
    assert_eq!(
        answer.json()["error"],
        "Failed to parse Connect Session Auth Token"
    );
    let (answer, _) = w.site("/rest/api/3/myself", "Bearer eyJh.eyJz.c2ln").await;
    assert_eq!(answer.status, 401);
    w.site.configure(|settings| settings.bearer_status = 404);
    assert_eq!(
        w.site("/rest/api/3/myself", "Bearer opaque").await.0.status,
        404
    );
}

#[tokio::test]
async fn a_password_is_refused() {
    let w = world();
    let password = w.site.new_password(USER);
    let (answer, verdict) = w.site("/rest/api/3/myself", &basic(USER, &password)).await;
    assert_eq!((answer.status, verdict), (403, Verdict::PasswordRefused));
    assert!(
        answer
            .text
            .starts_with("Basic auth with password is not allowed")
    );
}

#[tokio::test]
async fn a_deactivated_user_may_still_be_answered() {
    let w = world();
    let token = w.site.api_token(USER);
    w.site
        .set_user_state(USER, UserState::DeactivatedButAnswered);
    let (answer, _) = w.site("/rest/api/3/myself", &token.basic()).await;
    assert_eq!(
        (answer.status, &answer.json()["active"]),
        (200, &false.into())
    );
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
async fn a_token_ends_when_virtual_time_says_so() {
    let w = world();
    w.sim.clock().freeze();
    let token = w.site.api_token(USER);
    let end = w.sim.expiry(&token).unwrap();
    assert_eq!(end - w.sim.clock().now(), TimeDelta::days(365));
    w.sim.clock().set(end - TimeDelta::milliseconds(1));
    let (answer, _) = w.site("/rest/api/3/myself", &token.basic()).await;
    assert_eq!(answer.status, 200);
    w.sim.clock().advance(TimeDelta::milliseconds(1));
    let (answer, verdict) = w.site("/rest/api/3/myself", &token.basic()).await;
    assert_eq!((answer.status, verdict), (401, Verdict::Expired));
    let date = chrono::DateTime::parse_from_rfc2822(answer.header("date")).unwrap();
    assert_eq!(date.timestamp(), end.timestamp());
    w.sim.never_expire(&token);
    assert_eq!(
        w.site("/rest/api/3/myself", &token.basic()).await.0.status,
        200
    );
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
