//! Programs that judge what `deploy/` holds. Each is built from pinned Go modules when it is first
//! asked for, into the same cache as the control plane.

use std::path::PathBuf;

use crate::{
    Error, binaries,
    error::Context as _,
    go_build::{Module, Target, cache_directory},
};

/// Helm takes from its linker the version of Kubernetes that a chart is rendered for.
const HELM_FLAGS: &str = "-s -w \
    -X helm.sh/helm/v3/internal/version.version=v3.22.0 \
    -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 \
    -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=36 \
    -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1 \
    -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=36";

static HELM: Module = Module {
    name: "helm",
    version: "3.22.0",
    files: &[
        ("go.mod", include_str!("../helm/go.mod")),
        ("go.sum", include_str!("../helm/go.sum")),
    ],
    linker_flags: HELM_FLAGS,
    tags: "",
    targets: &[Target {
        name: "helm",
        package: "helm.sh/helm/v3/cmd/helm",
    }],
    estimate: "about 2 minutes on 2 cores, once",
};

static PROMTOOL: Module = Module {
    name: "promtool",
    version: "0.314.0",
    files: &[
        ("go.mod", include_str!("../promtool/go.mod")),
        ("go.sum", include_str!("../promtool/go.sum")),
    ],
    linker_flags: "-s -w",
    // Without service discovery, which is most of the program and judges no rule.
    tags: "remove_all_sd",
    targets: &[Target {
        name: "promtool",
        package: "github.com/prometheus/prometheus/cmd/promtool",
    }],
    estimate: "about 2 minutes on 2 cores, once",
};

static ARGO_HEALTH: Module = Module {
    name: "argo-health",
    version: "1",
    files: &[
        ("go.mod", include_str!("../argo-health/go.mod")),
        ("go.sum", include_str!("../argo-health/go.sum")),
        ("main.go", include_str!("../argo-health/main.go")),
    ],
    linker_flags: "-s -w",
    tags: "",
    targets: &[Target {
        name: "argo-health",
        package: ".",
    }],
    estimate: "less than a minute, once",
};

static NODE: Module = Module {
    name: "node",
    version: binaries::KUBERNETES_VERSION,
    files: &[
        ("go.mod", include_str!("../node/go.mod")),
        ("go.sum", include_str!("../node/go.sum")),
    ],
    linker_flags: binaries::VERSION_FLAGS,
    tags: "",
    targets: &[
        Target {
            name: "kube-scheduler",
            package: "k8s.io/kubernetes/cmd/kube-scheduler",
        },
        Target {
            name: "kubelet",
            package: "k8s.io/kubernetes/cmd/kubelet",
        },
    ],
    estimate: "about 3 minutes on 2 cores, once",
};

/// The oldest Kubernetes that is supported. Only its API server: what is asked of the other programs of the
/// control plane is the same in both.
const OLDEST_VERSION: &str = "1.30.14";

static OLDEST: Module = Module {
    name: "oldest",
    version: OLDEST_VERSION,
    files: &[
        ("go.mod", include_str!("../oldest/go.mod")),
        ("go.sum", include_str!("../oldest/go.sum")),
    ],
    linker_flags: "-s -w \
        -X k8s.io/component-base/version.gitVersion=v1.30.14 \
        -X k8s.io/component-base/version.gitMajor=1 \
        -X k8s.io/component-base/version.gitMinor=30",
    tags: "",
    targets: &[Target {
        name: "kube-apiserver",
        package: "k8s.io/kubernetes/cmd/kube-apiserver",
    }],
    estimate: "about 4 minutes on 2 cores, once",
};

/// The API server of the oldest Kubernetes that is supported, beside the other programs of the control
/// plane, in a folder for `KUBEBUILDER_ASSETS`. It goes away with the value.
///
/// # Errors
/// When a program cannot be built, or the folder cannot be written.
pub fn oldest_assets() -> Result<tempfile::TempDir, Error> {
    let api_server = OLDEST
        .ensure(&cache_directory("control-plane")?)?
        .join("kube-apiserver");
    let others = binaries::ensure()?;
    let what = "making a folder with the oldest API server";
    let folder = tempfile::tempdir().context(what)?;
    for (name, program) in [
        ("etcd", others.etcd),
        ("kubectl", others.kubectl),
        ("kube-controller-manager", others.kube_controller_manager),
        ("kube-apiserver", api_server),
    ] {
        std::os::unix::fs::symlink(program, folder.path().join(name)).context(what)?;
    }
    Ok(folder)
}

/// The folder of the kubelet and the scheduler.
pub fn node() -> Result<PathBuf, Error> {
    NODE.ensure(&cache_directory("control-plane")?)
}

/// Helm. This blocks, for minutes when it has to be built; so do the others.
pub fn helm() -> Result<PathBuf, Error> {
    ensure(&HELM)
}

/// The tool of Prometheus that checks rules, queries, and alerts against series.
pub fn promtool() -> Result<PathBuf, Error> {
    ensure(&PROMTOOL)
}

/// `argo-health SCRIPT` reads JSON objects and prints, a JSON line for each, the status and message that
/// Argo CD would show with this health check.
pub fn argo_health() -> Result<PathBuf, Error> {
    ensure(&ARGO_HEALTH)
}

fn ensure(module: &Module) -> Result<PathBuf, Error> {
    Ok(module
        .ensure(&cache_directory("control-plane")?)?
        .join(module.name))
}

#[cfg(test)]
mod tests {
    use super::{HELM, HELM_FLAGS, NODE, OLDEST, PROMTOOL};

    #[test]
    fn the_versions_are_those_that_are_pinned() {
        for (module, path) in [
            (&HELM, "helm.sh/helm/v3"),
            (&PROMTOOL, "github.com/prometheus/prometheus"),
            (&NODE, "k8s.io/kubernetes"),
            (&OLDEST, "k8s.io/kubernetes"),
        ] {
            let pin = format!("{path} v{} ", module.version);
            let (_, text) = module.files.first().unwrap();
            assert!(text.contains(&pin), "{pin}");
        }
        assert!(
            OLDEST
                .linker_flags
                .contains(&format!("gitVersion=v{} ", OLDEST.version))
        );
        assert!(HELM_FLAGS.contains(&format!("version=v{} ", HELM.version)));
    }
}
