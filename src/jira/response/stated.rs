//! The refusals that Jira states in so many words.
//!
//! Each text is Jira's or Atlassian's own (documentation and knowledge base, unless another source
//! is named) and was met in English; where a translation may come instead, the meaning is read from
//! the status and the headers.

use http::HeaderMap;

use crate::api::Hosting;
use crate::core::probe::Refusal;
use crate::jira::response::headers::{all, challenge_texts, is_json};
use crate::jira::response::origin::is_from_jira;

/// The body of an answer in lower case.
pub(super) fn text_of(body: &[u8]) -> String {
    String::from_utf8_lossy(body).to_ascii_lowercase()
}

/// The refusal that a 401 or 403 states.
pub(super) fn refusal(hosting: Hosting, headers: &HeaderMap, body: &[u8]) -> Option<Refusal> {
    let text = text_of(body);
    // Before the login reason, which said AUTHENTICATED_FAILED beside the challenge (reported for
    // Data Center 8.20).
    if is_captcha(headers, &text) {
        return Some(Refusal::CaptchaRequired);
    }
    // The first recorded on Data Center 11.3.
    let stated = [
        (
            "basic authentication has been disabled on this instance",
            Refusal::BasicAuthDisabled,
        ),
        (
            "basic auth with password is not allowed",
            Refusal::PasswordNotAllowed,
        ),
        ("scope does not match", Refusal::InsufficientScope),
        (
            "failed to parse connect session auth token",
            Refusal::WrongHost,
        ),
    ];
    if is_ip_blocked(&text) {
        return Some(Refusal::IpBlocked);
    }
    if let Some((_, refusal)) = stated.into_iter().find(|(words, _)| text.contains(words)) {
        return Some(refusal);
    }
    if names_scopes(hosting, headers, &text) {
        return Some(Refusal::InsufficientScope);
    }
    if lacks_consent(hosting, headers, &text) {
        return Some(Refusal::NoConsent);
    }
    let failed = login_reason(headers) == Some(LoginReason::Failed);
    let failed = failed || text.contains("reason : authenticated_failed");
    failed.then_some(Refusal::Rejected)
}

/// The text of the IP allow-list of a Cloud site; its status is not documented.
pub(super) fn is_ip_blocked(text: &str) -> bool {
    text.contains("ip address has been rejected")
}

/// Whether Jira takes the request for one that a browser was tricked into: its checks against
/// cross-site request forgery (Atlassian knowledge base). Their text is not translated. The client of
/// this operator is no browser and sends the header that exempts it, so that a proxy has changed it.
pub(super) fn is_cross_site(status: u16, body: &[u8]) -> bool {
    matches!(status, 403 | 404) && text_of(body).contains("xsrf check")
}

/// Atlassian's gateway words a lack of scopes in several ways, with 401 and with 403 (reported). A
/// `Bearer` challenge says `insufficient_scope` (RFC 6750); without a header of Jira's own it is that
/// of a proxy.
fn names_scopes(hosting: Hosting, headers: &HeaderMap, text: &str) -> bool {
    let asked_for_scopes = challenge_texts(headers)
        .any(|text| text.starts_with("bearer") && text.contains("\"insufficient_scope\""));
    (asked_for_scopes && is_from_jira(headers))
        || (is_cloud_json(hosting, headers) && has_word(text, &["scope", "scopes"]))
}

/// What the gateway says when the consent does not cover the site, or covers none of Jira there
/// (reported for a token with scopes of another product).
fn lacks_consent(hosting: Hosting, headers: &HeaderMap, text: &str) -> bool {
    is_cloud_json(hosting, headers)
        && (text.contains("app is not installed")
            || has_word(text, &["consent", "consented", "unconsented"]))
}

fn is_cloud_json(hosting: Hosting, headers: &HeaderMap) -> bool {
    hosting == Hosting::Cloud && is_json(headers)
}

fn has_word(text: &str, words: &[&str]) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|part| words.contains(&part))
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

/// What Seraph, the login of Data Center, made of a credential.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum LoginReason {
    Good,
    /// The credential was checked and is wrong.
    Failed,
    /// The credential was not checked.
    Denied,
}

/// `X-Seraph-LoginReason`: one word, or several separated by commas.
pub(super) fn login_reason(headers: &HeaderMap) -> Option<LoginReason> {
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
pub(in crate::jira) fn is_anonymous(headers: &HeaderMap) -> bool {
    match login_reason(headers) {
        Some(LoginReason::Failed | LoginReason::Denied) => true,
        Some(LoginReason::Good) => false,
        None => all(headers, "x-ausername").eq_ignore_ascii_case("anonymous"),
    }
}
