//! What a verdict means for one credential, and the reason to report for it.

use crate::api::{Account, Reason};
use crate::core::probe::verdict::{Forbidden, Outage, Refusal};

/// The meaning of a probe.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Judgement {
    /// The credential works and belongs to the pinned account.
    Accepted(Account),
    /// It is refused.
    Refused(Cause),
    /// It is refused to our surprise: a second probe decides.
    Unconfirmed(Refusal),
    /// Nothing was learnt.
    NoVerdict(Outage),
    /// The site must not be called.
    NotAllowed(Forbidden),
}

impl Judgement {
    /// Whether Jira may have seen the credential. What limits the rate may stand behind the login.
    pub fn was_sent(&self) -> bool {
        match self {
            Self::Accepted(_)
            | Self::Refused(_)
            | Self::Unconfirmed(_)
            | Self::NoVerdict(Outage::RateLimited { .. }) => true,
            Self::NoVerdict(outage) => outage.may_have_arrived(),
            Self::NotAllowed(_) => false,
        }
    }
}

/// Why a credential is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// Jira said so.
    Jira(Refusal),
    /// It belongs to another account than the pinned one.
    AccountChanged,
    /// The account lacks a permission that the spec requires.
    PermissionMissing,
    /// The token lacks the scope to tell what the account may do.
    PermissionsUnreadable,
}

impl Cause {
    /// The reason to report.
    pub fn reason(self) -> Reason {
        match self {
            Cause::AccountChanged => Reason::AccountChanged,
            Cause::PermissionMissing => Reason::PermissionMissing,
            Cause::PermissionsUnreadable => Reason::InsufficientScope,
            Cause::Jira(refusal) => match refusal {
                Refusal::Rejected | Refusal::Forbidden | Refusal::PasswordNotAllowed => {
                    Reason::Rejected
                }
                Refusal::CaptchaRequired => Reason::CaptchaRequired,
                Refusal::BasicAuthDisabled => Reason::BasicAuthDisabled,
                Refusal::IpBlocked => Reason::IpBlocked,
                Refusal::InsufficientScope | Refusal::NoConsent | Refusal::AnotherProduct => {
                    Reason::InsufficientScope
                }
                Refusal::WrongHost
                | Refusal::IsDataCenter
                | Refusal::IsCloud
                | Refusal::NoSite
                | Refusal::AnotherSite
                | Refusal::CloudIdOfAnotherSite => Reason::WrongHost,
                Refusal::AccountInactive => Reason::AccountInactive,
                Refusal::SignatureRejected => Reason::SignatureRejected,
                Refusal::ConsumerUnknown => Reason::ClientRejected,
            },
        }
    }
}

/// The reason to report for an outage.
pub fn outage_reason(outage: Outage) -> Reason {
    match outage {
        Outage::RateLimited { .. } => Reason::RateLimited,
        Outage::BadCaBundle => Reason::SourceMalformed,
        Outage::ClockSkew => Reason::ClockSkew,
        Outage::CrossSiteCheck => Reason::CrossSiteCheck,
        Outage::Dns
        | Outage::Connect
        | Outage::Tls
        | Outage::Certificate
        | Outage::Timeout
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
        | Outage::PermissionsUntold
        | Outage::Unavailable { .. }
        | Outage::ServerError(_)
        | Outage::Unexpected(_)
        | Outage::NonceUsed
        | Outage::OAuthForm
        | Outage::NotSigned
        | Outage::Internal
        | Outage::TooLate
        | Outage::Paused { .. }
        | Outage::Proxy(_) => Reason::SiteUnavailable,
    }
}
