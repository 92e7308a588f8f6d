//! The binary: crypto provider, command line, run.

use std::process::ExitCode;

use clap::Parser;
use jira_credential_operator::cli::Cli;
use rustix::process::{Resource, Rlimit, setrlimit};

fn main() -> ExitCode {
    let cli = Cli::parse();
    forbid_core_dumps();
    // Chosen here once, so that no dependency can bring a second provider and a panic with it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("jira-credential-operator: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(cli.execute()) {
        Ok(()) => ExitCode::SUCCESS,
        // In the format of the other lines, once there are any.
        Err(failure) if tracing::dispatcher::has_been_set() => {
            tracing::error!(error = %failure, "stopped by an error");
            ExitCode::FAILURE
        }
        Err(failure) => {
            eprintln!("jira-credential-operator: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// A core dump would hold every token in memory, and a panic aborts the release build. Where the
/// limit cannot be lowered, the process runs on: lowering it needs no privilege.
fn forbid_core_dumps() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        eprintln!("jira-credential-operator: core dumps stay possible: {error}");
    }
}
