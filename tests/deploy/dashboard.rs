//! The dashboard of Grafana.

use control_plane::tools;
use serde_json::{Value, json};

use crate::metrics::{exported, named_in};
use crate::support::{built, read, run};

const DASHBOARD: &str = "deploy/monitoring/dashboard.json";

fn dashboard() -> Value {
    serde_json::from_str(&read(DASHBOARD)).unwrap()
}

pub(crate) fn panels() -> Vec<Value> {
    dashboard()["panels"].as_array().unwrap().clone()
}

/// The queries that fill the variables.
pub(crate) fn variables() -> Vec<String> {
    let variables = dashboard()["templating"]["list"].clone();
    let queries = variables.as_array().unwrap().iter();
    queries
        .filter_map(|variable| variable["query"]["query"].as_str())
        .map(str::to_owned)
        .collect()
}

/// Every query, with its panel.
fn queries() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for panel in panels() {
        let title = panel["title"].as_str().unwrap().to_owned();
        for target in panel["targets"].as_array().into_iter().flatten() {
            all.push((title.clone(), target["expr"].as_str().unwrap().to_owned()));
        }
    }
    assert!(all.len() > 20);
    all
}

#[test]
fn its_queries_name_only_metrics_that_are_exported() {
    let exported = exported();
    for (title, query) in queries() {
        let named = named_in(&query);
        assert!(!named.is_empty(), "{title}: {query}");
        for metric in named {
            assert!(exported.contains(&metric), "{title}: {metric}");
        }
    }
}

#[test]
fn prometheus_understands_its_queries() {
    let Some(promtool) = built("promtool", tools::promtool()) else {
        return;
    };
    let rules: Vec<Value> = queries()
        .iter()
        .enumerate()
        .map(|(number, (_, query))| {
            // What Grafana puts in.
            let query = query
                .replace("$namespace", ".*")
                .replace("$__rate_interval", "5m");
            assert!(!query.contains('$'), "{query}");
            json!({"record": format!("query_{number}"), "expr": query})
        })
        .collect();
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    let groups = json!({"groups": [{"name": "dashboard", "rules": rules}]});
    std::fs::write(file.path(), groups.to_string()).unwrap();
    let checked = run(
        &promtool,
        &["check", "rules", file.path().to_str().unwrap()],
    );
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn its_panels_have_a_place_and_a_title_each() {
    let mut taken = std::collections::BTreeSet::new();
    for panel in panels() {
        assert!(!panel["title"].as_str().unwrap().is_empty());
        let place = &panel["gridPos"];
        let number = |key: &str| place[key].as_u64().unwrap();
        assert!(number("x") + number("w") <= 24, "{panel}");
        for x in number("x")..number("x") + number("w") {
            for y in number("y")..number("y") + number("h") {
                assert!(taken.insert((x, y)), "{} covers another", panel["title"]);
            }
        }
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}");
        }
    }
}
