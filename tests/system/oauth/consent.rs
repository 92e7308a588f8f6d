//! What a consent covers, and when it ends.

use atlassian_sim::{Consent, OAuthApp};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use serde_json::json;

use super::{SCOPES, assert_at_rest, renewing};
use crate::support::{World, says, value};

/// A credential whose consent is as given.
async fn with_consent(
    world: &World,
    make: impl FnOnce(&OAuthApp) -> Consent,
) -> (OAuthApp, Consent) {
    let app = world.sim.oauth_app();
    let consent = make(&app);
    world.seed("bot", &consent.refresh_token()).await;
    world.client_secret("bot", &app.secret()).await;
    world.create("bot", world.oauth_spec("bot", &app)).await;
    (app, consent)
}

async fn refused(world: &World, reason: Reason) -> String {
    let object = world
        .wait("bot", ConditionType::Valid, ConditionStatus::False, reason)
        .await;
    assert_eq!(says(&object, ConditionType::Stalled).reason, reason);
    assert!(world.secrets().get_opt("bot").await.unwrap().is_none());
    says(&object, ConditionType::Ready).message
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_for_several_sites_is_used_on_the_one_of_the_spec() {
    let world = World::new().await;
    let operator = world.operator().await;
    let other = world.sim.cloud_site("other");
    with_consent(&world, |app| {
        app.consent("bot@acme.example", &[&other, &world.cloud()], &SCOPES)
            .also_confluence(&world.cloud())
    })
    .await;
    let object = world.wait_ready("bot").await;
    let site = object.status.unwrap().site.unwrap();
    assert_eq!(site.cloud_id, Some(world.cloud().cloud_id()));
    assert_eq!(site.api_url, world.cloud().gateway_url());
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_that_does_not_cover_the_site_says_so() {
    type Make = fn(&World, &OAuthApp) -> Consent;
    let cases: [(Make, Reason, &str); 3] = [
        (
            |world, app| {
                let other = world.sim.cloud_site("other");
                app.consent("bot@acme.example", &[&other], &SCOPES)
            },
            Reason::WrongHost,
            "other sites",
        ),
        (
            |_, app| app.consent("bot@acme.example", &[], &SCOPES),
            Reason::WrongHost,
            "grants access to no site",
        ),
        (
            |world, app| {
                app.consent(
                    "bot@acme.example",
                    &[&world.cloud()],
                    &["read:page:confluence", "offline_access"],
                )
            },
            Reason::InsufficientScope,
            "scopes",
        ),
    ];
    for (make, reason, words) in cases {
        let world = World::new().await;
        let _operator = world.operator().await;
        with_consent(&world, |app| make(&world, app)).await;
        let said = refused(&world, reason).await;
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_id_of_another_site_is_noticed_and_the_right_one_is_taken_from_the_spec() {
    let world = World::new().await;
    let operator = world.operator().await;
    let other = world.sim.cloud_site("other");
    let app = world.sim.oauth_app();
    let sites = [&world.cloud(), &other];
    let consent = app.consent("bot@acme.example", &sites, &SCOPES);
    world.seed("bot", &consent.refresh_token()).await;
    world.client_secret("bot", &app.secret()).await;
    let mut spec = world.oauth_spec("bot", &app);
    spec["auth"]["oauth2"]["cloudId"] = json!(other.cloud_id());
    world.create("bot", spec).await;
    let said = refused(&world, Reason::WrongHost).await;
    assert!(said.contains("cloudId"), "{said}");
    let calls = world.calls();
    let right = json!({"auth": {"oauth2": {"cloudId": world.cloud().cloud_id()}}});
    world.change("bot", right).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let tenant = world.sim.calls_for(world.cloud().host());
    assert!(tenant.is_empty(), "the site was asked for its id: {calls}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_taken_out_of_the_spec_is_asked_of_the_site() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = world.sim.oauth_app();
    let consent = app.consent("bot@acme.example", &[&world.cloud()], &SCOPES);
    world.seed("bot", &consent.refresh_token()).await;
    world.client_secret("bot", &app.secret()).await;
    let mut spec = world.oauth_spec("bot", &app);
    spec["auth"]["oauth2"]["cloudId"] = json!("11223344-a1b2-3b33-c444-def123456789");
    world.create("bot", spec).await;
    refused(&world, Reason::WrongHost).await;
    let out = json!({"auth": {"oauth2": {"cloudId": null}}});
    world.change("bot", out).await;
    world.wait_ready("bot").await;
    let secret = world.secrets().get("bot").await.unwrap();
    assert_eq!(value(&secret, "url"), world.cloud().gateway_url());
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_that_are_missing_are_named() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (app, _) = with_consent(&world, |app| {
        let scopes = ["read:jira-user", "offline_access"];
        app.consent("bot@acme.example", &[&world.cloud()], &scopes)
    })
    .await;
    let said = refused(&world, Reason::InsufficientScope).await;
    assert!(
        said.contains("read:jira-work") && !said.contains("read:jira-user,"),
        "{said}"
    );
    let fresh = app.consent("bot@acme.example", &[&world.cloud()], &SCOPES);
    world.seed("bot", &fresh.refresh_token()).await;
    world.wait_ready("bot").await;
    // A spec that asks for more than was given is reported, and pods keep what they have.
    let token = world.published("bot").await;
    let more = json!({"auth": {"oauth2": {"scopes": ["read:jira-work", "write:jira-work"]}}});
    world.change("bot", more).await;
    world
        .wait(
            "bot",
            ConditionType::Valid,
            ConditionStatus::False,
            Reason::InsufficientScope,
        )
        .await;
    operator.quiet().await;
    assert_eq!(world.published("bot").await, token);
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_without_offline_access_is_told() {
    let (world, operator, app, _) = renewing().await;
    // As the endpoint answers where the scope is missing.
    let scopes = ["read:jira-work", "read:jira-user"];
    let online = app.consent("bot@acme.example", &[&world.cloud()], &scopes);
    let body = json!({"access_token": online.access_token(), "expires_in": 3600, "scope": "read:jira-work read:jira-user"});
    let canned = atlassian_sim::Canned {
        status: 200,
        headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
        body: body.to_string(),
    };
    let rule = atlassian_sim::Rule::new(atlassian_sim::Fault::Canned(canned));
    world.sim.fault(rule.host(world.sim.auth_host()).once());
    world.advance(super::RENEWAL_IS_DUE);
    operator.look_again(1).await;
    let object = world.wait(
        "bot",
        ConditionType::RotationDue,
        ConditionStatus::True,
        Reason::OfflineAccessMissing,
    );
    let said = says(&object.await, ConditionType::RotationDue).message;
    assert!(said.contains("offline_access"), "{said}");
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_consent_is_told_in_time() {
    let (world, operator, app, _) = renewing().await;
    world
        .sim
        .configure_oauth(|settings| settings.idle = TimeDelta::days(400));
    world.advance(TimeDelta::days(352));
    operator.look_again(1).await;
    let object = world.wait(
        "bot",
        ConditionType::RotationDue,
        ConditionStatus::True,
        Reason::ConsentExpiring,
    );
    let object = object.await;
    let said = says(&object, ConditionType::RotationDue).message;
    let end = object
        .status
        .unwrap()
        .grant
        .unwrap()
        .consent_expires_at
        .unwrap();
    assert!(said.contains(&end.format("%Y-%m-%d").to_string()), "{said}");
    world.wait_ready("bot").await;
    let metrics = operator.metrics.render().unwrap();
    let series = format!(
        "jira_credential_consent_expiration_timestamp_seconds{{namespace=\"{}\",name=\"bot\"}} {}",
        world.namespace,
        end.timestamp()
    );
    assert!(metrics.contains(&series), "{metrics}");
    let fresh = app.consent("bot@acme.example", &[&world.cloud()], &SCOPES);
    world.seed("bot", &fresh.refresh_token()).await;
    world
        .wait(
            "bot",
            ConditionType::RotationDue,
            ConditionStatus::False,
            Reason::NotDue,
        )
        .await;
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_credential_reports_when_its_refresh_token_expires_unused() {
    let (world, operator, _, _) = renewing().await;
    world.change("bot", json!({"suspend": true})).await;
    operator.quiet().await;
    let spends = world.sim.spends().len();
    world.advance(TimeDelta::days(78));
    operator.look_again(1).await;
    world
        .wait(
            "bot",
            ConditionType::RotationDue,
            ConditionStatus::True,
            Reason::GrantIdle,
        )
        .await;
    assert_eq!(world.sim.spends().len(), spends, "suspended is suspended");
    world.change("bot", json!({"suspend": false})).await;
    world.wait_ready("bot").await;
    world
        .wait(
            "bot",
            ConditionType::RotationDue,
            ConditionStatus::False,
            Reason::NotDue,
        )
        .await;
    assert_at_rest(&world, &operator).await;
}
