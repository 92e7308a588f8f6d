//! The answers of Atlassian Cloud, as recorded or described; the words and data are our own
//! where no client depends on them.

use chrono::{DateTime, SecondsFormat, Utc};
use http::header;
use serde_json::json;

use crate::calls::Verdict;
use crate::reply::Reply;
use crate::settings::UserState;
use crate::world::Site;

use super::login::Identity;
use super::{Door, Visit};

/// What the edge adds to every answer (recorded).
pub(crate) fn edge_headers(reply: Reply, trace: &str) -> Reply {
    let failed = reply.status.is_client_error() || reply.status.is_server_error();
    let cache = if failed {
        "Error from cloudfront"
    } else {
        "Miss from cloudfront"
    };
    reply
        .with("server", "AtlassianEdge")
        .with("x-content-type-options", "nosniff")
        .with("x-xss-protection", "1; mode=block")
        .with("strict-transport-security", "max-age=63072000; preload")
        .with("atl-traceid", trace)
        .with("x-cache", cache)
        .with(
            "via",
            "1.1 0123456789abcdef0123456789abcdef.cloudfront.net (CloudFront)",
        )
}

/// What Jira behind the edge adds (recorded).
fn jira_headers(reply: Reply, trace: &str) -> Reply {
    reply
        .with("x-arequestid", trace)
        .with("x-frame-options", "SAMEORIGIN")
        .with("timing-allow-origin", "*")
        .set(header::CACHE_CONTROL, "no-cache, no-store, no-transform")
        .set(header::VARY, "Accept-Encoding")
}

/// What the gateway adds to an answer of Jira (recorded).
pub(super) fn gateway_headers(reply: Reply) -> Reply {
    reply
        .with("x-ratelimit-limit", "350")
        .with("x-ratelimit-remaining", "349")
}

/// A host without a site: 404, HTML, before any credential is looked at (recorded).
pub(super) fn unknown_site(trace: &str) -> Reply {
    let body = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <title>Atlassian Cloud Notifications - Page Unavailable</title></head>\n\
         <body><h1>Page unavailable</h1><p>Your Atlassian Cloud site is currently unavailable.</p>\
         <p>Request ID: {trace}</p></body>\n</html>\n"
    );
    Reply::new(404, "text/html", body)
        .with("atl-missing-tcs", "true")
        .set(header::VARY, "Accept-Encoding")
        .verdict(Verdict::UnknownSite)
}

pub(super) fn tenant_info(site: &Site) -> Reply {
    Reply::json(200, &json!({ "cloudId": site.settings.cloud_id })).verdict(Verdict::Anonymous)
}

pub(super) fn suspended() -> Reply {
    Reply::json(
        503,
        &json!({ "errorMessage": "Site temporarily unavailable" }),
    )
    .verdict(Verdict::Unavailable)
}

pub(super) fn ip_rejected() -> Reply {
    let text = "The IP address has been rejected because it is not on the allowed list. \
                Please contact your administrator.";
    Reply::json(403, &json!({ "errorMessages": [text], "errors": {} })).verdict(Verdict::IpRejected)
}

pub(super) fn password_refused() -> Reply {
    let text = "Basic auth with password is not allowed on this instance";
    Reply::new(403, "text/plain;charset=UTF-8", text).verdict(Verdict::PasswordRefused)
}

/// An opaque Bearer on the site host is taken for a Connect session (measured by others).
pub(super) fn connect_session(site: &Site) -> Reply {
    let body = json!({ "error": "Failed to parse Connect Session Auth Token" });
    Reply::json(site.settings.bearer_status, &body).verdict(Verdict::WrongHost)
}

/// The site host's 401, one and the same for every reason.
pub(super) fn client_must_be_authenticated(site: &Site) -> Reply {
    const TEXT: &str = "Client must be authenticated to access this resource.";
    let reply = if site.settings.plain_text_401 {
        Reply::new(401, "text/plain;charset=UTF-8", TEXT)
    } else {
        Reply::json(401, &json!({ "message": TEXT, "status-code": 401 }))
    };
    reply.set(header::CACHE_CONTROL, "no-cache, no-store, no-transform")
}

pub(super) fn gateway_unauthorized(message: &str) -> Reply {
    Reply::json(401, &json!({ "code": 401, "message": message }))
}

/// A site that the consent does not cover (medium confidence).
pub(super) fn not_installed() -> Reply {
    let text = "The app is not installed on this instance";
    Reply::json(403, &json!({ "code": 403, "message": text })).verdict(Verdict::NoAccess)
}

/// An unknown cloudId: 404 before any credential is looked at (recorded).
pub(super) fn unknown_cloud_id(path: &str, now: DateTime<Utc>, trace: &str) -> Reply {
    gateway_not_found(path, now)
        .with("x-failure-category", "FAILURE_CLIENT_TCS")
        .with("x-trace-id", trace)
        .with("x-frame-options", "SameOrigin")
        .verdict(Verdict::UnknownCloudId)
}

/// A gateway path outside `/ex/jira/` (recorded).
pub(super) fn gateway_unknown_path(path: &str, now: DateTime<Utc>) -> Reply {
    gateway_not_found(path, now)
        .with("x-frame-options", "DENY")
        .verdict(Verdict::NotFound)
}

fn gateway_not_found(path: &str, now: DateTime<Utc>) -> Reply {
    let body = json!({
        "timestamp": now.to_rfc3339_opts(SecondsFormat::Nanos, true),
        "status": 404,
        "error": "Not Found",
        "message": "No message available",
        "path": path,
    });
    Reply::new(404, "application/json", body.to_string())
}

/// A path that Jira does not know: a problem document (RFC 9457; recorded).
pub(super) fn unknown_path(visit: &Visit<'_>) -> Reply {
    let path = visit.path();
    let body = json!({
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": format!("No endpoint {} {path}.", visit.call.method),
        "instance": path,
    });
    let reply = Reply::new(
        404,
        "application/problem+json;charset=UTF-8",
        body.to_string(),
    );
    jira_headers(reply, visit.trace).verdict(Verdict::NotFound)
}

pub(super) fn method_not_allowed(visit: &Visit<'_>) -> Reply {
    let reply = Reply::json(
        405,
        &json!({ "errorMessages": ["Method Not Allowed"], "errors": {} }),
    );
    jira_headers(reply.set(header::ALLOW, "GET, HEAD"), visit.trace).verdict(Verdict::NotFound)
}

/// The old search was removed in 2025 (recorded).
pub(super) fn search_removed() -> Reply {
    let text = "The requested API has been removed. Please migrate to the \
                /rest/api/3/search/jql API.";
    Reply::json(410, &json!({ "errorMessages": [text], "errors": {} }))
        .set(header::CACHE_CONTROL, "no-cache, no-store, no-transform")
        .verdict(Verdict::Removed)
}

pub(super) fn empty_list(resource: &str) -> Reply {
    let body = match resource {
        "search/jql" => json!({ "issues": [], "isLast": true }),
        "project/search" => {
            json!({ "values": [], "startAt": 0, "maxResults": 50, "total": 0, "isLast": true })
        }
        _ => json!([]),
    };
    Reply::json(200, &body)
}

pub(super) fn server_info(visit: &Visit<'_>, now: DateTime<Utc>) -> Reply {
    let base = match visit.door {
        Door::Site => visit.base.to_owned(),
        Door::Gateway => visit
            .site
            .settings
            .base_url
            .clone()
            .unwrap_or_else(|| visit.base.to_owned()),
    };
    let body = json!({
        "baseUrl": base,
        "displayUrl": base,
        "displayUrlServicedeskHelpCenter": base,
        "displayUrlConfluence": base,
        "version": "1001.0.0-SNAPSHOT",
        "versionNumbers": [1001, 0, 0],
        "deploymentType": "Cloud",
        "buildNumber": 100_300,
        "buildDate": "2026-10-01T03:15:00.000-0500",
        "serverTime": now.format("%Y-%m-%dT%H:%M:%S%.3f%z").to_string(),
        "scmInfo": "0123456789abcdef0123456789abcdef01234567",
        "serverTitle": "Jira",
        "defaultLocale": { "locale": "en_US" },
        "serverTimeZone": "Etc/UTC",
    });
    jira_headers(Reply::json(200, &body), visit.trace)
}

/// `/myself`, the one honest probe (recorded; no `name` and no `key` on Cloud).
pub(super) fn myself(visit: &Visit<'_>, identity: &Identity<'_>) -> Reply {
    let account = identity.account;
    let id = &account.id;
    let version = if visit.path().starts_with("/rest/api/2/") {
        "2"
    } else {
        "3"
    };
    let avatar = format!("{}/avatar/{id}", visit.base);
    let body = json!({
        "self": format!("{}/rest/api/{version}/user?accountId={id}", visit.base),
        "accountId": id,
        "accountType": if account.service { "app" } else { "atlassian" },
        "emailAddress": account.email,
        "avatarUrls": { "48x48": avatar, "24x24": avatar, "16x16": avatar, "32x32": avatar },
        "displayName": account.display_name,
        "active": account.state == UserState::Active,
        "timeZone": "Etc/UTC",
        "locale": "en_US",
        "groups": { "size": 2, "items": [] },
        "applicationRoles": { "size": 1, "items": [] },
        "expand": "groups,applicationRoles",
    });
    jira_headers(Reply::json(200, &body), visit.trace)
        .with("x-aaccountid", &id.replace(':', "%3A"))
        .with("x-seraph-loginreason", "OK")
        .append(
            header::SET_COOKIE,
            &format!(
                "atlassian.xsrf.token={}_lin; Path=/; SameSite=None; Secure",
                visit.trace
            ),
        )
        .verdict(Verdict::Accepted)
}
