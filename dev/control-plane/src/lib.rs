//! A real etcd, kube-apiserver and kube-controller-manager for tests, demos
//! and benchmarks, and faults to put between them and a client.
//!
//! ```no_run
//! # async fn test() -> Result<(), Box<dyn std::error::Error>> {
//! use control_plane::ControlPlane;
//! use k8s_openapi::api::core::v1::ConfigMap;
//! use kube::{Api, api::ListParams};
//!
//! let plane = ControlPlane::shared().await?;
//! let namespace = plane.namespace("example").await?;
//! let maps = Api::<ConfigMap>::namespaced(plane.client()?, &namespace);
//! maps.list(&ListParams::default()).await?;
//! # Ok(())
//! # }
//! ```

mod access;
pub mod binaries;
pub mod definitions;
mod error;
pub mod faults;
pub mod go_build;
mod identities;
mod launch;
mod objects;
mod pki;
mod plane;
mod processes;
pub mod tools;

pub use binaries::Binaries;
pub use error::Error;
pub use objects::Verdict;
pub use plane::ControlPlane;

/// The last lines of a text.
fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..)
        .unwrap_or_default()
        .join("\n")
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |index: u8| {
        DIGITS
            .get(usize::from(index))
            .copied()
            .map_or('0', char::from)
    };
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}
