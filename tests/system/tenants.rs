//! Tenants, each in a namespace of their own, share one operator: none learns of the others'
//! passwords, and none waits for the others.

mod hanging;

use std::collections::BTreeSet;

use atlassian_sim::{Fault, Rule};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{Running, World, says};

const FALSE: ConditionStatus = ConditionStatus::False;
const READY: ConditionType = ConditionType::Ready;

/// Two tenants, and an operator that watches every namespace.
async fn tenants() -> (World, World, Running) {
    let victim = World::alone().await;
    let attacker = victim.neighbour().await;
    let operator = everywhere(&victim).await;
    (victim, attacker, operator)
}

async fn everywhere(world: &World) -> Running {
    world
        .operator_with(|config| config.watch_namespaces.clear())
        .await
}

/// Everything in a status that identifies a credential.
fn prints(object: &Value) -> BTreeSet<String> {
    match object {
        Value::Object(fields) => fields.values().flat_map(prints).collect(),
        Value::Array(items) => items.iter().flat_map(prints).collect(),
        Value::String(text) if text.starts_with('k') && text.contains(':') => {
            BTreeSet::from([text.clone()])
        }
        _ => BTreeSet::new(),
    }
}

async fn status_prints(world: &World, name: &str) -> BTreeSet<String> {
    let object = world.credential(name).await;
    prints(&serde_json::to_value(object.status).unwrap())
}

/// Labels and annotations of the Secrets that the operator keeps in a namespace.
async fn metadata_prints(world: &World) -> BTreeSet<String> {
    let all = world.secrets().list(&ListParams::default()).await;
    let all = all.unwrap().items;
    let kept = all
        .iter()
        .filter(|secret| secret.name_any().starts_with("jco-grant-"));
    kept.flat_map(|secret| {
        let (labels, annotations) = (secret.labels().clone(), secret.annotations().clone());
        labels.into_values().chain(annotations.into_values())
    })
    .filter(|value| value.starts_with('k'))
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_a_password_by_comparing_fingerprints() {
    let (victim, attacker, _operator) = tenants().await;
    let jira = victim.data_center();
    let password = jira.new_password("robot");
    let session = json!({
        "site": jira.url(), "auth": {"session": {"secretRef": {"name": "login-source"}}},
    });
    for world in [&victim, &attacker] {
        world.password("basic", "robot", &password).await;
        world.wait_ready("basic").await;
        let login = [("username", "robot"), ("password", password.as_str())];
        world.secret("login-source", &login).await;
        world.create("login", session.clone()).await;
        world.wait_ready("login").await;
    }
    for name in ["basic", "login"] {
        let (theirs, ours) = (
            status_prints(&victim, name).await,
            status_prints(&attacker, name).await,
        );
        assert!(!theirs.is_empty() && !ours.is_empty(), "{name}");
        assert!(theirs.is_disjoint(&ours), "{name}: {theirs:?} {ours:?}");
    }
    let (theirs, ours) = (
        metadata_prints(&victim).await,
        metadata_prints(&attacker).await,
    );
    assert!(
        !theirs.is_empty() && theirs.is_disjoint(&ours),
        "{theirs:?} {ours:?}"
    );
}

/// Waits until the refusal of a credential's password stands in the operator's own namespace.
async fn refusal_recorded(world: &World, name: &str) {
    let uid = world.credential(name).await.uid().unwrap();
    let all: Api<Secret> = Api::all(world.secrets().into_client());
    let named = "metadata.name=jira-credential-operator-refused-passwords";
    let params = ListParams::default().fields(named);
    let recorded = async {
        loop {
            let found = all.list(&params).await.unwrap().items;
            let mut values = found
                .into_iter()
                .flat_map(|secret| secret.data.unwrap_or_default());
            if values.any(|(_, value)| String::from_utf8_lossy(&value.0).contains(&uid)) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let limit = std::time::Duration::from_secs(60);
    let recorded = tokio::time::timeout(limit, recorded).await;
    assert!(recorded.is_ok(), "the refusal was not recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_counts_in_every_namespace_after_a_restart() {
    let (victim, neighbour, operator) = tenants().await;
    let jira = victim.data_center();
    jira.new_password("robot");
    victim.password("wrong", "robot", "not-the-password").await;
    victim.wait("wrong", READY, FALSE, Reason::Rejected).await;
    refusal_recorded(&victim, "wrong").await;
    operator.crash();
    // Nothing but the record tells the next process of it.
    victim.delete("wrong").await;
    let _operator = everywhere(&victim).await;
    neighbour
        .password("wrong", "robot", "not-the-password")
        .await;
    let object = neighbour
        .wait("wrong", READY, FALSE, Reason::Rejected)
        .await;
    let message = says(&object, READY).message;
    assert!(message.contains("for another JiraCredential"), "{message}");
    assert_eq!(victim.calls(), 1, "one password is sent once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_counts_in_every_namespace_and_a_forged_one_in_its_own() {
    let (victim, attacker, operator) = tenants().await;
    let jira = victim.data_center();
    jira.new_password("robot");
    victim.password("wrong", "robot", "not-the-password").await;
    victim.wait("wrong", READY, FALSE, Reason::Rejected).await;
    attacker
        .password("wrong", "robot", "not-the-password")
        .await;
    let object = attacker.wait("wrong", READY, FALSE, Reason::Rejected).await;
    let message = says(&object, READY).message;
    assert!(message.contains("for another JiraCredential"), "{message}");
    assert_eq!(victim.calls(), 1, "one password is sent once");

    // The attacker copies the fingerprint of a password that works into a status of their own, as
    // refused. The operator reads that at its next start.
    let password = jira.new_password("alice");
    victim.password("works", "alice", &password).await;
    let works = victim.wait_ready("works").await;
    let stolen = works.status.unwrap().validated_fingerprint.unwrap();
    operator.crash();
    let forged = json!({"status": {"attempt": {
        "failures": 1, "lastFailureTime": victim.clock.now(), "fingerprint": stolen,
        "outcome": "Refused", "reason": "Rejected",
    }}});
    let statuses = PatchParams::default();
    attacker
        .credentials()
        .patch_status("wrong", &statuses, &Patch::Merge(forged))
        .await
        .unwrap();
    let operator = everywhere(&victim).await;
    let before = victim.calls();
    victim.advance(TimeDelta::hours(2));
    operator.look_again(3).await;
    victim.wait_ready("works").await;
    assert!(victim.calls() > before, "it is validated as before");
    victim.password("second", "alice", &password).await;
    victim.wait_ready("second").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_account_waits_and_the_neighbour_does_not() {
    let (victim, attacker, operator) = tenants().await;
    let jira = victim.data_center();
    let limited = Rule::new(Fault::RateLimit {
        retry_after: Some(3600),
        html: false,
    });
    victim.sim.fault(limited.host(jira.host()).user("mallory"));
    let pat = async |world: &World, name: &str, user: &str| {
        let token = jira.pat(user);
        world
            .secret(&format!("{name}-source"), &[("token", token.secret())])
            .await;
        let reference = json!({"name": format!("{name}-source"), "key": "token"});
        let auth = json!({"personalAccessToken": {"tokenSecretRef": reference}});
        let spec = json!({"site": jira.url(), "auth": auth});
        world.create(name, spec).await;
    };
    for name in ["one", "two"] {
        pat(&attacker, name, "mallory").await;
        attacker.wait(name, READY, FALSE, Reason::RateLimited).await;
    }
    pat(&victim, "bot", "robot").await;
    victim.wait_ready("bot").await;
    // Jira asked for an hour; it gets a quarter of one.
    let calls = victim.calls();
    victim.advance(TimeDelta::minutes(16));
    operator.look_again(3).await;
    assert!(victim.calls() > calls, "the limited account is tried again");
}
