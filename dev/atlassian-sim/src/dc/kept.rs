//! What a Data Center keeps until it is ended: personal access tokens that can be made, listed and
//! revoked by REST, and sessions that are begun by a login.

mod pats;
mod sessions;

pub use pats::Pat;
pub(crate) use pats::of_user as tokens_of;
pub(crate) use sessions::Kept;

use http::Method;

use super::answers::{self, Visit};
use super::login::Login;
use crate::calls::{Call, Verdict};
use crate::reply::Reply;
use crate::request::Incoming;
use crate::service::Context;
use crate::world::World;

const TOKENS: &str = "/rest/pat/latest/tokens";
const SESSION: &str = "/rest/auth/1/session";

/// Whether the body of a POST to this path is looked at.
pub(crate) fn reads_body(path: &str) -> bool {
    path.ends_with(TOKENS) || path.ends_with(SESSION)
}

/// A login by user name and password; `None` for any other request.
pub(super) fn log_in(
    world: &mut World,
    call: &Incoming,
    cx: &Context,
    visit: &Visit<'_>,
    entry: &mut Call,
) -> Option<Reply> {
    if visit.path != SESSION || call.method != Method::POST {
        return None;
    }
    if !visit.settings.basic_enabled() {
        return Some(answers::basic_disabled());
    }
    Some(sessions::log_in(world, call, cx, visit, entry))
}

/// A request to one of the resources by who is logged in; `None` for any other.
pub(super) fn resource(
    world: &mut World,
    call: &Incoming,
    cx: &Context,
    visit: &Visit<'_>,
    login: &Login,
) -> Option<Reply> {
    let user = match login {
        Login::Known(user) => Some(user.name.clone()),
        Login::Nobody => None,
        Login::Refused(_) | Login::Captcha | Login::Problem(_) => return None,
    };
    if visit.path == SESSION {
        return Some(sessions::resource(world, call, visit, user.as_deref()));
    }
    let rest = visit.path.strip_prefix(TOKENS)?;
    if !visit.settings.knows_tokens() || visit.settings.tokens_absent {
        return Some(answers::not_found(visit.path));
    }
    let Some(user) = user else {
        return Some(answers::client_must_be_authenticated(visit).verdict(Verdict::Anonymous));
    };
    Some(pats::resource(world, call, cx, visit, (&user, rest)))
}
