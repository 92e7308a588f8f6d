//! Which workloads are to be restarted: those of `spec.restart`, when the published credential has changed
//! since they were restarted last.
//!
//! What the status records of it is written with the rest of the status, after the restarts. A process
//! that dies in between restarts the same workloads for the same revision, which changes nothing on those
//! that have it.

use aws_lc_rs::digest;

use crate::api::{FailedRestart, RestartStatus, Workload};
use crate::core::facts::Facts;
use crate::core::facts::types::Restarted;
use crate::core::fingerprint::{Fingerprint, FingerprintMatch, hex};

/// Which workloads are to be restarted, and for what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RestartDue {
    /// None.
    Nothing,
    /// All of the spec: the published credential has changed.
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
        let is_published = status.targets.iter().any(|target| target.hash.is_some());
        if self.spec.restart.is_empty() || status.restart.is_some() || !is_published {
            return;
        }
        let published = self
            .provisional()
            .or(status.validated_fingerprint.as_deref());
        self.status.restart = published.map(|print| RestartStatus {
            fingerprint: print.to_owned(),
            ..RestartStatus::default()
        });
    }

    /// The fingerprint of the credential that targets hold, if any does.
    pub fn published_print(&self) -> Option<String> {
        let is_published = self.targets.iter().any(|target| self.is_in_sync(target));
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
                revision: revision(&recorded.fingerprint, &print),
            },
            // Another key of the fingerprints is no other credential.
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

    /// What is recorded of a workload that could not be restarted.
    pub fn failed_restart(&self, workload: &Workload) -> Option<&FailedRestart> {
        let recorded = self.status.restart.as_ref()?;
        recorded
            .failed
            .iter()
            .find(|failed| failed.workload == *workload)
    }

    /// What became of a workload in this reconcile.
    pub fn restarted(&self, workload: &Workload) -> Option<Restarted> {
        let mut restarts = self.progress.restarts.iter();
        restarts
            .find(|(tried, _)| tried == workload)
            .map(|(_, restarted)| *restarted)
    }
}

/// Says which change a restart is for. The credential before is part of it: who goes back to an older one
/// makes another change.
fn revision(before: &str, now: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [before, now] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    hex(context.finish().as_ref(), 16)
}
