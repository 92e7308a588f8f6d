//! `doctor`: looks for what keeps credentials from working, and says what to do.

pub mod credential;
pub mod finding;
pub mod installation;
pub mod rights;
pub mod source;

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};
use futures::{StreamExt, TryStreamExt, stream};
use jira_credential_operator::api::JiraCredential;
use kube::api::ListParams;
use serde::Serialize;

use crate::connect::{Cluster, failed, timed_out};
use crate::doctor::finding::{Finding, Level};
use crate::failure::{Exit, Failure};
use crate::output::{self, Style};
use crate::select::{Selection, sorted};

/// How many credentials are looked at at the same time.
const AT_ONCE: usize = 8;

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
    /// When the time of a request runs out, or the API server cannot be asked at all; a missing right is
    /// a finding.
    pub async fn run(&self, cluster: &Cluster) -> Result<Exit, Failure> {
        let mut findings = rights::examine(cluster, self.selection.all_namespaces).await?;
        let asked = (!self.selection.all_namespaces).then_some(cluster.namespace.as_str());
        findings.extend(installation::examine(cluster, &self.operator_namespace, asked).await?);
        let (objects, unread) = self.credentials(cluster).await?;
        findings.extend(unread);
        let examined = stream::iter(&objects)
            .map(|object| credential::examine(cluster, object))
            .buffered(AT_ONCE);
        let examined: Vec<Vec<Finding>> = examined.try_collect().await?;
        findings.extend(examined.into_iter().flatten());
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
    /// The credentials, and what is found instead of those that cannot be read.
    async fn credentials(
        &self,
        cluster: &Cluster,
    ) -> Result<(Vec<JiraCredential>, Vec<Finding>), Failure> {
        let names: BTreeSet<&String> = self.selection.names.iter().collect();
        let api = self.selection.api(cluster);
        if names.is_empty() {
            let what = "list JiraCredentials";
            let read = cluster.within(api.list(&ListParams::default())).await;
            return Ok(match read.ok_or_else(|| timed_out(what))? {
                Ok(list) => (sorted(list.items), Vec::new()),
                Err(error) => (Vec::new(), vec![unread("credentials", what, &error)]),
            });
        }
        let (mut objects, mut findings) = (Vec::new(), Vec::new());
        for name in names {
            let about = format!("{}/{name}", cluster.namespace);
            let what = format!("read the JiraCredential {about}");
            let read = cluster.within(api.get_opt(name)).await;
            match read.ok_or_else(|| timed_out(&what))? {
                Ok(Some(object)) => objects.push(object),
                Ok(None) => findings.push(Finding::new(
                    Level::Bad,
                    about,
                    "there is no JiraCredential of this name",
                    "check name and namespace: kubectl get jiracredentials -A lists all",
                )),
                Err(error) => findings.push(unread(&about, &what, &error)),
            }
        }
        Ok((objects, findings))
    }
}

/// What it means that credentials cannot be read: what the caller may not know is not known to be bad.
fn unread(about: &str, what: &str, error: &kube::Error) -> Finding {
    let code = match error {
        kube::Error::Api(status) => status.code,
        _ => 0,
    };
    let (level, next) = match code {
        401 => (Level::Unknown, "log in to the cluster again"),
        403 => (Level::Unknown, "ask an administrator for the right"),
        404 => (
            Level::Bad,
            "install the CustomResourceDefinition: kubectl apply --server-side -f crds/jiracredentials.yaml",
        ),
        _ => (Level::Bad, "check the connection with kubectl cluster-info"),
    };
    Finding::new(level, about, failed(what, error).message, next)
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn what_may_not_be_read_is_unknown_and_not_bad() {
        for (code, level) in [
            (401, Level::Unknown),
            (403, Level::Unknown),
            (404, Level::Bad),
            (500, Level::Bad),
        ] {
            let status = Status::failure("no", "").with_code(code);
            let found = unread("credentials", "list", &kube::Error::Api(Box::new(status)));
            assert_eq!(found.level, level, "{code}");
        }
    }
}
