//! Tokens as the outside holds them.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// The kinds of token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenKind {
    /// A Cloud user's API token without scopes: Basic, on the site host and on the gateway.
    Classic,
    /// A Cloud user's API token with scopes: Basic, on the gateway only.
    Scoped,
    /// A Cloud service account's API token, always scoped: Basic or Bearer, gateway only.
    ServiceAccount,
    /// An access token of OAuth 2.0: Bearer, gateway only. Only the token endpoint issues it.
    Access,
    /// A Data Center personal access token: Bearer only.
    PersonalAccess,
    /// An access token of OAuth 1.0a on Data Center: in signed requests only. Only an application
    /// link issues it.
    Link,
}

/// A token: its secret, and its id, by which the simulator's log and calls name it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    id: Arc<str>,
    secret: Arc<str>,
    owner: Arc<str>,
    kind: TokenKind,
}

impl Token {
    pub(crate) fn new(id: Arc<str>, secret: Arc<str>, owner: Arc<str>, kind: TokenKind) -> Self {
        Self {
            id,
            secret,
            owner,
            kind,
        }
    }

    /// The id in the call log, such as `token-7`. No secret.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secret.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The e-mail or user name of its owner.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Its kind.
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The value of an `Authorization` header that carries it as `Basic owner:secret`.
    pub fn basic(&self) -> String {
        basic(&self.owner, &self.secret)
    }

    /// The value of an `Authorization` header that carries it as `Bearer secret`.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.secret)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .field("owner", &self.owner)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// The value of an `Authorization` header for a user and a secret.
pub fn basic(user: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")))
}
