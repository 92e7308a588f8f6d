//! What a grant consists of: token families (chains), access tokens, initial tokens (seeds),
//! intents.

use aws_lc_rs::digest;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::api::Reason;
use crate::core::fingerprint::hex;
use crate::core::grant::previous::PreviousAccess;
use crate::core::spec::Client;

/// A refresh token, and its descendants one after another.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Chain<S> {
    /// What distinguishes it from others: the digest of the seed from which it descends; of a token
    /// that the one before it made, the attempt that made it.
    pub origin: String,
    /// Digest of the seed, where that is not the origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// When the seed was first seen: the consent cannot be older for us.
    pub consented: DateTime<Utc>,
    /// The client to which the tokens were given.
    pub client: Client,
    /// The attempt that brought the present tokens; `None` while there is only the seed.
    pub attempt: Option<String>,
    /// The refresh token; none for client credentials.
    pub refresh: Option<S>,
    /// The access token.
    pub access: Option<Access<S>>,
    /// Set when the refresh token is dead.
    pub dead: Option<Dead>,
    /// Whether Atlassian said that it will not renew for long.
    #[serde(default)]
    pub offline_missing: bool,
    /// What is known of the search for a token that a person made among the tokens of its account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
    /// When the refresh token may first have been used that gave the present tokens, if that was before they were asked
    /// for: the first response was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchanged: Option<DateTime<Utc>>,
    /// The access token before the present one, if it is published until it ends. An earlier version of the
    /// operator drops it, which costs nothing but the overlap.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousAccess<S>>,
}

/// An access token.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Access<S> {
    /// The token.
    pub token: S,
    /// When it was asked for: its life counts from here.
    pub obtained: DateTime<Utc>,
    /// When it ends.
    pub expires: DateTime<Utc>,
    /// What it may be used for, where Atlassian reported.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The id under which Jira lists it: personal access tokens only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// The end of a chain.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dead {
    /// When it was found.
    pub since: DateTime<Utc>,
    /// When a renewal started whose response was lost, if that is the cause.
    pub interrupted: Option<DateTime<Utc>>,
    /// The redirect URL that was sent along, where one is: another one may be the right one.
    #[serde(default)]
    pub redirect_uri: Option<String>,
    /// Why Jira refuses a login; `None` for a refresh token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

impl Dead {
    /// An end that nothing more is known of.
    pub(crate) fn at(since: DateTime<Utc>) -> Self {
        Self {
            since,
            interrupted: None,
            redirect_uri: None,
            reason: None,
        }
    }
}

/// A value that stood in the user's Secret.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seed {
    /// SHA-256 of the value, in hexadecimal digits.
    pub digest: String,
    /// When it was first seen.
    pub seen: DateTime<Utc>,
    /// What became of it.
    pub outcome: SeedOutcome,
}

/// What became of a seed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum SeedOutcome {
    /// It was seen and not spent.
    Seen,
    /// It was spent, or is about to be.
    Spent,
    /// A token that descends from it was validated.
    Accepted,
    /// Atlassian refused it.
    Refused,
}

/// A renewal that is under way.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// A random name.
    pub attempt: String,
    /// Who makes it.
    pub holder: Holder,
    /// The chain whose refresh token is spent, by the seed from which it descends: it is the same
    /// one when it has taken another's place meanwhile.
    pub origin: String,
    /// When this refresh token may first have been spent: the provider's leeway runs from here.
    pub first_sent: DateTime<Utc>,
    /// When this attempt started.
    pub started: DateTime<Utc>,
    /// When the first of the attempts started whose answer was lost for longer than the leeway.
    pub interrupted: Option<DateTime<Utc>>,
    /// Whether an earlier attempt with the same token may have been carried out.
    #[serde(default)]
    pub replay: bool,
}

/// A process of the operator.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Holder {
    /// The pod.
    pub pod: String,
    /// The process: every start has another.
    pub nonce: String,
}

/// What a token endpoint gave.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tokens<S> {
    /// The access token.
    pub access: Access<S>,
    /// The next refresh token; an answer may lack it.
    pub refresh: Option<S>,
    /// Whether the answer says that the grant does not renew for long.
    pub offline_missing: bool,
}

/// What is to be written down of a renewal that brought no token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RenewalFailure {
    /// The refresh token is dead.
    Dead,
    /// The user name and password are refused.
    Refused(Reason),
    /// The refresh token was certainly not spent.
    NotSpent(Reason),
    /// No one knows whether it was spent.
    Unknown(Reason),
}

impl<S> Chain<S> {
    /// A chain that starts with what a person stored.
    pub(crate) fn of_seed(digest: &str, client: Client, now: DateTime<Utc>) -> Self {
        Self {
            origin: digest.to_owned(),
            root: None,
            consented: now,
            client,
            attempt: None,
            refresh: None,
            access: None,
            dead: None,
            offline_missing: false,
            search: None,
            exchanged: None,
            previous: None,
        }
    }

    /// The digest of the seed from which it descends.
    pub fn root(&self) -> &str {
        self.root.as_deref().unwrap_or(&self.origin)
    }

    /// Stands for the origin in a status: distinguishes chains, and nothing else.
    pub fn family_id(&self) -> String {
        let digest = digest::digest(&digest::SHA256, self.origin.as_bytes());
        hex(digest.as_ref(), 16)
    }
}

/// Stands for no expiry, or an unknown one.
pub const ENDLESS: DateTime<Utc> = match DateTime::from_timestamp(253_402_300_799, 0) {
    Some(time) => time,
    None => DateTime::<Utc>::MAX_UTC,
};

/// A token or session that was replaced.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retired<S> {
    /// The id under which Jira lists it; `None` for a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The token, or the cookie of the session: it ends itself, since what took its place may be of
    /// another account.
    pub token: S,
    /// When it was replaced.
    pub since: DateTime<Utc>,
    /// When it expires.
    pub until: DateTime<Utc>,
    /// Whether it was validated and published; one that was made and never used was not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub published: bool,
    /// Since when everybody shows what took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<DateTime<Utc>>,
    /// Not before this time is it tried again to end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<DateTime<Utc>>,
}

/// What is replaced, and so how it can be ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Replaced {
    /// A personal access token, by its id.
    Token,
    /// A session.
    Session,
}

/// The search for a token among those of its account: Jira never says which one it was asked with.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Search {
    /// When the account was last asked.
    pub asked: DateTime<Utc>,
    /// How many tokens of the account it may be; `None` when the list could not be read.
    pub likely: Option<u32>,
    /// Why the list could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<Reason>,
    /// Whether the grant is a copy and the original still uses this token: it is not looked for.
    #[serde(default)]
    pub left: bool,
}

/// A token in the list of its account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Option<DateTime<Utc>>,
    /// When it ends; `None`: never.
    pub expires: Option<DateTime<Utc>>,
}

impl Search {
    /// Whether the list was had and did not tell which token it is.
    pub fn has_failed(&self) -> bool {
        self.likely.is_some_and(|likely| likely != 1)
    }
}

impl<S> Retired<S> {
    pub(crate) fn map<T>(&self, see: &impl Fn(&S) -> T) -> Retired<T> {
        Retired {
            id: self.id.clone(),
            token: see(&self.token),
            since: self.since,
            until: self.until,
            published: self.published,
            shown: self.shown,
            next_attempt: self.next_attempt,
        }
    }
}

/// A renewal to make.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefreshRequest {
    /// The chain, by the seed from which it descends; empty for client credentials.
    pub origin: String,
    /// Since when the refresh token may have been spent.
    pub first_sent: DateTime<Utc>,
    /// Since when it is unknown what became of it.
    pub interrupted: Option<DateTime<Utc>>,
    /// Whether an earlier attempt with the same token may have been carried out.
    pub replay: bool,
    /// Whether the refusal of a token that should still live is the cause.
    pub early: bool,
}

impl RefreshRequest {
    /// A first attempt with the token of a chain.
    pub fn fresh(origin: &str, now: DateTime<Utc>, early: bool) -> Self {
        Self {
            origin: origin.to_owned(),
            first_sent: now,
            interrupted: None,
            replay: false,
            early,
        }
    }
}

/// Whether a person made the token.
pub fn is_imported<S>(chain: &Chain<S>) -> bool {
    chain.root.is_none()
}
