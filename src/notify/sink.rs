//! A receiver of notifications, as the administrator describes it.

use std::fmt;

use crate::notify::address::Address;
use crate::notify::problem::Event;
use crate::notify::tracker::Tracker;

/// One receiver of notifications.
#[derive(Clone, Debug)]
pub(super) struct Sink {
    /// How people and metrics name it.
    pub(super) name: String,
    pub(super) destination: Destination,
    pub(super) format: Format,
    /// The events that it gets.
    pub(super) events: Vec<Event>,
    /// Names of namespaces, or beginnings of names with a `*` behind; empty: all.
    pub(super) namespaces: Vec<String>,
    pub(super) reminders: Reminders,
}

/// Where a sink is.
#[derive(Clone, Debug)]
pub(super) enum Destination {
    /// It is posted to.
    Address(Address),
    /// It gets issues.
    Project(Tracker),
}

/// What a sink understands.
#[derive(Clone, Eq, PartialEq)]
pub(super) enum Format {
    Slack,
    Teams,
    Alertmanager,
    /// JSON, as a template makes it or as the operator does.
    Json(Option<String>),
    /// Issues of Jira.
    Jira,
}

/// How often a cause is sent again while it lasts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reminders {
    Daily,
    Weekly,
    Never,
}

/// A template may hold what is secret, and is not shown.
impl fmt::Debug for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

impl Format {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Teams => "teams",
            Self::Alertmanager => "alertmanager",
            Self::Json(_) => "json",
            Self::Jira => "jira",
        }
    }

    /// How many messages one request takes: programs get one, or a batch; people get a line for what is left.
    pub(super) fn most_at_once(&self, batch: usize) -> usize {
        match self {
            Self::Slack | Self::Teams => usize::MAX,
            Self::Alertmanager => batch,
            Self::Json(_) | Self::Jira => 1,
        }
    }

    /// Whether people read it, so that many at once are better read together.
    pub(super) fn is_for_people(&self) -> bool {
        matches!(self, Self::Slack | Self::Teams)
    }
}

impl Sink {
    /// Whether it gets what happens in a namespace.
    pub(super) fn covers(&self, namespace: &str) -> bool {
        let matches = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => namespace.starts_with(beginning),
            None => pattern == namespace,
        };
        self.namespaces.is_empty() || self.namespaces.iter().any(matches)
    }

    /// Whether it keeps a state that must be told again and again.
    pub(super) fn keeps_state(&self) -> bool {
        self.format == Format::Alertmanager
    }
}
