//! What somebody can write who has taken the token of the operator.

use jira_credential_operator::cluster::{Cluster, PolicyState};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::support::{Context, context, eventually};

const OPERATOR: &str = "jira-credential-operator";

/// How the policy begins its refusals.
const POLICY: &str = "ValidatingAdmissionPolicy 'jira-credential-operator-writes'";

fn secret(name: &str, more: &Value) -> Secret {
    let mut object = json!({ "metadata": { "name": name }, "data": {} });
    for (field, value) in more.as_object().unwrap() {
        if field == "metadata" {
            let metadata = object["metadata"].as_object_mut().unwrap();
            metadata.extend(value.as_object().unwrap().clone());
        } else {
            object[field] = value.clone();
        }
    }
    serde_json::from_value(object).unwrap()
}

fn ours() -> Value {
    json!({ "labels": { "app.kubernetes.io/managed-by": OPERATOR } })
}

/// A client with the token of the operator, once the policy is in force.
async fn taken(test: &Context) -> Client {
    let client = test
        .plane
        .service_account_client(OPERATOR, OPERATOR)
        .await
        .unwrap();
    let unmarked = secret("probe", &json!({}));
    eventually(
        async || match create(&client, &test.namespace, &unmarked).await {
            Err(refusal) if refusal.contains(POLICY) => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
    .await;
    client
}

/// Creates a Secret for show.
async fn create(client: &Client, namespace: &str, secret: &Secret) -> Result<(), String> {
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    let created = api.create(&dry, secret).await;
    created.map(|_| ()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn only_labelled_secrets_of_harmless_types_are_created() {
    let test = context("taken").await;
    let client = taken(&test).await;
    let home = test.namespace.as_str();
    let key = "jira-credential-operator-key";
    for (namespace, name, more, refusal) in [
        (home, "target", json!({ "metadata": ours() }), None),
        (
            home,
            "basic",
            json!({ "metadata": ours(), "type": "kubernetes.io/basic-auth",
                "data": { "username": "YQ==", "password": "YQ==" } }),
            None,
        ),
        (
            home,
            "typed",
            json!({ "metadata": ours(), "type": "acme.example/jira" }),
            None,
        ),
        (
            home,
            "jco-grant-a",
            json!({ "type": "jira-operator.dev/grant" }),
            None,
        ),
        (home, "plain", json!({}), Some("only Secrets that it wrote")),
        (
            home,
            "stolen",
            json!({ "metadata": { "labels": ours()["labels"], "annotations":
                { "kubernetes.io/service-account.name": "default" } },
                "type": "kubernetes.io/service-account-token" }),
            Some("Kubernetes or Helm acts on"),
        ),
        (
            home,
            "release",
            json!({ "metadata": ours(), "type": "helm.sh/release.v1" }),
            Some("Kubernetes or Helm acts on"),
        ),
        (
            "kube-system",
            "bootstrap",
            json!({ "metadata": ours(), "type": "bootstrap.kubernetes.io/token" }),
            Some("namespace of Kubernetes itself"),
        ),
        (
            "kube-system",
            "target",
            json!({ "metadata": ours() }),
            Some("namespace of Kubernetes itself"),
        ),
        (
            OPERATOR,
            "target",
            json!({ "metadata": ours() }),
            Some("in its own namespace"),
        ),
        (
            OPERATOR,
            "jira-credential-operator-refused-passwords",
            json!({ "metadata": ours() }),
            None,
        ),
    ] {
        let answer = create(&client, namespace, &secret(name, &more)).await;
        match refusal {
            None => assert_eq!(answer, Ok(()), "{namespace}/{name}"),
            Some(words) => {
                let said = answer.unwrap_err();
                assert!(
                    said.contains(POLICY) && said.contains(words),
                    "{name}: {said}"
                );
            }
        }
    }
    let created = create(
        &client,
        OPERATOR,
        &secret(key, &json!({ "metadata": ours() })),
    )
    .await;
    let exists = |said: &String| said.contains("already exists");
    assert!(created.as_ref().err().is_none_or(exists), "{created:?}");
}

#[tokio::test]
async fn what_others_made_is_neither_changed_nor_deleted() {
    let test = context("taken").await;
    let client = taken(&test).await;
    let people = Api::<Secret>::namespaced(test.client.clone(), &test.namespace);
    let owner = json!([{ "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
        "name": "bot", "uid": "6d6c6f6e-0000-4000-8000-000000000000", "controller": true }]);
    for (name, more, allowed) in [
        ("theirs", json!({}), false),
        ("labelled", json!({ "metadata": ours() }), true),
        // A person removed the labels of a target.
        (
            "unlabelled",
            json!({ "metadata": { "ownerReferences": owner, "finalizers": ["example.org/keep"] } }),
            true,
        ),
        (
            "jco-grant-b",
            json!({ "type": "jira-operator.dev/grant" }),
            true,
        ),
    ] {
        people
            .create(&PostParams::default(), &secret(name, &more))
            .await
            .unwrap();
        let taken = Api::<Secret>::namespaced(client.clone(), &test.namespace);
        let change = json!({ "metadata": ours(), "stringData": { "a": "b" } });
        let dry = PatchParams {
            dry_run: true,
            ..PatchParams::default()
        };
        let changed = taken.patch(name, &dry, &Patch::Merge(change)).await;
        let deleted = taken.delete(name, &DeleteParams::default().dry_run()).await;
        for said in [
            changed.err().map(|error| error.to_string()),
            deleted.err().map(|error| error.to_string()),
        ] {
            match (allowed, said) {
                (true, said) => assert_eq!(said, None, "{name}"),
                (false, said) => {
                    let said = said.unwrap();
                    assert!(
                        said.contains("only Secrets that it wrote"),
                        "{name}: {said}"
                    );
                }
            }
        }
    }
    let let_go = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    people
        .patch("unlabelled", &PatchParams::default(), &let_go)
        .await
        .unwrap();
}

/// A Secret of a person that takes keys: what the operator may do to it.
#[tokio::test]
async fn in_a_secret_that_has_opted_in_only_keys_of_its_own_change() {
    let test = context("taken").await;
    let client = taken(&test).await;
    let people = Api::<Secret>::namespaced(test.client.clone(), &test.namespace);
    let theirs = json!({
        "stringData": { "theirs": "x" },
        "metadata": { "annotations": { "jira-operator.dev/merge-from": "bot" } }
    });
    for (name, more) in [
        ("open", theirs.clone()),
        (
            "typed",
            json!({ "type": "example.org/app", "metadata": theirs["metadata"] }),
        ),
        ("closed", json!({})),
    ] {
        let made = secret(name, &more);
        people.create(&PostParams::default(), &made).await.unwrap();
    }
    let taken = Api::<Secret>::namespaced(client, &test.namespace);
    let apply = PatchParams::apply("jira-credential-operator/merge-bot");
    let ours = |value: &str| {
        Patch::Apply(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "open" },
            "data": { "ours": value }
        }))
    };
    // Its own key comes, changes and goes.
    taken.patch("open", &apply, &ours("YQ==")).await.unwrap();
    taken.patch("open", &apply, &ours("Yg==")).await.unwrap();
    let own = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "open" } });
    let kept = apply.clone().dry_run();
    taken
        .patch("open", &kept, &Patch::Apply(own))
        .await
        .unwrap();
    for (name, change) in [
        ("open", json!({ "data": { "theirs": "YQ==" } })),
        ("open", json!({ "data": { "theirs": null } })),
        (
            "open",
            json!({ "data": { "ours": "YQ==", "theirs": "YQ==" } }),
        ),
        ("open", json!({ "immutable": true })),
        (
            "open",
            json!({ "metadata": { "labels": { "example.org/team": "a" } } }),
        ),
        (
            "open",
            json!({ "metadata": { "annotations": { "jira-operator.dev/merge-from": "bot, x" } } }),
        ),
        (
            "open",
            json!({ "metadata": { "finalizers": ["example.org/a"] } }),
        ),
        ("typed", json!({ "data": { "a": "YQ==" } })),
        ("closed", json!({ "data": { "a": "YQ==" } })),
    ] {
        let params = PatchParams {
            dry_run: true,
            ..PatchParams::default()
        };
        let answer = taken.patch(name, &params, &Patch::Merge(&change)).await;
        let said = answer.map(|_| ()).unwrap_err().to_string();
        assert!(
            said.contains("only Secrets that it wrote"),
            "{name} {change}: {said}"
        );
    }
    takes_over_nothing(&taken).await;
    let deleted = taken
        .delete("open", &DeleteParams::default().dry_run())
        .await;
    let said = deleted.map(|_| ()).unwrap_err().to_string();
    assert!(said.contains("only Secrets that it wrote"), "{said}");
}

/// A key of others would be the operator's with one request, and might get another value with the next.
async fn takes_over_nothing(taken: &Api<Secret>) {
    let other = PatchParams::apply("jira-credential-operator/merge-x");
    for (params, key, value) in [
        (other.clone(), "theirs", "eA=="),
        (other.clone().force(), "theirs", "eA=="),
        (other.force(), "theirs", "YQ=="),
    ] {
        let apply = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "open" }, "data": { key: value }
        });
        let answer = taken.patch("open", &params, &Patch::Apply(apply)).await;
        let said = answer.map(|_| ()).err().map(|error| error.to_string());
        let refused = said
            .as_ref()
            .is_some_and(|said| said.contains("only Secrets that it wrote"));
        assert!(refused, "{key}={value} {params:?}: {said:?}");
    }
    let mut forged = taken.get("open").await.unwrap();
    let fields = json!([{
        "manager": "jira-credential-operator/merge-x", "operation": "Apply", "apiVersion": "v1",
        "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1",
        "fieldsV1": { "f:data": { ".": {}, "f:theirs": {} } }
    }]);
    forged.metadata.managed_fields = serde_json::from_value(fields).unwrap();
    let params = PostParams::default();
    let answer = taken.replace("open", &params, &forged).await;
    let said = answer.map(|_| ()).unwrap_err().to_string();
    assert!(
        said.contains("only Secrets that it wrote"),
        "forged: {said}"
    );
}

/// The other way round: neither labels nor types are taken away from what the operator wrote.
#[tokio::test]
async fn what_it_wrote_stays_recognisable() {
    let test = context("taken").await;
    let client = taken(&test).await;
    let taken = Api::<Secret>::namespaced(client, &test.namespace);
    let target = secret("target", &json!({ "metadata": ours() }));
    taken.create(&PostParams::default(), &target).await.unwrap();
    let strip = json!({ "metadata": { "labels": null } });
    let stripped = taken
        .patch("target", &PatchParams::default(), &Patch::Merge(strip))
        .await;
    let said = stripped.unwrap_err().to_string();
    assert!(said.contains("only Secrets that it wrote"), "{said}");
    taken
        .delete("target", &DeleteParams::default())
        .await
        .unwrap();
}

/// What the operator sees of the policy for people: in force, bound to something else, missing.
#[tokio::test]
async fn a_missing_policy_and_one_that_does_not_refuse_are_reported() {
    let test = context("policy").await;
    let operator = test
        .plane
        .service_account_client(OPERATOR, OPERATOR)
        .await
        .unwrap();
    let limit = std::time::Duration::from_secs(30);
    let seen = Cluster::new(operator, limit);
    let found = seen.admission_policy(OPERATOR).await.unwrap();
    assert_eq!(
        (found.state, found.checks_namespaces),
        (PolicyState::InForce, true)
    );
    // By another name it has no right to look.
    assert!(seen.admission_policy("another").await.is_err());
    let all = Cluster::new(test.client.clone(), limit);
    let missing = all.admission_policy("another").await.unwrap();
    assert_eq!(missing.state, PolicyState::NoPolicy);
    let policies = Api::<ValidatingAdmissionPolicy>::all(test.client.clone());
    let name = format!("{}-unbound", test.namespace);
    let mut unbound = policies.get(OPERATOR).await.unwrap();
    unbound.metadata = kube::api::ObjectMeta {
        name: Some(name.clone()),
        ..Default::default()
    };
    policies
        .create(&PostParams::default(), &unbound)
        .await
        .unwrap();
    let found = all.admission_policy(&name).await.unwrap();
    // Without its annotation it says nothing of namespaces.
    assert_eq!(
        (found.state, found.checks_namespaces),
        (PolicyState::NotBound, false)
    );
    policies
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
}

/// How the policy about workloads begins its refusals.
const RESTARTS: &str = "ValidatingAdmissionPolicy 'jira-credential-operator-restart-writes'";

/// A Deployment, a `StatefulSet` and a `DaemonSet` of the name `sync`.
async fn workloads(client: &Client, namespace: &str) {
    let params = PostParams::default();
    let deployment = serde_json::from_value(sync()).unwrap();
    Api::<Deployment>::namespaced(client.clone(), namespace)
        .create(&params, &deployment)
        .await
        .unwrap();
    let mut object = sync();
    object["spec"]["serviceName"] = json!("sync");
    object["spec"]["template"]["metadata"]["annotations"] = Value::Null;
    Api::<StatefulSet>::namespaced(client.clone(), namespace)
        .create(&params, &serde_json::from_value(object).unwrap())
        .await
        .unwrap();
    Api::<DaemonSet>::namespaced(client.clone(), namespace)
        .create(&params, &serde_json::from_value(sync()).unwrap())
        .await
        .unwrap();
}

fn sync() -> Value {
    let pods = json!({
        "selector": { "matchLabels": { "app": "sync" } },
        "template": {
            "metadata": { "labels": { "app": "sync" }, "annotations": { "note": "a" } },
            "spec": { "containers": [{ "name": "sync", "image": "sync:1" }] }
        }
    });
    json!({ "metadata": { "name": "sync" }, "spec": pods })
}

#[tokio::test]
async fn no_workload_is_restarted_in_the_namespaces_of_kubernetes_and_in_its_own() {
    let test = context("taken").await;
    let client = taken(&test).await;
    let deployment = serde_json::from_value(sync()).unwrap();
    for (namespace, words) in [
        ("kube-system", "in a namespace of Kubernetes itself"),
        (OPERATOR, "in its own namespace"),
    ] {
        let people = Api::<Deployment>::namespaced(test.client.clone(), namespace);
        let params = PostParams::default();
        people.create(&params, &deployment).await.unwrap();
        let taken = Api::<Deployment>::namespaced(client.clone(), namespace);
        let ours = json!({ "spec": { "template": { "metadata": {
            "annotations": { "restarted-for.jira-operator.dev/bot": "1" }
        } } } });
        eventually(async || {
            let patch = Patch::Merge(&ours);
            let params = PatchParams::default().dry_run();
            match taken.patch("sync", &params, &patch).await {
                Err(error) if error.to_string().contains(words) => Ok(()),
                other => Err(format!("{namespace}: {other:?}")),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_workload_is_restarted_and_not_changed() {
    let test = context("taken").await;
    let client = taken(&test).await;
    workloads(&test.client, &test.namespace).await;
    let taken = Api::<Deployment>::namespaced(client.clone(), &test.namespace);
    let template = |template: Value| json!({ "spec": { "template": template } });
    let annotated = |key: &str| template(json!({ "metadata": { "annotations": { key: "1" } } }));
    let ours = annotated("restarted-for.jira-operator.dev/bot");
    let container = json!([{ "name": "sync", "image": "stolen:1" }]);
    let refused = [
        ("another annotation", annotated("sidecar.istio.io/inject")),
        ("an annotation of others", annotated("note")),
        (
            "an annotation less",
            template(json!({ "metadata": { "annotations": { "note": null } } })),
        ),
        (
            "a label",
            template(json!({ "metadata": { "labels": { "b": "c" } } })),
        ),
        (
            "an image",
            template(json!({ "spec": { "containers": container } })),
        ),
        (
            "an account",
            template(json!({ "spec": { "serviceAccountName": "admin" } })),
        ),
        ("a number", json!({ "spec": { "replicas": 0 } })),
        ("a pause", json!({ "spec": { "paused": true } })),
        (
            "a label of its own",
            json!({ "metadata": { "labels": { "a": "b" } } }),
        ),
        (
            "an annotation of its own",
            json!({ "metadata": { "annotations": { "a": "b" } } }),
        ),
        (
            "a finalizer",
            json!({ "metadata": { "finalizers": ["example.org/keep"] } }),
        ),
    ];
    let dry = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    // Once the policy is in force.
    eventually(async || {
        let patch = Patch::Merge(&refused[0].1);
        match taken.patch("sync", &dry, &patch).await {
            Err(error) if error.to_string().contains(RESTARTS) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    for (name, patch) in &refused {
        let answer = taken.patch("sync", &dry, &Patch::Merge(patch)).await;
        let said = answer.expect_err(name).to_string();
        let words = "changes only the annotations";
        assert!(
            said.contains(RESTARTS) && said.contains(words),
            "{name}: {said}"
        );
    }
    taken
        .patch("sync", &dry, &Patch::Merge(&ours))
        .await
        .unwrap();
    Api::<DaemonSet>::namespaced(client.clone(), &test.namespace)
        .patch("sync", &dry, &Patch::Merge(&ours))
        .await
        .unwrap();
    Api::<StatefulSet>::namespaced(client, &test.namespace)
        .patch("sync", &dry, &Patch::Merge(&ours))
        .await
        .unwrap();
}

/// As overlays/shards grants it, but where the Leases of other programs are.
#[tokio::test]
async fn with_the_right_to_all_leases_only_those_of_operators_are_written() {
    let test = context("taken").await;
    let home = test.namespace.as_str();
    let (role, binding) = (
        json!({ "metadata": { "name": "leases" }, "rules": [{ "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"], "verbs": ["get", "list", "create", "update"] }] }),
        json!({ "metadata": { "name": "leases" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "leases" },
            "subjects": [{ "kind": "ServiceAccount", "name": OPERATOR, "namespace": OPERATOR }] }),
    );
    let params = PostParams::default();
    let (role, binding): (Role, RoleBinding) = (
        serde_json::from_value(role).unwrap(),
        serde_json::from_value(binding).unwrap(),
    );
    let roles = Api::<Role>::namespaced(test.client.clone(), home);
    roles.create(&params, &role).await.unwrap();
    let bindings = Api::<RoleBinding>::namespaced(test.client.clone(), home);
    bindings.create(&params, &binding).await.unwrap();
    let client = taken(&test).await;
    let leases = Api::<Lease>::namespaced(client, home);
    let lease = |name: &str| -> Lease {
        serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap()
    };
    let people = Api::<Lease>::namespaced(test.client.clone(), home);
    let theirs = people.create(&params, &lease("another")).await.unwrap();
    let refusal = "the operator writes only Leases";
    eventually(
        async || match leases.create(&params, &lease("jira-credential")).await {
            Err(error) if error.to_string().contains(refusal) => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
    .await;
    let overwritten = leases.replace("another", &params, &theirs).await;
    assert!(overwritten.unwrap_err().to_string().contains(refusal));
    for name in [OPERATOR, "jira-credential-operator-0123456789"] {
        let ours = leases.create(&params, &lease(name)).await.unwrap();
        leases.replace(name, &params, &ours).await.unwrap();
    }
}
