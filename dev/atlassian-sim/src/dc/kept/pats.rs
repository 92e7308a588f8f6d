//! Personal access tokens by REST: the resource of the plug-in that Jira has had since 8.14.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::answers::{self, Visit};
use crate::calls::Verdict;
use crate::reply::Reply;
use crate::request::Incoming;
use crate::service::Context;
use crate::settings::{DateStyle, TooLong};
use crate::token::TokenKind;
use crate::world::{TokenOrder, TokenRecord, World};

/// A personal access token as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pat {
    /// The id in the list.
    pub id: u64,
    /// The name.
    pub name: String,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it ends; `None`: never.
    pub expires: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wish {
    name: String,
    #[serde(default)]
    expiration_duration: Option<i64>,
}

/// The tokens of a user that were not revoked, the oldest first.
pub(crate) fn of_user(world: &World, host: &str, user: &str) -> Vec<Pat> {
    let mut all: Vec<Pat> = world
        .tokens()
        .filter(|token| {
            token.kind == TokenKind::PersonalAccess
                && token.host.as_deref() == Some(host)
                && token.owner == user.to_lowercase()
                && !token.revoked
        })
        .filter_map(seen)
        .collect();
    all.sort_by_key(|token| token.id);
    all
}

fn seen(token: &TokenRecord) -> Option<Pat> {
    Some(Pat {
        id: token.id.strip_prefix("token-")?.parse().ok()?,
        name: token.name.clone(),
        created: token.created,
        expires: token.expires_at,
    })
}

pub(super) fn resource(
    world: &mut World,
    call: &Incoming,
    cx: &Context,
    visit: &Visit<'_>,
    (user, rest): (&str, &str),
) -> Reply {
    match (&call.method, rest) {
        (&Method::GET, "") => list(world, call, visit, user),
        (&Method::POST, "") => make(world, call, cx, visit, user),
        (&Method::DELETE, _) => revoke(world, call, visit, (user, rest)),
        _ => answers::method_not_allowed(),
    }
}

fn list(world: &World, call: &Incoming, visit: &Visit<'_>, user: &str) -> Reply {
    let hidden = &visit.settings.hidden_tokens;
    let tokens = of_user(world, &call.host, user);
    let shown: Vec<Value> = tokens
        .iter()
        .filter(|token| !hidden.contains(&token.id))
        .map(|token| entry(token, visit))
        .collect();
    Reply::json(200, &json!(shown)).verdict(Verdict::Accepted)
}

fn entry(token: &Pat, visit: &Visit<'_>) -> Value {
    let date = |time: DateTime<Utc>| match visit.settings.token_dates {
        DateStyle::Compact => time.format("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string(),
        DateStyle::Rfc3339 => time.to_rfc3339_opts(SecondsFormat::Secs, false),
    };
    json!({
        "id": token.id,
        "name": token.name,
        "createdAt": date(token.created),
        "lastAccessedAt": Value::Null,
        "expiringAt": token.expires.map(date),
    })
}

fn make(world: &mut World, call: &Incoming, cx: &Context, visit: &Visit<'_>, user: &str) -> Reply {
    let settings = visit.settings;
    let Ok(wish) = serde_json::from_slice::<Wish>(&call.body) else {
        return problem(400, "BadRequestException", "The request could not be read.");
    };
    if settings.minting_forbidden {
        return problem(
            403,
            "NotAuthorizedException",
            "You are not allowed to create personal access tokens.",
        );
    }
    let held = of_user(world, &call.host, user).len();
    if held >= settings.most_tokens {
        return problem(
            403,
            "UserTokenLimitExceededException",
            "The limit of personal access tokens of this user is reached.",
        );
    }
    let days = match (wish.expiration_duration, settings.too_long) {
        (None, _) if settings.eternal_tokens => None,
        (Some(days), _) if (1..=settings.longest_token_days).contains(&days) => Some(days),
        (Some(days), TooLong::Clamped) if days > 0 => Some(settings.longest_token_days),
        (Some(_) | None, _) => {
            return problem(
                400,
                "InvalidExpirationException",
                "The expiration duration is not within the days that are allowed.",
            );
        }
    };
    let order = TokenOrder {
        kind: TokenKind::PersonalAccess,
        owner: user,
        host: Some(&call.host),
        scopes: &[],
        secret: None,
    };
    let token = world.issue(&order, cx.now);
    let end = days.and_then(|days| {
        let life = settings.token_day_seconds.checked_mul(days)?;
        cx.now.checked_add_signed(TimeDelta::try_seconds(life)?)
    });
    let id: Arc<str> = token.id().into();
    let made = world.token_mut(&id).and_then(|record| {
        record.name = wish.name;
        record.expires_at = end;
        seen(record)
    });
    let Some(made) = made else {
        return answers::not_found(visit.path);
    };
    let mut body = entry(&made, visit);
    if let Some(fields) = body.as_object_mut() {
        fields.insert("rawToken".to_owned(), json!(token.secret()));
    }
    Reply::json(201, &body).verdict(Verdict::Accepted)
}

fn revoke(
    world: &mut World,
    call: &Incoming,
    visit: &Visit<'_>,
    (user, rest): (&str, &str),
) -> Reply {
    let id: Option<u64> = rest.strip_prefix('/').and_then(|id| id.parse().ok());
    let held = of_user(world, &call.host, user);
    let Some(id) = id.filter(|id| held.iter().any(|token| token.id == *id)) else {
        return answers::not_found(visit.path);
    };
    if let Some(record) = world.token_mut(&format!("token-{id}")) {
        record.revoked = true;
    }
    Reply::new(204, crate::reply::JSON, "").verdict(Verdict::Accepted)
}

/// Errors of this resource have a form of their own (reported).
fn problem(status: u16, exception: &str, error: &str) -> Reply {
    let body = json!({
        "exception": format!("com.atlassian.pats.exception.{exception}"),
        "error": error,
    });
    Reply::json(status, &body).verdict(Verdict::Malformed)
}
