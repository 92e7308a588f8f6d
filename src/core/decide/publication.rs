//! Whether and what to write into the target Secrets.

use crate::core::decide::step::{Publish, Step};
use crate::core::facts::targets::merges;
use crate::core::facts::{Facts, Source, TargetFacts, TargetState};

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
    facts.may_publish()
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
    // Only what was read in this reconcile can be written; of a grant whose write has failed, nobody knows what it holds.
    if !matches!(facts.source, Source::Read { .. }) || facts.grant_unread() {
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
