//! The chart, as Helm renders it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use control_plane::tools;
use serde_json::{Value, json};

use crate::support::{OPERATOR, Objects, built, kustomized, objects, printed, read, run};

pub(crate) const CHART: &str = "deploy/chart";

/// Files that the chart shares with the manifests.
const SHARED: [(&str, &str); 10] = [
    ("crds/jiracredentials.yaml", "jiracredentials.yaml"),
    ("deploy/rbac.yaml", "rbac.yaml"),
    (
        "overlays/listed-namespaces/namespace/roles.yaml",
        "namespace-roles.yaml",
    ),
    (
        "overlays/listed-namespaces/own-secrets.yaml",
        "own-secrets.yaml",
    ),
    ("overlays/shards/leases.yaml", "shard-leases.yaml"),
    ("deploy/user-roles.yaml", "user-roles.yaml"),
    ("deploy/admission-policy.yaml", "admission-policy.yaml"),
    ("deploy/operator-policy.yaml", "operator-policy.yaml"),
    ("deploy/monitoring/rules.yaml", "rules.yaml"),
    ("deploy/monitoring/dashboard.json", "dashboard.json"),
];

pub(crate) struct Helm(PathBuf);

impl Helm {
    pub(crate) fn new() -> Option<Self> {
        built("Helm", tools::helm()).map(Self)
    }

    /// What is rendered with these values, as `--set-json` takes them.
    pub(crate) fn template(&self, values: &[&str]) -> Result<Objects, String> {
        self.template_in(OPERATOR, values)
    }

    pub(crate) fn template_in(&self, namespace: &str, values: &[&str]) -> Result<Objects, String> {
        Ok(objects(&self.text(namespace, values)?))
    }

    pub(crate) fn text(&self, namespace: &str, values: &[&str]) -> Result<String, String> {
        let mut arguments = vec!["template", "release", CHART, "--namespace", namespace];
        for value in values {
            arguments.extend(["--set-json", value]);
        }
        let output = run(&self.0, &arguments);
        if output.status.success() {
            Ok(printed(&output))
        } else {
            Err(String::from_utf8(output.stderr).unwrap())
        }
    }
}

pub(crate) fn get<'a>(objects: &'a Objects, kind: &str, name: &str) -> &'a Value {
    objects.get(&(kind.into(), name.into())).unwrap()
}

pub(crate) fn deployment(objects: &Objects) -> &Value {
    get(objects, "Deployment", OPERATOR)
}

pub(crate) fn pod(objects: &Objects) -> &Value {
    &deployment(objects)["spec"]["template"]["spec"]
}

pub(crate) fn has(objects: &Objects, kind: &str) -> bool {
    objects.keys().any(|(found, _)| found == kind)
}

/// Without what Helm adds to every object.
pub(crate) fn without_marks_of_helm<K: Ord>(mut objects: BTreeMap<K, Value>) -> BTreeMap<K, Value> {
    for object in objects.values_mut() {
        let metadata = &mut object["metadata"];
        if let Some(labels) = metadata["labels"].as_object_mut() {
            for label in [
                "app.kubernetes.io/instance",
                "app.kubernetes.io/managed-by",
                "app.kubernetes.io/version",
                "helm.sh/chart",
            ] {
                assert!(labels.remove(label).is_some(), "{label}");
            }
        }
    }
    objects
}

#[test]
fn it_shares_files_with_the_manifests() {
    for (source, copy) in SHARED {
        assert!(
            read(source) == read(&format!("{CHART}/files/{copy}")),
            "{copy} is not {source}: run `cargo xtask generate`"
        );
    }
}

#[test]
fn its_defaults_are_the_manifests() {
    let Some(helm) = Helm::new() else { return };
    let mut rendered = without_marks_of_helm(helm.template(&[]).unwrap());
    // The definition is no part of the kustomization, and stays when a release is uninstalled.
    let name = "jiracredentials.jira-operator.dev".to_owned();
    let mut definition = rendered
        .remove(&("CustomResourceDefinition".into(), name))
        .unwrap();
    let metadata = definition["metadata"].as_object_mut().unwrap();
    metadata.remove("labels");
    let kept = metadata.remove("annotations").unwrap();
    assert_eq!(kept, json!({"helm.sh/resource-policy": "keep"}));
    let printed = objects(&read("crds/jiracredentials.yaml"));
    assert!(printed.values().eq([&definition]));
    // Helm makes the namespace itself.
    let mut manifests = objects(&kustomized("deploy"));
    assert!(
        manifests
            .remove(&("Namespace".into(), OPERATOR.into()))
            .is_some()
    );
    let names = |objects: &Objects| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&rendered), names(&manifests));
    for (key, manifest) in &mut manifests {
        // Kustomize does not know that policies have no namespace; the API server ignores it.
        if key.0.starts_with("ValidatingAdmissionPolicy") {
            manifest["metadata"]
                .as_object_mut()
                .unwrap()
                .remove("namespace");
        }
        pretty_equal(&rendered[key], manifest, &format!("{key:?}"));
    }
}

/// Fails at the deepest place where two objects differ.
pub(crate) fn pretty_equal(rendered: &Value, manifest: &Value, place: &str) {
    match (rendered, manifest) {
        (Value::Object(left), Value::Object(right)) => {
            for key in left.keys().chain(right.keys()) {
                pretty_equal(&rendered[key], &manifest[key], &format!("{place}.{key}"));
            }
        }
        (left, right) => assert_eq!(left, right, "{place}: chart, then kustomize"),
    }
}

#[test]
fn helm_finds_no_fault() {
    let Some(helm) = Helm::new() else { return };
    let strict = run(&helm.0, &["lint", "--strict", CHART]);
    assert!(strict.status.success(), "{strict:?}");
}

#[test]
fn its_version_is_that_of_the_program() {
    let chart = &crate::support::documents(&read("deploy/chart/Chart.yaml"))[0];
    for field in ["version", "appVersion"] {
        assert_eq!(chart[field], env!("CARGO_PKG_VERSION"), "{field}");
    }
}

#[test]
fn another_namespace_and_account_reach_every_place() {
    let Some(helm) = Helm::new() else { return };
    let all = helm
        .template_in("jira", &[r#"serviceAccount.name="keeper""#])
        .unwrap();
    for (key, object) in &all {
        let cluster_wide = ![
            "ServiceAccount",
            "Deployment",
            "Service",
            "Role",
            "RoleBinding",
            "PodDisruptionBudget",
        ]
        .contains(&key.0.as_str());
        let namespace = &object["metadata"]["namespace"];
        assert_eq!(namespace.is_null(), cluster_wide, "{key:?}");
        assert!(cluster_wide || namespace == "jira", "{key:?}");
    }
    get(&all, "ServiceAccount", "keeper");
    assert_eq!(pod(&all)["serviceAccountName"], "keeper");
    let binding = get(&all, "ClusterRoleBinding", OPERATOR);
    assert_eq!(
        binding["subjects"],
        json!([{"kind": "ServiceAccount", "name": "keeper", "namespace": "jira"}])
    );
    let policy = get(
        &all,
        "ValidatingAdmissionPolicy",
        "jira-credential-operator-writes",
    );
    let policy = policy.to_string();
    assert!(policy.contains("== 'system:serviceaccount:jira:keeper'"));
    assert!(policy.contains("request.namespace != 'jira' "));
    assert!(!policy.contains(":jira-credential-operator:"));
    let name = "jira-credential-operator-restart-writes";
    let policy = get(&all, "ValidatingAdmissionPolicy", name).to_string();
    assert!(policy.contains("== 'system:serviceaccount:jira:keeper'"));
    assert!(policy.contains("request.namespace != 'jira'"));
    let name = "jira-credential-operator-lease-writes";
    let policy = get(&all, "ValidatingAdmissionPolicy", name).to_string();
    assert!(policy.contains("== 'system:serviceaccount:jira:keeper'"));
}

#[test]
fn the_lease_may_be_in_another_namespace() {
    let Some(helm) = Helm::new() else { return };
    let all = helm
        .template(&[r#"config.leaderElectionNamespace="leases""#])
        .unwrap();
    for kind in ["Role", "RoleBinding"] {
        assert_eq!(
            get(&all, kind, OPERATOR)["metadata"]["namespace"],
            "leases",
            "{kind}"
        );
    }
    let binding = get(&all, "RoleBinding", OPERATOR);
    assert_eq!(binding["subjects"][0]["namespace"], OPERATOR);
    assert_eq!(
        deployment(&all)["metadata"]["namespace"],
        json!(OPERATOR),
        "only the Lease moves"
    );
}

#[test]
fn an_image_is_named_by_tag_or_digest() {
    let Some(helm) = Helm::new() else { return };
    let digest = format!("sha256:{}", "0a".repeat(32));
    let by_digest = format!(r#"image={{"repository": "r.example/jco", "digest": "{digest}"}}"#);
    for (values, image) in [
        (vec![r#"image.tag="1.2""#], format!("{OPERATOR}:1.2")),
        (vec![&*by_digest], format!("r.example/jco@{digest}")),
    ] {
        let all = helm.template(&values).unwrap();
        assert_eq!(pod(&all)["containers"][0]["image"], json!(image));
    }
}

#[test]
fn the_credentials_of_a_proxy_are_mounted_from_their_secret() {
    let Some(helm) = Helm::new() else { return };
    let all = helm
        .template(&[
            r#"config.httpsProxy="http://proxy.example:3128""#,
            r#"httpsProxyCredentialsSecret={"name": "proxy", "key": "line"}"#,
            r#"extraVolumes=[{"name": "ca", "configMap": {"name": "ca"}}]"#,
            r#"extraVolumeMounts=[{"name": "ca", "mountPath": "/ca"}]"#,
        ])
        .unwrap();
    let pod = pod(&all);
    let container = &pod["containers"][0];
    let variables = container["env"].as_array().unwrap();
    let file = variables
        .iter()
        .find(|variable| variable["name"] == "JCO_HTTPS_PROXY_CREDENTIALS_FILE");
    let mount = &container["volumeMounts"][0];
    let path = format!("{}/credentials", mount["mountPath"].as_str().unwrap());
    assert_eq!(file.unwrap()["value"], json!(path));
    assert_eq!(mount["name"], pod["volumes"][0]["name"]);
    let source = json!({
        "secretName": "proxy",
        "items": [{"key": "line", "path": "credentials"}],
    });
    assert_eq!(pod["volumes"][0]["secret"], source);
    assert_eq!(container["volumeMounts"][1]["mountPath"], json!("/ca"));
    assert_eq!(pod["volumes"][1]["configMap"]["name"], json!("ca"));
}

#[test]
fn the_receivers_of_notifications_are_mounted_from_their_secret() {
    let Some(helm) = Helm::new() else { return };
    let all = helm
        .template(&[
            r#"notifyConfigSecret={"name": "receivers", "key": "all.yaml"}"#,
            r#"extraVolumes=[{"name": "ca", "configMap": {"name": "ca"}}]"#,
            r#"extraVolumeMounts=[{"name": "ca", "mountPath": "/ca"}]"#,
        ])
        .unwrap();
    let pod = pod(&all);
    let container = &pod["containers"][0];
    let variables = container["env"].as_array().unwrap();
    let file = variables
        .iter()
        .find(|variable| variable["name"] == "JCO_NOTIFY_CONFIG");
    let mount = &container["volumeMounts"][0];
    let path = format!("{}/all.yaml", mount["mountPath"].as_str().unwrap());
    assert_eq!(file.unwrap()["value"], json!(path));
    assert_eq!(mount["name"], pod["volumes"][0]["name"]);
    // Whole, since the file names others beside it.
    let source = json!({"secretName": "receivers"});
    assert_eq!(pod["volumes"][0]["secret"], source);
    assert_eq!(container["volumeMounts"][1]["mountPath"], json!("/ca"));
    assert_eq!(pod["volumes"][1]["configMap"]["name"], json!("ca"));
}

#[test]
fn what_a_pod_can_have_reaches_it() {
    let Some(helm) = Helm::new() else { return };
    let tolerations = r#"tolerations=[{"key": "infra", "operator": "Exists"}]"#;
    let spread = r#"topologySpreadConstraints=[{"maxSkew": 1}]"#;
    let environment = r#"extraEnv=[{"name": "SSL_CERT_FILE", "value": "/ca"}]"#;
    let volumes = r#"extraVolumes=[{"name": "ca", "configMap": {"name": "ca"}}]"#;
    let mounts = r#"extraVolumeMounts=[{"name": "ca", "mountPath": "/ca"}]"#;
    let all = helm
        .template(&[
            tolerations,
            spread,
            environment,
            volumes,
            mounts,
            r#"nodeSelector={"pool": "infra"}"#,
            r#"affinity={"nodeAffinity": {}}"#,
            r#"extraArgs=["--log-level=debug"]"#,
            r#"imagePullSecrets=[{"name": "registry"}]"#,
            r#"priorityClassName="high""#,
            r#"podLabels={"team": "a"}"#,
            r#"podAnnotations={"sidecar": "no"}"#,
            r#"commonLabels={"owner": "platform"}"#,
        ])
        .unwrap();
    let pod = pod(&all);
    let container = &pod["containers"][0];
    for (found, wanted) in [
        (&pod["tolerations"][0]["key"], json!("infra")),
        (&pod["topologySpreadConstraints"][0]["maxSkew"], json!(1)),
        (&pod["nodeSelector"]["pool"], json!("infra")),
        (&pod["affinity"], json!({"nodeAffinity": {}})),
        (&pod["imagePullSecrets"][0]["name"], json!("registry")),
        (&pod["priorityClassName"], json!("high")),
        (&pod["volumes"][0]["configMap"]["name"], json!("ca")),
        (&container["volumeMounts"][0]["mountPath"], json!("/ca")),
        (
            &container["args"],
            json!(["run", "--leader-elect", "--log-level=debug"]),
        ),
        (&container["env"][2]["name"], json!("SSL_CERT_FILE")),
    ] {
        assert_eq!(*found, wanted);
    }
    let template = &deployment(&all)["spec"]["template"]["metadata"];
    assert_eq!(template["labels"]["team"], "a");
    assert_eq!(template["annotations"]["sidecar"], "no");
    for object in all.values() {
        assert_eq!(object["metadata"]["labels"]["owner"], "platform");
    }
}

#[test]
fn a_platform_may_assign_the_user() {
    let Some(helm) = Helm::new() else { return };
    let all = helm.template(&["fixedUser=false"]).unwrap();
    let context = &pod(&all)["securityContext"];
    assert_eq!(
        *context,
        json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}})
    );
}

#[test]
fn what_is_optional_is_there_when_asked_for() {
    let Some(helm) = Helm::new() else { return };
    let all = helm
        .template(&[
            r#"networkPolicy={"enabled": true, "egressPorts": [6443, 8443]}"#,
            r#"serviceMonitor={"enabled": true, "interval": "30s", "labels": {"release": "p"}}"#,
            r#"config.metricsBindAddress=":9090""#,
        ])
        .unwrap();
    let budget = &get(&all, "PodDisruptionBudget", OPERATOR)["spec"];
    assert_eq!(budget["maxUnavailable"], 1);
    let policy = &get(&all, "NetworkPolicy", OPERATOR)["spec"];
    assert_eq!(
        policy["egress"][1]["ports"],
        json!([{"port": 6443, "protocol": "TCP"}, {"port": 8443, "protocol": "TCP"}])
    );
    let monitor = get(&all, "ServiceMonitor", OPERATOR);
    assert_eq!(monitor["metadata"]["labels"]["release"], "p");
    let endpoint = &monitor["spec"]["endpoints"][0];
    assert_eq!(endpoint["interval"], "30s");
    // Otherwise the namespace of a credential would be called `exported_namespace`.
    assert_eq!(endpoint["honorLabels"], true);
    // Whatever selects the pod selects it by its labels.
    let labels = &deployment(&all)["spec"]["template"]["metadata"]["labels"];
    let selector = deployment(&all)["spec"]["selector"]["matchLabels"].clone();
    assert_eq!(*labels, selector);
    assert_eq!(budget["selector"]["matchLabels"], selector);
    assert_eq!(policy["podSelector"]["matchLabels"], selector);
    let service = get(&all, "Service", "jira-credential-operator-metrics");
    assert_eq!(service["spec"]["selector"], selector);
    let container = &pod(&all)["containers"][0];
    assert_eq!(container["ports"][0]["containerPort"], 9090);
    assert_eq!(service["spec"]["ports"][0]["port"], 9090);
}

#[test]
fn the_network_policy_lets_the_operator_reach_its_proxy() {
    let Some(helm) = Helm::new() else { return };
    for (proxy, port) in [
        ("http://proxy.example:3128", 3128),
        ("http://[fd00::1]:3128/", 3128),
        ("https://proxy.example", 443),
        ("http://proxy.example/", 80),
        ("http://[fd00::1]", 80),
    ] {
        let proxy = format!("config.httpsProxy={proxy:?}");
        let all = helm
            .template(&[&proxy, "networkPolicy.enabled=true"])
            .unwrap();
        let egress = get(&all, "NetworkPolicy", OPERATOR)["spec"]["egress"].clone();
        let wanted = json!({"ports": [{"port": port, "protocol": "TCP"}]});
        assert_eq!(egress[2], wanted, "{proxy}");
        assert_eq!(egress.as_array().unwrap().len(), 3, "{proxy}");
    }
}

#[test]
fn the_dashboard_is_installed_as_it_is() {
    let Some(helm) = Helm::new() else { return };
    let all = helm.template(&[r#"dashboard={"enabled": true}"#]).unwrap();
    let map = get(&all, "ConfigMap", "jira-credential-operator-dashboard");
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    let text = map["data"]["jira-credential-operator.json"].as_str();
    assert!(text == Some(&read("deploy/monitoring/dashboard.json")));
}

#[test]
fn alerts_can_be_left_out_and_link_to_a_runbook_elsewhere() {
    let Some(helm) = Helm::new() else { return };
    let settings = r#"prometheusRule={"enabled": true, "labels": {"release": "p"},
        "runbookUrl": "https://docs.example/runbook", "disabledAlerts": ["JiraCredentialProbeLatency"]}"#;
    let all = helm.template(&[&settings.replace('\n', " ")]).unwrap();
    let rule = get(&all, "PrometheusRule", OPERATOR);
    assert_eq!(rule["metadata"]["labels"]["release"], "p");
    let groups = |object: &Value| object["spec"]["groups"].as_array().unwrap().clone();
    let rules = |object: &Value| -> Vec<Value> {
        let lists = groups(object).into_iter();
        lists
            .flat_map(|group| group["rules"].as_array().unwrap().clone())
            .collect()
    };
    let mut wanted = rules(&crate::support::documents(&read("deploy/monitoring/rules.yaml"))[0]);
    wanted.retain(|alert| alert["alert"] != "JiraCredentialProbeLatency");
    for alert in &mut wanted {
        let link = &mut alert["annotations"]["runbook_url"];
        let anchor = link.as_str().unwrap().split_once('#').unwrap().1.to_owned();
        *link = json!(format!("https://docs.example/runbook#{anchor}"));
    }
    assert_eq!(rules(rule), wanted);
}
