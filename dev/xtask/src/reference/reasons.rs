//! Conditions, and the reasons that they share with events.

use std::fs;

use jira_credential_operator::api::{ConditionType, Reason};
use schemars::schema_for;
use serde_json::Value;

use super::{head, row};
use crate::failure::{Outcome, While as _};
use crate::root;

/// Every message of every reason, under the conditions that have it; `cargo xtask messages` writes it.
const MESSAGES: &str = "docs/messages.md";

/// Conditions with the reasons of others.
const DERIVED: [(&str, &str); 3] = [
    (
        "Ready",
        "and those of `Valid` and `Published` that prevent it",
    ),
    (
        "Reconciling",
        "those of the conditions that will change by themselves",
    ),
    (
        "Stalled",
        "those of the conditions that a person has to change",
    ),
];

/// The types of conditions, and the reasons that each has.
pub(super) fn conditions() -> Outcome<String> {
    let messages = fs::read_to_string(root().join(MESSAGES)).while_(MESSAGES)?;
    let mut table = head(["type", "True means", "reasons"]);
    for (name, meaning) in variants(&serde_json::to_value(schema_for!(ConditionType))?) {
        let mut reasons: Vec<String> = reasons_of(name, &messages)
            .into_iter()
            .map(|reason| format!("`{reason}`"))
            .collect();
        let derived = DERIVED.iter().find(|(kind, _)| *kind == name);
        reasons.extend(derived.map(|(_, others)| (*others).to_owned()));
        table.push_str(&row([&format!("`{name}`"), meaning, &reasons.join(", ")]));
    }
    Ok(table)
}

/// The reasons in the sections of the messages that belong to a condition: those that have its name before the
/// colon of their title.
fn reasons_of<'a>(condition: &str, messages: &'a str) -> Vec<&'a str> {
    let mut reasons = Vec::new();
    for section in messages.split("\n## ").skip(1) {
        let title = section.lines().next().unwrap_or_default();
        let subject = title.split(':').next().unwrap_or_default();
        // Messages of other conditions, beside a Ready that stays True.
        let is_other = subject.contains("something fails");
        if is_other || !subject.split(' ').any(|word| word == condition) {
            continue;
        }
        for line in section.lines() {
            let reason = line
                .strip_prefix("| `")
                .and_then(|rest| rest.split('`').next());
            reasons.extend(reason.filter(|reason| !reasons.contains(reason)));
        }
    }
    reasons
}

/// All reasons; each leads to its section of the runbook.
pub(super) fn table() -> Outcome<String> {
    let mut table = head(["reason", "meaning"]);
    for (name, meaning) in variants(&serde_json::to_value(schema_for!(Reason))?) {
        let link = format!("[`{name}`](runbook.md#{})", name.to_lowercase());
        table.push_str(&row([&link, meaning]));
    }
    Ok(table)
}

/// The variants of an enumeration, and what their comments say.
fn variants(schema: &Value) -> Vec<(&str, &str)> {
    let variants = schema["oneOf"].as_array().into_iter().flatten();
    variants
        .filter_map(|variant| Some((variant["const"].as_str()?, variant["description"].as_str()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_and_reason_has_a_row() {
        let conditions = conditions().unwrap();
        assert_eq!(conditions.lines().count(), 12);
        for row in conditions.lines() {
            assert!(!row.ends_with("| |"), "{row}");
        }
        let table = table().unwrap();
        assert!(table.lines().count() > 80, "{table}");
        assert!(
            table.contains("| [`Rejected`](runbook.md#rejected) | Jira refuses the credential. |")
        );
    }
}
