//! Who a Cloud request comes from.

use chrono::{DateTime, Utc};

use crate::calls::{Call, Verdict};
use crate::oauth::{Resource, Source};
use crate::request::{Authorization, Incoming};
use crate::settings::UserState;
use crate::token::TokenKind;
use crate::world::{Account, Site, TokenRecord, World};

use super::Door;

/// The outcome of looking at a credential.
#[derive(Debug)]
pub(super) enum Login<'a> {
    /// No credential was sent.
    Nobody,
    /// A good one.
    Known(Identity<'a>),
    /// A bad one.
    Refused(Verdict),
    /// The account's password instead of a token.
    Password,
    /// A Bearer on the site host, where none works.
    SiteBearer,
    /// An access token whose consent does not cover this site.
    Elsewhere,
}

/// An account, and the scopes it came with.
#[derive(Debug)]
pub(super) struct Identity<'a> {
    pub(super) account: &'a Account,
    token: &'a TokenRecord,
    /// What an access token's consent allows on this site; none for other tokens.
    consented: Option<Vec<&'a String>>,
}

/// `/myself` wants the classic scope, or all of the granular ones (Atlassian documentation).
pub(super) fn may_read_self(identity: &Identity<'_>) -> bool {
    const GRANULAR: [&str; 4] = [
        "read:user:jira",
        "read:application-role:jira",
        "read:group:jira",
        "read:avatar:jira",
    ];
    let has = |scope| has_scope(identity, scope);
    unscoped(identity) || has("read:jira-user") || GRANULAR.into_iter().all(has)
}

/// Projects and searches want `read:jira-work`, or its granular counterparts.
pub(super) fn may_read_work(identity: &Identity<'_>) -> bool {
    unscoped(identity)
        || has_scope(identity, "read:jira-work")
        || has_scope(identity, "read:project:jira")
}

/// What changes issues wants `write:jira-work`, or its granular counterparts.
pub(super) fn may_write_work(identity: &Identity<'_>) -> bool {
    unscoped(identity)
        || has_scope(identity, "write:jira-work")
        || has_scope(identity, "write:issue:jira")
}

fn unscoped(identity: &Identity<'_>) -> bool {
    identity.token.kind == TokenKind::Classic
}

fn has_scope(identity: &Identity<'_>, wanted: &str) -> bool {
    let holds = |scope: &String| scope == wanted;
    let consented = |scopes: &Vec<&String>| scopes.iter().copied().any(holds);
    identity.token.scopes.iter().any(holds) && identity.consented.as_ref().is_none_or(consented)
}

/// Looks at the credential, and notes in the log who it belongs to.
pub(super) fn check<'a>(
    world: &'a World,
    site: &Site,
    call: &Incoming,
    door: Door,
    now: DateTime<Utc>,
    entry: &mut Call,
) -> Login<'a> {
    match &call.authorization {
        Authorization::None => Login::Nobody,
        // Signed requests are deprecated on Cloud.
        Authorization::Signed { .. } | Authorization::Other => Login::Refused(Verdict::Rejected),
        Authorization::Bearer { .. } if door == Door::Site => Login::SiteBearer,
        Authorization::Bearer { token } => {
            let Some(token) = cloud_token(world, token) else {
                return Login::Refused(Verdict::Rejected);
            };
            note(entry, token);
            // Bearer is for service accounts (medium confidence) and for access tokens; users'
            // API tokens want Basic.
            if !matches!(token.kind, TokenKind::ServiceAccount | TokenKind::Access) {
                return Login::Refused(Verdict::WrongHost);
            }
            accept(world, site, token, door, now)
        }
        Authorization::Basic { user, secret } => {
            basic(world, site, (user, secret), door, now, entry)
        }
    }
}

fn basic<'a>(
    world: &'a World,
    site: &Site,
    (user, secret): (&str, &str),
    door: Door,
    now: DateTime<Utc>,
    entry: &mut Call,
) -> Login<'a> {
    let user = user.to_lowercase();
    let Some(token) = cloud_token(world, secret) else {
        let account = world.accounts.get(&user);
        return match account.and_then(|account| account.password.as_deref()) {
            Some(password) if password == secret && door == Door::Site => Login::Password,
            _ => Login::Refused(Verdict::Rejected),
        };
    };
    note(entry, token);
    if token.owner != user || token.kind == TokenKind::Access {
        return Login::Refused(Verdict::Rejected);
    }
    accept(world, site, token, door, now)
}

fn cloud_token<'a>(world: &'a World, secret: &str) -> Option<&'a TokenRecord> {
    world
        .token_by_secret(secret)
        .filter(|token| !matches!(token.kind, TokenKind::PersonalAccess | TokenKind::Link))
}

fn note(entry: &mut Call, token: &TokenRecord) {
    entry.token_id = Some(token.id.to_string());
}

/// The entries that the origin of an access token has for the site; without one there is no way in.
fn consented<'a>(world: &'a World, site: &Site, source: &Source) -> Vec<&'a Resource> {
    let host = world.cloud_ids.get(&site.settings.cloud_id);
    let resources = world.oauth.resources(source).iter();
    resources
        .filter(|entry| Some(&entry.host) == host)
        .collect()
}

fn accept<'a>(
    world: &'a World,
    site: &Site,
    token: &'a TokenRecord,
    door: Door,
    now: DateTime<Utc>,
) -> Login<'a> {
    let Some(account) = world.accounts.get(&token.owner) else {
        return Login::Refused(Verdict::Rejected);
    };
    let entries = token
        .source
        .as_ref()
        .map(|source| consented(world, site, source));
    if let Some(verdict) = world.token_over(token, now) {
        Login::Refused(verdict)
    } else if account.state == UserState::Deactivated {
        Login::Refused(Verdict::Deactivated)
    } else if entries.as_ref().is_some_and(Vec::is_empty) {
        Login::Elsewhere
    } else if !site.members.contains(&token.owner) {
        Login::Refused(Verdict::NoAccess)
    } else if door == Door::Site && token.kind != TokenKind::Classic {
        Login::Refused(Verdict::WrongHost)
    } else {
        let scopes =
            |entries: Vec<&'a Resource>| entries.into_iter().flat_map(|e| &e.scopes).collect();
        Login::Known(Identity {
            account,
            token,
            consented: entries.map(scopes),
        })
    }
}
