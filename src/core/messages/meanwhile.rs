//! The messages while `Ready` is still True and something fails: what fails, and how long what pods
//! mount still counts.

use crate::api::{ConditionType, Reason};
use crate::core::facts::Facts;
use crate::core::messages::{host, outage, renewal, replacement};
use crate::core::probe::Judgement;
use crate::core::spec::SourceError;

/// The words of the event when a Secret that the next renewal needs is there again.
pub const INPUT_IS_BACK: &str = "What the next renewal needs is there again.";

/// Added while a person's request has no answer.
pub const PENDING: &str = "The validation requested with the annotation jira-operator.dev/renew is \
    pending until Jira answers.";

/// Added while a password that a person asked to send again could not be sent.
pub const UNSENT: &str = "The validation requested with the annotation jira-operator.dev/renew could not \
    be made: the password was not sent, and the operator sends it once when it can connect.";

/// The words of the event when what failed beside a Ready credential works again.
pub const RECOVERED: &str =
    "The operator gets answers again; the published credential is current and validated.";

/// How long `Ready` stays True without an answer.
const STILL_READY: &str = "Ready stays True until the last acceptance is two validation intervals old, or the credential ends.";

/// How long `Ready` stays True without a renewal.
const UNTIL_IT_ENDS: &str = "Ready stays True until the current token expires.";

/// What `Ready` says while validations get no answer.
pub const READY_WITHOUT_ANSWER: &str = "The published credential is current, but Jira has not confirmed \
    it at the last validation; the condition Reconciling or Stalled says why. Ready stays True until the last acceptance is two \
    validation intervals old, or the credential ends.";

/// A validation that got no answer.
pub fn validation(facts: &Facts, reason: Reason) -> String {
    let cause = match &facts.progress.judgement {
        Some(Judgement::NoVerdict(outage)) => Some(outage::cause(facts, *outage)),
        Some(Judgement::NotAllowed(forbidden)) => Some(outage::address(facts, *forbidden)),
        _ => told_cause(facts, reason),
    };
    let cause = cause.unwrap_or_else(|| {
        format!(
            "The last validation at {} told nothing about the credential. The operator retries.",
            host(facts)
        )
    });
    format!("{cause} {STILL_READY}")
}

/// A validation that is due while no calls are made to the site.
pub fn paused(facts: &Facts) -> Option<(Reason, String)> {
    let (reason, cause) = outage::pause(facts)?;
    Some((reason, format!("{cause} {STILL_READY}")))
}

/// The reason that an earlier reconcile told while `Ready` was still True.
pub fn told_reason(facts: &Facts) -> Option<Reason> {
    let told = facts.status.condition(ConditionType::Reconciling)?;
    told.message.contains(STILL_READY).then_some(told.reason)
}

/// The cause that an earlier reconcile told while `Ready` was still True.
pub fn told_cause(facts: &Facts, reason: Reason) -> Option<String> {
    let told = [ConditionType::Reconciling, ConditionType::Stalled]
        .into_iter()
        .filter_map(|kind| facts.status.condition(kind))
        .find(|told| told.reason == reason)?;
    let (cause, _) = told.message.split_once(STILL_READY)?;
    Some(cause.trim_end().to_owned())
}

/// A Secret is gone that the next renewal needs.
pub fn missing(problem: &SourceError) -> String {
    format!("Cannot renew the token: {problem}. {UNTIL_IT_ENDS}")
}

/// A renewal that is due and does not succeed.
pub fn renewal(facts: &Facts, reason: Reason) -> String {
    if facts.makes_successors() {
        return replacement::replacement_message(facts, reason);
    }
    format!("{} {UNTIL_IT_ENDS}", renewal::message(facts, reason))
}
