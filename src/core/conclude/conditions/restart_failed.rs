//! The condition `RestartFailed`: workloads whose pods may still use the previous credential.

use crate::api::{ConditionStatus, FailedRestart, Reason, RestartStatus};
use crate::core::conclude::conditions::{ConditionDraft, draft};

/// So many workloads are named for each cause.
const MOST_NAMED: usize = 3;

/// Whether a workload of `spec.restart` could not be restarted.
pub(crate) fn restart_failed(recorded: Option<&RestartStatus>) -> Option<ConditionDraft> {
    let failed = &recorded?.failed;
    // What a person can do something about comes first.
    let causes = [
        Reason::OperatorRightMissing,
        Reason::WorkloadMissing,
        Reason::RestartHeld,
        Reason::RestartRefused,
    ];
    let texts: Vec<(Reason, String)> = causes
        .into_iter()
        .filter_map(|reason| {
            let of_cause = failed.iter().filter(|failed| failed.reason == reason);
            Some((reason, text(reason, &of_cause.collect::<Vec<_>>())?))
        })
        .collect();
    let reason = texts.first()?.0;
    let text: Vec<String> = texts.into_iter().map(|(_, text)| text).collect();
    Some(draft(ConditionStatus::True, reason, text.join(" ")))
}

fn text(reason: Reason, failed: &[&FailedRestart]) -> Option<String> {
    let names = names(failed)?;
    let still =
        "Running pods may still use the previous credential; the published Secrets are current.";
    Some(match reason {
        Reason::OperatorRightMissing => format!(
            "The operator has no right to restart {names} of spec.restart. {still} Give its ServiceAccount get and patch on deployments, statefulsets and daemonsets in this namespace, or remove them from spec.restart and restart them yourself. The operator retries."
        ),
        Reason::WorkloadMissing => format!(
            "spec.restart names workloads that do not exist: {names}. Correct the names or remove them from spec.restart. Pods that start later get the published credential."
        ),
        Reason::RestartHeld => format!(
            "Not all pods of {names} of spec.restart are replaced: a paused Deployment, updateStrategy OnDelete and a partition of a StatefulSet wait for a person. {still} Resume the Deployment, or set the partition to 0. Remove a workload with OnDelete from spec.restart, and delete its pods after each change. The operator looks again."
        ),
        _ => format!(
            "The API server did not restart {names} of spec.restart; the log of the operator says why. {still} Check admission policies and webhooks, or restart them yourself. The operator retries."
        ),
    })
}

/// At most some names, and how many more there are.
fn names(failed: &[&FailedRestart]) -> Option<String> {
    let named = failed.iter().take(MOST_NAMED);
    let named: Vec<String> = named.map(|failed| failed.workload.to_string()).collect();
    let more = failed.len().saturating_sub(MOST_NAMED);
    match (named.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(named.join(", ")),
        (false, more) => Some(format!("{} and {more} more", named.join(", "))),
    }
}
