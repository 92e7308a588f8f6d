//! The manifests that documents show, as the API server takes them.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use control_plane::ControlPlane;
use control_plane::definitions::DEFINITIONS;
use kube::api::{DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::support::context;

/// What the API server of the tests knows besides its own kinds.
const GROUPS: [&str; 5] = ["jira-operator.dev", "apps", "batch", "", "policy"];

#[tokio::test]
async fn every_manifest_in_the_documents_is_accepted() {
    let test = context("documents").await;
    let missing = install_foreign(test.plane).await;
    let (mut seen, mut foreign) = (0, BTreeSet::new());
    for file in documents() {
        let document = std::fs::read_to_string(&file).unwrap();
        let found = match file.extension() {
            Some(extension) if extension == "yaml" => vec![document],
            _ => blocks(&document),
        };
        for block in found {
            let place = format!("{}:\n{block}", file.display());
            // Documents write the identifiers that a reader replaces like this.
            let block = block.replace('…', "x");
            let parsed = serde_saphyr::from_multiple::<Value>(&block);
            for manifest in parsed.unwrap_or_else(|error| panic!("{error}: {place}")) {
                let Some(manifest) = whole(manifest) else {
                    continue;
                };
                let group = group(&manifest);
                if missing.contains(group) {
                    continue;
                }
                if is_foreign(group) {
                    foreign.insert(group.to_owned());
                } else {
                    assert!(GROUPS.contains(&group), "{group}: {place}");
                }
                seen += 1;
                accepted(&test.client, &test.namespace, &manifest, &place).await;
            }
        }
    }
    assert!(seen >= 20, "{seen}");
    // No definition is installed in vain.
    assert_eq!(foreign.len() + missing.len(), DEFINITIONS.len());
}

fn is_foreign(group: &str) -> bool {
    DEFINITIONS.iter().any(|project| project.group == group)
}

/// Installs the definitions of other projects. Returns the groups whose module cannot be downloaded, with a
/// line for each that says so.
async fn install_foreign(plane: &ControlPlane) -> BTreeSet<&'static str> {
    let (mut missing, mut definitions) = (BTreeSet::new(), String::new());
    for project in &DEFINITIONS {
        let text = tokio::task::spawn_blocking(|| project.text())
            .await
            .unwrap();
        match text {
            Err(error) if error.is_without_modules() => {
                let group = project.group;
                let line = format!("skipped: no Go module with the definitions of {group}");
                // Past the harness, which hides what passing tests print.
                let _ = writeln!(std::io::stderr(), "{line}");
                missing.insert(group);
            }
            text => definitions.push_str(&text.unwrap()),
        }
    }
    // All definitions in one call: the garbage collector restarts its watches after each change of the kinds.
    plane.install_crds(&definitions).await.unwrap();
    missing
}

/// The API group of a manifest; empty for the core.
fn group(manifest: &Value) -> &str {
    let version = manifest["apiVersion"].as_str().unwrap();
    version.split_once('/').map_or("", |(group, _)| group)
}

/// A manifest, or a spec alone with what belongs around it; nothing for a piece of something else.
fn whole(mut manifest: Value) -> Option<Value> {
    if manifest
        .get("spec")
        .is_some_and(|spec| spec.get("site").is_some())
    {
        let object = manifest.as_object_mut()?;
        let known = json!({
            "apiVersion": "jira-operator.dev/v1alpha1",
            "kind": "JiraCredential",
            "metadata": {"name": "documented"},
        });
        for (name, value) in known.as_object()? {
            object.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    manifest.get("kind").is_some().then_some(manifest)
}

/// Sends it with a dry run; an unknown field is a fault.
async fn accepted(client: &Client, namespace: &str, manifest: &Value, place: &str) {
    let version = manifest["apiVersion"].as_str().unwrap();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let kind = GroupVersionKind::gvk(group, version, manifest["kind"].as_str().unwrap());
    let resource = ApiResource::from_gvk(&kind);
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
    let object: DynamicObject = serde_json::from_value(manifest.clone()).unwrap();
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let url = api.resource_url();
    let request = kube::core::Request::new(url);
    let mut request = request
        .create(&params, serde_json::to_vec(&object).unwrap())
        .unwrap();
    let strict = format!("{}&fieldValidation=Strict", request.uri());
    *request.uri_mut() = strict.parse().unwrap();
    let answer = client.request::<Value>(request).await;
    if let Err(error) = answer {
        panic!("{error}: {place}");
    }
}

/// All documents, and the alerts, which documents tell to apply.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let single = ["README.md", "SECURITY.md", "deploy/monitoring/rules.yaml"];
    let mut found: Vec<PathBuf> = single.iter().map(|name| root.join(name)).collect();
    let mut open = vec![root.join("docs")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// The blocks of YAML in a document.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        match &mut open {
            None if line.trim_end() == "```yaml" => open = Some(String::new()),
            Some(_) if line.trim_end() == "```" => blocks.extend(open.take()),
            Some(block) => {
                block.push_str(line);
                block.push('\n');
            }
            None => {}
        }
    }
    blocks
}
