//! The fields of one sink in the file of the administrator, each with what it must be.

use std::path::Path;

use serde::Deserialize;

use crate::net::HostPatterns;
use crate::notify::address::Address;
use crate::notify::problem::Event;
use crate::notify::sink::{Destination, Format, Reminders, Sink};
use crate::notify::template;
use crate::notify::tracker::{RawReference, RawTracker};

const LONGEST_NAME: usize = 32;

/// A sink as the file has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawSink {
    pub(super) name: String,
    format: String,
    url: Option<String>,
    url_file: Option<String>,
    events: Option<Vec<String>>,
    #[serde(default)]
    namespaces: Vec<String>,
    reminders: Option<String>,
    template: Option<String>,
    credential: Option<RawReference>,
    project: Option<String>,
    issue_type: Option<String>,
    labels: Option<Vec<String>>,
    done_transition: Option<String>,
}

/// What the addresses of sinks depend on beside their fields.
#[derive(Clone, Copy)]
pub(super) struct Bounds<'a> {
    /// Where files that have no whole path are.
    pub(super) folder: &'a Path,
    /// The hosts of `--notify-hosts`.
    pub(super) hosts: &'a HostPatterns,
}

/// What is wrong with a field: its name, and what it must be.
pub(super) type Fault = (&'static str, String);

/// Reads the fields of one sink.
pub(super) fn sink(raw: RawSink, bounds: Bounds<'_>) -> Result<Sink, Fault> {
    if !is_name(&raw.name) {
        let what = format!(
            "must be 1 to {LONGEST_NAME} lower-case letters, digits and hyphens: it is a label of a metric"
        );
        return Err(("name", what));
    }
    let format = format(&raw.format, raw.template)?;
    let tracker = RawTracker {
        credential: raw.credential,
        project: raw.project,
        issue_type: raw.issue_type,
        labels: raw.labels,
        done_transition: raw.done_transition,
    };
    let destination = destination(raw.url, raw.url_file, bounds, &format, tracker)?;
    let events = events(raw.events, &format)?;
    for pattern in &raw.namespaces {
        if !is_pattern(pattern) {
            let what = "must be names of namespaces, or beginnings of names with a * behind, such as team-*";
            return Err(("namespaces", what.to_owned()));
        }
    }
    let reminders = match (raw.reminders.as_deref(), &format) {
        (Some(_), Format::Alertmanager) => {
            let what = "has no effect for alertmanager, which gets all active causes every minute and repeats by itself: remove it";
            return Err(("reminders", what.to_owned()));
        }
        (None | Some("Daily"), _) => Reminders::Daily,
        (Some("Weekly"), _) => Reminders::Weekly,
        (Some("Never"), _) => Reminders::Never,
        (Some(_), _) => {
            return Err(("reminders", "must be Daily, Weekly or Never".to_owned()));
        }
    };
    Ok(Sink {
        name: raw.name,
        destination,
        format,
        events,
        namespaces: raw.namespaces,
        reminders,
    })
}

fn format(word: &str, template: Option<String>) -> Result<Format, Fault> {
    if template.is_some() && word != "json" {
        let what = "is for the format json only: remove it, or set format: json";
        return Err(("template", what.to_owned()));
    }
    match word {
        "slack" => Ok(Format::Slack),
        "teams" => Ok(Format::Teams),
        "alertmanager" => Ok(Format::Alertmanager),
        "jira" => Ok(Format::Jira),
        "json" => {
            if let Some(template) = &template {
                template::check(template).map_err(|what| ("template", what))?;
            }
            Ok(Format::Json(template))
        }
        _ => {
            let what = "must be slack, teams, alertmanager, json or jira";
            Err(("format", what.to_owned()))
        }
    }
}

fn destination(
    url: Option<String>,
    file: Option<String>,
    bounds: Bounds<'_>,
    format: &Format,
    tracker: RawTracker,
) -> Result<Destination, Fault> {
    if *format != Format::Jira {
        if let Some(field) = tracker.first() {
            let what = "is for the format jira only: remove it, or set format: jira";
            return Err((field, what.to_owned()));
        }
        return address(url, file, bounds, format).map(Destination::Address);
    }
    for (field, is_there) in [("url", url.is_some()), ("urlFile", file.is_some())] {
        if is_there {
            let what = "is not for the format jira: remove it, the site is that of the JiraCredential in credential";
            return Err((field, what.to_owned()));
        }
    }
    tracker.read().map(Destination::Project)
}

fn address(
    url: Option<String>,
    file: Option<String>,
    bounds: Bounds<'_>,
    format: &Format,
) -> Result<Address, Fault> {
    match (url, file) {
        (Some(url), None) => {
            let address = Address::Known(url.into());
            let checked = address.check(*format == Format::Alertmanager, bounds.hosts);
            checked.map_err(|what| ("url", what))?;
            Ok(address)
        }
        // A path that is whole replaces the folder. What is in the file may change at any time, and must
        // not keep the operator from starting: it is checked for each request.
        (None, Some(file)) => Ok(Address::File(bounds.folder.join(file))),
        _ => {
            let what =
                "or urlFile must be there, and not both: the address, or a file that holds it";
            Err(("url", what.to_owned()))
        }
    }
}

fn events(words: Option<Vec<String>>, format: &Format) -> Result<Vec<Event>, Fault> {
    let all = vec![Event::Stalled, Event::RotationDue, Event::Resolved];
    let Some(words) = words else {
        return Ok(all);
    };
    let mut events = Vec::new();
    for word in words {
        events.push(match word.as_str() {
            "Stalled" => Event::Stalled,
            "RotationDue" => Event::RotationDue,
            "Resolved" => Event::Resolved,
            _ => {
                let what = "must be some of Stalled, RotationDue and Resolved";
                return Err(("events", what.to_owned()));
            }
        });
    }
    if !events.contains(&Event::Stalled) && !events.contains(&Event::RotationDue) {
        let what = "must have Stalled or RotationDue: what was not told cannot be resolved";
        return Err(("events", what.to_owned()));
    }
    if *format == Format::Alertmanager && !events.contains(&Event::Resolved) {
        let what = "must have Resolved for alertmanager, whose alerts end by it: add it, or leave events out";
        return Err(("events", what.to_owned()));
    }
    Ok(events)
}

pub(super) fn is_name(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(is_inner)
}

fn is_pattern(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let beginning = text.strip_suffix('*').unwrap_or(text);
    !text.is_empty() && text.len() <= 64 && beginning.bytes().all(is_inner)
}
