//! The endpoints of OAuth 1.0a, where consumers of application links get their tokens.

use http::{Method, header};

use super::answers::{self, Visit};
use crate::calls::Verdict;
use crate::links::{self, Signed};
use crate::reply::Reply;
use crate::request::{Authorization, Incoming};
use crate::service::Context;
use crate::world::World;

const REQUEST_TOKEN: &str = "/plugins/servlet/oauth/request-token";
const AUTHORIZE: &str = "/plugins/servlet/oauth/authorize";
const ACCESS_TOKEN: &str = "/plugins/servlet/oauth/access-token";

/// Whether a path is one of the endpoints, on an instance with or without a context path.
pub(crate) fn is_link_path(path: &str) -> bool {
    let paths = [REQUEST_TOKEN, AUTHORIZE, ACCESS_TOKEN];
    paths.iter().any(|known| path.ends_with(known))
}

/// A request to one of the endpoints; `None` for another path.
pub(super) fn answer(
    world: &mut World,
    call: &Incoming,
    cx: &Context,
    visit: &Visit<'_>,
) -> Option<Reply> {
    if visit.path == AUTHORIZE {
        return Some(links::authorize(world, call, cx.now));
    }
    let step = match visit.path {
        REQUEST_TOKEN => links::request_token,
        ACCESS_TOKEN => links::access_token,
        _ => return None,
    };
    if call.method != Method::POST {
        let reply = Reply::html(405, "HTTP Status 405", "Only POST is answered here.");
        let reply = reply.set(header::ALLOW, "POST");
        return Some(reply.verdict(Verdict::Malformed));
    }
    let header: &[(String, String)] = match &call.authorization {
        Authorization::Signed { parameters } => parameters,
        _ => &[],
    };
    let parameters = links::with_form(header, &call.content_type, &call.body);
    let request = Signed {
        host: &call.host,
        method: call.method.as_str(),
        address: &format!("{}{}", visit.base, visit.path),
        query: &call.query,
        parameters: &parameters,
    };
    let reply = step(world, &request, cx.now);
    Some(reply.unwrap_or_else(|problem| answers::oauth_problem(visit, &problem)))
}
