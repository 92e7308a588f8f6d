//! The binary: crypto provider, command line, run.

use std::process::ExitCode;

use clap::Parser;
use jira_credential_operator::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
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
        Err(failure) => {
            eprintln!("jira-credential-operator: {failure}");
            ExitCode::FAILURE
        }
    }
}
