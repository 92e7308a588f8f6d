//! Which entry of an organisation's list is the API token in use. The list names no secret: the
//! entry is found by its label and its owner.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use crate::api::Reason;
use crate::core::probe::judgement::outage_reason;
use crate::core::probe::verdict::{Forbidden, Outage};
use crate::core::spec::SourceError;

/// A token is stored soon after it was made: one made longer before or after what the spec says is
/// another.
const MADE_WITHIN: TimeDelta = TimeDelta::hours(24);

/// An API token as its organisation lists it, under the label that was asked for.
#[derive(Clone, Eq, PartialEq)]
pub struct Listed {
    /// The account that it belongs to.
    pub owner_id: Option<String>,
    /// The e-mail address of that account.
    pub owner_email: Option<String>,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// What the organisation says about it.
    pub found: Found,
}

impl fmt::Debug for Listed {
    /// The owner does not belong in a log.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Listed")
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}

/// What an organisation reports about an API token.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Found {
    /// Its end of life.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used; when it was made, if it never was.
    pub last_active: Option<DateTime<Utc>>,
    /// Whether the organisation has blocked it.
    pub blocked: bool,
}

/// What is known of the API token in use.
#[derive(Clone, Copy, Debug)]
pub struct Sought<'a> {
    /// The account that Jira validated it for.
    pub account: &'a str,
    /// The e-mail address that is sent with it.
    pub email: Option<&'a str>,
    /// When it was issued, as far as the user says.
    pub issued_at: Option<DateTime<Utc>>,
    /// When Jira last accepted it.
    pub accepted_at: Option<DateTime<Utc>>,
}

/// Why a look-up said nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LookupError {
    /// There is no API key of the organisation to ask with.
    NoKey(SourceError),
    /// Atlassian does not accept the key.
    KeyRejected,
    /// The key lacks the scope.
    Forbidden,
    /// Atlassian does not accept calls from our address.
    IpBlocked,
    /// The key opens no such organisation.
    UnknownOrganization,
    /// No entry is the token's.
    NotListed,
    /// Several entries may be the token's.
    Ambiguous,
    /// The list is longer than is read.
    TooLong,
    /// Nothing was learnt.
    NoVerdict(Outage),
    /// The call was not made.
    NotAllowed(Forbidden),
}

/// Picks the entry of the token in use.
///
/// # Errors
/// When it is not there, or cannot be known from others.
pub fn pick(listed: &[Listed], sought: &Sought<'_>) -> Result<Found, LookupError> {
    let mut candidates: Vec<&Listed> = listed
        .iter()
        .filter(|entry| is_owned(entry, sought))
        // What Jira accepted after the end of an entry is another token.
        .filter(|entry| !is_over(entry, sought.accepted_at))
        .collect();
    if candidates.len() > 1
        && let Some(issued) = sought.issued_at
    {
        candidates.retain(|entry| {
            let made = entry.created_at;
            made.is_some_and(|made| (made - issued).abs() <= MADE_WITHIN)
        });
        if candidates.is_empty() {
            return Err(LookupError::Ambiguous);
        }
    }
    match candidates.as_slice() {
        [] => Err(LookupError::NotListed),
        [entry] => Ok(entry.found),
        _ => Err(LookupError::Ambiguous),
    }
}

/// The id decides where it is given: addresses change, and are hidden.
pub fn is_owned(entry: &Listed, sought: &Sought<'_>) -> bool {
    match (&entry.owner_id, &entry.owner_email, sought.email) {
        (Some(id), _, _) => id == sought.account,
        (None, Some(email), Some(sought)) => email.to_lowercase() == sought.to_lowercase(),
        (None, _, _) => false,
    }
}

fn is_over(entry: &Listed, accepted: Option<DateTime<Utc>>) -> bool {
    let end = entry.found.expires_at;
    end.zip(accepted)
        .is_some_and(|(end, accepted)| end <= accepted)
}

impl LookupError {
    /// The reason to report.
    pub fn reason(&self) -> Reason {
        match self {
            LookupError::NoKey(problem) => problem.reason(),
            LookupError::KeyRejected => Reason::LookupKeyRejected,
            LookupError::Forbidden => Reason::LookupForbidden,
            LookupError::IpBlocked => Reason::IpBlocked,
            LookupError::UnknownOrganization => Reason::OrganizationUnknown,
            LookupError::NotListed | LookupError::TooLong => Reason::TokenNotListed,
            LookupError::Ambiguous => Reason::TokenAmbiguous,
            LookupError::NoVerdict(outage) => outage_reason(*outage),
            LookupError::NotAllowed(_) => Reason::HostNotAllowed,
        }
    }

    /// Whether the organisation spoke about the token: then what it said before does not hold.
    pub fn is_verdict(&self) -> bool {
        match self {
            LookupError::NotListed | LookupError::Ambiguous => true,
            LookupError::NoKey(_)
            | LookupError::KeyRejected
            | LookupError::Forbidden
            | LookupError::IpBlocked
            | LookupError::UnknownOrganization
            | LookupError::TooLong
            | LookupError::NoVerdict(_)
            | LookupError::NotAllowed(_) => false,
        }
    }

    /// Whether there was no usable response.
    pub fn is_outage(&self) -> bool {
        matches!(self, LookupError::NoVerdict(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + day * 86_400, 0).unwrap()
    }

    fn entry(id: Option<&str>, email: Option<&str>, created: i64, expires: i64) -> Listed {
        Listed {
            owner_id: id.map(str::to_owned),
            owner_email: email.map(str::to_owned),
            created_at: Some(at(created)),
            found: Found {
                expires_at: Some(at(expires)),
                ..Found::default()
            },
        }
    }

    #[test]
    fn the_entry_is_told_by_its_owner_its_life_and_its_birth() {
        let mine = |created, expires| entry(Some("me"), Some("bot@acme.example"), created, expires);
        let other = entry(Some("other"), Some("bot@acme.example"), 0, 90);
        let by_mail = entry(None, Some("Bot@Acme.example"), 0, 60);
        let nobody = entry(None, None, 0, 60);
        let found = |day| {
            Ok(Found {
                expires_at: Some(at(day)),
                ..Found::default()
            })
        };
        for (what, listed, issued, expected) in [
            ("nothing", vec![], None, Err(LookupError::NotListed)),
            ("one", vec![mine(0, 30)], None, found(30)),
            (
                "another's",
                vec![other.clone()],
                None,
                Err(LookupError::NotListed),
            ),
            (
                "mine among others",
                vec![other, mine(0, 30)],
                None,
                found(30),
            ),
            ("by e-mail", vec![by_mail.clone()], None, found(60)),
            ("nobody's", vec![nobody], None, Err(LookupError::NotListed)),
            (
                "two",
                vec![mine(0, 30), mine(1, 31)],
                None,
                Err(LookupError::Ambiguous),
            ),
            (
                "both ways",
                vec![by_mail, mine(0, 30)],
                None,
                Err(LookupError::Ambiguous),
            ),
            (
                "one of them over",
                vec![mine(-90, -1), mine(0, 30)],
                None,
                found(30),
            ),
            (
                "over",
                vec![mine(-90, -1)],
                None,
                Err(LookupError::NotListed),
            ),
            ("over later", vec![mine(-90, 1)], None, found(1)),
            (
                "issued",
                vec![mine(-40, 30), mine(0, 31)],
                Some(0),
                found(31),
            ),
            ("issued, one", vec![mine(-40, 30)], Some(0), found(30)),
            (
                "issued twice",
                vec![mine(0, 30), mine(1, 31)],
                Some(0),
                Err(LookupError::Ambiguous),
            ),
            (
                "issued never",
                vec![mine(0, 30), mine(1, 31)],
                Some(9),
                Err(LookupError::Ambiguous),
            ),
        ] {
            let sought = Sought {
                account: "me",
                email: Some("bot@acme.example"),
                issued_at: issued.map(at),
                accepted_at: Some(at(0)),
            };
            assert_eq!(pick(&listed, &sought), expected, "{what}");
        }
    }

    #[test]
    fn without_an_address_of_ours_only_the_id_tells() {
        let sought = Sought {
            account: "me",
            email: None,
            issued_at: None,
            accepted_at: None,
        };
        assert!(is_owned(&entry(Some("me"), None, 0, 1), &sought));
        assert!(!is_owned(&entry(None, Some("a@b.example"), 0, 1), &sought));
        let text = format!("{:?}", entry(Some("me"), Some("a@b.example"), 0, 1));
        assert!(!text.contains("a@b.example"), "{text}");
    }
}
