//! The conditions that follow from the facts.

use chrono::{DateTime, TimeDelta, Utc};

use super::decide::{Proof, may_publish, proof};
use super::facts::{Facts, Holder, Peer, Source, TargetFacts, TargetState};
use super::judge::{Cause, Judgement};
use super::message;
use super::schedule::{earlier, later};
use crate::api::{
    AttemptOutcome, Condition, ConditionStatus, ConditionType, JiraCredentialStatus, Reason,
};

/// A condition before it is known whether anything changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// True, False or Unknown.
    pub status: ConditionStatus,
    /// Why.
    pub reason: Reason,
    /// In words; `None`: the words that are recorded for the same status and reason still hold.
    pub message: Option<String>,
}

fn finding(status: ConditionStatus, reason: Reason, message: impl Into<String>) -> Finding {
    Finding {
        status,
        reason,
        message: Some(message.into()),
    }
}

/// Whether Jira accepts the credential.
pub fn valid(facts: &Facts) -> Finding {
    use ConditionStatus::{False, Unknown};
    let refused_elsewhere = refused_for_another(facts);
    let Some(attempt) = facts.attempt() else {
        return refused_elsewhere.unwrap_or_else(|| without_attempt(facts));
    };
    let reason = attempt.reason.unwrap_or(Reason::NotYetProven);
    match attempt.outcome {
        AttemptOutcome::Refused => {
            let ended = facts
                .plan
                .as_ref()
                .is_ok_and(|plan| plan.expires_at.is_some_and(|end| end <= facts.now));
            let reason = if ended && reason == Reason::Rejected {
                Reason::Expired
            } else {
                reason
            };
            Finding {
                status: False,
                reason,
                message: refusal_message(facts, reason),
            }
        }
        AttemptOutcome::Unconfirmed => {
            finding(Unknown, Reason::Confirming, message::confirming(facts))
        }
        AttemptOutcome::Started | AttemptOutcome::Interrupted if refused_elsewhere.is_some() => {
            refused_elsewhere.unwrap_or_else(|| without_attempt(facts))
        }
        AttemptOutcome::NoVerdict | AttemptOutcome::Started | AttemptOutcome::Interrupted
            if still_proven(facts) =>
        {
            accepted(facts)
        }
        AttemptOutcome::Started | AttemptOutcome::Interrupted => {
            finding(Unknown, Reason::NotYetProven, message::interrupted(facts))
        }
        AttemptOutcome::NoVerdict => {
            let message = match &facts.happened.judgement {
                Some(Judgement::NoVerdict(outage)) => Some(message::outage(facts, *outage)),
                Some(Judgement::NotAllowed(why)) => Some(message::not_allowed(facts, *why)),
                _ => None,
            };
            let reason = match reason {
                Reason::RateLimited | Reason::SiteUnavailable => reason,
                _ => Reason::NotYetProven,
            };
            Finding {
                status: Unknown,
                reason,
                message,
            }
        }
    }
}

/// A refusal of a password counts for every credential that would send the same.
fn refused_for_another(facts: &Facts) -> Option<Finding> {
    let Peer::Refused(reason) = facts.peer else {
        return None;
    };
    let text = format!(
        "Jira refused the same user name and password for another JiraCredential; they were not sent again. Correct the Secret, or set the annotation jira-operator.dev/renew to a new value to try all the same. {}",
        message::still(facts)
    );
    Some(finding(ConditionStatus::False, reason, text))
}

fn without_attempt(facts: &Facts) -> Finding {
    use ConditionStatus::Unknown;
    if still_proven(facts) {
        return accepted(facts);
    }
    if facts.peer == Peer::Interrupted && !facts.is_proven() {
        return finding(Unknown, Reason::NotYetProven, message::interrupted(facts));
    }
    if matches!((facts.cooling_until, proof(facts)), (Some(_), Proof::At(_))) {
        let host = message::host(facts);
        let text = format!(
            "{host} asked to wait before the next call. {}",
            message::still(facts)
        );
        return finding(Unknown, Reason::RateLimited, text);
    }
    let what = if facts.is_proven() {
        "The last proof is too old to rely on."
    } else {
        "Jira has not been asked about this credential yet."
    };
    finding(
        Unknown,
        Reason::NotYetProven,
        format!("{what} {}", message::still(facts)),
    )
}

fn accepted(facts: &Facts) -> Finding {
    let account = facts
        .account()
        .map(|account| account.id.as_str())
        .unwrap_or_default();
    let text = format!(
        "Jira at {} accepts the credential as {account}.",
        message::host(facts)
    );
    finding(ConditionStatus::True, Reason::Accepted, text)
}

/// Whether the credential in the source was proven and the proof has not grown stale.
fn still_proven(facts: &Facts) -> bool {
    facts.is_proven()
        && facts
            .proof_is_stale_from()
            .is_some_and(|stale| facts.now < stale)
}

fn refusal_message(facts: &Facts, reason: Reason) -> Option<String> {
    match &facts.happened.judgement {
        Some(Judgement::Refused(cause)) if reason == Reason::Expired => Some(format!(
            "The credential has reached its stated end, and {}",
            lower_first(&message::refused(facts, *cause))
        )),
        Some(Judgement::Refused(cause)) => Some(message::refused(facts, *cause)),
        _ if reason == Reason::AccountChanged => {
            Some(message::refused(facts, Cause::AccountChanged))
        }
        _ => None,
    }
}

fn lower_first(text: &str) -> String {
    // Every refusal begins with a name or an article; only articles change.
    text.strip_prefix("The ")
        .map_or_else(|| text.to_owned(), |rest| format!("the {rest}"))
}

/// Whether every target holds the credential that was proven last.
pub fn published(facts: &Facts) -> Finding {
    use ConditionStatus::{False, True};
    if let Some(problem) = facts
        .targets
        .iter()
        .find_map(|target| target_problem(facts, target))
    {
        return problem;
    }
    if !facts.targets.is_empty() && facts.targets.iter().all(|target| facts.is_in_sync(target)) {
        let names: Vec<&str> = facts
            .targets
            .iter()
            .map(|target| target.target.name.as_str())
            .collect();
        let noun = if names.len() == 1 {
            "The Secret"
        } else {
            "The Secrets"
        };
        let verb = if names.len() == 1 { "holds" } else { "hold" };
        let text = format!("{noun} {} {verb} the proven credential.", names.join(", "));
        return finding(True, Reason::Written, text);
    }
    let text = if facts.status.proven_fingerprint.is_none() {
        "Nothing is published before Jira has accepted the credential."
    } else if may_publish(facts) {
        "A target is not up to date yet."
    } else {
        "A target was changed or deleted and cannot be restored before Jira accepts the credential in the source again."
    };
    finding(False, Reason::Waiting, text)
}

fn target_problem(facts: &Facts, target: &TargetFacts) -> Option<Finding> {
    use ConditionStatus::False;
    let name = &target.target.name;
    let conflict = |other: &str| {
        let text = format!(
            "The Secret {name} is written by the JiraCredential {other}. Name another Secret in spec.targets."
        );
        finding(False, Reason::TargetConflict, text)
    };
    match &target.state {
        TargetState::Held(Holder::Credential(other), _) => Some(conflict(other)),
        TargetState::Held(Holder::Stranger, _) => {
            let text = format!(
                "The Secret {name} exists and was not written by this JiraCredential; it is left alone. Delete it, or name another Secret in spec.targets."
            );
            Some(finding(False, Reason::TargetForeign, text))
        }
        TargetState::Refused(cause) => {
            let text = format!("The API server refuses to write the Secret {name}: {cause}");
            Some(finding(False, Reason::WriteRefused, text))
        }
        _ if facts.is_in_sync(target) => None,
        _ if facts.is_held_by_another(target) => Some(recorded_problem(facts)),
        _ => target.older_claim.as_deref().map(conflict),
    }
}

/// Who holds the target was told in an earlier pass, and nothing has changed since.
fn recorded_problem(facts: &Facts) -> Finding {
    let reason = condition(&facts.status, ConditionType::Published)
        .map(|old| old.reason)
        .filter(|reason| matches!(reason, Reason::TargetForeign | Reason::TargetConflict))
        .unwrap_or(Reason::TargetForeign);
    Finding {
        status: ConditionStatus::False,
        reason,
        message: None,
    }
}

/// Whether a person must rotate the credential, and the times at which that changes.
pub fn rotation_due(facts: &Facts) -> (Finding, Option<DateTime<Utc>>, Vec<DateTime<Utc>>) {
    use ConditionStatus::{False, True};
    let not_due = || finding(False, Reason::NotDue, "No rotation is due.");
    let Ok(plan) = &facts.plan else {
        return (not_due(), None, Vec::new());
    };
    let warn = plan.periods.warn_before;
    let begin = plan.issued_at.or(facts.status.first_seen_time);
    let too_old = plan
        .periods
        .max_age
        .zip(begin)
        .map(|(age, begin)| later(begin, age));
    let ends: Vec<DateTime<Utc>> = [plan.expires_at, too_old].into_iter().flatten().collect();
    let due = ends.iter().min().map(|end| earlier(*end, warn));
    let mut changes: Vec<DateTime<Utc>> = ends.clone();
    changes.extend(ends.iter().map(|end| earlier(*end, warn)));
    let passed = |end: Option<DateTime<Utc>>, before: TimeDelta| {
        end.is_some_and(|end| earlier(end, before) <= facts.now)
    };
    let date = |end: Option<DateTime<Utc>>| {
        end.map(|end| end.format("%Y-%m-%d").to_string())
            .unwrap_or_default()
    };
    let finding = if passed(plan.expires_at, TimeDelta::zero()) {
        finding(
            True,
            Reason::Expired,
            format!(
                "The credential expired on {}. Store a new one in the source.",
                date(plan.expires_at)
            ),
        )
    } else if passed(plan.expires_at, warn) {
        finding(
            True,
            Reason::ExpiresSoon,
            format!(
                "The credential expires on {}. Store a new one in the source before then.",
                date(plan.expires_at)
            ),
        )
    } else if passed(too_old, TimeDelta::zero()) {
        finding(
            True,
            Reason::MaxAgeReached,
            format!(
                "The credential reached spec.rotation.maxAge on {}. Store a new one in the source.",
                date(too_old)
            ),
        )
    } else if passed(too_old, warn) {
        finding(
            True,
            Reason::MaxAgeReached,
            format!(
                "The credential reaches spec.rotation.maxAge on {}. Store a new one in the source before then.",
                date(too_old)
            ),
        )
    } else {
        not_due()
    };
    (finding, due, changes)
}

/// Whether a credential needs a person before anything can change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Waits {
    /// For nothing.
    No,
    /// For something that comes by itself.
    ByItself,
    /// For a person.
    ForPerson,
}

/// Whether what pods mount is current and proven, and what is waited for.
pub fn ready(facts: &Facts, valid: &Finding, published: &Finding) -> (Finding, Waits) {
    use ConditionStatus::{False, True, Unknown};
    if let Err(problem) = &facts.plan {
        return (
            finding(False, problem.reason(), problem_text(facts, problem)),
            Waits::ForPerson,
        );
    }
    if let Source::Unusable(problem) = &facts.source {
        let waits = match problem.reason() {
            Reason::SourceMissing => Waits::ByItself,
            _ => Waits::ForPerson,
        };
        return (
            finding(False, problem.reason(), problem_text(facts, problem)),
            waits,
        );
    }
    let (finding, waits) = match (valid.status, published.status) {
        (True, True) => {
            let text = "The published credential is current and proven.";
            (finding(True, Reason::Proven, text), Waits::No)
        }
        (True, False | Unknown) => {
            let waits = if published.reason == Reason::Waiting {
                Waits::ByItself
            } else {
                Waits::ForPerson
            };
            (
                Finding {
                    status: False,
                    ..published.clone()
                },
                waits,
            )
        }
        (False, _) => (valid.clone(), Waits::ForPerson),
        (Unknown, _) => without_verdict(facts, valid, published),
    };
    if facts.spec.suspend {
        suspended(facts, finding)
    } else {
        (finding, waits)
    }
}

fn without_verdict(facts: &Facts, valid: &Finding, published: &Finding) -> (Finding, Waits) {
    let status = match published.status {
        ConditionStatus::True => ConditionStatus::Unknown,
        ConditionStatus::False | ConditionStatus::Unknown => ConditionStatus::False,
    };
    let attempt = facts.attempt();
    if attempt.and_then(|attempt| attempt.reason) == Some(Reason::HostNotAllowed) {
        let ready = Finding {
            status,
            reason: Reason::HostNotAllowed,
            message: valid.message.clone(),
        };
        return (ready, Waits::ForPerson);
    }
    let lost = match attempt.map(|attempt| attempt.outcome) {
        Some(AttemptOutcome::Started | AttemptOutcome::Interrupted) => true,
        Some(AttemptOutcome::Refused | AttemptOutcome::Unconfirmed | AttemptOutcome::NoVerdict) => {
            false
        }
        None => facts.peer == Peer::Interrupted,
    };
    let waits = if lost {
        Waits::ForPerson
    } else {
        Waits::ByItself
    };
    (
        Finding {
            status,
            ..valid.clone()
        },
        waits,
    )
}

fn suspended(facts: &Facts, finding: Finding) -> (Finding, Waits) {
    let text = format!(
        "spec.suspend is set: the credential is neither proven nor published until it is false again. {}",
        message::still(facts)
    );
    let waits = if finding.status == ConditionStatus::True {
        Waits::No
    } else {
        Waits::ForPerson
    };
    (
        Finding {
            reason: Reason::Suspended,
            message: Some(text),
            ..finding
        },
        waits,
    )
}

fn problem_text(facts: &Facts, problem: &impl ToString) -> String {
    let text = problem.to_string();
    let mut letters = text.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().to_string())
        .unwrap_or_default();
    // A path of the spec keeps its spelling.
    let text = if text.starts_with("spec.") {
        text.clone()
    } else {
        first + letters.as_str()
    };
    format!("{text}. {}", message::still(facts))
}

/// The recorded condition of a type.
pub fn condition(status: &JiraCredentialStatus, kind: ConditionType) -> Option<&Condition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.kind == kind)
}
