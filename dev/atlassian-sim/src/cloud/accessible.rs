//! `accessible-resources`: the sites that an access token opens.

use http::{Method, header};
use serde_json::{Value, json};

use crate::calls::{Call, Verdict};
use crate::reply::Reply;
use crate::request::{Authorization, Incoming};
use crate::service::Context;
use crate::settings::{SiteState, UserState};
use crate::token::TokenKind;
use crate::world::{TokenRecord, World};

use super::answers;

pub(super) const PATH: &str = "/oauth/token/accessible-resources";

/// The list (recorded), or a 401 for a caller without a living access token. A service account's
/// API token is refused as well, though it is good elsewhere on the gateway.
pub(super) fn answer(world: &World, call: &Incoming, cx: &Context, entry: &mut Call) -> Reply {
    if !matches!(call.method, Method::GET | Method::HEAD) {
        return answers::gateway_unknown_path(&call.path, cx.now);
    }
    match check(world, call, cx, entry) {
        Ok(token) => {
            let list = entries(world, token, cx).to_string();
            Reply::new(200, "application/json; charset=utf-8", list)
                .set(header::X_FRAME_OPTIONS, "SAMEORIGIN")
                .verdict(Verdict::Accepted)
        }
        Err(verdict) => answers::gateway_unauthorized("Unauthorized").verdict(verdict),
    }
}

fn check<'a>(
    world: &'a World,
    call: &Incoming,
    cx: &Context,
    entry: &mut Call,
) -> Result<&'a TokenRecord, Verdict> {
    let secret = match &call.authorization {
        Authorization::Bearer { token } => token,
        Authorization::None => return Err(Verdict::Anonymous),
        Authorization::Basic { .. } | Authorization::Signed { .. } | Authorization::Other => {
            return Err(Verdict::Rejected);
        }
    };
    let token = world.token_by_secret(secret).ok_or(Verdict::Rejected)?;
    entry.token_id = Some(token.id.to_string());
    if token.kind != TokenKind::Access {
        return Err(Verdict::WrongHost);
    }
    if let Some(verdict) = world.token_over(token, cx.now) {
        return Err(verdict);
    }
    match world.accounts.get(&token.owner) {
        Some(account) if account.state == UserState::Deactivated => Err(Verdict::Deactivated),
        Some(_) => Ok(token),
        None => Err(Verdict::Rejected),
    }
}

/// One entry per site and product, in the order of the consent. A site that is gone, or that the
/// account has lost its access to, is left out.
fn entries(world: &World, token: &TokenRecord, cx: &Context) -> Value {
    let resources = token
        .source
        .as_ref()
        .map_or(&[][..], |source| world.oauth.resources(source));
    let listed = resources.iter().filter_map(|entry| {
        let site = world.site(&entry.host)?;
        let there = site.settings.state != SiteState::Deleted;
        if !there || !site.members.contains(&token.owner) {
            return None;
        }
        let url = cx.base_url(site.settings.base_url.as_deref(), &entry.host);
        Some(json!({
            "id": site.settings.cloud_id,
            "url": url,
            "name": entry.host.split('.').next().unwrap_or(&entry.host),
            "scopes": entry.scopes,
            "avatarUrl": format!("{url}/site-avatar/240.png"),
        }))
    });
    listed.collect()
}
