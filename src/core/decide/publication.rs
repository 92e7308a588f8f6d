//! Whether and what to write into the target Secrets.

use crate::api::AttemptOutcome;
use crate::core::decide::step::{Publish, Step};
use crate::core::decide::validation::pin_moved;
use crate::core::facts::targets::merges;
use crate::core::facts::{Facts, Peer, Source, TargetFacts, TargetState};

/// Whether the credential in the source may be written into targets: it is the one that Jira
/// accepted last, and Jira has not refused it since, neither here nor for another credential.
pub fn may_publish(facts: &Facts) -> bool {
    let doubted = facts
        .attempt()
        .is_some_and(|attempt| match attempt.outcome {
            // Something gave cause to ask, and the answer is not known.
            AttemptOutcome::Started | AttemptOutcome::Unconfirmed => true,
            AttemptOutcome::Refused | AttemptOutcome::NoVerdict | AttemptOutcome::Interrupted => {
                false
            }
        });
    let refused = facts.refusal().is_some() || matches!(facts.peer, Peer::Refused(_));
    if facts.lacks_scopes() || !facts.permissions_are_settled() {
        return false;
    }
    (facts.is_validated() || facts.is_provisional()) && !pin_moved(facts) && !doubted && !refused
}

pub(crate) fn wants_write(facts: &Facts, target: &TargetFacts) -> bool {
    let tried = matches!(
        target.state,
        TargetState::Refused(_)
            | TargetState::NotRendered(_)
            | TargetState::OwnedByOther(..)
            | TargetState::NotMerged(_)
    );
    // It is written when somebody has made it.
    let missing = merges(&target.target) && target.state == TargetState::Absent;
    may_publish(facts)
        && !tried
        && !missing
        && target.barrier.is_none()
        && !facts.is_in_sync(target)
        && (target.older_claim.is_none() || holds(facts, target).is_some())
        && !facts.is_held_by_another(target)
        // The most expensive question is the last.
        && facts.target_fault(&target.target).is_none()
}

/// The uid of the Secret under this name, if it is the one that we wrote.
pub(crate) fn holds(facts: &Facts, target: &TargetFacts) -> Option<String> {
    let recorded = facts
        .recorded(&target.target)
        .filter(|seen| seen.hash.is_some() && seen.merge.is_none())?;
    match &target.state {
        TargetState::Present { uid, .. } if *uid == recorded.uid => Some(uid.clone()),
        TargetState::Unknown => Some(recorded.uid.clone()),
        TargetState::Present { .. }
        | TargetState::Absent
        | TargetState::Written(_)
        | TargetState::OwnedByOther(..)
        | TargetState::NotMerged(_)
        | TargetState::Refused(_)
        | TargetState::NotRendered(_) => None,
    }
}

pub(crate) fn publish(facts: &Facts, index: usize) -> Option<Step> {
    // Only what was read in this reconcile can be written.
    if !matches!(facts.source, Source::Read { .. }) {
        return None;
    }
    let target = facts.targets.get(index)?;
    Some(Step::Publish(Publish {
        index,
        digest: facts.wanted_digest(&target.target)?,
        account: facts.account()?.clone(),
        holds: holds(facts, target),
    }))
}
