//! The list of an organisation's API tokens (Atlassian documentation, API Access).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat, Utc};
use http::Method;
use serde_json::{Value, json};

use crate::calls::{Call, Verdict};
use crate::organization::{Entry, READ_TOKENS, Record};
use crate::reply::Reply;
use crate::request::{Authorization, Incoming};
use crate::service::Context;
use crate::token::TokenKind;
use crate::world::{Account, TokenRecord, World};

use super::answers;

const BEFORE: &str = "/admin/api-access/v1/orgs/";
const BEHIND: &str = "/api-tokens";

/// The organisation that a path asks about, if it asks for a list of API tokens.
pub(super) fn organization(path: &str) -> Option<&str> {
    let id = path.strip_prefix(BEFORE)?.strip_suffix(BEHIND)?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}

/// One page of the list. The bodies of the refusals are not documented; those of the gateway stand
/// in for them.
pub(super) fn answer(
    world: &World,
    id: &str,
    call: &Incoming,
    cx: &Context,
    entry: &mut Call,
) -> Reply {
    if call.method != Method::GET {
        return answers::gateway_unknown_path(&call.path, cx.now);
    }
    let (owner, scopes) = match check(world, call, cx, entry) {
        Ok(key) => key,
        Err(verdict) => return answers::gateway_unauthorized("Unauthorized").verdict(verdict),
    };
    let known = world.organizations.by_id.get(id).filter(|_| owner == id);
    let Some(record) = known else {
        let text = "Organization not found";
        let body = json!({ "code": 404, "message": text });
        return Reply::json(404, &body).verdict(Verdict::NotFound);
    };
    if !scopes.iter().any(|scope| scope == READ_TOKENS) {
        let body = json!({ "code": 403, "message": "Forbidden" });
        return Reply::json(403, &body).verdict(Verdict::ScopeMissing);
    }
    let page = page(world, record, call, id);
    Reply::json(200, &page)
        .with("x-ratelimit-limit", "1000")
        .with("x-ratelimit-remaining", "999")
        .verdict(Verdict::Accepted)
}

/// Whose key it is, and what it may do.
fn check<'a>(
    world: &'a World,
    call: &Incoming,
    cx: &Context,
    entry: &mut Call,
) -> Result<(&'a str, &'a [String]), Verdict> {
    let secret = match &call.authorization {
        Authorization::Bearer { token } => token,
        Authorization::None => return Err(Verdict::Anonymous),
        Authorization::Basic { .. } | Authorization::Signed { .. } | Authorization::Other => {
            return Err(Verdict::Rejected);
        }
    };
    let (owner, key) = world.organizations.key(secret).ok_or(Verdict::Rejected)?;
    entry.token_id = Some(key.id.clone());
    if key.revoked {
        Err(Verdict::Revoked)
    } else if key.expires_at <= cx.now {
        Err(Verdict::Expired)
    } else {
        Ok((owner, &key.scopes))
    }
}

/// The entries in the order in which the tokens were made. A token that was revoked is gone; one
/// that has ended stays (not documented).
fn page(world: &World, record: &Record, call: &Incoming, id: &str) -> Value {
    let query: Vec<(String, String)> = form_urlencoded::parse(call.query.as_bytes())
        .into_owned()
        .collect();
    let asked = |name: &str| {
        let found = query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    };
    let wanted = asked("q").unwrap_or_default().to_lowercase();
    let mut listed: Vec<(&TokenRecord, &Entry, &Account)> = world
        .tokens()
        .filter(|token| matches!(token.kind, TokenKind::Classic | TokenKind::Scoped))
        .filter(|token| !token.revoked && record.managed.contains(&token.owner))
        .filter_map(|token| {
            let entry = world.organizations.entry(&token.id)?;
            Some((token, entry, world.accounts.get(&token.owner)?))
        })
        // The name of the parameter's type says that it is about users.
        .filter(|(_, _, account)| {
            let name = account.display_name.to_lowercase();
            account.email.to_lowercase().contains(&wanted) || name.contains(&wanted)
        })
        .collect();
    listed.sort_by_key(|(_, entry, _)| entry.number);
    let first = asked("cursor").and_then(position).unwrap_or(0);
    let size = record.settings.page_size.max(1);
    let entries: Vec<Value> = listed
        .iter()
        .skip(first)
        .take(size)
        .map(|(token, entry, account)| shown(record, token, entry, account, id))
        .collect();
    let next = (listed.len() > first + size).then(|| link(record, call, &wanted, first + size));
    json!({ "data": entries, "links": { "self": call.path, "next": next, "prev": null } })
}

fn shown(
    record: &Record,
    token: &TokenRecord,
    entry: &Entry,
    account: &Account,
    organization: &str,
) -> Value {
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
    let user = if record.settings.without_ids {
        json!({ "name": account.display_name, "email": account.email })
    } else {
        json!({
            "id": account.id,
            "orgId": organization,
            "name": account.display_name,
            "email": account.email,
        })
    };
    json!({
        "id": &*token.id,
        "label": entry.label,
        "status": if entry.blocked { "BLOCKED" } else { "ALLOWED" },
        "createdAt": time(entry.created_at),
        "expiresAt": token.expires_at.map(time),
        "lastActiveAt": entry.last_active_at.map(time),
        "user": user,
        "scopes": token.scopes,
    })
}

fn link(record: &Record, call: &Incoming, wanted: &str, position: usize) -> String {
    let cursor = URL_SAFE_NO_PAD.encode(position.to_string());
    if record.settings.bare_cursors {
        return cursor;
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    if !wanted.is_empty() {
        query.append_pair("q", wanted);
    }
    let query = query.append_pair("cursor", &cursor).finish();
    let host = record
        .settings
        .next_host
        .as_ref()
        .unwrap_or(&call.authority);
    format!("https://{host}{}?{query}", call.path)
}

fn position(cursor: &str) -> Option<usize> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    String::from_utf8(bytes).ok()?.parse().ok()
}
