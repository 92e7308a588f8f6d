//! Installs the clients, pinned, into the user's cache directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use control_plane::go_build::{Module, Target, cache_directory};

const REQUIREMENTS: &str = include_str!("clients/requirements.txt");
const PACKAGE: &str = include_str!("clients/package.json");
const PACKAGE_LOCK: &str = include_str!("clients/package-lock.json");

static GO_CLIENTS: Module = Module {
    name: "consumers",
    version: "1",
    files: &[
        ("go.mod", include_str!("go/go.mod")),
        ("go.sum", include_str!("go/go.sum")),
        ("main.go", include_str!("go/main.go")),
    ],
    linker_flags: "-s -w",
    tags: "",
    targets: &[
        Target {
            name: "jira",
            package: "github.com/ankitpokhrel/jira-cli/cmd/jira",
        },
        Target {
            name: "amtool",
            package: "github.com/prometheus/alertmanager/cmd/amtool",
        },
        Target {
            name: "alertmanager-notify",
            package: ".",
        },
    ],
    estimate: "about 4 minutes on 2 cores, once",
};

/// Why a client is not there.
#[derive(Clone, Debug)]
pub(crate) enum Missing {
    /// This machine lacks a program, or the way to a registry of packages.
    Here(String),
    /// What is pinned cannot be installed.
    Broken(String),
}

/// Where the clients are.
pub(crate) struct Tools {
    /// The system's curl.
    pub(crate) curl: Result<PathBuf, Missing>,
    /// The interpreter that knows the packages.
    pub(crate) python: Result<PathBuf, Missing>,
    /// A folder with `node_modules`.
    pub(crate) node: Result<PathBuf, Missing>,
    /// A folder with the programs written in Go.
    pub(crate) go: Result<PathBuf, Missing>,
}

impl Tools {
    pub(crate) fn install() -> Self {
        let cache = cache_directory("consumers").map_err(|error| Missing::Here(error.to_string()));
        let cache = cache.as_deref().map_err(Missing::clone);
        Self {
            curl: curl(),
            python: cache.clone().and_then(python),
            node: cache.clone().and_then(node),
            go: cache.and_then(go),
        }
    }
}

fn curl() -> Result<PathBuf, Missing> {
    run(Command::new("curl").arg("--version"))?;
    Ok("curl".into())
}

fn go(cache: &Path) -> Result<PathBuf, Missing> {
    GO_CLIENTS.ensure(cache).map_err(|error| {
        let here = error.is_without_modules() || matches!(error, control_plane::Error::NoGo { .. });
        let text = error.to_string();
        if here {
            Missing::Here(text)
        } else {
            Missing::Broken(text)
        }
    })
}

fn python(cache: &Path) -> Result<PathBuf, Missing> {
    let version = run(Command::new("python3").arg("--version"))?;
    let place = Place::of(cache, "python", &[REQUIREMENTS, &version]);
    place.fill("the Python clients (about a minute, once)", |folder| {
        fs::write(folder.join("requirements.txt"), REQUIREMENTS).map_err(text)?;
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/python"));
        // Not quietly: that an index refuses is said as information only.
        pip.args(["-m", "pip", "install", "--no-deps"]);
        pip.args(["--disable-pip-version-check", "--only-binary", ":all:"]);
        run(pip.arg("-r").arg(folder.join("requirements.txt")))
    })?;
    Ok(place.folder.join("bin/python"))
}

fn node(cache: &Path) -> Result<PathBuf, Missing> {
    run(Command::new("node").arg("--version"))?;
    let place = Place::of(cache, "node", &[PACKAGE, PACKAGE_LOCK]);
    place.fill("jira.js (some seconds, once)", |folder| {
        fs::write(folder.join("package.json"), PACKAGE).map_err(text)?;
        fs::write(folder.join("package-lock.json"), PACKAGE_LOCK).map_err(text)?;
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        run(npm.current_dir(folder))
    })?;
    Ok(place.folder)
}

/// A folder of the cache that is filled once.
struct Place {
    folder: PathBuf,
    complete: PathBuf,
    lock: PathBuf,
}

impl Place {
    /// Another folder for other contents.
    fn of(cache: &Path, name: &str, contents: &[&str]) -> Self {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        for content in contents {
            context.update(content.as_bytes());
            context.update(&[0]);
        }
        let digest = context.finish();
        let mut hex = data_encoding::HEXLOWER.encode(digest.as_ref());
        hex.truncate(16);
        Self {
            folder: cache.join(format!("{name}-{hex}")),
            complete: cache.join(format!("{name}-{hex}.complete")),
            lock: cache.join(format!("{name}-{hex}.lock")),
        }
    }

    fn fill(
        &self,
        what: &str,
        install: impl FnOnce(&Path) -> Result<String, Missing>,
    ) -> Result<(), Missing> {
        fs::create_dir_all(self.lock.parent().unwrap()).map_err(text)?;
        let lock = fs::File::create(&self.lock).map_err(text)?;
        lock.lock().map_err(text)?;
        if self.complete.exists() {
            return Ok(());
        }
        eprintln!("Installing {what}.");
        let begun = Instant::now();
        // What an installation that was broken off has left.
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).map_err(text)?;
        }
        fs::create_dir_all(&self.folder).map_err(text)?;
        install(&self.folder)?;
        fs::write(&self.complete, "").map_err(text)?;
        eprintln!("Installed in {} s.", begun.elapsed().as_secs());
        Ok(())
    }
}

/// What a program says when it does not reach a registry, or when the interpreter of the system is without
/// its installer.
const NOT_TO_BE_HAD: [&str; 15] = [
    "NewConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
    "Temporary failure in name resolution",
    "Network is unreachable",
    "HTTP error 403",
    "403 Client Error",
    "E403",
    "ensurepip",
    "ENOTFOUND",
    "EAI_AGAIN",
    "ETIMEDOUT",
    "ECONNREFUSED",
    "ECONNRESET",
];

/// Whether this machine cannot have what is pinned. A pin that is mistyped, or that was withdrawn, is
/// wrong on every machine.
fn is_not_to_be_had(told: &str) -> bool {
    // The package is there, for another version of Python.
    let is_for_another_python =
        told.contains("No matching distribution found") && told.contains("Requires-Python");
    is_for_another_python || NOT_TO_BE_HAD.iter().any(|sign| told.contains(sign))
}

/// Judges what the installers say of pins and networks.
pub(crate) fn check_what_is_skipped() -> Result<(), String> {
    const WRONG_PIN: &str = "ERROR: Could not find a version that satisfies the requirement jira==3.10.55 (from versions: 3.10.4, 3.10.5)\nERROR: No matching distribution found for jira==3.10.55";
    let other_python = format!(
        "ERROR: Ignored the following versions that require a different python version: 3.10.55 Requires-Python >=3.15\n{WRONG_PIN}"
    );
    let cases = [
        (WRONG_PIN, false),
        (other_python.as_str(), true),
        (
            "npm error code E404\nnpm error 404 '@types/node@24.40300.0' is not in this registry.",
            false,
        ),
        (
            "npm error code EINTEGRITY\nnpm error sha512-0403 integrity checksum failed",
            false,
        ),
        ("npm error code E403\nnpm error 403 Forbidden", true),
        (
            "ERROR: HTTP error 403 while getting https://pypi.example/jira.whl",
            true,
        ),
        (
            "Could not fetch URL https://pypi.example/simple/jira/: 403 Client Error: Forbidden - skipping",
            true,
        ),
        ("npm error code ENOTFOUND", true),
    ];
    for (told, expected) in cases {
        if is_not_to_be_had(told) != expected {
            return Err(format!(
                "is skipped: {}, expected {expected}: {told}",
                !expected
            ));
        }
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<String, Missing> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| Missing::Here(format!("{program}: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = errors.lines().rev().take(3).collect();
    let text = format!("{program}: {}", last.join("; "));
    let told = String::from_utf8_lossy(&output.stdout);
    if is_not_to_be_had(&format!("{told}\n{errors}")) {
        Err(Missing::Here(text))
    } else {
        Err(Missing::Broken(text))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err has it")]
fn text(error: std::io::Error) -> Missing {
    Missing::Broken(error.to_string())
}
