//! What an answer of `/myself` means. Pure.
//!
//! `/myself` is the one call that has no anonymous form: 200 with a user validates the credential
//! (Atlassian documentation). Everything else is read with one question in mind: did Jira look at
//! the credential and say no, or did a proxy in between answer?

mod headers;
mod oauth_problem;
mod origin;
mod stated;

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderMap, header};
use serde::Deserialize;

use crate::api::{Account, Hosting};
use crate::core::probe::{Outage, Refusal, Verdict};
use crate::jira::response::headers::{challenge_texts, media_type};
use crate::jira::response::origin::{
    has_foreign_challenge, is_from_cloud, is_from_data_center, is_missing_site,
};
use crate::jira::response::stated::{LoginReason, login_reason};

pub(in crate::jira) use headers::is_json;
pub(in crate::jira) use origin::is_from_jira;
pub(in crate::jira) use stated::is_anonymous;

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
    name: Option<String>,
    display_name: Option<String>,
    email_address: Option<String>,
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
    if stated::is_cross_site(answer.status, answer.body) {
        return Verdict::NoVerdict(Outage::CrossSiteCheck);
    }
    if let Some(refusal) = other_hosting(answer) {
        return Verdict::Refused(refusal);
    }
    match answer.status {
        200 => ok(answer),
        400 if stated::is_ip_blocked(&stated::text_of(answer.body)) => {
            Verdict::Refused(Refusal::IpBlocked)
        }
        300..=399 => Verdict::NoVerdict(Outage::Redirect),
        401 => unauthorized(answer),
        403 => forbidden(answer),
        404 => Verdict::NoVerdict(not_found(answer)),
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
        Hosting::DataCenter if is_missing_site(answer.headers) => None,
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

fn ok(answer: &Answer<'_>) -> Verdict {
    if !is_json(answer.headers) {
        // The login page of single sign-on or of a proxy.
        return Verdict::NoVerdict(Outage::NotJson);
    }
    if !answer.complete {
        return Verdict::NoVerdict(Outage::TooLarge);
    }
    let user = match serde_json::from_slice::<serde_json::Value>(answer.body) {
        Err(_) => return Verdict::NoVerdict(not_parsed(answer)),
        Ok(value) => serde_json::from_value::<User>(value).ok(),
    };
    let Some((user, account)) = user.and_then(|user| account(answer.hosting, user)) else {
        return Verdict::NoVerdict(Outage::NotAUser);
    };
    // A user, but not by this credential: a proxy logged in with its own, or answers from a cache.
    match login_reason(answer.headers) {
        Some(LoginReason::Failed) => return Verdict::Refused(Refusal::Rejected),
        Some(LoginReason::Denied) => return Verdict::Refused(Refusal::CaptchaRequired),
        None if is_anonymous(answer.headers) => return Verdict::NoVerdict(Outage::Anonymous),
        Some(LoginReason::Good) | None => {}
    }
    if user.active == Some(false) || user.deleted == Some(true) {
        return Verdict::Refused(Refusal::AccountInactive);
    }
    Verdict::Accepted(account)
}

/// What a body is that was expected to be JSON of some form: JSON that was cut off, or something else,
/// such as a web page.
pub(super) fn not_parsed(answer: &Answer<'_>) -> Outage {
    let is_page = answer.body.trim_ascii_start().starts_with(b"<");
    let is_broken = || serde_json::from_slice::<serde::de::IgnoredAny>(answer.body).is_err();
    if is_json(answer.headers) && !is_page && is_broken() {
        Outage::BrokenJson
    } else {
        Outage::NotJson
    }
}

/// Atlassian's edge says before a credential is checked that it has no site of this name, or no
/// Jira on it: by a header, or in JSON (recorded). Any other 404 may be that of a wrong path.
fn not_found(answer: &Answer<'_>) -> Outage {
    let removed = || stated::text_of(answer.body).contains("site temporarily unavailable");
    if is_missing_site(answer.headers) || (is_from_cloud(answer.headers) && removed()) {
        Outage::NoCloudSite
    } else {
        Outage::NotFound
    }
}

/// Cloud identifies a user by `accountId`, Data Center by `key`; each lacks the other's (recorded
/// on Cloud and on Data Center 10.4).
fn account(hosting: Hosting, mut user: User) -> Option<(User, Account)> {
    let (id, kind) = match hosting {
        Hosting::Cloud => (user.account_id.take()?, user.account_type.take()),
        Hosting::DataCenter => (user.key.take()?, None),
    };
    let kind = kind.filter(|kind| matches!(kind.as_str(), "atlassian" | "app" | "customer"));
    let user_name = match hosting {
        Hosting::Cloud => user.email_address.take(),
        Hosting::DataCenter => user.name.take(),
    };
    let account = Account {
        kind,
        display_name: user.display_name.as_deref().and_then(name),
        user_name: user_name.as_deref().and_then(name),
        id,
    };
    is_account_id(&account.id).then_some((user, account))
}

/// A name as it can go into a status and a message: a person chose it, and it may hold anything.
fn name(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = !text.is_empty() && text.chars().count() <= 255 && text.chars().all(is_plain);
    fits.then(|| text.to_owned())
}

/// Whether a character neither controls a terminal nor turns the direction of a text around, which could
/// make a message read as another.
pub fn is_plain(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !turns && !c.is_control()
}

/// Whether a text can go into a status as the id of an account. Keys from before Jira 8.4 are user
/// names, so that letters of any language and blanks inside occur.
fn is_account_id(id: &str) -> bool {
    let known = |c: char| c.is_alphanumeric() || c.is_ascii_graphic() || c == ' ';
    !id.is_empty() && id.chars().count() <= 128 && id.trim() == id && id.chars().all(known)
}

fn unauthorized(answer: &Answer<'_>) -> Verdict {
    match stated::refusal(answer.hosting, answer.headers, answer.body) {
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
    match stated::refusal(answer.hosting, answer.headers, answer.body) {
        Some(refusal) => Verdict::Refused(refusal),
        None if is_from_jira(answer.headers) || is_json(answer.headers) => {
            Verdict::Refused(Refusal::Forbidden)
        }
        // The page of a Data Center whose headers a proxy removed: in every language it links to
        // the start page.
        None if stated::text_of(answer.body).contains("/secure/myjirahome.jspa") => {
            Verdict::Refused(Refusal::Forbidden)
        }
        // A firewall or a proxy.
        None => Verdict::NoVerdict(Outage::Unexpected(403)),
    }
}

pub(super) fn is_html(answer: &Answer<'_>) -> bool {
    let kind = media_type(answer.headers);
    kind.as_deref() == Some("text/html") || answer.body.trim_ascii_start().starts_with(b"<")
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
