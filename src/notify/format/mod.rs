//! What a sink is sent.

mod alertmanager;
pub(super) mod jira;
mod json;
mod slack;
mod teams;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::notify::message::Message;
use crate::notify::sink::Format;

/// The body of the request for some messages of one sink; JSON takes one.
///
/// # Errors
/// When a template cannot be rendered: why, without what it was rendered with.
pub(super) fn body(
    format: &Format,
    messages: &[Message],
    now: DateTime<Utc>,
) -> Result<Vec<u8>, String> {
    let first = messages.first();
    let first = || first.ok_or_else(|| "there is nothing to send".to_owned());
    let value = match format {
        Format::Alertmanager => alertmanager::alerts(messages, now),
        Format::Slack => slack::payload(messages),
        Format::Teams => teams::payload(messages),
        Format::Json(None) => json::payload(first()?),
        Format::Json(Some(template)) => return json::rendered(template, first()?),
        Format::Jira => return Err("an issue is more than one request".to_owned()),
    };
    bytes(&value)
}

/// What one message to people names: the others are counted.
const NAMED: usize = 10;

/// The messages that are named, and a line about the others.
fn named(messages: &[Message]) -> (&[Message], Option<String>) {
    let Some((named, others)) = messages
        .split_at_checked(NAMED)
        .filter(|(_, rest)| !rest.is_empty())
    else {
        return (messages, None);
    };
    let over = others.iter().filter(|one| one.stage.is_over()).count();
    let line = format!(
        "and {} more: {} need a person, {over} are over. kubectl get jiracredentials --all-namespaces lists them.",
        others.len(),
        others.len() - over
    );
    (named, Some(line))
}

fn bytes(value: &Value) -> Result<Vec<u8>, String> {
    serde_json::to_vec(value).map_err(|_| "it cannot be encoded".to_owned())
}
