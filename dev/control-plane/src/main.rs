//! Starts a control plane and keeps it until it is interrupted, or, when told
//! to `build`, only sees to it that the binaries are there.

use std::process::ExitCode;

use control_plane::{ControlPlane, Error, binaries};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        [] => up(),
        ["build"] => build(),
        _ => {
            eprintln!("usage: control-plane [build]");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = result {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn build() -> Result<(), Error> {
    let built = binaries::ensure()?;
    for path in [
        built.etcd,
        built.kube_apiserver,
        built.kube_controller_manager,
        built.kubectl,
        built.kstatus,
    ] {
        println!("{}", path.display());
    }
    Ok(())
}

#[tokio::main]
async fn up() -> Result<(), Error> {
    let plane = ControlPlane::start().await?;
    println!("export KUBECONFIG={}", plane.admin_kubeconfig().display());
    // Without a handler for Ctrl-C there is nothing to wait for but the end.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    plane.stop().await
}
