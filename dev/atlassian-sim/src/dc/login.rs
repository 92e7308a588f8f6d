//! Who a Data Center request comes from, and what a failed login leads to.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::answers::Visit;
use crate::calls::{Call, Verdict};
use crate::links::{self, Problem, Signed};
use crate::request::{Authorization, Incoming};
use crate::settings::{DataCenterSettings, UserState};
use crate::token::TokenKind;
use crate::world::{DcUser, World};

/// The outcome of looking at a credential.
#[derive(Debug)]
pub(super) enum Login {
    Nobody,
    Known(DcUser),
    Refused(Verdict),
    /// Denied until a person solves a CAPTCHA; the password was not looked at.
    Captcha,
    /// A signed request that is not in order.
    Problem(Problem),
}

pub(super) fn check(
    world: &mut World,
    call: &Incoming,
    visit: &Visit<'_>,
    now: DateTime<Utc>,
    entry: &mut Call,
) -> Login {
    let settings = visit.settings;
    match &call.authorization {
        Authorization::None => cookie(world, call, settings, now, entry),
        Authorization::Other => Login::Refused(Verdict::Rejected),
        // Without a user there is no login (and no X-Seraph-LoginReason).
        Authorization::Basic { user, .. } if user.is_empty() => Login::Nobody,
        Authorization::Basic { user, secret } => {
            basic(world, call, settings, (user, secret), now, entry)
        }
        Authorization::Bearer { token } => bearer(world, call, settings, token, now, entry),
        Authorization::Signed { parameters } => signed(world, call, visit, parameters, now, entry),
    }
}

/// A signed request. What counts is the address that Jira believes to be asked at: its base URL.
fn signed(
    world: &mut World,
    call: &Incoming,
    visit: &Visit<'_>,
    parameters: &[(String, String)],
    now: DateTime<Utc>,
    entry: &mut Call,
) -> Login {
    let request = Signed {
        host: &call.host,
        method: call.method.as_str(),
        address: &format!("{}{}", visit.base, visit.path),
        query: &call.query,
        parameters,
    };
    let sent = links::token_of(world, parameters);
    entry.token_id = sent.map(|token| token.id.to_string());
    let owner = match links::verify(world, &request, now) {
        Ok(owner) => owner,
        Err(problem) => return Login::Problem(problem),
    };
    let instance = world.instance(&call.host);
    match instance.and_then(|instance| instance.users.get(&owner)) {
        Some(user) if user.state != UserState::Deactivated => Login::Known(user.clone()),
        Some(_) => Login::Refused(Verdict::Deactivated),
        None => Login::Refused(Verdict::Rejected),
    }
}

/// A session. One that is over is refused, not taken for nobody's (reported).
fn cookie(
    world: &mut World,
    call: &Incoming,
    settings: &DataCenterSettings,
    now: DateTime<Utc>,
    entry: &mut Call,
) -> Login {
    let Some(cookie) = call.session.as_deref() else {
        return Login::Nobody;
    };
    let Some(instance) = world.instance_mut(&call.host) else {
        return Login::Nobody;
    };
    let session = instance
        .kept
        .visit(cookie, now, settings.session_idle_seconds);
    let Some(session) = session else {
        return Login::Refused(Verdict::Expired);
    };
    entry.token_id = Some(session.id.clone());
    match instance.users.get(&session.owner.to_lowercase()) {
        Some(user) if user.state == UserState::Deactivated => Login::Refused(Verdict::Deactivated),
        Some(user) => Login::Known(user.clone()),
        None => Login::Refused(Verdict::Rejected),
    }
}

/// A password. Every failure of an existing user counts towards the CAPTCHA, a success resets
/// the count. A personal access token in place of the password is just a wrong password.
pub(super) fn basic(
    world: &mut World,
    call: &Incoming,
    settings: &DataCenterSettings,
    (user, secret): (&str, &str),
    now: DateTime<Utc>,
    entry: &mut Call,
) -> Login {
    let token = world
        .token_by_secret(secret)
        .map(|token| token.id.to_string());
    entry.token_id = token;
    let instance = world.instance_mut(&call.host);
    let Some(user) = instance.and_then(|instance| instance.users.get_mut(&user.to_lowercase()))
    else {
        return Login::Refused(Verdict::Rejected);
    };
    if settings
        .captcha_after
        .is_some_and(|limit| user.failed_logins >= limit)
    {
        user.denied_logins += 1;
        return Login::Captcha;
    }
    let right = user.password.as_deref() == Some(secret);
    if right && user.state != UserState::Deactivated {
        user.failed_logins = 0;
        user.logins.succeed(now);
        return Login::Known(user.clone());
    }
    user.failed_logins += 1;
    user.logins.fail(now);
    Login::Refused(if right {
        Verdict::Deactivated
    } else {
        Verdict::Rejected
    })
}

fn bearer(
    world: &mut World,
    call: &Incoming,
    settings: &DataCenterSettings,
    secret: &str,
    now: DateTime<Utc>,
    entry: &mut Call,
) -> Login {
    let token = world.token_by_secret(secret).filter(|token| {
        let here = token.host.as_deref() == Some(call.host.as_str());
        settings.knows_tokens() && here && token.kind != TokenKind::Link
    });
    let Some(token) = token else {
        return Login::Refused(Verdict::Rejected);
    };
    entry.token_id = Some(token.id.to_string());
    let user = world
        .instance(&call.host)
        .and_then(|instance| instance.users.get(&token.owner));
    let Some(user) = user else {
        return Login::Refused(Verdict::Rejected);
    };
    if let Some(verdict) = world.token_over(token, now) {
        return Login::Refused(verdict);
    }
    if user.state == UserState::Deactivated {
        return Login::Refused(Verdict::Deactivated);
    }
    let (id, user) = (Arc::clone(&token.id), user.clone());
    if let Some(token) = world.token_mut(&id) {
        token.last_used = Some(now);
    }
    Login::Known(user)
}
