//! The token endpoint: what is sent, and what an answer means.
//!
//! An answer is read by its `error` code alone. The status is often 403 where RFC 6749 has 400,
//! and descriptions change (observed).
//!
//! | | Atlassian's endpoint | of a Data Center |
//! |---|---|---|
//! | body | JSON | a form; JSON ends as an error of the server's (observed) |
//! | refresh | `refresh_token` | and `redirect_uri`, else `invalid_grant` (observed) |
//! | client credentials | | and `scope` (Atlassian documentation) |

mod code;
mod request;

use std::fmt;

use http::header;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

pub use code::CodeExchange;
pub use request::{Provider, Sent, TokenRequest};

use crate::api::Account;
use crate::core::probe::{Forbidden, Outage, Refusal, Verdict};
use crate::jira::client::{Jira, Raw};
use crate::jira::gateway::{endpoint, named};
use crate::jira::response::{self, Answer};
use crate::jira::site_limiter::Urgency;
use crate::jira::transport_error;

/// The life of an access token that does not tell it (Atlassian documentation).
const USUAL_LIFE: i64 = 3600;
/// The longest life that is believed.
const LONGEST_LIFE: i64 = 366 * 86_400;
/// Tokens are JSON web tokens of one or two kilobytes.
const LONGEST_TOKEN: usize = 16 * 1024;
const MOST_SCOPES: usize = 256;

/// What a token endpoint answered.
#[derive(Debug)]
pub enum TokenAnswer {
    /// Tokens.
    Granted(Granted),
    /// The refresh token is dead.
    Dead,
    /// The client id or secret is wrong; the refresh token was not checked.
    ClientRejected,
    /// The client does not get the scopes that were asked for; nothing was spent.
    ScopeRefused,
    /// The endpoint does not take the request as it is; nothing was spent.
    NotTaken,
    /// Nothing was learnt.
    NoVerdict(Outage),
    /// The call was not made.
    NotAllowed(Forbidden),
}

/// Tokens as they were given.
pub struct Granted {
    /// The access token.
    pub access: SecretString,
    /// The next refresh token; an answer sometimes lacks it (observed).
    pub refresh: Option<SecretString>,
    /// How long the access token lives from when it was asked for, in seconds.
    pub expires_in: i64,
    /// What the token may be used for, where the answer says it.
    pub scopes: Option<Vec<String>>,
}

impl fmt::Debug for Granted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Granted")
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// What is not a token is read leniently: a refresh token must not be lost because a number beside
/// it is written in another way.
#[derive(Deserialize)]
struct Given {
    access_token: String,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Value,
    #[serde(default)]
    scope: Value,
}

#[derive(Deserialize)]
struct Problem {
    error: String,
}

impl TokenAnswer {
    /// Whether the refresh token may have been spent though no token came.
    pub fn may_have_spent(&self) -> bool {
        match self {
            TokenAnswer::NoVerdict(outage) => outage.may_have_arrived(),
            TokenAnswer::Granted(_)
            | TokenAnswer::Dead
            | TokenAnswer::ClientRejected
            | TokenAnswer::ScopeRefused
            | TokenAnswer::NotTaken
            | TokenAnswer::NotAllowed(_) => false,
        }
    }

    /// The word for metrics and logs.
    pub fn word(&self) -> &'static str {
        match self {
            TokenAnswer::Granted(_) => "granted",
            TokenAnswer::Dead => "dead",
            TokenAnswer::ClientRejected => "client_rejected",
            TokenAnswer::ScopeRefused => "scope_refused",
            TokenAnswer::NotTaken => "not_taken",
            TokenAnswer::NoVerdict(Outage::TooLate) => "too_late",
            TokenAnswer::NoVerdict(_) => "no_verdict",
            TokenAnswer::NotAllowed(_) => "not_allowed",
        }
    }

    /// The answer as the limiter of the site counts it.
    fn verdict(&self) -> Verdict {
        match self {
            TokenAnswer::Granted(_) => Verdict::Accepted(Account {
                id: String::new(),
                kind: None,
                display_name: None,
                user_name: None,
            }),
            TokenAnswer::Dead
            | TokenAnswer::ClientRejected
            | TokenAnswer::ScopeRefused
            | TokenAnswer::NotTaken => Verdict::Refused(Refusal::Rejected),
            TokenAnswer::NoVerdict(outage) => Verdict::NoVerdict(*outage),
            TokenAnswer::NotAllowed(forbidden) => Verdict::NotAllowed(*forbidden),
        }
    }

    fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::NotAllowed(forbidden) => TokenAnswer::NotAllowed(*forbidden),
            Verdict::NoVerdict(outage) => TokenAnswer::NoVerdict(*outage),
            // Those are answers of /myself. Whatever led here, the request may have arrived.
            Verdict::Accepted(_) | Verdict::Refused(_) => TokenAnswer::NoVerdict(Outage::NotAUser),
        }
    }
}

impl Jira {
    /// Asks a token endpoint for tokens: one call, or none while it rests.
    pub async fn tokens(&self, request: &TokenRequest<'_>) -> TokenAnswer {
        let site = match endpoint(request.endpoint, request.provider.hosting()) {
            Ok(site) => site,
            Err(verdict) => return TokenAnswer::of(&verdict),
        };
        let call = async {
            match tokio::time::timeout(request.limit, self.post(request)).await {
                Ok(answer) => answer,
                Err(_) => TokenAnswer::NoVerdict(Outage::Timeout),
            }
        };
        match self
            .limited(
                &site,
                ("token", Urgency::Renewal),
                call,
                TokenAnswer::verdict,
            )
            .await
        {
            Ok(answer) => answer,
            Err(verdict) => TokenAnswer::of(&verdict),
        }
    }

    async fn post(&self, request: &TokenRequest<'_>) -> TokenAnswer {
        let url = match named(request.endpoint) {
            Ok(url) => url,
            Err(verdict) => return TokenAnswer::of(&verdict),
        };
        let provider = &request.provider;
        let Ok(client) = self.clients.get(provider.hosting(), provider.ca_pem()) else {
            return TokenAnswer::NoVerdict(Outage::BadCaBundle);
        };
        if !self.is_in_time(request.until) {
            return TokenAnswer::NoVerdict(Outage::TooLate);
        }
        let call = client
            .post(url)
            .header(header::ACCEPT, "application/json")
            .header(header::CACHE_CONTROL, "no-store")
            .header("x-request-id", request.attempt);
        let (kind, body) = request.body();
        let call = call.header(header::CONTENT_TYPE, kind).body(body);
        let raw = match call.send().await {
            Ok(response) => Raw::read(response).await,
            Err(error) => Err(transport_error::verdict(error)),
        };
        match raw {
            Ok(raw) => read(
                &raw.answer(provider.hosting(), self.clock.now()),
                &request.sent(),
            ),
            Err(verdict) => TokenAnswer::of(&verdict),
        }
    }
}

/// Reads an answer of a token endpoint.
pub fn read(answer: &Answer<'_>, sent: &Sent) -> TokenAnswer {
    let Answer { status, body, .. } = *answer;
    if status == 200 && answer.complete {
        return match serde_json::from_slice::<Given>(body).ok().and_then(granted) {
            Some(granted) => TokenAnswer::Granted(granted),
            None => TokenAnswer::NoVerdict(response::not_parsed(answer)),
        };
    }
    // A limit applies before the request is processed, whatever the body says.
    let told = serde_json::from_slice::<Problem>(body)
        .ok()
        .filter(|_| (400..500).contains(&status) && status != 429);
    match (told.as_ref().map(|problem| problem.error.as_str()), sent) {
        // Atlassian's endpoint was seen to say unauthorized_client in place of invalid_grant; Data
        // Center means the client by it.
        (Some("invalid_grant"), Sent::RefreshToken | Sent::RefreshTokenAndUrl | Sent::Code)
        | (Some("unauthorized_client"), Sent::RefreshToken) => TokenAnswer::Dead,
        (Some("invalid_grant"), Sent::Half) => TokenAnswer::NotTaken,
        (Some("access_denied" | "invalid_client" | "unauthorized_client" | "invalid_grant"), _) => {
            TokenAnswer::ClientRejected
        }
        // Data Center was seen to write a blank.
        (Some("invalid_scope" | "invalid scope"), _) => TokenAnswer::ScopeRefused,
        (Some("temporarily_unavailable" | "server_error"), _) => {
            TokenAnswer::NoVerdict(Outage::ServerError(status))
        }
        (Some(_), _) => TokenAnswer::NotTaken,
        (None, _) => TokenAnswer::NoVerdict(outage(answer)),
    }
}

fn outage(answer: &Answer<'_>) -> Outage {
    match response::read(answer) {
        Verdict::NoVerdict(outage) => outage,
        // A 401 or 403 without an error code comes from a proxy in between.
        Verdict::Accepted(_) | Verdict::Refused(_) | Verdict::NotAllowed(_) => {
            Outage::Unexpected(answer.status)
        }
    }
}

fn granted(given: Given) -> Option<Granted> {
    let sane = |token: &str| {
        !token.is_empty()
            && token.len() <= LONGEST_TOKEN
            && token.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if !sane(&given.access_token) {
        return None;
    }
    Some(Granted {
        access: SecretString::from(given.access_token),
        // It travels in no header, and whatever it looks like, it is all there is.
        refresh: given
            .refresh_token
            .filter(|token| !token.is_empty())
            .map(SecretString::from),
        expires_in: seconds(&given.expires_in)
            .filter(|seconds| *seconds > 0)
            .unwrap_or(USUAL_LIFE)
            .min(LONGEST_LIFE),
        scopes: given.scope.as_str().map(scopes),
    })
}

/// A number of seconds: whole, broken, or in quotes.
fn seconds(value: &Value) -> Option<i64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    text.split('.').next()?.parse().ok()
}

fn scopes(text: &str) -> Vec<String> {
    let known = |scope: &&str| scope.len() <= 128 && scope.bytes().all(|b| b.is_ascii_graphic());
    let scopes = text.split_ascii_whitespace().filter(known);
    scopes.take(MOST_SCOPES).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
