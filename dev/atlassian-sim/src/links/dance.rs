//! How a consumer gets an access token: request token, consent, access token (RFC 5849, section 2).

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::verifier::{Problem, Signed, links, required, signed_by};
use crate::calls::Verdict;
use crate::reply::Reply;
use crate::token::{Token, TokenKind};
use crate::world::{TokenOrder, World};

/// The life of a request token (Atlassian's OAuth plugin: ten minutes; from memory).
const REQUEST_LIFE: TimeDelta = TimeDelta::minutes(10);

/// The callback of a consumer that cannot be called back.
pub(super) const OUT_OF_BAND: &str = "oob";

/// What a user has made of a request token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Consent {
    Asked,
    Allowed {
        user: String,
        verifier: String,
    },
    Denied,
    /// Exchanged for an access token.
    Used,
}

/// A request token as the server keeps it.
#[derive(Debug, Clone)]
pub(super) struct RequestToken {
    pub(super) consumer: String,
    pub(super) callback: String,
    pub(super) consent: Consent,
    issued: DateTime<Utc>,
}

impl RequestToken {
    pub(super) fn expired(&self, now: DateTime<Utc>) -> bool {
        now - self.issued >= REQUEST_LIFE
    }
}

/// Step 1: a request token.
pub(crate) fn request_token(
    world: &mut World,
    request: &Signed<'_>,
    now: DateTime<Utc>,
) -> Result<Reply, Problem> {
    let callback = required(request, "oauth_callback")?.to_owned();
    let consumer = signed_by(world, request, now, |world, consumer| {
        let registered = links(world, request.host)
            .and_then(|links| links.callbacks.get(consumer).map(String::as_str));
        if is_allowed(&callback, registered) {
            return Ok(consumer.to_owned());
        }
        let problem = Problem::new("parameter_rejected", Verdict::Malformed);
        Err(problem.beside("oauth_parameters_rejected", "oauth_callback".to_owned()))
    })?;
    let (value, secret) = (world.rng.opaque(32), world.rng.opaque(32));
    let token = RequestToken {
        consumer,
        callback,
        consent: Consent::Asked,
        issued: now,
    };
    if let Some(links) = links(world, request.host) {
        links.requests.insert(value.clone().into(), token);
    }
    Ok(form(&[
        ("oauth_token", &value),
        ("oauth_token_secret", &secret),
        ("oauth_callback_confirmed", "true"),
    ]))
}

/// `oob`, or the registered callback letter by letter. Without a registered one, which Jira does
/// not insist on, any address of HTTP.
fn is_allowed(callback: &str, registered: Option<&str>) -> bool {
    callback == OUT_OF_BAND
        || registered.map_or_else(
            || callback.starts_with("https://") || callback.starts_with("http://"),
            |registered| callback == registered,
        )
}

/// Step 3: an access token. Session handle and lives are as seen in a recorded answer.
pub(crate) fn access_token(
    world: &mut World,
    request: &Signed<'_>,
    now: DateTime<Utc>,
) -> Result<Reply, Problem> {
    let value = required(request, "oauth_token")?;
    let verifier = required(request, "oauth_verifier")?;
    let (consumer, user) = signed_by(world, request, now, |world, consumer| {
        let token = links(world, request.host).and_then(|links| links.requests.get(value));
        let token = token.filter(|token| token.consumer == consumer);
        let user = allowed_by(token, verifier, now)?;
        Ok((consumer.to_owned(), user))
    })?;
    settle(world, request.host, value, Consent::Used);
    let (token, secret) = let_in(world, request.host, &consumer, &user, now);
    let handle = world.rng.opaque(32);
    Ok(form(&[
        ("oauth_token", token.secret()),
        ("oauth_token_secret", &secret),
        ("oauth_expires_in", "157680000"),
        ("oauth_session_handle", &handle),
        ("oauth_authorization_expires_in", "160272000"),
    ]))
}

/// The user who allowed a request token. The words are those of the extension "Problem Reporting".
fn allowed_by(
    token: Option<&RequestToken>,
    verifier: &str,
    now: DateTime<Utc>,
) -> Result<String, Problem> {
    let rejected = || Problem::new("token_rejected", Verdict::Rejected);
    let token = token.ok_or_else(rejected)?;
    if token.expired(now) {
        return Err(Problem::new("token_expired", Verdict::Expired));
    }
    match &token.consent {
        Consent::Asked => Err(Problem::new("permission_unknown", Verdict::Rejected)),
        Consent::Denied => Err(Problem::new("permission_denied", Verdict::Rejected)),
        Consent::Used => Err(Problem::new("token_used", Verdict::Revoked)),
        Consent::Allowed {
            user,
            verifier: given,
        } if given == verifier => Ok(user.clone()),
        Consent::Allowed { .. } => Err(rejected()),
    }
}

/// Gives a consumer an access token of a user, and its secret.
pub(super) fn let_in(
    world: &mut World,
    host: &str,
    consumer: &str,
    user: &str,
    now: DateTime<Utc>,
) -> (Token, Arc<str>) {
    let order = TokenOrder {
        kind: TokenKind::Link,
        owner: user,
        host: Some(host),
        scopes: &[],
        secret: None,
    };
    let token = world.issue(&order, now);
    let secret = world.rng.opaque(32).into();
    if let Some(links) = links(world, host) {
        links
            .consumers
            .insert(token.id().into(), consumer.to_owned());
    }
    (token, secret)
}

fn form(pairs: &[(&str, &str)]) -> Reply {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    let kind = "application/x-www-form-urlencoded";
    Reply::new(200, kind, body).verdict(Verdict::Accepted)
}

/// The parameters of a signed request to the endpoints: those of the header, and those of a form
/// in the body, which are signed as well (RFC 5849, section 3.4.1.3).
pub(crate) fn with_form(
    header: &[(String, String)],
    content_type: &str,
    body: &[u8],
) -> Vec<(String, String)> {
    let form = if content_type.starts_with("application/x-www-form-urlencoded") {
        body
    } else {
        &[]
    };
    let form = form_urlencoded::parse(form).into_owned();
    header.iter().cloned().chain(form).collect()
}

/// The request token that a consent page is asked for. `Err` says why there is nothing to consent
/// to.
pub(super) fn pending(
    world: &mut World,
    host: &str,
    value: &str,
    now: DateTime<Utc>,
) -> Result<RequestToken, (&'static str, &'static str)> {
    let rejected = ("token_rejected", "The request token is unknown.");
    let links = links(world, host).ok_or(rejected)?;
    let token = links.requests.get(value).ok_or(rejected)?;
    if !links.keys.contains_key(&token.consumer) {
        return Err(("consumer_key_unknown", "The application link is gone."));
    }
    if token.expired(now) {
        return Err(("token_expired", "The request token has expired."));
    }
    if token.consent != Consent::Asked {
        let text = "The request token was answered before.";
        return Err(("token_used", text));
    }
    Ok(token.clone())
}

/// Notes what became of a request token.
pub(super) fn settle(world: &mut World, host: &str, value: &str, consent: Consent) {
    if let Some(links) = links(world, host)
        && let Some(token) = links.requests.get_mut(value)
    {
        token.consent = consent;
    }
}
