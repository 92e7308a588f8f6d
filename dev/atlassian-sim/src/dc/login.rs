//! Who a Data Center request comes from, and what a failed login leads to.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::calls::{Call, Verdict};
use crate::request::{Authorization, Incoming};
use crate::settings::{DataCenterSettings, UserState};
use crate::world::{DcUser, World};

/// The outcome of looking at a credential.
#[derive(Debug)]
pub(super) enum Login {
    Nobody,
    Known(DcUser),
    Refused(Verdict),
    /// Denied until a person solves a CAPTCHA; the password was not looked at.
    Captcha,
}

pub(super) fn check(
    world: &mut World,
    call: &Incoming,
    settings: &DataCenterSettings,
    now: DateTime<Utc>,
    entry: &mut Call,
) -> Login {
    match &call.authorization {
        Authorization::None => cookie(world, call, settings, now, entry),
        Authorization::Other => Login::Refused(Verdict::Rejected),
        // Without a user there is no login (and no X-Seraph-LoginReason).
        Authorization::Basic { user, .. } if user.is_empty() => Login::Nobody,
        Authorization::Basic { user, secret } => {
            basic(world, call, settings, (user, secret), now, entry)
        }
        Authorization::Bearer { token } => bearer(world, call, settings, token, now, entry),
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
        settings.knows_tokens() && token.host.as_deref() == Some(call.host.as_str())
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
