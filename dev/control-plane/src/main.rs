//! Starts a control plane and keeps it until it is interrupted.

use control_plane::{ControlPlane, Error};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let plane = ControlPlane::start().await?;
    println!("export KUBECONFIG={}", plane.admin_kubeconfig().display());
    // Without a handler for Ctrl-C there is nothing to wait for but the end.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    plane.stop().await
}
