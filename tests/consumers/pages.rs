//! What the pages of `docs/consumers` show is what the tests run.

use std::path::Path;

use serde_json::Value;

/// The blocks of a page in this language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    page.split(fence.as_str())
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect()
}

/// The configuration of Alertmanager, with the files in this folder, and with the block of the page in
/// which `http_config` has this member instead of `basic_auth`.
pub(crate) fn alertmanager(login: Option<&str>, mount: &Path) -> Value {
    let page = include_str!("../../docs/consumers/alertmanager.md");
    let page = page.replace("/etc/alertmanager/jira", &mount.display().to_string());
    let documents = blocks(&page, "yaml")
        .into_iter()
        .flat_map(|block| serde_saphyr::from_multiple::<Value>(block).unwrap())
        .collect::<Vec<Value>>();
    let map = documents
        .iter()
        .find(|document| document["kind"] == "ConfigMap");
    let text = map.unwrap()["data"]["alertmanager.yml"].as_str().unwrap();
    let mut config: Value = serde_saphyr::from_str(text).unwrap();
    if let Some(login) = login {
        let shown = documents
            .iter()
            .map(|document| &document["http_config"])
            .find(|shown| shown.get(login).is_some());
        config["receivers"][0]["jira_configs"][0]["http_config"] = shown.unwrap().clone();
    }
    config
}
