//! The file in `crds/` is the code's, and its schema is fit for the API server and for readers.

use jira_credential_operator::crd;
use serde_json::Value;

use crate::support::CRD;

#[test]
fn the_file_is_what_the_code_prints() {
    let printed = crd::yaml().unwrap();
    assert!(
        CRD == printed,
        "stale: cargo run -- crd > crds/jiracredentials.yaml"
    );
}

#[test]
fn the_file_reads_back_as_the_definition() {
    let read: Value = serde_saphyr::from_str(CRD).unwrap();
    assert_eq!(read, serde_json::to_value(crd::crd()).unwrap());
}

/// Calls `visit` for every schema with its path.
fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            walk(&format!("{path}{mark}"), &schema[key], visit);
        }
    }
}

fn complaints(check: impl Fn(&str, &Value) -> Option<&'static str>) -> Vec<String> {
    let definition = serde_json::to_value(crd::crd()).unwrap();
    let root = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut found = Vec::new();
    walk("", root, &mut |path, schema| {
        found.extend(check(path, schema).map(|complaint| format!("{path}: {complaint}")));
    });
    found
}

#[test]
fn every_field_is_bounded() {
    let found = complaints(|_, schema| match schema["type"].as_str() {
        Some("string") if schema["enum"].is_null() && schema["maxLength"].is_null() => {
            Some("a string without maxLength")
        }
        Some("array") if schema["maxItems"].is_null() => Some("a list without maxItems"),
        Some("object")
            if schema["additionalProperties"].is_object() && schema["maxProperties"].is_null() =>
        {
            Some("a map without maxProperties")
        }
        _ => None,
    });
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_field_is_described() {
    let found = complaints(|path, schema| {
        let nameless = path.ends_with("{}");
        (!nameless && schema["description"].as_str().is_none_or(str::is_empty)).then_some("no doc")
    });
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn formats_are_those_the_api_server_knows() {
    let found = complaints(|_, schema| match schema["format"].as_str() {
        None | Some("int32" | "int64" | "date-time") => None,
        Some(_) => Some("unknown format"),
    });
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_rule_answers_in_words() {
    let found = complaints(|_, schema| {
        let rules = schema["x-kubernetes-validations"]
            .as_array()
            .into_iter()
            .flatten();
        rules
            .into_iter()
            .any(|rule| rule["message"].is_null() && rule["messageExpression"].is_null())
            .then_some("a rule without a message")
    });
    assert!(found.is_empty(), "{found:#?}");
}
