//! Issues, their transitions, and what goes wrong with them.

use crate::core::probe::{Refusal, Verdict};
use crate::jira::observer;

/// An issue that exists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Issue {
    /// Its key, which begins with that of its project.
    pub key: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Whether its status counts as done.
    pub is_done: bool,
}

/// A transition that an account may make with an issue now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transition {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The name of the status that it leads to.
    pub target: String,
    /// Whether that status counts as done.
    pub is_done: bool,
}

/// Why a call about issues has no result.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum IssueError {
    /// Jira does not do it: 400, 403, 404, 409 or 413 in its own words.
    Denied {
        /// The status.
        status: u16,
        /// The names of the fields that Jira complains about.
        fields: Vec<String>,
    },
    /// The credential is refused, or nothing was learnt.
    Other(Verdict),
}

impl From<Verdict> for IssueError {
    fn from(verdict: Verdict) -> Self {
        Self::Other(verdict)
    }
}

impl IssueError {
    /// One word for logs, from a small set.
    pub fn word(&self) -> &'static str {
        observer::outcome(&self.verdict())
    }

    pub(super) fn verdict(&self) -> Verdict {
        match self {
            // Jira knows the account, and says no to one wish.
            Self::Denied { .. } => Verdict::Refused(Refusal::Forbidden),
            Self::Other(verdict) => verdict.clone(),
        }
    }
}
