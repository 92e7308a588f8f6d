//! Answers of a site or of the gateway whose cause is reported, and none of which counts as an acceptance.

use std::collections::BTreeMap;

use atlassian_sim::{Canned, Fault, Rule};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use serde_json::json;

use crate::oauth::renewing;
use crate::support::{World, says};

const EMAIL: &str = "bot@acme.example";
const DC_USER: &str =
    r#"{"key":"JIRAUSER10107","name":"robot","displayName":"Robot","active":true}"#;

fn canned(status: u16, headers: &[(&str, &str)], body: &str) -> Fault {
    let headers: BTreeMap<String, String> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Fault::Canned(Canned {
        status,
        headers,
        body: body.to_owned(),
    })
}

const JSON: (&str, &str) = ("content-type", "application/json");
const HTML: (&str, &str) = ("content-type", "text/html;charset=UTF-8");
const EDGE: (&str, &str) = ("server", "AtlassianEdge");

impl World {
    async fn valid_says(&self, name: &str, status: ConditionStatus, reason: Reason) -> String {
        let object = self.wait(name, ConditionType::Valid, status, reason).await;
        let ready = says(&object, ConditionType::Ready);
        assert_eq!(ready.status, ConditionStatus::False, "{name}");
        says(&object, ConditionType::Valid).message
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_a_data_center_is_told_by_its_cause() {
    use ConditionStatus::{False, Unknown};
    let world = World::new().await;
    let operator = world
        .operator_with(|config| config.max_concurrent_reconciles = 16)
        .await;
    let denied = ("x-seraph-loginreason", "AUTHENTICATION_DENIED");
    let nobody = ("x-ausername", "anonymous");
    let blocked = r#"{"errorMessages":["The IP address has been rejected because it is not on the allowed list."]}"#;
    let half = &DC_USER[..20];
    let cases = [
        (
            "denied",
            canned(200, &[JSON, denied], DC_USER),
            (False, Reason::CaptchaRequired),
            "requires a CAPTCHA",
        ),
        (
            "anonymous",
            canned(200, &[JSON, nobody], DC_USER),
            (Unknown, Reason::SiteUnavailable),
            "treated the call as anonymous",
        ),
        (
            "half",
            canned(200, &[JSON], half),
            (Unknown, Reason::SiteUnavailable),
            "cut off or damaged",
        ),
        (
            "blocked",
            canned(400, &[JSON], blocked),
            (False, Reason::IpBlocked),
            "does not accept calls from this cluster's address",
        ),
        (
            "edge",
            canned(401, &[JSON, EDGE], "{}"),
            (False, Reason::WrongHost),
            "looks like Jira Cloud",
        ),
        (
            "gone",
            canned(404, &[HTML, EDGE, ("atl-missing-tcs", "true")], "<html>"),
            (Unknown, Reason::SiteUnavailable),
            "Jira was removed from it",
        ),
        (
            "sso",
            canned(302, &[("location", "https://sso.acme.example/adfs")], ""),
            (Unknown, Reason::SiteUnavailable),
            "leave spec.site as it is",
        ),
        (
            "moved",
            canned(
                301,
                &[("location", "https://new.acme.example/rest/api/2/myself")],
                "",
            ),
            (Unknown, Reason::SiteUnavailable),
            "set spec.site to its new address",
        ),
    ];
    for (name, fault, ..) in &cases {
        let jira = world.sim.data_center(name);
        world.sim.fault(Rule::new(fault.clone()).host(jira.host()));
        let token = jira.pat("bot");
        let source = format!("{name}-source");
        world.secret(&source, &[("token", token.secret())]).await;
        let mut spec = world.pat_spec(name);
        spec["site"] = json!(jira.url());
        world.create(name, spec).await;
    }
    for (name, _, (status, reason), words) in cases {
        let text = world.valid_says(name, status, reason).await;
        assert!(text.contains(words), "{name}: {text}");
        assert!(text.contains("Nothing is published."), "{name}: {text}");
        let target = world.secrets().get_opt(name).await.unwrap();
        assert!(target.is_none(), "{name}: a target was written");
    }
    operator.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_403_for_a_password_names_what_it_may_mean_and_the_password_is_sent_once() {
    use ConditionStatus::{False, Unknown};
    for (fault, status, reason) in [
        (
            canned(403, &[HTML, ("x-arequestid", "1x1x1")], "<html>"),
            False,
            Reason::Rejected,
        ),
        (
            canned(
                403,
                &[HTML],
                "<html><a href=\"/secure/MyJiraHome.jspa\">Accueil</a>",
            ),
            False,
            Reason::Rejected,
        ),
        (
            canned(403, &[HTML], "<html>Forbidden"),
            Unknown,
            Reason::NotValidated,
        ),
    ] {
        let world = World::new().await;
        let operator = world.operator().await;
        let jira = world.data_center();
        world.sim.fault(Rule::new(fault).host(jira.host()));
        world.password("bot", "robot", "p4ss").await;
        let text = world.valid_says("bot", status, reason).await;
        for word in [
            "CAPTCHA",
            "Basic authentication",
            "auth.personalAccessToken",
        ] {
            assert!(text.contains(word), "{word}: {text}");
        }
        world.advance(TimeDelta::days(1));
        operator.look_again(1).await;
        assert_eq!(world.calls(), 1, "a password is sent once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_told_to_be_too_much_for_a_site_of_cloud() {
    let world = World::new().await;
    let _operator = world.operator().await;
    let site = world.sim.cloud_site_at("custom.cloud.localhost");
    let token = site.api_token(EMAIL);
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    let mut spec = world.api_token_spec("bot");
    spec["site"] = json!(format!("{}/jira", site.url()));
    world.create("bot", spec).await;
    let text = world
        .valid_says("bot", ConditionStatus::Unknown, Reason::SiteUnavailable)
        .await;
    assert!(text.contains("spec.site has a path"), "{text}");
    world.change("bot", json!({"site": site.url()})).await;
    world.wait_ready("bot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lack_of_scopes_or_consent_at_the_gateway_is_confirmed_and_costs_no_refresh_token() {
    let scopes = r#"{"code":403,"message":"Forbidden; the token lacks the scope read:jira-user"}"#;
    let uninstalled = r#"{"errorMessages":["The app is not installed on this instance"]}"#;
    for (body, words) in [
        (scopes, "it needs the scope read:jira-user"),
        (uninstalled, "does not cover this site"),
    ] {
        let (world, operator, _, consent) = renewing().await;
        let token = world.published("bot").await;
        let fault = canned(403, &[JSON, EDGE], body);
        let rule = Rule::new(fault).host(world.sim.gateway_host());
        let fault = world.sim.fault(rule);
        world.advance(TimeDelta::minutes(20));
        world
            .change("bot", json!({"validation": {"interval": "10m"}}))
            .await;
        operator.look_again(1).await;
        let wait = |status, reason| world.wait("bot", ConditionType::Valid, status, reason);
        let object = wait(ConditionStatus::Unknown, Reason::Confirming).await;
        let text = says(&object, ConditionType::Valid).message;
        assert!(text.contains("validates it again"), "{text}");
        operator.quiet().await;
        world.advance(TimeDelta::minutes(2));
        operator.look_again(1).await;
        let object = wait(ConditionStatus::False, Reason::InsufficientScope).await;
        let text = says(&object, ConditionType::Valid).message;
        assert!(text.contains(words), "{text}");
        assert_eq!(world.outcomes().len(), 1, "no refresh token for that");
        assert_eq!(world.published("bot").await, token, "the last Secret stays");
        assert!(consent.holds_newest(&world.kept("bot").await));
        fault.remove();
        world
            .annotate("bot", "jira-operator.dev/renew", "again")
            .await;
        world.wait_ready("bot").await;
    }
}
