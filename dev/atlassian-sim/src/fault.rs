//! Faults, and the rules that say when they strike.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What goes wrong.
///
/// Durations are milliseconds of real time, for a client waits in real time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    tag = "kind"
)]
pub enum Fault {
    /// The request waits before it is processed; other rules may strike as well.
    Latency {
        /// How long.
        millis: u64,
    },
    /// The connection is closed; the request was not processed.
    DropBefore,
    /// The request is processed (a failed login counts), then the connection is closed.
    DropAfter,
    /// No answer ever comes, and the request is not processed unless the hang is released.
    HangBefore,
    /// The request is processed, but no answer comes unless the hang is released.
    HangAfter,
    /// 429 in the form of the host: Cloud's or Data Center's.
    RateLimit {
        /// `Retry-After` in seconds; Data Center really sends 0 at times.
        #[serde(default)]
        retry_after: Option<u64>,
        /// HTML instead of JSON. Data Center sends JSON only to clients that accept it, anyway.
        #[serde(default)]
        html: bool,
    },
    /// A 5xx with an HTML page, as a proxy or a load balancer sends it.
    ServerError {
        /// The status.
        status: u16,
    },
    /// 503, with `Retry-After` if given.
    Unavailable {
        /// `Retry-After` in seconds.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// The request is processed (a token is rotated), and then the answer is a 5xx with an HTML page, as
    /// a proxy sends it that has lost the answer behind it.
    ErrorAfter {
        /// The status.
        status: u16,
    },
    /// A redirect.
    Redirect {
        /// 301, 302, 307, …
        status: u16,
        /// Where to.
        location: String,
    },
    /// 200 with an HTML login page.
    HtmlPage,
    /// The right answer, whose body comes `chunk` bytes at a time.
    SlowBody {
        /// Bytes at a time.
        chunk: usize,
        /// The pause before each.
        millis: u64,
    },
    /// The right status and headers, and a body without end.
    EndlessBody,
    /// The right answer, cut off half-way.
    TruncatedBody,
    /// The right body under another content type.
    WrongContentType {
        /// The content type it claims.
        content_type: String,
    },
    /// The right status and content type, and a body that is no JSON.
    GarbageJson,
    /// Any answer.
    Canned(Canned),
    /// The connection is closed in the TLS handshake.
    TlsAbort,
    /// A certificate of an authority that nobody trusts.
    TlsUnknownCa,
    /// A certificate for another name.
    TlsWrongName,
    /// A certificate that has expired.
    TlsExpired,
}

impl Fault {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "latency",
            Self::DropBefore => "drop-before",
            Self::DropAfter => "drop-after",
            Self::HangBefore => "hang-before",
            Self::HangAfter => "hang-after",
            Self::RateLimit { .. } => "rate-limit",
            Self::ServerError { .. } => "server-error",
            Self::Unavailable { .. } => "unavailable",
            Self::ErrorAfter { .. } => "error-after",
            Self::Redirect { .. } => "redirect",
            Self::HtmlPage => "html-page",
            Self::SlowBody { .. } => "slow-body",
            Self::EndlessBody => "endless-body",
            Self::TruncatedBody => "truncated-body",
            Self::WrongContentType { .. } => "wrong-content-type",
            Self::GarbageJson => "garbage-json",
            Self::Canned(_) => "canned",
            Self::TlsAbort => "tls-abort",
            Self::TlsUnknownCa => "tls-unknown-ca",
            Self::TlsWrongName => "tls-wrong-name",
            Self::TlsExpired => "tls-expired",
        }
    }

    /// Whether it strikes in the handshake, where only the host is known.
    pub(crate) fn is_tls(&self) -> bool {
        matches!(
            self,
            Self::TlsAbort | Self::TlsUnknownCa | Self::TlsWrongName | Self::TlsExpired
        )
    }
}

/// An answer word for word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canned {
    /// The status.
    pub status: u16,
    /// The headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub body: String,
}

/// A fault, the requests it is for, and how often it strikes.
///
/// Rules are tried in the order in which they were added. Every `Latency` that matches adds up;
/// of the others the first one strikes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Only this host (without port).
    #[serde(default)]
    pub host: Option<String>,
    /// Only paths that begin so, counted from the host's root: a context path and
    /// `/ex/jira/{cloudId}` belong to it.
    #[serde(default)]
    pub path_prefix: Option<String>,
    /// Only requests with this HTTP method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only this user: as named in a Basic header or a login, or the owner of a Bearer token or
    /// session.
    #[serde(default)]
    pub user: Option<String>,
    /// Only the token or session of this id.
    #[serde(default)]
    pub token_id: Option<String>,
    /// Lets so many matching requests pass first.
    #[serde(default)]
    pub skip: u64,
    /// Strikes so often; without a number, for ever.
    #[serde(default)]
    pub times: Option<u64>,
    /// Strikes only before this virtual time.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
    /// What goes wrong.
    pub fault: Fault,
}

impl Rule {
    /// A rule that strikes every request, for ever.
    pub fn new(fault: Fault) -> Self {
        Self {
            host: None,
            path_prefix: None,
            method: None,
            user: None,
            token_id: None,
            skip: 0,
            times: None,
            until: None,
            fault,
        }
    }

    /// Only this host.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Only paths that begin so.
    #[must_use]
    pub fn path(mut self, prefix: impl Into<String>) -> Self {
        self.path_prefix = Some(prefix.into());
        self
    }

    /// Only requests with this HTTP method.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Only this user.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Only this token.
    #[must_use]
    pub fn token(mut self, token: &crate::Token) -> Self {
        self.token_id = Some(token.id().to_owned());
        self
    }

    /// Lets `count` matching requests pass first.
    #[must_use]
    pub fn skip(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// Strikes `count` times.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.times = Some(count);
        self
    }

    /// Strikes once.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Strikes only before `end`, in virtual time.
    #[must_use]
    pub fn until(mut self, end: DateTime<Utc>) -> Self {
        self.until = Some(end);
        self
    }
}
