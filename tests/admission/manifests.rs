//! `deploy/` as a cluster takes it.

use jira_credential_operator::api::JiraCredential;
use k8s_openapi::api::{
    admissionregistration::v1::ValidatingAdmissionPolicy,
    apps::v1::Deployment,
    authorization::v1::SelfSubjectAccessReview,
    core::v1::{Event, Pod},
    policy::v1::PodDisruptionBudget,
    rbac::v1::ClusterRole,
};
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use serde_json::{Value, json};

use crate::support::{context, deployed, eventually};

const OPERATOR: &str = "jira-credential-operator";

#[tokio::test]
async fn applying_it_needs_no_explanation() {
    for (output, made) in deployed().await.iter().zip([
        "customresourcedefinition.apiextensions.k8s.io/",
        "deployment.apps/",
    ]) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.is_empty(), "{said}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains(made),
            "{output:?}"
        );
    }
}

#[tokio::test]
async fn the_operators_pod_passes_the_restricted_pod_security_of_its_namespace() {
    let client = context("pod").await.client;
    let pods = Api::<Pod>::namespaced(client.clone(), OPERATOR);
    let events = Api::<Event>::namespaced(client, OPERATOR);
    eventually(async || {
        let pods = pods.list(&ListParams::default()).await.unwrap();
        let refusals = events.list(&ListParams::default()).await.unwrap();
        let refusals = refusals
            .items
            .iter()
            .filter(|event| event.reason.as_deref() == Some("FailedCreate"));
        if pods.items.is_empty() {
            return Err(format!(
                "no pod: {:?}",
                refusals.map(|event| &event.message).collect::<Vec<_>>()
            ));
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn the_operator_may_do_its_work_and_nothing_else() {
    let test = context("rbac").await;
    let operator = test
        .plane
        .service_account_client(OPERATOR, OPERATOR)
        .await
        .unwrap();
    let reviews = Api::<SelfSubjectAccessReview>::all(operator);
    let may = async |verb: &str, resource: &str| {
        let (group, resource) = resource.split_once('/').unwrap();
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let review = serde_json::from_value(json!({
            "metadata": {},
            "spec": { "resourceAttributes": {
                "namespace": test.namespace, "verb": verb, "group": group,
                "resource": resource, "subresource": subresource
            } }
        }))
        .unwrap();
        let review = reviews
            .create(&PostParams::default(), &review)
            .await
            .unwrap();
        review.status.is_some_and(|status| status.allowed)
    };
    for (resource, allowed, refused) in [
        (
            "jira-operator.dev/jiracredentials",
            &["get", "list", "watch"][..],
            &["create", "update", "patch", "delete"][..],
        ),
        (
            "jira-operator.dev/jiracredentials/status",
            &["update"],
            &["patch", "get"],
        ),
        (
            "/secrets",
            &[
                "get", "list", "watch", "create", "update", "patch", "delete",
            ],
            &["deletecollection"],
        ),
        (
            "/configmaps",
            &["get"],
            &["list", "watch", "create", "update", "patch", "delete"],
        ),
        (
            "events.k8s.io/events",
            &["create"],
            &["list", "update", "delete"],
        ),
        ("/pods", &[], &["get", "list", "create"]),
        (
            "apps/deployments",
            &["get", "list", "patch"],
            &["watch", "create", "update", "delete"],
        ),
        ("apps/statefulsets", &["get", "list", "patch"], &["update"]),
        ("apps/daemonsets", &["get", "list", "patch"], &["update"]),
        ("apps/deployments/scale", &[], &["get", "patch"]),
        (
            "rbac.authorization.k8s.io/roles",
            &[],
            &["get", "create", "bind", "escalate"],
        ),
    ] {
        for verb in allowed {
            assert!(
                may(verb, resource).await,
                "the operator may not {verb} {resource}"
            );
        }
        for verb in refused {
            assert!(
                !may(verb, resource).await,
                "the operator may {verb} {resource}"
            );
        }
    }
}

#[tokio::test]
async fn the_expressions_of_the_policy_fit_the_types() {
    let client = context("types").await.client;
    let policies = Api::<ValidatingAdmissionPolicy>::all(client);
    for part in [
        "",
        "-restart",
        "-writes",
        "-restart-writes",
        "-lease-writes",
    ] {
        let name = format!("{OPERATOR}{part}");
        eventually(async || {
            let policy = policies.get(&name).await.unwrap();
            let status = policy.status.unwrap_or_default();
            let checked = status.type_checking.ok_or("not checked yet")?;
            let warnings = checked.expression_warnings.unwrap_or_default();
            assert!(warnings.is_empty(), "{name}: {warnings:#?}");
            Ok(())
        })
        .await;
    }
}

#[tokio::test]
async fn the_roles_that_people_have_learn_of_the_new_kind() {
    let client = context("roles").await.client;
    let api = Api::<ClusterRole>::all(client);
    for (role, expected) in [
        ("view", &["get", "list", "watch"][..]),
        (
            "edit",
            &[
                "get", "list", "watch", "create", "update", "patch", "delete",
            ],
        ),
        (
            "admin",
            &[
                "get", "list", "watch", "create", "update", "patch", "delete",
            ],
        ),
    ] {
        eventually(async || {
            let rules = api.get(role).await.unwrap().rules.unwrap_or_default();
            let held: Vec<&String> = rules
                .iter()
                .filter(|rule| {
                    rule.resources
                        .iter()
                        .flatten()
                        .any(|resource| resource == "jiracredentials")
                })
                .flat_map(|rule| &rule.verbs)
                .collect();
            let missing = expected
                .iter()
                .find(|verb| !held.iter().any(|held| held == *verb));
            assert!(role != "view" || held.iter().all(|verb| expected.contains(&verb.as_str())));
            missing.map_or(Ok(()), |verb| Err(format!("{role} may not {verb}")))
        })
        .await;
    }
}

#[tokio::test]
async fn the_examples_apply() {
    let test = context("examples").await;
    let mut names = Vec::new();
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/examples")).unwrap()
    {
        let mut kubectl = test.plane.kubectl();
        kubectl.args([
            "apply",
            "--validate=strict",
            "--namespace",
            &test.namespace,
            "-f",
        ]);
        let output = kubectl.arg(file.unwrap().path()).output().unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{output:?}"
        );
    }
    let created = Api::<JiraCredential>::namespaced(test.client, &test.namespace);
    for object in created.list(&ListParams::default()).await.unwrap() {
        names.extend(
            object
                .spec
                .auth
                .method()
                .map(|method| format!("{:?}", method.name())),
        );
    }
    names.sort();
    names.dedup();
    assert_eq!(
        names,
        [
            "ApiToken",
            "Basic",
            "ClientCredentials",
            "OAuth1",
            "OAuth2",
            "PersonalAccessToken",
            "Session"
        ]
    );
}

/// What an overlay renders, and what the API server says of it.
async fn overlay(name: &str) -> Vec<Value> {
    let plane = context("overlay").await.plane;
    let directory = format!("{}/overlays/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut check = plane.kubectl();
    check.args([
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
    ]);
    let checked = check.args(["--validate=strict", "-k", &directory]).output();
    let checked = checked.unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let mut render = plane.kubectl();
    let rendered = render.args(["kustomize", &directory]).output().unwrap();
    serde_saphyr::from_multiple(&String::from_utf8(rendered.stdout).unwrap()).unwrap()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    found.next().unwrap()
}

#[tokio::test]
async fn the_replicas_survive_a_drain_and_one_of_them_leads() {
    deployed().await;
    let client = context("replicas").await.client;
    let deployments = Api::<Deployment>::namespaced(client.clone(), OPERATOR);
    let deployment = json!(deployments.get(OPERATOR).await.unwrap());
    let spec = &deployment["spec"];
    assert_eq!(spec["replicas"], 2);
    assert_eq!(spec["strategy"]["type"], "RollingUpdate");
    let pod = &spec["template"];
    let args = &pod["spec"]["containers"][0]["args"];
    assert_eq!(args, &json!(["run", "--leader-elect"]));
    let budgets = Api::<PodDisruptionBudget>::namespaced(client, OPERATOR);
    let budget = json!(budgets.get(OPERATOR).await.unwrap());
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    let selectors = pod["spec"]["topologySpreadConstraints"].as_array().unwrap();
    let selectors = selectors.iter().map(|spread| &spread["labelSelector"]);
    for selector in selectors.chain([&budget["spec"]["selector"]]) {
        for (label, value) in selector["matchLabels"].as_object().unwrap() {
            assert_eq!(&pod["metadata"]["labels"][label], value);
        }
    }
}

#[tokio::test]
async fn the_network_policy_lets_through_what_the_operator_needs_and_nothing_else() {
    deployed().await;
    let objects = overlay("network-policy").await;
    let spec = &of_kind(&objects, "NetworkPolicy")["spec"];
    let ports = |direction: &str| {
        let rules = spec[direction].as_array().unwrap().iter();
        let ports = rules.flat_map(|rule| rule["ports"].as_array().unwrap());
        ports
            .map(|port| port["port"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(ports("ingress"), [8080, 8081]);
    assert_eq!(ports("egress"), [53, 53, 443, 6443]);
    let pod = &of_kind(&objects, "Deployment")["spec"]["template"];
    for (label, value) in spec["podSelector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(&pod["metadata"]["labels"][label], value);
    }
    let declared = pod["spec"]["containers"][0]["ports"].as_array().unwrap();
    let declared: Vec<_> = declared
        .iter()
        .map(|port| port["containerPort"].as_u64().unwrap())
        .collect();
    assert_eq!(declared, ports("ingress"));
}

#[tokio::test]
async fn the_operators_of_two_shards_have_selectors_that_leave_nothing_out() {
    deployed().await;
    let objects = overlay("shards").await;
    let deployments = objects.iter().filter(|it| it["kind"] == "Deployment");
    let told: Vec<_> = deployments
        .map(|deployment| {
            let pod = &deployment["spec"]["template"];
            let variables = pod["spec"]["containers"][0]["env"].as_array().unwrap();
            let mut selectors = variables
                .iter()
                .filter(|it| it["name"] == "JCO_SHARD_SELECTOR");
            let selector = selectors.next().unwrap()["value"].as_str().unwrap();
            assert!(selectors.next().is_none());
            let selected = deployment["spec"]["selector"]["matchLabels"].as_object();
            for (label, value) in selected.unwrap() {
                assert_eq!(&pod["metadata"]["labels"][label], value);
            }
            (deployment["metadata"]["name"].as_str().unwrap(), selector)
        })
        .collect();
    let expected = [
        ("jira-credential-operator", "jira-operator.dev/shard!=b"),
        ("jira-credential-operator-b", "jira-operator.dev/shard=b"),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn the_pod_has_no_user_id_of_its_own_where_the_platform_assigns_one() {
    deployed().await;
    let objects = overlay("openshift").await;
    let pod = &of_kind(&objects, "Deployment")["spec"]["template"]["spec"];
    let context = &pod["securityContext"];
    assert_eq!(context["runAsNonRoot"], true);
    assert!(context["runAsUser"].is_null() && context["runAsGroup"].is_null());
    assert_eq!(
        pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"],
        true
    );
}
