//! What becomes of a signed request.
//!
//! In the order of Java's OAuth library, which Jira builds on as far as is known: form, consumer,
//! token, time, nonce, signature.

use aws_lc_rs::signature::{RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

use super::{Links, base_string};
use crate::calls::Verdict;
use crate::token::TokenKind;
use crate::world::{TokenRecord, World};

/// Seconds that a timestamp may be off (Atlassian's knowledge base: five minutes).
const WINDOW: i64 = 300;

/// A signed request, with the address that Jira takes it to be asked at.
pub(crate) struct Signed<'a> {
    pub(crate) host: &'a str,
    pub(crate) method: &'a str,
    pub(crate) address: &'a str,
    pub(crate) query: &'a str,
    pub(crate) parameters: &'a [(String, String)],
}

/// What is wrong with a request: a word of the extension "Problem Reporting", and what is said
/// beside it.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) word: &'static str,
    pub(crate) beside: Option<(&'static str, String)>,
    pub(crate) verdict: Verdict,
}

impl Problem {
    pub(super) fn new(word: &'static str, verdict: Verdict) -> Self {
        Self {
            word,
            beside: None,
            verdict,
        }
    }

    pub(super) fn beside(mut self, name: &'static str, value: String) -> Self {
        self.beside = Some((name, value));
        self
    }

    /// The status (the library's own mapping).
    pub(crate) fn status(&self) -> u16 {
        match self.word {
            "version_rejected"
            | "parameter_absent"
            | "parameter_rejected"
            | "timestamp_refused"
            | "signature_method_rejected" => 400,
            _ => 401,
        }
    }
}

/// The access token that a request names, whatever it is worth.
pub(crate) fn token_of<'a>(
    world: &'a World,
    parameters: &[(String, String)],
) -> Option<&'a TokenRecord> {
    let (_, secret) = parameters.iter().find(|(name, _)| name == "oauth_token")?;
    world.token_by_secret(secret)
}

/// The owner of the access token, if everything is right.
pub(crate) fn verify(
    world: &mut World,
    request: &Signed<'_>,
    now: DateTime<Utc>,
) -> Result<String, Problem> {
    required(request, "oauth_consumer_key")?;
    let secret = required(request, "oauth_token")?;
    signed_by(world, request, now, |world, consumer| {
        token(world, request.host, consumer, secret, now)
    })
}

/// What the look at the token gives, if everything is right. The look must not change anything:
/// the signature is checked after it.
pub(super) fn signed_by<T>(
    world: &mut World,
    request: &Signed<'_>,
    now: DateTime<Utc>,
    look: impl FnOnce(&mut World, &str) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let consumer = required(request, "oauth_consumer_key")?;
    let method = required(request, "oauth_signature_method")?;
    let signature = required(request, "oauth_signature")?;
    let timestamp = required(request, "oauth_timestamp")?;
    let nonce = required(request, "oauth_nonce")?;
    if find(request, "oauth_version").is_some_and(|version| version != "1.0") {
        return Err(Problem::new("version_rejected", Verdict::Malformed));
    }
    let key = links(world, request.host)
        .and_then(|links| links.keys.get(consumer).cloned())
        .ok_or_else(|| Problem::new("consumer_key_unknown", Verdict::ConsumerUnknown))?;
    let found = look(world, consumer)?;
    if method != "RSA-SHA1" {
        let problem = Problem::new("signature_method_rejected", Verdict::SignatureInvalid);
        return Err(problem);
    }
    let timestamp = in_time(timestamp, now)?;
    if !first_seen(world, request.host, consumer, timestamp, nonce, now) {
        return Err(Problem::new("nonce_used", Verdict::NonceUsed));
    }
    let text = base_string::build(
        request.method,
        request.address,
        request.query,
        request.parameters,
    );
    let signature = STANDARD.decode(signature).unwrap_or_default();
    UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, key)
        .verify(text.as_bytes(), &signature)
        .map_err(|_| {
            Problem::new("signature_invalid", Verdict::SignatureInvalid)
                .beside("oauth_signature_base_string", text)
        })?;
    Ok(found)
}

fn find<'a>(request: &Signed<'a>, name: &str) -> Option<&'a str> {
    let mut all = request.parameters.iter();
    all.find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}

pub(super) fn required<'a>(request: &Signed<'a>, name: &'static str) -> Result<&'a str, Problem> {
    find(request, name).ok_or_else(|| {
        Problem::new("parameter_absent", Verdict::Malformed)
            .beside("oauth_parameters_absent", name.to_owned())
    })
}

pub(super) fn links<'a>(world: &'a mut World, host: &str) -> Option<&'a mut Links> {
    let instance = world.instance_mut(host)?;
    Some(&mut instance.links)
}

fn token(
    world: &mut World,
    host: &str,
    consumer: &str,
    secret: &str,
    now: DateTime<Utc>,
) -> Result<String, Problem> {
    let rejected = || Problem::new("token_rejected", Verdict::Rejected);
    let token = world.token_by_secret(secret).cloned();
    let token = token
        .filter(|token| token.kind == TokenKind::Link && token.host.as_deref() == Some(host))
        .ok_or_else(rejected)?;
    let given_to = links(world, host).and_then(|links| links.consumers.get(&token.id).cloned());
    if given_to.as_deref() != Some(consumer) {
        return Err(rejected());
    }
    match world.token_over(&token, now) {
        Some(Verdict::Expired) => Err(Problem::new("token_expired", Verdict::Expired)),
        Some(_) => Err(Problem::new("token_revoked", Verdict::Revoked)),
        None => Ok(token.owner),
    }
}

fn in_time(timestamp: &str, now: DateTime<Utc>) -> Result<i64, Problem> {
    let now = now.timestamp();
    let window = (now - WINDOW)..=(now + WINDOW);
    let timestamp = timestamp
        .parse::<i64>()
        .map_err(|_| Problem::new("parameter_rejected", Verdict::Malformed))?;
    if window.contains(&timestamp) {
        return Ok(timestamp);
    }
    let acceptable = format!("{}-{}", window.start(), window.end());
    Err(Problem::new("timestamp_refused", Verdict::TimestampRefused)
        .beside("oauth_acceptable_timestamps", acceptable))
}

/// Whether nobody has sent this before; from here on it has been.
fn first_seen(
    world: &mut World,
    host: &str,
    consumer: &str,
    timestamp: i64,
    nonce: &str,
    now: DateTime<Utc>,
) -> bool {
    let Some(links) = links(world, host) else {
        return false;
    };
    let oldest = now.timestamp() - WINDOW;
    links.seen.retain(|(_, at, _)| *at >= oldest);
    let entry = (consumer.to_owned(), timestamp, nonce.to_owned());
    links.seen.insert(entry)
}
