//! Issues: search by a label, create, comment, transition.
//!
//! Version 2 of these resources exists on Cloud and on Data Center, and takes texts as wiki markup. The search
//! does not: Cloud has removed the resource that Data Center has (both Atlassian documentation).

mod answers;
mod types;

use std::time::Duration;

use chrono::TimeDelta;
use http::Method;
use serde_json::{Value, json};

use crate::api::Hosting;
use crate::core::spec::Site;
use crate::core::time::later;
use crate::jira::client::{Jira, Raw};
use crate::jira::credential::Credential;
use crate::jira::data_center::Place;
use crate::jira::pat::ANSWERED;
use crate::jira::response::Answer;
use crate::jira::site_limiter::Urgency;

pub use answers::{denied, read_created, read_issue, read_search, read_transitions};
pub use types::{Issue, IssueError, Transition};

const ISSUES: &str = "/rest/api/2/issue";

/// One call may take so long.
const LIMIT: Duration = Duration::from_secs(10);

/// Where issues are, and with which credential.
#[derive(Clone, Copy)]
pub struct Desk<'a> {
    /// The site.
    pub site: &'a Site,
    /// Authorities that are trusted there beside those of the system.
    pub ca_pem: Option<&'a [u8]>,
    /// The credential.
    pub credential: &'a Credential,
}

/// An issue to be created.
#[derive(Clone, Debug)]
pub struct NewIssue<'a> {
    /// The key of the project.
    pub project: &'a str,
    /// The name of the type.
    pub issue_type: &'a str,
    /// One line of plain text.
    pub summary: &'a str,
    /// Wiki markup.
    pub description: &'a str,
    /// Labels; none has a blank.
    pub labels: &'a [String],
}

impl Jira {
    /// The oldest issue of a project with a label that the account has created and that is not done. Neither may hold quotes or backslashes.
    /// What was created or changed in the last seconds may be missing (Atlassian documentation).
    ///
    /// # Errors
    /// When Jira does not tell.
    pub async fn find_issue(
        &self,
        desk: &Desk<'_>,
        project: &str,
        label: &str,
    ) -> Result<Option<Issue>, IssueError> {
        let path = match desk.site.hosting {
            Hosting::Cloud => "/rest/api/3/search/jql",
            Hosting::DataCenter => "/rest/api/2/search",
        };
        let query = json!({
            "jql": search(project, label),
            "fields": ["status", "labels"],
            "maxResults": 10,
        });
        let call = self.issue_call(desk, "issue_search", Method::POST, path, Some(&query));
        let found = read_search(&self.answer(desk, &call.await?))?;
        Ok(found.into_iter().find(|issue| !issue.is_done))
    }

    /// An issue by its key.
    ///
    /// # Errors
    /// When there is none, or Jira does not tell.
    pub async fn issue(&self, desk: &Desk<'_>, key: &str) -> Result<Issue, IssueError> {
        let path = format!("{ISSUES}/{key}?fields=status,labels");
        let call = self.issue_call(desk, "issue", Method::GET, &path, None);
        read_issue(&self.answer(desk, &call.await?))
    }

    /// Creates an issue; returns its key.
    ///
    /// # Errors
    /// When Jira does not, or did not say so.
    pub async fn create_issue(
        &self,
        desk: &Desk<'_>,
        new: &NewIssue<'_>,
    ) -> Result<String, IssueError> {
        let wish = json!({"fields": {
            "project": {"key": new.project},
            "issuetype": {"name": new.issue_type},
            "summary": new.summary,
            "description": new.description,
            "labels": new.labels,
        }});
        let call = self.issue_call(desk, "issue_create", Method::POST, ISSUES, Some(&wish));
        read_created(&self.answer(desk, &call.await?))
    }

    /// Adds a comment in wiki markup.
    ///
    /// # Errors
    /// When Jira does not, or did not say so.
    pub async fn comment(&self, desk: &Desk<'_>, key: &str, text: &str) -> Result<(), IssueError> {
        let path = format!("{ISSUES}/{key}/comment");
        let wish = json!({"body": text});
        let call = self.issue_call(desk, "issue_comment", Method::POST, &path, Some(&wish));
        call.await.map(drop)
    }

    /// The transitions that the account may make with an issue now.
    ///
    /// # Errors
    /// When Jira does not tell.
    pub async fn transitions(
        &self,
        desk: &Desk<'_>,
        key: &str,
    ) -> Result<Vec<Transition>, IssueError> {
        let path = format!("{ISSUES}/{key}/transitions");
        let call = self.issue_call(desk, "issue_transitions", Method::GET, &path, None);
        read_transitions(&self.answer(desk, &call.await?))
    }

    /// Makes a transition.
    ///
    /// # Errors
    /// When Jira does not, or did not say so.
    pub async fn transition(&self, desk: &Desk<'_>, key: &str, id: &str) -> Result<(), IssueError> {
        let path = format!("{ISSUES}/{key}/transitions");
        let wish = json!({"transition": {"id": id}});
        let call = self.issue_call(desk, "issue_transition", Method::POST, &path, Some(&wish));
        call.await.map(drop)
    }

    /// One call, in its turn at the site.
    async fn issue_call(
        &self,
        desk: &Desk<'_>,
        operation: &'static str,
        method: Method,
        path: &str,
        wish: Option<&Value>,
    ) -> Result<Raw, IssueError> {
        let place = Place {
            site: desk.site,
            ca_pem: desk.ca_pem,
            limit: LIMIT,
            until: Some(later(self.clock.now(), TimeDelta::seconds(60))),
        };
        let call = async {
            let body = wish.map(|wish| wish.to_string().into_bytes());
            let call = self.call_resource(&place, method, path, Some(desk.credential), body);
            let raw = call.await?;
            match denied(&self.answer(desk, &raw)) {
                Some(error) => Err(error),
                None => Ok(raw),
            }
        };
        let verdict_of = |answer: &Result<Raw, IssueError>| match answer {
            Ok(_) => ANSWERED,
            Err(error) => error.verdict(),
        };
        self.limited(desk.site, (operation, Urgency::Routine), call, verdict_of)
            .await?
    }

    fn answer<'a>(&self, desk: &Desk<'_>, raw: &'a Raw) -> Answer<'a> {
        raw.answer(desk.site.hosting, self.clock.now())
    }
}

/// The search for what is not done; everything in it was checked or made by the operator. Others may copy or
/// plant the label: what they have created does not count.
fn search(project: &str, label: &str) -> String {
    format!(
        "project = \"{project}\" AND labels = \"{label}\" AND creator = currentUser() AND statusCategory != Done ORDER BY created ASC"
    )
}

#[cfg(test)]
mod tests;
