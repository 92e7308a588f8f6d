//! Which client works with which method, as a table.

use std::fmt::Write as _;

use crate::client::Client;
use crate::method::Method;
use crate::{Outcome, Row};

/// Clients by methods: `yes`, `FAILED`, `skipped`, or nothing where a client has no such method.
pub(crate) fn of(rows: &[Row]) -> String {
    written(|client, method| {
        let row = rows
            .iter()
            .find(|row| row.client == client && row.method == method);
        match row.map(|row| &row.outcome) {
            Some(Outcome::Passed) => "yes",
            Some(Outcome::Failed(_)) => "FAILED",
            Some(Outcome::Skipped(_)) => "skipped",
            None => "",
        }
    })
}

/// The documentation has the table that stands when everything passes.
pub(crate) fn compare_with_docs() -> Result<(), String> {
    let wanted = written(
        |client, method| {
            if client.knows(method) { "yes" } else { "" }
        },
    );
    let docs = include_str!("../../docs/consumers.md");
    if docs.contains(&wanted) {
        return Ok(());
    }
    Err(format!("docs/consumers.md lacks this table:\n{wanted}"))
}

/// The target of each page has the preset that its consumers need.
pub(crate) fn compare_with_pages() -> Result<(), String> {
    for client in Client::ALL {
        let (shown, preset) = (client.shown(), client.preset());
        if !shown.presets().iter().any(|named| named == preset) {
            let name = shown.name;
            return Err(format!(
                "the target of {name} lacks {preset}, which {client} needs"
            ));
        }
    }
    Ok(())
}

fn written(cell: impl Fn(Client, Method) -> &'static str) -> String {
    let mut text = "| client | preset |".to_owned();
    for method in Method::ALL {
        let _ = write!(text, " {method} |");
    }
    text.push_str("\n|---|---|");
    text.push_str(&"---|".repeat(Method::ALL.len()));
    text.push('\n');
    for client in Client::ALL {
        let _ = write!(text, "| {client} | `{}` |", client.preset());
        for method in Method::ALL {
            let _ = write!(text, " {} |", cell(client, method));
        }
        text.push('\n');
    }
    text
}
