//! SIGTERM: a process that is asked to stop does so soon, and well.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use atlassian_sim::{Fault, Rule};
use serde_json::json;
use tempfile::TempDir;

use crate::process::{IPV4, PATIENCE, Process};
use crate::stage::Stage;

/// Nothing keeps it.
const SOON: Duration = Duration::from_secs(5);

/// No call to Jira takes longer.
const LONGEST_CALL: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread")]
async fn at_rest_it_stops_at_once() {
    let stage = Stage::new().await;
    let mut operator = stage.operator().await;
    stage.api_token("bot").await;
    stage.wait_ready("bot").await;
    operator.terminate();
    let status = operator.ended(SOON).await;
    assert_eq!(status.code(), Some(0), "{}", operator.log());
    let last = operator.log_lines().pop().unwrap();
    assert_eq!(last["message"], "stopped");
    // The next one finds nothing to do.
    let mut next = stage.operator().await;
    stage.assert_at_rest(&mut next).await;
    assert_eq!(stage.calls().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_on_its_way_is_waited_for_and_written_down() {
    let stage = Stage::new().await;
    let mut operator = stage.operator().await;
    let hang = stage.sim.hang_after(Rule::new(Fault::HangAfter));
    stage.password("robot").await;
    tokio::time::timeout(PATIENCE, hang.reached(1))
        .await
        .unwrap();
    operator.terminate();
    operator
        .until("stopping", |process| process.log().contains("stopping"))
        .await;
    hang.release();
    let status = operator.ended(SOON).await;
    assert_eq!(status.code(), Some(0), "{}", operator.log());
    stage.wait_ready("robot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_comes_does_not_keep_it() {
    let stage = Stage::new().await;
    let mut operator = stage.operator().await;
    let hang = stage.sim.hang_before(Rule::new(Fault::HangBefore));
    stage.api_token("bot").await;
    tokio::time::timeout(PATIENCE, hang.reached(1))
        .await
        .unwrap();
    operator.terminate();
    let status = operator.ended(LONGEST_CALL).await;
    assert_eq!(status.code(), Some(0), "{}", operator.log());
}

/// A kubeconfig that names a port of this machine.
fn kubeconfig(directory: &TempDir, port: u16) -> PathBuf {
    let path = directory.path().join("kubeconfig");
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": format!("https://127.0.0.1:{port}")}}],
        "users": [{"name": "u", "user": {"token": "none"}}],
    });
    std::fs::write(&path, text.to_string()).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_api_server_it_waits_alive_but_not_ready_and_stops_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // One that takes connections and never answers, then one that refuses them.
    for listener in [Some(listener), None] {
        let directory = tempfile::tempdir().unwrap();
        let kubeconfig = kubeconfig(&directory, port);
        let mut operator = Process::start(directory.path(), &kubeconfig, IPV4, &[]);
        operator
            .until("alive", |process| process.get_health("/healthz").0 == 200)
            .await;
        assert_eq!(operator.get_health("/readyz").0, 503);
        operator.terminate();
        let status = operator.ended(SOON).await;
        assert_eq!(status.code(), Some(0), "{}", operator.log());
        drop(listener);
    }
}
