//! What the answers about issues say.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::core::probe::{Outage, Refusal, Verdict};
use crate::jira::issues::types::{Issue, IssueError, Transition};
use crate::jira::response::{self, Answer};

/// Fields of a refusal that are reported.
const MOST_FIELDS: usize = 10;

/// The key of the category of every status that means done, whatever its name and language.
const DONE: &str = "done";

const UNREADABLE: IssueError = IssueError::Other(Verdict::NoVerdict(Outage::NotJson));

#[derive(Deserialize)]
struct Found {
    issues: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    key: String,
    fields: Fields,
}

#[derive(Deserialize)]
struct Fields {
    status: Status,
    #[serde(default)]
    labels: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    name: String,
    status_category: Category,
}

#[derive(Deserialize)]
struct Category {
    key: String,
}

#[derive(Deserialize)]
struct Created {
    key: String,
}

#[derive(Deserialize)]
struct Transitions {
    transitions: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    name: String,
    to: Status,
}

/// What Jira says of a wish that it does not fulfil.
#[derive(Default, Deserialize)]
struct Complaint {
    #[serde(default)]
    errors: serde_json::Map<String, Value>,
}

/// Why an answer is no success; `None`: it is one.
pub fn denied(answer: &Answer<'_>) -> Option<IssueError> {
    // Some Jira answers a refused credential as nobody's: a search finds nothing then, or no project.
    let is_anonymous = response::is_anonymous(answer.headers);
    let verdict = match answer.status {
        // A login page has no answer in it.
        200..=299 if response::is_html(answer) => Verdict::NoVerdict(Outage::NotJson),
        200..=299 if !is_anonymous => return None,
        200..=299 => Verdict::NoVerdict(Outage::Anonymous),
        _ => response::read(answer),
    };
    let is_own_word = response::is_json(answer.headers);
    let is_general = matches!(
        verdict,
        Verdict::Accepted(_)
            | Verdict::Refused(Refusal::Forbidden)
            | Verdict::NoVerdict(Outage::NotFound | Outage::Unexpected(_))
    );
    if is_own_word && is_general && matches!(answer.status, 400 | 403 | 404 | 409 | 413) {
        if is_anonymous {
            return Some(Verdict::NoVerdict(Outage::Anonymous).into());
        }
        return Some(IssueError::Denied {
            status: answer.status,
            fields: fields(answer.body),
        });
    }
    Some(IssueError::Other(verdict))
}

/// The names of the fields that Jira complains about, as far as they are names. Its texts may repeat anything.
fn fields(body: &[u8]) -> Vec<String> {
    let complaint: Complaint = serde_json::from_slice(body).unwrap_or_default();
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let is_name = |name: &String| name.len() <= 64 && name.bytes().all(is_inner);
    let names = complaint.errors.into_iter().map(|(name, _)| name);
    names.filter(is_name).take(MOST_FIELDS).collect()
}

/// The issues that a search has found.
///
/// # Errors
/// When the answer cannot be read.
pub fn read_search(answer: &Answer<'_>) -> Result<Vec<Issue>, IssueError> {
    let found: Found = parsed(answer)?;
    let issues = found.issues.into_iter();
    Ok(issues.filter_map(Entry::issue).collect())
}

/// One issue.
///
/// # Errors
/// When the answer cannot be read.
pub fn read_issue(answer: &Answer<'_>) -> Result<Issue, IssueError> {
    let entry: Entry = parsed(answer)?;
    entry.issue().ok_or(UNREADABLE)
}

/// The key of an issue that was created.
///
/// # Errors
/// When the answer cannot be read.
pub fn read_created(answer: &Answer<'_>) -> Result<String, IssueError> {
    let created: Created = parsed(answer)?;
    checked_key(created.key).ok_or(UNREADABLE)
}

/// The transitions of an issue.
///
/// # Errors
/// When the answer cannot be read.
pub fn read_transitions(answer: &Answer<'_>) -> Result<Vec<Transition>, IssueError> {
    let listed: Transitions = parsed(answer)?;
    let all = listed.transitions.into_iter().map(|one| Transition {
        id: one.id,
        name: one.name,
        is_done: one.to.is_done(),
        target: one.to.name,
    });
    Ok(all.collect())
}

fn parsed<T: DeserializeOwned>(answer: &Answer<'_>) -> Result<T, IssueError> {
    if !answer.complete {
        return Err(Verdict::NoVerdict(Outage::TooLarge).into());
    }
    serde_json::from_slice(answer.body).map_err(|_| UNREADABLE)
}

/// A key as it can stand in a path.
fn checked_key(key: String) -> Option<String> {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    ((1..=100).contains(&key.len()) && key.bytes().all(is_inner)).then_some(key)
}

impl Status {
    fn is_done(&self) -> bool {
        self.status_category.key == DONE
    }
}

impl Entry {
    fn issue(self) -> Option<Issue> {
        Some(Issue {
            is_done: self.fields.status.is_done(),
            labels: self.fields.labels,
            key: checked_key(self.key)?,
        })
    }
}
