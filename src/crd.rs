//! The `CustomResourceDefinition`, as it is installed.
//!
//! Nearly all of it is derived from [`crate::api`]; this adds what the derive cannot say.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::json;

use crate::api::JiraCredential;

/// First line of the printed file.
const HEADER: &str = "# Printed by `jira-credential-operator crd`. Do not edit: change src/api and print it again.\n";

/// A date-time needs no more; without a bound, the API server reckons a rule on it as if it were
/// as long as a request.
const LONGEST_DATE_TIME: i64 = 64;

/// The references of a list whose key may be left out. Its default is not stored, see [`crate::api`].
const WITHOUT_KEYS: &str = "clientSecretRefs";

/// The keys that references have when the manifest names none, by the field that holds them.
const DEFAULT_KEYS: [(&str, &str); 6] = [
    ("apiKeySecretRef", "key"),
    ("caConfigMapRef", "ca.crt"),
    ("caSecretRef", "ca.crt"),
    ("emailSecretRef", "email"),
    ("refreshTokenSecretRef", "refresh-token"),
    ("tokenSecretRef", "token"),
];

/// The definition of `JiraCredential`.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = JiraCredential::crd();
    let schemas = crd
        .spec
        .versions
        .iter_mut()
        .filter_map(|version| version.schema.as_mut());
    for root in schemas.filter_map(|schema| schema.open_api_v3_schema.as_mut()) {
        complete(root);
        if let Some(spec) = root.properties.as_mut().and_then(|all| all.get_mut("spec")) {
            default_keys(spec);
            for field in spec.properties.iter_mut().flat_map(|all| all.values_mut()) {
                // The operator knows it by itself; stored, it costs something at every write.
                field.default = None;
            }
        }
        // Without it an object that the operator has not seen yet would read as up to date.
        if let Some(status) = root
            .properties
            .as_mut()
            .and_then(|all| all.get_mut("status"))
        {
            status.default = Some(JSON(json!({ "observedGeneration": -1 })));
            keep_earlier_names(status);
            keep_earlier_generations(status);
            // Only the operator writes it, so that one entry tells the API server whose it is; otherwise
            // it would keep one for each member.
            status.x_kubernetes_map_type = Some("atomic".into());
        }
    }
    crd
}

/// The definition as a YAML document.
///
/// # Errors
/// Only when a value cannot be written as YAML, which would be a bug.
pub fn yaml() -> Result<String, serde_saphyr::SerializeError> {
    Ok(format!("{HEADER}{}", serde_saphyr::to_string(&crd())?))
}

/// Bounds date-times, drops formats that the API server does not know, and lets the API server
/// take `null` for what it means in a manifest: left out.
fn complete(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.title = None;
    schema.description = schema.description.as_deref().map(reflow);
    match schema.format.as_deref() {
        None | Some("int32" | "int64") => {}
        Some("date-time") => schema.max_length = Some(LONGEST_DATE_TIME),
        Some(_) => schema.format = None,
    }
    for inner in children(schema) {
        complete(inner);
    }
}

/// Fields of the status that had another name in an earlier version: the object that holds them,
/// their name now, and their earlier name.
const EARLIER_NAMES: [(Option<&str>, &str, &str); 4] = [
    (None, "validatedFingerprint", "provenFingerprint"),
    (Some("grant"), "blockedBy", "trouble"),
    (Some("grant"), "replacementBlockedBy", "succession"),
    (Some("grant"), "nextCleanupTime", "nextCareTime"),
];

/// Keeps what an earlier version stored under another name: the API server drops a field that the
/// schema does not know, before the operator could read it.
fn keep_earlier_names(status: &mut JSONSchemaProps) {
    for (parent, now, earlier) in EARLIER_NAMES {
        let fields = match parent {
            None => status.properties.as_mut(),
            Some(parent) => status
                .properties
                .as_mut()
                .and_then(|all| all.get_mut(parent))
                .and_then(|parent| parent.properties.as_mut()),
        };
        let Some(fields) = fields else { continue };
        let Some(mut field) = fields.get(now).cloned() else {
            continue;
        };
        field.description = Some(format!("Earlier name of `{now}`: read, never written."));
        fields.insert(earlier.to_owned(), field);
    }
}

/// Lets an earlier version of the operator, which writes it, read what it wrote: otherwise it would write
/// the status again and again after a return to it.
fn keep_earlier_generations(status: &mut JSONSchemaProps) {
    let conditions = status
        .properties
        .as_mut()
        .and_then(|all| all.get_mut("conditions"));
    if let Some(JSONSchemaPropsOrArray::Schema(item)) =
        conditions.and_then(|conditions| conditions.items.as_mut())
    {
        let generation = JSONSchemaProps {
            type_: Some("integer".into()),
            format: Some("int64".into()),
            description: Some("Written by earlier releases; that of the status counts.".into()),
            ..JSONSchemaProps::default()
        };
        let fields = item.properties.get_or_insert_default();
        fields.insert("observedGeneration".into(), generation);
    }
}

/// Lets the API server fill in the key of a reference: which one is usual depends on the field.
fn default_keys(schema: &mut JSONSchemaProps) {
    for (name, field) in schema.properties.iter_mut().flatten() {
        if name == WITHOUT_KEYS {
            if let Some(JSONSchemaPropsOrArray::Schema(item)) = field.items.as_mut() {
                may_lack_key(item);
            }
            continue;
        }
        let usual = DEFAULT_KEYS.iter().find(|(of, _)| of == name);
        if let Some((_, usual)) = usual
            && let Some(key) = field.properties.as_mut().and_then(|all| all.get_mut("key"))
        {
            key.default = Some(JSON(json!(usual)));
            may_lack_key(field);
        }
    }
    for inner in children(schema) {
        default_keys(inner);
    }
}

fn may_lack_key(reference: &mut JSONSchemaProps) {
    if let Some(required) = &mut reference.required {
        required.retain(|name| name != "key");
    }
}

/// The schemas of properties, items and values.
fn children(schema: &mut JSONSchemaProps) -> impl Iterator<Item = &mut JSONSchemaProps> {
    let properties = schema
        .properties
        .iter_mut()
        .flat_map(|all| all.values_mut());
    let items = match schema.items.as_mut() {
        Some(JSONSchemaPropsOrArray::Schema(items)) => Some(&mut **items),
        _ => None,
    };
    let values = match schema.additional_properties.as_mut() {
        Some(JSONSchemaPropsOrBool::Schema(values)) => Some(&mut **values),
        _ => None,
    };
    properties.chain(items).chain(values)
}

/// Joins the lines of each paragraph: line breaks of doc comments do not matter to users.
fn reflow(text: &str) -> String {
    let paragraphs = text
        .split("\n\n")
        .map(|paragraph| paragraph.replace('\n', " "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}
