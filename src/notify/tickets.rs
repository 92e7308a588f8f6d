//! One issue of Jira for each credential and cause.
//!
//! The issue is found by its label, so that the next process finds it, too. What was created or closed by this
//! process is also remembered, because the search lags behind.

mod failure;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};

use crate::core::probe::{Refusal, Verdict};
use crate::jira::{Desk, Issue, IssueError, NewIssue, Transition};
use crate::notify::attempt::Attempt;
use crate::notify::delivery::Delivery;
use crate::notify::format::jira;
use crate::notify::message::Message;
use crate::notify::tickets::failure::{Deed, cause, is_doubtful, is_dropped, wait};
use crate::notify::tracker::{OWN_LABELS, Tracker};
use crate::notify::writer::Writer;

/// Bytes of the digest in a label.
const LABEL_BYTES: usize = 10;

/// Issues that are remembered. The label finds the others, too.
const MOST_ISSUES: usize = 10_000;

/// Files issues in one project.
pub(super) struct Tickets {
    sink: String,
    tracker: Tracker,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// The issues that this process has created or met, by label. The credential may be that of another site now.
    issues: HashMap<String, (u64, Known)>,
    next: u64,
    /// The validation after which Jira refused the credential: it is not sent before the next.
    refused: Option<String>,
}

#[derive(Clone)]
struct Known {
    site: String,
    key: String,
    /// The comment that it is over stands, and the issue is still to be closed.
    is_commented: bool,
}

/// One message on its way.
struct Work<'a> {
    tickets: &'a Tickets,
    writer: &'a Writer,
    message: &'a Message,
    label: String,
}

impl Memory {
    fn known(&self, label: &str, site: &str) -> Option<Known> {
        let (_, known) = self.issues.get(label)?;
        (known.site == site).then(|| known.clone())
    }

    /// Remembers an issue in place of that which was not needed for longest.
    fn keep(&mut self, label: &str, known: Known) {
        self.next += 1;
        self.issues.insert(label.to_owned(), (self.next, known));
        if self.issues.len() > MOST_ISSUES {
            let oldest = self.issues.iter().min_by_key(|(_, (order, _))| *order);
            if let Some(oldest) = oldest.map(|(label, _)| label.clone()) {
                self.issues.remove(&oldest);
            }
        }
    }
}

impl Tickets {
    pub(super) fn new(sink: &str, tracker: Tracker) -> Self {
        Self {
            sink: sink.to_owned(),
            tracker,
            memory: Mutex::default(),
        }
    }

    /// Files, comments or closes what one message is about.
    pub(super) async fn deliver(&self, messages: &[Message], delivery: &Delivery) -> Attempt {
        let Some(message) = messages.first() else {
            return Attempt::Refused("there is nothing to send".to_owned());
        };
        let tracker = &self.tracker;
        let name = tracker.writer();
        let writers = delivery.writers.get().and_then(std::sync::Weak::upgrade);
        let Some(writers) = writers else {
            return Attempt::failed("the operator is starting or ending".to_owned());
        };
        let writer = writers.writer(&tracker.namespace, &tracker.credential);
        let writer = match writer.await {
            Ok(writer) => writer,
            Err(why) => return Attempt::failed(format!("JiraCredential {name}: {why}")),
        };
        if self.memory().refused.as_ref() == Some(&writer.validation) {
            let text = "Jira has refused it since it was validated; it is sent again when the operator has validated it again";
            return Attempt::failed(format!("JiraCredential {name}: {text}"));
        }
        let work = Work {
            tickets: self,
            writer: &writer,
            message,
            label: label(message),
        };
        let result = if message.stage.is_over() {
            work.close().await
        } else {
            work.tell().await
        };
        match result {
            Ok(()) => Attempt::Sent,
            Err((deed, error)) => {
                let error = work.believed(error).await;
                work.failed(deed, &error)
            }
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The label of a cause. The uid tells credentials of one name in several clusters apart.
fn label(message: &Message) -> String {
    let text = format!("{}\0{}", message.uid, message.reason);
    let digest = digest(&SHA256, text.as_bytes());
    let mut label = OWN_LABELS.to_owned();
    for byte in digest.as_ref().iter().take(LABEL_BYTES) {
        // Writing to a String cannot fail.
        let _ = write!(label, "{byte:02x}");
    }
    label
}

type Failure = (Deed, IssueError);

impl Work<'_> {
    fn desk(&self) -> Desk<'_> {
        Desk {
            site: &self.writer.site,
            ca_pem: self.writer.ca_pem.as_deref(),
            credential: &self.writer.credential,
        }
    }

    /// A comment if an issue is open, else an issue.
    async fn tell(&self) -> Result<(), Failure> {
        if let Some(known) = self.open().await? {
            self.comment(&known.key).await?;
            // An end that was sent before was not the last.
            self.remember(known.key, false);
            return Ok(());
        }
        let tracker = &self.tickets.tracker;
        let mut labels = vec![self.label.clone()];
        labels.extend(tracker.labels.iter().cloned());
        let new = NewIssue {
            project: &tracker.project,
            issue_type: &tracker.issue_type,
            summary: &jira::summary(self.message),
            description: &jira::description(self.message, &self.label),
            labels: &labels,
        };
        let created = self.writer.jira.create_issue(&self.desk(), &new).await;
        let key = created.map_err(|error| (Deed::Create, error))?;
        self.log(&key, "filed an issue");
        self.remember(key, false);
        Ok(())
    }

    /// A comment and the transition to done, if an issue is open.
    async fn close(&self) -> Result<(), Failure> {
        let Some(known) = self.open().await? else {
            return Ok(());
        };
        let mut comment = Ok(());
        if !known.is_commented {
            comment = self.comment(&known.key).await;
            // Only what another attempt may cure holds up the rest.
            if matches!(comment, Err((_, IssueError::Other(_)))) {
                return comment;
            }
            self.remember(known.key.clone(), true);
        }
        match self.finish(&known.key).await {
            Ok(true) => self.log(&known.key, "closed an issue"),
            Ok(false) => {
                let text = "an issue stays open: no transition of it that its writer may make leads to done; name one in doneTransition, or grant Transition Issues";
                self.warn(&known.key, text);
            }
            Err(IssueError::Denied { .. }) => {
                let text = "an issue stays open: Jira does not make the transition; it may need a field, or the permission Transition Issues";
                self.warn(&known.key, text);
            }
            Err(error) => return Err((Deed::Close, error)),
        }
        self.tickets.memory().issues.remove(&self.label);
        comment
    }

    /// Makes the transition; `false`: there is none.
    async fn finish(&self, key: &str) -> Result<bool, IssueError> {
        let desk = self.desk();
        let all = self.writer.jira.transitions(&desk, key).await?;
        let wanted = self.tickets.tracker.done_transition.as_deref();
        let Some(transition) = chosen(&all, wanted) else {
            return Ok(false);
        };
        let made = self.writer.jira.transition(&desk, key, &transition.id);
        made.await.map(|()| true)
    }

    /// The open issue of the cause.
    async fn open(&self) -> Result<Option<Known>, Failure> {
        let (jira, desk) = (&self.writer.jira, self.desk());
        let project = &self.tickets.tracker.project;
        let known = self.tickets.memory().known(&self.label, &desk.site.base);
        if let Some(known) = known {
            match jira.issue(&desk, &known.key).await {
                Ok(issue) if is_open(&issue, project, &self.label) => return Ok(Some(known)),
                // A person has closed, moved or deleted it, or taken the label away.
                Ok(_) | Err(IssueError::Denied { .. }) => {}
                Err(error) => return Err((Deed::Search, error)),
            }
        }
        let found = jira.find_issue(&desk, project, &self.label).await;
        let found = found.map_err(|error| (Deed::Search, error))?;
        // Jira may search for a credential that it refuses as for nobody, who finds nothing.
        if found.is_none() && self.message.stage.is_over() {
            self.asked().await.map_err(|error| (Deed::Search, error))?;
        }
        let Some(issue) = found else {
            self.tickets.memory().issues.remove(&self.label);
            return Ok(None);
        };
        Ok(Some(self.remember(issue.key, false)))
    }

    /// Whether Jira accepts the credential.
    async fn asked(&self) -> Result<(), IssueError> {
        let desk = self.desk();
        let asked = self
            .writer
            .jira
            .whoami(desk.site, desk.ca_pem, desk.credential);
        match asked.await {
            Verdict::Accepted(_) => Ok(()),
            verdict => Err(IssueError::Other(verdict)),
        }
    }

    /// A denial counts if Jira accepts the credential: a private project does not exist for nobody.
    async fn believed(&self, error: IssueError) -> IssueError {
        if !is_doubtful(&error) {
            return error;
        }
        match self.asked().await {
            Ok(()) => error,
            Err(refused) => refused,
        }
    }

    async fn comment(&self, key: &str) -> Result<(), Failure> {
        let text = jira::comment(self.message);
        let comment = self.writer.jira.comment(&self.desk(), key, &text).await;
        comment.map_err(|error| (Deed::Comment, error))
    }

    fn remember(&self, key: String, is_commented: bool) -> Known {
        let site = self.writer.site.base.clone();
        let known = Known {
            site,
            key,
            is_commented,
        };
        self.tickets.memory().keep(&self.label, known.clone());
        known
    }

    fn log(&self, key: &str, text: &'static str) {
        let (sink, message) = (&self.tickets.sink, self.message);
        let (namespace, name, reason) = (&message.namespace, &message.name, &message.reason);
        tracing::info!(sink, key, namespace, name, reason, "{text}");
    }

    fn warn(&self, key: &str, text: &'static str) {
        let sink = &self.tickets.sink;
        tracing::warn!(sink, key, "{text}");
    }

    /// What a failure makes of the attempt. What a person may grant is tried again; a wish that Jira does not
    /// take as it is, is not.
    fn failed(&self, deed: Deed, error: &IssueError) -> Attempt {
        let cause = cause(deed, error, &self.tickets.tracker);
        // The comment stands: who reads it must also read that the cause has begun again.
        let is_told = matches!(deed, Deed::Close);
        if is_dropped(deed, error) {
            return Attempt::Refused(cause);
        }
        match error {
            IssueError::Other(Verdict::NoVerdict(outage)) => Attempt::Failed {
                cause,
                after: wait(*outage),
                may_be_told: is_told || outage.may_have_arrived(),
            },
            IssueError::Other(Verdict::Refused(refusal)) => {
                // More scopes come with another token, and the next validation knows nothing of these.
                if *refusal != Refusal::InsufficientScope {
                    self.tickets.memory().refused = Some(self.writer.validation.clone());
                }
                Attempt::Failed {
                    cause,
                    after: None,
                    may_be_told: is_told,
                }
            }
            IssueError::Denied { .. } | IssueError::Other(_) => Attempt::failed(cause),
        }
    }
}

/// Whether an issue is the open one of a label in a project. Jira follows the old key of one that was moved.
fn is_open(issue: &Issue, project: &str, label: &str) -> bool {
    let is_here = issue
        .key
        .rsplit_once('-')
        .is_some_and(|(of, _)| of == project);
    !issue.is_done && is_here && issue.labels.iter().any(|one| one == label)
}

/// The transition that closes an issue: by its name or that of its target, else the first into done.
fn chosen<'a>(all: &'a [Transition], wanted: Option<&str>) -> Option<&'a Transition> {
    match wanted {
        Some(wanted) => {
            let is_wanted = |name: &str| name.to_lowercase() == wanted.to_lowercase();
            let by_name = all.iter().find(|one| is_wanted(&one.name));
            by_name.or_else(|| all.iter().find(|one| is_wanted(&one.target)))
        }
        None => all.iter().find(|one| one.is_done),
    }
}
