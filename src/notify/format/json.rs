//! JSON for programs, or what a template of the administrator makes of it.

use serde_json::{Value, json};

use crate::notify::message::{Message, time};
use crate::notify::template::{is_json, values};
use crate::render::render_text;

pub(super) fn payload(message: &Message) -> Value {
    json!({
        "status": message.stage.word(),
        "event": message.event,
        "namespace": message.namespace,
        "name": message.name,
        "site": message.site,
        "reason": message.reason,
        "message": message.text,
        "since": time(message.since),
        "owner": message.owner,
        "runbook": message.link,
    })
}

pub(super) fn rendered(template: &str, message: &Message) -> Result<Vec<u8>, String> {
    let owner = &message.owner;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let value = |name: &str| match name {
        "status" => message.stage.word().to_owned(),
        "event" => format!("{:?}", message.event),
        "namespace" => message.namespace.clone(),
        "name" => message.name.clone(),
        "site" => message.site.clone(),
        "reason" => message.reason.clone(),
        "message" => message.text.clone(),
        "since" => time(message.since),
        "team" => text(&owner.team),
        "contact" => text(&owner.contact),
        "runbook" => text(&message.link),
        _ => String::new(),
    };
    let body = render_text(template, &values(value))?;
    if is_json(&body) {
        Ok(body.into_bytes())
    } else {
        Err("the template makes no JSON of this message".to_owned())
    }
}
