//! Where a test takes place: the shared control plane, a simulator, and a namespace of its own, which is
//! the only one that the program under test watches.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use atlassian_sim::{Call, CloudSite, Config, DataCenter, Sim, Token};
use control_plane::ControlPlane;
use jira_credential_operator::api::{
    Condition, ConditionStatus, ConditionType, JiraCredential, Reason,
};
use jira_credential_operator::crd::crd;
use k8s_openapi::ByteString;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use crate::process::{IPV4, PATIENCE, Process};

/// The namespace and name under which `deploy/` runs the operator.
const OPERATOR: &str = "jira-credential-operator";
/// How many stages may exist at a time: each runs a program of its own against real time.
static TURNS: Semaphore = Semaphore::const_new(4);

/// Set once the shared control plane has the CRD and what `deploy/` applies.
static DEPLOYED: OnceCell<()> = OnceCell::const_new();

pub(crate) struct Stage {
    pub(crate) sim: Sim,
    pub(crate) namespace: String,
    client: Client,
    directory: TempDir,
    loopback: IpAddr,
    kubeconfig: PathBuf,
    kubectl: PathBuf,
    pub(crate) flags: Vec<String>,
    turn: Option<SemaphorePermit<'static>>,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let turn = TURNS.acquire().await.unwrap();
        let plane = ControlPlane::shared().await.unwrap();
        DEPLOYED.get_or_init(|| install(plane)).await;
        let mut stage = Self::at(plane, IPV4).await;
        stage.turn = Some(turn);
        stage
    }

    /// A stage on a control plane that nobody else uses.
    pub(crate) async fn on(plane: &ControlPlane) -> Self {
        Self::on_at(plane, IPV4).await
    }

    /// The same where the operator has nothing but this loopback address: it serves there, and may connect to
    /// no site elsewhere.
    pub(crate) async fn on_at(plane: &ControlPlane, loopback: IpAddr) -> Self {
        install(plane).await;
        Self::at(plane, loopback).await
    }

    async fn at(plane: &ControlPlane, loopback: IpAddr) -> Self {
        let client = plane.client().unwrap();
        let config = Config {
            address: loopback,
            ..Config::default()
        };
        let sim = Sim::start_blocking(config).unwrap();
        let addresses = match loopback {
            IpAddr::V4(_) => "127.0.0.0/8,::1",
            IpAddr::V6(_) => "::1",
        };
        let directory = tempfile::tempdir().unwrap();
        let kubeconfig = directory.path().join("kubeconfig");
        let written = plane.service_account_kubeconfig(OPERATOR, OPERATOR, &kubeconfig);
        written.await.unwrap();
        let ca = directory.path().join("ca.pem");
        sim.write_ca(&ca).unwrap();
        let (auth, api) = (sim.auth_url(), sim.gateway_url());
        let namespace = plane.namespace("blackbox").await.unwrap();
        let flags = [
            "--watch-namespaces",
            &namespace,
            "--auth-url",
            &auth,
            "--api-url",
            &api,
            "--cloud-hosts",
            "*.cloud.localhost,*.atlassian.net",
            "--allowed-hosts",
            "*.dc.localhost",
            "--allowed-addresses",
            addresses,
            "--extra-ca-file",
            ca.to_str().unwrap(),
        ];
        person(
            plane,
            &namespace,
            &directory.path().join("person.kubeconfig"),
        );
        let flags = flags.map(str::to_owned).to_vec();
        Self {
            namespace,
            flags,
            sim,
            kubectl: plane.kubectl().get_program().into(),
            client,
            directory,
            loopback,
            kubeconfig,
            turn: None,
        }
    }

    /// Divides the waits of the renewal protocol of the operators started from now on.
    pub(crate) fn set_pace(&mut self, time_scale: i32) {
        self.flags
            .extend(["--test-pace".to_owned(), time_scale.to_string()]);
    }

    /// Has the operators started from now on stand for election, by a Lease in this namespace whose times
    /// are divided.
    pub(crate) async fn elect(&mut self, lease_pace: u32) {
        let rbac = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/rbac.yaml"));
        self.grant(rbac).await;
        let namespace = self.namespace.as_str();
        let flags = ["--leader-elect", "--leader-election-namespace", namespace];
        self.flags.extend(flags.map(str::to_owned));
        self.flags
            .extend(["--test-lease-pace".to_owned(), lease_pace.to_string()]);
    }

    /// Gives the operators what several shards need beside that.
    pub(crate) async fn allow_shards(&self) {
        let leases = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/overlays/shards/leases.yaml"
        ));
        self.grant(leases).await;
    }

    /// Creates the roles of a manifest, and what binds them, in this namespace.
    async fn grant(&self, rbac: &str) {
        let namespace = self.namespace.as_str();
        for mut object in serde_saphyr::from_multiple::<Value>(rbac).unwrap() {
            let kind = object["kind"].as_str().unwrap().to_owned();
            object["metadata"]["namespace"] = json!(namespace);
            let (client, params) = (self.client(), PostParams::default());
            if kind == "Role" {
                let roles: Api<Role> = Api::namespaced(client, namespace);
                let role = serde_json::from_value(object).unwrap();
                roles.create(&params, &role).await.unwrap();
            } else if kind == "RoleBinding" {
                let bindings: Api<RoleBinding> = Api::namespaced(client, namespace);
                let binding = serde_json::from_value(object).unwrap();
                bindings.create(&params, &binding).await.unwrap();
            }
        }
    }

    /// Who holds the Lease of this namespace.
    pub(crate) async fn holder(&self) -> Option<String> {
        let leases: Api<Lease> = Api::namespaced(self.client(), &self.namespace);
        leases
            .get_opt(OPERATOR)
            .await
            .unwrap()?
            .spec?
            .holder_identity
    }

    /// A client of the administrator.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// A file that goes away with the stage: `ca.pem`, or `person.kubeconfig` of an administrator
    /// in the namespace.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn kubectl(&self) -> &Path {
        &self.kubectl
    }

    /// Starts an operator; it is not ready yet. Several may run at a time.
    pub(crate) fn start(&self) -> Process {
        self.start_with(&self.flags)
    }

    fn start_with(&self, flags: &[String]) -> Process {
        let directory = self.directory.path();
        Process::start(directory, &self.kubeconfig, self.loopback, flags)
    }

    /// Starts an operator for the credentials that this selector matches.
    pub(crate) async fn operator_for(&self, selector: &str) -> Process {
        let shard = ["--shard-selector".to_owned(), selector.to_owned()];
        let flags = [self.flags.as_slice(), &shard].concat();
        let mut process = self.start_with(&flags);
        process.ready().await;
        process
    }

    pub(crate) async fn operator(&self) -> Process {
        let mut process = self.start();
        process.ready().await;
        process
    }

    pub(crate) fn cloud(&self) -> CloudSite {
        self.sim.cloud_site("acme")
    }

    pub(crate) fn data_center(&self) -> DataCenter {
        self.sim.data_center("jira")
    }

    /// The calls that a validation or a renewal is made of.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let mut calls = self.sim.calls();
        calls.retain(|call| !call.path.ends_with("/mypermissions"));
        calls
    }

    pub(crate) fn credentials(&self) -> Api<JiraCredential> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates or replaces a Secret.
    pub(crate) async fn secret(&self, name: &str, data: &[(&str, &str)]) {
        let data = data
            .iter()
            .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
            .collect::<BTreeMap<_, _>>();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data,
        });
        let params = PatchParams::apply("test").force();
        let (secrets, patch) = (self.secrets(), Patch::Apply(secret));
        secrets.patch(name, &params, &patch).await.unwrap();
    }

    pub(crate) async fn create(&self, name: &str, spec: Value) {
        let object: JiraCredential = serde_json::from_value(json!({
            "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
            "metadata": {"name": name}, "spec": spec,
        }))
        .unwrap();
        let credentials = self.credentials();
        let params = PostParams::default();
        credentials.create(&params, &object).await.unwrap();
    }

    pub(crate) async fn merge(&self, name: &str, change: Value) {
        let (credentials, patch) = (self.credentials(), Patch::Merge(change));
        let params = PatchParams::default();
        credentials.patch(name, &params, &patch).await.unwrap();
    }

    pub(crate) async fn delete(&self, name: &str) {
        let credentials = self.credentials();
        let params = DeleteParams::default();
        credentials.delete(name, &params).await.unwrap();
    }

    /// Puts a new API token into the credential's source and returns it.
    pub(crate) async fn rotate(&self, name: &str) -> Token {
        let token = self.cloud().api_token(&email(name));
        self.secret(&format!("{name}-source"), &[("token", token.secret())])
            .await;
        token
    }

    pub(crate) fn api_token_spec(&self, name: &str) -> Value {
        json!({
            "site": self.cloud().url(),
            "auth": {"apiToken": {
                "email": email(name),
                "tokenSecretRef": {"name": format!("{name}-source"), "key": "token"},
            }},
        })
    }

    /// A credential with an API token of its own.
    pub(crate) async fn api_token(&self, name: &str) -> Token {
        let token = self.rotate(name).await;
        self.create(name, self.api_token_spec(name)).await;
        token
    }

    /// A credential with a password of its own, which is in the source.
    pub(crate) async fn password(&self, name: &str) -> String {
        let jira = self.data_center();
        let password = jira.new_password(name);
        let source = format!("{name}-source");
        let data = [("username", name), ("password", password.as_str())];
        self.secret(&source, &data).await;
        let spec = json!({"site": jira.url(), "auth": {"basic": {"secretRef": {"name": source}}}});
        self.create(name, spec).await;
        password
    }

    /// Waits until a condition of a credential is so for its present spec.
    pub(crate) async fn wait(
        &self,
        name: &str,
        kind: ConditionType,
        status: ConditionStatus,
        reason: Reason,
    ) -> Condition {
        let what = format!("{name}: {kind:?} {status:?} {reason:?}");
        self.until(&what, async || {
            let object = self.credentials().get(name).await.unwrap();
            let state = object.status.as_ref()?;
            let found = state.condition(kind)?;
            let is_so = found.status == status
                && found.reason == reason
                && Some(state.observed_generation) == object.metadata.generation;
            is_so.then(|| found.clone())
        })
        .await
    }

    pub(crate) async fn wait_ready(&self, name: &str) -> Condition {
        let (ready, validated) = (ConditionType::Ready, Reason::Validated);
        self.wait(name, ready, ConditionStatus::True, validated)
            .await
    }

    /// Waits until a target exists and its contents are so.
    pub(crate) async fn wait_target(
        &self,
        name: &str,
        is_so: impl Fn(&BTreeMap<String, String>) -> bool,
    ) {
        self.until(&format!("target {name}"), async || {
            let secret = self.secrets().get_opt(name).await.unwrap()?;
            is_so(&texts(&secret)).then_some(())
        })
        .await;
    }

    /// Polls until something is there.
    pub(crate) async fn until<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < deadline, "waited in vain: {what}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The versions of everything that an operator could write in the namespace.
    pub(crate) async fn versions(&self) -> Vec<(String, Option<String>)> {
        let all = ListParams::default();
        let secrets = self.secrets().list(&all).await.unwrap();
        let mut versions: Vec<_> = secrets
            .iter()
            .map(|object| (object.name_any(), object.resource_version()))
            .collect();
        let credentials = self.credentials().list(&all).await.unwrap();
        versions.extend(
            credentials
                .iter()
                .map(|object| (object.name_any(), object.resource_version())),
        );
        versions
    }

    /// Has every credential looked at once more; that must neither write nor call.
    pub(crate) async fn assert_at_rest(&self, operator: &mut Process) {
        operator.quiet().await;
        let (passes, calls) = (operator.passes(), self.calls().len());
        let credentials = self.credentials();
        let all = credentials.list(&ListParams::default()).await.unwrap();
        let names: Vec<String> = all.iter().map(ResourceExt::name_any).collect();
        for name in &names {
            // Another value for each process, or nothing would change.
            let value = format!("after-{passes}-of-{}", operator.child.id());
            let churn = json!({"metadata": {"labels": {"looked-at": value}}});
            self.merge(name, churn).await;
        }
        let versions = self.versions().await;
        let wanted = passes + u64::try_from(names.len()).unwrap();
        operator
            .until("looking", |process| process.passes() >= wanted)
            .await;
        operator.quiet().await;
        assert_eq!(self.versions().await, versions, "{}", operator.log());
        assert_eq!(self.calls().len(), calls, "{}", operator.log());
    }
}

pub(crate) fn email(name: &str) -> String {
    format!("{name}@acme.example")
}

/// The contents of a Secret.
pub(crate) fn texts(secret: &Secret) -> BTreeMap<String, String> {
    let text = |value: &ByteString| String::from_utf8(value.0.clone()).unwrap();
    let data = secret.data.iter().flatten();
    data.map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

/// Namespace, identity and rights of the operator, as a cluster gets them.
fn deploy(plane: &ControlPlane) {
    let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");
    let status = plane
        .kubectl()
        .args(["apply", "--server-side", "-k", manifests])
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "kubectl apply -k deploy failed");
}

/// Writes the configuration of an administrator who works in the namespace.
fn person(plane: &ControlPlane, namespace: &str, path: &Path) {
    let text = std::fs::read_to_string(plane.admin_kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["contexts"][0]["context"]["namespace"] = json!(namespace);
    std::fs::write(path, config.to_string()).unwrap();
}

/// Applies the CRD and what `deploy/` applies.
async fn install(plane: &ControlPlane) {
    plane.install_crd(&crd()).await.unwrap();
    deploy(plane);
}
