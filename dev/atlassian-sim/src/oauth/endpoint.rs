//! The answers of the token endpoint. The headers are as recorded; the errors are those that
//! clients branch on.

use chrono::{DateTime, Utc};
use http::{Method, header};
use serde_json::{Value, json};

use crate::calls::Verdict;
use crate::cloud::edge_headers;
use crate::reply::Reply;
use crate::request::Incoming;
use crate::service::Context;
use crate::world::World;

use super::authorize;
use super::exchange::Exchange;
use super::families::Source;
use super::form::Form;
use super::ledger::{Spend, SpendOutcome, Ticket};

/// Who a token request is about: the owner, and the id of the refresh token presented.
pub(crate) fn caller(world: &World, call: &Incoming) -> (Option<String>, Option<String>) {
    let Some(form) = Form::parse(&call.content_type, &call.body) else {
        return (None, None);
    };
    if form.grant_type == "client_credentials" {
        let client = world.oauth.clients.get(&form.client_id);
        let service = client.and_then(|client| client.service.as_ref());
        return (service.map(|service| service.owner.clone()), None);
    }
    if let Some(code) = world.oauth.codes.get(form.code.as_str()) {
        return (Some(code.order.owner.clone()), None);
    }
    let Some(token) = world.oauth.token(&form.refresh_token) else {
        return (None, None);
    };
    let family = world.oauth.family(token.family);
    let owner = family.map(|family| family.order.owner.clone());
    (owner, Some(token.id.clone()))
}

/// A request to an auth host.
pub(crate) fn handle(world: &mut World, call: &Incoming, cx: &Context) -> Reply {
    let trace = world.rng.hex32();
    let reply = match (call.path.as_str(), &call.method) {
        (authorize::PATH, _) if !call.query.is_empty() => authorize::answer(world, call, cx.now),
        ("/oauth/token", &Method::POST) => token(world, call, cx.now),
        ("/oauth/token", _) => {
            error(405, "invalid_request", "Only POST is answered here.").set(header::ALLOW, "POST")
        }
        _ => error(404, "not_found", "There is nothing at this path.").verdict(Verdict::NotFound),
    };
    let reply = reply
        .set(
            header::VARY,
            "Origin,Access-Control-Request-Method,Access-Control-Request-Headers",
        )
        .set(
            header::CACHE_CONTROL,
            "no-cache, no-store, max-age=0, must-revalidate",
        )
        .set(header::PRAGMA, "no-cache")
        .set(header::EXPIRES, "0")
        .with("x-frame-options", "DENY");
    edge_headers(reply, &trace)
}

fn token(world: &mut World, call: &Incoming, now: DateTime<Utc>) -> Reply {
    let Some(form) = Form::parse(&call.content_type, &call.body) else {
        return malformed(world, call, now, "The request parameters are incorrect");
    };
    if form.client_id.is_empty() && !form.grant_type.is_empty() {
        return malformed(world, call, now, "client_id is missing");
    }
    match form.grant_type.as_str() {
        "refresh_token" => refresh(world, call, &form, now),
        "client_credentials" => client_credentials(world, &form, now),
        "authorization_code" if form.code.is_empty() => {
            malformed(world, call, now, "code is missing")
        }
        "authorization_code" => redeem(world, &form, now),
        _ => malformed(
            world,
            call,
            now,
            "grant_type must be authorization_code, refresh_token or client_credentials",
        ),
    }
}

/// The grant `authorization_code`. Every refusal of the code has the same words, as that of a
/// refresh token has.
fn redeem(world: &mut World, form: &Form, now: DateTime<Utc>) -> Reply {
    if !world
        .oauth
        .validates(None, &form.client_id, &form.client_secret)
    {
        return unauthorized();
    }
    match world.redeem(form, now) {
        Ok((access, refresh)) => {
            let mut body = granted(world, &access, now);
            add_refresh(&mut body, refresh.as_deref());
            answer(200, &body).verdict(Verdict::Accepted)
        }
        Err(verdict) => error(403, "invalid_grant", "Invalid authorization code").verdict(verdict),
    }
}

/// Adds the refresh token to an answer, if there is one.
pub(super) fn add_refresh(body: &mut Value, refresh: Option<&str>) {
    if let (Some(fields), Some(refresh)) = (body.as_object_mut(), refresh) {
        fields.insert("refresh_token".to_owned(), json!(refresh));
    }
}

fn refresh(world: &mut World, call: &Incoming, form: &Form, now: DateTime<Utc>) -> Reply {
    let value = form.refresh_token.as_str();
    if value.is_empty() {
        return malformed(world, call, now, "refresh_token is missing");
    }
    let client = form.client_id.as_str();
    if !world.oauth.validates(None, client, &form.client_secret) {
        let ticket = spend(world, call, value, SpendOutcome::ClientRejected, now);
        return unauthorized().ticket(ticket);
    }
    match world.exchange(value, client, now) {
        Exchange::Granted {
            access,
            refresh,
            outcome,
        } => {
            let ticket = spend(world, call, value, outcome, now);
            let mut body = granted(world, &access, now);
            add_refresh(&mut body, refresh.as_deref());
            answer(200, &body).verdict(Verdict::Accepted).ticket(ticket)
        }
        Exchange::Refused { outcome, verdict } => {
            let reply = match outcome {
                SpendOutcome::ClientRejected => {
                    error(403, "unauthorized_client", "refresh_token is invalid")
                }
                _ => error(403, "invalid_grant", "Unknown or invalid refresh token."),
            };
            let ticket = spend(world, call, value, outcome, now);
            reply.verdict(verdict).ticket(ticket)
        }
    }
}

/// A service account's grant. It spends nothing, and what was granted before lives on.
fn client_credentials(world: &mut World, form: &Form, now: DateTime<Utc>) -> Reply {
    if !world
        .oauth
        .validates(None, &form.client_id, &form.client_secret)
    {
        return error(
            400,
            "invalid_client",
            "The client is unknown or its secret is wrong.",
        )
        .verdict(Verdict::Rejected);
    }
    let client = world.oauth.clients.get(&form.client_id);
    let Some(service) = client.and_then(|client| client.service.clone()) else {
        return error(
            403,
            "unauthorized_client",
            "This client may not use client_credentials.",
        )
        .verdict(Verdict::Rejected);
    };
    let source = Source::Client(form.client_id.clone());
    let (_, access) =
        world.issue_access(source, &service.owner, service.scopes, &form.client_id, now);
    answer(200, &granted(world, &access, now)).verdict(Verdict::Accepted)
}

/// The answer about an access token; one given once more lives no longer for it.
pub(super) fn granted(world: &World, access: &str, now: DateTime<Utc>) -> Value {
    let record = world.token_by_secret(access);
    let life = record
        .and_then(|token| token.expires_at)
        .map_or(world.oauth.settings.access_life, |end| end - now);
    let scope = record.map(|token| token.scopes.join(" "));
    json!({
        "access_token": access,
        "expires_in": life.num_seconds().max(0),
        "token_type": "Bearer",
        "scope": scope.unwrap_or_default(),
    })
}

/// Writes a spend down.
pub(super) fn spend(
    world: &mut World,
    call: &Incoming,
    value: &str,
    outcome: SpendOutcome,
    now: DateTime<Utc>,
) -> Ticket {
    let (family, token) = match world.oauth.token(value) {
        Some(token) => (Some(token.family), token.id.clone()),
        None if value.is_empty() => (None, "none".to_owned()),
        None => (None, "unknown".to_owned()),
    };
    world.oauth.ledger.push(Spend {
        number: 0,
        family,
        token,
        at: now,
        attempt: call.request_id.clone(),
        outcome,
        answered: false,
    })
}

/// A request that is not understood; whatever token it carried took no harm.
fn malformed(world: &mut World, call: &Incoming, now: DateTime<Utc>, text: &str) -> Reply {
    let form = Form::parse(&call.content_type, &call.body).unwrap_or_default();
    let ticket = spend(
        world,
        call,
        &form.refresh_token,
        SpendOutcome::NotGranted,
        now,
    );
    error(400, "invalid_request", text).ticket(ticket)
}

fn unauthorized() -> Reply {
    error(401, "access_denied", "Unauthorized").verdict(Verdict::Rejected)
}

fn error(status: u16, code: &str, description: &str) -> Reply {
    answer(
        status,
        &json!({ "error": code, "error_description": description }),
    )
    .verdict(Verdict::Malformed)
}

fn answer(status: u16, body: &Value) -> Reply {
    Reply::new(status, "application/json", body.to_string())
}
