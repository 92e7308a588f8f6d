//! The file of `--notify-config`: where notifications go.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use url::Url;

use crate::net::HostPatterns;
use crate::notify::sink::{Destination, Format, Sink};
use crate::notify::sink_fields::{Bounds, RawSink, is_name, sink};

const MOST_SINKS: usize = 16;

/// Longest file that is read.
const LONGEST_FILE: u64 = 64 * 1024;

/// Where notifications go.
#[derive(Clone, Debug)]
pub struct NotifyConfig {
    pub(super) sinks: Vec<Sink>,
    /// The hosts that addresses may have.
    pub(super) hosts: HostPatterns,
    /// Where the runbook is served.
    pub(super) runbook: Option<Url>,
    /// Divides the waits between rounds and retries; 1 outside of tests.
    pub pace: u32,
}

/// Why the file cannot be used. Values are not repeated: an address is secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotifyConfigError {
    /// It cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
    /// It is no YAML of the form that is expected.
    #[error("{}{what}", line.map_or_else(String::new, |line| format!("line {line}: ")))]
    Malformed {
        /// Where, counted from 1.
        line: Option<u64>,
        /// What is wrong.
        what: String,
    },
    /// A field has a value that makes no sense.
    #[error("{field} {what}")]
    Field {
        /// The path of the field.
        field: String,
        /// What it must be, beginning with a verb.
        what: String,
    },
}

impl NotifyConfig {
    /// Reads a file. Files that it names are sought beside it; addresses have a host of `hosts`.
    ///
    /// # Errors
    /// When it cannot be used: which field, and what it must be.
    pub fn load(path: &Path, hosts: HostPatterns) -> Result<Self, NotifyConfigError> {
        let unreadable = |error: std::io::Error| NotifyConfigError::Unreadable(error.to_string());
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > LONGEST_FILE {
            let what = format!("it has more than {} KiB", LONGEST_FILE / 1024);
            return Err(NotifyConfigError::Unreadable(what));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, folder, hosts)
    }

    /// Reads the text of a file in a folder.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(
        text: &str,
        folder: &Path,
        hosts: HostPatterns,
    ) -> Result<Self, NotifyConfigError> {
        read(text, folder, hosts)
    }

    /// The sinks whose address cannot be used now, and why: their files may be replaced at any time.
    pub fn without_address(&self) -> Vec<(&str, String)> {
        let sinks = self.sinks.iter();
        let faults = sinks.filter_map(|sink| match &sink.destination {
            Destination::Address(address) => {
                let checked = address.check(sink.format == Format::Alertmanager, &self.hosts);
                checked.err().map(|what| (sink.name.as_str(), what))
            }
            Destination::Project(_) => None,
        });
        faults.collect()
    }

    /// The names of the sinks and what they understand, for the log.
    pub fn summary(&self) -> String {
        let sinks = self.sinks.iter();
        let sinks: Vec<String> = sinks
            .map(|sink| format!("{} ({})", sink.name, sink.format.word()))
            .collect();
        sinks.join(", ")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawConfig {
    runbook_url: Option<String>,
    sinks: Vec<RawSink>,
}

fn read(text: &str, folder: &Path, hosts: HostPatterns) -> Result<NotifyConfig, NotifyConfigError> {
    let raw: RawConfig = serde_saphyr::from_str(text).map_err(|error| malformed(&error))?;
    let field = |field: &str, what: &str| NotifyConfigError::Field {
        field: field.to_owned(),
        what: what.to_owned(),
    };
    let runbook = match raw.runbook_url.as_deref().map(Url::parse) {
        None => None,
        Some(Ok(url)) if matches!(url.scheme(), "https" | "http") => Some(url),
        Some(_) => {
            let what =
                "must be the address at which docs/runbook.md is served, with https:// in front";
            return Err(field("runbookUrl", what));
        }
    };
    if raw.sinks.is_empty() || raw.sinks.len() > MOST_SINKS {
        let what = format!("must list 1 to {MOST_SINKS} sinks");
        return Err(field("sinks", &what));
    }
    let bounds = Bounds {
        folder,
        hosts: &hosts,
    };
    let mut names = BTreeSet::new();
    let mut sinks = Vec::new();
    for (index, raw) in raw.sinks.into_iter().enumerate() {
        let name = raw.name.clone();
        let read = sink(raw, bounds).and_then(|sink| {
            if names.insert(sink.name.clone()) {
                return Ok(sink);
            }
            let what = "is used twice: give each sink a name of its own, metrics and logs tell them apart by it";
            Err(("name", what.to_owned()))
        });
        let sink = read.map_err(|(of, what)| {
            let shown = if is_name(&name) {
                format!(" ({name})")
            } else {
                String::new()
            };
            field(&format!("sinks[{index}]{shown}.{of}"), &what)
        })?;
        sinks.push(sink);
    }
    Ok(NotifyConfig {
        sinks,
        hosts,
        runbook,
        pace: 1,
    })
}

/// What the reader says, without the values that it quotes.
fn malformed(error: &serde_saphyr::Error) -> NotifyConfigError {
    let error = error.without_snippet();
    let text = error.to_string();
    let text = text.lines().next().unwrap_or_default();
    NotifyConfigError::Malformed {
        line: error.location().map(|location| location.line()),
        what: without_values(text),
    }
}

/// A text without what stands in double quotes; nothing of it if an address may stand elsewhere.
fn without_values(text: &str) -> String {
    let mut told = String::new();
    for (index, part) in text.split('"').enumerate() {
        told.push_str(if index % 2 == 0 { part } else { "\"\u{2026}\"" });
    }
    if told.contains("//") {
        "it is no YAML of the form that docs/notifications.md shows".to_owned()
    } else {
        told
    }
}
