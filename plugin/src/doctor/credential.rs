//! One credential: what its spec reads, and what the operator says. The network of the laptop is not
//! asked: what the operator reaches is another matter.

use jira_credential_operator::api::{ConditionStatus, ConditionType, JiraCredential, Reason};
use kube::ResourceExt;

use crate::connect::Cluster;
use crate::doctor::finding::{Finding, Level};
use crate::doctor::source;
use crate::failure::Failure;
use crate::status::report::{Report, word};

/// Looks at one credential. A request that is refused is a finding, too.
///
/// # Errors
/// When the time of a request runs out.
pub async fn examine(cluster: &Cluster, object: &JiraCredential) -> Result<Vec<Finding>, Failure> {
    let namespace = object.namespace().unwrap_or_default();
    let about = format!("{namespace}/{}", object.name_any());
    let mut findings = source::examine(cluster, &about, object).await?;
    findings.extend(of_status(&about, &Report::of(object)));
    if findings.is_empty() {
        findings.push(Finding::ok(
            about,
            "its Secrets have values, and the operator says it is well",
        ));
    }
    Ok(findings)
}

/// What the operator says, and where the runbook goes on.
fn of_status(about: &str, report: &Report) -> Vec<Finding> {
    if !report.up_to_date || report.reason.is_none() {
        let step = report.next_step.clone().unwrap_or_default();
        let next = "see that the operator runs, and its logs";
        return vec![Finding::new(Level::Bad, about, step, next)];
    }
    let runbook = |reason: Reason| format!("docs/runbook.md, section {}", word(&reason));
    let mut findings = Vec::new();
    for condition in &report.conditions {
        let level = match (condition.kind, condition.status) {
            (ConditionType::Ready | ConditionType::Valid, ConditionStatus::Unknown)
            | (
                ConditionType::Denied
                | ConditionType::RestartFailed
                | ConditionType::RotationDue
                | ConditionType::OverPrivileged,
                ConditionStatus::True,
            )
            | (ConditionType::ExpiryKnown, ConditionStatus::False) => Level::Warning,
            (
                ConditionType::Ready | ConditionType::Valid | ConditionType::Published,
                ConditionStatus::False,
            ) => Level::Bad,
            // Something fails while what pods mount still counts; else Ready says it.
            (ConditionType::Reconciling | ConditionType::Stalled, ConditionStatus::True)
                if report.ready == ConditionStatus::True =>
            {
                Level::Warning
            }
            _ => continue,
        };
        let part = part(condition.reason);
        let message = format!(
            "{part} ({}): {}",
            word(&condition.reason),
            condition.message
        );
        let finding = Finding::new(level, about, message, runbook(condition.reason));
        // Ready repeats what the condition says that it comes from.
        if !findings
            .iter()
            .any(|other: &Finding| other.next == finding.next)
        {
            findings.push(finding);
        }
    }
    findings
}

/// The part of the world that a reason is about.
fn part(reason: Reason) -> &'static str {
    match reason {
        Reason::HostNotAllowed | Reason::WrongHost => "allowed hosts and site",
        Reason::ClockSkew => "clock",
        Reason::SiteUnavailable => "DNS, TLS or connection to the site",
        Reason::IpBlocked | Reason::RateLimited => "what the site lets in",
        Reason::SourceMissing
        | Reason::SourceMalformed
        | Reason::SourceIsTarget
        | Reason::SourceNotAllowed => "source Secret",
        Reason::TargetForeign
        | Reason::TargetConflict
        | Reason::MergeTargetMissing
        | Reason::MergeNotAllowed
        | Reason::MergeUnsuitable
        | Reason::MergeConflict
        | Reason::NamespaceMissing
        | Reason::WriteRefused => "published Secret",
        Reason::PolicyNotInForce | Reason::NamespaceNotServed => "installation",
        Reason::OperatorRightMissing
        | Reason::EventsDenied
        | Reason::GrantWriteRefused
        | Reason::DuplicatesUnknown => "rights of the operator",
        Reason::SpecInvalid => "spec",
        _ => "credential",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use serde_json::{Value, json};

    use super::*;

    fn told(conditions: &Value) -> Vec<String> {
        let object: JiraCredential = serde_json::from_value(json!({
            "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
            "metadata": {"name": "bot", "namespace": "team", "generation": 1},
            "spec": {"site": "https://acme.atlassian.net", "auth": {}},
            "status": {"observedGeneration": 1, "conditions": conditions},
        }))
        .unwrap();
        let found = of_status("team/bot", &Report::of(&object));
        found
            .iter()
            .map(|one| format!("{:?} {} -> {}", one.level, one.message, one.next))
            .collect()
    }

    #[test]
    fn what_the_operator_says_is_told_once_with_its_section() {
        let condition = |kind: &str, status: &str, reason: &str| {
            json!({"type": kind, "status": status, "reason": reason, "message": "Do.",
                "lastTransitionTime": "2027-01-01T00:00:00Z"})
        };
        for (conditions, expected) in [
            (json!([condition("Ready", "True", "Validated")]), vec![]),
            (
                json!([
                    condition("Ready", "False", "HostNotAllowed"),
                    condition("Valid", "False", "HostNotAllowed")
                ]),
                vec![
                    "Bad allowed hosts and site (HostNotAllowed): Do. -> docs/runbook.md, section HostNotAllowed",
                ],
            ),
            (
                json!([
                    condition("Ready", "True", "Validated"),
                    condition("Valid", "True", "Accepted"),
                    condition("Reconciling", "True", "SiteUnavailable")
                ]),
                vec![
                    "Warning DNS, TLS or connection to the site (SiteUnavailable): Do. -> docs/runbook.md, section SiteUnavailable",
                ],
            ),
            (
                json!([]),
                vec![
                    "Bad The operator has not looked at it yet; if that stays so, see kubectl jira-credential doctor. -> see that the operator runs, and its logs",
                ],
            ),
        ] {
            assert_eq!(told(&conditions), expected);
        }
    }
}
