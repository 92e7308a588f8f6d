//! Which metrics there are: those that the operator itself exports.

use std::collections::BTreeSet;
use std::time::Duration;

use jira_credential_operator::api::Reason;
use jira_credential_operator::cluster::{PolicyState, Selector, Shard};
use jira_credential_operator::jira::Observer as _;
use jira_credential_operator::notify::Observer as _;
use jira_credential_operator::ops::metrics::Metrics;

/// The names of all series, as Prometheus stores them.
pub(crate) fn exported() -> BTreeSet<String> {
    let metrics = Metrics::default();
    let (credentials, _writer) = kube::runtime::reflector::store();
    let shard = Shard::new(Selector::default());
    shard.show_live(Some(Vec::new()));
    metrics.show_credentials(credentials, Box::new(|_| None), Some(shard));
    metrics.show_policy(PolicyState::InForce);
    // What is counted has no series before it has happened once.
    metrics.passed(true, Duration::ZERO);
    metrics.renewed(None, "granted");
    metrics.authentication_failed(None, Reason::Rejected);
    metrics.notification("chat", "sent");
    metrics.call("myself", "accepted", 0.0);
    let text = metrics.render().unwrap();
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
