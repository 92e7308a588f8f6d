//! The command line.

use clap::{CommandFactory, Parser, Subcommand};

use crate::check::CheckArgs;
use crate::connect::ConnectArgs;
use crate::doctor::DoctorArgs;
use crate::failure::{Exit, Failure};
use crate::generate::{CompletionArgs, ManArgs};
use crate::login::LoginArgs;
use crate::renew::RenewArgs;
use crate::rotate::RotateArgs;
use crate::status::StatusArgs;

/// Shows Jira credentials in a cluster, validates them, and helps to replace them.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl jira-credential",
    bin_name = "kubectl jira-credential",
    version,
    about,
    after_help = "Exit codes: 0 done, 1 error, 2 wrong command line, 3 not ready or needs a person, 4 timed out, 130 interrupted."
)]
pub struct Cli {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the state of credentials, when they end, and who reads them.
    Status(StatusArgs),
    /// Have a credential validated or renewed now, and show the outcome.
    Renew(RenewArgs),
    /// Report what is not ready or ends soon, for CI: exit code 3 when there is anything.
    Check(CheckArgs),
    /// Look for what keeps credentials from working: rights, installation, Secrets, status.
    Doctor(DoctorArgs),
    /// Replace an API token or personal access token: validate the new one, then store it.
    Rotate(RotateArgs),
    /// Consent in the browser, to an app of OAuth 2.0 or an application link: the first time, and again.
    Login(Box<LoginArgs>),
    /// Print a completion script for a shell.
    Completion(CompletionArgs),
    /// Print a man page.
    Man(ManArgs),
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// When it cannot be done.
    pub async fn execute(self) -> Result<Exit, Failure> {
        match self.command {
            Command::Status(args) => args.run(&self.connect.connect().await?).await,
            Command::Renew(args) => args.run(&self.connect.connect().await?).await,
            Command::Check(args) => args.run(&self.connect.connect().await?).await,
            Command::Doctor(args) => args.run(&self.connect.connect().await?).await,
            Command::Rotate(args) => args.run(&self.connect.connect().await?).await,
            Command::Login(args) => Box::pin(args.run(&self.connect.connect().await?)).await,
            Command::Completion(args) => args.run(&mut Self::command()),
            Command::Man(args) => args.run(Self::command()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_client_id_may_begin_with_a_hyphen() {
        let given = [
            "kubectl-jira_credential",
            "login",
            "bot",
            "--client-id",
            "-k4",
        ];
        assert!(Cli::try_parse_from(given).is_ok());
    }
}
