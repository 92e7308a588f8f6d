//! Workflow webhooks of Microsoft Teams: a message with an Adaptive Card.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::notify::format::named;
use crate::notify::message::{Message, Stage};

/// Links to the runbook in one card.
const MOST_ACTIONS: usize = 4;

pub(super) fn payload(messages: &[Message]) -> Value {
    let (named, others) = named(messages);
    let mut body: Vec<Value> = named.iter().flat_map(lines).collect();
    body.extend(others.map(|text| line(&[run(&text)])));
    // One for all that have the same.
    let links: BTreeMap<&str, &str> = named
        .iter()
        .filter_map(|message| Some((message.link.as_deref()?, message.reason.as_str())))
        .collect();
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    });
    // A card has room for few.
    let open = |(link, reason): (&&str, &&str)| json!({"type": "Action.OpenUrl", "title": format!("Runbook: {reason}"), "url": link});
    let actions: Vec<Value> = links.iter().take(MOST_ACTIONS).map(open).collect();
    if let Some(card) = card.as_object_mut().filter(|_| !actions.is_empty()) {
        card.insert("actions".to_owned(), json!(actions));
    }
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card,
        }],
    })
}

/// The lines of one message, apart from those before.
fn lines(message: &Message) -> Vec<Value> {
    let colour = match message.stage {
        Stage::Firing | Stage::Reminder => "attention",
        Stage::Resolved { .. } => "good",
    };
    let title = line(&[json!({
        "type": "TextRun", "text": message.title(), "weight": "bolder", "color": colour,
    })]);
    let mut lines = vec![title];
    lines.extend(message.body().map(|text| line(&[run(text)])));
    for (name, value) in message.facts() {
        let name = json!({"type": "TextRun", "text": format!("{name}: "), "weight": "bolder"});
        lines.push(line(&[name, run(&value)]));
    }
    lines
}

/// Text in a `TextRun` is no Markdown, unlike that of a `TextBlock`: nothing in it becomes a link.
fn run(text: &str) -> Value {
    json!({"type": "TextRun", "text": text})
}

fn line(inlines: &[Value]) -> Value {
    json!({"type": "RichTextBlock", "inlines": inlines})
}
