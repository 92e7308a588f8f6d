//! Operators that serve the credentials with a label, each in a process of its own.

use serde_json::json;

use crate::process::Process;
use crate::stage::Stage;

impl Stage {
    async fn assign(&self, name: &str, shard: &str) {
        let labels = json!({"metadata": {"labels": {"shard": shard}}});
        self.merge(name, labels).await;
    }
}

fn counts_unserved(process: &Process, wanted: usize) -> bool {
    let line = format!("jira_credential_unserved {wanted}");
    process.metrics().lines().any(|shown| shown == line)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_credential_has_one_operator_or_is_counted() {
    let mut stage = Stage::new().await;
    stage.elect(5).await;
    stage.allow_shards().await;
    for (name, shard) in [("one", "a"), ("two", "b"), ("three", "c")] {
        stage.api_token(name).await;
        stage.assign(name, shard).await;
    }
    let mut a = stage.operator_for("shard=a").await;
    let mut b = stage.operator_for("shard=b").await;
    for process in [&mut a, &mut b] {
        process.until_it_leads().await;
        process
            .until("counting what nobody serves", |it| counts_unserved(it, 1))
            .await;
    }
    stage.wait_ready("one").await;
    stage.wait_ready("two").await;

    // It wants what b serves.
    let mut c = stage.operator_for("shard in (b,c)").await;
    c.until("naming the other", |process| {
        let log = process.log();
        log.contains("another operator that lives") && log.contains("shard=b")
    })
    .await;
    assert!(!c.leads() && b.leads());
    b.terminate();
    c.until_it_leads().await;
    stage.wait_ready("three").await;
    a.until("counting nothing", |it| counts_unserved(it, 0))
        .await;

    // A death is seen when the lease has ended.
    c.kill();
    a.until("counting what c served", |it| counts_unserved(it, 2))
        .await;
    assert!(a.leads());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_for_everything_ends_a_shard_and_is_followed_by_it() {
    let mut stage = Stage::new().await;
    stage.elect(5).await;
    stage.allow_shards().await;
    stage.api_token("one").await;
    stage.assign("one", "a").await;
    let mut a = stage.operator_for("shard=a").await;
    a.until_it_leads().await;
    let mut all = stage.operator().await;
    all.until_it_leads().await;
    let status = a.ended(crate::process::PATIENCE).await;
    assert_eq!(status.code(), Some(1), "{}", a.log());
    assert!(a.log().contains("has precedence"), "{}", a.log());
    let mut again = stage.operator_for("shard=a").await;
    assert!(!again.leads());
    all.terminate();
    again.until_it_leads().await;
    stage.wait_ready("one").await;
}
