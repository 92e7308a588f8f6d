//! The condition `Ready`: whether what pods mount is current and validated, and what is waited for.

use crate::api::{AttemptOutcome, ConditionStatus, Reason};
use crate::core::conclude::conditions::unanswered::failing_validation;
use crate::core::conclude::conditions::{ConditionDraft, draft};
use crate::core::decide::renewal::blocker;
use crate::core::decide::renewal::blocker::renewal_blocker;
use crate::core::facts::{Facts, Peer, Source};
use crate::core::messages;
use crate::core::messages::{meanwhile, renewal};

/// Whether a credential needs a person before anything can change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BlockedOn {
    /// For nothing.
    Nothing,
    /// For something that happens without a person.
    Time,
    /// For a person.
    Person,
}

/// Whether what pods mount is current and validated, and what is waited for.
pub fn ready(
    facts: &Facts,
    valid: &ConditionDraft,
    published: &ConditionDraft,
) -> (ConditionDraft, BlockedOn) {
    use ConditionStatus::{False, True, Unknown};
    if let Err(problem) = &facts.plan {
        return (
            draft(False, problem.reason(), problem_text(facts, problem)),
            BlockedOn::Person,
        );
    }
    if let Source::Unusable(problem) = &facts.source {
        let waits = match problem.reason() {
            Reason::SourceMissing => BlockedOn::Time,
            _ => BlockedOn::Person,
        };
        return (
            draft(False, problem.reason(), problem_text(facts, problem)),
            waits,
        );
    }
    if let Some(reason) = renewal_blocker(facts).filter(|reason| blocker::needs_person(*reason)) {
        return (
            draft(False, reason, renewal::message(facts, reason)),
            BlockedOn::Person,
        );
    }
    let (draft, waits) = match (valid.status, published.status) {
        (True, True) => {
            let text = if failing_validation(facts).is_some() {
                meanwhile::READY_WITHOUT_ANSWER
            } else {
                "The published credential is current and validated."
            };
            (draft(True, Reason::Validated, text), BlockedOn::Nothing)
        }
        (True, False | Unknown) => {
            let waits = if matches!(
                published.reason,
                Reason::Waiting | Reason::MergeTargetMissing | Reason::NamespaceMissing
            ) {
                BlockedOn::Time
            } else {
                BlockedOn::Person
            };
            (
                ConditionDraft {
                    status: False,
                    ..published.clone()
                },
                waits,
            )
        }
        (False, _) => (valid.clone(), BlockedOn::Person),
        (Unknown, _) => without_verdict(facts, valid, published),
    };
    if facts.spec.suspend {
        suspended(facts, &draft)
    } else {
        (draft, waits)
    }
}

fn without_verdict(
    facts: &Facts,
    valid: &ConditionDraft,
    published: &ConditionDraft,
) -> (ConditionDraft, BlockedOn) {
    let status = match published.status {
        ConditionStatus::True => ConditionStatus::Unknown,
        ConditionStatus::False | ConditionStatus::Unknown => ConditionStatus::False,
    };
    let attempt = facts.attempt();
    if attempt.and_then(|attempt| attempt.reason) == Some(Reason::HostNotAllowed) {
        let ready = ConditionDraft {
            status,
            reason: Reason::HostNotAllowed,
            message: valid.message.clone(),
        };
        return (ready, BlockedOn::Person);
    }
    let lost = match attempt.map(|attempt| attempt.outcome) {
        Some(AttemptOutcome::Started | AttemptOutcome::Interrupted) => !facts.is_validated(),
        Some(AttemptOutcome::Refused | AttemptOutcome::Unconfirmed | AttemptOutcome::NoVerdict) => {
            false
        }
        None => {
            facts.peer == Peer::Interrupted || renewal_blocker(facts) == Some(Reason::NotValidated)
        }
    };
    // Also where the first renewal must not call: waiting changes nothing.
    let waits = if lost || valid.reason == Reason::HostNotAllowed {
        BlockedOn::Person
    } else {
        BlockedOn::Time
    };
    (
        ConditionDraft {
            status,
            ..valid.clone()
        },
        waits,
    )
}

fn suspended(facts: &Facts, without: &ConditionDraft) -> (ConditionDraft, BlockedOn) {
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
        BlockedOn::Nothing
    } else {
        BlockedOn::Person
    };
    (
        ConditionDraft {
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
