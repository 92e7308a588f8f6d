//! Building the binaries, with a stand-in for Go that takes no time.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Notes what it builds, waits for permission where told to, and "builds".
const GO: &str = r#"#!/bin/sh
if [ "$1" = env ]; then echo "${FAKE_GO_VERSION:-go1.26.3}"; exit; fi
while [ $# -gt 1 ]; do
    if [ "$1" = -o ]; then output=$2; fi
    shift
done
[ "$GOFLAGS $CGO_ENABLED" = "-mod=readonly 0" ] && [ -s go.mod ] && [ -s go.sum ] || exit 1
echo "$1" >>"$FAKE_GO/built"
if [ "$1" = "$FAKE_GO_BROKEN" ]; then echo "undefined: everything" >&2; exit 1; fi
if [ "$1" = "$FAKE_GO_SLOW" ]; then
    # Without its folder the test is over.
    while [ -d "$FAKE_GO" ] && [ ! -e "$FAKE_GO/go-on" ]; do sleep 0.02; done
fi
echo "$1" >"$output"
"#;

const API_SERVER: &str = "k8s.io/kubernetes/cmd/kube-apiserver";
const ALL: [&str; 5] = [
    ".",
    "go.etcd.io/etcd/server/v3",
    "k8s.io/kubernetes/cmd/kube-apiserver",
    "k8s.io/kubernetes/cmd/kube-controller-manager",
    "k8s.io/kubernetes/cmd/kubectl",
];

struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for directory in ["bin", "cache"] {
            fs::create_dir(machine.path(directory)).unwrap();
        }
        let go = machine.path("bin/go");
        fs::write(&go, GO).unwrap();
        fs::set_permissions(go, fs::Permissions::from_mode(0o755)).unwrap();
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_control-plane"));
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        command
            .arg("build")
            .env_clear()
            .env("PATH", path)
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("FAKE_GO", self.0.path())
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(
                fs::File::options()
                    .create(true)
                    .append(true)
                    .open(self.path("said"))
                    .unwrap(),
            );
        command
    }

    fn start(&self, variables: &[(&str, &str)]) -> Child {
        self.command(variables).spawn().unwrap()
    }

    fn fails(&self, variables: &[(&str, &str)]) -> String {
        assert!(!self.command(variables).status().unwrap().success());
        self.read("said")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// What was built so far, in order of the alphabet.
    fn built(&self) -> Vec<String> {
        let mut built: Vec<String> = self.read("built").lines().map(ToOwned::to_owned).collect();
        built.sort();
        built
    }

    fn wait_for(&self, name: &str, text: &str, times: usize) {
        let begun = Instant::now();
        while self.read(name).matches(text).count() < times {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "{name}: {}",
                self.read(name)
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn assert_paths_exist(output: &Output) {
    assert!(output.status.success());
    let paths = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(paths.lines().count(), 5);
    assert!(
        paths.lines().all(|path| Path::new(path).is_file()),
        "{paths}"
    );
}

#[test]
fn many_at_once_build_once() {
    let machine = Machine::new();
    let slow = [("FAKE_GO_SLOW", API_SERVER)];
    let first = machine.start(&slow);
    machine.wait_for("built", API_SERVER, 1);
    let others = [machine.start(&slow), machine.start(&slow)];
    machine.wait_for(
        "said",
        "Waiting for another process that is building etcd",
        2,
    );
    fs::write(machine.path("go-on"), "").unwrap();
    for child in std::iter::once(first).chain(others) {
        assert_paths_exist(&child.wait_with_output().unwrap());
    }
    assert_eq!(machine.built(), ALL);
    let said = machine.read("said");
    assert!(
        said.contains("from Go modules: about 5 minutes on 2 cores, once"),
        "{said}"
    );

    // And never again.
    assert_paths_exist(&machine.command(&[]).output().unwrap());
    assert_eq!(machine.built(), ALL);
}

#[test]
fn an_interrupted_build_goes_on_where_it_was() {
    let machine = Machine::new();
    let mut interrupted = machine.start(&[("FAKE_GO_SLOW", API_SERVER)]);
    machine.wait_for("built", API_SERVER, 1);
    interrupted.kill().unwrap();
    interrupted.wait().unwrap();

    assert_paths_exist(&machine.command(&[]).output().unwrap());
    // The orphan may end now.
    fs::write(machine.path("go-on"), "").unwrap();
    let mut expected = ALL.to_vec();
    expected.insert(2, API_SERVER);
    assert_eq!(machine.built(), expected);
}

#[test]
fn a_failed_build_says_what_the_compiler_said_and_is_tried_again() {
    let machine = Machine::new();
    let said = machine.fails(&[("FAKE_GO_BROKEN", API_SERVER)]);
    assert!(
        said.contains("building kube-apiserver failed:\nundefined: everything"),
        "{said}"
    );
    assert_paths_exist(&machine.command(&[]).output().unwrap());
}

#[test]
fn without_a_go_that_will_do_one_sentence_says_so() {
    let machine = Machine::new();
    let said = machine.fails(&[("FAKE_GO_VERSION", "go1.19.2")]);
    assert!(said.contains("Go 1.26.0 or newer is needed"), "{said}");
    assert!(said.trim_end().ends_with("go1.19.2"), "{said}");

    fs::remove_file(machine.path("bin/go")).unwrap();
    let said = machine.fails(&[("PATH", machine.path("bin").to_str().unwrap())]);
    assert!(said.contains("there is no `go` on PATH"), "{said}");
}

#[test]
fn ready_made_binaries_are_used_when_all_are_there() {
    let machine = Machine::new();
    let assets = machine.path("assets");
    fs::create_dir(&assets).unwrap();
    for name in ["etcd", "kube-apiserver", "kubectl"] {
        fs::write(assets.join(name), "").unwrap();
    }
    let variables = [("KUBEBUILDER_ASSETS", assets.to_str().unwrap())];
    let said = machine.fails(&variables);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("has no kube-controller-manager"), "{said}");

    fs::write(assets.join("kube-controller-manager"), "").unwrap();
    let output = machine.command(&variables).output().unwrap();
    assert_paths_exist(&output);
    assert!(
        output
            .stdout
            .starts_with(assets.to_str().unwrap().as_bytes())
    );
    assert_eq!(machine.built(), ["."], "only kstatus is ours alone");
}
