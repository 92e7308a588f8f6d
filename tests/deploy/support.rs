//! Programs that judge, and how to read what they print.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use control_plane::{Error, binaries};
use serde_json::Value;

/// The name of nearly everything that is installed, and its namespace.
pub(crate) const OPERATOR: &str = "jira-credential-operator";

/// Objects by kind and name.
pub(crate) type Objects = BTreeMap<(String, String), Value>;

/// A file of the repository.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

pub(crate) fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

/// A program that was built; `None`, with a line that says so, where Go modules cannot be downloaded.
pub(crate) fn built(name: &str, program: Result<PathBuf, Error>) -> Option<PathBuf> {
    match program {
        Err(error) if error.is_without_modules() => {
            // Past the harness, which hides what passing tests print.
            let _ = writeln!(
                std::io::stderr(),
                "skipped: {name} cannot be built without its Go modules"
            );
            None
        }
        other => Some(other.unwrap()),
    }
}

pub(crate) fn run(program: &Path, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

/// What a successful program printed.
pub(crate) fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The documents of a YAML text.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    all.into_iter().filter(|one| !one.is_null()).collect()
}

pub(crate) fn objects(text: &str) -> Objects {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut all = Objects::new();
    for object in documents(text) {
        let key = (word(&object["kind"]), word(&object["metadata"]["name"]));
        let twice = all.insert(key.clone(), object);
        assert!(twice.is_none(), "{key:?} is there twice");
    }
    all
}

/// What `kubectl apply -k` applies from a directory.
pub(crate) fn kustomized(directory: &str) -> String {
    let kubectl = binaries::ensure().unwrap().kubectl;
    printed(&run(&kubectl, &["kustomize", directory]))
}
