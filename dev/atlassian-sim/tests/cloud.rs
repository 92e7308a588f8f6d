//! The Cloud personality, as a table: what is asked, and what comes.

#![allow(clippy::unwrap_used, reason = "a test file")]

mod support;

use atlassian_sim::{CloudSite, Config, Sim, Token, UserState, Verdict, basic};
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

const GRANULAR: [&str; 4] = [
    "read:user:jira",
    "read:application-role:jira",
    "read:group:jira",
    "read:avatar:jira",
];
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
    let scoped = w.site.scoped_token(USER, &["read:jira-user"]);
    let fine = w.site.scoped_token(USER, &GRANULAR);
    let short = w.site.scoped_token(USER, &GRANULAR[..3]);
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
        ("Bearer x".to_owned(), Verdict::WrongHost, Verdict::Rejected),
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
        assert_eq!(answer.status == 200, verdict == Verdict::Accepted);
        if verdict == Verdict::ScopeMissing {
            let scope = "Unauthorized; scope does not match";
            assert_eq!(
                (answer.status, &answer.json()["message"]),
                (401, &scope.into())
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
