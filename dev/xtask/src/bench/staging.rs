//! Builds what is measured and what measures, both optimised, and runs the latter.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::ExitCode;

use tokio::process::Command;

use super::{Options, audit};
use crate::failure::{Outcome, While as _};
use crate::stage::{self, OPERATOR};
use crate::ui::Ui;
use crate::{cargo, root};

pub(super) async fn run(options: &Options) -> Outcome<ExitCode> {
    let ui = Ui::new();
    let binaries = stage::binaries().await?;
    ui.line("Building the operator as it ships (cargo build --release); minutes, the first time.");
    let operator = match &options.operator {
        Some(operator) => std::path::absolute(operator)?,
        None => cargo::build(OPERATOR, &["--release"], ui.is_terminal()).await?,
    };
    ui.line("Building the bench and the simulator, optimised too: they share the cores.");
    let bench = cargo::build_quickly("xtask", ui.is_terminal()).await?;

    let assets = tempfile::Builder::new().prefix("bench-assets-").tempdir()?;
    let place = |name: &str| assets.path().join(name);
    symlink(&binaries.etcd, place("etcd"))?;
    symlink(&binaries.kubectl, place("kubectl"))?;
    symlink(
        &binaries.kube_controller_manager,
        place("kube-controller-manager"),
    )?;
    fs::write(place("audit-policy.yaml"), audit::POLICY)?;
    let launcher = audit::launcher(&binaries.kube_apiserver, &place("audit-policy.yaml"));
    write_program(&place("kube-apiserver"), &launcher)?;

    let mut command = Command::new(bench);
    command
        .args(["bench", "--staged", "--operator"])
        .arg(&operator);
    let sizes: Vec<String> = options.sizes.iter().map(ToString::to_string).collect();
    command.args(["--sizes", &sizes.join(",")]);
    command.args(["--rest-seconds", &options.rest_seconds.to_string()]);
    command.args(["--renewals", &options.renewals.to_string()]);
    if options.bulky {
        command.arg("--bulky");
    }
    if options.noisy_neighbour {
        command.arg("--noisy-neighbour");
    }
    if let Some(path) = &options.json {
        command.arg("--json").arg(std::path::absolute(path)?);
    }
    if let Some(path) = &options.manifests {
        command.arg("--manifests").arg(std::path::absolute(path)?);
    }
    for flag in &options.operator_flags {
        command.arg(format!("--operator-flag={flag}"));
    }
    let mut child = command
        .env("KUBEBUILDER_ASSETS", assets.path())
        .current_dir(root())
        .kill_on_drop(true)
        .spawn()
        .while_("starting the bench")?;
    // Ctrl-C reaches the child as well; it cleans up and ends.
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn write_program(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).while_(path.display())?;
    fs::set_permissions(path, Permissions::from_mode(0o755)).while_(path.display())
}
