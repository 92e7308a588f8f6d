//! Templates of the format json: their variables, and whether they make JSON.

use std::collections::BTreeMap;

use crate::core::spec::text_fault;
use crate::render::render_text;

const LONGEST_TEMPLATE: usize = 8192;

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
    let hostile = values(|_| "a \"quoted\" \\ text\nof two lines".to_owned());
    let rendered = render_text(template, &hostile)?;
    if is_json(&rendered) {
        Ok(())
    } else {
        Err("must make JSON whatever the values are: write {{ message | tojson }}, without quotes around it".to_owned())
    }
}

/// The variables with their values.
pub(super) fn values(value: impl Fn(&str) -> String) -> BTreeMap<&'static str, String> {
    VARIABLES.iter().map(|name| (*name, value(name))).collect()
}

/// Whether a text is a JSON value.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
