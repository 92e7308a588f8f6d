//! One notification, as every sink gets it.

use chrono::{DateTime, SecondsFormat, Utc};
use kube::ResourceExt;
use url::Url;

use crate::api::{JiraCredential, Owner};
use crate::notify::problem::{Event, Problem};

/// Whether a cause has begun, lasts or is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// It has begun.
    Firing,
    /// It was told before, and lasts.
    Reminder,
    /// It is gone.
    Resolved {
        /// Whether the credential needs a person for another cause.
        others_left: bool,
    },
}

impl Stage {
    /// The word in payloads for programs.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Reminder => "reminder",
            Self::Resolved { .. } => "resolved",
        }
    }
}

/// One notification. Nothing in it is secret: no token, no fingerprint, no e-mail address of an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Message {
    pub(super) stage: Stage,
    pub(super) event: Event,
    pub(super) namespace: String,
    pub(super) name: String,
    /// The host of the site.
    pub(super) site: String,
    pub(super) reason: String,
    pub(super) text: String,
    pub(super) since: DateTime<Utc>,
    pub(super) owner: Owner,
    /// The section of the runbook, if the administrator says where it is served.
    pub(super) link: Option<String>,
}

impl Message {
    pub(super) fn of(
        object: &JiraCredential,
        problem: &Problem,
        stage: Stage,
        runbook: Option<&Url>,
    ) -> Self {
        let reason = format!("{:?}", problem.reason);
        Self {
            stage,
            event: problem.event,
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            site: host(&object.spec.site),
            link: runbook.map(|base| section(base, &reason)),
            reason,
            text: without_addresses(&problem.message),
            since: problem.since,
            owner: object.spec.owner.clone().unwrap_or_default(),
        }
    }

    /// One line that says what it is about.
    pub(super) fn title(&self) -> String {
        let about = format!("JiraCredential {}/{}", self.namespace, self.name);
        let reason = &self.reason;
        match self.stage {
            Stage::Firing => format!("{about} needs a person: {reason}"),
            Stage::Reminder => format!("{about} still needs a person: {reason}"),
            Stage::Resolved { .. } => format!("{about} needs nobody any more: {reason} is over"),
        }
    }

    /// What follows the title: the message of the condition, which is out of date once it is over.
    pub(super) fn body(&self) -> Option<&str> {
        match self.stage {
            Stage::Firing | Stage::Reminder => Some(&self.text),
            Stage::Resolved { .. } => None,
        }
    }

    /// Names and values for people, without those that are not known.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let owner = [&self.owner.team, &self.owner.contact];
        let owner: Vec<&str> = owner.into_iter().flatten().map(String::as_str).collect();
        let mut facts = vec![("Site", self.site.clone())];
        if !owner.is_empty() {
            facts.push(("Owner", owner.join(", ")));
        }
        facts.push(("Since", time(self.since)));
        facts
    }

    /// Whether chats get it: while a credential needs a person for another cause, nothing is over there.
    pub(super) fn is_for_people(&self) -> bool {
        self.stage != Stage::Resolved { others_left: true }
    }
}

/// A time as every format writes it.
pub(super) fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The host of a site, with its port: its path is nobody's business.
fn host(site: &str) -> String {
    let url = Url::parse(site).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    match url.as_ref().and_then(Url::port) {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The address of the section of a reason.
fn section(base: &Url, reason: &str) -> String {
    let mut url = base.clone();
    url.set_fragment(Some(&reason.to_lowercase()));
    url.into()
}

/// Messages for people in the cluster may name the e-mail address of an account, which stays there.
fn without_addresses(message: &str) -> String {
    let is_around = |c: char| c.is_alphanumeric() || "._%+-".contains(c);
    let mut rest = message;
    let mut text = String::new();
    while let Some((before, after)) = rest.split_once('@') {
        let name = before.trim_end_matches(is_around);
        let end = after.find(|c| !is_around(c)).unwrap_or(after.len());
        let (domain, left) = after.split_at(end);
        // A sentence may end behind it.
        let dots = domain.len() - domain.trim_end_matches('.').len();
        if name.len() == before.len() || domain.len() == dots {
            text.push_str(before);
            text.push('@');
            rest = after;
            continue;
        }
        text.push_str(name);
        text.push_str("(an e-mail address)");
        text.push_str(&".".repeat(dots));
        rest = left;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_accounts_are_left_out() {
        for (message, told) in [
            (
                "It belongs to A Robot (bot@acme.example), not to b.c+d@x.example.",
                "It belongs to A Robot ((an e-mail address)), not to (an e-mail address).",
            ),
            (
                "No address @ all, and @here.",
                "No address @ all, and @here.",
            ),
            ("a@b", "(an e-mail address)"),
            ("a@", "a@"),
            ("", ""),
        ] {
            assert_eq!(without_addresses(message), told);
        }
    }

    #[test]
    fn a_site_is_its_host() {
        for (site, told) in [
            ("https://acme.atlassian.net", "acme.atlassian.net"),
            (
                "https://jira.corp.example:8443/jira",
                "jira.corp.example:8443",
            ),
            ("https://user:pass@jira.corp.example/", "jira.corp.example"),
            ("nonsense", ""),
        ] {
            assert_eq!(host(site), told);
        }
    }
}
