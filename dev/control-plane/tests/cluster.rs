//! What a control plane does for the tests of an operator.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    process::Command,
    time::{Duration, Instant},
};

use control_plane::ControlPlane;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret, ServiceAccount};
use kube::{
    Api, ResourceExt as _,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

/// Polls until the probe is true.
async fn eventually(what: &str, probe: impl AsyncFn() -> bool) -> Duration {
    let begun = Instant::now();
    while !probe().await {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{what} did not happen"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    begun.elapsed()
}

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn is_forbidden<T: std::fmt::Debug>(result: kube::Result<T>) -> bool {
    matches!(result, Err(kube::Error::Api(status)) if status.code == 403)
}

const ACCESS: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: { name: reader }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: reader }
rules: [{ apiGroups: [''], resources: [configmaps], verbs: [list] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: reader }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader }
subjects:
- { kind: ServiceAccount, name: reader }
- { kind: Group, apiGroup: rbac.authorization.k8s.io, name: readers }
";

#[tokio::test]
async fn roles_decide_what_service_accounts_and_users_may_do() {
    let plane = ControlPlane::shared().await.unwrap();
    let namespace = plane.namespace("rbac").await.unwrap();
    let manifests = ACCESS.replace(
        "metadata: {",
        &format!("metadata: {{ namespace: {namespace},"),
    );
    let manifests = manifests.replace(
        "ServiceAccount, name: reader",
        &format!("ServiceAccount, namespace: {namespace}, name: reader"),
    );
    plane.kubectl_apply(&manifests).await.unwrap();

    for client in [
        plane
            .service_account_client(&namespace, "reader")
            .await
            .unwrap(),
        plane
            .user_client("somebody", &["others", "readers"])
            .unwrap(),
    ] {
        let all = ListParams::default();
        let maps = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
        eventually("the role counts", async || maps.list(&all).await.is_ok()).await;
        assert!(is_forbidden(
            Api::<Secret>::namespaced(client, &namespace)
                .list(&all)
                .await
        ));
    }
    let nobody = plane.user_client("somebody", &[]).unwrap();
    let maps = Api::<ConfigMap>::namespaced(nobody, &namespace);
    assert!(is_forbidden(maps.list(&ListParams::default()).await));
}

#[tokio::test]
async fn kubeconfig_files_say_who_one_is() {
    let plane = ControlPlane::shared().await.unwrap();
    let namespace = plane.namespace("whoami").await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let account = directory.path().join("account");
    plane
        .service_account_kubeconfig(&namespace, "default", &account)
        .await
        .unwrap();
    let user = directory.path().join("user");
    plane.user_kubeconfig("somebody", &["some"], &user).unwrap();

    let whoami = |mut kubectl: Command| {
        kubectl.args([
            "auth",
            "whoami",
            "-o",
            "jsonpath={.status.userInfo.username}",
        ]);
        let output = kubectl.output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(whoami(plane.kubectl()), "admin");
    for (path, name) in [
        (
            account,
            format!("system:serviceaccount:{namespace}:default"),
        ),
        (user, "somebody".to_owned()),
    ] {
        let mut kubectl = plane.kubectl();
        kubectl.env("KUBECONFIG", path);
        assert_eq!(whoami(kubectl), name);
    }
}

#[tokio::test]
async fn a_new_namespace_is_ready_for_pods_and_its_pod_security_holds() {
    let plane = ControlPlane::shared().await.unwrap();
    let client = plane.client().unwrap();
    let namespace = plane.namespace("pods").await.unwrap();
    let label = json!({ "metadata": { "labels": {
        "pod-security.kubernetes.io/enforce": "restricted",
    } } });
    Api::<Namespace>::all(client.clone())
        .patch(&namespace, &PatchParams::default(), &Patch::Merge(label))
        .await
        .unwrap();
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), &namespace);
    eventually("the default service account", async || {
        accounts.get_opt("default").await.unwrap().is_some()
    })
    .await;
    let pods = Api::<Pod>::namespaced(client, &namespace);
    let pod = object(json!({
        "metadata": { "name": "root" },
        "spec": { "containers": [{ "name": "root", "image": "root" }] },
    }));
    assert!(is_forbidden(
        pods.create(&PostParams::default(), &pod).await
    ));
}

const DEFINITION: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: widgets.example.com }
spec:
  group: example.com
  scope: Namespaced
  names: { kind: Widget, plural: widgets }
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true }
";

#[tokio::test]
async fn custom_resources_work_at_once_and_their_dependents_go_with_them() {
    let plane = ControlPlane::shared().await.unwrap();
    plane.install_crds(DEFINITION).await.unwrap();
    let client = plane.client().unwrap();
    let namespace = plane.namespace("garbage").await.unwrap();
    let resource = ApiResource {
        group: "example.com".to_owned(),
        version: "v1".to_owned(),
        api_version: "example.com/v1".to_owned(),
        kind: "Widget".to_owned(),
        plural: "widgets".to_owned(),
    };
    let widgets = Api::<DynamicObject>::namespaced_with(client.clone(), &namespace, &resource);
    let owner = DynamicObject::new("owner", &resource);
    let owner = widgets
        .create(&PostParams::default(), &owner)
        .await
        .unwrap();
    let secrets = Api::<Secret>::namespaced(client.clone(), &namespace);
    let secret = object(json!({ "metadata": { "name": "owned", "ownerReferences": [{
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "name": "owner",
        "uid": owner.uid(),
    }] } }));
    secrets
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();

    widgets
        .delete("owner", &DeleteParams::default())
        .await
        .unwrap();
    let gone = async || secrets.get_opt("owned").await.unwrap().is_none();
    let took = eventually("the dependent goes", gone).await;
    eprintln!("collected after {took:?}");

    let namespaces = Api::<Namespace>::all(client);
    namespaces
        .delete(&namespace, &DeleteParams::default())
        .await
        .unwrap();
    let gone = async || namespaces.get_opt(&namespace).await.unwrap().is_none();
    let took = eventually("the namespace goes", gone).await;
    eprintln!("namespace removed after {took:?}");
}

#[tokio::test]
async fn objects_are_judged_as_generic_tools_judge_them() {
    let plane = ControlPlane::shared().await.unwrap();
    let thing = |metadata: Value, status: Value| json!({ "kind": "Thing", "metadata": metadata, "status": status });
    let condition = |type_: &str, status: &str| {
        json!({ "observedGeneration": 2, "conditions": [
            { "type": type_, "status": status, "reason": "Some", "message": "text" },
        ] })
    };
    let generation = json!({ "generation": 2 });
    let table = [
        (
            thing(generation.clone(), json!({ "observedGeneration": 1 })),
            "InProgress",
        ),
        (
            thing(generation.clone(), json!({ "observedGeneration": 2 })),
            "Current",
        ),
        (
            thing(generation.clone(), condition("Ready", "True")),
            "Current",
        ),
        (
            thing(generation.clone(), condition("Ready", "False")),
            "InProgress",
        ),
        (
            thing(generation.clone(), condition("Reconciling", "True")),
            "InProgress",
        ),
        (thing(generation, condition("Stalled", "True")), "Failed"),
        (
            thing(
                json!({ "deletionTimestamp": "2026-01-01T00:00:00Z" }),
                json!({}),
            ),
            "Terminating",
        ),
    ];
    let objects: Vec<Value> = table.iter().map(|(object, _)| object.clone()).collect();
    let verdicts = plane.kstatus(&objects).await.unwrap();
    let verdicts: Vec<&str> = verdicts
        .iter()
        .map(|verdict| verdict.status.as_str())
        .collect();
    let expected: Vec<&str> = table.iter().map(|(_, status)| *status).collect();
    assert_eq!(verdicts, expected);
    plane.kstatus(&[json!("text")]).await.unwrap_err();
}
