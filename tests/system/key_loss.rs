//! The operator's key is lost: the Secret with it is gone, and another one is made.

use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams};

use crate::support::{Running, World, says};

/// A home for the operator and its key that no other test uses.
async fn home(world: &World) -> String {
    world.plane.namespace("home").await.unwrap()
}

async fn operator_in(world: &World, home: &str) -> Running {
    world
        .operator_with(|config| home.clone_into(&mut config.namespace))
        .await
}

/// Ends the operator, deletes the key, and starts the operator.
async fn lose_the_key(world: &World, operator: Running, home: &str) -> Running {
    operator.stop().await;
    let keys = Api::<Secret>::namespaced(world.client.clone(), home);
    keys.delete("jira-credential-operator-key", &DeleteParams::default())
        .await
        .unwrap();
    operator_in(world, home).await
}

/// A refused password of a credential is not sent again by an operator with another key.
async fn is_not_sent_again(world: &World, operator: Running, home: &str) {
    let jira = world.data_center();
    let (ready, no) = (ConditionType::Ready, ConditionStatus::False);
    world.wait("a", ready, no, Reason::Rejected).await;
    operator.quiet().await;
    assert_eq!(jira.failed_logins("robot"), 1);
    let operator = lose_the_key(world, operator, home).await;
    for hours in [0, 1, 24] {
        world.advance(chrono::TimeDelta::hours(hours));
        operator.look_again(1).await;
        operator.quiet().await;
    }
    world.wait("a", ready, no, Reason::Rejected).await;
    assert_eq!(jira.failed_logins("robot"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_password_is_not_sent_again_with_another_key() {
    let world = World::new().await;
    let home = home(&world).await;
    let operator = operator_in(&world, &home).await;
    world.data_center().new_password("robot");
    world.password("a", "robot", "wrong").await;
    is_not_sent_again(&world, operator, &home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_password_of_a_session_is_not_sent_again_with_another_key() {
    let world = World::new().await;
    let home = home(&world).await;
    let operator = operator_in(&world, &home).await;
    world.data_center().new_password("robot");
    world.session("a", "robot", "wrong").await;
    is_not_sent_again(&world, operator, &home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_of_another_key_is_recognised_or_told_truly() {
    let world = World::new().await;
    let home = home(&world).await;
    let operator = operator_in(&world, &home).await;
    let (app, _) = world.oauth("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let spends = world.outcomes();
    // By the uid in the status.
    let operator = lose_the_key(&world, operator, &home).await;
    operator.look_again(1).await;
    operator.quiet().await;
    world.wait_ready("bot").await;
    assert_eq!(world.outcomes(), spends);
    // By the refresh token that it started with: the JiraCredential is a new one.
    operator.stop().await;
    world.delete("bot").await;
    world.create("bot", world.oauth_spec("bot", &app)).await;
    let operator = operator_in(&world, &home).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(world.outcomes(), spends);
    // By nothing: then it is not used, and the key is named as what may help.
    operator.stop().await;
    world.delete("bot").await;
    world
        .secret("bot-seed", &[("refresh-token", "another")])
        .await;
    world.create("bot", world.oauth_spec("bot", &app)).await;
    let operator = operator_in(&world, &home).await;
    let object = world.wait_unready("bot", Reason::GrantForeign).await;
    let message = says(&object, ConditionType::Ready).message;
    assert!(message.contains("another key"), "{message}");
    assert!(message.contains("restore the Secret"), "{message}");
    operator.stop().await;
}
