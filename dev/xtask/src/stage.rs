//! What demo and bench have in common: a control plane with `deploy/` applied, and Jira.

use std::path::{Path, PathBuf};

use atlassian_sim::{CloudSite, Config, DataCenter, Sim};
use control_plane::{ControlPlane, binaries};
use tempfile::TempDir;
use tokio::process::Command;

use crate::failure::{Outcome, While as _, fail};

/// Namespace and name of the operator's account.
pub(crate) const OPERATOR: &str = "jira-credential-operator";

/// Finds or builds the programs of the control plane. Speaks of it itself when that takes long.
pub(crate) async fn binaries() -> Outcome<binaries::Binaries> {
    Ok(tokio::task::spawn_blocking(binaries::ensure).await??)
}

/// The simulated Jira sites.
pub(crate) struct Jira {
    /// The simulator.
    pub(crate) sim: Sim,
    /// `https://acme.cloud.localhost:PORT`
    pub(crate) cloud: CloudSite,
    /// `https://jira.dc.localhost:PORT/jira`
    pub(crate) data_center: DataCenter,
    /// The file with the certificate of its authority.
    pub(crate) ca_file: PathBuf,
    /// Logs, kubeconfigs and certificates; goes away with this value.
    pub(crate) directory: TempDir,
}

impl Jira {
    /// Starts the simulator with an empty Cloud site and an empty Data Center.
    pub(crate) async fn start() -> Outcome<Self> {
        let directory = tempfile::Builder::new()
            .prefix("jira-credential-operator-")
            .tempdir()?;
        let config = Config {
            admin_port: Some(0),
            ..Config::default()
        };
        let sim = Sim::start(config).await.while_("starting the simulator")?;
        let ca_file = directory.path().join("ca.pem");
        sim.write_ca(&ca_file)
            .while_("writing the simulator's certificate")?;
        Ok(Self {
            cloud: sim.cloud_site("acme"),
            data_center: sim.data_center("jira").context_path("/jira"),
            sim,
            ca_file,
            directory,
        })
    }

    /// The flags under which the operator may talk to the simulator.
    pub(crate) fn flags(&self) -> Vec<String> {
        let flags = [
            "--namespace",
            OPERATOR,
            "--cloud-hosts",
            "*.cloud.localhost",
            "--allowed-hosts",
            "*.dc.localhost",
            "--allowed-addresses",
            "127.0.0.0/8,::1",
            "--extra-ca-file",
        ];
        let mut flags: Vec<String> = flags.map(str::to_owned).into();
        flags.push(self.ca_file.display().to_string());
        flags.extend(["--auth-url".to_owned(), self.sim.auth_url()]);
        flags.extend(["--api-url".to_owned(), self.sim.gateway_url()]);
        flags
    }

    /// A file in the directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// Applies `crds/` and `deploy/` of a work tree as a person would, and returns what kubectl says. The
/// kubeconfig of the operator's account is written to `kubeconfig`.
pub(crate) async fn install(
    plane: &ControlPlane,
    kubeconfig: &Path,
    tree: &Path,
) -> Outcome<String> {
    // First and apart: this waits until the resource is served and garbage collected.
    let crd = std::fs::read_to_string(tree.join("crds/jiracredentials.yaml"))?;
    plane.install_crds(&crd).await?;
    let mut kubectl = Command::from(plane.kubectl());
    kubectl
        .args([
            "apply",
            "--server-side",
            "--force-conflicts",
            "-k",
            "deploy",
        ])
        .current_dir(tree);
    let output = kubectl
        .kill_on_drop(true)
        .output()
        .await
        .while_("kubectl")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return fail(format!(
            "kubectl apply -k deploy failed: {}",
            said.trim_end()
        ));
    }
    plane
        .service_account_kubeconfig(OPERATOR, OPERATOR, kubeconfig)
        .await?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
