//! `GET /rest/oauth2/latest/authorize` of a Data Center instance: the page where a user consents
//! to an incoming application link.
//!
//! As on Cloud, a request that is not in order gets a page: what Jira redirects is not established.

use chrono::{DateTime, Utc};
use http::{Method, header};

use crate::calls::Verdict;
use crate::person::{Answer, Choice, ConsentPage, Parameters, error_page, redirected};
use crate::reply::Reply;
use crate::request::Incoming;
use crate::settings::UserState;
use crate::world::{Instance, World};

use super::codes::{Challenge, Code};
use super::families::Order;
use super::provider::{rank, scope_error};

/// Whether a path is the page's, on an instance with or without a context path.
pub(crate) fn is_authorize_path(path: &str) -> bool {
    path.ends_with("/rest/oauth2/latest/authorize") || path.ends_with("/rest/oauth2/1.0/authorize")
}

/// An authorize request that is in order.
struct Asked {
    client: String,
    callback: String,
    scopes: Vec<String>,
    state: String,
    challenge: Option<Challenge>,
}

/// A request for the page, or the answer of its form; `None` where a Jira of this version has no
/// such page (it came with 8.22).
pub(crate) fn authorize(
    world: &mut World,
    call: &Incoming,
    version: [u32; 3],
    now: DateTime<Utc>,
) -> Option<Reply> {
    if version < [8, 22, 0] {
        return None;
    }
    let asked = match check(world, call) {
        Ok(asked) => asked,
        Err((code, text)) => return Some(error_page(code, text)),
    };
    Some(match call.method {
        Method::GET => {
            world.consents.pages += 1;
            page(world, call, &asked, None)
        }
        Method::POST => answered(world, call, &asked, now),
        _ => error_page("invalid_request", "Only GET and POST are answered here.")
            .set(header::ALLOW, "GET, POST"),
    })
}

fn check(world: &World, call: &Incoming) -> Result<Asked, (&'static str, &'static str)> {
    let sent = Parameters::parse(&call.query);
    let client = world.oauth.clients.get(sent.get("client_id"));
    let link = client
        .filter(|client| client.service.is_none())
        .and_then(|client| client.link.as_ref())
        .filter(|link| link.host == call.host);
    let Some(link) = link else {
        return Err(("invalid_client", "The client_id is unknown."));
    };
    let callback = sent.get("redirect_uri");
    if callback.is_empty() || !link.redirect_uris.iter().any(|known| known == callback) {
        let text = "The redirect_uri is not one of those of the application link.";
        return Err(("invalid_request", text));
    }
    if sent.twice().is_some() {
        return Err(("invalid_request", "A parameter was sent more than once."));
    }
    if sent.get("response_type") != "code" {
        let text = "The parameter response_type must be code.";
        return Err(("unsupported_response_type", text));
    }
    let scopes: Vec<String> = sent.get("scope").split(' ').map(str::to_owned).collect();
    if !scopes.iter().all(|scope| rank(scope).is_some()) {
        let text = "The parameter scope must be READ, WRITE, ADMIN or SYSTEM_ADMIN.";
        return Err((scope_error(world), text));
    }
    let (value, method) = (
        sent.get("code_challenge"),
        sent.get("code_challenge_method"),
    );
    let challenge = Challenge::parse(value, method).map_err(|text| ("invalid_request", text))?;
    Ok(Asked {
        client: sent.get("client_id").to_owned(),
        callback: callback.to_owned(),
        scopes,
        state: sent.get("state").to_owned(),
        challenge,
    })
}

/// The users to choose from, in the order of their names.
pub(crate) fn users(instance: Option<&Instance>) -> Vec<Choice> {
    let users = instance.into_iter().flat_map(|instance| &instance.users);
    let mut choices: Vec<Choice> = users
        .filter(|(_, user)| user.state != UserState::Deactivated)
        .map(|(key, user)| Choice {
            value: key.clone(),
            label: format!("{} ({})", user.display_name, user.name),
        })
        .collect();
    choices.sort_by(|one, other| one.value.cmp(&other.value));
    choices
}

fn page(world: &World, call: &Incoming, asked: &Asked, wrong: Option<&str>) -> Reply {
    ConsentPage {
        client: &asked.client,
        asks: asked.scopes.clone(),
        accounts: users(world.instance(&call.host)),
        sites: Vec::new(),
        buttons: ["Allow", "Deny"],
        query: &call.query,
        wrong,
    }
    .reply()
}

fn answered(world: &mut World, call: &Incoming, asked: &Asked, now: DateTime<Utc>) -> Reply {
    let Some(answer) = Answer::parse(call) else {
        return page(world, call, asked, Some("Press one of the two buttons."));
    };
    if !answer.accepted {
        world.consents.declined += 1;
        let parameters = [("error", "access_denied"), ("state", &asked.state)];
        return Reply::redirect(302, &redirected(&asked.callback, &parameters))
            .verdict(Verdict::Anonymous);
    }
    let users = users(world.instance(&call.host));
    if !users.iter().any(|user| user.value == answer.account) {
        return page(world, call, asked, Some("Choose an account."));
    }
    let order = Order {
        client: asked.client.clone(),
        owner: answer.account,
        resources: Vec::new(),
        scopes: asked.scopes.clone(),
        redirect_uri: Some(asked.callback.clone()),
    };
    let code = Code::new(order, &asked.callback, asked.challenge.clone(), now);
    let code = world.issue_code(code);
    let parameters = [("code", &*code), ("state", &asked.state)];
    Reply::redirect(302, &redirected(&asked.callback, &parameters)).verdict(Verdict::Accepted)
}
