//! Templates of the format json: their variables, and whether they make JSON.

use std::collections::BTreeMap;

use crate::core::spec::{text_fault, without_tojson};
use crate::render::render_text;

const LONGEST_TEMPLATE: usize = 8192;

const REMEDY: &str = "must make JSON whatever the values are: write {{ message | tojson }}, without quotes around it, for each value";

/// The variables of a template.
pub(super) const VARIABLES: [&str; 11] = [
    "status",
    "event",
    "namespace",
    "name",
    "site",
    "reason",
    "message",
    "since",
    "team",
    "contact",
    "runbook",
];

/// Checks a template as those of targets are, and with values that need every escape of JSON.
pub(super) fn check(template: &str) -> Result<(), String> {
    if template.len() > LONGEST_TEMPLATE {
        return Err(format!("must have at most {LONGEST_TEMPLATE} bytes"));
    }
    if let Some((line, what)) = text_fault(template, &VARIABLES) {
        let line = line.map_or_else(String::new, |line| format!("(line {line}) "));
        return Err(format!("{line}{what}"));
    }
    if let Some(line) = without_tojson(template) {
        return Err(format!("(line {line}) {REMEDY}"));
    }
    for status in ["firing", "reminder", "resolved"] {
        for event in ["Stalled", "RotationDue"] {
            for other in ["a \"quoted\" \\ text\nof two lines", ""] {
                let value = |name: &str| match name {
                    "status" => status.to_owned(),
                    "event" => event.to_owned(),
                    _ => other.to_owned(),
                };
                if !is_json(&render_text(template, &values(value))?) {
                    return Err(REMEDY.to_owned());
                }
            }
        }
    }
    Ok(())
}

/// The variables with their values.
pub(super) fn values(value: impl Fn(&str) -> String) -> BTreeMap<&'static str, String> {
    VARIABLES.iter().map(|name| (*name, value(name))).collect()
}

/// Whether a text is a JSON value.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
