//! What a verdict of Jira means for this credential.

use super::answer::{Forbidden, Outage, Refusal, Verdict};
use super::facts::Facts;
use crate::api::{Account, AttemptOutcome, Reason};

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

impl Facts {
    /// What a verdict means for this credential, by what is recorded of it.
    pub fn judge(&self, verdict: &Verdict) -> Judgement {
        match verdict {
            Verdict::Accepted(account) => {
                if self
                    .pinned_account()
                    .is_some_and(|pinned| pinned != account.id)
                {
                    Judgement::Refused(Cause::AccountChanged)
                } else {
                    Judgement::Accepted(account.clone())
                }
            }
            Verdict::Refused(refusal) if self.is_surprising() || self.is_early_death(*refusal) => {
                Judgement::Unconfirmed(*refusal)
            }
            Verdict::Refused(refusal) => Judgement::Refused(Cause::Jira(*refusal)),
            Verdict::NoVerdict(outage) => Judgement::NoVerdict(*outage),
            Verdict::NotAllowed(forbidden) => Judgement::NotAllowed(*forbidden),
        }
    }

    /// One refusal of what Jira accepted before is confirmed first. A password never is: Jira
    /// counts every refusal.
    fn is_surprising(&self) -> bool {
        let refused_before = self.attempt().is_some_and(|attempt| match attempt.outcome {
            AttemptOutcome::Refused | AttemptOutcome::Unconfirmed => true,
            AttemptOutcome::Started | AttemptOutcome::NoVerdict | AttemptOutcome::Interrupted => {
                false
            }
        });
        let ended = self.source_has_ended();
        self.is_proven()
            && !self.replaces_the_refused()
            && !self.is_password()
            && !refused_before
            && !ended
    }
}

impl Facts {
    /// A token that should still live earns one renewal before it counts as refused: a gateway
    /// says 403 and 404, too, where it means that the token has ended (reported).
    fn is_early_death(&self, refusal: Refusal) -> bool {
        let may_be = matches!(
            refusal,
            Refusal::Rejected | Refusal::Forbidden | Refusal::WrongHost
        );
        may_be && self.may_renew_early()
    }
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
                Refusal::InsufficientScope | Refusal::AnotherProduct => Reason::InsufficientScope,
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
        Outage::Dns
        | Outage::Connect
        | Outage::Tls
        | Outage::Certificate
        | Outage::Timeout
        | Outage::ConnectionLost
        | Outage::TooLarge
        | Outage::Redirect
        | Outage::ContextPath
        | Outage::NotJson
        | Outage::NotAUser
        | Outage::NotFound
        | Outage::PermissionsUntold
        | Outage::Unavailable { .. }
        | Outage::ServerError(_)
        | Outage::Unexpected(_)
        | Outage::NonceUsed
        | Outage::OAuthForm
        | Outage::NotSigned
        | Outage::TooLate => Reason::SiteUnavailable,
    }
}
