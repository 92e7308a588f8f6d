//! The secret values that a reconcile works with. None of them can be printed.

use std::fmt;
use std::sync::Arc;

use secrecy::{SecretSlice, SecretString};

use crate::api::SecretKeyRef;
use crate::cluster::grant_secret::Stored;
use crate::core::spec::RsaKey;
use crate::core::spec::SourceError;

/// The secret values of one credential. They stay apart from the facts that decisions see.
pub struct Material {
    /// E-mail or user name; none for Bearer methods.
    pub user: Option<String>,
    /// Token or password.
    pub secret: SecretString,
    /// What signs requests, for OAuth 1.0a.
    pub signing: Option<Signing>,
    /// Certificates of a private authority.
    pub ca_pem: Option<Vec<u8>>,
    /// What a renewal needs.
    pub tokens: Option<Tokens>,
    /// The organisation's API key, if it was read, or why there is none.
    pub api_key: Option<Result<SecretString, SourceError>>,
}

/// The secret values of a credential that renews itself.
#[derive(Default)]
pub struct Tokens {
    /// The grant, as it was read or written last.
    pub stored: Option<Stored>,
    /// The value in the user's Secret.
    pub seed: Option<SecretString>,
    /// The user name and password in it, for a session.
    pub login: Option<UserAndPassword>,
    /// The client secrets, in the order of the spec.
    pub clients: Vec<SecretString>,
}

/// The user name and password of a login.
#[derive(Clone)]
pub struct UserAndPassword {
    /// User name.
    pub user: String,
    /// Password.
    pub password: SecretString,
}

impl fmt::Debug for UserAndPassword {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("UserAndPassword(REDACTED)")
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Material").finish_non_exhaustive()
    }
}

/// A value as it was read, with what an event says about its line end.
pub(in crate::cluster) struct ReadValue {
    /// Where it is.
    pub reference: SecretKeyRef,
    /// The value without the line end behind it; `None`: it has none.
    pub trimmed: Option<SecretSlice<u8>>,
}

impl fmt::Debug for ReadValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ReadValue").finish_non_exhaustive()
    }
}

/// What signs requests of OAuth 1.0a, beside the access token.
pub struct Signing {
    /// Consumer key of the application link.
    pub consumer_key: String,
    /// The private key.
    pub key: Arc<RsaKey>,
    /// The private key in PEM form, as it is published: without the line end behind it.
    pub private_key: SecretString,
    /// The secret of the access token. RSA-SHA1 does not use it; some clients want to be given one.
    pub token_secret: Option<SecretString>,
}

impl fmt::Debug for Signing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Signing").finish_non_exhaustive()
    }
}
