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
    /// It was sent before, and lasts.
    Reminder,
    /// It is gone.
    Resolved {
        /// Whether the sink was told of another cause, which is left.
        others_left: bool,
        /// How the credential stands now.
        now: Standing,
    },
}

/// How a credential stands when a cause is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// Jira accepts it.
    Ready,
    /// That is not known yet, or it is not so.
    NotReady,
    /// Somebody has suspended it.
    Suspended,
    /// It does not exist any more.
    Deleted,
}

impl Stage {
    /// Whether the cause is gone.
    pub(super) fn is_over(self) -> bool {
        matches!(self, Self::Resolved { .. })
    }

    /// The word in payloads for programs.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Reminder => "reminder",
            Self::Resolved { .. } => "resolved",
        }
    }
}

/// The object that a message is about: what is left of it when it is gone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct About {
    pub(super) uid: String,
    pub(super) namespace: String,
    pub(super) name: String,
    /// The host of the site.
    pub(super) site: String,
    pub(super) owner: Owner,
}

impl About {
    pub(super) fn of(object: &JiraCredential) -> Self {
        Self {
            uid: object.uid().unwrap_or_default(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            site: host(&object.spec.site),
            owner: plain(object.spec.owner.clone().unwrap_or_default()),
        }
    }
}

/// Without what would end a line, or turn the direction in which people read.
fn plain(owner: Owner) -> Owner {
    let plain = |text: String| -> String {
        text.chars()
            .map(|letter| if is_invisible(letter) { ' ' } else { letter })
            .collect()
    };
    Owner {
        team: owner.team.map(plain),
        contact: owner.contact.map(plain),
    }
}

fn is_invisible(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// One notification. Nothing in it is secret: no token, no fingerprint, no e-mail address of an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Message {
    pub(super) stage: Stage,
    pub(super) event: Event,
    pub(super) uid: String,
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
        about: &About,
        problem: &Problem,
        stage: Stage,
        runbook: Option<&Url>,
    ) -> Self {
        let reason = format!("{:?}", problem.reason);
        let about = about.clone();
        Self {
            stage,
            event: problem.event,
            uid: about.uid,
            namespace: about.namespace,
            name: about.name,
            site: about.site,
            link: runbook.map(|base| section(base, &reason)),
            reason,
            text: without_addresses(&problem.message),
            since: problem.since,
            owner: about.owner,
        }
    }

    /// One line that says what it is about.
    pub(super) fn title(&self) -> String {
        let about = format!("JiraCredential {}/{}", self.namespace, self.name);
        let reason = &self.reason;
        match self.stage {
            Stage::Firing => format!("{about} needs a person: {reason}"),
            Stage::Reminder => format!("{about} still needs a person: {reason}"),
            Stage::Resolved { now, .. } => match now {
                Standing::Ready => format!("{about} is Ready: {reason} is over"),
                Standing::NotReady => {
                    format!("{about} does not report {reason} any more, and is not Ready yet")
                }
                Standing::Suspended => {
                    format!("{about} is suspended: {reason} needs nobody as long as it is")
                }
                Standing::Deleted => format!("{about} is deleted: {reason} is over"),
            },
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
        !matches!(
            self.stage,
            Stage::Resolved {
                others_left: true,
                ..
            }
        )
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
    fn an_owner_is_one_line_in_one_direction() {
        for letter in ['\n', '\u{85}', '\u{9b}', '\u{2028}', '\u{202e}', '\u{2066}'] {
            let owner = plain(Owner {
                team: Some(format!("a{letter}b")),
                contact: Some("Plattform, #ä".to_owned()),
            });
            assert_eq!(owner.team.as_deref(), Some("a b"), "{letter:?}");
            assert_eq!(owner.contact.as_deref(), Some("Plattform, #ä"));
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
