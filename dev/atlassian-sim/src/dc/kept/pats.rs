//! Personal access tokens by REST: the resource of the plug-in that Jira has had since 8.14.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::answers::{self, Visit};
use super::{PatAsk, PatRequest};
use crate::calls::Verdict;
use crate::reply::{JSON, Reply};
use crate::request::Incoming;
use crate::service::Context;
use crate::settings::{DataCenterSettings, DateStyle, TooLong};
use crate::token::TokenKind;
use crate::world::{TokenOrder, TokenRecord, World};

/// A personal access token as its owner sees it. Never the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pat {
    /// The id in the list.
    pub id: u64,
    /// The name.
    pub name: String,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was last accepted.
    pub last_used: Option<DateTime<Utc>>,
    /// When it ends; `None`: never.
    pub expires: Option<DateTime<Utc>>,
}

impl Pat {
    /// Its id in the call log and in fault rules, such as `token-7`.
    pub fn token_id(&self) -> String {
        format!("{PREFIX}{}", self.id)
    }
}

const PREFIX: &str = "token-";

/// The id in the list of the token that the log calls so.
pub(crate) fn number(token_id: &str) -> Option<u64> {
    token_id.strip_prefix(PREFIX)?.parse().ok()
}

/// What a request for a new token says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wish {
    name: Option<String>,
    expiration_duration: Option<i64>,
}

/// The tokens of a user that were not revoked, the oldest first. One that has expired is still
/// there, and takes a slot (Jira prunes such tokens some 30 days later; the simulator does not).
pub(crate) fn of_user(world: &World, host: &str, user: &str) -> Vec<Pat> {
    let owner = user.to_lowercase();
    let mut all: Vec<Pat> = world
        .tokens()
        .filter(|token| {
            token.kind == TokenKind::PersonalAccess
                && token.host.as_deref() == Some(host)
                && token.owner == owner
                && !token.revoked
        })
        .filter_map(seen)
        .collect();
    all.sort_by_key(|token| token.id);
    all
}

fn seen(token: &TokenRecord) -> Option<Pat> {
    Some(Pat {
        id: number(&token.id)?,
        name: token.name.clone(),
        created: token.created,
        last_used: token.last_used,
        expires: token.expires_at,
    })
}

/// A request by a user who is logged in; what it is about is noted in `asked`.
pub(super) fn resource(
    world: &mut World,
    call: &Incoming,
    cx: &Context,
    visit: &Visit<'_>,
    user: &str,
    asked: &mut PatRequest,
) -> Reply {
    match asked.ask {
        PatAsk::List => list(world, call, visit, user),
        PatAsk::Mint => mint(world, call, cx, visit, user, asked),
        PatAsk::Revoke => revoke(world, call, user, asked),
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
    let date = |time: DateTime<Utc>| written(time, visit.settings.token_dates);
    json!({
        "id": token.id,
        "name": token.name,
        "createdAt": date(token.created),
        "lastAccessedAt": token.last_used.map(date),
        "expiringAt": token.expires.map(date),
    })
}

fn written(time: DateTime<Utc>, style: DateStyle) -> String {
    match style {
        DateStyle::Compact => time.format("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string(),
        DateStyle::CompactSeconds => time.format("%Y-%m-%dT%H:%M:%S+0000").to_string(),
        DateStyle::Rfc3339 => time.to_rfc3339_opts(SecondsFormat::Secs, false),
        DateStyle::Rfc3339Millis => time.to_rfc3339_opts(SecondsFormat::Millis, false),
        DateStyle::Zulu => time.to_rfc3339_opts(SecondsFormat::Millis, true),
    }
}

fn mint(
    world: &mut World,
    call: &Incoming,
    cx: &Context,
    visit: &Visit<'_>,
    user: &str,
    asked: &mut PatRequest,
) -> Reply {
    let settings = visit.settings;
    if !super::is_json(call) {
        return answers::unsupported_media_type();
    }
    let Ok(wish) = serde_json::from_slice::<Wish>(&call.body) else {
        let text = "The request could not be read.";
        return problem(400, "org.codehaus.jackson.JsonParseException", text);
    };
    asked.name.clone_from(&wish.name);
    if settings.minting_forbidden {
        // That it may be forbidden is reported, the name of the exception is not.
        let text = "You are not allowed to create personal access tokens.";
        return problem(
            403,
            "com.atlassian.sal.api.permission.AuthorisationException",
            text,
        );
    }
    let held = of_user(world, &call.host, user).len();
    let (name, days) = match granted(wish, settings, held) {
        Ok(granted) => granted,
        Err(reply) => return *reply,
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
        record.name = name;
        record.expires_at = end;
        seen(record)
    });
    let Some(made) = made else {
        return answers::not_found(visit.path);
    };
    asked.pat = Some(made.id);
    let mut body = entry(&made, visit);
    if let Some(fields) = body.as_object_mut() {
        fields.insert("rawToken".to_owned(), json!(token.secret()));
    }
    Reply::json(settings.minted_status, &body).verdict(Verdict::Accepted)
}

/// The name and the days of a token that may be made, in the order in which Jira looks (reported;
/// the words are our own).
fn granted(
    wish: Wish,
    settings: &DataCenterSettings,
    held: usize,
) -> Result<(String, Option<i64>), Box<Reply>> {
    let invalid = |text: &str| Box::new(problem(400, "java.lang.IllegalArgumentException", text));
    let name = wish.name.unwrap_or_default();
    if name.trim().is_empty() {
        return Err(invalid("The name of the token is empty."));
    }
    let longest = settings.longest_token_name;
    if name.chars().count() > longest {
        let text = format!("The name of the token is longer than {longest} characters.");
        return Err(invalid(&text));
    }
    let most = settings.longest_token_days;
    let days = match (wish.expiration_duration, settings.too_long) {
        (Some(days), _) if days < 1 => {
            return Err(invalid("A token lives for a day at least."));
        }
        (Some(days), TooLong::Refused) if days > most => {
            let text = format!("A token lives for {most} days at most.");
            return Err(invalid(&text));
        }
        (Some(days), TooLong::Clamped | TooLong::Refused) => Some(days.min(most)),
        (None, _) => None,
    };
    if held >= settings.most_tokens {
        let text = format!(
            "You can't create more than {} tokens.",
            settings.most_tokens
        );
        let exception = "com.atlassian.pats.exception.UserTokenLimitExceededException";
        return Err(Box::new(problem(403, exception, &text)));
    }
    if days.is_none() && !settings.eternal_tokens {
        return Err(invalid("A token without an end is not allowed."));
    }
    Ok((name, days))
}

/// Only the owner's own tokens can be revoked; all others are not there.
fn revoke(world: &mut World, call: &Incoming, user: &str, asked: &mut PatRequest) -> Reply {
    let held = of_user(world, &call.host, user);
    let Some(token) = held.into_iter().find(|token| Some(token.id) == asked.pat) else {
        return Reply::new(404, JSON, "").verdict(Verdict::NotFound);
    };
    if let Some(record) = world.token_mut(&token.token_id()) {
        record.revoked = true;
    }
    asked.name = Some(token.name);
    Reply::new(204, JSON, "").verdict(Verdict::Accepted)
}

/// Errors of this resource have a form of their own (reported).
fn problem(status: u16, exception: &str, error: &str) -> Reply {
    let body = json!({ "exception": exception, "error": error });
    Reply::json(status, &body).verdict(Verdict::Malformed)
}
