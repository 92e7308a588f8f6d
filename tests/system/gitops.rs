//! What tools do that apply the same manifest again and again.

use jira_credential_operator::api::{ConditionType, JiraCredential, Reason};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::support::{Running, World, kubectl};

/// Server-side apply with a manager of its own, the two-way merge of `kubectl apply`, and a PUT.
const WAYS: [&str; 3] = [
    "apply",
    "apply --server-side --field-manager=flux --force-conflicts",
    "replace",
];

fn manifest(world: &World, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "jira-operator.dev/v1alpha1",
        "kind": "JiraCredential",
        "metadata": {"name": name, "namespace": world.namespace},
        "spec": spec,
    })
}

/// Applies manifests twice in every way; they are settled when their Ready conditions have this reason.
async fn are_applied_without_effect(
    world: &World,
    operator: &Running,
    manifests: &[Value],
    settled: Reason,
) {
    let names = manifests.iter().map(|one| &one["metadata"]["name"]);
    let names: Vec<&str> = names.map(|name| name.as_str().unwrap()).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": manifests});
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("manifests.json");
    std::fs::write(&file, list.to_string()).unwrap();
    let file = file.display();
    for way in WAYS {
        kubectl(world.plane, &format!("{way} -f {file}")).await;
        for name in &names {
            let what = format!("Ready has the reason {settled:?}");
            world
                .until_status(name, &what, |status| {
                    let ready = status.condition(ConditionType::Ready);
                    ready.is_some_and(|ready| ready.reason == settled)
                })
                .await;
        }
        operator.quiet().await;
        let cost = (world.calls(), world.outcomes().len());
        // These fail when there is a difference.
        kubectl(world.plane, &format!("diff -f {file}")).await;
        let server_side = "diff --server-side --field-manager=flux --force-conflicts";
        kubectl(world.plane, &format!("{server_side} -f {file}")).await;
        let said = kubectl(world.plane, &format!("{way} -f {file}")).await;
        // It says so when the patch is empty that it computes as Argo CD does. A default inside a list would be
        // in it every time.
        let unchanged = said.lines().all(|line| line.ends_with(" unchanged"));
        assert!(way != "apply" || unchanged, "{said}");
        assert_eq!(said.lines().count(), names.len(), "{said}");
        operator.quiet().await;
        assert_eq!(cost, (world.calls(), world.outcomes().len()), "{way}");
        for name in &names {
            let generation = world.credential(name).await.metadata.generation;
            assert_eq!(generation, Some(1), "{name}: {way}");
        }
    }
    for name in names {
        is_left_to_people(&world.credential(name).await);
    }
}

/// The operator has written nothing of the spec.
fn is_left_to_people(object: &JiraCredential) {
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
    let bot = manifest(&world, "bot", &spec);
    are_applied_without_effect(&world, &operator, &[bot], Reason::Validated).await;

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
    let renewed = manifest(&world, "renewed", &spec);
    are_applied_without_effect(&world, &operator, &[renewed], Reason::Validated).await;
    operator.stop().await;
}

/// The `JiraCredentials` of the examples.
fn examples(world: &World) -> Vec<Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/examples");
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        let before = found.len();
        for mut document in documents {
            if document["kind"] == "JiraCredential" {
                document["metadata"]["name"] = json!(format!("example-{}", found.len()));
                document["metadata"]["namespace"] = json!(world.namespace);
                found.push(document);
            }
        }
        assert!(found.len() > before, "{}", path.display());
    }
    found
}

/// Specs that leave out every field with a default, side by side.
fn bare(world: &World) -> Vec<Value> {
    let site = "https://jira.elsewhere.example";
    let named = json!({"name": "source"});
    let specs = [
        json!({
            "site": "https://acme.atlassian.net",
            "auth": {"apiToken": {"emailSecretRef": named, "tokenSecretRef": named}},
            "rotation": {"maxAge": "90d"},
            "expiryLookup": {
                "apiKeySecretRef": named, "label": "bot",
                "organizationId": "00000000-0000-0000-0000-000000000000",
            },
        }),
        json!({
            "site": "https://acme.atlassian.net",
            "auth": {"oauth2": {
                "clientId": "client", "clientSecretRefs": [{"name": "client"}],
                "refreshTokenSecretRef": named, "scopes": ["read:jira-user", "offline_access"],
            }},
        }),
        json!({
            "site": site, "tls": {"caConfigMapRef": {"name": "ca"}},
            "auth": {"personalAccessToken": {"tokenSecretRef": named}},
        }),
        json!({
            "site": site, "tls": {"caSecretRef": {"name": "ca"}},
            "auth": {"basic": {"secretRef": named}},
        }),
    ];
    let number = specs.iter().enumerate();
    number
        .map(|(number, spec)| manifest(world, &format!("bare-{number}"), spec))
        .collect()
}

/// The paths below a schema that have a default.
fn defaulted(schema: &Value, path: &str, found: &mut Vec<String>) {
    if !schema["default"].is_null() {
        found.push(path.to_owned());
    }
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        defaulted(below, &format!("{path}/{name}"), found);
    }
    if schema["items"].is_object() {
        defaulted(&schema["items"], &format!("{path}/0"), found);
    }
}

/// Their sites are none that the operator of the tests may call.
#[tokio::test(flavor = "multi_thread")]
async fn examples_and_specs_without_defaulted_fields_differ_in_nothing_when_applied_again() {
    let world = World::new().await;
    let operator = world.operator().await;
    let bare = bare(&world);
    let all = [examples(&world), bare.clone()].concat();
    are_applied_without_effect(&world, &operator, &all, Reason::HostNotAllowed).await;
    let schema = serde_json::to_value(jira_credential_operator::crd::crd()).unwrap();
    let schema = &schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut paths = Vec::new();
    defaulted(schema, "", &mut paths);
    assert!(paths.len() > 8, "{paths:?}");
    for path in paths {
        let mut filled_in = false;
        for manifest in &bare {
            let name = manifest["metadata"]["name"].as_str().unwrap();
            let object = serde_json::to_value(world.credential(name).await).unwrap();
            let left_out = manifest["spec"].pointer(&path).is_none();
            filled_in |= left_out && object["spec"].pointer(&path).is_some();
        }
        assert!(filled_in, "{path} is in no spec");
    }
    operator.stop().await;
}
