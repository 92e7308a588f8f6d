//! A cluster whose etcd is restored from a backup, under the running operator.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use serde_json::json;

use crate::support::{World, value};

/// How long it may take until what changes after the restoration is handled.
const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_after_a_restoration_of_etcd_is_handled_within_a_minute() {
    let world = World::alone().await;
    let operator = world.operator().await;
    for name in ["bot", "other"] {
        world.api_token(name).await;
        world.wait_ready(name).await;
    }
    operator.quiet().await;
    world.plane.save_data().await.unwrap();
    world.wait_ready("bot").await;
    // Everything that the operator has seen and written by now is undone.
    for round in 1..=5 {
        let value = format!("before-{round}");
        world
            .annotate("bot", "jira-operator.dev/renew", &value)
            .await;
        world
            .until_status("bot", "it is validated again", |status| {
                status.last_handled_renew.as_deref() == Some(&value)
            })
            .await;
    }
    operator.quiet().await;
    world.plane.restore_data().await.unwrap();
    let restored = Instant::now();
    let status = world.credential("bot").await.status.unwrap();
    assert_eq!(status.last_handled_renew, None, "it is the earlier status");
    for name in ["bot", "other"] {
        world
            .annotate(name, "jira-operator.dev/renew", "after")
            .await;
    }
    let damage = json!({"stringData": {"token": "vandalised"}});
    world.edit_secret("other", damage).await;
    let is_handled = async |name: &str| {
        let status = world.credential(name).await.status.unwrap();
        status.last_handled_renew.as_deref() == Some("after")
    };
    loop {
        let secret = world.secrets().get("other").await.unwrap();
        let repaired = value(&secret, "token") != "vandalised";
        if is_handled("bot").await && is_handled("other").await && repaired {
            break;
        }
        assert!(restored.elapsed() < SOON, "not handled within a minute");
        tokio::time::sleep(Duration::from_millis(500)).await;
        // The operator's clock stands still otherwise, and its waits with it.
        world.advance(TimeDelta::milliseconds(500));
    }
    for name in ["bot", "other"] {
        world.wait_ready(name).await;
    }
    // And what comes after that at once.
    world
        .annotate("bot", "jira-operator.dev/renew", "again")
        .await;
    world
        .until_status("bot", "it is validated again", |status| {
            status.last_handled_renew.as_deref() == Some("again")
        })
        .await;
    // Nor does a cluster in which the operator has seen nothing meanwhile go unheard.
    operator.quiet().await;
    world.plane.save_data().await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), "default");
    for number in 0..50 {
        let map = json!({"metadata": {"name": format!("map-{number}")}});
        let map = serde_json::from_value(map).unwrap();
        maps.create(&PostParams::default(), &map).await.unwrap();
    }
    world.plane.restore_data().await.unwrap();
    world
        .annotate("bot", "jira-operator.dev/renew", "quiet")
        .await;
    world
        .until_status("bot", "it is validated again", |status| {
            status.last_handled_renew.as_deref() == Some("quiet")
        })
        .await;
    drop(operator);
    world.plane.stop_api_server().await.unwrap();
}
