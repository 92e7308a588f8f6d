//! The chart on a real API server, with the operator at work, as `docs/helm.md` has it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use control_plane::tools;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, PostParams};
use serde_json::{Value, json};

use crate::external_secrets::install;
use crate::support::{OPERATOR, World, kubectl};

/// Helm, for one control plane.
struct Helm<'a> {
    program: PathBuf,
    world: &'a World,
    home: tempfile::TempDir,
}

impl<'a> Helm<'a> {
    /// `None`, with a line that says so, where Go modules cannot be downloaded.
    async fn new(world: &'a World) -> Option<Self> {
        let built = tokio::task::spawn_blocking(tools::helm).await.unwrap();
        if built
            .as_ref()
            .is_err_and(control_plane::Error::is_without_modules)
        {
            let line = "skipped: Helm cannot be built without its Go modules";
            let _ = writeln!(std::io::stderr(), "{line}");
            return None;
        }
        Some(Self {
            program: built.unwrap(),
            world,
            home: tempfile::tempdir().unwrap(),
        })
    }

    async fn run(&self, line: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        command
            .args(line)
            .args(["--namespace", OPERATOR, "--kubeconfig"])
            .arg(self.world.plane.admin_kubeconfig())
            .env("HELM_CACHE_HOME", self.home.path())
            .env("HELM_CONFIG_HOME", self.home.path())
            .env("HELM_DATA_HOME", self.home.path())
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    async fn does(&self, line: &[&str]) {
        let output = self.run(line).await;
        assert!(output.status.success(), "{line:?}: {output:?}");
    }
}

/// What pods mount, with the uid: a Secret that was created again is another one.
async fn published(world: &World) -> Vec<(String, Option<String>)> {
    let all: Vec<Secret> = world
        .secrets()
        .list(&ListParams::default())
        .await
        .unwrap()
        .items;
    all.iter()
        .map(|secret| (secret.name_any(), secret.uid()))
        .collect()
}

/// The value of a variable of the operator, as the Deployment has it.
async fn variable(world: &World, name: &str) -> Option<String> {
    let deployments = Api::<Deployment>::namespaced(world.client.clone(), OPERATOR);
    let deployment = deployments.get(OPERATOR).await.unwrap();
    let pod = deployment.spec.unwrap().template.spec.unwrap();
    let variables = pod.containers.into_iter().next().unwrap().env.unwrap();
    let found = variables.into_iter().find(|one| one.name == name);
    found.and_then(|found| found.value)
}

/// The chart as it was before it had one of its values.
fn earlier_chart() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/chart");
    let copied = Command::new("cp")
        .arg("-R")
        .args([&chart, &folder.path().join("chart")])
        .status();
    assert!(copied.unwrap().success());
    let name = folder.path().join("chart").to_str().unwrap().to_owned();
    let path = format!("{name}/values.schema.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut schema: serde_json::Value = serde_json::from_str(&text).unwrap();
    let values = schema["properties"].as_object_mut().unwrap();
    assert!(values.remove("priorityClassName").is_some());
    std::fs::write(&path, schema.to_string()).unwrap();
    let path = format!("{name}/values.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("priorityClassName"));
    std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
    (folder, name)
}

/// The definition before days were dates, keys had defaults and workloads were restarted.
const EARLIER_CRD: &str = include_str!("earlier/jiracredentials.yaml");

/// The chart as it was with that definition, and without the policy about workloads.
fn chart_of_the_earlier_definition() -> (tempfile::TempDir, String) {
    let (folder, chart) = earlier_chart();
    std::fs::write(format!("{chart}/files/jiracredentials.yaml"), EARLIER_CRD).unwrap();
    let path = format!("{chart}/files/admission-policy.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let documents: Vec<&str> = text.split("\n---\n").collect();
    let kept: Vec<&str> = documents
        .iter()
        .copied()
        .filter(|document| !document.contains("name: jira-credential-operator-restart"))
        .collect();
    assert!(kept.len() < documents.len(), "nothing to leave out");
    std::fs::write(&path, kept.join("\n---\n")).unwrap();
    (folder, chart)
}

/// The specs as the API server serves them, by name.
async fn specs(world: &World) -> BTreeMap<String, Value> {
    let line = format!("get jiracredentials -n {} -o json", world.namespace);
    let list: Value = serde_json::from_str(&kubectl(world.plane, &line).await).unwrap();
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| {
            let name = item["metadata"]["name"].as_str().unwrap();
            (name.to_owned(), item["spec"].clone())
        })
        .collect()
}

/// Whether the definition is one with `spec.restart`.
async fn knows_restarts(world: &World) -> bool {
    let line = "get customresourcedefinitions jiracredentials.jira-operator.dev -o json";
    let definition: Value = serde_json::from_str(&kubectl(world.plane, line).await).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["properties"]["spec"]["properties"]["restart"].is_object()
}

/// Every field of before is there with its value; defaults may have come.
fn keep_everything(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) {
    assert!(!before.is_empty());
    for (name, spec) in before {
        let mut merged = after[name].clone();
        json_patch::merge(&mut merged, spec);
        assert_eq!(merged, after[name], "{name}");
    }
}

const UPGRADE: [&str; 5] = [
    "upgrade",
    "jira",
    "deploy/chart",
    "--set-json",
    r#"config.allowedHosts=["jira.corp.example","*.dc.example"]"#,
];

#[tokio::test(flavor = "multi_thread")]
async fn credentials_outlive_install_upgrade_rollback_and_uninstall() {
    let world = World::bare().await;
    let Some(helm) = Helm::new(&world).await else {
        return;
    };
    let install = ["install", "jira", "deploy/chart", "--create-namespace"];
    helm.does(&install).await;
    let operator = world.operator().await;
    world.oauth("bot").await;
    world.api_token("static").await;
    world.wait_ready("bot").await;
    world.wait_ready("static").await;
    operator.quiet().await;
    operator.stop().await;
    let before = published(&world).await;
    let (calls, spends) = (world.calls(), world.outcomes().len());

    helm.does(&UPGRADE).await;
    let hosts = variable(&world, "JCO_ALLOWED_HOSTS").await;
    assert_eq!(hosts.as_deref(), Some("jira.corp.example,*.dc.example"));
    helm.does(&["rollback", "jira", "1"]).await;
    assert_eq!(variable(&world, "JCO_ALLOWED_HOSTS").await, None);
    let format = variable(&world, "JCO_LOG_FORMAT").await;
    assert_eq!(format.as_deref(), Some("json"));

    // An earlier chart, without its definition.
    helm.does(&UPGRADE).await;
    let (folder, earlier) = earlier_chart();
    let without = ["upgrade", "jira", &earlier, "--set", "crds.install=false"];
    let refused = helm
        .run(&[&without[..], &["--reuse-values"]].concat())
        .await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("'priorityClassName' not allowed"), "{said}");
    helm.does(&[&without[..], &["--reset-then-reuse-values"]].concat())
        .await;
    drop(folder);
    let hosts = variable(&world, "JCO_ALLOWED_HOSTS").await;
    assert_eq!(hosts.as_deref(), Some("jira.corp.example,*.dc.example"));
    world.credential("bot").await;

    helm.does(&["uninstall", "jira", "--wait"]).await;
    let all = "get clusterroles,clusterrolebindings,validatingadmissionpolicies,\
               validatingadmissionpolicybindings -o name";
    let left = kubectl(world.plane, all).await;
    assert!(!left.contains("jira"), "{left}");
    let kept = kubectl(world.plane, "get customresourcedefinitions -o name").await;
    assert!(kept.contains("jiracredentials.jira-operator.dev"), "{kept}");
    world.credential("bot").await;
    assert_eq!(published(&world).await, before);

    // The definition that was kept is no obstacle, and nothing is asked or spent again.
    helm.does(&install).await;
    let operator = world.operator().await;
    operator.look_again(2).await;
    operator.quiet().await;
    assert_eq!((world.calls(), world.outcomes().len()), (calls, spends));
    assert_eq!(published(&world).await, before);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kubectl_has_installed_is_taken_over() {
    let world = World::bare().await;
    let Some(helm) = Helm::new(&world).await else {
        return;
    };
    kubectl(world.plane, "apply -f crds/").await;
    kubectl(world.plane, "apply -k deploy").await;
    let install = ["install", OPERATOR, "deploy/chart"];
    let refused = helm.run(&install).await;
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("invalid ownership metadata"), "{said}");
    helm.does(&["install", OPERATOR, "deploy/chart", "--take-ownership"])
        .await;
    let operator = world.operator().await;
    world.api_token("bot").await;
    world.wait_ready("bot").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_release_is_upgraded_and_rolled_back_and_loses_nothing() {
    let world = World::bare().await;
    let Some(helm) = Helm::new(&world).await else {
        return;
    };
    let (_folder, earlier) = chart_of_the_earlier_definition();
    helm.does(&["install", "jira", &earlier, "--create-namespace"])
        .await;
    let operator = world.operator().await;
    let (_, consent) = world.oauth("bot").await;
    world.api_token("static").await;
    // Refused today.
    let mut short = world.api_token_spec("static");
    short["validation"] = json!({"interval": "5s"});
    short["targets"] = json!([{"name": "short"}]);
    world.create("short", short).await;
    for name in ["bot", "static"] {
        world.wait_ready(name).await;
    }
    operator.quiet().await;
    operator.stop().await;
    assert!(!knows_restarts(&world).await);
    let (specs_before, before) = (specs(&world).await, published(&world).await);
    let spends = world.outcomes().len();

    // As the document has it: the policies of the new chart first.
    let policies = "apply -f deploy/chart/files/admission-policy.yaml";
    kubectl(world.plane, policies).await;
    let refused = helm.run(&UPGRADE).await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("invalid ownership metadata"), "{said}");
    helm.does(&[&UPGRADE[..], &["--take-ownership"]].concat())
        .await;
    assert!(knows_restarts(&world).await);
    keep_everything(&specs_before, &specs(&world).await);
    let operator = world.operator().await;
    let mut day = world.api_token_spec("static");
    day["auth"]["apiToken"]["expiresAt"] = json!("2030-03-01");
    day["targets"] = json!([{"name": "day"}]);
    let day = json!({"metadata": {"name": "day"}, "spec": day,
        "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential"});
    let day = serde_json::from_value(day).unwrap();
    world
        .until("the present definition is in use", || async {
            let (credentials, params) = (world.credentials(), PostParams::default());
            credentials.create(&params, &day).await.ok()
        })
        .await;
    for name in ["bot", "static", "day"] {
        world.wait_ready(name).await;
    }
    operator.quiet().await;
    operator.stop().await;
    let after = published(&world).await;
    assert!(before.iter().all(|secret| after.contains(secret)));
    assert_eq!(world.outcomes().len(), spends);

    let specs_before = specs(&world).await;
    helm.does(&["rollback", "jira", "1"]).await;
    assert!(!knows_restarts(&world).await);
    keep_everything(&specs_before, &specs(&world).await);
    assert_eq!(published(&world).await, after);
    let operator = world.operator().await;
    world.renewal_falls_due(&operator).await;
    world.wait_ready("bot").await;
    assert!(consent.holds_newest(&world.kept("bot").await));
    assert_eq!(world.outcomes().len(), spends + 1);
    operator.stop().await;
}

/// Everything that is off by default, with all that can be said of it.
const ENABLED: [&str; 10] = [
    r#"config.watchNamespaces=["system"]"#,
    r#"serviceMonitor={"enabled": true, "labels": {"release": "p"}, "interval": "30s", "scrapeTimeout": "10s",
        "relabelings": [{"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"}],
        "metricRelabelings": [{"action": "labeldrop", "regex": "pod"}]}"#,
    r#"prometheusRule={"enabled": true, "labels": {"release": "p"}}"#,
    r#"dashboard={"enabled": true, "annotations": {"grafana_folder": "Jira"}}"#,
    r#"networkPolicy={"enabled": true, "metricsFrom": [{"namespaceSelector": {}}],
        "extraEgress": [{"ports": [{"port": 3128, "protocol": "TCP"}]}]}"#,
    r#"shards=[{"name": "b", "selector": "jira-operator.dev/shard=b"}]"#,
    r#"config.shardSelector="jira-operator.dev/shard!=b""#,
    r#"notifyConfigSecret={"name": "notify"}"#,
    r#"httpsProxyCredentialsSecret={"name": "proxy"}"#,
    r#"config.httpsProxy="http://proxy.corp.example:3128""#,
];

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_takes_everything_that_can_be_enabled() {
    let world = World::bare().await;
    let Some(helm) = Helm::new(&world).await else {
        return;
    };
    if !install(&world, "monitoring.coreos.com").await {
        return;
    }
    kubectl(world.plane, "create namespace system").await;
    let settings = ENABLED.map(|one| one.replace('\n', " "));
    let settings = settings.iter().flat_map(|one| ["--set-json", one]);
    let line = ["install", "jira", "deploy/chart", "--create-namespace"];
    let line: Vec<&str> = line.into_iter().chain(settings).collect();
    helm.does(&line).await;

    // Helm lets fields pass that nobody knows.
    let manifest = helm.run(&["get", "manifest", "jira"]).await;
    assert!(manifest.status.success(), "{manifest:?}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("manifest.yaml");
    std::fs::write(&file, &manifest.stdout).unwrap();
    let strict = "apply --server-side --force-conflicts --dry-run=server --validate=strict";
    let said = kubectl(world.plane, &format!("{strict} -f {}", file.display())).await;
    for object in [
        "servicemonitor.monitoring.coreos.com",
        "prometheusrule.monitoring.coreos.com",
        "networkpolicy.networking.k8s.io",
        "configmap",
        "poddisruptionbudget.policy",
        "deployment.apps",
    ] {
        let line = said.lines().find(|line| line.starts_with(object));
        assert!(line.is_some_and(|line| line.contains(OPERATOR)), "{said}");
    }
    is_scraped(&world).await;
}

/// What the `ServiceMonitor` selects is the Service with the port that it names.
async fn is_scraped(world: &World) {
    let get = async |what: &str| -> Value {
        let line = format!("get {what} --namespace {OPERATOR} -o json");
        serde_json::from_str(&kubectl(world.plane, &line).await).unwrap()
    };
    let monitor = get(&format!("servicemonitors {OPERATOR}")).await;
    let wanted = monitor["spec"]["selector"]["matchLabels"].clone();
    let endpoint = &monitor["spec"]["endpoints"][0];
    let services = get("services").await;
    let is_wanted = |service: &&Value| {
        let labels = service["metadata"]["labels"].as_object().unwrap();
        let all = wanted.as_object().unwrap();
        all.iter()
            .all(|(name, value)| labels.get(name) == Some(value))
    };
    let all = services["items"].as_array().unwrap();
    let selected: Vec<_> = all.iter().filter(is_wanted).collect();
    assert!(!selected.is_empty(), "{wanted}");
    for service in selected {
        let ports = service["spec"]["ports"].as_array().unwrap();
        assert!(ports.iter().any(|port| port["name"] == endpoint["port"]));
    }
}
