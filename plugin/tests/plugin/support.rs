//! A world for one test: a namespace of its own, a simulator, an operator, and the built plugin.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atlassian_sim::{Config as SimConfig, Sim};
use control_plane::ControlPlane;
use jira_credential_operator::api::JiraCredential;
use jira_credential_operator::clock::Clock;
use jira_credential_operator::cluster::Leadership;
use jira_credential_operator::controller::{Operator, OperatorConfig, SecretWatch};
use jira_credential_operator::core::facts::TimeScale;
use jira_credential_operator::crd::crd;
use jira_credential_operator::jira::{AddressPolicy, HostPolicy, JiraConfig};
use jira_credential_operator::ops::metrics::Metrics;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::runtime::Runtime;

/// Anything slower than this is stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The namespace and name under which `deploy/` runs the operator.
pub(crate) const OPERATOR: &str = "jira-credential-operator";

/// What the plugin did.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// Standard output, after the exit code was checked.
    #[track_caller]
    pub(crate) fn ended(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        &self.out
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

pub(crate) struct World {
    pub(crate) plane: &'static ControlPlane,
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) sim: Sim,
}

impl World {
    pub(crate) async fn new() -> Self {
        let plane = ControlPlane::shared().await.unwrap();
        deploy(plane).await;
        Self {
            plane,
            client: plane.client().unwrap(),
            namespace: plane.namespace("plugin").await.unwrap(),
            sim: Sim::start_blocking(SimConfig::default()).unwrap(),
        }
    }

    /// The plugin with these arguments, in the namespace of this world.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-jira_credential"));
        command
            .args(args)
            .args(["-n", &self.namespace])
            .env("KUBECONFIG", self.plane.admin_kubeconfig())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub(crate) async fn plugin<S: AsRef<OsStr>>(&self, args: &[S]) -> Done {
        finish(self.command(args).spawn().unwrap()).await
    }

    /// The plugin, with something on its standard input.
    pub(crate) async fn plugin_reading<S: AsRef<OsStr>>(&self, args: &[S], input: &str) -> Done {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that fails early does not read it.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        finish(child).await
    }

    /// A line of a shell on a terminal of its own, in which `$PLUGIN` is the plugin in this namespace. What
    /// is written to standard input is typed there.
    pub(crate) fn terminal(&self, line: &str) -> Command {
        let plugin = env!("CARGO_BIN_EXE_kubectl-jira_credential");
        let mut command = Command::new("script");
        command
            .args(["--quiet", "--return", "--command", line, "/dev/null"])
            .env("PLUGIN", format!("{plugin} -n {}", self.namespace))
            .env("KUBECONFIG", self.plane.admin_kubeconfig())
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Starts an operator over this namespace, with the clock of the machine.
    pub(crate) async fn operator(&self) -> Running {
        let hosts = HostPolicy::parse(["*.cloud.localhost"], ["*.dc.localhost"]).unwrap();
        let config = OperatorConfig {
            namespace: OPERATOR.into(),
            watch_namespaces: vec![self.namespace.clone()],
            shard: None,
            require_source_label: false,
            watch_secrets: SecretWatch::default(),
            hosts,
            jira: JiraConfig {
                addresses: AddressPolicy::parse(["127.0.0.0/8", "::1"]).unwrap(),
                extra_ca_pem: Some(self.sim.ca_pem().as_bytes().to_vec()),
                ..JiraConfig::default()
            },
            notify: None,
            hide_account_names: false,
            allowed_metadata_keys: vec!["app.kubernetes.io/".into()],
            admission_policy: OPERATOR.to_owned(),
            max_concurrent_reconciles: 4,
            max_concurrent_calls_per_site: 4,
            auth_url: self.sim.auth_url(),
            api_url: self.sim.gateway_url(),
            pod: "test".into(),
            leadership: Leadership::default(),
            time_scale: TimeScale::default(),
            reconciles: None,
        };
        let identity = self
            .plane
            .service_account_config(OPERATOR, OPERATOR)
            .await
            .unwrap();
        Running::start(config, identity)
    }

    pub(crate) fn credentials(&self) -> Api<JiraCredential> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) async fn secret(&self, name: &str, data: &[(&str, &str)]) -> Secret {
        let data: BTreeMap<&str, ByteString> = data
            .iter()
            .map(|(key, value)| (*key, ByteString(value.as_bytes().to_vec())))
            .collect();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data,
        });
        let params = PatchParams::apply("test").force();
        let patch = Patch::Apply(secret);
        self.secrets().patch(name, &params, &patch).await.unwrap()
    }

    pub(crate) async fn value(&self, secret: &str, key: &str) -> String {
        let secret = self.secrets().get(secret).await.unwrap();
        String::from_utf8(secret.data.unwrap()[key].0.clone()).unwrap()
    }

    pub(crate) async fn create(&self, name: &str, spec: Value) -> JiraCredential {
        let object: JiraCredential = serde_json::from_value(json!({
            "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
            "metadata": {"name": name}, "spec": spec,
        }))
        .unwrap();
        let api = self.credentials();
        api.create(&PostParams::default(), &object).await.unwrap()
    }

    /// The spec of an API token in the key `token` of the Secret `NAME-source`.
    pub(crate) fn api_token_spec(&self, name: &str) -> Value {
        json!({
            "site": self.sim.cloud_site("acme").url(),
            "hosting": "Cloud",
            "auth": {"apiToken": {
                "email": format!("{name}@acme.example"),
                "tokenSecretRef": {"name": format!("{name}-source"), "key": "token"},
            }},
        })
    }

    /// A credential whose token Jira accepts.
    pub(crate) async fn api_token(&self, name: &str) -> atlassian_sim::Token {
        let email = format!("{name}@acme.example");
        let token = self.sim.cloud_site("acme").api_token(&email);
        self.secret(&format!("{name}-source"), &[("token", token.secret())])
            .await;
        self.create(name, self.api_token_spec(name)).await;
        token
    }

    /// Writes a status as an operator would.
    pub(crate) async fn write_status(&self, name: &str, status: Value) {
        let patch = Patch::Merge(json!({"status": status}));
        let params = PatchParams::default();
        let api = self.credentials();
        api.patch_status(name, &params, &patch).await.unwrap();
    }

    /// Polls until a credential is as it should be.
    pub(crate) async fn until(
        &self,
        name: &str,
        is: impl Fn(&JiraCredential) -> bool,
    ) -> JiraCredential {
        let started = Instant::now();
        loop {
            let object = self.credentials().get(name).await.unwrap();
            if is(&object) {
                return object;
            }
            assert!(started.elapsed() < PATIENCE, "{name}: {:#?}", object.status);
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Waits until the operator has said anything.
    pub(crate) async fn until_seen(&self, name: &str) -> JiraCredential {
        self.until(name, |object| {
            let status = object.status.as_ref();
            status.is_some_and(|status| !status.conditions.is_empty())
        })
        .await
    }

    pub(crate) async fn until_ready(&self, name: &str) -> JiraCredential {
        use jira_credential_operator::api::{ConditionStatus, ConditionType};
        self.until(name, |object| {
            let status = object.status.as_ref();
            let ready = status.and_then(|status| status.condition(ConditionType::Ready));
            ready.is_some_and(|ready| ready.status == ConditionStatus::True)
        })
        .await
    }
}

/// Waits for the end.
pub(crate) async fn finish(child: Child) -> Done {
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output());
    let output = output.await.unwrap().unwrap();
    Done {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// An operator in a runtime of its own.
pub(crate) struct Running {
    runtime: Option<Runtime>,
}

impl Running {
    fn start(config: OperatorConfig, identity: kube::Config) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.spawn(async move {
            let client = Client::try_from(identity).unwrap();
            let metrics = Arc::new(Metrics::default());
            let operator = Operator::new(config, client, Clock::system(), metrics);
            let operator = operator.await.unwrap();
            operator
                .run(
                    tokio_util::sync::CancellationToken::new(),
                    futures::stream::pending(),
                )
                .await;
        });
        Self {
            runtime: Some(runtime),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Installs the CRD and applies `deploy/`, once.
async fn deploy(plane: &ControlPlane) {
    static ONCE: tokio::sync::Mutex<bool> = tokio::sync::Mutex::const_new(false);
    let mut done = ONCE.lock().await;
    if *done {
        return;
    }
    plane.install_crd(&crd()).await.unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
    let mut kubectl = plane.kubectl();
    let status = kubectl
        .args(["apply", "--server-side", "-k", folder])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "kubectl apply -k deploy failed");
    *done = true;
}

/// Reads standard error until it has this.
pub(crate) async fn until_line(child: &mut Child, begin: &str) {
    let mut stderr = child.stderr.take().unwrap();
    read_until(&mut stderr, begin).await;
    child.stderr = Some(stderr);
}

/// Reads a pipe until it has this, and returns what was read.
pub(crate) async fn read_until(pipe: &mut (impl AsyncRead + Unpin), part: &str) -> String {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(part) {
        let byte = tokio::time::timeout(PATIENCE, pipe.read_u8());
        let byte = byte.await.unwrap();
        let byte = byte.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&seen)));
        seen.push(byte);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

/// Writes to standard input, closes it, and waits for the end.
pub(crate) async fn answer(mut child: Child, input: &str) -> Done {
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    finish(child).await
}

/// Polls until a file is there, and reads it.
pub(crate) async fn until_file(path: &std::path::Path) -> String {
    let started = Instant::now();
    loop {
        if let Ok(text) = std::fs::read_to_string(path) {
            return text;
        }
        assert!(started.elapsed() < PATIENCE, "{}", path.display());
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
