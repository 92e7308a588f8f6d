//! A view on the calls to Jira, for metrics.

use crate::core::probe::{Outage, Refusal, Verdict};
use crate::core::spec::Site;

/// Receives every call to Jira. The labels come from a small fixed set, so that they can be
/// labels of metrics.
pub trait Observer: Send + Sync {
    /// One call has ended.
    fn call(&self, operation: &'static str, outcome: &'static str, seconds: f64);
}

/// The target of the log lines that say which credential was used.
pub const AUDIT: &str = "audit";

/// The credential for which calls are made, for the audit log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holder {
    /// The namespace of the `JiraCredential`.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The keyed fingerprint of its credential at the time of the call, if any was read.
    pub fingerprint: String,
}

/// Logs that a credential was sent somewhere, and how that ended.
pub(super) fn audit(holder: &Holder, site: &Site, operation: &'static str, verdict: &'static str) {
    tracing::info!(
        target: AUDIT,
        namespace = holder.namespace,
        name = holder.name,
        fingerprint = holder.fingerprint,
        site = site.base,
        operation,
        verdict,
        "used a credential"
    );
}

/// Whether the credential has left this machine: it has not when no connection was made.
pub(super) fn was_sent(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::NotAllowed(_) => false,
        // With 429 Jira has read the request, and has not acted on it.
        Verdict::Accepted(_)
        | Verdict::Refused(_)
        | Verdict::NoVerdict(Outage::RateLimited { .. }) => true,
        Verdict::NoVerdict(outage) => outage.may_have_arrived(),
    }
}

/// The word for a verdict.
pub(super) fn outcome(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted(_) => "accepted",
        Verdict::NotAllowed(_) => "not_allowed",
        Verdict::Refused(refusal) => refused(*refusal),
        Verdict::NoVerdict(outage) => outage_word(*outage),
    }
}

fn refused(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Rejected => "rejected",
        Refusal::CaptchaRequired => "captcha_required",
        Refusal::BasicAuthDisabled => "basic_auth_disabled",
        Refusal::PasswordNotAllowed => "password_not_allowed",
        Refusal::IpBlocked => "ip_blocked",
        Refusal::InsufficientScope => "insufficient_scope",
        Refusal::NoConsent => "no_consent",
        Refusal::WrongHost => "wrong_host",
        Refusal::IsDataCenter => "is_data_center",
        Refusal::IsCloud => "is_cloud",
        Refusal::AccountInactive => "account_inactive",
        Refusal::Forbidden => "forbidden",
        Refusal::SignatureRejected => "signature_rejected",
        Refusal::ConsumerUnknown => "consumer_unknown",
        Refusal::NoSite => "no_site",
        Refusal::AnotherSite => "another_site",
        Refusal::AnotherProduct => "another_product",
        Refusal::CloudIdOfAnotherSite => "cloud_id_of_another_site",
    }
}

fn outage_word(outage: Outage) -> &'static str {
    match outage {
        Outage::Dns => "dns",
        Outage::Connect => "connect",
        Outage::Tls => "tls",
        Outage::Certificate => "certificate",
        Outage::Timeout => "timeout",
        Outage::ConnectionLost => "connection_lost",
        Outage::TooLarge => "too_large",
        Outage::Redirect => "redirect",
        Outage::SingleSignOn => "single_sign_on",
        Outage::Moved => "moved",
        Outage::ContextPath => "context_path",
        Outage::NotJson => "not_json",
        Outage::BrokenJson => "broken_json",
        Outage::Anonymous => "anonymous",
        Outage::NotAUser => "not_a_user",
        Outage::Internal => "internal",
        Outage::NotFound => "not_found",
        Outage::CrossSiteCheck => "cross_site_check",
        Outage::NoCloudSite => "no_cloud_site",
        Outage::PermissionsUntold => "permissions_untold",
        Outage::RateLimited { .. } => "rate_limited",
        Outage::Unavailable { .. } => "unavailable",
        Outage::ServerError(_) => "server_error",
        Outage::Unexpected(_) => "unexpected",
        Outage::BadCaBundle => "bad_ca_bundle",
        Outage::ClockSkew => "clock_skew",
        Outage::NonceUsed => "nonce_used",
        Outage::OAuthForm => "oauth_form",
        Outage::NotSigned => "not_signed",
        Outage::TooLate => "too_late",
        Outage::Paused { .. } => "paused",
        Outage::Proxy(fault) => fault.word(),
    }
}
