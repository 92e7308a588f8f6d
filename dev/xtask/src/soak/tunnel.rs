//! The way from the operator to the API server, which can be closed.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::failure::Outcome;

/// A listener that passes bytes on, so that TLS stays between the two ends.
pub(super) struct Tunnel {
    port: u16,
    behind: u16,
    /// Whether connections may exist.
    open: watch::Sender<bool>,
}

impl Tunnel {
    /// To a port of this machine.
    pub(super) async fn open(behind: u16) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (open, state) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(pass(near, behind, state.clone()));
            }
        });
        Ok(Self { port, behind, open })
    }

    /// Has a kubeconfig lead through here.
    pub(super) fn lead_through(&self, kubeconfig: &Path) -> Outcome {
        let text = std::fs::read_to_string(kubeconfig)?;
        let text = text.replace(
            &format!("127.0.0.1:{}", self.behind),
            &format!("127.0.0.1:{}", self.port),
        );
        Ok(std::fs::write(kubeconfig, text)?)
    }

    /// Cuts every connection; new ones may begin.
    pub(super) fn cut(&self) {
        self.open.send_replace(false);
        self.open.send_replace(true);
    }

    /// Cuts every connection, and new ones until [`Tunnel::allow`].
    pub(super) fn close(&self) {
        self.open.send_replace(false);
    }

    /// Lets connections through again.
    pub(super) fn allow(&self) {
        self.open.send_replace(true);
    }
}

async fn pass(mut near: TcpStream, behind: u16, mut state: watch::Receiver<bool>) {
    if !*state.borrow_and_update() {
        return;
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, behind));
    let Ok(mut far) = TcpStream::connect(address).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        // Whichever value is new: what exists is cut.
        _ = state.changed() => {}
    }
}
