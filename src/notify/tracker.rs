//! Where a sink files issues: the fields of `format: jira` in the file of the administrator.

use serde::Deserialize;

/// Labels that an administrator may add.
const MOST_LABELS: usize = 10;

/// The longest label, and the longest name of a type or a transition, that Jira takes.
const LONGEST_LABEL: usize = 255;
const LONGEST_NAME: usize = 60;

/// The longest key of a project; Jira's default limit is 10.
const LONGEST_KEY: usize = 80;

/// What the labels begin with by which the operator finds its issues.
pub(super) const OWN_LABELS: &str = "jco-";

/// Where issues go, and who files them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Tracker {
    /// The `JiraCredential` that files them.
    pub(super) namespace: String,
    pub(super) credential: String,
    /// The key of the project.
    pub(super) project: String,
    pub(super) issue_type: String,
    /// Labels beside that of the cause.
    pub(super) labels: Vec<String>,
    /// The transition that closes an issue, or its target; `None`: the first into a status that counts as done.
    pub(super) done_transition: Option<String>,
}

impl Tracker {
    /// How people name the credential.
    pub(super) fn writer(&self) -> String {
        format!("{}/{}", self.namespace, self.credential)
    }
}

/// The fields as the file has them.
#[derive(Default)]
pub(super) struct RawTracker {
    pub(super) credential: Option<RawReference>,
    pub(super) project: Option<String>,
    pub(super) issue_type: Option<String>,
    pub(super) labels: Option<Vec<String>>,
    pub(super) done_transition: Option<String>,
}

/// The namespace and name of a `JiraCredential`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawReference {
    namespace: String,
    name: String,
}

impl RawTracker {
    /// The first of these fields that is there: other formats have none of them.
    pub(super) fn first(&self) -> Option<&'static str> {
        let given = [
            ("credential", self.credential.is_some()),
            ("project", self.project.is_some()),
            ("issueType", self.issue_type.is_some()),
            ("labels", self.labels.is_some()),
            ("doneTransition", self.done_transition.is_some()),
        ];
        given.into_iter().find_map(|(name, is)| is.then_some(name))
    }

    /// Reads the fields.
    ///
    /// # Errors
    /// What is wrong with a field: its name, and what it must be.
    pub(super) fn read(self) -> Result<Tracker, (&'static str, String)> {
        let reference = self
            .credential
            .filter(|one| is_object(&one.namespace, 63) && is_object(&one.name, 200));
        let what = "must be {namespace: NAMESPACE, name: NAME} of the JiraCredential that may create issues";
        let reference = reference.ok_or(("credential", what.to_owned()))?;
        let what = "must be the key of the project that gets the issues, such as OPS";
        let project = self.project.filter(|key| is_key(key));
        let project = project.ok_or(("project", what.to_owned()))?;
        let issue_type = self.issue_type.unwrap_or_else(|| "Task".to_owned());
        let one_line = |what| {
            format!("must be the name of {what}, at most {LONGEST_NAME} characters in one line")
        };
        if !is_line(&issue_type) {
            return Err((
                "issueType",
                one_line("a type of issue of the project, such as Task"),
            ));
        }
        let done_transition = self.done_transition;
        if done_transition
            .as_deref()
            .is_some_and(|name| !is_line(name))
        {
            return Err((
                "doneTransition",
                one_line("a transition or of the status that it leads to, such as Done"),
            ));
        }
        let labels = self.labels.unwrap_or_default();
        if labels.len() > MOST_LABELS || !labels.iter().all(|label| is_label(label)) {
            let what = format!(
                "must be at most {MOST_LABELS} labels without blanks, of at most {LONGEST_LABEL} characters, that do not begin with {OWN_LABELS}"
            );
            return Err(("labels", what));
        }
        Ok(Tracker {
            namespace: reference.namespace,
            credential: reference.name,
            project,
            issue_type,
            labels,
            done_transition,
        })
    }
}

/// Whether a text can be the name of an object of Kubernetes.
fn is_object(text: &str, longest: usize) -> bool {
    let is_inner =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    (1..=longest).contains(&text.len()) && text.bytes().all(is_inner)
}

/// Whether a text can be the key of a project. It stands in a search, where nothing of it may mean anything else.
fn is_key(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=LONGEST_KEY).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.bytes().all(is_inner)
}

fn is_line(text: &str) -> bool {
    let length = text.chars().count();
    (1..=LONGEST_NAME).contains(&length) && !text.contains(char::is_control) && text.trim() == text
}

fn is_label(text: &str) -> bool {
    let is_inner = |letter: char| !letter.is_whitespace() && !letter.is_control();
    (1..=LONGEST_LABEL).contains(&text.chars().count())
        && text.chars().all(is_inner)
        && !text.starts_with(OWN_LABELS)
}
