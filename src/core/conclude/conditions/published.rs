//! The condition `Published`.

use crate::api::{ConditionStatus, Reason};
use crate::core::conclude::conditions::{ConditionDraft, draft};
use crate::core::facts::targets::merges;
use crate::core::facts::{Facts, Holder, TargetFacts, TargetState};
use crate::core::messages;

/// Whether every target holds the credential that was validated last.
pub(crate) fn published(facts: &Facts) -> ConditionDraft {
    use ConditionStatus::{False, True};
    if let Some(problem) = facts
        .targets
        .iter()
        .find_map(|target| target_problem(facts, target))
    {
        return problem;
    }
    if !facts.targets.is_empty() && facts.targets.iter().all(|target| facts.is_in_sync(target)) {
        let targets = facts.targets.iter();
        let names: Vec<String> = targets.map(|target| target.target.path()).collect();
        let noun = if names.len() == 1 {
            "The Secret"
        } else {
            "The Secrets"
        };
        let verb = if names.len() == 1 { "holds" } else { "hold" };
        let text = format!(
            "{noun} {} {verb} the validated credential.",
            names.join(", ")
        );
        return draft(True, Reason::Written, text);
    }
    let text = if facts.status.validated_fingerprint.is_none() {
        "Nothing is published until Jira accepts the credential."
    } else if facts.lacks_scopes() {
        "Nothing is published until the token has the scopes that spec.auth requests."
    } else if facts.may_publish() {
        "A target is not up to date yet."
    } else {
        "A target was changed or deleted; it is restored when Jira accepts the credential in the source again."
    };
    draft(False, Reason::Waiting, text)
}

fn target_problem(facts: &Facts, target: &TargetFacts) -> Option<ConditionDraft> {
    use ConditionStatus::False;
    let name = &target.target.path();
    let conflict = |other: &str| {
        let holder = if other.is_empty() {
            "a JiraCredential of another namespace".to_owned()
        } else {
            format!("the JiraCredential {other}")
        };
        let text =
            format!("The Secret {name} belongs to {holder}. Name another Secret in spec.targets.");
        draft(False, Reason::TargetConflict, text)
    };
    // What it holds was rendered from the same spec.
    if facts.is_in_sync(target) {
        return None;
    }
    if let Some(text) = facts.target_fault(&target.target) {
        return Some(draft(False, Reason::TemplateInvalid, text));
    }
    if let Some(barrier) = target.barrier {
        let (reason, text) = messages::elsewhere::barred(name, &target.target, barrier);
        return Some(draft(False, reason, text));
    }
    if let Some(merge) = facts.merge_problem(target) {
        let reason = merge.blocked_by.unwrap_or(Reason::MergeUnsuitable);
        return Some(draft(
            False,
            reason,
            messages::merge::merge(facts, name, &merge),
        ));
    }
    match &target.state {
        TargetState::OwnedByOther(Holder::Credential(other), _) => Some(conflict(other)),
        TargetState::OwnedByOther(Holder::Elsewhere, _) => Some(conflict("")),
        TargetState::OwnedByOther(Holder::Stranger, _) => Some(foreign(name)),
        TargetState::Refused(cause) => {
            let remedy = if merges(&target.target) {
                messages::merge::REFUSED
            } else {
                ""
            };
            let text =
                format!("The API server refuses to write the Secret {name}: {cause}{remedy}");
            Some(draft(False, Reason::WriteRefused, text))
        }
        TargetState::NotRendered(text) => Some(draft(False, Reason::TemplateInvalid, text.clone())),
        // It was seen in an earlier reconcile, and nothing has changed since.
        _ if facts.is_held_by_another(target) => {
            let recorded = facts.recorded(&target.target);
            let other = recorded.and_then(|seen| seen.held_by.as_deref());
            Some(other.map_or_else(|| foreign(name), conflict))
        }
        _ => target.older_claim.as_deref().map(conflict),
    }
}

fn foreign(name: &str) -> ConditionDraft {
    let text = format!(
        "The Secret {name} exists and does not belong to this JiraCredential; the operator does not change it. Delete it, or name another Secret in spec.targets."
    );
    draft(ConditionStatus::False, Reason::TargetForeign, text)
}
