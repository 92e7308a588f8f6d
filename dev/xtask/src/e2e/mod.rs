//! `cargo xtask e2e`: the image of the operator in a real pod, on a real kubelet, and pods that mount what
//! it publishes.

mod cluster;
mod first;
mod node;
mod readers;
mod rights;
mod story;
mod tools;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;

use control_plane::{ControlPlane, binaries::KUBERNETES_VERSION};

use crate::demo::Cluster;
use crate::failure::{Failure, Outcome, While as _};
use crate::stage::{self, Jira};
use crate::ui::Ui;
use crate::{image, root};
use node::Node;
use tools::Tools;

/// How to run it.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// An image that `cargo xtask image` has written, instead of building one.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Fail, instead of saying so and ending well, where a node cannot run. The variable
    /// `JCO_E2E_REQUIRED`, with any value, means the same.
    #[arg(long)]
    required: bool,
}

/// Why there is no node: this machine lacks something that is no part of the project, in words.
#[derive(Debug)]
pub(crate) struct Blocked(String);

/// Everything that runs.
struct Stage<'a> {
    ui: &'a Ui,
    jira: &'a Jira,
    cluster: Cluster<'a>,
    plane: &'a ControlPlane,
    node: &'a Node,
    /// What the pods of the readers have printed, by pod.
    printed: Mutex<BTreeMap<String, String>>,
}

/// Runs it, or says in one line why it cannot run here.
pub(crate) async fn run(options: &Options) -> Outcome<ExitCode> {
    let ui = Ui::new();
    ui.line("jira-credential-operator: its image in a real pod, on a real kubelet");
    let required = options.required || std::env::var_os("JCO_E2E_REQUIRED").is_some();
    let skipped = |why: &str| {
        ui.line(&format!("skipped: no node can run here: {why}"));
        Ok(if required {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    };
    if !rustix::process::geteuid().is_root() {
        return skipped("containers need root");
    }
    let tools = match tokio::task::spawn_blocking(Tools::ensure).await? {
        Ok(tools) => tools,
        Err(Blocked(why)) => return skipped(&why),
    };
    stage::binaries().await?;
    let archive = match &options.image {
        Some(archive) => archive.clone(),
        None => image::build().await?,
    };
    let plane = ui.step("Start a control plane", start_plane()).await?;
    let directory = tempfile::Builder::new().prefix("jco-e2e-").tempdir()?;
    let kubeconfig = plane.admin_kubeconfig();
    let client = plane.client()?;
    // What it needs is there: that it does not come up is a fault of ours.
    let node = match Node::start(&tools, kubeconfig, directory.path(), client).await {
        Ok(node) => node,
        Err(failure) => {
            plane.stop().await?;
            return Err(failure);
        }
    };
    let told = show(&ui, &tools, &plane, &node, &archive).await;
    ui.summary();
    let logs = told.is_err().then(|| node.logs());
    node.stop().await?;
    plane.stop().await?;
    match told {
        Ok(None) => {
            ui.line("\nEverything was as expected.");
            Ok(ExitCode::SUCCESS)
        }
        Ok(Some(why)) => skipped(&why),
        Err(failure) => {
            ui.error(&format!("{failure}\n\n{}", logs.unwrap_or_default()));
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn start_plane() -> Outcome<(ControlPlane, String)> {
    let plane = ControlPlane::start().await?;
    Ok((plane, format!("Kubernetes {KUBERNETES_VERSION}")))
}

/// Where the credential and its readers are.
const NAMESPACE: &str = "team-a";

/// Tells the story; returns why it cannot be told here, if so.
async fn show(
    ui: &Ui,
    tools: &Tools,
    plane: &ControlPlane,
    node: &Node,
    archive: &Path,
) -> Outcome<Option<String>> {
    let jira = Jira::start().await?;
    let stage = Stage {
        ui,
        jira: &jira,
        cluster: Cluster::new(ui, plane, NAMESPACE)?,
        plane,
        node,
        printed: Mutex::default(),
    };
    // A machine whose kernel or sandbox runs no container is no failure of ours.
    if let Err(Blocked(why)) = stage.first_pod(tools).await? {
        return Ok(Some(why));
    }
    let told = tokio::select! {
        told = stage.tell(archive) => told,
        failed = stage.keep_output() => failed,
    };
    told.map_err(|failure| {
        let pods = ["operator", "file-reader", "env-reader", "subpath-reader"];
        let logs = pods.map(|pod| format!("--- {pod}\n{}", stage.tail(pod)));
        Failure::new(format!("{failure}\n\n{}", logs.join("\n")))
    })?;
    Ok(None)
}

/// The manifests of `deploy/` as files of a folder, so that an overlay stands beside them.
fn copy_manifests(to: &Path) -> Outcome {
    std::fs::create_dir_all(to).while_(to.display())?;
    let from = root().join("deploy");
    for entry in std::fs::read_dir(&from).while_(from.display())? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            std::fs::copy(&path, to.join(name)).while_(path.display())?;
        }
    }
    Ok(())
}
