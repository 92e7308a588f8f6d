//! The labels that alerts, their tests and the dashboard name: those that the metrics have.

use std::collections::{BTreeMap, BTreeSet};

use crate::metrics::series;
use crate::support::read;

/// What Prometheus and its operator add to every series.
const ADDED: [&str; 3] = ["instance", "job", "pod"];

type Series = BTreeMap<String, BTreeSet<String>>;

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Where a bracket closes that is open at the beginning of the text; quotes hide brackets.
fn closing(text: &str) -> usize {
    let (mut depth, mut quote) = (1, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) => quote = (c != open).then_some(open),
            (None, '"' | '\'') => quote = Some(c),
            (None, '(' | '{') => depth += 1,
            (None, ')' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    panic!("a bracket stays open: {text}");
}

/// The metrics of a query, each with the labels of its selector.
fn selected(query: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for (at, _) in query.match_indices("jira_credential_") {
        let rest = &query[at..];
        let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let labels = rest.strip_prefix('{').map(|inside| {
            let inside = &inside[..closing(inside)];
            let parts = inside.split(['"', '\'']).step_by(2);
            let names = parts.map(|part| part.trim_matches(|c: char| !is_of_name(c)));
            names.filter(|name| !name.is_empty()).map(str::to_owned)
        });
        found.push((name.to_owned(), labels.into_iter().flatten().collect()));
    }
    found
}

/// The lists of labels behind a word such as `by`, each with what stands behind the list.
fn listed<'a>(query: &'a str, word: &str) -> Vec<(Vec<&'a str>, &'a str)> {
    let mut found = Vec::new();
    for (at, _) in query.match_indices(word) {
        let (before, rest) = (&query[..at], &query[at + word.len()..]);
        let Some(inside) = rest.trim_start().strip_prefix('(') else {
            continue;
        };
        if before.ends_with(is_of_name) {
            continue;
        }
        let (labels, rest) = inside.split_at(closing(inside));
        let labels = labels.split(',').map(str::trim);
        let labels = labels.filter(|label| !label.is_empty()).collect();
        found.push((labels, &rest[1..]));
    }
    found
}

/// The labels that a template takes from series.
fn in_template<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    let rests = text.split(before).skip(1);
    rests
        .map(|rest| &rest[..rest.find(|c| !is_of_name(c)).unwrap_or(rest.len())])
        .collect()
}

/// What is wrong with the labels of a query.
fn wrong(query: &str, series: &Series) -> Vec<String> {
    let mut wrong = Vec::new();
    let has = |name: &str, label: &str| {
        ADDED.contains(&label) || series.get(name).is_some_and(|all| all.contains(label))
    };
    let all = selected(query);
    assert!(!all.is_empty(), "{query}");
    for (name, labels) in &all {
        for label in labels {
            if !has(name, label) {
                wrong.push(format!("{name} has no label {label}: {query}"));
            }
        }
    }
    for word in ["by", "without"] {
        for (labels, rest) in listed(query, word) {
            // Of what is aggregated, which stands in brackets.
            let inside = rest.trim_start().strip_prefix('(');
            let inside = inside.map_or(rest, |inside| &inside[..closing(inside)]);
            let of = selected(inside);
            for label in labels {
                if !of.iter().any(|(name, _)| has(name, label)) {
                    wrong.push(format!("nothing there has a label {label}: {query}"));
                }
            }
        }
    }
    // Both sides of an operator have what they are matched by; one of them what the other is given.
    for (words, sides) in [(["on", "ignoring"], 2), (["group_left", "group_right"], 1)] {
        for (labels, _) in words.iter().flat_map(|word| listed(query, word)) {
            for label in labels {
                if all.iter().filter(|(name, _)| has(name, label)).count() < sides {
                    wrong.push(format!("no two sides have a label {label}: {query}"));
                }
            }
        }
    }
    wrong
}

/// What is wrong with a template about the result of a query.
fn wrong_in_template(text: &str, before: &str, query: &str, series: &Series) -> Vec<String> {
    let names: Vec<String> = selected(query).into_iter().map(|(name, _)| name).collect();
    in_template(text, before)
        .into_iter()
        .filter(|label| {
            let has = |name: &String| series.get(name).is_some_and(|all| all.contains(*label));
            !ADDED.contains(label) && !names.iter().any(has)
        })
        .map(|label| format!("no label {label} in {query}: {text}"))
        .collect()
}

#[test]
fn alerts_name_only_labels_that_their_metrics_have() {
    let series = series();
    let mut found = Vec::new();
    for alert in crate::rules::alerts() {
        let query = alert["expr"].as_str().unwrap();
        found.extend(wrong(query, &series));
        for text in alert["annotations"].as_object().unwrap().values() {
            let text = text.as_str().unwrap();
            found.extend(wrong_in_template(text, "$labels.", query, &series));
            // Queries inside of the text, whose results are behind `.Labels`.
            if text.contains("jira_credential_") {
                found.extend(wrong(text, &series));
                found.extend(wrong_in_template(text, ".Labels.", text, &series));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_dashboard_names_only_labels_that_its_metrics_have() {
    let series = series();
    let mut found = Vec::new();
    for panel in crate::dashboard::panels() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            found.extend(wrong(query, &series));
            let legend = target["legendFormat"].as_str().unwrap_or_default();
            found.extend(wrong_in_template(legend, "{{", query, &series));
        }
    }
    let variables = crate::dashboard::variables();
    for query in &variables {
        let (_, label) = query.trim_end_matches(')').rsplit_once(", ").unwrap();
        let name = &selected(query)[0].0;
        assert!(series[name].contains(label), "{query}");
    }
    assert_eq!(variables.len(), 1);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_tests_of_alerts_have_series_as_the_operator_exports_them() {
    let series = series();
    let text = read("tests/deploy/alerts.yaml");
    let mut found = 0;
    for line in text.lines() {
        let Some((_, rest)) = line.split_once("series: '") else {
            continue;
        };
        let one = rest.split('\'').next().unwrap();
        assert_eq!(wrong(one, &series), Vec::<String>::new());
        found += 1;
    }
    assert!(found > 80, "{found}");
}

/// A label with another name would be noticed.
#[test]
fn a_label_that_is_gone_is_named() {
    let labels = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let series: Series = [
        (
            "jira_credential_a".to_owned(),
            labels(&["namespace", "kind"]),
        ),
        ("jira_credential_b".to_owned(), labels(&["namespace"])),
    ]
    .into();
    let well = r#"max by (namespace) (jira_credential_a{kind="(x"}) unless on (namespace) jira_credential_b"#;
    assert_eq!(wrong(well, &series), Vec::<String>::new());
    for (query, word) in [
        (r#"jira_credential_a{type="Ready", kind="x"}"#, "type"),
        (
            "max by (kind) (jira_credential_b) or jira_credential_a",
            "kind",
        ),
        ("jira_credential_a and on (kind) jira_credential_b", "kind"),
        (
            "jira_credential_a * on (namespace) group_left (site) jira_credential_b",
            "site",
        ),
    ] {
        let found = wrong(query, &series);
        let [only] = found.as_slice() else {
            panic!("{query}: {found:?}");
        };
        assert!(only.contains(&format!("label {word}")), "{only}");
    }
    let template = "{{ $labels.kind }} {{ $labels.site }}";
    let found = wrong_in_template(template, "$labels.", "jira_credential_a", &series);
    assert_eq!(found.len(), 1, "{found:?}");
}
