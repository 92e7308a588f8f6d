//! A consent that moves to another namespace, by the steps of `docs/operations.md`.

use crate::support::World;

/// The commands of the block that the document marks for this test.
fn documented_steps() -> &'static str {
    let text = include_str!("../../docs/operations.md");
    let marker = "<!-- A test runs these steps. -->\n```sh\n";
    let (_, rest) = text.split_once(marker).unwrap();
    let (block, _) = rest.split_once("\n```").unwrap();
    block
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_moves_to_another_namespace_by_the_documented_steps() {
    let world = World::alone().await;
    let there = world.neighbour().await;
    let everywhere = || world.operator_with(|config| config.watch_namespaces.clear());
    let operator = everywhere().await;
    let (app, consent) = world.oauth("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    operator.stop().await;
    let steps = documented_steps()
        .replace("OLD", &world.namespace)
        .replace("NEW", &there.namespace)
        .replace("NAME", "bot")
        .replace("CONSENT", "bot-seed");
    let place = world.plane.directory().join("moving");
    std::fs::create_dir_all(&place).unwrap();
    let mut command = world.shell();
    command.args(["-euc", &steps]).current_dir(&place);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!place.join("refresh-token").exists(), "no copy is left");
    // The rest of the steps, in words there.
    world.delete_secret("bot-seed").await;
    there.client_secret("bot", &app.secret()).await;
    there.create("bot", there.oauth_spec("bot", &app)).await;
    let operator = everywhere().await;
    there.wait_ready("bot").await;
    operator.quiet().await;
    assert!(consent.holds_newest(&there.kept("bot").await));
    there.renewal_falls_due(&operator).await;
    there.wait_ready("bot").await;
    assert!(consent.holds_newest(&there.kept("bot").await));
    assert!(world.secrets().get_opt("bot").await.unwrap().is_none());
    let outcomes = world.outcomes();
    assert!(
        outcomes.iter().all(|outcome| outcome == "exchanged"),
        "{outcomes:?}"
    );
    drop(operator);
    world.plane.stop_api_server().await.unwrap();
}
