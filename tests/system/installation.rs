//! Installing, removing and installing again, as `README.md` and `docs/operations.md` have it.

use jira_credential_operator::api::{JiraCredential, WorkloadKind};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;

use crate::support::{OPERATOR, PATIENCE, World, kubectl};

/// The name of the Secret with the key of the fingerprints.
const KEY: &str = "jira-credential-operator-key";

/// The commands of the block that the document marks for this test.
fn documented_uninstall() -> Vec<&'static str> {
    let text = include_str!("../../docs/operations.md");
    let (_, rest) = text
        .split_once("<!-- A test runs this block. -->\n```sh\n")
        .unwrap();
    let (block, _) = rest.split_once("\n```").unwrap();
    block
        .lines()
        .map(|line| line.strip_prefix("kubectl ").unwrap())
        .collect()
}

async fn names(secrets: &Api<Secret>) -> Vec<(String, Option<String>)> {
    let all = secrets.list(&ListParams::default()).await.unwrap();
    let named = all.items.iter();
    named
        .map(|secret| (secret.name_any(), secret.uid()))
        .collect()
}

/// Tries to create a Secret, for show.
async fn may_write(client: &Client, namespace: &str, name: &str) -> Result<(), String> {
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.into()),
            ..ObjectMeta::default()
        },
        ..Secret::default()
    };
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
    let answer = secrets.create(&params, &secret).await;
    answer.map(drop).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overlay_installs_an_operator_in_another_namespace() {
    let world = World::bare().await;
    kubectl(world.plane, "apply -f crds/").await;
    kubectl(world.plane, "apply -k overlays/other-namespace").await;
    let home = "jira";
    let plane = world.plane;
    let identity = plane.service_account_config(home, OPERATOR).await.unwrap();
    let operator = world
        .operator_as(identity, |config| home.clone_into(&mut config.namespace))
        .await;
    world.api_token("bot").await;
    world.wait_ready("bot").await;
    let keys = Api::<Secret>::namespaced(world.client.clone(), home);
    keys.get(KEY).await.unwrap();
    // The policy that limits the operator is about this namespace and this account.
    let itself = plane.service_account_client(home, OPERATOR).await.unwrap();
    for (namespace, words) in [
        (
            world.namespace.as_str(),
            "only Secrets that it wrote itself",
        ),
        (home, "writes nothing else"),
    ] {
        world
            .until("the policy refuses", || async {
                let answer = may_write(&itself, namespace, "other").await;
                answer.err().filter(|message| message.contains(words))
            })
            .await;
    }
    world.workload(WorkloadKind::Deployment, "sync").await;
    let deployments = Api::<Deployment>::namespaced(itself.clone(), &world.namespace);
    let scaled = Patch::Merge(json!({"spec": {"replicas": 1}}));
    world
        .until("the policy about workloads refuses", || async {
            let params = PatchParams::default();
            let answer = deployments.patch("sync", &params, &scaled).await;
            let refusal = answer.err()?.to_string();
            let words = "changes only the annotations";
            refusal.contains(words).then_some(())
        })
        .await;
    operator.stop().await;
    // The account may lead there, and the Lease is the one that `deploy/` grants.
    let leases = Api::<Lease>::namespaced(itself, home);
    let lease = json!({"metadata": {"name": OPERATOR}, "spec": {"holderIdentity": "test"}});
    let lease = serde_json::from_value(lease).unwrap();
    leases.create(&PostParams::default(), &lease).await.unwrap();
    leases.get(OPERATOR).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pods_mount_survives_the_operator_and_a_reinstall_continues() {
    let world = World::bare().await;
    kubectl(world.plane, "apply -f crds/").await;
    kubectl(world.plane, "apply -k deploy").await;
    let operator = world.operator().await;
    world.oauth("bot").await;
    world.api_token("static").await;
    world.wait_ready("bot").await;
    world.wait_ready("static").await;
    operator.quiet().await;
    operator.stop().await;
    let before = names(&world.secrets()).await;
    let (calls, spends) = (world.calls(), world.outcomes().len());
    let home = Api::<Secret>::namespaced(world.client.clone(), OPERATOR);
    let key = home.get(KEY).await.unwrap();

    // A person who tries the operator and removes it breaks no pod.
    remove(&world).await;
    assert_eq!(names(&world.secrets()).await, before);
    world.credential("bot").await;

    // With the key: nothing has happened.
    create_home(&world.client).await;
    let restored = Secret {
        metadata: ObjectMeta {
            name: Some(KEY.into()),
            labels: key.metadata.labels.clone(),
            ..ObjectMeta::default()
        },
        ..key
    };
    home.create(&PostParams::default(), &restored)
        .await
        .unwrap();
    kubectl(world.plane, "apply -k deploy").await;
    let operator = world.operator().await;
    operator.look_again(2).await;
    operator.quiet().await;
    assert_eq!((world.calls(), world.outcomes().len()), (calls, spends));
    assert_eq!(names(&world.secrets()).await, before);
    operator.stop().await;

    // Without the key: everything is recognised, and no token is used twice.
    remove(&world).await;
    kubectl(world.plane, "apply -k deploy").await;
    let operator = world.operator().await;
    operator.look_again(2).await;
    operator.quiet().await;
    for name in ["bot", "static"] {
        world.wait_ready(name).await;
    }
    assert_eq!(world.outcomes().len(), spends);
    assert_eq!(names(&world.secrets()).await, before);
    world.advance(chrono::TimeDelta::minutes(50));
    operator.look_again(2).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(world.outcomes(), vec!["exchanged"; spends + 1]);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_uninstall_leaves_nothing_of_the_operator() {
    let world = World::bare().await;
    kubectl(world.plane, "apply -f crds/").await;
    world.plane.restart_controller_manager().await.unwrap();
    kubectl(world.plane, "apply -k deploy").await;
    let operator = world.operator().await;
    world.oauth("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    operator.stop().await;
    for line in documented_uninstall() {
        kubectl(world.plane, line).await;
    }
    // What the user stored stays.
    world
        .until("only the user's Secrets are left", || async {
            let left = names(&world.secrets()).await;
            let left: Vec<&str> = left.iter().map(|(name, _)| name.as_str()).collect();
            (left == ["bot-client", "bot-seed"]).then_some(())
        })
        .await;
    let all = "get customresourcedefinitions,clusterroles,clusterrolebindings,\
               validatingadmissionpolicies,validatingadmissionpolicybindings -o name";
    let left = kubectl(world.plane, all).await;
    assert!(!left.contains("jira"), "{left}");
}

/// Removes the operator as a person would, and waits until its namespace is gone.
async fn remove(world: &World) {
    kubectl(
        world.plane,
        &format!("delete -k deploy --timeout={}s", PATIENCE.as_secs()),
    )
    .await;
    let namespaces = Api::<Namespace>::all(world.client.clone());
    assert!(namespaces.get_opt(OPERATOR).await.unwrap().is_none());
}

async fn create_home(client: &Client) {
    let namespace: Namespace =
        serde_json::from_value(json!({"metadata": {"name": OPERATOR}})).unwrap();
    let namespaces = Api::<Namespace>::all(client.clone());
    namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();
}

/// The definition before days were dates and keys had defaults.
const EARLIER_CRD: &str = include_str!("earlier/jiracredentials.yaml");

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_definition_took_is_read_and_a_rollback_keeps_what_a_later_one_took() {
    let world = World::bare().await;
    let plane = world.plane;
    plane.install_crds(EARLIER_CRD).await.unwrap();
    kubectl(plane, "apply -k deploy").await;
    let token = world.cloud().api_token("bot@acme.example");
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    let spec = |more: serde_json::Value| {
        let mut spec = world.api_token_spec("bot");
        let auth = spec["auth"]["apiToken"].as_object_mut().unwrap();
        auth.extend(more.as_object().unwrap().clone());
        spec
    };
    let time =
        json!({"issuedAt": "2026-03-01T00:00:00Z", "expiresAt": "2030-03-01T00:00:00+01:00"});
    world.create("bot", spec(time)).await;
    // Refused today; stored then.
    let mut short = spec(json!({}));
    short["validation"] = json!({"interval": "5s"});
    world.create("short", short).await;

    // The definition first, then the operator.
    kubectl(plane, "apply --server-side --force-conflicts -f crds/").await;
    let operator = world.operator().await;
    world.wait_ready("bot").await;
    let object = world
        .until_status("short", "the status says what is wrong", |status| {
            status.observed_generation == 1
        })
        .await;
    let _ = object;
    let mut day = spec(json!({"expiresAt": "2030-03-01"}));
    day["targets"] = json!([{"name": "day-jira"}]);
    world.create("day", day).await;
    world.wait_ready("day").await;
    operator.quiet().await;

    // The earlier definition keeps it, and its status can still be written.
    plane.install_crds(EARLIER_CRD).await.unwrap();
    world
        .annotate("day", "jira-operator.dev/renew", "now")
        .await;
    world
        .until_status("day", "the annotation is handled", |status| {
            status.last_handled_renew.as_deref() == Some("now")
        })
        .await;
    let stored = world.credential("day").await;
    let text = serde_json::to_value(&stored.spec).unwrap();
    assert_eq!(text["auth"]["apiToken"]["expiresAt"], "2030-03-01");
    operator.stop().await;
    let credentials: Api<JiraCredential> = world.credentials();
    credentials
        .delete("day", &DeleteParams::default())
        .await
        .unwrap();
}
