//! What kind of credential it is, and where it works: tokens with scopes, hostings mixed up,
//! credentials in the wrong place.

use atlassian_sim::{Fault, Rule};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, Hosting, Reason};
use serde_json::json;

use crate::support::{Running, World, says, value};

const EMAIL: &str = "bot@acme.example";
const SCOPES: [&str; 2] = ["read:jira-user", "read:jira-work"];

impl World {
    /// Stores a token and makes the credential `bot` that uses it as an API token of `email`.
    async fn cloud_token(&self, email: &str, token: &str) {
        self.secret("bot-source", &[("token", token)]).await;
        let mut spec = self.api_token_spec("bot");
        spec["auth"]["apiToken"]["email"] = json!(email);
        self.create("bot", spec).await;
    }

    async fn until_valid(&self, status: ConditionStatus, reason: Reason) -> String {
        let object = self.wait("bot", ConditionType::Valid, status, reason).await;
        says(&object, ConditionType::Valid).message
    }

    /// The hosts that were asked about the credential, in their order.
    fn doors(&self) -> Vec<&'static str> {
        let gateway = self.sim.gateway_host().to_owned();
        let calls = self.sim.calls();
        let asked = calls.iter().filter(|call| call.path.ends_with("/myself"));
        asked
            .map(|call| {
                if call.host == gateway {
                    "gateway"
                } else {
                    "site"
                }
            })
            .collect()
    }

    /// Lets a validation fall due and be made.
    async fn validate_again(&self, operator: &Running) {
        self.advance(TimeDelta::hours(2));
        operator.look_again(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_scopes_is_validated_and_published_at_the_gateway() {
    let world = World::new().await;
    let operator = world.operator().await;
    let site = world.cloud();
    let token = site.scoped_token(EMAIL, &SCOPES);
    let mark = operator.mark();
    world.cloud_token(EMAIL, token.secret()).await;
    let object = world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(world.doors(), ["site", "gateway"]);
    assert_eq!(world.asked("tenant_info"), 1);
    assert_eq!(operator.requests_since(mark).len(), 4, "as without scopes");
    let status = object.status.unwrap();
    let recorded = status.site.unwrap();
    assert_eq!(recorded.hosting, Hosting::Cloud);
    assert_eq!(recorded.api_url, site.gateway_url());
    assert_eq!(recorded.cloud_id.as_deref(), Some(site.cloud_id().as_str()));
    let secret = world.secrets().get("bot").await.unwrap();
    assert_eq!(value(&secret, "url"), site.gateway_url());
    assert_eq!(value(&secret, "site"), site.url());
    assert_eq!(value(&secret, "cloudId"), site.cloud_id());
    assert_eq!(value(&secret, "authorization"), token.basic());
    // From now on the site is not asked, not even by the next process.
    world.validate_again(&operator).await;
    operator.stop().await;
    let operator = world.operator().await;
    world.validate_again(&operator).await;
    assert_eq!(world.doors(), ["site", "gateway", "gateway", "gateway"]);
    assert_eq!(world.asked("tenant_info"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_may_change_the_door_and_not_the_account() {
    let world = World::new().await;
    let operator = world.operator().await;
    let site = world.cloud();
    let classic = site.api_token(EMAIL);
    world.cloud_token(EMAIL, classic.secret()).await;
    world.wait_ready("bot").await;
    let other = site.scoped_token("other@acme.example", &SCOPES);
    let scoped = site.scoped_token(EMAIL, &SCOPES);
    world
        .secret("bot-source", &[("token", scoped.secret())])
        .await;
    let secret = world.until_value("bot", "token", scoped.secret()).await;
    assert_eq!(value(&secret, "url"), site.gateway_url());
    let again = site.api_token(EMAIL);
    world
        .secret("bot-source", &[("token", again.secret())])
        .await;
    let secret = world.until_value("bot", "token", again.secret()).await;
    assert_eq!(value(&secret, "url"), site.url());
    assert_eq!(value(&secret, "cloudId"), "");
    let spec = json!({"auth": {"apiToken": {"email": "other@acme.example"}}});
    world.change("bot", spec).await;
    world
        .secret("bot-source", &[("token", other.secret())])
        .await;
    world
        .until_valid(ConditionStatus::False, Reason::AccountChanged)
        .await;
    operator.quiet().await;
    let secret = world.secrets().get("bot").await.unwrap();
    assert_eq!(value(&secret, "token"), again.secret());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_nobody_accepts_is_refused_after_both_were_asked() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.cloud().scoped_token(EMAIL, &SCOPES);
    world.sim.revoke(&token);
    world.cloud_token(EMAIL, token.secret()).await;
    let text = world
        .until_valid(ConditionStatus::False, Reason::Rejected)
        .await;
    assert!(text.starts_with("Both Jira at "), "{text}");
    operator.look_again(1).await;
    assert_eq!(world.doors(), ["site", "gateway"], "once each");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_or_a_site_that_is_silent_leaves_it_open() {
    for silent in ["gateway", "tenant_info"] {
        let world = World::new().await;
        let operator = world.operator().await;
        let site = world.cloud();
        let token = site.scoped_token(EMAIL, &SCOPES);
        let status = Fault::ServerError { status: 503 };
        let rule = match silent {
            "gateway" => Rule::new(status).host(world.sim.gateway_host()),
            _ => Rule::new(status).path("/_edge/"),
        };
        let fault = world.sim.fault(rule);
        world.cloud_token(EMAIL, token.secret()).await;
        let text = world
            .until_valid(ConditionStatus::Unknown, Reason::SiteUnavailable)
            .await;
        assert!(text.contains("has not answered yet"), "{silent}: {text}");
        fault.remove();
        world.advance(TimeDelta::minutes(2));
        operator.poke();
        world.wait_ready("bot").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_scope_is_named() {
    let world = World::new().await;
    let _operator = world.operator().await;
    let token = world.cloud().scoped_token(EMAIL, &["read:jira-work"]);
    world.cloud_token(EMAIL, token.secret()).await;
    let text = world
        .until_valid(ConditionStatus::False, Reason::InsufficientScope)
        .await;
    assert!(text.contains("read:jira-user"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_is_asked_about_at_the_gateway_only() {
    let world = World::new().await;
    let _operator = world.operator().await;
    let site = world.cloud();
    let email = site.service_account("robot");
    let token = site.service_account_token(&email, &SCOPES);
    world.cloud_token(&email, token.secret()).await;
    let object = world.wait_ready("bot").await;
    assert_eq!(world.doors(), ["gateway"]);
    let account = object.status.unwrap().account.unwrap();
    assert_eq!(account.kind.as_deref(), Some("app"));
    let secret = world.secrets().get("bot").await.unwrap();
    assert_eq!(value(&secret, "url"), site.gateway_url());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_place_of_a_token_is_told_and_not_shown_to_the_gateway() {
    let world = World::new().await;
    let operator = world.operator().await;
    let password = world.cloud().new_password(EMAIL);
    world.cloud_token(EMAIL, &password).await;
    let text = world
        .until_valid(ConditionStatus::False, Reason::Rejected)
        .await;
    assert!(text.contains("does not accept passwords"), "{text}");
    assert_eq!(world.doors(), ["site"]);
    // Nor when a person asks.
    world.annotate("bot", "jira-operator.dev/renew", "1").await;
    let again = || async { (world.doors().len() > 1).then_some(()) };
    world.until("the site is asked again", again).await;
    operator.quiet().await;
    assert_eq!(world.doors(), ["site", "site"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_personal_access_token_as_a_password_is_recognised_after_the_refusal() {
    let world = World::new().await;
    let operator = world.operator().await;
    let jira = world.data_center();
    let pat = jira.pat("robot");
    world.password("bot", "robot", pat.secret()).await;
    let text = world
        .until_valid(ConditionStatus::False, Reason::Rejected)
        .await;
    assert!(
        text.contains("looks like a personal access token"),
        "{text}"
    );
    assert!(!text.contains(&pat.secret()[..8]), "{text}");
    operator.look_again(1).await;
    assert_eq!(world.calls(), 1, "as any password");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_token_as_a_personal_access_token_is_recognised() {
    let world = World::new().await;
    let _operator = world.operator().await;
    let token = world.cloud().api_token(EMAIL);
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    world.create("bot", world.pat_spec("bot")).await;
    let text = world
        .until_valid(ConditionStatus::False, Reason::Rejected)
        .await;
    assert!(text.contains("use auth.apiToken"), "{text}");
}

/// The word stays when nothing is read any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_in_the_wrong_place_is_recognised_where_it_would_renew_itself() {
    for (method, hint) in [
        ("session", "use auth.personalAccessToken"),
        ("automatic", "use auth.apiToken"),
    ] {
        let world = World::new().await;
        let operator = world.operator().await;
        let spec = if method == "session" {
            let pat = world.data_center().pat("robot");
            world.login_secret("bot", "robot", pat.secret()).await;
            world.session_spec("bot")
        } else {
            let token = world.cloud().api_token(EMAIL);
            world.secret("bot-pat", &[("token", token.secret())]).await;
            world.automatic_spec("bot")
        };
        world.create("bot", spec).await;
        let text = world
            .until_valid(ConditionStatus::False, Reason::Rejected)
            .await;
        assert!(text.contains(hint), "{method}: {text}");
        operator.quiet().await;
        let mark = operator.mark();
        world.advance(TimeDelta::minutes(5));
        operator.look_again(1).await;
        assert_eq!(operator.writes_since(mark), [""; 0], "{method}");
        let object = world.credential("bot").await;
        assert_eq!(says(&object, ConditionType::Valid).message, text);
        world.advance(TimeDelta::hours(8));
        operator.look_again(1).await;
        let object = world.credential("bot").await;
        assert_eq!(says(&object, ConditionType::Valid).message, text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_center_that_is_taken_for_cloud_is_told() {
    // Data Center 9 redirects calls in version 3, 10 does not know them.
    for version in ["9.12.2", "10.4.0"] {
        let world = World::new().await;
        let _operator = world
            .operator_with(|config| {
                config.hosts = jira_credential_operator::jira::HostPolicy::parse(
                    ["*.cloud.localhost", "*.dc.localhost"],
                    [""; 0],
                )
                .unwrap();
            })
            .await;
        let jira = world.data_center().version(version);
        let pat = jira.pat("robot");
        world.secret("bot-source", &[("token", pat.secret())]).await;
        let mut spec = world.api_token_spec("bot");
        spec["site"] = json!(jira.url());
        world.create("bot", spec).await;
        let text = world
            .until_valid(ConditionStatus::False, Reason::WrongHost)
            .await;
        assert!(text.contains("set spec.hosting to DataCenter"), "{text}");
        assert!(text.contains("auth.personalAccessToken"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_of_cloud_that_is_taken_for_a_data_center_is_told() {
    let world = World::new().await;
    let operator = world.operator().await;
    let site = world.sim.cloud_site_at("custom.dc.localhost");
    let token = site.api_token(EMAIL);
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    let mut spec = world.pat_spec("bot");
    spec["site"] = json!(site.url());
    world.create("bot", spec).await;
    let text = world
        .until_valid(ConditionStatus::False, Reason::WrongHost)
        .await;
    assert!(text.contains("Set spec.hosting to Cloud"), "{text}");
    operator.look_again(1).await;
    assert_eq!(world.calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_path_that_is_missing_is_suggested() {
    let world = World::new().await;
    let operator = world.operator().await;
    let jira = world.data_center();
    let pat = jira.pat("robot");
    world.secret("bot-source", &[("token", pat.secret())]).await;
    let mut spec = world.pat_spec("bot");
    spec["site"] = json!(jira.url().trim_end_matches("/jira"));
    world.create("bot", spec).await;
    let text = world
        .until_valid(ConditionStatus::Unknown, Reason::SiteUnavailable)
        .await;
    assert!(text.contains("whether Jira has a context path"), "{text}");
    let _jira = jira.redirect_to_context();
    world.advance(TimeDelta::minutes(5));
    operator.poke();
    world
        .until_status("bot", "the redirect is reported", |status| {
            let told = status.conditions.iter();
            told.into_iter()
                .any(|condition| condition.message.contains("Add the path to spec.site"))
        })
        .await;
    world
        .change("bot", json!({"site": world.data_center().url()}))
        .await;
    world.wait_ready("bot").await;
}
