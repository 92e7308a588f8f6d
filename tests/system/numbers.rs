//! The request sequences of one reconcile, exactly.

use chrono::TimeDelta;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_static_credential_takes_four_requests_to_ready_and_two_per_probe() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mark = operator.mark();
    world.api_token("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(
        operator.requests_since(mark),
        [
            "get secrets",
            "create secrets",
            "create events",
            "update jiracredentials/status"
        ]
    );
    // Once for each new credential it is asked what the account may do.
    assert_eq!((world.calls(), world.questions()), (1, 1));
    let mark = operator.mark();
    world.advance(TimeDelta::hours(2));
    operator.look_again(1).await;
    assert_eq!(
        operator.requests_since(mark),
        ["get secrets", "update jiracredentials/status"]
    );
    assert_eq!((world.calls(), world.questions()), (2, 1));
    let mark = operator.mark();
    world.advance(TimeDelta::hours(25));
    operator.look_again(1).await;
    assert_eq!(
        operator.requests_since(mark),
        ["get secrets", "update jiracredentials/status"]
    );
    assert_eq!((world.calls(), world.questions()), (3, 2), "once a day");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_takes_one_request_more() {
    let world = World::new().await;
    let operator = world.operator().await;
    let jira = world.data_center();
    let password = jira.new_password("robot");
    let mark = operator.mark();
    world
        .secret(
            "basic-source",
            &[("username", "robot"), ("password", &password)],
        )
        .await;
    let spec =
        json!({"site": jira.url(), "auth": {"basic": {"secretRef": {"name": "basic-source"}}}});
    world.create("basic", spec).await;
    world.wait_ready("basic").await;
    operator.quiet().await;
    assert_eq!(
        operator.requests_since(mark),
        [
            "get secrets",
            "update jiracredentials/status",
            "create secrets",
            "update jiracredentials/status",
            "create events"
        ]
    );
    assert_eq!((world.calls(), world.questions()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_target_is_repaired_by_three_requests_and_no_call() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.api_token("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let calls = world.calls();
    for (damage, repair) in [("edit", "patch secrets"), ("delete", "create secrets")] {
        let mark = operator.mark();
        if damage == "edit" {
            let patch = Patch::Merge(json!({"stringData": {"token": "vandalised"}}));
            world
                .secrets()
                .patch("bot", &PatchParams::default(), &patch)
                .await
                .unwrap();
        } else {
            world
                .secrets()
                .delete("bot", &DeleteParams::default())
                .await
                .unwrap();
        }
        world
            .until("the target is as it was", || async {
                let secret = world.secrets().get_opt("bot").await.unwrap()?;
                (crate::support::value(&secret, "token") == token.secret()).then_some(())
            })
            .await;
        operator.quiet().await;
        let expected = ["get secrets", repair, "update jiracredentials/status"];
        assert_eq!(operator.requests_since(mark), expected, "{damage}");
    }
    assert_eq!(world.calls(), calls);
    assert_eq!(world.events("bot").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nothing_is_due_nothing_is_asked_or_written() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.api_token("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let calls = world.calls();
    let mark = operator.mark();
    let labels = Patch::Merge(json!({"metadata": {"labels": {"team": "a"}}}));
    world
        .credentials()
        .patch("bot", &PatchParams::default(), &labels)
        .await
        .unwrap();
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
    operator.stop().await;
    let operator = world.operator().await;
    operator.look_again(1).await;
    // The key of the fingerprints and the refused passwords are read at each start.
    assert_eq!(
        operator.requests_since(operator.start),
        ["get secrets", "get secrets"]
    );
    assert_eq!(world.calls(), calls);
}
