//! Has cargo build a binary and tells where it is.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::failure::{Outcome, While as _, fail};
use crate::root;

/// The cargo that runs us, or the one on the search path.
pub(crate) fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root()).kill_on_drop(true);
    command
}

/// Builds the binary `name` with these arguments. On a terminal cargo shows its progress; else it
/// is heard only when it fails.
pub(crate) async fn build(name: &str, arguments: &[&str], terminal: bool) -> Outcome<PathBuf> {
    run(cargo(), name, arguments, terminal).await
}

/// Builds what only measures: optimised, but without the time that the last per cent takes.
pub(crate) async fn build_quickly(name: &str, terminal: bool) -> Outcome<PathBuf> {
    let mut command = cargo();
    command
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    run(command, name, &["--release", "-p", name], terminal).await
}

/// Builds with a command of this cargo.
pub(crate) async fn run(
    mut command: Command,
    name: &str,
    arguments: &[&str],
    terminal: bool,
) -> Outcome<PathBuf> {
    command
        .args([
            "build",
            "--message-format=json-render-diagnostics",
            "--bin",
            name,
        ])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(if terminal {
            Stdio::inherit()
        } else {
            Stdio::piped()
        });
    let child = match command.spawn() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return fail(
                "cargo is needed to build the operator, and it is not on PATH: install Rust from https://rustup.rs",
            );
        }
        other => other.while_("running cargo")?,
    };
    let output = child.wait_with_output().await.while_("running cargo")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return fail(format!("building {name} failed\n{}", said.trim_end()));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let executable = messages.lines().rev().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let named = message.pointer("/target/name")?.as_str()? == name;
        let path = message.get("executable")?.as_str()?;
        named.then(|| PathBuf::from(path))
    });
    executable.map_or_else(|| fail(format!("cargo built no {name}")), Ok)
}
