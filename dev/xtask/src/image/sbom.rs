//! What is in the image, as a bill of materials in the format of `CycloneDX` 1.5,
//! <https://cyclonedx.org/docs/1.5/json/>. Equal inputs give equal bytes: it has no serial number.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::failure::{Outcome, While as _, fail};
use crate::{cargo, root};

/// What the image has beside the program: the certificate authorities of this package.
const AUTHORITIES: &str = "webpki-root-certs";

/// Components by their package URL.
pub(crate) type Components = BTreeMap<String, Value>;

/// What cargo knows of the packages of this work tree for a platform.
pub(crate) async fn metadata(triple: &str) -> Outcome<Value> {
    let mut command = cargo::cargo();
    command.args(["metadata", "--locked", "--format-version", "1"]);
    command.args(["--filter-platform", triple]);
    let output = command.current_dir(root()).output().await;
    let output = output.while_("cargo metadata")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return fail(format!("cargo metadata failed: {}", said.trim_end()));
    }
    serde_json::from_slice(&output.stdout).while_("reading what cargo metadata says")
}

/// The program and what is linked into it, and the certificate authorities.
pub(crate) fn components(metadata: &Value, program: &str) -> Outcome<Components> {
    let packages: BTreeMap<&str, &Value> = list(metadata, "/packages")
        .filter_map(|package| Some((text(package, "id")?, package)))
        .collect();
    let nodes: BTreeMap<&str, &Value> = list(metadata, "/resolve/nodes")
        .filter_map(|node| Some((text(node, "id")?, node)))
        .collect();
    let mut open = Vec::new();
    for name in [program, AUTHORITIES] {
        let named = |(_, package): &(&&str, &&Value)| text(package, "name") == Some(name);
        let Some((id, _)) = packages.iter().find(named) else {
            return fail(format!("cargo metadata names no package {name}"));
        };
        open.push(*id);
    }
    let mut seen = BTreeSet::new();
    let mut found = Components::new();
    while let Some(id) = open.pop() {
        let Some(package) = packages.get(id).filter(|_| seen.insert(id)) else {
            continue;
        };
        // A macro, and what it needs, runs in the compiler only.
        if is_macro(package) {
            continue;
        }
        let kind = if text(package, "name") == Some(program) {
            "application"
        } else {
            "library"
        };
        let (purl, component) = component(kind, package)?;
        found.insert(purl, component);
        if let Some(node) = nodes.get(id) {
            open.extend(
                list(node, "/deps")
                    .filter(|used| is_linked(used))
                    .filter_map(|used| text(used, "pkg")),
            );
        }
    }
    Ok(found)
}

/// The document.
pub(crate) fn document(
    image: &str,
    digest: &str,
    created: DateTime<Utc>,
    components: Components,
) -> Outcome<Vec<u8>> {
    let tool = json!({
        "type": "application",
        "name": "cargo xtask image",
        "version": env!("CARGO_PKG_VERSION"),
    });
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": created.to_rfc3339_opts(SecondsFormat::Secs, true),
            "tools": {"components": [tool]},
            "component": {
                "type": "container",
                "bom-ref": "image",
                "name": image,
                "version": digest,
            },
        },
        "components": components.into_values().collect::<Vec<Value>>(),
    });
    let mut bytes = serde_json::to_vec_pretty(&document)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn component(kind: &str, package: &Value) -> Outcome<(String, Value)> {
    let (Some(name), Some(version)) = (text(package, "name"), text(package, "version")) else {
        return fail("cargo metadata names a package without a name or a version");
    };
    let purl = format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"));
    // As licences were separated before they were expressions.
    let licence = text(package, "license").map(|licence| licence.replace('/', " OR "));
    let licences: Vec<Value> = licence
        .into_iter()
        .map(|expression| json!({"expression": expression}))
        .collect();
    let component = json!({
        "type": kind,
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "licenses": licences,
    });
    Ok((purl, component))
}

fn is_macro(package: &Value) -> bool {
    list(package, "/targets")
        .flat_map(|target| list(target, "/kind"))
        .any(|kind| kind == "proc-macro")
}

/// Whether it is neither for tests nor for a build script alone.
fn is_linked(used: &Value) -> bool {
    list(used, "/dep_kinds").any(|kind| kind.get("kind").is_none_or(Value::is_null))
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    let items = value.pointer(pointer).and_then(Value::as_array);
    items.into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        reason = "a failed test may panic"
    )]

    use super::*;

    const PROGRAM: &str = "jira-credential-operator";

    /// The version of a package in `Cargo.lock`.
    fn locked(name: &str) -> String {
        let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
        let (_, rest) = lock
            .split_once(&format!("name = \"{name}\"\nversion = \""))
            .unwrap();
        rest.split('"').next().unwrap().to_owned()
    }

    fn written(metadata: &Value) -> Vec<u8> {
        let components = components(metadata, PROGRAM).unwrap();
        document("x", "sha256:0", DateTime::UNIX_EPOCH, components).unwrap()
    }

    #[tokio::test]
    async fn it_names_what_is_linked_and_nothing_else_in_equal_bytes() {
        let mut metadata = metadata("x86_64-unknown-linux-gnu").await.unwrap();
        let before = written(&metadata);
        let document: Value = serde_json::from_slice(&before).unwrap();
        assert_eq!(document["metadata"]["timestamp"], "1970-01-01T00:00:00Z");
        let all = document["components"].as_array().unwrap();
        let named = |name: &str| all.iter().find(|component| component["name"] == name);
        let minijinja = named("minijinja").unwrap();
        let version = locked("minijinja");
        assert_eq!(minijinja["version"], *version);
        assert_eq!(minijinja["purl"], format!("pkg:cargo/minijinja@{version}"));
        assert_eq!(minijinja["licenses"], json!([{"expression": "Apache-2.0"}]));
        assert_eq!(named(PROGRAM).unwrap()["type"], "application");
        assert!(named(AUTHORITIES).is_some());
        // For tests, in the compiler, and on another platform.
        for absent in [
            "libtest-mimic",
            "atlassian-sim",
            "tokio-macros",
            "windows-sys",
        ] {
            assert!(named(absent).is_none(), "{absent}");
        }
        // Whatever the order in which cargo tells them.
        for place in ["/packages", "/resolve/nodes"] {
            let list = metadata.pointer_mut(place).unwrap();
            list.as_array_mut().unwrap().reverse();
        }
        assert!(written(&metadata) == before);
    }
}
