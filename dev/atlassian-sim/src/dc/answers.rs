//! The answers of Jira Data Center, as recorded on 8.5.3, 10.4.0 and 11.3.5 or described; the
//! words and data are our own where no client depends on them.

use chrono::{DateTime, Timelike as _, Utc};
use http::header;
use serde_json::json;

use crate::calls::Verdict;
use crate::links::Problem;
use crate::reply::Reply;
use crate::settings::{DataCenterSettings, UserState};
use crate::world::DcUser;

/// A request below the context path.
pub(super) struct Visit<'a> {
    pub(super) settings: &'a DataCenterSettings,
    pub(super) path: &'a str,
    pub(super) base: &'a str,
    pub(super) session: &'a str,
    pub(super) number: u64,
}

impl Visit<'_> {
    /// The value of the cookie `JSESSIONID` that the answer sets.
    pub(super) fn cookie(&self) -> String {
        self.session.to_ascii_uppercase()
    }
}

/// What Jira adds to every answer (recorded on 8.5.3).
pub(super) fn finish(
    reply: Reply,
    visit: &Visit<'_>,
    user: Option<&str>,
    keeps_session: bool,
    now: DateTime<Utc>,
) -> Reply {
    let minute = now.hour() * 60 + now.minute();
    let reply = reply
        .with("x-arequestid", &format!("{minute}x{}x1", visit.number))
        .with("x-anodeid", "node1")
        .with("x-xss-protection", "1; mode=block")
        .with("x-content-type-options", "nosniff")
        .with("x-frame-options", "SAMEORIGIN")
        .with("content-security-policy", "frame-ancestors 'self'")
        .with("x-ausername", user.unwrap_or("anonymous"))
        .set(header::CACHE_CONTROL, "no-cache, no-store, no-transform");
    let reply = if keeps_session {
        reply
    } else {
        cookies(reply, visit, user.is_some())
    };
    let reply = match user {
        Some(_) => reply.with("x-asessionid", visit.session.get(..7).unwrap_or_default()),
        None => reply,
    };
    if visit.settings.rate_limit_headers {
        return reply
            .with("x-ratelimit-limit", "50")
            .with("x-ratelimit-remaining", "49")
            .with("x-ratelimit-fillrate", "10")
            .with("x-ratelimit-interval-seconds", "60")
            .set(header::RETRY_AFTER, "0");
    }
    reply
}

/// The cookies of a new session, of nobody's or of who has just logged in.
fn cookies(reply: Reply, visit: &Visit<'_>, logged_in: bool) -> Reply {
    let root = if visit.settings.context_path.is_empty() {
        "/"
    } else {
        &visit.settings.context_path
    };
    let login = if logged_in { "lin" } else { "lout" };
    reply
        .append(
            header::SET_COOKIE,
            &format!(
                "JSESSIONID={}; Path={root}; Secure; HttpOnly",
                visit.cookie()
            ),
        )
        .append(
            header::SET_COOKIE,
            &format!(
                "atlassian.xsrf.token=SIMU-LATE-DXSR-FTOK_{}_{login}; Path={root}; Secure",
                visit.session
            ),
        )
}

/// No instance of that name: what a reverse proxy in front of nothing says.
pub(super) fn no_backend() -> Reply {
    Reply::html(502, "502 Bad Gateway", "nginx").verdict(Verdict::UnknownSite)
}

pub(super) fn not_found(path: &str) -> Reply {
    let text = format!("null for uri: {path}");
    if path.starts_with("/rest/") {
        return Reply::json(404, &json!({ "message": text, "status-code": 404 }))
            .verdict(Verdict::NotFound);
    }
    Reply::html(404, "HTTP Status 404", "The page does not exist.").verdict(Verdict::NotFound)
}

/// Outside the context path another application answers: Tomcat's own page, or a proxy that knows
/// where Jira is.
pub(super) fn outside(path: &str, settings: &DataCenterSettings) -> Reply {
    if settings.redirect_to_context {
        let location = format!("{}{path}", settings.context_path);
        return Reply::redirect(302, &location).verdict(Verdict::NotFound);
    }
    Reply::html(404, "HTTP Status 404", "The page does not exist.").verdict(Verdict::NotFound)
}

pub(super) fn method_not_allowed() -> Reply {
    method_not_allowed_but("GET, HEAD, OPTIONS")
}

/// The body is not of a kind that the resource reads.
pub(super) fn unsupported_media_type() -> Reply {
    let body = json!({ "message": "HTTP 415 Unsupported Media Type", "status-code": 415 });
    Reply::json(415, &body).verdict(Verdict::Malformed)
}

pub(super) fn method_not_allowed_but(allowed: &str) -> Reply {
    Reply::json(
        405,
        &json!({ "message": "HTTP 405 Method Not Allowed", "status-code": 405 }),
    )
    .set(header::ALLOW, allowed)
    .verdict(Verdict::NotFound)
}

pub(super) fn status(visit: &Visit<'_>) -> Reply {
    Reply::json(200, &json!({ "state": visit.settings.status })).verdict(Verdict::Anonymous)
}

/// A login page: 200 with HTML, which validates nothing about a credential.
pub(super) fn login_page(status: u16) -> Reply {
    Reply::html(
        status,
        "Log in - Simulated Jira",
        "<form action=\"login.jsp\" method=\"post\"></form>",
    )
    .verdict(Verdict::Anonymous)
}

/// Jira 11's answer to any Basic header, without the headers of a failed login (recorded).
pub(super) fn basic_disabled() -> Reply {
    let body = json!({ "message": "Basic Authentication has been disabled on this instance." });
    Reply::json(403, &body).verdict(Verdict::BasicDisabled)
}

/// A rejected password: 401 with an HTML page.
pub(super) fn unauthorized_page() -> Reply {
    Reply::html(
        401,
        "Unauthorized (401)",
        "Encountered a \"401 - Unauthorized\" error.",
    )
    .set(
        header::WWW_AUTHENTICATE,
        "OAuth realm=\"https%3A%2F%2Fjira\"",
    )
}

/// A rejected token: Jira names OAuth in the challenge and says no more.
pub(super) fn client_must_be_authenticated(visit: &Visit<'_>) -> Reply {
    let realm = visit.base.replace(':', "%3A").replace('/', "%2F");
    let text = "Client must be authenticated to access this resource.";
    Reply::json(401, &json!({ "message": text, "status-code": 401 })).set(
        header::WWW_AUTHENTICATE,
        &format!("OAuth realm=\"{realm}\""),
    )
}

/// What is wrong with a signed request: as a form, and once more in the challenge.
pub(super) fn oauth_problem(visit: &Visit<'_>, problem: &Problem) -> Reply {
    let mut pairs = vec![("oauth_problem", problem.word)];
    let beside = problem.beside.as_ref();
    pairs.extend(beside.map(|(name, value)| (*name, value.as_str())));
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&pairs)
        .finish();
    let escaped = |text: &str| {
        text.replace('%', "%25")
            .replace('&', "%26")
            .replace('=', "%3D")
    };
    let said: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    let realm = visit.base.replace(':', "%3A").replace('/', "%2F");
    Reply::new(problem.status(), "application/x-www-form-urlencoded", form)
        .set(
            header::WWW_AUTHENTICATE,
            &format!("OAuth realm=\"{realm}\", {}", said.join(", ")),
        )
        .verdict(problem.verdict)
}

pub(super) fn not_logged_in() -> Reply {
    let text = "You are not authenticated. Authentication required to perform this operation.";
    Reply::json(401, &json!({ "errorMessages": [text], "errors": {} }))
}

/// A login that is denied until a person solves a CAPTCHA in the browser.
pub(super) fn captcha(visit: &Visit<'_>) -> Reply {
    let says = if visit.settings.captcha_says_failed {
        "AUTHENTICATED_FAILED"
    } else {
        "AUTHENTICATION_DENIED"
    };
    let login_url = format!("{}/login.jsp", visit.base);
    let text = "Basic Authentication Failure - Reason : AUTHENTICATION_DENIED";
    Reply::html(visit.settings.captcha_status, "Forbidden", text)
        .with("x-seraph-loginreason", says)
        .with(
            "x-authentication-denied-reason",
            &format!("CAPTCHA_CHALLENGE; login-url={login_url}"),
        )
        .verdict(Verdict::Captcha)
}

/// The redirect to the login page.
pub(super) fn to_login(visit: &Visit<'_>) -> Reply {
    let destination = visit.path.replace('/', "%2F");
    let location = format!(
        "{}/login.jsp?permissionViolation=true&os_destination={destination}",
        visit.base
    );
    Reply::redirect(302, &location)
}

pub(super) fn no_projects() -> Reply {
    Reply::json(200, &json!([]))
}

pub(super) fn no_issues() -> Reply {
    let body = json!({ "startAt": 0, "maxResults": 50, "total": 0, "issues": [] });
    Reply::json(200, &body)
}

/// `serverInfo`; a recorded Data Center 10.4 says `deploymentType` "Server".
pub(super) fn server_info(visit: &Visit<'_>, now: DateTime<Utc>) -> Reply {
    let numbers = visit.settings.version_numbers();
    let [major, minor, patch] = numbers;
    // Three digits per part until Jira 9 (805003 is 8.5.3), more since (10040001 is 10.4.0).
    let build = if major < 10 {
        major * 100_000 + minor * 1_000 + patch
    } else {
        major * 1_000_000 + minor * 10_000 + patch + 1
    };
    let body = json!({
        "baseUrl": visit.base,
        "version": visit.settings.version,
        "versionNumbers": numbers,
        "deploymentType": "Server",
        "buildNumber": build,
        "buildDate": "2025-06-02T00:00:00.000+0000",
        "databaseBuildNumber": build,
        "serverTime": now.format("%Y-%m-%dT%H:%M:%S%.3f%z").to_string(),
        "scmInfo": "89abcdef0123456789abcdef0123456789abcdef",
        "serverTitle": visit.settings.title,
    });
    Reply::json(200, &body)
}

/// `/myself`: `key` and `name`, no `accountId` (recorded on 10.4.0).
pub(super) fn myself(visit: &Visit<'_>, user: &DcUser) -> Reply {
    let avatar = format!("{}/secure/useravatar?avatarId=10122", visit.base);
    let body = json!({
        "self": format!("{}/rest/api/2/user?username={}", visit.base, user.name),
        "key": user.key,
        "name": user.name,
        "emailAddress": user.email,
        "avatarUrls": { "48x48": avatar, "24x24": avatar, "16x16": avatar, "32x32": avatar },
        "displayName": user.display_name,
        "active": user.state == UserState::Active,
        "deleted": false,
        "timeZone": "Etc/UTC",
        "locale": "en_US",
        "groups": { "size": 2, "items": [] },
        "applicationRoles": { "size": 1, "items": [] },
        "expand": "groups,applicationRoles",
    });
    Reply::json(200, &body)
}
