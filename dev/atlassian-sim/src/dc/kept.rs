//! What a Data Center keeps until it is ended: personal access tokens that can be made, listed and
//! revoked by REST, and sessions that are begun by a login.

mod ledger;
mod pats;
mod sessions;

pub(crate) use pats::{number as pat_number, of_user as tokens_of};
pub(crate) use sessions::Kept;

pub use ledger::{PatAsk, PatRequest, SessionAct, SessionEvent};
pub use pats::Pat;
pub use sessions::Session;

use chrono::{DateTime, Utc};
use http::Method;

use super::answers::{self, Visit};
use super::login::Login;
use crate::calls::{Call, Verdict};
use crate::reply::Reply;
use crate::request::Incoming;
use crate::service::Context;
use crate::world::World;

pub(crate) const TOKENS: &str = "/rest/pat/latest/tokens";
pub(crate) const SESSION: &str = "/rest/auth/1/session";

/// Whether the body of a POST to this path is looked at.
pub(crate) fn reads_body(path: &str) -> bool {
    path.ends_with(TOKENS) || path.ends_with(SESSION)
}

fn is_json(call: &Incoming) -> bool {
    call.content_type.starts_with("application/json")
}

/// Who a request comes from that carries no `Authorization`: the owner of its session and the
/// session's id, or whom a login is for.
pub(crate) fn caller(world: &World, call: &Incoming) -> (Option<String>, Option<String>) {
    if call.method == Method::POST && call.path.ends_with(SESSION) {
        let named = sessions::named(call);
        let named = named.map(|user| world.user_in_log(&user));
        return (named, None);
    }
    let session = world.instance(&call.host).and_then(|instance| {
        let cookie = call.session.as_deref()?;
        instance.kept.sessions.get(cookie)
    });
    session
        .map(|session| (session.owner.clone(), session.id.clone()))
        .unzip()
}

/// Whether the answer begins a session: it does unless the request came with one that lives on.
pub(super) fn begins_session(world: &World, call: &Incoming, visit: &Visit<'_>) -> bool {
    let lives = |cookie: &str| {
        let instance = world.instance(&call.host);
        instance.is_some_and(|instance| instance.kept.sessions.contains_key(cookie))
    };
    lives(&visit.cookie()) || !call.session.as_deref().is_some_and(lives)
}

/// The line of the ledger about a request to the resource of personal access tokens, as far as
/// the request tells; `None` for any other request.
pub(super) fn asked(call: &Incoming, visit: &Visit<'_>, now: DateTime<Utc>) -> Option<PatRequest> {
    let item = visit.path.strip_prefix(TOKENS)?;
    let ask = match (&call.method, item) {
        (&Method::GET, "" | "/") => PatAsk::List,
        (&Method::POST, "" | "/") => PatAsk::Mint,
        (&Method::DELETE, _) => PatAsk::Revoke,
        _ => return None,
    };
    Some(PatRequest {
        number: 0,
        at: now,
        user: None,
        scheme: call.scheme(),
        with: None,
        ask,
        pat: item.strip_prefix('/').and_then(|id| id.parse().ok()),
        name: None,
        status: 0,
        answered: false,
    })
}

/// Writes down what was asked about personal access tokens, and what came.
pub(super) fn noted(
    world: &mut World,
    call: &Incoming,
    entry: &Call,
    asked: PatRequest,
    reply: Reply,
) -> Reply {
    let Some(instance) = world.instance_mut(&call.host) else {
        return reply;
    };
    let line = PatRequest {
        user: entry.user.clone(),
        with: entry.token_id.clone(),
        status: reply.status.as_u16(),
        ..asked
    };
    reply.ticket(instance.kept.pat_requests.push(line))
}

/// A login by user name and password, which looks at no other credential: the answer, and who is
/// logged in. `None` for any other request.
pub(super) fn log_in(
    world: &mut World,
    call: &Incoming,
    cx: &Context,
    visit: &Visit<'_>,
    entry: &mut Call,
) -> Option<(Reply, Option<String>)> {
    let is_login = visit.path == SESSION && call.method == Method::POST;
    is_login.then(|| sessions::log_in(world, call, cx, visit, entry))
}

/// A request to one of the resources by who is logged in; `None` for any other.
pub(super) fn resource(
    world: &mut World,
    call: &Incoming,
    cx: &Context,
    visit: &Visit<'_>,
    login: &Login,
    asked: Option<&mut PatRequest>,
) -> Option<Reply> {
    let user = match login {
        Login::Known(user) => Some(user),
        Login::Nobody => None,
        // A client that asks whether a session lives, or ends it, is not turned away for
        // want of one (reported).
        Login::Refused(_) if call.uses_cookie() && visit.path == SESSION => None,
        Login::Refused(_) | Login::Captcha | Login::Problem(_) => return None,
    };
    if visit.path == SESSION {
        return Some(sessions::resource(world, call, cx, visit, user));
    }
    visit.path.strip_prefix(TOKENS)?;
    if !visit.settings.knows_tokens() || visit.settings.tokens_absent {
        return Some(answers::not_found(visit.path));
    }
    let Some(user) = user else {
        return Some(answers::client_must_be_authenticated(visit).verdict(Verdict::Anonymous));
    };
    let reply = match asked {
        Some(asked) => pats::resource(world, call, cx, visit, &user.name, asked),
        None => answers::method_not_allowed_but("GET, POST, DELETE, HEAD, OPTIONS"),
    };
    Some(reply)
}
