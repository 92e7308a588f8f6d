//! `GET /authorize` of Atlassian's auth host: the page where a person consents to an app.
//!
//! A request that is not in order gets a page in any case. RFC 6749 would redirect some of its
//! errors once client and callback are known; what Atlassian does is not established, and a page
//! keeps a wrong request from looking like a declined consent.

use chrono::{DateTime, Utc};
use http::{Method, header};

use crate::calls::Verdict;
use crate::person::{Answer, Choice, ConsentPage, Parameters, error_page, redirected};
use crate::reply::Reply;
use crate::request::Incoming;
use crate::settings::{SiteState, UserState};
use crate::world::World;

use super::app::resources;
use super::codes::{Challenge, Code};
use super::families::Order;

pub(super) const PATH: &str = "/authorize";

/// An authorize request that is in order.
struct Asked {
    client: String,
    callback: String,
    scopes: Vec<String>,
    state: String,
}

/// What is wrong with a request: a code of RFC 6749, and what is shown beside it.
type Wrong = (&'static str, String);

/// A request for the page, or the answer of its form.
pub(super) fn answer(world: &mut World, call: &Incoming, now: DateTime<Utc>) -> Reply {
    let asked = match check(world, &call.query) {
        Ok(asked) => asked,
        Err((code, text)) => return error_page(code, &text),
    };
    match call.method {
        Method::GET => {
            world.consents.pages += 1;
            page(world, call, &asked, None)
        }
        Method::POST => answered(world, call, &asked, now),
        _ => error_page("invalid_request", "Only GET and POST are answered here.")
            .set(header::ALLOW, "GET, POST"),
    }
}

fn check(world: &World, query: &str) -> Result<Asked, Wrong> {
    let sent = Parameters::parse(query);
    let client = world.oauth.clients.get(sent.get("client_id"));
    let client = client.filter(|client| client.link.is_none() && client.service.is_none());
    let Some(client) = client else {
        return Err(("unauthorized_client", "The client_id is unknown.".into()));
    };
    if client.callback.is_none() || client.callback.as_deref() != Some(sent.get("redirect_uri")) {
        let text = "The redirect_uri is not the callback that is registered for the app.";
        return Err(("invalid_request", text.into()));
    }
    if let Some(name) = sent.twice() {
        let text = format!("The parameter {name} was sent more than once.");
        return Err(("invalid_request", text));
    }
    for (name, value, code) in [
        ("response_type", "code", "unsupported_response_type"),
        ("audience", "api.atlassian.com", "invalid_request"),
        ("prompt", "consent", "invalid_request"),
    ] {
        if sent.get(name) != value {
            return Err((code, format!("The parameter {name} must be {value}.")));
        }
    }
    if sent.get("state").is_empty() {
        return Err(("invalid_request", "The parameter state is missing.".into()));
    }
    let (challenge, method) = (
        sent.get("code_challenge"),
        sent.get("code_challenge_method"),
    );
    Challenge::parse(challenge, method).map_err(|text| ("invalid_request", format!("{text}.")))?;
    let scopes: Vec<String> = sent.get("scope").split(' ').map(str::to_owned).collect();
    if scopes.iter().any(String::is_empty) {
        let text = "The parameter scope must be a list of scopes, separated by one space each.";
        return Err(("invalid_scope", text.into()));
    }
    Ok(Asked {
        client: sent.get("client_id").to_owned(),
        callback: sent.get("redirect_uri").to_owned(),
        scopes,
        state: sent.get("state").to_owned(),
    })
}

fn page(world: &World, call: &Incoming, asked: &Asked, wrong: Option<&str>) -> Reply {
    let people = world
        .accounts
        .iter()
        .filter(|(_, account)| account.state != UserState::Deactivated && !account.service);
    let mut accounts: Vec<Choice> = people
        .map(|(key, account)| Choice {
            value: key.clone(),
            label: format!("{} ({})", account.display_name, account.email),
        })
        .collect();
    accounts.sort_by(|one, other| one.value.cmp(&other.value));
    ConsentPage {
        client: &asked.client,
        asks: asked.scopes.clone(),
        accounts,
        sites: sites(world),
        buttons: ["Accept", "Decline"],
        query: &call.query,
        wrong,
    }
    .reply()
}

fn sites(world: &World) -> Vec<Choice> {
    let hosts = world.places.keys().filter(|host| {
        let site = world.site(host);
        site.is_some_and(|site| site.settings.state == SiteState::Active)
    });
    let mut hosts: Vec<&String> = hosts.collect();
    hosts.sort();
    let choice = |host: &String| Choice {
        value: host.clone(),
        label: host.clone(),
    };
    hosts.into_iter().map(choice).collect()
}

fn answered(world: &mut World, call: &Incoming, asked: &Asked, now: DateTime<Utc>) -> Reply {
    let Some(answer) = Answer::parse(call) else {
        return page(world, call, asked, Some("Press one of the two buttons."));
    };
    if !answer.accepted {
        world.consents.declined += 1;
        let parameters = [
            ("error", "access_denied"),
            ("error_description", "User did not authorize the request"),
            ("state", &asked.state),
        ];
        return Reply::redirect(302, &redirected(&asked.callback, &parameters))
            .verdict(Verdict::Anonymous);
    }
    if let Some(wrong) = wrong_choice(world, &answer) {
        return page(world, call, asked, Some(wrong));
    }
    let order = Order {
        client: asked.client.clone(),
        owner: answer.account,
        resources: resources(&answer.sites, &asked.scopes),
        scopes: asked.scopes.clone(),
        redirect_uri: None,
    };
    let code = world.issue_code(Code::new(order, &asked.callback, None, now));
    let parameters = [("code", &*code), ("state", &asked.state)];
    Reply::redirect(302, &redirected(&asked.callback, &parameters)).verdict(Verdict::Accepted)
}

fn wrong_choice(world: &World, answer: &Answer) -> Option<&'static str> {
    let account = world.accounts.get(&answer.account);
    if account.is_none_or(|account| account.service || account.state == UserState::Deactivated) {
        return Some("Choose an account.");
    }
    if answer.sites.is_empty() {
        return Some("Choose a site.");
    }
    let member = |host: &String| {
        let site = world.site(host);
        let active = site.filter(|site| site.settings.state == SiteState::Active);
        active.is_some_and(|site| site.members.contains(&answer.account))
    };
    if !answer.sites.iter().all(member) {
        return Some("The account has no access to one of the sites.");
    }
    None
}
