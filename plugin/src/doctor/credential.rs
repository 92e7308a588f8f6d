//! One credential: its Secrets, and what the operator says. The network of the laptop is not asked:
//! what the operator reaches is another matter.

use std::collections::BTreeMap;

use jira_credential_operator::api::{
    ConditionStatus, ConditionType, JiraCredential, JiraCredentialSpec, Reason, SecretKeyRef,
};
use jira_credential_operator::core::spec::text_values;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};

use crate::connect::{Cluster, failed};
use crate::doctor::finding::{Finding, Level};
use crate::status::report::{Report, word};

/// What was read of a Secret.
enum Read {
    /// It may be read: the lengths of its values by their keys. The values themselves are dropped.
    Keys(BTreeMap<String, usize>),
    /// There is none.
    Missing,
    /// It may not be read, or not now.
    Unknown(String),
}

/// Looks at one credential. Requests that fail are findings, too.
pub async fn examine(cluster: &Cluster, object: &JiraCredential) -> Vec<Finding> {
    let namespace = object.namespace().unwrap_or_default();
    let about = format!("{namespace}/{}", object.name_any());
    let mut findings = Vec::new();
    let mut seen: BTreeMap<String, Read> = BTreeMap::new();
    for source in sources(&object.spec) {
        if !seen.contains_key(&source.name) {
            let read = read(cluster, &namespace, &source.name).await;
            seen.insert(source.name.clone(), read);
        }
        findings.extend(
            seen.get(&source.name)
                .and_then(|read| judge(&about, &source, read)),
        );
    }
    findings.extend(of_status(&about, &Report::of(object)));
    if findings.is_empty() {
        findings.push(Finding::ok(
            about,
            "its Secrets have values, and the operator says it is well",
        ));
    }
    findings
}

/// The keys of Secrets that a spec names.
fn sources(spec: &JiraCredentialSpec) -> Vec<SecretKeyRef> {
    let authority = spec.tls.as_ref().and_then(|tls| tls.ca_secret_ref.clone());
    text_values(spec).into_iter().chain(authority).collect()
}

async fn read(cluster: &Cluster, namespace: &str, name: &str) -> Read {
    let api: Api<Secret> = Api::namespaced(cluster.client.clone(), namespace);
    match cluster.within(api.get_opt(name)).await {
        Some(Ok(Some(secret))) => {
            let data = secret.data.unwrap_or_default();
            let length = |(key, value): (String, k8s_openapi::ByteString)| (key, value.0.len());
            Read::Keys(data.into_iter().map(length).collect())
        }
        Some(Ok(None)) => Read::Missing,
        Some(Err(error)) => {
            Read::Unknown(failed(&format!("read the Secret {name}"), &error).message)
        }
        None => Read::Unknown(format!(
            "the API server did not answer about the Secret {name}"
        )),
    }
}

fn judge(about: &str, source: &SecretKeyRef, read: &Read) -> Option<Finding> {
    let SecretKeyRef { name, key } = source;
    let bad = |message: String, next: String| Some(Finding::new(Level::Bad, about, message, next));
    match read {
        Read::Keys(keys) => match keys.get(key) {
            Some(0) => bad(
                format!("the key {key} of the Secret {name} is empty"),
                format!("store the value in the key {key}; for a token, with rotate"),
            ),
            Some(_) => None,
            None => bad(
                format!("the Secret {name} has no key {key}"),
                "add the key, or correct the reference in spec".to_owned(),
            ),
        },
        Read::Missing => bad(
            format!("the Secret {name} does not exist"),
            format!(
                "create the Secret {name} with the key {key}, or correct the reference in spec"
            ),
        ),
        Read::Unknown(cause) => Some(Finding::new(
            Level::Unknown,
            about,
            format!("whether {source} has a value is not known: {cause}"),
            "the operator's status tells it too: kubectl jira-credential status NAME",
        )),
    }
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
                ConditionType::Denied | ConditionType::RotationDue | ConditionType::OverPrivileged,
                ConditionStatus::True,
            ) => Level::Warning,
            (
                ConditionType::Ready | ConditionType::Valid | ConditionType::Published,
                ConditionStatus::False,
            ) => Level::Bad,
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
        Reason::SourceMissing | Reason::SourceMalformed | Reason::SourceIsTarget => "source Secret",
        Reason::TargetForeign | Reason::TargetConflict | Reason::WriteRefused => "published Secret",
        Reason::OperatorRightMissing | Reason::EventsDenied | Reason::GrantWriteRefused => {
            "rights of the operator"
        }
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
                    condition("Valid", "Unknown", "SiteUnavailable")
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

    #[test]
    fn a_key_without_a_value_is_bad_and_an_unread_one_unknown() {
        let source = SecretKeyRef {
            name: "s".into(),
            key: "token".into(),
        };
        let keys = |length| Read::Keys(BTreeMap::from([("token".to_owned(), length)]));
        for (read, level) in [
            (keys(7), None),
            (keys(0), Some(Level::Bad)),
            (Read::Keys(BTreeMap::new()), Some(Level::Bad)),
            (Read::Missing, Some(Level::Bad)),
            (Read::Unknown("no".into()), Some(Level::Unknown)),
        ] {
            assert_eq!(judge("b", &source, &read).map(|one| one.level), level);
        }
    }
}
