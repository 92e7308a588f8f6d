//! `check`, on objects whose status the test writes.

use chrono::TimeDelta;
use jira_credential_operator::clock::Clock;
use serde_json::{Value, json};

use crate::support::World;

async fn written(world: &World, name: &str, ready: (&str, &str), days: i64) {
    world.create(name, world.api_token_spec(name)).await;
    let now = Clock::system().now();
    let status = json!({
        "observedGeneration": 1, "method": "ApiToken",
        // An hour more, so that the day does not change while the test runs.
        "expiresAt": now + TimeDelta::days(days) + TimeDelta::hours(1),
        "conditions": [{"type": "Ready", "status": ready.0, "reason": ready.1,
            "message": "What to do.", "lastTransitionTime": now}],
    });
    world.write_status(name, status).await;
}

#[tokio::test]
async fn ci_learns_of_it_by_the_exit_code_and_by_one_line() {
    let world = World::new().await;
    assert_eq!(world.plugin(&["check"]).await.ended(0), "");
    written(&world, "well", ("True", "Validated"), 40).await;
    let done = world.plugin(&["check"]).await;
    assert_eq!(done.ended(0), "");
    assert_eq!(done.err, "1 checked, 0 with findings\n");
    written(&world, "soon", ("True", "Validated"), 10).await;
    written(&world, "wrong", ("False", "Rejected"), 40).await;
    let done = world.plugin(&["check"]).await;
    let (soon, wrong) = (
        format!("{}/soon", world.namespace),
        format!("{}/wrong", world.namespace),
    );
    let text = done.ended(3);
    assert_eq!(
        text,
        format!("{soon}: credential ends in 10d\n{wrong}: not ready (Rejected): What to do.\n")
    );
    assert_eq!(done.err, "3 checked, 2 with findings\n");
    // Only what is named, and only within the time.
    world
        .plugin(&["check", "well", "soon", "--within", "9d"])
        .await
        .ended(0);
    world
        .plugin(&["check", "well", "--within", "41d"])
        .await
        .ended(3);
    world.plugin(&["check", "--within", "soon"]).await.ended(2);
    let json = world.plugin(&["check", "-A", "-o", "json"]).await;
    json.ended(3);
    let findings = json.json()["findings"].as_array().unwrap().clone();
    // Other tests have credentials on the same API server.
    let ours = |finding: &&Value| finding["namespace"] == world.namespace.as_str();
    let kinds: Vec<&Value> = findings
        .iter()
        .filter(ours)
        .map(|finding| &finding["kind"])
        .collect();
    assert_eq!(kinds, ["ends", "notReady"]);
}
