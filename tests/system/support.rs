//! A world for one test: a namespace of its own on the shared control plane, a simulator, and an
//! operator that can be crashed, with a clock that the test moves.

mod later_version;
mod running;

pub(crate) use running::Running;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use atlassian_sim::{CloudSite, Config as SimConfig, DataCenter, Sim};
use chrono::{DateTime, TimeDelta};
use control_plane::ControlPlane;
use jira_credential_operator::api::{
    Condition, ConditionStatus, ConditionType, JiraCredential, JiraCredentialStatus, Reason,
};
use jira_credential_operator::clock::Clock;
use jira_credential_operator::cluster::Leadership;
use jira_credential_operator::controller::{OperatorConfig, SecretWatch};
use jira_credential_operator::core::facts::TimeScale;
use jira_credential_operator::crd::crd;
use jira_credential_operator::jira::{AddressPolicy, HostPolicy, JiraConfig, Timeouts};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

/// Anything slower than this is stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The namespace and name under which `deploy/` runs the operator.
pub(crate) const OPERATOR: &str = "jira-credential-operator";

/// Lets calls of Jira take as long as a test does.
pub(crate) fn be_patient(config: &mut OperatorConfig) {
    config.jira.timeouts.read = PATIENCE;
    config.jira.timeouts.total = PATIENCE;
}

pub(crate) struct World {
    pub(crate) plane: &'static ControlPlane,
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) sim: Sim,
    pub(crate) clock: Clock,
}

impl World {
    pub(crate) async fn new() -> Self {
        let plane = ControlPlane::shared().await.unwrap();
        plane.install_crd(&crd()).await.unwrap();
        deploy(plane).await;
        Self::on(plane).await
    }

    /// A world on a control plane of its own, for tests that stop the API server.
    pub(crate) async fn alone() -> Self {
        let plane: &'static ControlPlane =
            Box::leak(Box::new(ControlPlane::start().await.unwrap()));
        plane.install_crd(&crd()).await.unwrap();
        apply_deploy(plane);
        Self::on(plane).await
    }

    /// A world on a control plane of its own, on which nothing is installed yet.
    pub(crate) async fn bare() -> Self {
        Self::on(Box::leak(Box::new(ControlPlane::start().await.unwrap()))).await
    }

    /// The same world as another tenant sees it: from a namespace of their own. An operator that is
    /// to watch both needs a control plane of its own and no `watch_namespaces`.
    pub(crate) async fn neighbour(&self) -> Self {
        Self {
            namespace: self.plane.namespace("neighbour").await.unwrap(),
            client: self.client.clone(),
            sim: self.sim.clone(),
            clock: self.clock.clone(),
            plane: self.plane,
        }
    }

    async fn on(plane: &'static ControlPlane) -> Self {
        let sim = Sim::start_blocking(SimConfig::default()).unwrap();
        let clock = Clock::standing_at(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        sim.clock().set(clock.now());
        sim.clock().freeze();
        let namespace = plane.namespace("system").await.unwrap();
        Self {
            plane,
            client: plane.client().unwrap(),
            namespace,
            sim,
            clock,
        }
    }

    pub(crate) fn cloud(&self) -> CloudSite {
        self.sim.cloud_site("acme")
    }

    pub(crate) fn data_center(&self) -> DataCenter {
        self.sim.data_center("jira").context_path("/jira")
    }

    /// Both clocks, the operator's and Jira's.
    pub(crate) fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
        self.sim.clock().set(self.clock.now());
    }

    /// Starts an operator over this world's namespace, under the identity of `deploy/`.
    pub(crate) async fn operator(&self) -> Running {
        self.operator_with(|_| {}).await
    }

    pub(crate) async fn operator_with(&self, change: impl FnOnce(&mut OperatorConfig)) -> Running {
        let mut config = self.config();
        change(&mut config);
        let identity = self.identity().await;
        Running::start(config, identity, self.clock.clone(), None).await
    }

    /// An operator that waits for answers of Jira for as long as a test does.
    pub(crate) async fn patient_operator(&self) -> Running {
        self.operator_with(be_patient).await
    }

    /// An operator whose logs go where the test wants them.
    pub(crate) async fn operator_logging(
        &self,
        change: impl FnOnce(&mut OperatorConfig),
        logs: tracing::Dispatch,
    ) -> Running {
        let mut config = self.config();
        change(&mut config);
        let identity = self.identity().await;
        Running::start(config, identity, self.clock.clone(), Some(logs)).await
    }

    /// An operator under another identity.
    pub(crate) async fn operator_as(
        &self,
        identity: kube::Config,
        change: impl FnOnce(&mut OperatorConfig),
    ) -> Running {
        let mut config = self.config();
        change(&mut config);
        Running::start(config, identity, self.clock.clone(), None).await
    }

    /// The same, without waiting until it is ready.
    pub(crate) async fn unready_operator_as(
        &self,
        identity: kube::Config,
        change: impl FnOnce(&mut OperatorConfig),
    ) -> Running {
        let mut config = self.config();
        change(&mut config);
        Running::begin(config, identity, self.clock.clone(), None).await
    }

    async fn identity(&self) -> kube::Config {
        self.plane
            .service_account_config(OPERATOR, OPERATOR)
            .await
            .unwrap()
    }

    /// How an operator of this world is set up.
    pub(crate) fn config(&self) -> OperatorConfig {
        let hosts = HostPolicy::parse(["*.cloud.localhost"], ["*.dc.localhost"]).unwrap();
        OperatorConfig {
            namespace: OPERATOR.into(),
            watch_namespaces: vec![self.namespace.clone()],
            shard: None,
            require_source_label: false,
            watch_secrets: SecretWatch::Metadata,
            hosts,
            jira: JiraConfig {
                addresses: AddressPolicy::parse(["127.0.0.0/8", "::1"]).unwrap(),
                extra_ca_pem: Some(self.sim.ca_pem().as_bytes().to_vec()),
                timeouts: Timeouts {
                    // Long enough for a loaded machine: a call that is cut is not repeated before
                    // the test moves the clock.
                    connect: Duration::from_secs(5),
                    read: Duration::from_secs(6),
                    total: Duration::from_secs(8),
                    ..Timeouts::default()
                },
                ..JiraConfig::default()
            },
            notify: None,
            hide_account_names: false,
            allowed_metadata_keys: [
                "app.kubernetes.io/",
                "jenkins.io/",
                "reloader.stakater.com/",
            ]
            .map(str::to_owned)
            .into(),
            admission_policy: OPERATOR.to_owned(),
            max_concurrent_reconciles: 4,
            max_concurrent_calls_per_site: 4,
            auth_url: self.sim.auth_url(),
            api_url: self.sim.gateway_url(),
            pod: "test".into(),
            leadership: Leadership::default(),
            time_scale: TimeScale::default(),
            reconciles: None,
        }
    }

    /// A shell in which `kubectl` is that of an administrator.
    pub(crate) fn shell(&self) -> std::process::Command {
        let kubectl = self.plane.kubectl();
        let program = std::path::Path::new(kubectl.get_program());
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", program.parent().unwrap().display());
        let mut shell = std::process::Command::new("sh");
        shell
            .env("PATH", path)
            .env("KUBECONFIG", self.plane.admin_kubeconfig());
        shell
    }

    pub(crate) fn credentials(&self) -> Api<JiraCredential> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates or replaces a Secret.
    pub(crate) async fn secret(&self, name: &str, data: &[(&str, &str)]) -> Secret {
        let data = data
            .iter()
            .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
            .collect::<BTreeMap<_, _>>();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data,
        });
        let params = PatchParams::apply("test").force();
        self.secrets()
            .patch(name, &params, &Patch::Apply(secret))
            .await
            .unwrap()
    }

    /// Creates a credential, by default with validations an hour apart, so that a test that moves the
    /// clock by that knows how many there are.
    pub(crate) async fn create(&self, name: &str, mut spec: Value) -> JiraCredential {
        if spec["validation"]["interval"].is_null() {
            spec["validation"]["interval"] = json!("1h");
        }
        let object: JiraCredential = serde_json::from_value(json!({
            "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
            "metadata": ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() },
            "spec": spec,
        }))
        .unwrap();
        self.credentials()
            .create(&PostParams::default(), &object)
            .await
            .unwrap()
    }

    /// Merges a change into the spec.
    pub(crate) async fn change(&self, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.credentials()
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    pub(crate) async fn annotate(&self, name: &str, key: &str, value: &str) {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {key: value}}}));
        self.credentials()
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    pub(crate) async fn credential(&self, name: &str) -> JiraCredential {
        self.credentials().get(name).await.unwrap()
    }

    /// Waits until a credential is not Ready for this reason.
    pub(crate) async fn wait_unready(&self, name: &str, reason: Reason) -> JiraCredential {
        let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
        self.wait(name, kind, status, reason).await
    }

    /// Waits until a condition of a credential has this status and reason for the present spec.
    pub(crate) async fn wait(
        &self,
        name: &str,
        kind: ConditionType,
        status: ConditionStatus,
        reason: Reason,
    ) -> JiraCredential {
        let mut last = None;
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let object = self.credential(name).await;
            if let Some(state) = &object.status
                && let Some(found) = state.condition(kind)
                && found.status == status
                && found.reason == reason
                && Some(state.observed_generation) == object.metadata.generation
            {
                return object;
            }
            last = object.status;
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{name}: {kind:?} is not {status:?}/{reason:?} but {last:#?}");
    }

    pub(crate) async fn wait_ready(&self, name: &str) -> JiraCredential {
        self.wait(
            name,
            ConditionType::Ready,
            ConditionStatus::True,
            Reason::Validated,
        )
        .await
    }

    /// Polls until something is there.
    pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
        &self,
        what: &str,
        mut look: impl FnMut() -> F,
    ) -> T {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("waited in vain: {what}");
    }

    pub(crate) async fn events(&self, name: &str) -> Vec<Event> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let all = api.list(&ListParams::default()).await.unwrap().items;
        all.into_iter()
            .filter(|event| {
                event
                    .regarding
                    .as_ref()
                    .and_then(|about| about.name.as_deref())
                    == Some(name)
            })
            .collect()
    }

    /// The reasons of a credential's events, oldest first.
    async fn told(&self, name: &str) -> Vec<String> {
        let mut events = self.events(name).await;
        events.sort_by_key(|event| {
            let version = event.metadata.resource_version.as_deref();
            version.and_then(|version| version.parse::<u64>().ok())
        });
        events
            .into_iter()
            .filter_map(|event| event.reason)
            .collect()
    }

    /// Waits until the reasons of a credential's events are these; an event follows its status.
    pub(crate) async fn until_told(&self, name: &str, expected: &str) {
        let started = Instant::now();
        loop {
            let told = self.told(name).await.join(" ");
            if told == expected {
                return;
            }
            let patient = started.elapsed() < Duration::from_secs(5);
            assert!(patient, "{name}: {told:?} was told, not {expected:?}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// How many calls Jira has had that a validation or a renewal is made of.
    pub(crate) fn calls(&self) -> usize {
        validations(&self.sim.calls())
    }

    /// The same for one token.
    pub(crate) fn calls_with(&self, token: &atlassian_sim::Token) -> usize {
        validations(&self.sim.calls_with(token))
    }

    /// The same for one host.
    pub(crate) fn calls_for(&self, host: &str) -> usize {
        validations(&self.sim.calls_for(host))
    }

    /// How often Jira was asked what an account may do.
    pub(crate) fn questions(&self) -> usize {
        self.asked("mypermissions")
    }

    /// How many calls of a kind Jira has had, by the end of their path.
    pub(crate) fn asked(&self, what: &str) -> usize {
        let calls = self.sim.calls();
        calls
            .iter()
            .filter(|call| call.path.ends_with(what))
            .count()
    }

    /// Waits until the status of a credential speaks of the present spec and is as wanted.
    pub(crate) async fn until_status(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&JiraCredentialStatus) -> bool,
    ) -> JiraCredential {
        self.until(&format!("{name}: {what}"), || async {
            let object = self.credential(name).await;
            let status = object.status.as_ref()?;
            let current = Some(status.observed_generation) == object.metadata.generation;
            (current && wanted(status)).then_some(object)
        })
        .await
    }

    /// Waits until the operator has seen the present spec.
    pub(crate) async fn observed(&self, name: &str) -> JiraCredential {
        self.until_status(name, "its spec has been seen", |_| true)
            .await
    }

    /// Waits until a Secret holds this value.
    pub(crate) async fn until_value(&self, secret: &str, key: &str, wanted: &str) -> Secret {
        self.until(&format!("{secret} holds the {key}"), || async {
            let found = self.secrets().get_opt(secret).await.unwrap()?;
            (value(&found, key) == wanted).then_some(found)
        })
        .await
    }

    /// Merges a change into a Secret.
    pub(crate) async fn edit_secret(&self, name: &str, patch: Value) -> Secret {
        self.secrets()
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap()
    }

    pub(crate) async fn delete_secret(&self, name: &str) {
        let params = DeleteParams::default();
        self.secrets().delete(name, &params).await.unwrap();
    }

    /// Sets labels of a credential.
    pub(crate) async fn label(&self, name: &str, labels: Value) {
        let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
        self.credentials()
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    pub(crate) async fn delete(&self, name: &str) {
        let params = DeleteParams::default();
        self.credentials().delete(name, &params).await.unwrap();
    }

    /// A personal access token in a Secret of its own, and the credential that uses it, as
    /// [`Self::api_token`] makes them.
    pub(crate) async fn pat(&self, name: &str) -> atlassian_sim::Token {
        let token = self.data_center().pat(name);
        self.secret(&format!("{name}-source"), &[("token", token.secret())])
            .await;
        self.create(name, self.pat_spec(name)).await;
        token
    }

    pub(crate) fn pat_spec(&self, name: &str) -> Value {
        let reference = json!({"name": format!("{name}-source"), "key": "token"});
        json!({
            "site": self.data_center().url(),
            "auth": {"personalAccessToken": {"tokenSecretRef": reference}},
        })
    }

    /// A user name and a password in a Secret, and the credential that uses them.
    pub(crate) async fn password(&self, name: &str, user: &str, password: &str) {
        let source = format!("{name}-source");
        self.secret(&source, &[("username", user), ("password", password)])
            .await;
        let spec = json!({
            "site": self.data_center().url(),
            "auth": {"basic": {"secretRef": {"name": source}}},
        });
        self.create(name, spec).await;
    }

    /// A Cloud API token in a Secret of its own, and the credential that uses it, both of this
    /// name (the Secret with `-source` behind it). Returns the token.
    pub(crate) async fn api_token(&self, name: &str) -> atlassian_sim::Token {
        let email = format!("{name}@acme.example");
        let token = self.cloud().api_token(&email);
        self.secret(&format!("{name}-source"), &[("token", token.secret())])
            .await;
        self.create(name, self.api_token_spec(name)).await;
        token
    }

    pub(crate) fn api_token_spec(&self, name: &str) -> Value {
        json!({
            "site": self.cloud().url(),
            "hosting": "Cloud",
            "auth": {"apiToken": {
                "email": format!("{name}@acme.example"),
                "tokenSecretRef": {"name": format!("{name}-source"), "key": "token"},
            }},
        })
    }
}

/// How many of some calls are more than a question about rights, on which nothing depends.
fn validations(calls: &[atlassian_sim::Call]) -> usize {
    calls.iter().filter(|call| is_of_validation(call)).count()
}

/// Whether a validation or a renewal is made of calls like this one.
pub(crate) fn is_of_validation(call: &atlassian_sim::Call) -> bool {
    !call.path.ends_with("/mypermissions")
}

/// Applies the part of `deploy/` that a test needs: namespace, identity and its rights.
async fn deploy(plane: &ControlPlane) {
    static ONCE: tokio::sync::Mutex<bool> = tokio::sync::Mutex::const_new(false);
    let mut done = ONCE.lock().await;
    if !*done {
        apply_deploy(plane);
        *done = true;
    }
}

fn apply_deploy(plane: &ControlPlane) {
    let status = plane
        .kubectl()
        .args([
            "apply",
            "--server-side",
            "-k",
            concat!(env!("CARGO_MANIFEST_DIR"), "/deploy"),
        ])
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "kubectl apply -k deploy failed");
}

/// What a condition says.
pub(crate) fn says(object: &JiraCredential, kind: ConditionType) -> Condition {
    object
        .status
        .as_ref()
        .unwrap()
        .condition(kind)
        .unwrap()
        .clone()
}

/// The names of a Secret's keys.
pub(crate) fn keys(secret: &Secret) -> Vec<&str> {
    secret
        .data
        .iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect()
}

pub(crate) fn value(secret: &Secret, key: &str) -> String {
    let value = secret.data.as_ref().and_then(|data| data.get(key));
    String::from_utf8(value.map(|value| value.0.clone()).unwrap_or_default()).unwrap()
}

/// Runs kubectl in the root of the repository, and says what it printed.
pub(crate) async fn kubectl(plane: &ControlPlane, line: &str) -> String {
    let mut command = plane.kubectl();
    command
        .args(line.split_whitespace())
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
