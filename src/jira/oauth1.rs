//! Signed requests of OAuth 1.0a (RFC 5849), the way of Jira's application links.
//!
//! Jira takes one method of signing, RSA-SHA1, in which the secret of the token plays no part. The
//! signature covers the address, so that it must be the one that Jira believes to be asked at: its
//! base URL with the context path, which is `spec.site`. `dance` is how a person lets a consumer in
//! for the first time, `key` the key pair of an application link.

mod dance;
mod key;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rsa::Pkcs1v15Sign;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha1::{Digest, Sha1};
use url::Url;

use crate::core::spec::RsaKey;

pub use dance::{AccessToken, Consumer};
pub use key::{generate, public_pem};

/// Bytes of a nonce: enough that none is drawn twice.
const NONCE: usize = 16;

/// An access token of an application link, with the key that signs for it.
#[derive(Clone)]
pub struct Signer {
    /// Consumer key of the application link.
    pub consumer_key: String,
    /// The access token.
    pub token: SecretString,
    /// The private key whose public key the application link has.
    pub key: Arc<RsaKey>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Signer").finish_non_exhaustive()
    }
}

impl Signer {
    /// The value of the `Authorization` header for one GET. `None`: the machine gives no random
    /// numbers, without which nothing is signed.
    pub(super) fn authorization(&self, url: &Url, now: DateTime<Utc>) -> Option<Zeroizing<String>> {
        let nonce = nonce()?;
        self.sign("GET", url, now.timestamp(), &nonce)
    }

    fn sign(
        &self,
        method: &str,
        url: &Url,
        timestamp: i64,
        nonce: &str,
    ) -> Option<Zeroizing<String>> {
        let own = [("oauth_token", self.token.expose_secret())];
        let parameters = parameters(&self.consumer_key, timestamp, nonce);
        header(&self.key, (method, url), &parameters, &own)
    }
}

/// A number that is drawn once.
fn nonce() -> Option<String> {
    let mut nonce = [0; NONCE];
    rand::fill(&mut nonce).ok()?;
    Some(HEXLOWER.encode(&nonce))
}

/// Names and values of parameters.
type Parameters<'a> = Vec<(&'a str, Zeroizing<String>)>;

/// The parameters that every request has.
fn parameters<'a>(consumer_key: &str, timestamp: i64, nonce: &str) -> Parameters<'a> {
    [
        ("oauth_consumer_key", consumer_key.to_owned()),
        ("oauth_nonce", nonce.to_owned()),
        ("oauth_signature_method", "RSA-SHA1".to_owned()),
        ("oauth_timestamp", timestamp.to_string()),
        ("oauth_version", "1.0".to_owned()),
    ]
    .map(|(name, value)| (name, Zeroizing::new(value)))
    .into()
}

/// The header of a request with these parameters and `own`, signed.
fn header(
    key: &RsaKey,
    (method, url): (&str, &Url),
    parameters: &[(&str, Zeroizing<String>)],
    own: &[(&str, &str)],
) -> Option<Zeroizing<String>> {
    let mut all: Vec<(&str, &str)> = parameters
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .chain(own.iter().copied())
        .collect();
    all.sort_unstable();
    let signature = rsa_sha1(key, &base_string(method, url, &all))?;
    all.push(("oauth_signature", signature.as_str()));
    let parts: Vec<Zeroizing<String>> = all
        .iter()
        .map(|(name, value)| Zeroizing::new(format!("{name}=\"{}\"", *encode(value))))
        .collect();
    let mut header = Zeroizing::new(String::with_capacity(1024));
    header.push_str("OAuth ");
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            header.push_str(", ");
        }
        header.push_str(part);
    }
    Some(header)
}

/// What is signed (RFC 5849, section 3.4.1). `parameters` are those of the header beside `realm`
/// and `oauth_signature`; those of the query are taken from the address. There is no body.
fn base_string(method: &str, url: &Url, parameters: &[(&str, &str)]) -> Zeroizing<String> {
    let mut pairs: Vec<(Zeroizing<String>, Zeroizing<String>)> = url
        .query_pairs()
        .map(|(name, value)| (encode(&name), encode(&value)))
        .collect();
    pairs.extend(
        parameters
            .iter()
            .map(|(name, value)| (encode(name), encode(value))),
    );
    pairs.sort_by(|a, b| (a.0.as_str(), a.1.as_str()).cmp(&(b.0.as_str(), b.1.as_str())));
    let mut normalised = Zeroizing::new(String::new());
    for (name, value) in &pairs {
        if !normalised.is_empty() {
            normalised.push('&');
        }
        normalised.push_str(name);
        normalised.push('=');
        normalised.push_str(value);
    }
    let port = url.port().map(|port| format!(":{port}"));
    // `Url` has scheme and host in lower case, and no port where it is the default.
    let address = format!(
        "{}://{}{}{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        port.unwrap_or_default(),
        url.path()
    );
    Zeroizing::new(format!(
        "{}&{}&{}",
        method.to_ascii_uppercase(),
        *encode(&address),
        *encode(&normalised)
    ))
}

/// The signature (RFC 5849, section 3.4.3), in base64. The random numbers blind the computation
/// against those who measure its time; the signature is the same every time.
fn rsa_sha1(key: &RsaKey, text: &str) -> Option<String> {
    let digest = Sha1::digest(text.as_bytes());
    let signature = key.key().sign(Pkcs1v15Sign::new::<Sha1>(), &digest).ok()?;
    Some(STANDARD.encode(signature))
}

/// Everything but the unreserved characters is encoded (RFC 5849, section 3.6).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

fn encode(text: &str) -> Zeroizing<String> {
    Zeroizing::new(utf8_percent_encode(text, RESERVED).collect())
}

#[cfg(test)]
mod tests;
