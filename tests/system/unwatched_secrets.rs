//! An operator that neither lists nor watches Secrets: it asks for those that a credential names.

use chrono::TimeDelta;
use control_plane::faults::{Requests, Verb};
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use jira_credential_operator::controller::SecretWatch;
use serde_json::json;

use crate::listed_namespaces::twins;
use crate::support::{Running, World, says};

async fn unwatched(world: &World) -> Running {
    world
        .operator_with(|config| config.watch_secrets = SecretWatch::None)
        .await
}

/// Lists and watches of Secrets.
fn lists(operator: &Running) -> usize {
    let lists = Requests::verb(Verb::List)
        .or_verb(Verb::Watch)
        .resource("secrets");
    operator.faults.count(&lists)
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_are_noticed_by_asking_and_nothing_is_listed() {
    let world = World::new().await;
    let operator = unwatched(&world).await;
    let old = world.api_token("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    // At rest it reads metadata, and nothing else.
    let (calls, mark) = (world.calls(), operator.mark());
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), vec!["get secrets"; 2]);
    assert_eq!(world.calls(), calls);

    // A target that somebody changed is repaired without a call, one that is gone is made again.
    world
        .edit_secret("bot", json!({"stringData": {"token": "vandalised"}}))
        .await;
    operator.look_again(1).await;
    world.until_value("bot", "token", old.secret()).await;
    world.delete_secret("bot").await;
    operator.look_again(1).await;
    world.until_value("bot", "token", old.secret()).await;
    assert_eq!(world.calls(), calls);

    // A person replaces the token, and does not wait for the interval.
    let new = world.cloud().api_token("bot@acme.example");
    world.secret("bot-source", &[("token", new.secret())]).await;
    world
        .annotate("bot", "jira-operator.dev/renew", "now")
        .await;
    world.until_value("bot", "token", new.secret()).await;
    assert_eq!(lists(&operator), 0);
    operator.stop().await;
}

/// The next reconcile comes by itself, although nothing is due before a person acts.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_was_missing_is_found_after_an_interval() {
    let world = World::new().await;
    let operator = unwatched(&world).await;
    let token = world.cloud().api_token("bot@acme.example");
    let mut spec = world.api_token_spec("bot");
    spec["validation"] = json!({"interval": "10s"});
    world.create("bot", spec).await;
    world.wait_unready("bot", Reason::SourceMissing).await;
    operator.quiet().await;
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    world.wait_ready("bot").await;
    assert_eq!(lists(&operator), 0);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_token_in_two_namespaces_is_spent_once() {
    let world = World::new().await;
    let other = world.neighbour().await;
    let namespaces = vec![world.namespace.clone(), other.namespace.clone()];
    let operator = world
        .operator_with(|config| {
            config.watch_secrets = SecretWatch::None;
            config.watch_namespaces = namespaces;
        })
        .await;
    twins(&world, &other).await;
    // Who spent the token is gone, and its grant is named by nobody any more.
    for owner in [&world, &other] {
        owner.delete("bot").await;
    }
    for twin in [&world, &other] {
        let edit = json!({"metadata": {"labels": {"edited": "now"}}});
        twin.edit_secret("twin-seed", edit).await;
    }
    operator.quiet().await;
    operator.look_again(2).await;
    for twin in [&world, &other] {
        twin.wait_unready("twin", Reason::GrantConflict).await;
    }
    assert_eq!(world.outcomes(), ["exchanged", "exchanged"]);
    assert_eq!(lists(&operator), 0);
    operator.stop().await;
}

/// A person has a token used that stands in another Secret now: the grant of the first one has spent it.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_moves_to_another_secret_is_not_spent_again() {
    let world = World::new().await;
    let operator = unwatched(&world).await;
    let (_, consent) = world.oauth("bot").await;
    world.wait_ready("bot").await;
    world.advance(TimeDelta::minutes(11));
    world.seed("moved", &consent.refresh_token()).await;
    let place = json!({"refreshTokenSecretRef": {"name": "moved-seed"}});
    world
        .change("bot", json!({"auth": {"oauth2": place}}))
        .await;
    world
        .until_status("bot", "the grant is lost", |status| {
            let blocked = status.grant.as_ref().and_then(|grant| grant.blocked_by);
            blocked == Some(Reason::GrantLost)
        })
        .await;
    world
        .annotate("bot", "jira-operator.dev/renew", "now")
        .await;
    world
        .until_status("bot", "the first grant is found", |status| {
            let found = status
                .grant
                .as_ref()
                .and_then(|grant| grant.duplicate_of.as_deref());
            found == Some("bot-seed")
        })
        .await;
    assert_eq!(world.outcomes(), ["exchanged"]);
    operator.stop().await;
}

/// Nobody knows which grant an object uses that a later version has written.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_waits_while_an_object_cannot_be_read() {
    let world = World::alone().await;
    let operator = unwatched(&world).await;
    let (app, consent) = world.oauth("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    operator.stop().await;
    world.accept_values_of_a_later_version().await;
    world.make_unreadable("bot").await;
    let operator = unwatched(&world).await;
    world.advance(TimeDelta::minutes(11));
    world.seed("twin", &consent.refresh_token()).await;
    world.client_secret("twin", &app.secret()).await;
    world.create("twin", world.oauth_spec("twin", &app)).await;
    let (kind, yes) = (ConditionType::Denied, ConditionStatus::True);
    let held_up = world
        .wait("twin", kind, yes, Reason::DuplicatesUnknown)
        .await;
    let said = says(&held_up, ConditionType::Ready);
    assert_eq!(said.reason, Reason::DuplicatesUnknown);
    assert!(said.message.contains(&world.namespace), "{}", said.message);
    assert_eq!(world.outcomes(), ["exchanged"]);
    operator.stop().await;
}

/// A new process knows what the last one wrote, and does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_asks_and_writes_nothing() {
    let world = World::new().await;
    let first = unwatched(&world).await;
    world.api_token("static").await;
    world.oauth("bot").await;
    world.wait_ready("static").await;
    world.wait_ready("bot").await;
    first.quiet().await;
    first.stop().await;
    let (calls, spends) = (world.calls(), world.outcomes().len());
    let second = unwatched(&world).await;
    second.look_again(2).await;
    second.quiet().await;
    assert_eq!(second.writes_since(second.start), Vec::<String>::new());
    assert_eq!((world.calls(), world.outcomes().len()), (calls, spends));
    second.stop().await;
}
