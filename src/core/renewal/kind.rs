//! What a renewal is made of, and what follows from it.

use chrono::{DateTime, TimeDelta, Utc};

use super::RenewalPlan;
use crate::api::Hosting;
use crate::core::fingerprint::Fingerprint;
use crate::core::grant::Access;

/// What a renewal is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RenewalKind {
    /// A refresh token, which is spent for the next one.
    Refresh,
    /// Client credentials, which are just used again.
    ClientCredentials,
    /// A personal access token, which makes its own successor.
    Successor,
    /// A user name and password, with which another session is begun.
    Login,
}

/// What the user says of a personal access token that makes its own successor.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stated {
    /// When it was made.
    pub begin: Option<DateTime<Utc>>,
    /// When it ends.
    pub end: Option<DateTime<Utc>>,
    /// How old a token may become.
    pub max_age: Option<TimeDelta>,
}

/// How long before its end a token of an hour is renewed.
const RENEW_BEFORE: TimeDelta = TimeDelta::minutes(15);

/// How long before its end a personal access token makes its successor, however long it lives.
const SUCCEED_BEFORE: TimeDelta = TimeDelta::days(14);

impl RenewalPlan {
    /// Where the tokens are given.
    pub fn hosting(&self) -> Hosting {
        match self.gateway {
            Some(_) => Hosting::Cloud,
            None => Hosting::DataCenter,
        }
    }

    /// Whether what was replaced goes on working for some time. Data Center deletes a refresh
    /// token and the access token before it at once (observed).
    pub fn has_leeway(&self) -> bool {
        match self.kind {
            RenewalKind::Refresh | RenewalKind::ClientCredentials => {
                self.hosting() == Hosting::Cloud
            }
            // They are ended by the operator alone.
            RenewalKind::Successor | RenewalKind::Login => true,
        }
    }

    /// Whether a renewal spends something that exists once.
    pub fn spends(&self) -> bool {
        match self.kind {
            RenewalKind::Refresh => true,
            RenewalKind::ClientCredentials | RenewalKind::Successor | RenewalKind::Login => false,
        }
    }

    /// Whether Jira keeps what is replaced until it is ended.
    pub fn is_kept(&self) -> bool {
        match self.kind {
            RenewalKind::Refresh | RenewalKind::ClientCredentials => false,
            RenewalKind::Successor | RenewalKind::Login => true,
        }
    }

    /// Whether a renewal is written down before it is made: what it does cannot be taken back.
    pub fn is_announced(&self) -> bool {
        match self.kind {
            RenewalKind::Refresh | RenewalKind::Successor | RenewalKind::Login => true,
            RenewalKind::ClientCredentials => false,
        }
    }

    /// Whether a token that Jira refuses before its end can be replaced all the same. A personal
    /// access token that is refused cannot make another.
    pub fn outlives_its_token(&self) -> bool {
        match self.kind {
            RenewalKind::Refresh | RenewalKind::ClientCredentials | RenewalKind::Login => true,
            RenewalKind::Successor => false,
        }
    }

    /// How long before its end a token is renewed.
    pub fn renewed_before(&self, access: &Access<Fingerprint>) -> TimeDelta {
        let life = (access.expires - access.obtained).max(TimeDelta::zero());
        self.renew_before.unwrap_or(match self.kind {
            RenewalKind::Refresh | RenewalKind::ClientCredentials => RENEW_BEFORE.min(life / 4),
            RenewalKind::Successor => SUCCEED_BEFORE.min(life / 3),
            RenewalKind::Login => life / 5,
        })
    }
}
