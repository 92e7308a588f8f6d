//! Grants that another version of the operator wrote.

use jira_credential_operator::api::{ConditionType, Reason};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::{assert_at_rest, assert_none_was_spent_late, grant_of};
use crate::support::{World, says};

/// The grant as JSON, changed while no operator runs.
async fn rewrite(world: &World, change: impl Fn(&mut Value)) -> Secret {
    let name = grant_of("bot");
    let mut secret = world.secrets().get(&name).await.unwrap();
    let data = secret.data.as_mut().unwrap();
    let mut grant: Value = serde_json::from_slice(&data["grant"].0).unwrap();
    change(&mut grant);
    let bytes = ByteString(grant.to_string().into_bytes());
    data.insert("grant".to_owned(), bytes);
    let params = PostParams::default();
    world
        .secrets()
        .replace(&name, &params, &secret)
        .await
        .unwrap()
}

async fn version(world: &World) -> Value {
    let secret = world.secrets().get(&grant_of("bot")).await.unwrap();
    let grant: Value = serde_json::from_slice(&secret.data.unwrap()["grant"].0).unwrap();
    grant["version"].clone()
}

/// What the first version wrote: nothing that was added since.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_of_the_first_version_is_renewed_as_if_nothing_had_happened() {
    const FIRST: [&str; 9] = [
        "uid",
        "live",
        "candidate",
        "seeds",
        "intent",
        "failures",
        "failure",
        "nextAttempt",
        "early",
    ];
    const CHAIN: [&str; 7] = [
        "origin",
        "consented",
        "client",
        "attempt",
        "refresh",
        "access",
        "dead",
    ];
    let world = World::new().await;
    let operator = world.operator().await;
    let (_, consent) = world.oauth("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    operator.stop().await;
    assert_eq!(version(&world).await, 1);
    rewrite(&world, |grant| {
        let members = grant.as_object_mut().unwrap();
        members.retain(|name, _| FIRST.contains(&name.as_str()));
        let chain = members["live"].as_object_mut().unwrap();
        chain.retain(|name, _| CHAIN.contains(&name.as_str()));
    })
    .await;
    let spent = world.outcomes().len();
    let operator = world.operator().await;
    operator.look_again(1).await;
    operator.quiet().await;
    world.wait_ready("bot").await;
    assert_eq!(world.outcomes().len(), spent, "nothing was due");
    world.renewal_falls_due(&operator).await;
    world
        .until("the renewal", || async {
            (version(&world).await == 1 && world.outcomes().len() > spent).then_some(())
        })
        .await;
    operator.quiet().await;
    assert_eq!(world.outcomes().len(), spent + 1);
    assert!(consent.holds_newest(&world.kept("bot").await));
    assert_none_was_spent_late(&world);
    assert_at_rest(&world, &operator).await;
}

/// A step back: what an earlier program does not know is neither dropped nor guessed at.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_of_a_later_version_is_neither_used_nor_changed() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.oauth("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    operator.stop().await;
    let later = rewrite(&world, |grant| {
        grant["version"] = json!(2);
        grant["ahead"] = json!({"token": "of tomorrow"});
    })
    .await;
    let spent = world.outcomes().len();
    let operator = world.operator().await;
    world.renewal_falls_due(&operator).await;
    let object = world
        .wait_unready("bot", Reason::GrantVersionUnsupported)
        .await;
    let said = says(&object, ConditionType::Stalled).message;
    assert!(said.contains("newer version"), "{said}");
    assert!(!said.contains("delete"), "{said}");
    operator.quiet().await;
    let name = grant_of("bot");
    assert_eq!(world.secrets().get(&name).await.unwrap(), later);
    assert_eq!(world.outcomes().len(), spent);
    // The newer version is back, as it were.
    rewrite(&world, |grant| grant["version"] = json!(1)).await;
    world.wait_ready("bot").await;
    assert_none_was_spent_late(&world);
}
