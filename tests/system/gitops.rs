//! What tools do that apply the same manifest again and again.

use jira_credential_operator::api::JiraCredential;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::support::{Running, World, kubectl};

/// Server-side apply with a manager of its own, the two-way merge of `kubectl apply`, and a PUT.
const WAYS: [&str; 3] = [
    "apply",
    "apply --server-side --field-manager=flux --force-conflicts",
    "replace",
];

/// What a tool that compares would see, and what it cost.
async fn seen(world: &World, name: &str) -> (JiraCredential, usize, usize) {
    let object = world.credential(name).await;
    (object, world.calls(), world.outcomes().len())
}

async fn is_applied_without_effect(world: &World, operator: &Running, name: &str, spec: Value) {
    let manifest = json!({
        "apiVersion": "jira-operator.dev/v1alpha1",
        "kind": "JiraCredential",
        "metadata": {"name": name, "namespace": world.namespace},
        "spec": spec,
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("manifest.json");
    std::fs::write(&file, manifest.to_string()).unwrap();
    let file = file.display();
    for way in WAYS {
        kubectl(world.plane, &format!("{way} -f {file}")).await;
        world.wait_ready(name).await;
        operator.quiet().await;
        let (before, calls, spends) = seen(world, name).await;
        // These fail when there is a difference.
        kubectl(world.plane, &format!("diff -f {file}")).await;
        let server_side = "diff --server-side --field-manager=flux --force-conflicts";
        kubectl(world.plane, &format!("{server_side} -f {file}")).await;
        let said = kubectl(world.plane, &format!("{way} -f {file}")).await;
        // It says so when the patch is empty that it computes as Argo CD does. A default inside a list would be
        // in it every time.
        assert!(way != "apply" || said.ends_with(" unchanged\n"), "{said}");
        operator.quiet().await;
        let (after, calls_after, spends_after) = seen(world, name).await;
        let generation = |object: &JiraCredential| object.metadata.generation;
        assert_eq!(generation(&before), generation(&after), "{way}");
        assert_eq!((calls, spends), (calls_after, spends_after), "{way}");
        assert_eq!(generation(&after), Some(1), "{way}");
    }
    let object = world.credential(name).await;
    let of_the_spec =
        |entry: &&k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry| {
            let fields = entry.fields_v1.as_ref();
            fields.is_some_and(|fields| fields.0.get("f:spec").is_some())
        };
    let managers: Vec<_> = object.managed_fields().iter().filter(of_the_spec).collect();
    assert!(!managers.is_empty());
    for entry in managers {
        let manager = entry.manager.as_deref().unwrap_or_default();
        assert!(!manager.contains("jira-credential-operator"), "{entry:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_applied_again_differs_in_nothing_and_costs_nothing() {
    let world = World::new().await;
    let other = world.neighbour().await;
    let namespaces = vec![world.namespace.clone(), other.namespace.clone()];
    let operator = world
        .operator_with(|config| config.watch_namespaces = namespaces)
        .await;
    let token = world.cloud().api_token("bot@acme.example");
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    let mut spec = world.api_token_spec("bot");
    // The API server fills it in.
    spec["auth"]["apiToken"]["tokenSecretRef"] = json!({"name": "bot-source"});
    is_applied_without_effect(&world, &operator, "bot", spec).await;

    let (app, _) = world.oauth("renewed").await;
    world.wait_ready("renewed").await;
    world.delete("renewed").await;
    let secret = app.secret();
    world
        .secret("renewed-app", &[("client-secret", &secret)])
        .await;
    let mut spec = world.oauth_spec("renewed", &app);
    spec["auth"]["oauth2"]["clientSecretRefs"] = json!([{"name": "renewed-app"}]);
    spec["targets"] = json!([
        {"name": "one", "presets": ["Env"]}, {"name": "two"}, {"name": "two", "namespace": other.namespace},
    ]);
    is_applied_without_effect(&world, &operator, "renewed", spec).await;
}
