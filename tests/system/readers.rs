//! Workloads that keep the credential before, since nothing restarts them.

use chrono::TimeDelta;
use control_plane::faults::{Requests, Verb};
use jira_credential_operator::api::ConditionType;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use crate::oauth::RENEWAL_IS_DUE;
use crate::rbac::{identity, rules};
use crate::support::{Running, World};

const EVENT: &str = "ReadersNotRestarted";

fn env() -> Value {
    env_of("bot", "token")
}

/// A container with one key of a Secret in its environment.
fn env_of(secret: &str, key: &str) -> Value {
    let key = json!({"name": secret, "key": key});
    json!({"env": [{"name": "VALUE", "valueFrom": {"secretKeyRef": key}}]})
}

fn mounted(sub_path: Option<&str>) -> Value {
    json!({"volumeMounts": [{"name": "jira", "mountPath": "/jira", "subPath": sub_path}]})
}

/// A pod template with one container that has these fields.
fn template(annotations: &Value, container: &Value) -> Value {
    let mut container = container.clone();
    container["name"] = json!("main");
    container["image"] = json!("example.org/sync:1");
    json!({
        "metadata": {"labels": {"app": "a"}, "annotations": annotations},
        "spec": {
            "nodeSelector": {"none": "such"},
            "containers": [container],
            "volumes": [{"name": "jira", "secret": {"secretName": "bot"}}],
        },
    })
}

impl World {
    async fn make<K>(&self, name: &str, template: Value, more: Value)
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + serde::de::DeserializeOwned
            + serde::Serialize
            + Clone
            + std::fmt::Debug,
    {
        let mut object = json!({"metadata": {"name": name}, "spec": more});
        object["spec"]["selector"] = json!({"matchLabels": {"app": "a"}});
        object["spec"]["template"] = template;
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        let object = serde_json::from_value(object).unwrap();
        api.create(&PostParams::default(), &object).await.unwrap();
    }

    async fn deployment(&self, name: &str, container: &Value) {
        let template = template(&json!({}), container);
        self.make::<Deployment>(name, template, json!({"replicas": 0}))
            .await;
    }

    /// What the events about readers say, those of several in the order of their words.
    async fn told_of_readers(&self) -> Vec<String> {
        let events = self.events("bot").await.into_iter();
        let events = events.filter(|event| event.reason.as_deref() == Some(EVENT));
        let mut notes: Vec<String> = events.filter_map(|event| event.note).collect();
        notes.sort_unstable();
        notes
    }

    async fn until_told_of_readers(&self, count: usize) -> Vec<String> {
        self.until("readers are named", || async {
            let notes = self.told_of_readers().await;
            (notes.len() >= count).then_some(notes)
        })
        .await
    }
}

fn lists(operator: &Running) -> usize {
    let lists = Requests::verb(Verb::List);
    operator.faults.count(&lists.resource("deployments"))
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_nothing_restarts_are_named_after_a_change_and_only_then() {
    let world = World::new().await;
    world.deployment("by-env", &env()).await;
    world.deployment("listed", &env()).await;
    world.deployment("by-file", &mounted(None)).await;
    let other = json!({"envFrom": [{"secretRef": {"name": "other"}}]});
    world.deployment("by-other", &other).await;
    let reloaded = template(&json!({"reloader.stakater.com/auto": "true"}), &env());
    world
        .make::<Deployment>("reloaded", reloaded, json!({"replicas": 0}))
        .await;
    let part = template(&json!({}), &mounted(Some("token")));
    let set = json!({"serviceName": "a", "replicas": 0});
    world.make::<StatefulSet>("by-part", part, set).await;
    let all = json!({"envFrom": [{"secretRef": {"name": "bot"}}]});
    world
        .make::<DaemonSet>("by-all", template(&json!({}), &all), json!({}))
        .await;
    let operator = world.operator().await;
    let (app, _) = world.oauth("bot").await;
    world.wait_ready("bot").await;
    let restart = json!({"restart": [{"kind": "Deployment", "name": "listed"}]});
    world.change("bot", restart).await;
    world.observed("bot").await;
    operator.quiet().await;
    // Neither the first publication nor a repair nor other keys are a change.
    let token = world.published("bot").await;
    let damage = json!({"stringData": {"token": "vandalised"}});
    world.edit_secret("bot", damage).await;
    world.until_value("bot", "token", &token).await;
    let targets = json!([{"name": "bot", "presets": ["Standard", "Env"]}, {"name": "other"}]);
    world.change("bot", json!({"targets": targets})).await;
    world.until_value("bot", "JIRA_API_TOKEN", &token).await;
    world.until_value("other", "token", &token).await;
    operator.quiet().await;
    assert_eq!(lists(&operator), 0);
    world.advance(RENEWAL_IS_DUE);
    operator.look_again(1).await;
    let told = world.until_told_of_readers(2).await;
    for (told, expected) in told.iter().zip([
        "The Secret bot holds another credential, and these workloads use the one before until they are restarted, since they read it by environment variables or subPath: Deployment by-env, StatefulSet by-part, DaemonSet by-all. Add them to spec.restart",
        "The Secret other holds another credential, and these workloads use the one before until they are restarted, since they read it by environment variables or subPath: Deployment by-other. Add them to spec.restart",
    ]) {
        assert!(told.starts_with(expected), "{told}");
    }
    operator.quiet().await;
    // One list for both.
    assert_eq!(lists(&operator), 1);
    // A restart of the operator tells nothing.
    operator.stop().await;
    let operator = world.operator().await;
    operator.look_again(1).await;
    assert_eq!(lists(&operator), 0);
    assert_eq!(world.told_of_readers().await.len(), 2);
    drop(app);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_only_what_a_renewal_leaves_as_it_is_is_not_named() {
    let world = World::new().await;
    for (name, container) in [
        ("by-site", env_of("bot", "site")),
        ("by-token", env_of("bot", "token")),
        ("by-url", env_of("bot", "url")),
        ("by-url-file", mounted(Some("url"))),
    ] {
        world.deployment(name, &container).await;
    }
    let operator = world.operator().await;
    let (app, _) = world.oauth("bot").await;
    world.wait_ready("bot").await;
    world.advance(RENEWAL_IS_DUE);
    operator.look_again(1).await;
    let told = world.until_told_of_readers(1).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("subPath: Deployment by-token. Add"),
        "{told:?}"
    );
    drop(app);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_only_keys_of_others_in_a_shared_secret_is_not_named() {
    let world = World::new().await;
    for (name, key) in [("by-theirs", "theirs"), ("by-ours", "jira")] {
        world.deployment(name, &env_of("app", key)).await;
    }
    let every = json!({"envFrom": [{"secretRef": {"name": "app"}}]});
    world.deployment("by-every", &every).await;
    let operator = world.operator().await;
    world.app_for("bot").await;
    world.merging("bot", "jira").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let next = world.cloud().api_token("bot@acme.example");
    world
        .secret("bot-source", &[("token", next.secret())])
        .await;
    world.until_value("app", "jira", next.secret()).await;
    let told = world.until_told_of_readers(1).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("subPath: Deployment by-every, Deployment by-ours. Add"),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_in_another_namespace_are_named_as_such() {
    let home = World::new().await;
    let other = home.neighbour().await;
    // spec.restart does not reach it, though it has the name of one that is listed.
    other.deployment("sync", &env()).await;
    home.deployment("sync", &env()).await;
    let namespaces = vec![home.namespace.clone(), other.namespace.clone()];
    let operator = home
        .operator_with(|config| config.watch_namespaces = namespaces)
        .await;
    let token = home.data_center().pat("bot");
    home.secret("bot-source", &[("token", token.secret())])
        .await;
    let mut spec = home.pat_spec("bot");
    spec["targets"] = json!([{"name": "bot", "namespace": other.namespace}]);
    spec["restart"] = json!([{"kind": "Deployment", "name": "sync"}]);
    home.create("bot", spec).await;
    home.wait_ready("bot").await;
    operator.quiet().await;
    let token = home.data_center().pat("bot");
    home.secret("bot-source", &[("token", token.secret())])
        .await;
    other.until_value("bot", "token", token.secret()).await;
    let told = home.until_told_of_readers(1).await;
    let begin = format!(
        "The Secret {}/bot holds another credential",
        other.namespace
    );
    assert!(told[0].starts_with(&begin), "{told:?}");
    // Names of another namespace are not told in this one.
    assert!(
        told[0].contains(&format!("1 workload of the namespace {}", other.namespace))
            && !told[0].contains("sync"),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_list_nothing_is_told_and_nothing_waits() {
    let world = World::new().await;
    world.deployment("by-env", &env()).await;
    let mut rules = rules();
    rules.retain(|rule| rule.verbs != ["list"]);
    let (identity, home) = identity(&world, rules).await;
    let operator = world
        .operator_as(identity, |config| config.namespace = home)
        .await;
    world.api_token("bot").await;
    world.wait_ready("bot").await;
    for wait in [TimeDelta::minutes(1), TimeDelta::minutes(50)] {
        world.advance(wait);
        let token = world.cloud().api_token("bot@acme.example");
        world
            .secret("bot-source", &[("token", token.secret())])
            .await;
        world.until_value("bot", "token", token.secret()).await;
        operator.quiet().await;
        // It is not asked again for an hour.
        assert_eq!(lists(&operator), 1);
    }
    world.advance(TimeDelta::minutes(20));
    let token = world.cloud().api_token("bot@acme.example");
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    world.until_value("bot", "token", token.secret()).await;
    operator.quiet().await;
    assert_eq!(lists(&operator), 2);
    let status = world.wait_ready("bot").await.status.unwrap();
    assert!(status.condition(ConditionType::Denied).is_none());
    assert_eq!(world.told_of_readers().await, Vec::<String>::new());
    operator.stop().await;
}
