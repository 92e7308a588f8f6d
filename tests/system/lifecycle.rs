//! The life of a credential, as a user sees it.

use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use serde_json::json;

use crate::support::{World, keys, says, value};

#[tokio::test(flavor = "multi_thread")]
async fn every_method_reaches_ready_and_publishes_its_keys() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.api_token("cloud").await;
    let jira = world.data_center();
    let pat = jira.pat("bot");
    world.secret("pat-source", &[("token", pat.secret())]).await;
    let reference = json!({"name": "pat-source", "key": "token"});
    let spec =
        json!({"site": jira.url(), "auth": {"personalAccessToken": {"tokenSecretRef": reference}}});
    world.create("pat", spec).await;
    let password = jira.new_password("robot");
    world
        .secret(
            "basic-source",
            &[("username", "robot"), ("password", &password)],
        )
        .await;
    let spec =
        json!({"site": jira.url(), "auth": {"basic": {"secretRef": {"name": "basic-source"}}}});
    world.create("basic", spec).await;
    for (name, secret, method, expected) in [
        (
            "cloud",
            token.secret(),
            "ApiToken",
            "accountId authorization email scheme site token url username",
        ),
        (
            "pat",
            pat.secret(),
            "PersonalAccessToken",
            "accountId authorization scheme site token url",
        ),
        (
            "basic",
            &password,
            "Basic",
            "accountId authorization password scheme site url username",
        ),
    ] {
        let object = world.wait_ready(name).await;
        let status = object.status.clone().unwrap();
        assert_eq!(format!("{:?}", status.method.unwrap()), method);
        let published = world.secrets().get(name).await.unwrap();
        assert_eq!(keys(&published).join(" "), expected);
        let key = if name == "basic" { "password" } else { "token" };
        assert_eq!(value(&published, key), secret);
        assert_eq!(status.binding.unwrap().name, name);
        assert_eq!(
            published.metadata.owner_references.as_ref().unwrap()[0].uid,
            object.metadata.uid.unwrap()
        );
    }
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_confirmed_then_rejected_and_the_secret_stays() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.api_token("bot").await;
    world.wait_ready("bot").await;
    world.sim.revoke(&token);
    world.advance(TimeDelta::hours(2));
    operator.look_again(1).await;
    let object = world
        .wait(
            "bot",
            ConditionType::Valid,
            ConditionStatus::Unknown,
            Reason::Confirming,
        )
        .await;
    assert_eq!(
        says(&object, ConditionType::Reconciling).status,
        ConditionStatus::True
    );
    world.advance(TimeDelta::seconds(61));
    operator.look_again(1).await;
    let object = world
        .wait(
            "bot",
            ConditionType::Ready,
            ConditionStatus::False,
            Reason::Rejected,
        )
        .await;
    assert_eq!(
        says(&object, ConditionType::Stalled).reason,
        Reason::Rejected
    );
    assert_eq!(
        says(&object, ConditionType::Published).status,
        ConditionStatus::True
    );
    let published = world.secrets().get("bot").await.unwrap();
    assert_eq!(value(&published, "token"), token.secret());
    // A new token in the source heals it without anybody asking.
    let fresh = world.cloud().api_token("bot@acme.example");
    world
        .secret("bot-source", &[("token", fresh.secret())])
        .await;
    world.wait_ready("bot").await;
    let published = world.secrets().get("bot").await.unwrap();
    assert_eq!(value(&published, "token"), fresh.secret());
}
