//! Which metrics there are: those that the operator itself exports.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::DateTime;
use jira_credential_operator::api::Reason;
use jira_credential_operator::cluster::{PolicyState, Selector, Shard};
use jira_credential_operator::jira::Observer as _;
use jira_credential_operator::notify::Observer as _;
use jira_credential_operator::ops::metrics::Metrics;
use serde_json::{Value, json};

/// The names of all series, as Prometheus stores them, with their labels.
pub(crate) fn series() -> BTreeMap<String, BTreeSet<String>> {
    let text = rendered();
    let mut all = BTreeMap::new();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    for sample in samples {
        let end = sample.find(['{', ' ']).unwrap();
        let (name, rest) = sample.split_at(end);
        let labels = rest.strip_prefix('{').map(|rest| {
            let (labels, _) = rest.rsplit_once('}').unwrap();
            let pairs = labels.split("\",").filter(|pair| !pair.is_empty());
            pairs.map(|pair| pair.split_once('=').unwrap().0.to_owned())
        });
        let labels: BTreeSet<String> = labels.into_iter().flatten().collect();
        let known = all.entry(name.to_owned()).or_insert_with(|| labels.clone());
        assert_eq!(*known, labels, "{name}");
    }
    let names: BTreeSet<String> = all.keys().cloned().collect();
    assert_eq!(names, declared(&text), "a metric has no series");
    all
}

/// The names of all series, as Prometheus stores them.
pub(crate) fn exported() -> BTreeSet<String> {
    series().into_keys().collect()
}

/// What is scraped when everything has happened once.
fn rendered() -> String {
    let metrics = Metrics::default();
    let (credentials, mut writer) = kube::runtime::reflector::store();
    for credential in [rotated_by_a_person(), renewed()] {
        let object = serde_json::from_value(credential).unwrap();
        writer.apply_watcher_event(&kube::runtime::watcher::Event::Apply(object));
    }
    let shard = Shard::new(Selector::default());
    shard.show_live(Some(Vec::new()));
    let now = Some(DateTime::UNIX_EPOCH);
    metrics.show_credentials(credentials, Box::new(move |_| now), Some(shard));
    metrics.show_policy(PolicyState::InForce);
    // What is counted has no series before it has happened once.
    metrics.passed(true, Duration::ZERO);
    metrics.renewed(None, "granted");
    metrics.authentication_failed(None, Reason::Rejected);
    metrics.notification("chat", "sent");
    metrics.call("myself", "accepted", 0.0);
    metrics.render().unwrap()
}

fn credential(name: &str, auth: &Value, status: &Value) -> Value {
    json!({
        "apiVersion": "jira-operator.dev/v1alpha1",
        "kind": "JiraCredential",
        "metadata": {"name": name, "namespace": "team"},
        "spec": {
            "site": "https://jira.corp.example",
            "auth": auth,
            "owner": {"team": "platform", "contact": "#platform"},
        },
        "status": status,
    })
}

const TIME: &str = "2030-03-01T00:00:00Z";

fn rotated_by_a_person() -> Value {
    let auth = json!({"basic": {"secretRef": {"name": "login"}}});
    let condition = json!({
        "type": "Ready", "status": "True", "reason": "Validated", "message": "",
        "lastTransitionTime": TIME,
    });
    credential(
        "robot",
        &auth,
        &json!({"conditions": [condition], "expiresAt": TIME, "rotationDueTime": TIME}),
    )
}

fn renewed() -> Value {
    let auth = json!({"session": {"secretRef": {"name": "login"}}});
    let grant = json!({
        "name": "grant", "uid": "1", "consentExpiresAt": TIME, "idleExpiresAt": TIME,
    });
    credential(
        "bot",
        &auth,
        &json!({"expiresAt": TIME, "nextRenewalTime": TIME, "grant": grant}),
    )
}

/// The names of the series that belong to the metrics of a text.
fn declared(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("# TYPE ") else {
            continue;
        };
        let (name, kind) = rest.split_once(' ').unwrap();
        let endings: &[&str] = match kind {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_count", "_sum"],
            "info" => &["_info"],
            _ => &[""],
        };
        names.extend(endings.iter().map(|ending| format!("{name}{ending}")));
    }
    assert!(names.len() > 15, "{names:?}");
    names
}

/// The metrics of the operator that a text names.
pub(crate) fn named_in(text: &str) -> BTreeSet<String> {
    let in_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.split(|c| !in_name(c))
        .filter(|word| word.starts_with("jira_credential_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_reference_lists_every_metric_and_no_other() {
    let text = crate::support::read("docs/reference.md");
    let (_, section) = text.split_once("\n## Metrics\n").unwrap();
    let listed: BTreeSet<String> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .flat_map(|row| {
            let cell = row.split(" | ").next().unwrap().replace(['`', ' '], "");
            cell.split(',').map(str::to_owned).collect::<Vec<_>>()
        })
        .map(|name| format!("jira_credential_{name}"))
        .collect();
    let whole: BTreeSet<String> = exported()
        .into_iter()
        .filter(|name| !name.ends_with("_bucket") && !name.ends_with("_count"))
        .map(|name| match name.strip_suffix("_sum") {
            Some(histogram) => histogram.to_owned(),
            None => name,
        })
        .collect();
    assert_eq!(listed, whole);
}
