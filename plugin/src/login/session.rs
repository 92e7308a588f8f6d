//! What every step of a login needs.

use jira_credential_operator::jira::Jira;

use crate::connect::Cluster;
use crate::login::args::LoginArgs;
use crate::login::input::Input;

/// A login that runs.
pub struct Session<'a> {
    /// The command line.
    pub args: &'a LoginArgs,
    /// The API server.
    pub cluster: &'a Cluster,
    /// The client of the operator.
    pub jira: Jira,
    /// What a person types.
    pub input: Input,
}
