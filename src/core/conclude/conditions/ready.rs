//! The condition `Ready`: whether what pods mount is current and validated, and what is waited for.

use crate::api::{AttemptOutcome, ConditionStatus, Reason};
use crate::core::conclude::conditions::{Finding, finding};
use crate::core::decide::renewal::blocker;
use crate::core::decide::renewal::blocker::trouble;
use crate::core::facts::{Facts, Peer, Source};
use crate::core::messages;
use crate::core::messages::renewal;

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

/// Whether what pods mount is current and validated, and what is waited for.
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
    if let Some(reason) = trouble(facts).filter(|reason| blocker::needs_person(*reason)) {
        return (
            finding(False, reason, renewal::words(facts, reason)),
            Waits::ForPerson,
        );
    }
    let (finding, waits) = match (valid.status, published.status) {
        (True, True) => {
            let text = "The published credential is current and validated.";
            (finding(True, Reason::Validated, text), Waits::No)
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
        suspended(facts, &finding)
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
        Some(AttemptOutcome::Started | AttemptOutcome::Interrupted) => !facts.is_validated(),
        Some(AttemptOutcome::Refused | AttemptOutcome::Unconfirmed | AttemptOutcome::NoVerdict) => {
            false
        }
        None => facts.peer == Peer::Interrupted || trouble(facts) == Some(Reason::NotValidated),
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

fn suspended(facts: &Facts, without: &Finding) -> (Finding, Waits) {
    let what = if facts.renews() {
        "the token is neither renewed, validated nor published"
    } else {
        "the credential is neither validated nor published"
    };
    let text = format!(
        "spec.suspend is set: {what} until it is false again. {}",
        messages::still(facts)
    );
    let waits = if without.status == ConditionStatus::True {
        Waits::No
    } else {
        Waits::ForPerson
    };
    (
        Finding {
            status: without.status,
            reason: Reason::Suspended,
            message: text,
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
    format!("{text}. {}", messages::still(facts))
}
