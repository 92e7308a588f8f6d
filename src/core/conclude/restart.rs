//! What the status records of the restarts of workloads.

use chrono::{DateTime, TimeDelta, Utc};

use crate::api::{FailedRestart, JiraCredentialStatus, Reason, RestartStatus, Workload};
use crate::core::decide::is_left_alone;
use crate::core::facts::{Facts, RestartDue, Restarted};
use crate::core::fingerprint::{Fingerprint, FingerprintMatch};
use crate::core::time::{backoff, later};

/// A change that a reconcile could not handle is looked at again after this time.
const SOON: TimeDelta = TimeDelta::seconds(15);

/// Brings the record up to date. A change counts as handled once every workload was tried, in the last batch;
/// those that failed stay on record.
pub(super) fn record_restarts(facts: &Facts, status: &mut JiraCredentialStatus) {
    if facts.spec.restart.is_empty() {
        status.restart = None;
        return;
    }
    let Some(mut recorded) = status.restart.take() else {
        // The first publication restarts nothing.
        status.restart = facts.published_print().map(|fingerprint| RestartStatus {
            fingerprint,
            ..RestartStatus::default()
        });
        return;
    };
    let is_named = |failed: &FailedRestart| facts.spec.restart.contains(&failed.workload);
    recorded.failed.retain(is_named);
    let is_target = |name: &String| facts.targets_here().any(|found| found.target.name == *name);
    recorded.pending_targets.retain(is_target);
    let due = facts.restart_due();
    match &due {
        RestartDue::All { revision } => {
            let named = facts.spec.restart.iter();
            let tried: Option<Vec<_>> = named
                .map(|workload| Some((workload, outcome(facts, workload, &due)?)))
                .collect();
            if let (Some(tried), Some(print)) = (tried, facts.published_print()) {
                let failed = tried.into_iter();
                recorded.fingerprint = print;
                recorded.revision = Some(revision.clone());
                recorded.failed = failed.filter_map(|(of, what)| failure(of, what)).collect();
                recorded.pending_targets = pending_targets(facts, revision);
                recorded.failures = 0;
                plan_retry(facts, &mut recorded);
            }
        }
        RestartDue::Failed { .. } if !facts.progress.restarts.is_empty() => {
            let failed = recorded.failed.into_iter();
            let left = failed.filter_map(|old| match facts.restarted(&old.workload, &due) {
                Some(restarted) => failure(&old.workload, restarted),
                None => Some(old),
            });
            recorded.failed = left.collect();
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

/// What became of a workload; none while it is still to be tried, in this reconcile or a later one.
fn outcome(facts: &Facts, workload: &Workload, due: &RestartDue) -> Option<Restarted> {
    let not_reached = Restarted::Failed(Reason::RestartRefused);
    let stopped = facts.progress.restarts_stopped.then_some(not_reached);
    facts.restarted(workload, due).or(stopped)
}

fn failure(workload: &Workload, restarted: Restarted) -> Option<FailedRestart> {
    match restarted {
        Restarted::Done => None,
        Restarted::Failed(reason) => Some(FailedRestart {
            workload: workload.clone(),
            reason,
        }),
    }
}

/// The targets that did not hold the published credential at one of the batches.
fn pending_targets(facts: &Facts, revision: &str) -> Vec<String> {
    let before = facts.batches_of(revision);
    facts.targets_left(before.map_or(&[], |batches| &batches.behind))
}

fn plan_retry(facts: &Facts, recorded: &mut RestartStatus) {
    // The next attempt begins with what this one did not reach.
    if facts.progress.restarts_stopped
        && let Some((unanswered, _)) = facts.progress.restarts.last()
    {
        let is_last = |failed: &FailedRestart| failed.workload == *unanswered;
        recorded.failed.sort_by_key(is_last);
    }
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

/// When something is left to do: with the next batch of a change, at once for one that was not handled
/// otherwise, else with the next attempt.
pub(super) fn next_restart(facts: &Facts, status: &JiraCredentialStatus) -> Option<DateTime<Utc>> {
    let recorded = status.restart.as_ref()?;
    if is_left_alone(facts) {
        return None;
    }
    if let RestartDue::All { revision } = facts.restart_due()
        && recorded.revision.as_ref() != Some(&revision)
    {
        let next = facts.next_batch(&revision);
        return Some(
            next.filter(|time| *time > facts.now)
                .unwrap_or_else(|| later(facts.now, SOON)),
        );
    }
    let soon = facts.catches_up(recorded).then(|| later(facts.now, SOON));
    soon.or(recorded.next_attempt_time)
}
