//! `doctor`: looks for what keeps credentials from working, and says what to do.

pub mod credential;
pub mod finding;
pub mod installation;
pub mod rights;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::connect::Cluster;
use crate::doctor::finding::{Finding, Level};
use crate::failure::{Exit, Failure};
use crate::output::{self, Style};
use crate::select::Selection;

/// `doctor [NAME...]`.
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    #[command(flatten)]
    selection: Selection,
    /// Namespace of the operator.
    #[arg(
        long,
        default_value = "jira-credential-operator",
        value_name = "NAMESPACE"
    )]
    operator_namespace: String,
    /// Output format.
    #[arg(short, long, value_enum)]
    output: Option<Programs>,
}

/// How findings are printed for programs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Programs {
    /// JSON.
    Json,
}

/// What `-o json` prints.
#[derive(Serialize)]
struct Examined<'a> {
    findings: &'a [Finding],
}

impl DoctorArgs {
    /// Prints the findings. A bad one ends the command with 3.
    ///
    /// # Errors
    /// When the time of a request runs out; a missing right is a finding.
    pub async fn run(&self, cluster: &Cluster) -> Result<Exit, Failure> {
        let mut findings = rights::examine(cluster, self.selection.all_namespaces).await?;
        findings.extend(installation::examine(cluster, &self.operator_namespace).await?);
        match self.selection.read(cluster).await {
            Ok(objects) => {
                for object in &objects {
                    findings.extend(credential::examine(cluster, object).await);
                }
            }
            Err(failure) if failure.exit == Exit::TimedOut => return Err(failure),
            Err(failure) => findings.push(Finding::new(
                Level::Bad,
                "credentials",
                failure.message,
                "get the right, or install the CustomResourceDefinition",
            )),
        }
        let style = Style::of_stdout();
        let text = match self.output {
            Some(Programs::Json) => output::json(&Examined {
                findings: &findings,
            })?,
            None => findings.iter().map(|one| one.text(style)).collect(),
        };
        output::print(&text)?;
        let is_bad = findings.iter().any(|one| one.level == Level::Bad);
        Ok(if is_bad { Exit::NotReady } else { Exit::Done })
    }
}
