//! Which workload is restarted next.

use crate::api::Reason;
use crate::core::decide::publication::wants_write;
use crate::core::decide::step::{Restart, Step};
use crate::core::facts::{Facts, RestartDue};

/// The next workload that is to be restarted in this reconcile; one that fails stops no other.
pub(crate) fn restart(facts: &Facts) -> Option<Step> {
    let due = facts.restart_due();
    // Pods that start now should find every Secret as it is to be.
    if due == RestartDue::Nothing
        || facts
            .targets
            .iter()
            .any(|target| wants_write(facts, target))
    {
        return None;
    }
    let mut left = facts
        .spec
        .restart
        .iter()
        .filter(|workload| facts.restarted(workload).is_none());
    match due {
        RestartDue::Nothing => None,
        RestartDue::All { revision } => left.next().map(|workload| {
            Step::Restart(Restart {
                workload: workload.clone(),
                revision,
                only_look: false,
            })
        }),
        RestartDue::Failed { revision } => {
            let (workload, failed) =
                left.find_map(|workload| Some((workload, facts.failed_restart(workload)?)))?;
            Some(Step::Restart(Restart {
                workload: workload.clone(),
                revision,
                only_look: failed.reason == Reason::WorkloadMissing,
            }))
        }
    }
}
