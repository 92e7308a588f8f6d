//! The alerts: promtool judges the rules and what fires when.

use std::collections::BTreeSet;
use std::path::Path;

use control_plane::tools;
use serde_json::{Value, json};

use crate::metrics::{exported, named_in};
use crate::support::{built, documents, printed, read, run};

const RULES: &str = "deploy/monitoring/rules.yaml";

fn groups() -> Value {
    documents(&read(RULES))[0]["spec"]["groups"].clone()
}

pub(crate) fn alerts() -> Vec<Value> {
    let groups = groups();
    let rules = groups.as_array().unwrap().iter();
    rules
        .flat_map(|group| group["rules"].as_array().unwrap().clone())
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The rules as Prometheus itself reads them: without the object around them.
fn write_rules(folder: &Path) {
    let rules = json!({"groups": groups()});
    std::fs::write(folder.join("rules.yaml"), rules.to_string()).unwrap();
}

#[test]
fn prometheus_accepts_the_rules() {
    let Some(promtool) = built("promtool", tools::promtool()) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    write_rules(folder.path());
    let file = folder.path().join("rules.yaml");
    let checked = run(
        &promtool,
        &["check", "rules", "--lint-fatal", file.to_str().unwrap()],
    );
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn each_alert_fires_in_time_and_only_then() {
    let Some(promtool) = built("promtool", tools::promtool()) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    write_rules(folder.path());
    let file = folder.path().join("alerts.yaml");
    std::fs::write(&file, read("tests/deploy/alerts.yaml")).unwrap();
    let tested = run(&promtool, &["test", "rules", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&tested.stderr);
    assert!(tested.status.success(), "{said}");
    printed(&tested);
}

#[test]
fn each_alert_has_a_test_in_which_it_fires() {
    let tests = read("tests/deploy/alerts.yaml");
    for alert in alerts() {
        let fires = format!(
            "alertname=\"{}\", alertstate=\"firing\"",
            text(&alert["alert"])
        );
        assert!(tests.contains(&fires), "{fires}");
    }
}

#[test]
fn each_alert_says_how_bad_it_is_and_what_to_do() {
    let runbook = read("docs/runbook.md");
    let overview = read("docs/monitoring.md");
    let mut names = BTreeSet::new();
    for alert in alerts() {
        let name = text(&alert["alert"]);
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        let severity = text(&alert["labels"]["severity"]);
        assert!(["critical", "warning"].contains(&severity), "{name}");
        for annotation in ["summary", "description"] {
            assert!(text(&alert["annotations"][annotation]).len() > 10, "{name}");
        }
        let url = text(&alert["annotations"]["runbook_url"]);
        let anchor = url.strip_prefix("docs/runbook.md#").unwrap();
        let section = |line: &&str| {
            let heading = line.strip_prefix("#### ");
            heading.is_some_and(|heading| heading.to_lowercase() == anchor)
        };
        assert!(runbook.lines().any(|line| section(&line)), "{name}: {url}");
        for document in [&runbook, &overview] {
            assert!(document.contains(&format!("`{name}`")), "{name}");
        }
    }
    assert!(names.len() > 12);
}

/// In the same words as the alert whose text promtool tests.
#[test]
fn each_alert_about_one_credential_names_its_owner() {
    let owner = |alert: &Value| {
        let text = text(&alert["annotations"]["description"]);
        text.split_once("{{- range printf \"max by (team, contact)")
            .map(|(_, rest)| rest.trim().to_owned())
    };
    let alerts = alerts();
    let tested = owner(&alerts[0]).unwrap();
    let mut found = 0;
    for alert in &alerts {
        if text(&alert["annotations"]["summary"]).contains("$labels.name }}") {
            assert_eq!(owner(alert).as_ref(), Some(&tested), "{}", alert["alert"]);
            found += 1;
        }
    }
    assert!(found >= 11, "{found}");
}

#[test]
fn the_rules_name_only_metrics_that_are_exported() {
    let exported = exported();
    for alert in alerts() {
        for metric in named_in(text(&alert["expr"])) {
            assert!(exported.contains(&metric), "{metric}");
        }
    }
    // Nor do their tests make any up.
    for metric in named_in(&read("tests/deploy/alerts.yaml")) {
        assert!(exported.contains(&metric), "{metric}");
    }
}

#[test]
fn the_rules_name_only_reasons_that_exist() {
    let mut found = 0;
    for alert in alerts() {
        let expression = text(&alert["expr"]).to_owned();
        for part in expression.split("reason").skip(1) {
            let Some((operator, rest)) = part.split_once('"') else {
                continue;
            };
            if !["=", "!=", "=~", "!~"].contains(&operator) {
                continue;
            }
            for word in rest.split('"').next().unwrap().split('|') {
                let reason: Result<jira_credential_operator::api::Reason, _> =
                    serde_json::from_value(json!(word));
                let reason = reason.map(|reason| format!("{reason:?}"));
                assert_eq!(reason.ok().as_deref(), Some(word));
                found += 1;
            }
        }
    }
    assert!(found > 8, "{found}");
}
