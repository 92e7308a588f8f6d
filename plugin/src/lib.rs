//! The kubectl plugin `jira-credential`: what a person asks about Jira credentials, and does with
//! them. One module per command; the types, the rules of hosts and the calls of Jira are those of the
//! operator.

pub mod check;
pub mod cli;
pub mod connect;
pub mod doctor;
pub mod failure;
pub mod generate;
pub mod login;
pub mod output;
pub mod prompt;
pub mod renew;
pub mod rotate;
pub mod select;
pub mod status;
pub mod table;
pub mod text;
pub mod wait;
pub mod words;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::failure::{Exit, Failure};

/// Reads the command line, does what it says, and returns the exit code of the process.
pub fn run() -> ExitCode {
    // On a wrong command line clap prints what is wrong and exits with 2.
    let cli = Cli::parse();
    match execute(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit.into()
        }
    }
}

fn execute(cli: Cli) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::error(format!("the program cannot start: {error}")))?;
    let done = runtime.block_on(async {
        tokio::select! {
            // From the start on: an interrupt that ended the process at a prompt would leave the terminal
            // without echo.
            biased;
            Ok(()) = tokio::signal::ctrl_c() => Err(Failure::new(
                Exit::Interrupted,
                "interrupted; what was stored until now stays stored",
            )),
            done = cli.execute() => done,
        }
    });
    // A lookup of a name that is under way holds nobody up.
    runtime.shutdown_background();
    done
}
