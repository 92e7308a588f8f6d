//! A source that External Secrets writes, as `docs/consumers/sources.md` has it. There is no store: the test
//! writes what the controller of External Secrets would.

use std::io::Write as _;

use control_plane::definitions::Definitions;
use jira_credential_operator::api::{ConditionType, Reason};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PostParams};
use serde_json::{Value, json};

use crate::support::{World, says, value};

/// Installs the definitions of an API group of another project; says so, and returns false, where their
/// module cannot be downloaded.
pub(crate) async fn install(world: &World, group: &'static str) -> bool {
    let text = tokio::task::spawn_blocking(move || Definitions::of(group)?.text());
    match text.await.unwrap() {
        Err(error) if error.is_without_modules() => {
            let line = format!("skipped: no Go module with the definitions of {group}");
            let _ = writeln!(std::io::stderr(), "{line}");
            false
        }
        text => {
            world.plane.install_crds(&text.unwrap()).await.unwrap();
            true
        }
    }
}

/// The manifest of this kind on the page.
fn documented(kind: &str) -> Value {
    let page = include_str!("../../docs/consumers/sources.md");
    let blocks = page.split("```yaml\n").skip(1);
    let manifests = blocks.map(|block| block.split("```").next().unwrap());
    manifests
        .map(|text| serde_saphyr::from_str::<Value>(text).unwrap())
        .find(|manifest| manifest["kind"] == kind)
        .unwrap()
}

/// What the controller of External Secrets does for one object.
struct Controller<'a> {
    world: &'a World,
    object: DynamicObject,
}

impl<'a> Controller<'a> {
    /// Takes an `ExternalSecret` into the cluster.
    async fn of(world: &'a World, manifest: Value) -> Self {
        let kind = GroupVersionKind::gvk("external-secrets.io", "v1", "ExternalSecret");
        let kind = ApiResource::from_gvk(&kind);
        let all =
            Api::<DynamicObject>::namespaced_with(world.client.clone(), &world.namespace, &kind);
        let object = serde_json::from_value(manifest).unwrap();
        let object = all.create(&PostParams::default(), &object).await.unwrap();
        Self { world, object }
    }

    /// The Secret, with the owner that `creationPolicy: Owner` gives it; that is the default.
    fn secret(&self, token: &str, labels: &Value) -> Secret {
        let target = &self.object.data["spec"]["target"];
        assert_eq!(target["creationPolicy"], "Owner");
        let mut labels = labels.clone();
        let own = json!({
            "reconcile.external-secrets.io/managed": "true",
            "reconcile.external-secrets.io/created-by": "0123abc",
        });
        json_patch::merge(&mut labels, &own);
        serde_json::from_value(json!({
            "metadata": {
                "name": target["name"],
                "labels": labels,
                "annotations": {"reconcile.external-secrets.io/data-hash": token.len().to_string()},
                "ownerReferences": [{
                    "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
                    "name": self.object.name_any(), "uid": self.object.uid().unwrap(),
                    "controller": true, "blockOwnerDeletion": true,
                }],
            },
            "immutable": false,
            "stringData": {"token": token},
        }))
        .unwrap()
    }

    fn writes(&self) -> PostParams {
        let manager = format!(
            "externalsecrets.external-secrets.io/{}",
            self.object.name_any()
        );
        PostParams {
            field_manager: Some(manager),
            ..PostParams::default()
        }
    }

    async fn creates(&self, token: &str, labels: &Value) -> Secret {
        let secret = self.secret(token, labels);
        let created = self.world.secrets().create(&self.writes(), &secret).await;
        created.unwrap()
    }

    async fn replaces(&self, token: &str, labels: &Value) -> Secret {
        let mut secret = self.secret(token, labels);
        let name = secret.name_any();
        let stored = self.world.secrets().get(&name).await.unwrap();
        secret.metadata.resource_version = stored.metadata.resource_version;
        let all = self.world.secrets();
        all.replace(&name, &self.writes(), &secret).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_external_secrets_is_followed_and_its_template_is_enough_of_a_label() {
    let world = World::alone().await;
    if !install(&world, "external-secrets.io").await {
        return;
    }
    let operator = world
        .operator_with(|config| config.require_source_label = true)
        .await;
    let store = Controller::of(&world, documented("ExternalSecret")).await;
    let spec = documented("JiraCredential")["spec"].clone();
    let email = spec["auth"]["apiToken"]["email"]
        .as_str()
        .unwrap()
        .to_owned();
    let first = world.cloud().api_token(&email);
    store.creates(first.secret(), &json!({})).await;
    let here = json!({"site": world.cloud().url(), "hosting": "Cloud", "auth": spec["auth"]});
    world.create("ci-bot", here).await;
    world.wait_unready("ci-bot", Reason::SourceNotAllowed).await;

    let template = &store.object.data["spec"]["target"]["template"];
    let labels = template["metadata"]["labels"].clone();
    store.replaces(first.secret(), &labels).await;
    world.wait_ready("ci-bot").await;
    world.until_value("ci-bot", "token", first.secret()).await;

    let second = world.cloud().api_token(&email);
    let written = store.replaces(second.secret(), &labels).await;
    world.until_value("ci-bot", "token", second.secret()).await;
    let ready = world.wait_ready("ci-bot").await;
    let uid = |secret: &Secret| secret.uid();
    let published = world.secrets().get("ci-bot").await.unwrap();
    operator.quiet().await;
    // The operator leaves what External Secrets has written as it is.
    let source = world.secrets().get(&written.name_any()).await.unwrap();
    assert_eq!(source, written);
    assert_eq!(says(&ready, ConditionType::Valid).reason, Reason::Accepted);

    // With the ExternalSecret goes what it owns; what is published stays.
    let kind = "externalsecrets.external-secrets.io";
    let gone = format!(
        "delete {kind} {} -n {}",
        store.object.name_any(),
        world.namespace
    );
    crate::support::kubectl(world.plane, &gone).await;
    world
        .until("the source is gone", || async {
            let found = world.secrets().get_opt(&source.name_any()).await.unwrap();
            found.is_none().then_some(())
        })
        .await;
    operator.quiet().await;
    let left = world.secrets().get("ci-bot").await.unwrap();
    assert_eq!(uid(&left), uid(&published));
    assert_eq!(value(&left, "token"), second.secret());
    operator.stop().await;
}
