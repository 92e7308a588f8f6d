//! What an answer of `/myself` means. Pure.
//!
//! `/myself` is the one call that has no anonymous form: 200 with a user validates the credential
//! (Atlassian documentation). Everything else is read with one question in mind: did Jira look at
//! the credential and say no, or did a proxy in between answer?

mod oauth_problem;

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderMap, header};
use serde::Deserialize;

use crate::api::{Account, Hosting};
use crate::core::probe::{Outage, Refusal, Verdict};

/// The longest wait that a server can impose. A token of OAuth 2.0 is renewed this long before its
/// end.
const LONGEST_WAIT: Duration = Duration::from_secs(900);

/// An answer of `/myself`.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// How the site is hosted.
    pub hosting: Hosting,
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// The beginning of the body.
    pub body: &'a [u8],
    /// Whether that is all of the body.
    pub complete: bool,
    /// When the answer came.
    pub now: DateTime<Utc>,
}

/// The parts of a user that are read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    account_id: Option<String>,
    account_type: Option<String>,
    key: Option<String>,
    active: Option<bool>,
    deleted: Option<bool>,
}

/// Reads an answer of `/myself`.
pub fn read(answer: &Answer<'_>) -> Verdict {
    // Most problems of a signed request come with 401, some with 400 (the mapping of the Java
    // library for OAuth 1.0).
    if matches!(answer.status, 400 | 401 | 403)
        && let Some(verdict) = oauth_problem::read(challenge_texts(answer.headers), answer.body)
    {
        return verdict;
    }
    if let Some(refusal) = other_hosting(answer) {
        return Verdict::Refused(refusal);
    }
    match answer.status {
        200 => ok(answer),
        300..=399 => Verdict::NoVerdict(Outage::Redirect),
        401 => unauthorized(answer),
        403 => forbidden(answer),
        // No site of that name, or no Jira on it; answered before a credential is checked
        // (recorded on Cloud).
        404 => Verdict::NoVerdict(Outage::NotFound),
        429 => Verdict::NoVerdict(Outage::RateLimited {
            retry_after: retry_after(answer),
        }),
        503 if answer.headers.contains_key(header::RETRY_AFTER) => {
            Verdict::NoVerdict(Outage::Unavailable {
                retry_after: retry_after(answer),
            })
        }
        status @ 500..=599 => Verdict::NoVerdict(Outage::ServerError(status)),
        status => Verdict::NoVerdict(Outage::Unexpected(status)),
    }
}

/// The answer of a Data Center where Cloud is expected, or the other way round. Where no answer
/// says anything about Jira (429, 5xx), it says nothing about its hosting either.
fn other_hosting(answer: &Answer<'_>) -> Option<Refusal> {
    let speaks = matches!(answer.status, 200 | 300..=399 | 401 | 403 | 404);
    if !speaks {
        return None;
    }
    let is_cloud = is_from_cloud(answer.headers);
    match answer.hosting {
        Hosting::Cloud if is_cloud => None,
        Hosting::Cloud => (is_from_data_center(answer.headers) || has_other_id(answer))
            .then_some(Refusal::IsDataCenter),
        // No site of this name, on whatever host (recorded).
        Hosting::DataCenter if answer.headers.contains_key("atl-missing-tcs") => None,
        Hosting::DataCenter => (is_cloud || has_other_id(answer)).then_some(Refusal::IsCloud),
    }
}

/// A user that is identified as the other hosting does it.
fn has_other_id(answer: &Answer<'_>) -> bool {
    if answer.status != 200 || !answer.complete || !is_json(answer.headers) {
        return false;
    }
    let Ok(user) = serde_json::from_slice::<User>(answer.body) else {
        return false;
    };
    let plausible = |id: &Option<String>| id.as_deref().is_some_and(is_account_id);
    match answer.hosting {
        Hosting::Cloud => user.account_id.is_none() && plausible(&user.key),
        Hosting::DataCenter => user.key.is_none() && plausible(&user.account_id),
    }
}

/// Headers of the nodes of Data Center (recorded on 8.5); Cloud has none of them.
fn is_from_data_center(headers: &HeaderMap) -> bool {
    ["x-anodeid", "x-ausername", "x-asessionid"]
        .iter()
        .any(|name| headers.contains_key(*name))
}

/// Headers of Atlassian's edge, and of Jira behind it (recorded).
fn is_from_cloud(headers: &HeaderMap) -> bool {
    all(headers, "server").contains("AtlassianEdge")
        || ["x-aaccountid", "atl-traceid", "atl-request-id"]
            .iter()
            .any(|name| headers.contains_key(*name))
}

fn ok(answer: &Answer<'_>) -> Verdict {
    if !is_json(answer.headers) {
        // The login page of single sign-on or of a proxy.
        return Verdict::NoVerdict(Outage::NotJson);
    }
    if !answer.complete {
        return Verdict::NoVerdict(Outage::TooLarge);
    }
    let user = match serde_json::from_slice::<serde_json::Value>(answer.body) {
        Err(_) => return Verdict::NoVerdict(Outage::NotJson),
        Ok(value) => serde_json::from_value::<User>(value).ok(),
    };
    let Some((user, account)) = user.and_then(|user| account(answer.hosting, user)) else {
        return Verdict::NoVerdict(Outage::NotAUser);
    };
    if login_reason(answer.headers) == Some(LoginReason::Failed) {
        // A user, but not by this credential: a proxy logged in with its own.
        return Verdict::Refused(Refusal::Rejected);
    }
    if user.active == Some(false) || user.deleted == Some(true) {
        return Verdict::Refused(Refusal::AccountInactive);
    }
    Verdict::Accepted(account)
}

/// Cloud identifies a user by `accountId`, Data Center by `key`; each lacks the other's (recorded
/// on Cloud and on Data Center 10.4).
fn account(hosting: Hosting, mut user: User) -> Option<(User, Account)> {
    let (id, kind) = match hosting {
        Hosting::Cloud => (user.account_id.take()?, user.account_type.take()),
        Hosting::DataCenter => (user.key.take()?, None),
    };
    let kind = kind.filter(|kind| matches!(kind.as_str(), "atlassian" | "app" | "customer"));
    is_account_id(&id).then_some((user, Account { id, kind }))
}

/// Whether a text can go into a status as the id of an account. Keys from before Jira 8.4 are user
/// names, so that letters of any language and blanks inside occur.
fn is_account_id(id: &str) -> bool {
    let known = |c: char| c.is_alphanumeric() || c.is_ascii_graphic() || c == ' ';
    !id.is_empty() && id.chars().count() <= 128 && id.trim() == id && id.chars().all(known)
}

fn unauthorized(answer: &Answer<'_>) -> Verdict {
    match stated_refusal(answer) {
        Some(refusal) => Verdict::Refused(refusal),
        None if is_from_jira(answer.headers) => Verdict::Refused(Refusal::Rejected),
        // Jira sends no challenge, because anonymous access is its default (Atlassian
        // documentation); a proxy that wants a login of its own does. And it answers a REST call
        // in HTML only along with headers of its own.
        None if has_foreign_challenge(answer.headers) || is_html(answer) => {
            Verdict::NoVerdict(Outage::Unexpected(401))
        }
        None => Verdict::Refused(Refusal::Rejected),
    }
}

fn forbidden(answer: &Answer<'_>) -> Verdict {
    match stated_refusal(answer) {
        Some(refusal) => Verdict::Refused(refusal),
        None if is_from_jira(answer.headers) || is_json(answer.headers) => {
            Verdict::Refused(Refusal::Forbidden)
        }
        // A firewall or a proxy.
        None => Verdict::NoVerdict(Outage::Unexpected(403)),
    }
}

/// The refusal that a 401 or 403 states in so many words.
fn stated_refusal(answer: &Answer<'_>) -> Option<Refusal> {
    let text = String::from_utf8_lossy(answer.body).to_ascii_lowercase();
    // Before the login reason, which said AUTHENTICATED_FAILED beside the challenge (reported for
    // Data Center 8.20).
    if is_captcha(answer.headers, &text) {
        return Some(Refusal::CaptchaRequired);
    }
    // Each text is Jira's own (Atlassian documentation and knowledge base; the first recorded on
    // Data Center 11.3).
    let stated = [
        (
            "basic authentication has been disabled on this instance",
            Refusal::BasicAuthDisabled,
        ),
        (
            "basic auth with password is not allowed",
            Refusal::PasswordNotAllowed,
        ),
        ("ip address has been rejected", Refusal::IpBlocked),
        ("scope does not match", Refusal::InsufficientScope),
        (
            "failed to parse connect session auth token",
            Refusal::WrongHost,
        ),
    ];
    if let Some((_, refusal)) = stated.into_iter().find(|(words, _)| text.contains(words)) {
        return Some(refusal);
    }
    let failed = login_reason(answer.headers) == Some(LoginReason::Failed);
    let failed = failed || text.contains("reason : authenticated_failed");
    failed.then_some(Refusal::Rejected)
}

/// The word "captcha" alone proves nothing: firewalls show pages with captchas of their own.
fn is_captcha(headers: &HeaderMap, text: &str) -> bool {
    let denied = all(headers, "x-authentication-denied-reason");
    denied.to_ascii_uppercase().contains("CAPTCHA")
        || login_reason(headers) == Some(LoginReason::Denied)
        || text.contains("captcha_challenge")
        || text.contains("reason : authentication_denied")
        || (is_json(headers) && text.contains("captcha"))
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum LoginReason {
    Good,
    /// The credential was checked and is wrong.
    Failed,
    /// The credential was not checked.
    Denied,
}

/// `X-Seraph-LoginReason`: one word, or several separated by commas.
fn login_reason(headers: &HeaderMap) -> Option<LoginReason> {
    let reasons = all(headers, "x-seraph-loginreason").to_ascii_uppercase();
    let has = |word| reasons.split(',').any(|reason| reason.trim() == word);
    if has("AUTHENTICATION_DENIED") {
        Some(LoginReason::Denied)
    } else if has("OK") {
        Some(LoginReason::Good)
    } else if has("AUTHENTICATED_FAILED") {
        Some(LoginReason::Failed)
    } else {
        None
    }
}

/// Whether Jira treated the caller as anonymous, by its own headers.
pub(super) fn is_anonymous(headers: &HeaderMap) -> bool {
    let denied = match login_reason(headers) {
        Some(LoginReason::Failed | LoginReason::Denied) => true,
        Some(LoginReason::Good) | None => false,
    };
    denied || all(headers, "x-ausername") == "anonymous"
}

/// Whether Jira, or the edge of Atlassian's cloud, wrote the answer: by headers that were recorded
/// on answers of each.
fn is_from_jira(headers: &HeaderMap) -> bool {
    const JIRA: [&str; 8] = [
        "x-seraph-loginreason",
        "x-ausername",
        "x-aaccountid",
        "x-arequestid",
        "x-asessionid",
        "x-anodeid",
        "atl-traceid",
        "atl-request-id",
    ];
    JIRA.iter().any(|name| headers.contains_key(*name))
        || all(headers, "server").contains("AtlassianEdge")
        || challenges(headers).any(|scheme| scheme == "oauth")
}

fn has_foreign_challenge(headers: &HeaderMap) -> bool {
    challenges(headers).any(|scheme| scheme != "oauth" && scheme != "jira")
}

/// The first scheme of each `WWW-Authenticate`, in lower case.
fn challenges(headers: &HeaderMap) -> impl Iterator<Item = String> {
    challenge_texts(headers).filter_map(|text| text.split([' ', ',']).next().map(str::to_owned))
}

/// Each `WWW-Authenticate`, in lower case.
fn challenge_texts(headers: &HeaderMap) -> impl Iterator<Item = String> {
    headers
        .get_all(header::WWW_AUTHENTICATE)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase())
}

pub(super) fn is_html(answer: &Answer<'_>) -> bool {
    let kind = media_type(answer.headers);
    kind.as_deref() == Some("text/html") || answer.body.trim_ascii_start().starts_with(b"<")
}

/// `application/json`, or a format built on it.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|kind| {
        kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
    })
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    value
        .split(';')
        .next()
        .map(|kind| kind.trim().to_ascii_lowercase())
}

/// All values of a header, joined as HTTP allows.
fn all(headers: &HeaderMap, name: &str) -> String {
    let values: Vec<_> = headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    values.join(",")
}

/// `Retry-After` in seconds or as a date. Zero says nothing: Data Center sends it with healthy
/// answers too (reported).
fn retry_after(answer: &Answer<'_>) -> Option<Duration> {
    let value = answer
        .headers
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim();
    let until = |time| (DateTime::<Utc>::from(time) - answer.now).to_std().ok();
    let wait = match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(value).ok().and_then(until),
    };
    wait.filter(|wait| !wait.is_zero())
        .map(|wait| wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests;
