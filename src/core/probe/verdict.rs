//! What a call to Jira can tell about a credential.

use std::time::Duration;

use chrono::TimeDelta;

use crate::api::Account;
use crate::core::probe::proxy::ProxyFault;
use crate::core::probe::site_wait::WaitCause;

/// The outcome of one probe.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Jira accepted the credential: it belongs to this account.
    Accepted(Account),
    /// Jira checked the credential, or the caller, and said no.
    Refused(Refusal),
    /// Nothing was learnt about the credential.
    NoVerdict(Outage),
    /// The call was not made, because the operator must not connect to where the site's name
    /// points.
    NotAllowed(Forbidden),
}

/// Why Jira said no.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Refusal {
    /// Wrong, expired or revoked credential; Jira does not tell which.
    Rejected,
    /// A person must solve a CAPTCHA first; the password was not checked.
    CaptchaRequired,
    /// Basic authentication is switched off on this instance.
    BasicAuthDisabled,
    /// A password was used where Cloud wants an API token.
    PasswordNotAllowed,
    /// The address we call from is not on the site's allow-list.
    IpBlocked,
    /// The token is good but lacks a scope.
    InsufficientScope,
    /// Atlassian's gateway says that the app is not installed on the site, or has no consent for it:
    /// the consent does not cover the site, or no scope of Jira there.
    NoConsent,
    /// This host does not serve this kind of credential.
    WrongHost,
    /// A Data Center answered where Cloud is expected.
    IsDataCenter,
    /// Atlassian's cloud answered where a Data Center is expected.
    IsCloud,
    /// The account is deactivated.
    AccountInactive,
    /// 403 without a known cause.
    Forbidden,
    /// The signature of an OAuth 1.0a request does not fit.
    SignatureRejected,
    /// No application link has the consumer key.
    ConsumerUnknown,
    /// The consent covers no site at all.
    NoSite,
    /// The consent covers sites, but not this one.
    AnotherSite,
    /// The consent covers the site, but none of Jira's scopes on it.
    AnotherProduct,
    /// `cloudId` of the spec is the id of another site than `site`.
    CloudIdOfAnotherSite,
}

/// Why nothing was learnt.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Outage {
    /// The name of the site does not resolve.
    Dns,
    /// No connection.
    Connect,
    /// The TLS handshake failed for another reason than the certificate.
    Tls,
    /// The certificate is not trusted, expired, or of another name.
    Certificate,
    /// No answer in time; the request may have arrived.
    Timeout,
    /// The connection broke; the request may have arrived.
    ConnectionLost,
    /// The answer was longer than we read.
    TooLarge,
    /// A redirect, which is never followed with a credential.
    Redirect,
    /// A redirect to what looks like the login page of single sign-on.
    SingleSignOn,
    /// A redirect to the same call at another address.
    Moved,
    /// A redirect to the same call under another path of the same host.
    ContextPath,
    /// 200 with something that is not JSON, such as a login page of single sign-on.
    NotJson,
    /// 200 with JSON that is cut off or damaged.
    BrokenJson,
    /// 200 with a user, and a header by which Jira treated the caller as anonymous.
    Anonymous,
    /// JSON that does not describe a user.
    NotAUser,
    /// 404: no Jira at this address.
    NotFound,
    /// 404 of Atlassian's edge: no site of this name, or Jira was removed from it.
    NoCloudSite,
    /// Jira takes the request for one that a browser was tricked into (XSRF).
    CrossSiteCheck,
    /// Jira accepts the credential and will not say what its account may do.
    PermissionsUntold,
    /// 429.
    RateLimited {
        /// How long Jira asked us to wait; `None` when it did not say, or said 0.
        retry_after: Option<Duration>,
    },
    /// 503 with Retry-After.
    Unavailable {
        /// How long Jira asked us to wait.
        retry_after: Option<Duration>,
    },
    /// Another 5xx.
    ServerError(u16),
    /// A status code without a meaning for this call.
    Unexpected(u16),
    /// The CA certificates of `spec.tls` cannot be used.
    BadCaBundle,
    /// The time of a signed request is too far from that of Jira's clock.
    ClockSkew,
    /// Jira takes a signed request for one that came before.
    NonceUsed,
    /// Jira does not take a signed request, for its form.
    OAuthForm,
    /// The request could not be signed.
    NotSigned,
    /// The operator could not prepare the call or use its result: a fault of its own.
    Internal,
    /// The call was delayed until another process may have made it, and was not made.
    TooLate,
    /// The call was not made: those of others get no answer.
    Paused {
        /// How long calls to the site are paused.
        retry_after: Option<Duration>,
        /// Who does not answer: the site, or the proxy on the way to it.
        cause: WaitCause,
    },
    /// The proxy let no call through.
    Proxy(ProxyFault),
}

/// Why the call was not made.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Forbidden {
    /// The name resolves to a loopback address.
    Loopback,
    /// The name resolves to a link-local address, where clouds serve machine credentials.
    LinkLocal,
    /// The name of a Cloud site resolves to a private address.
    Private,
    /// The name resolves to an address that no site can have (unspecified, multicast, reserved).
    Reserved,
}

impl Outage {
    /// Whether the request may have reached Jira: a password may then have been counted.
    pub fn may_have_arrived(self) -> bool {
        match self {
            Outage::Dns
            | Outage::Connect
            | Outage::Tls
            | Outage::Certificate
            | Outage::BadCaBundle
            | Outage::NotSigned
            | Outage::TooLate
            | Outage::Internal
            | Outage::Paused { .. }
            | Outage::Proxy(_)
            | Outage::RateLimited { .. } => false,
            Outage::Timeout
            | Outage::ConnectionLost
            | Outage::TooLarge
            | Outage::Redirect
            | Outage::SingleSignOn
            | Outage::Moved
            | Outage::ContextPath
            | Outage::NotJson
            | Outage::BrokenJson
            | Outage::Anonymous
            | Outage::NotAUser
            | Outage::NotFound
            | Outage::NoCloudSite
            | Outage::CrossSiteCheck
            | Outage::PermissionsUntold
            | Outage::Unavailable { .. }
            | Outage::ServerError(_)
            | Outage::Unexpected(_)
            | Outage::ClockSkew
            | Outage::NonceUsed
            | Outage::OAuthForm => true,
        }
    }

    /// The wait before the next call: the usual one, or what Jira asked for if that is longer.
    pub fn retry_delay(self, usual: TimeDelta) -> TimeDelta {
        let asked = self.retry_after().map(TimeDelta::from_std);
        asked
            .and_then(Result::ok)
            .map_or(usual, |asked| usual.max(asked))
    }

    /// How long Jira asked us to wait, or calls to it are paused.
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Outage::RateLimited { retry_after }
            | Outage::Unavailable { retry_after }
            | Outage::Paused { retry_after, .. } => retry_after,
            _ => None,
        }
    }
}

/// A site that a token may be used on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resource {
    /// The id of the site on the gateway.
    pub id: String,
    /// The address of the site.
    pub url: String,
    /// What the token may do there.
    pub scopes: Vec<String>,
}

impl Resource {
    /// One consent can name a site twice, once for Jira and once for Confluence. Classic scopes of
    /// Jira have its name in the middle or at the end; Confluence's scopes have theirs.
    pub fn is_jira(&self) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|scope| !is_of_confluence(scope))
    }
}

fn is_of_confluence(scope: &str) -> bool {
    scope.ends_with(":confluence") || scope.contains(":confluence-") || scope == "search:confluence"
}
