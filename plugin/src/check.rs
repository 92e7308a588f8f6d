//! `check`: for CI. One line per finding, and an exit code that tells whether there are any.

use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, ValueEnum};
use jira_credential_operator::api::ConditionStatus;
use jira_credential_operator::clock::Clock;
use serde::Serialize;

use crate::connect::Cluster;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::select::Selection;
use crate::status::report::Report;
use crate::words;

/// `check [NAME...]`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    #[command(flatten)]
    selection: Selection,
    /// Also report what ends within this time and is not renewed by the operator.
    #[arg(long, default_value = "14d", value_parser = words::period, value_name = "TIME")]
    within: TimeDelta,
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

/// What is wrong with one credential.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// What kind of finding.
    pub kind: Kind,
    /// What it is, and what to do.
    pub message: String,
    /// When something ends, if that is the finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<DateTime<Utc>>,
}

/// What kind of finding. Words of the output for programs; they do not change.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// `Ready` is not True.
    NotReady,
    /// The operator has not seen the present spec.
    NotSeen,
    /// Something ends soon, or has ended.
    Ends,
}

/// What `-o json` prints.
#[derive(Serialize)]
struct Checked<'a> {
    checked: usize,
    findings: &'a [Finding],
}

impl CheckArgs {
    /// Prints the findings.
    ///
    /// # Errors
    /// When a request fails.
    pub async fn run(&self, cluster: &Cluster) -> Result<Exit, Failure> {
        let now = Clock::system().now();
        let objects = self.selection.read(cluster).await?;
        let reports = objects.iter().map(Report::of);
        let findings: Vec<Finding> = reports
            .flat_map(|report| findings(&report, now, self.within))
            .collect();
        match self.output {
            Some(Programs::Json) => output::print(&output::json(&Checked {
                checked: objects.len(),
                findings: &findings,
            })?)?,
            None => {
                let lines = findings.iter().map(Finding::line);
                output::print(&lines.collect::<String>())?;
                output::progress(&format!(
                    "{} checked, {} with findings",
                    objects.len(),
                    with_findings(&findings)
                ));
            }
        }
        Ok(if findings.is_empty() {
            Exit::Done
        } else {
            Exit::NotReady
        })
    }
}

fn with_findings(findings: &[Finding]) -> usize {
    let mut names: Vec<(&str, &str)> = findings
        .iter()
        .map(|finding| (finding.namespace.as_str(), finding.name.as_str()))
        .collect();
    names.dedup();
    names.len()
}

impl Finding {
    fn line(&self) -> String {
        let message = output::plain(&self.message);
        format!("{}/{}: {message}\n", self.namespace, self.name)
    }
}

/// What is wrong with a credential now, or will be within a time.
pub fn findings(report: &Report, now: DateTime<Utc>, within: TimeDelta) -> Vec<Finding> {
    let finding = |kind, message, ends_at| Finding {
        namespace: report.namespace.clone(),
        name: report.name.clone(),
        kind,
        message,
        ends_at,
    };
    let mut found = Vec::new();
    if !report.up_to_date {
        let step = report.next_step.clone().unwrap_or_default();
        found.push(finding(Kind::NotSeen, step, None));
    } else if report.ready != ConditionStatus::True {
        let message = report.message.clone().unwrap_or_default();
        let message = format!("not ready ({}): {message}", report.reason_word());
        found.push(finding(Kind::NotReady, message, None));
    }
    // An end that the operator moves is its own affair until it fails, which `Ready` tells.
    let ends = report.clocks.iter().filter(|ends| !ends.renewed);
    for ends in ends.filter(|ends| ends.ends_at - now <= within) {
        let verb = if ends.ends_at <= now { "ended" } else { "ends" };
        let message = format!("{} {verb} {}", ends.kind.word(), ends.words(now));
        found.push(finding(Kind::Ends, message, Some(ends.ends_at)));
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use jira_credential_operator::api::JiraCredential;
    use serde_json::{Value, json};

    use super::*;

    fn told(status: &Value, within: &str) -> Vec<String> {
        let object: JiraCredential = serde_json::from_value(json!({
            "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
            "metadata": {"name": "bot", "namespace": "team", "generation": 2},
            "spec": {"site": "https://acme.atlassian.net", "auth": {
                "apiToken": {"email": "a@acme.example", "tokenSecretRef": {"name": "s", "key": "t"}},
            }},
            "status": status,
        }))
        .unwrap();
        let now = "2027-01-15T08:00:00Z".parse().unwrap();
        let found = findings(&Report::of(&object), now, words::period(within).unwrap());
        found.iter().map(Finding::line).collect()
    }

    fn ready(status: &str, reason: &str, ends: Option<&str>) -> Value {
        json!({"observedGeneration": 2, "expiresAt": ends, "conditions": [{
            "type": "Ready", "status": status, "reason": reason, "message": "Do\nthis.",
            "lastTransitionTime": "2027-01-01T00:00:00Z",
        }]})
    }

    #[test]
    fn each_finding_is_one_line() {
        let ends = Some("2027-01-25T08:00:00Z");
        let oauth = json!({"method": "OAuth2"});
        let mut renewed = ready("True", "Validated", Some("2027-01-15T09:00:00Z"));
        renewed["method"] = oauth["method"].clone();
        let mut unseen = ready("True", "Validated", None);
        unseen["observedGeneration"] = json!(1);
        for (name, status, within, expected) in [
            ("well", ready("True", "Validated", None), "14d", vec![]),
            (
                "refused",
                ready("False", "Rejected", None),
                "14d",
                vec!["team/bot: not ready (Rejected): Do this.\n"],
            ),
            (
                "ends within the time",
                ready("True", "Validated", ends),
                "14d",
                vec!["team/bot: credential ends in 10d\n"],
            ),
            ("ends later", ready("True", "Validated", ends), "9d", vec![]),
            (
                "has ended",
                ready("False", "Expired", Some("2027-01-10T08:00:00Z")),
                "1d",
                vec![
                    "team/bot: not ready (Expired): Do this.\n",
                    "team/bot: credential ended 5d ago\n",
                ],
            ),
            ("is renewed", renewed, "14d", vec![]),
            (
                "an old status",
                unseen,
                "14d",
                vec![
                    "team/bot: The operator has not seen the present spec yet; if that stays so, see kubectl jira-credential doctor.\n",
                ],
            ),
            (
                "no status",
                json!({}),
                "14d",
                vec![
                    "team/bot: The operator has not looked at it yet; if that stays so, see kubectl jira-credential doctor.\n",
                ],
            ),
        ] {
            assert_eq!(told(&status, within), expected, "{name}");
        }
    }
}
