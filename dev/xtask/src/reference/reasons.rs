//! The reasons that conditions and events share.

use jira_credential_operator::api::Reason;
use schemars::schema_for;
use serde_json::Value;

use super::{head, row};
use crate::failure::Outcome;

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
    fn every_reason_has_a_row() {
        let table = table().unwrap();
        assert!(table.lines().count() > 80, "{table}");
        assert!(
            table.contains("| [`Rejected`](runbook.md#rejected) | Jira refuses the credential. |")
        );
    }
}
