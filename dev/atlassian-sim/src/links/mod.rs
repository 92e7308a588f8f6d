//! Application links of a Data Center instance: OAuth 1.0a as its server sees it.
//!
//! Written from RFC 5849, and sharing nothing with the signer: another way to the base string,
//! another library for RSA.

mod authorize;
mod base_string;
mod dance;
mod handle;
mod key;
mod verifier;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub(crate) use authorize::authorize;
pub(crate) use dance::{access_token, request_token, with_form};
pub(crate) use verifier::{Problem, Signed, token_of, verify};

pub use handle::{AccessToken, ApplicationLink};
pub use key::LinkKey;

/// The incoming links of an instance.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// Consumer key to the public key, as `SubjectPublicKeyInfo` in DER.
    keys: HashMap<String, Vec<u8>>,
    /// Consumer key to the callback that an administrator registered.
    callbacks: HashMap<String, String>,
    /// Request tokens by value.
    requests: HashMap<Arc<str>, dance::RequestToken>,
    /// Id of an access token to the consumer key it was given to.
    consumers: HashMap<Arc<str>, String>,
    /// Consumer key, timestamp and nonce of what was seen inside the window.
    seen: HashSet<(String, i64, String)>,
}
