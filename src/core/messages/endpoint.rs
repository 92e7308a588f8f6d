//! The words for a renewal that got no usable answer: what stood in the way, at the place that gives
//! tokens.

use crate::api::{ConditionType, Reason};
use crate::core::facts::Facts;
use crate::core::messages::proxy;
use crate::core::probe::{Outage, WaitCause};

/// `prefix` and the cause: what this reconcile met, else what an earlier one reported in a sentence with the
/// same prefix, else `usual`. `who` gives the tokens.
pub(crate) fn cause(
    facts: &Facts,
    reason: Reason,
    prefix: &str,
    who: &str,
    usual: String,
) -> String {
    if let Some(outage) = facts.progress.renewal_outage {
        return format!("{prefix}{}", words(facts, outage, who));
    }
    told(facts, reason, prefix).unwrap_or(usual)
}

fn told(facts: &Facts, reason: Reason, prefix: &str) -> Option<String> {
    let kinds = [
        ConditionType::RotationDue,
        ConditionType::Reconciling,
        ConditionType::Valid,
        ConditionType::Ready,
    ];
    let mut told = kinds
        .into_iter()
        .filter_map(|kind| facts.status.condition(kind))
        .filter(|told| told.reason == reason && told.message.starts_with(prefix));
    let (sentence, _) = told.next()?.message.split_once(". ")?;
    Some(format!("{sentence}."))
}

/// One sentence without a full stop inside, so that it is found again in the recorded message.
fn words(facts: &Facts, outage: Outage, who: &str) -> String {
    let what = match outage {
        Outage::Dns => "the name does not resolve",
        Outage::Connect => "there is no connection",
        Outage::Tls => "the TLS handshake fails",
        Outage::Certificate => {
            "the certificate is not trusted, has expired or is made for another name"
        }
        Outage::Timeout => "there was no answer in time",
        Outage::ConnectionLost => "the connection broke before the answer was complete",
        Outage::TooLarge => "the answer is too long",
        Outage::NotJson => "the answer is a web page instead of data",
        Outage::NotFound => "the answer is 404 (Not Found)",
        Outage::RateLimited { .. } => "the rate of calls is limited",
        Outage::Unavailable { .. } => "the answer is 503 (Service Unavailable)",
        Outage::Paused {
            cause: WaitCause::Proxy,
            ..
        } => {
            "calls are paused, because the proxy of the operator does not let those of other credentials through"
        }
        Outage::Paused { .. } => {
            "calls are paused, because those of other credentials get no answer"
        }
        Outage::BadCaBundle => {
            "the CA certificates of spec.tls cannot be used (store valid PEM certificates)"
        }
        Outage::TooLate => "the call was not made in time",
        Outage::ServerError(status) | Outage::Unexpected(status) => {
            return format!("{who} gave no usable answer: it has the status {status}.");
        }
        Outage::Proxy(fault) => return proxy::sentence(facts, fault, who),
        Outage::Redirect | Outage::SingleSignOn | Outage::Moved | Outage::ContextPath => {
            "the answer is a redirect, which is not followed"
        }
        Outage::BrokenJson => "the answer breaks off or is no valid JSON",
        _ => "it is of another kind",
    };
    format!("{who} gave no usable answer: {what}.")
}
