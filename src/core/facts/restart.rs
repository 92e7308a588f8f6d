//! Which workloads are to be restarted: those of `spec.restart`, when the published credential has changed
//! since they were restarted last.
//!
//! What the status records of it is written with the rest of the status, after the last batch of restarts. A
//! process that dies in between restarts the same workloads for the same revision, which changes nothing on
//! those that have it.

use crate::api::{ConditionStatus, ConditionType, FailedRestart, Reason, RestartStatus, Workload};
use crate::core::facts::Facts;
use crate::core::facts::batches::Batches;
use crate::core::facts::types::{Restarted, TargetFacts};
use crate::core::fingerprint::{Fingerprint, FingerprintMatch, digest_of};

/// Which workloads are to be restarted, and for what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RestartDue {
    /// None.
    Nothing,
    /// All of the spec: the published credential has changed, or a target got it later than the others.
    All {
        /// What their annotation is to say.
        revision: String,
    },
    /// Those that could not be restarted before.
    Failed {
        /// What their annotation is to say.
        revision: String,
    },
}

impl Facts {
    /// Begins the record for a spec that did not name workloads before: what is published now restarts
    /// none. To be called once, before anything is decided.
    pub fn begin_restarts(&mut self) {
        let status = &self.status;
        let mut written = status.targets.iter();
        let is_published =
            written.any(|target| target.namespace.is_none() && target.hash.is_some());
        if self.spec.restart.is_empty() || status.restart.is_some() || !is_published {
            return;
        }
        let published = self
            .provisional()
            .or(status.validated_fingerprint.as_deref());
        self.status.restart = published.map(|print| RestartStatus {
            fingerprint: print.to_owned(),
            pending_targets: self.targets_behind(),
            ..RestartStatus::default()
        });
    }

    /// Targets that were written once and may hold an older credential than the one that was validated last.
    fn targets_behind(&self) -> Vec<String> {
        let published = self.status.condition(ConditionType::Published);
        if published.is_some_and(|published| published.status == ConditionStatus::True) {
            return Vec::new();
        }
        let is_written = |target: &&TargetFacts| {
            let recorded = self.recorded(&target.target);
            recorded.is_some_and(|seen| seen.hash.is_some())
        };
        let written = self.targets_here().filter(is_written);
        written.map(|target| target.target.name.clone()).collect()
    }

    /// The targets that workloads of `spec.restart` can read: those in the namespace of the credential.
    pub fn targets_here(&self) -> impl Iterator<Item = &TargetFacts> {
        let targets = self.targets.iter();
        targets.filter(|target| target.target.namespace.is_none())
    }

    /// The fingerprint of the credential that targets of the namespace hold, if any does.
    pub fn published_print(&self) -> Option<String> {
        let is_published = self.targets_here().any(|target| self.is_in_sync(target));
        let wanted = self.wanted().filter(|_| is_published)?;
        Some(wanted.print)
    }

    /// Which workloads are to be restarted.
    pub fn restart_due(&self) -> RestartDue {
        if self.spec.restart.is_empty() {
            return RestartDue::Nothing;
        }
        let Some((recorded, print)) = self.status.restart.as_ref().zip(self.published_print())
        else {
            return RestartDue::Nothing;
        };
        match Fingerprint::recorded(&print).compare(&recorded.fingerprint) {
            FingerprintMatch::Different => RestartDue::All {
                revision: self.revision(&recorded.fingerprint, &print),
            },
            // Another key of the fingerprints is no other credential.
            FingerprintMatch::Same | FingerprintMatch::Unknown if self.batches.is_some() => {
                RestartDue::All {
                    revision: self.revision_under_way(&print),
                }
            }
            FingerprintMatch::Same | FingerprintMatch::Unknown if self.catches_up(recorded) => {
                let before = recorded.revision.as_deref().unwrap_or_default();
                RestartDue::All {
                    revision: self.revision(before, &print),
                }
            }
            FingerprintMatch::Same | FingerprintMatch::Unknown => {
                let is_due = recorded
                    .next_attempt_time
                    .is_none_or(|time| time <= self.now);
                match &recorded.revision {
                    Some(revision) if is_due || self.spec_changed() => RestartDue::Failed {
                        revision: revision.clone(),
                    },
                    Some(_) | None => RestartDue::Nothing,
                }
            }
        }
    }

    /// What the annotation is to say when batches are under way and the published credential is the one of the
    /// last record. Some of the workloads may use one that was published in between. It follows from what their
    /// annotation says, so that it is none that was recorded before.
    fn revision_under_way(&self, print: &str) -> String {
        self.batches.as_ref().map_or_else(String::new, |batches| {
            match Fingerprint::recorded(print).compare(&batches.print) {
                FingerprintMatch::Different => self.revision(&batches.revision, print),
                FingerprintMatch::Same | FingerprintMatch::Unknown => batches.revision.clone(),
            }
        })
    }

    /// Whether a target that did not hold the credential when the workloads were restarted does now.
    pub fn catches_up(&self, recorded: &RestartStatus) -> bool {
        self.targets_here().any(|target| {
            recorded.pending_targets.contains(&target.target.name) && self.is_in_sync(target)
        })
    }

    /// Whether pods may use an older credential: the restart of a workload is due, or has failed.
    pub fn has_pods_behind(&self) -> bool {
        let due = self.restart_due();
        let all = matches!(due, RestartDue::All { .. });
        let is_behind = |workload| {
            let tried = self.restarted(workload, &due);
            match (tried, self.failed_restart(workload)) {
                (Some(Restarted::Done), _) => false,
                (Some(Restarted::Failed(reason)), _) => leaves_pods(reason),
                (None, failed) => all || failed.is_some_and(|failed| leaves_pods(failed.reason)),
            }
        };
        self.spec.restart.iter().any(is_behind)
    }

    /// Adds what became of a workload. One that did not exist was only looked for: while it is not found,
    /// it counts as missing, since pods that start later need no restart.
    pub fn record_restart(&mut self, workload: Workload, restarted: Restarted) {
        let was_missing = matches!(self.restart_due(), RestartDue::Failed { .. })
            && self
                .failed_restart(&workload)
                .is_some_and(|failed| failed.reason == Reason::WorkloadMissing);
        let restarted = match restarted {
            Restarted::Failed(_) if was_missing => Restarted::Failed(Reason::WorkloadMissing),
            other => other,
        };
        self.progress.restarts.push((workload, restarted));
    }

    /// What is recorded of a workload that could not be restarted.
    pub fn failed_restart(&self, workload: &Workload) -> Option<&FailedRestart> {
        let recorded = self.status.restart.as_ref()?;
        recorded
            .failed
            .iter()
            .find(|failed| failed.workload == *workload)
    }

    /// What became of a workload in this reconcile, or in a batch before it.
    pub fn restarted(&self, workload: &Workload, due: &RestartDue) -> Option<Restarted> {
        let batches = match due {
            RestartDue::All { revision } => self.batches_of(revision),
            RestartDue::Nothing | RestartDue::Failed { .. } => None,
        };
        let before = batches.into_iter().flat_map(|batches| &batches.tried);
        let mut restarts = self.progress.restarts.iter().chain(before);
        restarts
            .find(|(tried, _)| tried == workload)
            .map(|(_, restarted)| *restarted)
    }

    /// What this process has to remember of the restarts that are under way.
    pub fn batches_to_remember(&self) -> Option<Batches> {
        let (due, print) = (self.restart_due(), self.published_print());
        let (revision, print) = match (due, print) {
            (RestartDue::All { revision }, Some(print)) => (revision, print),
            // Nobody knows what is published, or whether the restarts are over.
            (_, None) => return self.batches.clone(),
            (RestartDue::Nothing | RestartDue::Failed { .. }, Some(_)) => return None,
        };
        if self.progress.restarts.is_empty() {
            return self.batches.clone();
        }
        let recorded = self.status.restart.as_ref();
        let mut batches = self
            .batches_of(&revision)
            .cloned()
            .unwrap_or_else(|| Batches {
                revision,
                before: recorded.and_then(|recorded| recorded.revision.clone()),
                print,
                first: self.now,
                last: self.now,
                tried: Vec::new(),
                behind: Vec::new(),
            });
        batches.last = self.now;
        batches.tried.extend(self.progress.restarts.iter().cloned());
        batches.behind = self.targets_left(&batches.behind);
        Some(batches)
    }

    /// The targets that do not hold the published credential, and those that did not at an earlier batch: their
    /// pods need another restart when they do.
    pub fn targets_left(&self, behind: &[String]) -> Vec<String> {
        let is_left = |target: &&TargetFacts| {
            behind.contains(&target.target.name) || !self.is_in_sync(target)
        };
        let left = self.targets_here().filter(is_left);
        left.map(|target| target.target.name.clone()).collect()
    }

    /// Says which change a restart is for. The previous credential is part of it: going back to an older one
    /// is another change. Where a target follows the others, the previous revision is. A `JiraCredential`
    /// that was created again makes changes of its own.
    fn revision(&self, before: &str, now: &str) -> String {
        digest_of([self.object.uid.as_str(), before, now])
    }
}

/// Whether pods that use an older credential may exist after a restart that failed for this reason.
pub fn leaves_pods(reason: Reason) -> bool {
    reason != Reason::WorkloadMissing
}
