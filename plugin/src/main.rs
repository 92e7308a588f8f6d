//! The program `kubectl jira-credential`; what it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubectl_jira_credential::run()
}
