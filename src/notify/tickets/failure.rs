//! What a failure means, and what to do about it.

use std::time::Duration;

use crate::core::probe::{Outage, Refusal, Verdict};
use crate::jira::IssueError;
use crate::notify::tracker::Tracker;

/// What was to be done when it failed: what to grant depends on it.
#[derive(Clone, Copy)]
pub(super) enum Deed {
    Search,
    Create,
    Comment,
    /// The transition, after the comment.
    Close,
}

/// Whether Jira may have answered a credential that it refuses as nobody's.
pub(super) fn is_doubtful(error: &IssueError) -> bool {
    match error {
        IssueError::Denied { fields, .. } => {
            fields.is_empty() || fields.iter().any(|field| field == "project")
        }
        IssueError::Other(verdict) => *verdict == Verdict::NoVerdict(Outage::Anonymous),
    }
}

/// Whether another attempt would fail as well. One missing permission may be answered as 403 or 404, as 400 that names
/// the project and whatever depends on it, or as 400 that names no field.
pub(super) fn is_dropped(deed: Deed, error: &IssueError) -> bool {
    match (deed, error) {
        (Deed::Create, IssueError::Denied { status, fields }) => match status {
            403 | 404 => false,
            400 => !fields.is_empty() && !fields.iter().any(|field| field == "project"),
            _ => true,
        },
        (Deed::Comment | Deed::Close, IssueError::Denied { .. }) => true,
        _ => false,
    }
}

/// How long Jira asks to wait.
pub(super) fn wait(outage: Outage) -> Option<Duration> {
    match outage {
        Outage::RateLimited { retry_after } | Outage::Unavailable { retry_after } => retry_after,
        _ => None,
    }
}

/// What failed, and what to do about it.
pub(super) fn cause(deed: Deed, error: &IssueError, tracker: &Tracker) -> String {
    let (project, writer) = (&tracker.project, tracker.writer());
    let IssueError::Denied { status, fields } = error else {
        return match error {
            IssueError::Other(Verdict::Refused(Refusal::InsufficientScope)) => format!(
                "JiraCredential {writer} lacks a scope: it needs read:jira-work and write:jira-work"
            ),
            IssueError::Other(Verdict::Refused(_)) => {
                format!("Jira refuses JiraCredential {writer} ({})", error.word())
            }
            _ => format!("no answer of Jira that counts ({})", error.word()),
        };
    };
    let fields = fields.join(", ");
    match deed {
        Deed::Search => format!(
            "Jira answered a search in {project} with {status}: the project must exist, and the account of JiraCredential {writer} needs Browse Projects in it"
        ),
        Deed::Create if *status == 403 => format!(
            "Jira created no issue in {project} ({status}): the account of JiraCredential {writer} needs Create Issues in it"
        ),
        Deed::Create if fields.is_empty() => format!(
            "Jira created no issue in {project} ({status}) and names no field: the account of JiraCredential {writer} needs Create Issues in it, and no validator of its workflow may refuse the issue"
        ),
        Deed::Create => format!(
            "Jira created no issue in {project} ({status}) because of the fields {fields}: the project must exist and let the account of JiraCredential {writer} create issues, issueType must be one of its types, its create screen must have description and labels, and no other field may be required"
        ),
        Deed::Comment | Deed::Close => format!(
            "Jira took no comment in {project} ({status}): the account of JiraCredential {writer} needs Add Comments in it"
        ),
    }
}
