//! Incoming webhooks of Slack, and of what takes the same: Mattermost, Rocket.Chat.

use serde_json::{Value, json};

use crate::notify::format::named;
use crate::notify::message::Message;

pub(super) fn payload(messages: &[Message]) -> Value {
    let (named, others) = named(messages);
    let texts: Vec<String> = named.iter().map(text).chain(others).collect();
    json!({"text": texts.join("\n\n")})
}

fn text(message: &Message) -> String {
    let mut lines = vec![format!("*{}*", escaped(&message.title()))];
    lines.extend(message.body().map(escaped));
    for (name, value) in message.facts() {
        lines.push(format!("{name}: {}", escaped(&value)));
    }
    if let Some(link) = &message.link {
        lines.push(format!("<{}|Runbook>", escaped(link)));
    }
    lines.join("\n")
}

/// `<` begins mentions and links in Slack; `@` at the front of a word is a mention elsewhere, and is kept from
/// its word by an invisible character, as is what Markdown makes links and formats of.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    let mut in_word = false;
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '@' if !in_word => escaped.push_str("@\u{200b}"),
            '*' | ']' | '`' | '~' => {
                escaped.push(letter);
                escaped.push('\u{200b}');
            }
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
        in_word = letter.is_alphanumeric();
    }
    escaped
}
