//! The metrics, as a scrape shows them.

use std::collections::BTreeMap;
use std::time::Duration;

use jira_credential_operator::api::{JiraCredential, Reason};
use jira_credential_operator::cluster::{Leadership, PolicyState, Selector, Shard};
use jira_credential_operator::jira::Observer as _;
use jira_credential_operator::notify::Observer as _;
use jira_credential_operator::ops::metrics::Metrics;
use kube::core::DeserializeGuard;
use kube::runtime::{reflector, watcher};
use serde_json::json;

use super::{head, row};
use crate::failure::Outcome;

/// What the library for metrics writes behind the name of each kind.
const SUFFIXES: [(&str, &str); 2] = [("counter", "_total"), ("info", "_info")];

/// One metric.
#[derive(Default)]
struct Metric {
    kind: String,
    help: String,
    labels: Vec<String>,
}

/// The table of all metrics of the operator.
pub(super) fn table() -> Outcome<String> {
    let mut table = head(["name", "type", "labels", "meaning"]);
    for (name, metric) in metrics(&scrape()?) {
        let suffix = SUFFIXES.iter().find(|(kind, _)| *kind == metric.kind);
        let suffix = suffix.map_or("", |(_, suffix)| suffix);
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let name = format!("`{name}{suffix}`");
        table.push_str(&row([
            &name,
            &metric.kind,
            &labels.join(", "),
            &metric.help,
        ]));
    }
    Ok(table)
}

/// A scrape with at least one series of each metric.
fn scrape() -> Outcome<String> {
    let metrics = Metrics::default();
    let (credentials, mut writer) = reflector::store();
    for credential in [
        credential("token", &json!(null)),
        credential("grant", &grant()),
    ] {
        let credential: JiraCredential = serde_json::from_value(credential)?;
        writer.apply_watcher_event(&watcher::Event::Apply(DeserializeGuard(Ok(credential))));
    }
    let shard = Shard::new(Selector::default());
    shard.show_live(Some(Vec::new()));
    let validated = |credential: &JiraCredential| credential.status.as_ref()?.last_validated_time;
    metrics.show_credentials(credentials, Box::new(validated), Some(shard));
    metrics.show_policy(PolicyState::InForce);
    metrics.show_leadership(Leadership::default());
    metrics.passed(true, Duration::ZERO);
    metrics.renewed(None, "granted");
    metrics.authentication_failed(None, Reason::Rejected);
    metrics.notification("chat", "sent");
    metrics.call("myself", "accepted", 0.0);
    Ok(metrics.render()?)
}

/// A credential whose status has everything that a series can come from.
fn credential(name: &str, grant: &serde_json::Value) -> serde_json::Value {
    let time = "2027-01-01T00:00:00Z";
    json!({
        "apiVersion": "jira-operator.dev/v1alpha1",
        "kind": "JiraCredential",
        "metadata": {"name": name, "namespace": "team"},
        "spec": {
            "site": "https://acme.atlassian.net",
            "owner": {"team": "platform", "contact": "#platform"},
            "auth": {"apiToken": {"email": "bot@acme.example", "tokenSecretRef": {"name": "bot", "key": "token"}}},
        },
        "status": {
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Validated", "message": "",
                "lastTransitionTime": time,
            }],
            "method": "ApiToken",
            "expiresAt": time,
            "nextRenewalTime": time,
            "rotationDueTime": time,
            "lastValidatedTime": time,
            "grant": grant,
        },
    })
}

fn grant() -> serde_json::Value {
    let time = "2027-01-01T00:00:00Z";
    json!({"name": "jco-grant-a", "uid": "1", "consentExpiresAt": time, "idleExpiresAt": time})
}

/// What a scrape says about each metric, by its name without prefix.
fn metrics(scrape: &str) -> BTreeMap<String, Metric> {
    let mut metrics = BTreeMap::<String, Metric>::new();
    for line in scrape.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["#", "HELP", name, help] => (*help).clone_into(&mut entry(&mut metrics, name).help),
            ["#", "TYPE", name, kind] => (*kind).clone_into(&mut entry(&mut metrics, name).kind),
            _ => add_labels(&mut metrics, line),
        }
    }
    metrics
}

/// The labels of one series, but for the bounds of a histogram.
fn add_labels(metrics: &mut BTreeMap<String, Metric>, series: &str) {
    let Some((name, labels)) = series.split_once('{') else {
        return;
    };
    let name = name.trim_start_matches("jira_credential_");
    let owner = metrics
        .iter_mut()
        .filter(|(metric, _)| name.starts_with(metric.as_str()))
        .max_by_key(|(metric, _)| metric.len());
    let Some((_, metric)) = owner else { return };
    for label in labels
        .split("=\"")
        .filter_map(|part| part.rsplit(['{', ',', '"']).next())
    {
        let is_name =
            !label.is_empty() && label.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        if is_name && label != "le" && !metric.labels.iter().any(|known| known == label) {
            metric.labels.push(label.to_owned());
        }
    }
}

fn entry<'a>(metrics: &'a mut BTreeMap<String, Metric>, name: &str) -> &'a mut Metric {
    let name = name.trim_start_matches("jira_credential_");
    metrics.entry(name.to_owned()).or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_has_its_labels_and_a_meaning() {
        let metrics = metrics(&scrape().unwrap());
        assert!(metrics.len() > 20, "{}", metrics.len());
        let labels = |name: &str| metrics.get(name).unwrap().labels.join(" ");
        assert_eq!(labels("ready"), "namespace name");
        assert_eq!(
            labels("consent_expiration_timestamp_seconds"),
            "namespace name"
        );
        assert_eq!(labels("expiration_timestamp_seconds"), "namespace name");
        assert_eq!(
            labels("status_condition"),
            "namespace name type status reason"
        );
        assert_eq!(labels("jira_request_duration_seconds"), "operation outcome");
        assert_eq!(labels("reconcile_duration_seconds"), "");
        assert_eq!(labels("notifications"), "sink outcome");
        let silent = metrics.iter().find(|(_, metric)| metric.help.len() < 10);
        assert!(silent.is_none(), "{:?}", silent.map(|(name, _)| name));
    }
}
