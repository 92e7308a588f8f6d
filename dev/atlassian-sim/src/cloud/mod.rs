//! The Cloud personality: site hosts and the gateway.

mod accessible;
mod answers;
mod api_tokens;
mod login;

use std::sync::PoisonError;

use http::Method;

use crate::calls::{Call, Verdict};
use crate::issues;
use crate::permissions::{self, Caller, Permissions};
use crate::reply::Reply;
use crate::request::{Authorization, Incoming};
use crate::service::Context;
use crate::settings::SiteState;
use crate::world::{Site, World};

pub(crate) use answers::edge_headers;
use login::Login;

/// Which door a request came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Site,
    Gateway,
}

/// A request to a host that is (or looks like) a Cloud site.
pub(crate) fn site(world: &mut World, call: &Incoming, cx: &Context, entry: &mut Call) -> Reply {
    let trace = world.rng.hex32();
    let reply = match world.site(&call.host) {
        None => answers::unknown_site(&trace),
        Some(site) if site.settings.state == SiteState::Deleted => answers::unknown_site(&trace),
        // The edge answers this one itself, without authentication. Undocumented, used everywhere.
        Some(site) if call.path == "/_edge/tenant_info" => answers::tenant_info(site),
        Some(site) => on_site(world, site, call, cx, entry, &trace),
    };
    answers::edge_headers(reply, &trace)
}

fn on_site(
    world: &World,
    site: &Site,
    call: &Incoming,
    cx: &Context,
    entry: &mut Call,
    trace: &str,
) -> Reply {
    if let Some(reply) = shut(site) {
        return reply;
    }
    let login = login::check(world, site, call, Door::Site, cx.now, entry);
    match login {
        Login::Password => return answers::password_refused(),
        Login::SiteBearer if is_jwt(&call.authorization) => {
            return answers::client_must_be_authenticated(site).verdict(Verdict::WrongHost);
        }
        Login::SiteBearer => return answers::connect_session(site),
        _ => {}
    }
    let base = cx.base_url(site.settings.base_url.as_deref(), &call.host);
    resource(
        &Visit {
            site,
            call,
            door: Door::Site,
            base: &base,
            trace,
        },
        &login,
        cx,
    )
}

/// A request to the gateway.
pub(crate) fn gateway(world: &mut World, call: &Incoming, cx: &Context, entry: &mut Call) -> Reply {
    let trace = world.rng.hex32();
    let reply = through_gateway(world, call, cx, entry, &trace);
    answers::edge_headers(reply, &trace)
}

fn through_gateway(
    world: &World,
    call: &Incoming,
    cx: &Context,
    entry: &mut Call,
    trace: &str,
) -> Reply {
    if call.path == accessible::PATH {
        return accessible::answer(world, call, cx, entry);
    }
    if let Some(id) = api_tokens::organization(&call.path) {
        return api_tokens::answer(world, id, call, cx, entry);
    }
    let Some((cloud_id, _)) = call.path.strip_prefix("/ex/jira/").map(split_segment) else {
        return answers::gateway_unknown_path(&call.path, cx.now);
    };
    let site = world
        .cloud_ids
        .get(cloud_id)
        .and_then(|host| world.site(host));
    let Some(site) = site.filter(|site| site.settings.state != SiteState::Deleted) else {
        return answers::unknown_cloud_id(&call.path, cx.now, trace);
    };
    if let Some(reply) = shut(site) {
        return reply;
    }
    let login = login::check(world, site, call, Door::Gateway, cx.now, entry);
    if let Login::Elsewhere = login {
        return answers::not_installed();
    }
    if let Login::Refused(verdict) = login {
        return answers::gateway_unauthorized("Unauthorized").verdict(verdict);
    }
    let base = format!("https://{}/ex/jira/{cloud_id}", call.authority);
    let visit = Visit {
        site,
        call,
        door: Door::Gateway,
        base: &base,
        trace,
    };
    let reply = resource(&visit, &login, cx);
    answers::gateway_headers(reply)
}

/// A site that answers nobody.
fn shut(site: &Site) -> Option<Reply> {
    if site.settings.state == SiteState::Suspended {
        return Some(answers::suspended());
    }
    site.settings.reject_ip.then(answers::ip_rejected)
}

/// A request that has passed the door.
pub(crate) struct Visit<'a> {
    pub(crate) site: &'a Site,
    pub(crate) call: &'a Incoming,
    pub(crate) door: Door,
    pub(crate) base: &'a str,
    pub(crate) trace: &'a str,
}

impl Visit<'_> {
    /// The path below the site's root.
    fn path(&self) -> &str {
        match self.door {
            Door::Site => &self.call.path,
            Door::Gateway => self
                .call
                .path
                .strip_prefix("/ex/jira/")
                .map_or("", |p| split_segment(p).1),
        }
    }
}

fn resource(visit: &Visit<'_>, login: &Login<'_>, cx: &Context) -> Reply {
    let Some(resource) = rest_resource(visit.path()) else {
        return answers::unknown_path(visit);
    };
    if issues::knows(visit.call, resource, true) {
        return about_issues(visit, login, resource);
    }
    // A search may be long, so that it may come in a body.
    let is_search = resource == "search/jql" && visit.call.method == Method::POST;
    if !is_search && !matches!(visit.call.method, Method::GET | Method::HEAD) {
        return answers::method_not_allowed(visit);
    }
    let (verdict, identity) = match login {
        Login::Nobody => (Verdict::Anonymous, None),
        Login::Known(identity) => (Verdict::Accepted, Some(identity)),
        // The site host answers a bad Basic credential as anonymous wherever it can.
        Login::Refused(_) => (Verdict::FellThrough, None),
        Login::Password | Login::SiteBearer | Login::Elsewhere => (Verdict::Rejected, None),
    };
    match resource {
        "serverInfo" => answers::server_info(visit, cx.now).verdict(verdict),
        "search" => answers::search_removed(),
        "myself" => match identity {
            Some(identity) => scoped(login::may_read_self(identity), || {
                answers::myself(visit, identity)
            }),
            None => unauthorized(visit).verdict(why(login)),
        },
        "mypermissions" => {
            let may_browse = visit.site.settings.anonymous;
            let anonymous = Caller::Anonymous { may_browse };
            let caller = identity.map_or(anonymous, |identity| {
                Caller::Known(&identity.account.permissions)
            });
            scoped(identity.is_none_or(login::may_read_work), || {
                permissions::on_cloud(&visit.call.query, &caller, verdict)
            })
        }
        "project" | "project/search" | "search/jql" => match identity {
            Some(identity) => scoped(login::may_read_work(identity), || {
                answers::empty_list(resource).verdict(Verdict::Accepted)
            }),
            None if visit.site.settings.anonymous => answers::empty_list(resource).verdict(verdict),
            None => unauthorized(visit).verdict(why(login)),
        },
        _ => answers::unknown_path(visit),
    }
}

/// Nobody finds nothing, and may do nothing.
fn about_issues(visit: &Visit<'_>, login: &Login<'_>, resource: &str) -> Reply {
    let projects = visit.site.projects.lock();
    let mut projects = projects.unwrap_or_else(PoisonError::into_inner);
    let hides = projects.values().any(|project| project.is_private);
    let mut answer = |caller: &str, permissions: &Permissions| {
        let ask = issues::Ask {
            call: visit.call,
            version: visit.path().split('/').nth(3).unwrap_or_default(),
            resource,
            caller,
            permissions,
            is_cloud: true,
            base: visit.base,
        };
        issues::answer(&mut projects, &ask)
    };
    let Login::Known(identity) = login else {
        let reply = if hides {
            answer("", &Permissions::none())
        } else if resource == "search/jql" && visit.site.settings.anonymous {
            answers::empty_list(resource)
        } else {
            unauthorized(visit)
        };
        return reply.verdict(why(login));
    };
    let may = if issues::writes(&visit.call.method, resource) {
        login::may_write_work(identity)
    } else {
        login::may_read_work(identity)
    };
    let account = identity.account;
    scoped(may, || answer(&account.email, &account.permissions))
}

fn why(login: &Login<'_>) -> Verdict {
    match login {
        Login::Refused(verdict) => *verdict,
        _ => Verdict::Anonymous,
    }
}

fn scoped(allowed: bool, answer: impl FnOnce() -> Reply) -> Reply {
    if allowed {
        return answer();
    }
    answers::gateway_unauthorized("Unauthorized; scope does not match")
        .verdict(Verdict::ScopeMissing)
}

fn unauthorized(visit: &Visit<'_>) -> Reply {
    match visit.door {
        Door::Site => {
            let reply = answers::client_must_be_authenticated(visit.site);
            match &visit.call.authorization {
                Authorization::Basic { user, .. } if !user.is_empty() => {
                    reply.with("x-seraph-loginreason", "AUTHENTICATED_FAILED")
                }
                _ => reply,
            }
        }
        Door::Gateway => answers::gateway_unauthorized("Unauthorized"),
    }
}

/// The resource of a `/rest/api/{2,3,latest}/…` path.
fn rest_resource(path: &str) -> Option<&str> {
    let (version, resource) = path.strip_prefix("/rest/api/")?.split_once('/')?;
    matches!(version, "2" | "3" | "latest").then_some(resource)
}

/// `abc/def` becomes `abc` and `/def`.
fn split_segment(path: &str) -> (&str, &str) {
    path.find('/').map_or((path, ""), |at| path.split_at(at))
}

/// Three parts of base64url: what a JSON web token looks like.
fn is_jwt(authorization: &Authorization) -> bool {
    let Authorization::Bearer { token } = authorization else {
        return false;
    };
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'='))
    };
    token.split('.').count() == 3 && token.split('.').all(part)
}
