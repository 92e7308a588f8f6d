//! Which requests fail, and how.

use std::{
    ops::{Bound, RangeBounds},
    time::Duration,
};

use http::StatusCode;

use super::request::{Recorded, Verb};

/// Selects requests. Everything that is not said matches.
#[derive(Debug, Clone, Default)]
pub struct Requests {
    verbs: Vec<Verb>,
    effects: bool,
    group: Option<String>,
    resource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
}

impl Requests {
    /// All requests.
    pub fn any() -> Self {
        Self::default()
    }

    /// The requests that change the cluster: all writes but those of events,
    /// leases, tokens, reviews and dry runs.
    pub fn effects() -> Self {
        Self {
            effects: true,
            ..Self::default()
        }
    }

    /// The requests of one verb.
    pub fn verb(verb: Verb) -> Self {
        Self::default().or_verb(verb)
    }

    /// The requests of one more verb.
    #[must_use]
    pub fn or_verb(mut self, verb: Verb) -> Self {
        self.verbs.push(verb);
        self
    }

    /// Only this API group; empty for the core group.
    #[must_use]
    pub fn group(mut self, group: &str) -> Self {
        self.group = Some(group.to_owned());
        self
    }

    /// Only this resource, spelled as in RBAC rules: `things` is not
    /// `things/status`, and `things/*` is both.
    #[must_use]
    pub fn resource(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Only this namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Only the object of this name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Whether a request is one of these.
    pub fn matches(&self, request: &Recorded) -> bool {
        (self.verbs.is_empty() || self.verbs.contains(&request.verb))
            && (!self.effects || request.is_effect())
            && self
                .group
                .as_ref()
                .is_none_or(|group| *group == request.group)
            && self.resource.as_ref().is_none_or(|resource| {
                resource.strip_suffix("/*").map_or_else(
                    || *resource == request.target(),
                    |all| all == request.resource,
                )
            })
            && (self.namespace.is_none() || self.namespace == request.namespace)
            && (self.name.is_none() || self.name == request.name)
    }
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server never sees it; the client gets this HTTP status with a
    /// proper `Status` object.
    Status(u16),
    /// The server never sees it; the client gets a connection error.
    Unreachable,
    /// The server does what it is asked; the client gets a connection error
    /// instead of the answer and cannot know.
    LostAnswer,
    /// The server does what it is asked; the client gets this HTTP status, as
    /// from a proxy that lost its patience.
    LostAnswerStatus(u16),
    /// The request takes this long to reach the server.
    DelayBefore(Duration),
    /// The answer takes this long to reach the client.
    DelayAfter(Duration),
    /// The server does what it is asked; the answer reaches the client after [`super::Faults::heal`].
    HoldAfter,
}

/// Which of the matching requests, counted from 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occurrences(Bound<usize>, Bound<usize>);

impl Occurrences {
    pub(crate) fn of(range: &impl RangeBounds<usize>) -> Self {
        Self(range.start_bound().cloned(), range.end_bound().cloned())
    }
}

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) requests: Requests,
    pub(crate) occurrences: Occurrences,
    pub(crate) fault: Fault,
    pub(crate) seen: usize,
}

impl Rule {
    /// The fault for this request, if any.
    pub(crate) fn apply(&mut self, request: &Recorded) -> Option<Fault> {
        if !self.requests.matches(request) {
            return None;
        }
        self.seen += 1;
        let Occurrences(start, end) = self.occurrences;
        (start, end).contains(&self.seen).then_some(self.fault)
    }
}

/// How the client learns that a request failed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Failure {
    Connection,
    Status(StatusCode),
}

impl Failure {
    pub(crate) fn status(code: u16) -> Self {
        Self::Status(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
    }
}

/// What will happen to one request.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) delay_before: Duration,
    pub(crate) failure_before: Option<Failure>,
    pub(crate) delay_after: Duration,
    pub(crate) hold_after: bool,
    pub(crate) failure_after: Option<Failure>,
    pub(crate) stop: Option<super::Side>,
    /// Never sent, never answered.
    pub(crate) hold: bool,
}

impl Plan {
    /// Delays add up; the first failure counts.
    pub(crate) fn add(&mut self, fault: Fault) {
        match fault {
            Fault::DelayBefore(delay) => self.delay_before += delay,
            Fault::DelayAfter(delay) => self.delay_after += delay,
            Fault::HoldAfter => self.hold_after = true,
            Fault::Status(code) => {
                self.failure_before.get_or_insert(Failure::status(code));
            }
            Fault::Unreachable => {
                self.failure_before.get_or_insert(Failure::Connection);
            }
            Fault::LostAnswer => {
                self.failure_after.get_or_insert(Failure::Connection);
            }
            Fault::LostAnswerStatus(code) => {
                self.failure_after.get_or_insert(Failure::status(code));
            }
        }
    }
}
