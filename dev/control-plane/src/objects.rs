//! Objects that tests need, and what tools say about objects.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::core::v1::Namespace,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt as _,
    api::{ApiResource, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::Value;

use crate::{ControlPlane, Error, error::Context, plane::blocking};

/// How generic Kubernetes tooling judges an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `Current`, `InProgress`, `Failed`, `Terminating` or `Unknown`.
    pub status: String,
    /// Why.
    pub message: String,
}

impl ControlPlane {
    /// Creates a namespace of a name nobody else has, and returns the name.
    pub async fn namespace(&self, prefix: &str) -> Result<String, Error> {
        let namespace = Namespace {
            metadata: ObjectMeta {
                generate_name: Some(format!("{prefix}-")),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        let created = Api::<Namespace>::all(self.client()?)
            .create(&PostParams::default(), &namespace)
            .await
            .context(format!("creating a namespace {prefix}-..."))?;
        Ok(created.name_any())
    }

    /// kubectl, as the administrator.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(&self.binaries.kubectl);
        command
            .env("KUBECONFIG", self.admin_kubeconfig())
            // Neither read nor write what belongs to the person who runs this.
            .env("KUBECACHEDIR", self.directory().join("kubectl-cache"))
            .env("KUBERC", "off");
        command
    }

    /// Applies manifests as `kubectl apply --server-side -f -` does, and
    /// returns what kubectl prints.
    pub async fn kubectl_apply(&self, manifests: &str) -> Result<String, Error> {
        let mut command = self.kubectl();
        command.args(["apply", "--server-side", "-f", "-"]);
        run("kubectl apply", command, manifests.to_owned().into_bytes()).await
    }

    /// Installs the custom resource definitions of a YAML or JSON text, and
    /// waits until their resources are served and garbage collected.
    pub async fn install_crds(&self, text: &str) -> Result<(), Error> {
        let definitions =
            serde_saphyr::from_multiple::<CustomResourceDefinition>(text).map_err(|error| {
                Error::Malformed {
                    what: "reading custom resource definitions".to_owned(),
                    reason: error.to_string(),
                }
            })?;
        let _alone = self.installing.lock().await;
        let mut new = false;
        for definition in &definitions {
            new |= self.apply_crd(definition).await?;
        }
        self.collect_garbage_of(new).await
    }

    /// Installs one custom resource definition and waits until its resource
    /// is served and garbage collected.
    pub async fn install_crd(&self, definition: &CustomResourceDefinition) -> Result<(), Error> {
        let _alone = self.installing.lock().await;
        let new = self.apply_crd(definition).await?;
        self.collect_garbage_of(new).await
    }

    /// The garbage collector looks for new kinds only twice a minute. A test that
    /// installs the same definitions meanwhile waits for this to be done.
    async fn collect_garbage_of(&self, new_kinds: bool) -> Result<(), Error> {
        if new_kinds {
            self.restart_controller_manager().await
        } else {
            Ok(())
        }
    }

    /// Returns whether the definition is new.
    async fn apply_crd(&self, definition: &CustomResourceDefinition) -> Result<bool, Error> {
        let client = self.client()?;
        let definitions = Api::<CustomResourceDefinition>::all(client.clone());
        let name = definition.name_any();
        let what = format!("installing {name}");
        let known = definitions.get_opt(&name).await.context(&what)?.is_some();
        definitions
            .patch(
                &name,
                &PatchParams::apply("control-plane").force(),
                &Patch::Apply(definition),
            )
            .await
            .context(&what)?;
        eventually(&what, Duration::from_secs(30), async || {
            let current = definitions.get(&name).await.context(&what)?;
            Ok(established(&current).then_some(()))
        })
        .await?;
        // Established is said a moment before it is true.
        let served = Api::<DynamicObject>::all_with(client, &resource(definition));
        eventually(&what, Duration::from_secs(30), async || {
            match served.list(&ListParams::default().limit(1)).await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
                other => other.map(|_| Some(())).context(&what),
            }
        })
        .await?;
        Ok(!known)
    }

    /// How generic tooling judges each of these objects, in their order.
    pub async fn kstatus(&self, objects: &[Value]) -> Result<Vec<Verdict>, Error> {
        let command = Command::new(&self.binaries.kstatus);
        let input = Value::from(objects.to_vec()).to_string().into_bytes();
        let output = run("kstatus", command, input).await?;
        output.lines().map(verdict).collect()
    }
}

fn verdict(line: &str) -> Result<Verdict, Error> {
    let fields = serde_json::from_str::<Value>(line).map_err(|error| Error::Malformed {
        what: "reading what kstatus prints".to_owned(),
        reason: error.to_string(),
    })?;
    let text = |name| {
        fields
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Ok(Verdict {
        status: text("status"),
        message: text("message"),
    })
}

fn established(definition: &CustomResourceDefinition) -> bool {
    definition
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten())
        .any(|condition| condition.type_ == "Established" && condition.status == "True")
}

fn resource(definition: &CustomResourceDefinition) -> ApiResource {
    let spec = &definition.spec;
    let version = spec.versions.iter().find(|version| version.served);
    let version = version
        .map(|version| version.name.clone())
        .unwrap_or_default();
    ApiResource {
        api_version: format!("{}/{version}", spec.group),
        group: spec.group.clone(),
        version,
        kind: spec.names.kind.clone(),
        plural: spec.names.plural.clone(),
    }
}

/// Runs a command to its end, with input, and returns what it prints.
async fn run(name: &'static str, mut command: Command, input: Vec<u8>) -> Result<String, Error> {
    let output = blocking(move || {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // In a thread of its own: a command that prints while it reads would
        // otherwise wait for us while we wait for it.
        let stdin = child.stdin.take();
        let writer = std::thread::spawn(move || {
            // A command that stops reading says why itself.
            stdin.map(|mut stdin| stdin.write_all(&input))
        });
        let output = child.wait_with_output();
        drop(writer.join());
        output
    })
    .await?
    .context(format!("running {name}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(Error::Command {
            name,
            output: text(&output.stderr).trim_end().to_owned(),
        })
    }
}

/// Asks until there is an answer, or time is up.
pub(crate) async fn eventually<T>(
    what: &str,
    patience: Duration,
    ask: impl AsyncFn() -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if begun.elapsed() > patience {
            return Err(Error::Timeout(what.to_owned(), patience));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
