//! Every flag of `run` can be set through the chart.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Arg, ArgAction, CommandFactory as _};
use jira_credential_operator::cli::Cli;
use serde_json::{Value, json};

use crate::chart::Helm;
use crate::support::{OPERATOR, read};

/// A promised flag of `run`, by its key under `config`.
fn flags() -> BTreeMap<String, Arg> {
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    run.get_arguments()
        .filter(|flag| !flag.is_hide_set() && flag.get_id() != "help")
        // The namespace is that of the release.
        .filter(|flag| flag.get_id() != "namespace")
        .map(|flag| (camel(flag.get_long().unwrap()), flag.clone()))
        .collect()
}

fn camel(flag: &str) -> String {
    let mut words = flag.split('-');
    let first = words.next().unwrap().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(1);
        name + &initial.to_uppercase() + rest
    })
}

fn schema() -> Value {
    let text = read("deploy/chart/values.schema.json");
    let all: Value = serde_json::from_str(&text).unwrap();
    all["properties"]["config"]["properties"].clone()
}

/// Values that the schema accepts, one for each flag.
fn sample(key: &str, flag: &Arg) -> (Value, String) {
    if matches!(flag.get_action(), ArgAction::SetTrue) {
        return (json!(true), "true".into());
    }
    let default = flag.get_default_values().first();
    let default = default.map(|value| value.to_str().unwrap().to_owned());
    if flag.get_value_delimiter().is_some() {
        let items = match key {
            "allowedAddresses" | "nat64Prefixes" => ["10.0.0.0/8", "fd00::/8"],
            "watchNamespaces" => ["team-a", "team-b"],
            _ => ["*.a.example", "b.example"],
        };
        return (json!(items), items.join(","));
    }
    match default {
        Some(number) if number.parse::<u16>().is_ok() => (json!(3), "3".into()),
        // A level is shown in capitals, and read in any case.
        Some(text) => (json!(text.to_lowercase()), text.to_lowercase()),
        None if key == "httpsProxy" => {
            let address = "http://proxy.example:3128";
            (json!(address), address.into())
        }
        None if key == "leaderElectionNamespace" => (json!("leases"), "leases".into()),
        None => (json!("/a/file"), "/a/file".into()),
    }
}

#[test]
fn the_schema_has_every_flag_and_no_other() {
    let schema: BTreeSet<String> = schema().as_object().unwrap().keys().cloned().collect();
    let flags: BTreeSet<String> = flags().into_keys().collect();
    assert!(flags.len() > 10);
    assert_eq!(schema, flags);
}

#[test]
fn the_values_mention_every_flag() {
    let values = read("deploy/chart/values.yaml");
    for key in flags().keys() {
        let line = format!("\n  {key}: ");
        let commented = format!("\n  # {key}: ");
        assert!(
            values.contains(&line) || values.contains(&commented),
            "{key}"
        );
    }
}

#[test]
fn every_flag_reaches_the_program() {
    let Some(helm) = Helm::new() else { return };
    let mut wanted = BTreeMap::new();
    let mut config = serde_json::Map::new();
    for (key, flag) in flags() {
        let (value, text) = sample(&key, &flag);
        let variable = flag.get_env().unwrap().to_str().unwrap().to_owned();
        wanted.insert(variable, text);
        config.insert(key, value);
    }
    let all = helm
        .template(&[
            &format!("config={}", Value::from(config)),
            "rbac.install=false",
        ])
        .unwrap();
    let deployment = &all[&("Deployment".to_owned(), OPERATOR.to_owned())];
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut rendered: BTreeMap<String, String> = container["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| (text(&variable["name"]), text(&variable["value"])))
        .collect();
    assert!(rendered.remove("JCO_NAMESPACE").is_some());
    // As in the Deployment of deploy/, this one is an argument.
    assert_eq!(container["args"], json!(["run", "--leader-elect"]));
    rendered.insert("JCO_LEADER_ELECT".into(), "true".into());
    assert_eq!(rendered, wanted);
}
