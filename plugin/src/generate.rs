//! Completion scripts and man pages, made from the command line itself.

use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;

use crate::failure::{Exit, Failure};
use crate::output;

/// The program as kubectl looks for it: `_` stands for the `-` of `kubectl jira-credential`.
pub const PROGRAM: &str = "kubectl-jira_credential";

/// `completion SHELL`.
#[derive(Args, Clone, Debug)]
pub struct CompletionArgs {
    /// The shell.
    shell: ShellName,
}

/// The shells that there are scripts for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum ShellName {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

impl CompletionArgs {
    /// Prints the script for this command line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn run(&self, program: &mut Command) -> Result<Exit, Failure> {
        let shell = match self.shell {
            ShellName::Bash => Shell::Bash,
            ShellName::Zsh => Shell::Zsh,
            ShellName::Fish => Shell::Fish,
            ShellName::Powershell => Shell::PowerShell,
        };
        let mut script = Vec::new();
        clap_complete::generate(shell, program, PROGRAM, &mut script);
        output::print(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Done)
    }
}

/// `man [COMMAND]`.
#[derive(Args, Clone, Debug)]
pub struct ManArgs {
    /// A command; otherwise the page of the program.
    command: Option<String>,
}

impl ManArgs {
    /// Prints the page of this command line, as troff.
    ///
    /// # Errors
    /// When there is no such command.
    pub fn run(&self, program: Command) -> Result<Exit, Failure> {
        let mut program = program.name(PROGRAM);
        program.build();
        let page = match &self.command {
            None => program,
            Some(name) => {
                // Its full name is made by `build`.
                program.find_subcommand(name).cloned().ok_or_else(|| {
                    Failure::new(
                        Exit::Usage,
                        format!("there is no command {name}; see kubectl jira-credential --help"),
                    )
                })?
            }
        };
        let mut text = Vec::new();
        clap_mangen::Man::new(page)
            .render(&mut text)
            .map_err(|error| Failure::error(format!("the man page: {error}")))?;
        output::print(&String::from_utf8_lossy(&text))?;
        Ok(Exit::Done)
    }
}
