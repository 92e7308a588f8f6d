//! The step about alerts: the rules of `deploy/monitoring`, on what the operator exports at this moment.

use std::path::Path;
use std::time::{Duration, Instant};

use control_plane::tools;
use serde_json::{Value, json};
use tokio::process::Command;

use super::Demo;
use super::story::Revoked;
use crate::failure::{Failure, Outcome, While as _, fail};
use crate::root;

/// The alert for a credential that Jira refuses, which waits a minute.
const ALERT: &str = "JiraCredentialRejected";

const RULES: &str = "deploy/monitoring/rules.yaml";

impl Demo<'_> {
    pub(crate) async fn alerted(&self) -> Outcome<((), String)> {
        let promtool = match tokio::task::spawn_blocking(tools::promtool).await? {
            Ok(promtool) => promtool,
            Err(error) => {
                self.ui
                    .say(&format!("No promtool, so no alert is shown: {error}"));
                return Ok(((), "not shown: promtool is missing".to_owned()));
            }
        };
        let (namespace, name) = (self.cluster.namespace(), Revoked::NAME);
        let of_it = format!("name=\"{name}\",namespace=\"{namespace}\"");
        let samples = self.until_exported(name).await?;
        self.ui
            .command(&format!("curl http://{}/metrics", self.operator.metrics()));
        for sample in samples
            .iter()
            .filter(|sample| sample.contains("type=\"Valid\""))
        {
            if sample.contains(name) {
                self.ui.output(sample);
            }
        }
        self.ui.say(&format!(
            "promtool lets {RULES} see these samples for five minutes:"
        ));
        let alert = alert(namespace, name)?;
        let folder = tempfile::tempdir()?;
        let tested = test_rules(&promtool, folder.path(), &samples, &alert).await?;
        if let Err(said) = tested {
            return fail(format!("{ALERT} should fire for {of_it}:\n{said}"));
        }
        self.ui.output(&format!(
            "{ALERT} (critical): {}",
            text(&alert, "/exp_annotations/summary")
        ));
        self.ui
            .output(&text(&alert, "/exp_annotations/description"));
        self.ui
            .output(&text(&alert, "/exp_annotations/runbook_url"));
        Ok(((), format!("{ALERT} fires after a minute")))
    }

    /// The samples of the operator, once they say that the credential is refused.
    async fn until_exported(&self, name: &str) -> Outcome<Vec<String>> {
        let begun = Instant::now();
        loop {
            let text = self.operator.scrape().await.while_("asking for metrics")?;
            let ours = text
                .lines()
                .filter(|line| line.starts_with("jira_credential_"));
            let samples: Vec<String> = ours.map(str::to_owned).collect();
            let is_refused = |sample: &String| {
                let parts = [
                    "status_condition",
                    name,
                    "type=\"Valid\"",
                    "status=\"False\"",
                ];
                parts.iter().all(|part| sample.contains(part)) && sample.ends_with(" 1")
            };
            if samples.iter().any(is_refused) {
                return Ok(samples);
            }
            if begun.elapsed() > Duration::from_secs(30) {
                return fail(format!(
                    "the metrics should say that {name} is refused:\n{text}"
                ));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// What Prometheus is expected to send to Alertmanager: the labels and texts of the rule, for this credential.
fn alert(namespace: &str, name: &str) -> Outcome<Value> {
    let groups = groups()?;
    let rules = groups.as_array().into_iter().flatten();
    let rules = rules
        .filter_map(|group| group.get("rules")?.as_array())
        .flatten();
    let mut rules = rules.filter(|rule| rule.get("alert").and_then(Value::as_str) == Some(ALERT));
    let Some(rule) = rules.next() else {
        return fail(format!("{RULES} has no {ALERT}"));
    };
    let labels = [
        ("namespace", namespace),
        ("name", name),
        ("reason", "Rejected"),
    ];
    let rendered = |annotation: &str| {
        let text = text(rule, &format!("/annotations/{annotation}"));
        // The credential has no owner, whom the rest names.
        let text = text
            .split(" {{- range")
            .next()
            .unwrap_or_default()
            .to_owned();
        labels.iter().fold(text, |text, (label, value)| {
            text.replace(&format!("{{{{ $labels.{label} }}}}"), value)
        })
    };
    Ok(json!({
        "exp_labels": {
            "namespace": namespace, "name": name, "reason": "Rejected",
            "severity": text(rule, "/labels/severity"),
        },
        "exp_annotations": {
            "summary": rendered("summary"),
            "description": rendered("description"),
            "runbook_url": rendered("runbook_url"),
        },
    }))
}

fn groups() -> Outcome<Value> {
    let rules = std::fs::read_to_string(root().join(RULES))?;
    let rules: Value = serde_saphyr::from_str(&rules)
        .map_err(|error| Failure::new(format!("{RULES}: {error}")))?;
    match rules.pointer("/spec/groups") {
        Some(groups) => Ok(groups.clone()),
        None => fail(format!("{RULES} has no spec.groups")),
    }
}

fn text(value: &Value, path: &str) -> String {
    let found = value.pointer(path).and_then(Value::as_str);
    found.unwrap_or_default().to_owned()
}

/// What promtool says if the alert does not fire in this way.
async fn test_rules(
    promtool: &Path,
    folder: &Path,
    samples: &[String],
    alert: &Value,
) -> Outcome<Result<(), String>> {
    let rules = json!({"groups": groups()?});
    std::fs::write(folder.join("rules.yaml"), rules.to_string())?;
    let series = samples.iter().filter_map(|sample| sample.rsplit_once(' '));
    let series: Vec<Value> = series
        .map(|(series, value)| json!({"series": series, "values": format!("{value}x5")}))
        .collect();
    let test = json!({
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{
            "interval": "1m",
            "input_series": series,
            "alert_rule_test": [{"eval_time": "3m", "alertname": ALERT, "exp_alerts": [alert]}],
        }],
    });
    let file = folder.join("alert.yaml");
    std::fs::write(&file, test.to_string())?;
    let tested = Command::new(promtool)
        .args(["test", "rules"])
        .arg(&file)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&tested.stderr).into_owned();
    Ok(if tested.status.success() {
        Ok(())
    } else {
        Err(said)
    })
}
