//! Finds the binaries of the control plane, or builds them once per user.

use std::{env, ffi::OsStr, path::PathBuf};

use crate::{
    Error,
    error::Context as _,
    go_build::{Module, Target, cache_directory},
};

/// The Kubernetes version that is built.
pub const KUBERNETES_VERSION: &str = "1.36.3";

pub(crate) const VERSION_FLAGS: &str = "-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.36.3 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=36";

/// Smallest first: a broken set-up then shows within seconds.
static KUBERNETES: Module = Module {
    name: "kubernetes",
    version: KUBERNETES_VERSION,
    files: &[
        ("go.mod", include_str!("../go.mod")),
        ("go.sum", include_str!("../go.sum")),
    ],
    linker_flags: VERSION_FLAGS,
    tags: "",
    targets: &[
        Target {
            name: "etcd",
            package: "go.etcd.io/etcd/server/v3",
        },
        Target {
            name: "kubectl",
            package: "k8s.io/kubernetes/cmd/kubectl",
        },
        Target {
            name: "kube-controller-manager",
            package: "k8s.io/kubernetes/cmd/kube-controller-manager",
        },
        Target {
            name: "kube-apiserver",
            package: "k8s.io/kubernetes/cmd/kube-apiserver",
        },
    ],
    estimate: "about 5 minutes on 2 cores, once",
};

static KSTATUS: Module = Module {
    name: "kstatus",
    version: "1",
    files: &[
        ("go.mod", include_str!("../kstatus/go.mod")),
        ("go.sum", include_str!("../kstatus/go.sum")),
        ("main.go", include_str!("../kstatus/main.go")),
    ],
    linker_flags: "-s -w",
    tags: "",
    targets: &[Target {
        name: "kstatus",
        package: ".",
    }],
    estimate: "less than a minute, once",
};

/// Where the binaries are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The store behind the API server.
    pub etcd: PathBuf,
    /// The API server.
    pub kube_apiserver: PathBuf,
    /// Garbage collection, namespaces, service accounts and workloads.
    pub kube_controller_manager: PathBuf,
    /// The command line client.
    pub kubectl: PathBuf,
    /// Reads objects, prints how generic tooling judges them.
    pub kstatus: PathBuf,
}

/// Finds the binaries, and builds them if they are not there yet.
///
/// `KUBEBUILDER_ASSETS` names a directory with ready-made ones. Without it
/// they are built from pinned Go modules into the user's cache directory.
/// Several processes may call this at once: one builds, the others wait.
/// This blocks, for minutes when something has to be built.
pub fn ensure() -> Result<Binaries, Error> {
    let cache = cache_directory("control-plane")?;
    let assets = env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty());
    let directory = match assets {
        Some(directory) => complete(&directory)?,
        None => KUBERNETES.ensure(&cache)?,
    };
    let kstatus = KSTATUS.ensure(&cache)?.join("kstatus");
    Ok(Binaries {
        etcd: directory.join("etcd"),
        kube_apiserver: directory.join("kube-apiserver"),
        kube_controller_manager: directory.join("kube-controller-manager"),
        kubectl: directory.join("kubectl"),
        kstatus,
    })
}

/// A directory of ready-made binaries, if none is missing.
fn complete(directory: &OsStr) -> Result<PathBuf, Error> {
    // They are started in another working directory.
    let directory = std::path::absolute(directory).context("reading KUBEBUILDER_ASSETS")?;
    let missing = KUBERNETES
        .targets
        .iter()
        .find(|target| !directory.join(target.name).is_file());
    match missing {
        Some(target) => Err(Error::MissingAsset {
            directory,
            name: target.name,
        }),
        None => Ok(directory),
    }
}

#[cfg(test)]
mod tests {
    use super::{KUBERNETES_VERSION, VERSION_FLAGS};

    #[test]
    fn the_version_is_the_one_that_is_pinned() {
        let pin = format!("k8s.io/kubernetes v{KUBERNETES_VERSION} ");
        assert!(include_str!("../go.mod").contains(&pin));
        assert!(VERSION_FLAGS.contains(&format!("gitVersion=v{KUBERNETES_VERSION} ")));
    }
}
