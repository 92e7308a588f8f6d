//! The Data Center personality.

mod answers;
mod kept;
mod link_pages;
mod login;

use http::Method;

use crate::calls::{Call, Verdict};
use crate::issues;
use crate::permissions::{self, Caller};
use crate::reply::Reply;
use crate::request::{Authorization, Incoming};
use crate::service::Context;
use crate::settings::Sso;
use crate::world::{DcUser, World};

use answers::Visit;
use login::Login;

pub(crate) use kept::{Kept, SESSION, TOKENS, caller, pat_number, reads_body, tokens_of};
pub use kept::{Pat, PatAsk, PatRequest, Session, SessionAct, SessionEvent};
pub(crate) use link_pages::is_link_path;

/// A request to a Data Center host.
pub(crate) fn handle(world: &mut World, call: &Incoming, cx: &Context, entry: &mut Call) -> Reply {
    let session = world.rng.hex32();
    let Some(instance) = world.instance_mut(&call.host) else {
        return answers::no_backend();
    };
    instance.requests += 1;
    let number = instance.requests;
    let settings = instance.settings.clone();
    let Some(path) = below_context(&call.path, &settings.context_path) else {
        return answers::outside(&call.path, &settings);
    };
    let default_base = cx.base_url(None, &call.host) + &settings.context_path;
    let base = settings.base_url.clone().unwrap_or(default_base);
    let visit = Visit {
        settings: &settings,
        path,
        base: &base,
        session: &session,
        number,
    };
    let mut asked = kept::asked(call, &visit, cx.now);
    let (reply, user) = answer(world, call, cx, entry, &visit, asked.as_mut());
    let reply = match asked {
        Some(asked) => kept::noted(world, call, entry, asked, reply),
        None => reply,
    };
    let keeps_session = !kept::begins_session(world, call, &visit);
    answers::finish(reply, &visit, user.as_deref(), keeps_session, cx.now)
}

/// The answer, and the name of the user who is logged in.
fn answer(
    world: &mut World,
    call: &Incoming,
    cx: &Context,
    entry: &mut Call,
    visit: &Visit<'_>,
    asked: Option<&mut PatRequest>,
) -> (Reply, Option<String>) {
    if visit.path == "/status" {
        return (answers::status(visit), None);
    }
    if crate::oauth::is_token_path(visit.path) {
        let (host, version) = (&call.host, visit.settings.version_numbers());
        return match crate::oauth::token(world, call, host, version, cx.now) {
            Some(reply) => (reply, None),
            None => (answers::not_found(visit.path), None),
        };
    }
    if crate::oauth::is_authorize_path(visit.path) {
        let version = visit.settings.version_numbers();
        let reply = crate::oauth::authorize(world, call, version, cx.now);
        return (
            reply.unwrap_or_else(|| answers::not_found(visit.path)),
            None,
        );
    }
    if let Some(reply) = link_pages::answer(world, call, cx, visit) {
        return (reply, None);
    }
    if !visit.path.starts_with("/rest/") {
        let page = matches!(visit.path, "" | "/" | "/login.jsp");
        return (
            if page {
                answers::login_page(200)
            } else {
                answers::not_found(visit.path)
            },
            None,
        );
    }
    if let Some(logged_in) = kept::log_in(world, call, cx, visit, entry) {
        return logged_in;
    }
    let basic = matches!(call.authorization, Authorization::Basic { .. });
    if basic && !visit.settings.basic_enabled() {
        return (answers::basic_disabled(), None);
    }
    let login = login::check(world, call, visit, cx.now, entry);
    let name = match &login {
        Login::Known(user) => Some(user.name.clone()),
        _ => None,
    };
    if let Some(reply) = kept::resource(world, call, cx, visit, &login, asked) {
        return (reply, name);
    }
    if let Login::Known(user) = &login
        && let Some(reply) = about_issues(world, call, visit, user)
    {
        return (reply, name);
    }
    let reply = match &login {
        Login::Captcha => answers::captcha(visit),
        Login::Problem(problem) => answers::oauth_problem(visit, problem),
        Login::Refused(verdict) => rejected(visit, basic, *verdict),
        Login::Known(user) => resource(call, visit, Some(user), cx),
        Login::Nobody => resource(call, visit, None, cx),
    };
    let reply = match &login {
        Login::Known(_) if basic => reply.with("x-seraph-loginreason", "OK"),
        _ => reply,
    };
    (reply, name)
}

/// The answer to a request about issues; `None` for any other.
fn about_issues(
    world: &mut World,
    call: &Incoming,
    visit: &Visit<'_>,
    user: &DcUser,
) -> Option<Reply> {
    let resource = visit.path.strip_prefix("/rest/api/2/")?;
    if !issues::knows(call, resource, false) {
        return None;
    }
    let ask = issues::Ask {
        call,
        version: "2",
        resource,
        caller: &user.name,
        permissions: &user.permissions,
        is_cloud: false,
        base: visit.base,
    };
    let instance = world.instance_mut(&call.host)?;
    Some(issues::answer(&mut instance.projects, &ask))
}

fn rejected(visit: &Visit<'_>, basic: bool, verdict: Verdict) -> Reply {
    let reply = match &visit.settings.sso {
        Sso::Off if basic => answers::unauthorized_page(),
        Sso::Off => answers::client_must_be_authenticated(visit),
        Sso::LoginPage => answers::login_page(200),
        Sso::Redirect(to) => Reply::redirect(302, to),
    };
    let reply = if basic && visit.settings.sso == Sso::Off {
        reply.with("x-seraph-loginreason", "AUTHENTICATED_FAILED")
    } else {
        reply
    };
    reply.verdict(verdict)
}

fn resource(call: &Incoming, visit: &Visit<'_>, user: Option<&DcUser>, cx: &Context) -> Reply {
    let verdict = if user.is_some() {
        Verdict::Accepted
    } else {
        Verdict::Anonymous
    };
    let api = visit
        .path
        .strip_prefix("/rest/api/")
        .and_then(|rest| rest.split_once('/'));
    let resource = match api {
        Some(("2" | "latest", resource)) => resource,
        // Jira 9 sends a request for API version 3 to the login page, however good the login.
        Some(("3", _)) if visit.settings.version_numbers() < [10, 0, 0] => {
            return answers::to_login(visit).verdict(verdict);
        }
        _ => return answers::not_found(visit.path),
    };
    // A search may be long, so that it may come in a body.
    let is_search = resource == "search" && call.method == Method::POST;
    if !is_search && !matches!(call.method, Method::GET | Method::HEAD) {
        return answers::method_not_allowed();
    }
    match (resource, user) {
        ("serverInfo", _) => answers::server_info(visit, cx.now).verdict(verdict),
        ("myself", Some(user)) => answers::myself(visit, user).verdict(verdict),
        ("mypermissions", user) => {
            let caller = user.map_or(
                Caller::Anonymous {
                    may_browse: visit.settings.anonymous,
                },
                |user| Caller::Known(&user.permissions),
            );
            permissions::on_data_center(&caller, verdict)
        }
        ("search", Some(_)) => answers::no_issues().verdict(verdict),
        ("search", None) if visit.settings.anonymous => answers::no_issues().verdict(verdict),
        ("project", Some(_)) => answers::no_projects().verdict(verdict),
        ("project", None) if visit.settings.anonymous => answers::no_projects().verdict(verdict),
        ("myself" | "project" | "search", None) => match &visit.settings.sso {
            Sso::Off => answers::not_logged_in().verdict(verdict),
            Sso::LoginPage => answers::login_page(200).verdict(verdict),
            Sso::Redirect(to) => Reply::redirect(302, to).verdict(verdict),
        },
        _ => answers::not_found(visit.path),
    }
}

/// The path below the context path, if it is below.
fn below_context<'a>(path: &'a str, context: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(context)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}
