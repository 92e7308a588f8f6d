//! When a credential ends, and of what.

use chrono::{DateTime, TimeDelta, Utc};
use jira_credential_operator::api::{JiraCredential, JiraCredentialStatus, MethodName, Period};
use serde::Serialize;

use crate::output::Paint;
use crate::words;

/// How long a consent lasts (docs/design.md: by reports of Atlassian).
const CONSENT: TimeDelta = TimeDelta::days(365);

/// How long a refresh token lives without being used.
const IDLE: TimeDelta = TimeDelta::days(90);

/// How long before an end it is shown as near when the spec says nothing.
const NEAR: TimeDelta = TimeDelta::days(14);

/// Signs of a full bar.
const BAR: i64 = 20;

/// What ends.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// The credential that a person stored.
    Credential,
    /// A token that the operator renews itself.
    AccessToken,
    /// The consent of a person.
    Consent,
    /// A refresh token, if nothing uses it before.
    Idle,
    /// The age that `spec.rotation.maxAge` allows.
    MaxAge,
}

impl Kind {
    /// As tables name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::AccessToken => "access token",
            Self::Consent => "consent",
            Self::Idle => "idle",
            Self::MaxAge => "maxAge",
        }
    }
}

/// One end.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ends {
    /// What ends.
    pub kind: Kind,
    /// When.
    pub ends_at: DateTime<Utc>,
    /// When it began, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begins_at: Option<DateTime<Utc>>,
    /// Whether the operator moves the end before it comes, so that nobody need do anything.
    pub renewed: bool,
}

/// All ends of a credential, the soonest first.
pub fn of(object: &JiraCredential) -> Vec<Ends> {
    let Some(status) = &object.status else {
        return Vec::new();
    };
    let renewed = renews_itself(status);
    let method = object.spec.auth.method();
    let stated = method.and_then(|method| method.issued_at());
    let begin = stated.filter(|_| !renewed).or(status.first_seen_time);
    let mut all: Vec<Ends> = Vec::new();
    let mut add = |kind, ends_at: Option<DateTime<Utc>>, begins_at, renewed| {
        if let Some(ends_at) = ends_at {
            all.push(Ends {
                kind,
                ends_at,
                begins_at,
                renewed,
            });
        }
    };
    if renewed {
        add(Kind::AccessToken, status.expires_at, None, true);
    } else {
        add(Kind::Credential, status.expires_at, begin, false);
    }
    if let Some(grant) = &status.grant {
        let before = |end: Option<DateTime<Utc>>, life| end.map(|end| end - life);
        add(
            Kind::Consent,
            grant.consent_expires_at,
            before(grant.consent_expires_at, CONSENT),
            false,
        );
        add(
            Kind::Idle,
            grant.idle_expires_at,
            before(grant.idle_expires_at, IDLE),
            false,
        );
    }
    let age = object
        .spec
        .rotation
        .max_age
        .as_ref()
        .and_then(Period::parse);
    let too_old = begin
        .zip(age)
        .and_then(|(begin, age)| begin.checked_add_signed(age));
    add(
        Kind::MaxAge,
        too_old,
        begin,
        status.next_renewal_time.is_some(),
    );
    all.sort_by_key(|ends| (ends.ends_at, ends.kind));
    all
}

/// Whether the operator replaces what is published before it ends.
fn renews_itself(status: &JiraCredentialStatus) -> bool {
    status.next_renewal_time.is_some()
        || matches!(
            status.method,
            Some(MethodName::OAuth2 | MethodName::ClientCredentials | MethodName::Session)
        )
}

impl Ends {
    /// `in 12d`, `3h ago`.
    pub fn words(&self, now: DateTime<Utc>) -> String {
        words::relative(self.ends_at, now)
    }

    /// The colour of its words.
    pub fn paint(&self, now: DateTime<Utc>) -> Option<Paint> {
        if self.ends_at <= now {
            Some(Paint::Bad)
        } else if !self.renewed && self.ends_at - now < NEAR {
            Some(Paint::Soon)
        } else {
            None
        }
    }

    /// What is left of its life, as a bar; nothing when its begin is not known.
    pub fn bar(&self, now: DateTime<Utc>) -> Option<String> {
        let begin = self.begins_at?;
        let life = (self.ends_at - begin).num_seconds();
        let left = (self.ends_at - now).num_seconds();
        if life <= 0 {
            return None;
        }
        // Rounded up: an empty bar means that it is over.
        let full = left.clamp(0, life).saturating_mul(BAR);
        let full = usize::try_from((full + life - 1) / life).unwrap_or_default();
        let empty = usize::try_from(BAR)
            .unwrap_or_default()
            .saturating_sub(full);
        Some(format!("[{}{}]", "#".repeat(full), "-".repeat(empty)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use serde_json::json;

    use super::*;

    fn now() -> DateTime<Utc> {
        "2027-01-15T08:00:00Z".parse().unwrap()
    }

    fn object(rotation: &serde_json::Value, status: &serde_json::Value) -> JiraCredential {
        serde_json::from_value(json!({
            "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
            "metadata": {"name": "bot"},
            "spec": {"site": "https://acme.atlassian.net", "rotation": rotation, "auth": {
                "apiToken": {"email": "a@acme.example", "tokenSecretRef": {"name": "s", "key": "t"}},
            }},
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn every_end_is_told_the_soonest_first() {
        let cases = [
            ("nothing known", json!({}), json!({}), vec![]),
            (
                "a stored token and its age",
                json!({"maxAge": "60d", "warnBefore": "7d"}),
                json!({"expiresAt": "2027-01-27T08:00:00Z", "firstSeenTime": "2027-01-05T08:00:00Z"}),
                vec!["credential in 12d", "maxAge in 50d"],
            ),
            (
                "a token that renews itself",
                json!({}),
                json!({
                    "method": "OAuth2",
                    "expiresAt": "2027-01-15T09:00:00Z",
                    "grant": {"name": "g", "uid": "u", "consentExpiresAt": "2027-03-15T08:00:00Z",
                        "idleExpiresAt": "2027-04-15T08:00:00Z"},
                }),
                vec![
                    "access token in 60m (renewed)",
                    "consent in 59d",
                    "idle in 90d",
                ],
            ),
            (
                "over",
                json!({}),
                json!({"expiresAt": "2027-01-12T08:00:00Z"}),
                vec!["credential 3d ago"],
            ),
        ];
        for (name, rotation, status, expected) in cases {
            let told: Vec<String> = of(&object(&rotation, &status))
                .iter()
                .map(|ends| {
                    let renewed = if ends.renewed { " (renewed)" } else { "" };
                    format!("{} {}{renewed}", ends.kind.word(), ends.words(now()))
                })
                .collect();
            assert_eq!(told, expected, "{name}");
        }
    }

    #[test]
    fn a_bar_shows_what_is_left() {
        let day = TimeDelta::days;
        for (begin, end, bar) in [
            (Some(-10), 10, Some("[##########----------]")),
            (Some(0), 10, Some("[####################]")),
            (Some(-100), 1, Some("[#-------------------]")),
            (Some(-10), -1, Some("[--------------------]")),
            (Some(5), 5, None),
            (None, 5, None),
        ] {
            let ends = Ends {
                kind: Kind::Credential,
                ends_at: now() + day(end),
                begins_at: begin.map(|begin| now() + day(begin)),
                renewed: false,
            };
            assert_eq!(ends.bar(now()).as_deref(), bar, "{begin:?} {end}");
        }
    }

    #[test]
    fn only_what_a_person_must_move_is_near() {
        for (days, renewed, paint) in [
            (20, false, None),
            (13, false, Some(Paint::Soon)),
            (13, true, None),
            (0, false, Some(Paint::Bad)),
            (-1, true, Some(Paint::Bad)),
        ] {
            let ends = Ends {
                kind: Kind::Credential,
                ends_at: now() + TimeDelta::days(days),
                begins_at: None,
                renewed,
            };
            assert_eq!(ends.paint(now()), paint, "{days} {renewed}");
        }
    }
}
