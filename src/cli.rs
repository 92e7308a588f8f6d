//! The command line. Every flag has an environment variable.

mod failure;
mod network_flags;
mod notify_flags;
mod process;
mod proxy_flags;
mod run_args;
mod values;

use clap::{Parser, Subcommand};

use crate::cli::failure::failed;
use crate::cli::run_args::RunArgs;
use crate::crd;

pub use failure::Failure;

/// Keeps Jira credentials alive: validates and renews them, publishes them as Secrets, flags what
/// is to be rotated.
#[derive(Debug, Parser)]
#[command(name = "jira-credential-operator", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator.
    Run(Box<RunArgs>),
    /// Print the definition of the custom resource.
    Crd,
    /// Print the version.
    Version,
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// When the operator cannot start.
    pub async fn execute(self) -> Result<(), Failure> {
        match self.command {
            Command::Run(args) => process::run(*args).await,
            Command::Crd => {
                print!(
                    "{}",
                    crd::yaml().map_err(failed("the CustomResourceDefinition"))?
                );
                Ok(())
            }
            Command::Version => {
                println!("jira-credential-operator {}", env!("CARGO_PKG_VERSION"));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn an_empty_list_of_namespaces_means_all() {
        let parsed = |list: &str| {
            let line = [
                "jira-credential-operator",
                "run",
                "--watch-namespaces",
                list,
            ];
            match Cli::try_parse_from(line).unwrap().command {
                Command::Run(args) => args.watched_namespaces(),
                Command::Crd | Command::Version => panic!("not run"),
            }
        };
        assert_eq!(parsed("a,b").unwrap(), ["a", "b"]);
        assert!(parsed("").unwrap().is_empty());
        for list in [",", "a,", ",a", "a,,b"] {
            assert!(parsed(list).is_err(), "{list}");
        }
    }
    /// An operator for all would make those of other shards stop.
    #[test]
    fn an_empty_selector_is_a_mistake() {
        let line = ["jira-credential-operator", "run", "--leader-elect"];
        let shard = |more: &[&str]| match Cli::try_parse_from(line.iter().chain(more))
            .unwrap()
            .command
        {
            Command::Run(args) => args.shard(),
            Command::Crd | Command::Version => panic!("not run"),
        };
        assert!(shard(&[]).unwrap().is_none());
        assert!(shard(&["--shard-selector", "shard=a"]).unwrap().is_some());
        for empty in ["", "  "] {
            let refused = shard(&["--shard-selector", empty]).unwrap_err();
            assert!(refused.contains("leave it out"), "{refused}");
        }
    }
}
