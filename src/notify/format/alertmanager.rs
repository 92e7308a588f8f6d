//! Alerts for `POST /api/v2/alerts` of Alertmanager.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use crate::core::time::later;
use crate::notify::message::{Message, Stage, time};
use crate::notify::problem::Event;

/// An alert that is not sent again ends after this time, as when the operator is gone. It is longer than
/// two rounds and the change of leaders.
const LASTS: TimeDelta = TimeDelta::minutes(10);

pub(super) fn alerts(messages: &[Message], now: DateTime<Utc>) -> Value {
    messages.iter().map(|message| alert(message, now)).collect()
}

/// The labels identify the alert: what may change while it lasts is an annotation.
fn alert(message: &Message, now: DateTime<Utc>) -> Value {
    let severity = match message.event {
        Event::Stalled => "critical",
        Event::RotationDue | Event::Resolved => "warning",
    };
    let ends = match message.stage {
        Stage::Firing | Stage::Reminder => later(now, LASTS),
        Stage::Resolved { .. } => now,
    };
    let about = format!("{}/{}", message.namespace, message.name);
    let labels = filled([
        ("alertname", Some("JiraCredentialNeedsPerson")),
        ("namespace", Some(&message.namespace)),
        ("name", Some(&message.name)),
        ("reason", Some(&message.reason)),
        ("severity", Some(severity)),
    ]);
    let summary = format!("JiraCredential {about} needs a person: {}", message.reason);
    let annotations = filled([
        ("summary", Some(&summary)),
        ("description", Some(&message.text)),
        ("site", Some(&message.site)),
        ("team", message.owner.team.as_deref()),
        ("contact", message.owner.contact.as_deref()),
        ("runbook_url", message.link.as_deref()),
    ]);
    let mut alert = json!({
        "labels": labels,
        "annotations": annotations,
        // Alertmanager refuses an alert that ends before it starts.
        "startsAt": time(message.since.min(ends)),
        "endsAt": time(ends),
    });
    if let (Some(link), Some(alert)) = (&message.link, alert.as_object_mut()) {
        alert.insert("generatorURL".to_owned(), json!(link));
    }
    alert
}

fn filled<const N: usize>(pairs: [(&str, Option<&str>); N]) -> Map<String, Value> {
    let pairs = pairs.into_iter().filter_map(|(name, value)| {
        let value = value.filter(|value| !value.is_empty())?;
        Some((name.to_owned(), json!(value)))
    });
    pairs.collect()
}
