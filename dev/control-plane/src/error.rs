//! What can go wrong while building, starting or using a control plane.

use std::path::PathBuf;

/// Why a control plane could not be built, started or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or a process of ours could not be handled.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// There is no Go to build with.
    #[error(
        "Go {needed} or newer is needed to build the control plane for tests, and there is no `go` on PATH: \
         install it, or set KUBEBUILDER_ASSETS to a directory with etcd, kube-apiserver, \
         kube-controller-manager and kubectl"
    )]
    NoGo {
        /// The oldest version that will do.
        needed: String,
    },
    /// The Go on PATH cannot build the pinned modules.
    #[error("Go {needed} or newer is needed to build the control plane for tests: {found}")]
    OldGo {
        /// The oldest version that will do.
        needed: String,
        /// What the Go on PATH says.
        found: String,
    },
    /// `go build` failed.
    #[error("building {name} failed:\n{output}")]
    Build {
        /// The binary.
        name: String,
        /// The end of what `go build` printed.
        output: String,
    },
    /// `KUBEBUILDER_ASSETS` names a directory without one of the binaries.
    #[error(
        "KUBEBUILDER_ASSETS ({}) has no {name}: add it there, or unset the variable to have all of them built",
        directory.display()
    )]
    MissingAsset {
        /// The directory.
        directory: PathBuf,
        /// The binary it lacks.
        name: &'static str,
    },
    /// A process of the control plane ended or stayed silent while starting.
    #[error("{name} did not start: {reason}\n{log}")]
    Start {
        /// The process.
        name: &'static str,
        /// What was observed.
        reason: String,
        /// The end of its log.
        log: String,
    },
    /// Keys or certificates could not be made.
    #[error("making keys and certificates: {0}")]
    Certificates(#[from] rcgen::Error),
    /// The API server refused a request, or could not be reached.
    #[error("{what}: {source}")]
    Kube {
        /// What was being done.
        what: String,
        /// What kube reported.
        source: Box<kube::Error>,
    },
    /// A command such as kubectl failed.
    #[error("{name} failed: {output}")]
    Command {
        /// The command.
        name: &'static str,
        /// What it printed.
        output: String,
    },
    /// Something was not text, YAML or JSON of the expected form.
    #[error("{what}: {reason}")]
    Malformed {
        /// What was being read.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something did not happen in time.
    #[error("{0} did not happen within {1:?}")]
    Timeout(String, std::time::Duration),
}

impl Error {
    /// Whether a build failed because Go modules cannot be downloaded here: a matter of the machine, not
    /// of what is built.
    pub fn is_without_modules(&self) -> bool {
        const SIGNS: [&str; 7] = [
            "dial tcp",
            "proxyconnect",
            "403 Forbidden",
            "no such host",
            "i/o timeout",
            "TLS handshake timeout",
            "module lookup disabled",
        ];
        matches!(self, Self::Build { output, .. } if SIGNS.iter().any(|sign| output.contains(sign)))
    }
}

/// Adds to an error what was being done.
pub(crate) trait Context<T> {
    fn context(self, what: impl Into<String>) -> Result<T, Error>;
}

impl<T> Context<T> for std::io::Result<T> {
    fn context(self, what: impl Into<String>) -> Result<T, Error> {
        self.map_err(|source| Error::Io {
            what: what.into(),
            source,
        })
    }
}

impl<T> Context<T> for kube::Result<T> {
    fn context(self, what: impl Into<String>) -> Result<T, Error> {
        self.map_err(|source| Error::Kube {
            what: what.into(),
            source: Box::new(source),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn a_machine_without_modules_is_told_from_a_build_that_is_broken() {
        let get = "main.go:15:2: a@v1: Get \"https://proxy.example/a/@v/v1.zip\": dial tcp";
        for (output, without) in [
            (
                format!("{get} 127.0.0.1:1: connect: connection refused"),
                true,
            ),
            (format!("{get}: lookup proxy.example: no such host"), true),
            (
                "main.go:15:2: module lookup disabled by GOPROXY=off".to_owned(),
                true,
            ),
            ("reading a@v1: 403 Forbidden".to_owned(), true),
            ("main.go:12:1: undefined: everything".to_owned(), false),
        ] {
            let error = Error::Build {
                name: "helm".to_owned(),
                output,
            };
            assert_eq!(error.is_without_modules(), without, "{error}");
        }
    }
}
