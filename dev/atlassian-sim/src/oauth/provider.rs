//! The token endpoint of a Data Center instance: forms only, the redirect URL along with a refresh
//! token, the scope along with a service account's request.
//!
//! The codes of errors are those that clients branch on; their words are our own.

use chrono::{DateTime, Utc};
use http::{Method, header};
use serde_json::{Value, json};

use crate::calls::Verdict;
use crate::reply::Reply;
use crate::request::Incoming;
use crate::world::World;

use super::endpoint::{add_refresh, granted, spend};
use super::exchange::Exchange;
use super::families::Source;
use super::form::Form;
use super::ledger::SpendOutcome;

/// The scopes, each of which includes those before it.
const SCOPES: [&str; 4] = ["READ", "WRITE", "ADMIN", "SYSTEM_ADMIN"];

/// A service account gets no more than this.
const MOST_OF_SERVICE: usize = 1;

/// Whether a path is the endpoint's, on an instance with or without a context path.
pub(crate) fn is_token_path(path: &str) -> bool {
    path.ends_with("/rest/oauth2/latest/token") || path.ends_with("/rest/oauth2/1.0/token")
}

/// A request to the endpoint; `None` where a Jira of this version has none (it came with 8.22).
pub(crate) fn token(
    world: &mut World,
    call: &Incoming,
    host: &str,
    version: [u32; 3],
    now: DateTime<Utc>,
) -> Option<Reply> {
    if version < [8, 22, 0] {
        return None;
    }
    if call.method != Method::POST {
        let reply = error(405, "invalid_request").set(header::ALLOW, "POST");
        return Some(reply);
    }
    let form = Form::parse(&call.content_type, &call.body).unwrap_or_default();
    // Seen: whatever is no form ends as an error of the server's.
    if !call
        .content_type
        .starts_with("application/x-www-form-urlencoded")
    {
        let ticket = spend(
            world,
            call,
            &form.refresh_token,
            SpendOutcome::NotGranted,
            now,
        );
        let body = json!({ "message": "Internal server error", "status-code": 500 });
        return Some(
            Reply::json(500, &body)
                .verdict(Verdict::Malformed)
                .ticket(ticket),
        );
    }
    let validates = world
        .oauth
        .validates(Some(host), &form.client_id, &form.client_secret);
    Some(match form.grant_type.as_str() {
        "refresh_token" => refresh(world, call, &form, validates, now),
        "client_credentials" if version >= [11, 0, 0] => {
            client_credentials(world, &form, validates, now)
        }
        "authorization_code" if form.code.is_empty() => error(400, "invalid_request"),
        "authorization_code" if validates => redeem(world, &form, now),
        "authorization_code" => unvalidated(),
        _ => error(400, "unsupported_grant_type"),
    })
}

/// The grant `authorization_code`.
fn redeem(world: &mut World, form: &Form, now: DateTime<Utc>) -> Reply {
    match world.redeem(form, now) {
        Ok((access, refresh)) => {
            let mut body = told(world, &access, now);
            add_refresh(&mut body, refresh.as_deref());
            Reply::json(200, &body).verdict(Verdict::Accepted)
        }
        Err(verdict) => error(400, "invalid_grant").verdict(verdict),
    }
}

fn refresh(
    world: &mut World,
    call: &Incoming,
    form: &Form,
    validates: bool,
    now: DateTime<Utc>,
) -> Reply {
    let value = form.refresh_token.as_str();
    if value.is_empty() {
        let ticket = spend(world, call, value, SpendOutcome::NotGranted, now);
        return error(400, "invalid_request").ticket(ticket);
    }
    if !validates {
        let ticket = spend(world, call, value, SpendOutcome::ClientRejected, now);
        return unvalidated().ticket(ticket);
    }
    let family = world.oauth.token(value).map(|token| token.family);
    let consent = family.and_then(|family| world.oauth.family(family));
    let redirect = consent.and_then(|family| family.order.redirect_uri.as_deref());
    if redirect.is_some_and(|redirect| redirect != form.redirect_uri) {
        let ticket = spend(world, call, value, SpendOutcome::WrongRedirect, now);
        return error(400, "invalid_grant").ticket(ticket);
    }
    match world.exchange(value, &form.client_id, now) {
        Exchange::Granted {
            access,
            refresh,
            outcome,
        } => {
            let ticket = spend(world, call, value, outcome, now);
            let mut body = told(world, &access, now);
            add_refresh(&mut body, refresh.as_deref());
            Reply::json(200, &body)
                .verdict(Verdict::Accepted)
                .ticket(ticket)
        }
        Exchange::Refused { outcome, verdict } => {
            let ticket = spend(world, call, value, outcome, now);
            error(400, "invalid_grant").verdict(verdict).ticket(ticket)
        }
    }
}

/// A service account's request. It spends nothing, and what was granted before lives on.
fn client_credentials(
    world: &mut World,
    form: &Form,
    validates: bool,
    now: DateTime<Utc>,
) -> Reply {
    if !validates {
        return unvalidated();
    }
    let client = world.oauth.clients.get(&form.client_id);
    let ends = client.and_then(|client| client.link.as_ref()?.ends);
    if ends.is_some_and(|end| end <= now) {
        return unvalidated().verdict(Verdict::Expired);
    }
    let Some(service) = client.and_then(|client| client.service.clone()) else {
        return error(400, "unauthorized_client").verdict(Verdict::Rejected);
    };
    let wanted: Vec<String> = form.scope.split(' ').map(str::to_owned).collect();
    let most = service.scopes.iter().filter_map(|scope| rank(scope)).max();
    let allowed = |scope: &String| {
        let rank = rank(scope);
        rank.is_some_and(|rank| rank <= MOST_OF_SERVICE && Some(rank) <= most)
    };
    if !wanted.iter().all(allowed) {
        return error(400, scope_error(world)).verdict(Verdict::ScopeMissing);
    }
    let source = Source::Client(form.client_id.clone());
    let (_, access) = world.issue_access(source, &service.owner, wanted, &form.client_id, now);
    Reply::json(200, &told(world, &access, now)).verdict(Verdict::Accepted)
}

/// How a refusal for the scope is spelled.
pub(super) fn scope_error(world: &World) -> &'static str {
    if world.oauth.data_center.standard_scope_error {
        "invalid_scope"
    } else {
        "invalid scope"
    }
}

/// The place of a scope among those that there are.
pub(super) fn rank(scope: &str) -> Option<usize> {
    SCOPES.iter().position(|known| *known == scope)
}

fn told(world: &World, access: &str, now: DateTime<Utc>) -> Value {
    let mut body = granted(world, access, now);
    if let Some(fields) = body.as_object_mut() {
        fields.insert("token_type".to_owned(), json!("bearer"));
        fields.insert("created_at".to_owned(), json!(now.timestamp()));
        if world.oauth.data_center.omit_scope {
            fields.remove("scope");
        }
    }
    body
}

fn unvalidated() -> Reply {
    error(401, "invalid_client").verdict(Verdict::Rejected)
}

fn error(status: u16, code: &str) -> Reply {
    let body = json!({ "error": code, "error_description": "The request was not granted." });
    Reply::json(status, &body).verdict(Verdict::Malformed)
}
