//! Which workload is restarted next.

use crate::api::Reason;
use crate::core::decide::publication::wants_write;
use crate::core::decide::step::{Restart, Step};
use crate::core::facts::{Facts, RestartDue};

/// The next workload that is to be restarted in the present batch; one that fails stops no other, unless the API server does not
/// answer: the rest would wait for it as long.
pub(crate) fn restart(facts: &Facts) -> Option<Step> {
    let due = facts.restart_due();
    // Pods that start now should find every Secret as it is to be.
    let is_early = facts
        .targets
        .iter()
        .any(|target| wants_write(facts, target));
    if is_early || facts.progress.restarts_stopped {
        return None;
    }
    let (workload, revision, only_look) = match due {
        RestartDue::Nothing => return None,
        RestartDue::All { ref revision } => {
            let mut all = facts.spec.restart.iter();
            let next = all.find(|workload| facts.restarted(workload, &due).is_none())?;
            if !facts.has_batch(revision) {
                return None;
            }
            (next, revision, false)
        }
        // Late as they are, these wait for no batch.
        RestartDue::Failed { ref revision } => {
            let mut failed = facts.status.restart.as_ref()?.failed.iter();
            let next = failed.find(|failed| {
                facts.spec.restart.contains(&failed.workload)
                    && facts.restarted(&failed.workload, &due).is_none()
            })?;
            let is_missing = next.reason == Reason::WorkloadMissing;
            (&next.workload, revision, is_missing)
        }
    };
    Some(Step::Restart(Restart {
        workload: workload.clone(),
        revision: revision.clone(),
        only_look,
    }))
}
