//! What the status records of the restarts of workloads.

use chrono::{DateTime, TimeDelta, Utc};

use crate::api::{FailedRestart, JiraCredentialStatus, RestartStatus, Workload};
use crate::core::facts::{Facts, RestartDue, Restarted, Source};
use crate::core::fingerprint::{Fingerprint, FingerprintMatch};
use crate::core::time::{backoff, later};

/// A change that a reconcile could not handle is looked at again after this time.
const SOON: TimeDelta = TimeDelta::seconds(15);

/// Brings the record up to date. A change counts as handled once every workload was tried; those that
/// failed stay on record.
pub(super) fn record_restarts(facts: &Facts, status: &mut JiraCredentialStatus) {
    if facts.spec.restart.is_empty() {
        status.restart = None;
        return;
    }
    let Some(mut recorded) = status.restart.take() else {
        // What is published first restarts nothing.
        status.restart = facts.published_print().map(|fingerprint| RestartStatus {
            fingerprint,
            ..RestartStatus::default()
        });
        return;
    };
    let is_named = |failed: &FailedRestart| facts.spec.restart.contains(&failed.workload);
    recorded.failed.retain(is_named);
    match facts.restart_due() {
        RestartDue::All { revision } => {
            let mut named = facts.spec.restart.iter();
            let were_tried = named.all(|workload| facts.restarted(workload).is_some());
            if let Some(print) = facts.published_print().filter(|_| were_tried) {
                let tried = facts.progress.restarts.iter();
                recorded.fingerprint = print;
                recorded.revision = Some(revision);
                recorded.failed = tried.filter_map(failure).collect();
                recorded.failures = 0;
                plan_retry(facts, &mut recorded);
            }
        }
        RestartDue::Failed { .. } if !facts.progress.restarts.is_empty() => {
            let was_tried = |old: &FailedRestart| facts.restarted(&old.workload).is_some();
            recorded.failed.retain(|old| !was_tried(old));
            let tried = facts.progress.restarts.iter();
            recorded.failed.extend(tried.filter_map(failure));
            plan_retry(facts, &mut recorded);
        }
        RestartDue::Failed { .. } | RestartDue::Nothing => {}
    }
    adopt_key(facts, &mut recorded);
    if recorded.failed.is_empty() {
        recorded.failures = 0;
        recorded.next_attempt_time = None;
    }
    status.restart = Some(recorded);
}

fn failure((workload, restarted): &(Workload, Restarted)) -> Option<FailedRestart> {
    match restarted {
        Restarted::Done => None,
        Restarted::Failed(reason) => Some(FailedRestart {
            workload: workload.clone(),
            reason: *reason,
        }),
    }
}

fn plan_retry(facts: &Facts, recorded: &mut RestartStatus) {
    recorded.failures = recorded.failures.saturating_add(1);
    let wait = backoff(recorded.failures, &facts.object.uid);
    recorded.next_attempt_time = Some(later(facts.now, wait));
}

/// The same credential under another key of the fingerprints.
fn adopt_key(facts: &Facts, recorded: &mut RestartStatus) {
    let print = facts.published_print();
    if let Some(print) = print
        && Fingerprint::recorded(&print).compare(&recorded.fingerprint) == FingerprintMatch::Unknown
    {
        recorded.fingerprint = print;
    }
}

/// When something is left to do: at once for a change that was not handled, else with the next attempt.
pub(super) fn next_restart(facts: &Facts, status: &JiraCredentialStatus) -> Option<DateTime<Utc>> {
    let recorded = status.restart.as_ref()?;
    if facts.spec.suspend || matches!(facts.source, Source::Unusable(_)) {
        return None;
    }
    let print = facts.published_print();
    let is_new = print.is_some_and(|print| print != recorded.fingerprint);
    let soon = is_new.then(|| later(facts.now, SOON));
    soon.or(recorded.next_attempt_time)
}
