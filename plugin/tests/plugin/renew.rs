//! `renew`, with the operator.

use jira_credential_operator::api::RENEW_ANNOTATION;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn a_renewal_shows_what_jira_says() {
    let world = World::new().await;
    let _operator = world.operator().await;
    world.api_token("bot").await;
    world.until_ready("bot").await;
    let well = world.plugin(&["renew", "bot"]).await;
    let text = well.ended(0);
    assert!(
        text.starts_with("bot: Ready True (Validated): Jira at "),
        "{text}"
    );
    let object = world.credentials().get("bot").await.unwrap();
    let status = object.status.clone().unwrap();
    assert_eq!(
        object.annotations()[RENEW_ANNOTATION],
        status.last_handled_renew.unwrap()
    );

    let wrong = world.api_token_spec("wrong");
    world
        .secret("wrong-source", &[("token", "of-nobody")])
        .await;
    world.create("wrong", wrong).await;
    world.until_seen("wrong").await;
    let refused = world.plugin(&["renew", "wrong"]).await;
    refused.ended(3);
    assert!(
        refused.out.contains("refuse the e-mail and API token"),
        "{}",
        refused.out
    );
}

#[tokio::test]
async fn an_outage_is_told_while_it_is_waited_for() {
    let world = World::new().await;
    let _operator = world.operator().await;
    world.sim.refuse_connections(true);
    world.api_token("bot").await;
    world.until_seen("bot").await;
    let done = world.plugin(&["renew", "bot", "--timeout", "5s"]).await;
    done.ended(4);
    let mut lines = done.err.lines();
    let first = lines.next().unwrap();
    assert!(first.starts_with("no answer yet: "), "{}", done.err);
    let last = lines.next_back().unwrap();
    assert!(
        last.starts_with("error: bot is not done within --timeout"),
        "{}",
        done.err
    );
}

#[tokio::test]
async fn without_waiting_the_annotation_is_set_and_nothing_else() {
    let world = World::new().await;
    world.create("bot", world.api_token_spec("bot")).await;
    let done = world.plugin(&["renew", "bot", "--wait=false"]).await;
    assert_eq!(done.ended(0), "bot: asked for a renewal\n");
    let first = world.credentials().get("bot").await.unwrap();
    let first = first.annotations()[RENEW_ANNOTATION].clone();
    world
        .plugin(&["renew", "bot", "--wait=false"])
        .await
        .ended(0);
    let second = world.credentials().get("bot").await.unwrap();
    assert_ne!(second.annotations()[RENEW_ANNOTATION], first);
    world.plugin(&["renew", "nobody"]).await.ended(1);
    // No operator runs.
    let done = world.plugin(&["renew", "bot", "--timeout", "1s"]).await;
    done.ended(4);
    assert!(
        done.err.contains("nothing yet; is it running?"),
        "{}",
        done.err
    );
}

#[tokio::test]
async fn what_is_suspended_needs_a_person() {
    let world = World::new().await;
    world.create("bot", world.api_token_spec("bot")).await;
    let suspend = Patch::Merge(json!({"spec": {"suspend": true}}));
    let params = PatchParams::default();
    world
        .credentials()
        .patch("bot", &params, &suspend)
        .await
        .unwrap();
    let done = world.plugin(&["renew", "bot"]).await;
    done.ended(3);
    assert!(
        done.err.contains("set spec.suspend to false first"),
        "{}",
        done.err
    );
    let object = world.credentials().get("bot").await.unwrap();
    assert!(
        object.annotations().is_empty(),
        "{:?}",
        object.annotations()
    );
}
