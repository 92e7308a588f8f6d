//! The fields of the definition.

use serde_json::Value;

use super::{head, row};
use crate::failure::Outcome;

/// Where the reference explains a field at length: its end, and the link.
const SECTIONS: [(&str, &str); 17] = [
    (
        "spec.validation.requiredPermissions",
        "[permissions](#permissions)",
    ),
    (
        "spec.targets[].namespace",
        "[targets in other namespaces](#targets-in-other-namespaces)",
    ),
    ("spec.targets[].presets", "[presets](#presets)"),
    (
        "spec.targets[].creationPolicy",
        "[Merge](#keys-in-a-secret-of-somebody-else)",
    ),
    (
        "spec.targets[].keepPrevious",
        "[the value before](#the-value-before)",
    ),
    ("spec.targets[].template.data", "[templates](#templates)"),
    ("spec.restart", "[restarts](#restarts)"),
    (
        "spec.expiryLookup",
        "[expiry look-up](methods/expiry-lookup.md)",
    ),
    ("spec.owner", "[notifications](notifications.md)"),
    ("spec.auth.apiToken", "[API token](methods/api-token.md)"),
    ("spec.auth.oauth2", "[OAuth 2.0](methods/oauth2.md)"),
    (
        "spec.auth.clientCredentials",
        "[client credentials](methods/client-credentials.md)",
    ),
    (
        "spec.auth.personalAccessToken",
        "[personal access token](methods/personal-access-token.md)",
    ),
    (
        "spec.auth.basic",
        "[user name and password](methods/basic.md)",
    ),
    ("spec.auth.session", "[session](methods/session.md)"),
    ("spec.auth.oauth1", "[OAuth 1.0a](methods/oauth1.md)"),
    ("status.permissions", "[permissions](#permissions)"),
];

/// The table of `spec` or `status`.
pub(super) fn table(part: &str) -> Outcome<String> {
    let definition = serde_json::to_value(jira_credential_operator::crd::crd())?;
    let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties");
    let schema = schema.map_or(&Value::Null, |parts| at(parts, part));
    let mut table = head(["field", "values", "meaning"]);
    members(schema, part, part, &mut table);
    Ok(table)
}

/// A member of an object; nothing where there is none.
fn at<'a>(object: &'a Value, name: &str) -> &'a Value {
    object.get(name).unwrap_or(&Value::Null)
}

/// The rows of what is below a field.
fn members(schema: &Value, path: &str, part: &str, table: &mut String) {
    let required = at(schema, "required").as_array();
    for (name, member) in at(schema, "properties").as_object().into_iter().flatten() {
        let is_required = required.is_some_and(|names| names.iter().any(|other| other == name));
        let is_list = at(member, "items").is_object();
        let inner = if is_list { at(member, "items") } else { member };
        let path = format!("{path}.{name}");
        let reference = reference(inner);
        let shown = path
            .strip_prefix(part)
            .unwrap_or(&path)
            .trim_start_matches('.');
        let field = match &reference {
            Some(keys) if is_list => format!("`{shown}` `[{keys}]`"),
            Some(keys) => format!("`{shown}` `{keys}`"),
            None => format!("`{shown}`"),
        };
        // A status is no promise of what must be there.
        let values = values(member, inner, is_required && part == "spec");
        table.push_str(&row([&field, &values, &meaning(member, inner, &path)]));
        if reference.is_none() {
            let below = if is_list { "[]" } else { "" };
            members(inner, &format!("{path}{below}"), part, table);
        }
    }
}

/// The members of a reference to a Secret, `ConfigMap` or key of one, which need no rows of their own.
fn reference(schema: &Value) -> Option<String> {
    let members = at(schema, "properties").as_object()?;
    let names: Vec<&str> = members.keys().map(String::as_str).collect();
    match names.as_slice() {
        ["name"] => Some("{name}".to_owned()),
        ["key", "name"] => Some("{name, key}".to_owned()),
        _ => None,
    }
}

/// Whether a field is required, its default, what it may be, and how many there may be.
fn values(member: &Value, inner: &Value, is_required: bool) -> String {
    let mut parts = Vec::new();
    if is_required {
        parts.push("required".to_owned());
    }
    if let Some(values) = at(inner, "enum").as_array() {
        let values = values.iter().filter_map(Value::as_str);
        let values: Vec<String> = values.map(|value| format!("`{value}`")).collect();
        parts.push(values.join(", "));
    }
    match at(member, "default") {
        Value::String(value) => parts.push(format!("default `{value}`")),
        value @ (Value::Bool(_) | Value::Number(_)) => parts.push(format!("default `{value}`")),
        _ => {}
    }
    if let Some(key) = inner
        .pointer("/properties/key/default")
        .and_then(Value::as_str)
    {
        parts.push(format!("default key `{key}`"));
    }
    let most = ["maxItems", "maxProperties"]
        .iter()
        .find_map(|bound| at(member, bound).as_u64());
    if let Some(most) = most {
        parts.push(format!("at most {most}"));
    }
    parts.join("; ")
}

/// What a field means, and where more is said.
fn meaning(member: &Value, inner: &Value, path: &str) -> String {
    let text = at(member, "description")
        .as_str()
        .or(at(inner, "description").as_str());
    let text = text.unwrap_or_default();
    match SECTIONS.iter().find(|(field, _)| *field == path) {
        Some((_, link)) => format!("{text} More: {link}."),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_has_a_row_with_a_meaning() {
        for part in ["spec", "status"] {
            let table = table(part).unwrap();
            let rows: Vec<&str> = table.lines().skip(2).collect();
            assert!(rows.len() > 50, "{part}: {}", rows.len());
            for row in rows {
                assert!(!row.ends_with("| |"), "{row}");
            }
        }
    }

    #[test]
    fn a_row_says_what_the_schema_says() {
        let table = table("spec").unwrap();
        let row = |name: &str| {
            let begin = format!("| `{name}`");
            table.lines().find(|row| row.starts_with(&begin)).unwrap()
        };
        assert!(row("site").contains("| required |"));
        assert!(row("rotation.warnBefore").contains("| default `14d` |"));
        assert!(row("auth.oauth2.refreshTokenSecretRef").contains("default key `refresh-token`"));
        assert!(row("targets[].presets").contains("`Standard`, `Env`"));
        assert!(row("targets").contains("at most 8"));
    }

    #[test]
    fn each_section_belongs_to_a_field() {
        let tables = ["spec", "status"].map(|part| table(part).unwrap()).concat();
        for (_, link) in SECTIONS {
            assert!(tables.contains(&format!("More: {link}.")), "{link}");
        }
    }
}
