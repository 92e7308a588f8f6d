//! Values with the line end that `echo`, editors and `--from-file` leave behind them.

use jira_credential_operator::api::Reason;
use kube::ResourceExt;
use serde_json::json;

use crate::support::{World, value};

/// The events about line ends, as `(type, note)`.
async fn told(world: &World, name: &str) -> Vec<(String, String)> {
    let all = world.events(name).await;
    all.into_iter()
        .filter(|event| event.reason.as_deref() == Some("LineEndIgnored"))
        .map(|event| {
            (
                event.type_.unwrap_or_default(),
                event.note.unwrap_or_default(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_used_without_its_line_end_and_that_is_told_once() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.data_center().pat("robot");
    let stored = format!("{}\n", token.secret());
    world.secret("ci-source", &[("token", &stored)]).await;
    world.create("ci", world.pat_spec("ci")).await;
    let ready = world.wait_ready("ci").await;
    let published = world.secrets().get("ci").await.unwrap();
    assert_eq!(value(&published, "token"), token.secret());
    let events = told(&world, "ci").await;
    let [(kind, note)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(kind, "Normal");
    assert!(note.contains("key token of the Secret ci-source"), "{note}");
    // Another reconcile, or a new process, publishes no second event.
    world.annotate("ci", "jira-operator.dev/renew", "1").await;
    let renewed = world
        .until_status("ci", "it has been validated again", |status| {
            status.last_handled_renew.as_deref() == Some("1")
        })
        .await;
    operator.stop().await;
    let operator = world.operator().await;
    operator.quiet().await;
    // The corrected file holds the same credential.
    let calls = world.calls();
    let patch = json!({"stringData": {"token": token.secret()}});
    world.edit_secret("ci-source", patch).await;
    let fixed = world
        .until_status("ci", "the line end is gone", |status| {
            status.line_ends.is_empty()
        })
        .await;
    operator.quiet().await;
    let print = |object: &jira_credential_operator::api::JiraCredential| {
        let status = object.status.clone().unwrap();
        (status.validated_fingerprint, status.first_seen_time)
    };
    assert_eq!(print(&fixed), print(&ready));
    assert_eq!(print(&renewed), print(&ready));
    assert_eq!(
        world.calls(),
        calls,
        "the same credential is not validated again"
    );
    let same = world.secrets().get("ci").await.unwrap();
    assert_eq!(same.resource_version(), published.resource_version());
    assert_eq!(told(&world, "ci").await.len(), 1);
    // Other contents are reported again.
    let next = world.data_center().pat("robot");
    let patch = json!({"stringData": {"token": format!("{}\r\n", next.secret())}});
    world.edit_secret("ci-source", patch).await;
    world.until_value("ci", "token", next.secret()).await;
    world
        .until("the second event", || async {
            (told(&world, "ci").await.len() == 2).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_values_of_a_login_may_end_in_a_line_end() {
    let world = World::new().await;
    let _operator = world.operator().await;
    let jira = world.data_center();
    let password = jira.new_password("robot");
    let stored = format!("{password}\r\n");
    world.password("plain", "robot\n", &stored).await;
    let spec = json!({
        "site": jira.url(),
        "auth": {"session": {"secretRef": {"name": "plain-source"}}},
    });
    world.wait_ready("plain").await;
    world.create("kept", spec).await;
    for name in ["plain", "kept"] {
        world.wait_ready(name).await;
        // After the answer about a password the events follow the status.
        world
            .until(&format!("{name}: both line ends are reported"), || async {
                (told(&world, name).await.len() == 2).then_some(())
            })
            .await;
    }
    let published = world.secrets().get("plain").await.unwrap();
    assert_eq!(value(&published, "username"), "robot");
    assert_eq!(value(&published, "password"), password);
    let reasons = world.events("kept").await;
    let refused = format!("{:?}", Reason::SourceMalformed);
    assert!(
        !reasons
            .iter()
            .any(|event| event.reason.as_deref() == Some(&refused))
    );
}
