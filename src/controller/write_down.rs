//! The end of a reconcile on the cluster: events and the status.
//!
//! Events go first, under names that the status before them determines: whatever dies in between, the next
//! reconcile tells the same once. With the answer about a password it is the other way round, since an
//! answer that is not recorded costs a person's word.

use std::time::Duration;

use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;

use crate::api::{ConditionType, JiraCredential, JiraCredentialStatus, Reason};
use crate::cluster::{Cluster, ClusterError, event};
use crate::controller::Operator;
use crate::controller::reconcile::{MOST_ROUNDS, Round, report_denied};
use crate::controller::report::{log_change, log_transitions};
use crate::core::conclude::{Conclusion, Notice, conclude};
use crate::core::facts::{Denial, Facts};

/// How often a status that reports a validation is tried against an unavailable API server: the
/// next reconcile would have to probe again.
const STATUS_TRIES: u32 = 6;

/// Events that could not be published are tried again after this time, and after the other when the API
/// server denies them.
const UNTOLD: Duration = Duration::from_secs(30);
const DENIED: Duration = Duration::from_secs(300);

/// What became of writing a status.
enum Wrote {
    Status,
    /// The credential is gone.
    Nothing,
    /// It was changed.
    Outdated,
}

impl Operator {
    /// Concludes, publishes events and writes the status, if it differs.
    pub(super) async fn write_down(
        &self,
        current: &mut JiraCredential,
        facts: &mut Facts,
        recorded: &JiraCredentialStatus,
    ) -> Result<Round, ClusterError> {
        self.remember_denied_event(current, recorded, facts);
        facts.progress.events_denied = self.tell_pending(facts).await;
        let mut conclusion = conclude(facts, recorded);
        let stored = current.status.clone().unwrap_or_default();
        self.acceptances.remember(current, &conclusion.status);
        if !conclusion.differs_from(facts, &stored) || facts.object.deleting {
            return Ok(self.until_told(facts, &conclusion));
        }
        for notice in &conclusion.events {
            log_change(current, notice);
        }
        log_transitions(current, &stored, &conclusion.status);
        self.add_pending(current, facts, &conclusion.events);
        let is_answer = facts.is_password() && facts.progress.judgement.is_some();
        if !is_answer {
            facts.progress.events_denied = self.tell_pending(facts).await;
            conclusion = conclude(facts, recorded);
        }
        let wrote = self.write_conclusion(current, facts, &conclusion).await?;
        if let Wrote::Outdated = wrote {
            return Ok(Round::Outdated);
        }
        if let (true, Wrote::Status) = (is_answer, wrote) {
            facts.progress.events_denied = self.tell_pending(facts).await;
        }
        Ok(self.until_told(facts, &conclusion))
    }

    /// Writes the status. A conflict with a change of something else is resolved.
    async fn write_conclusion(
        &self,
        current: &mut JiraCredential,
        facts: &Facts,
        conclusion: &Conclusion,
    ) -> Result<Wrote, ClusterError> {
        let stored = current.status.clone().unwrap_or_default();
        let cluster = self.recorder(facts);
        let tries = if facts.progress.judgement.is_some() || facts.progress.lookup.is_some() {
            STATUS_TRIES
        } else {
            1
        };
        let (mut failures, mut conflicts) = (0, 0);
        loop {
            match cluster.write_status(current, &conclusion.status).await {
                Ok(written) => {
                    self.written.remember(&written);
                    self.notify_of(&written);
                    *current = written;
                    return Ok(Wrote::Status);
                }
                Err(ClusterError::NotFound) => return Ok(Wrote::Nothing),
                // Somebody touched the object. If it was not the status, what we found still
                // holds, and a probe need not be repeated.
                Err(ClusterError::Conflict) => {
                    let (namespace, name) = (&facts.object.namespace, &facts.object.name);
                    match self.cluster.credential(namespace, name).await? {
                        // Our own write, whose answer was lost.
                        Some(fresh) if fresh.status.as_ref() == Some(&conclusion.status) => {
                            self.written.remember(&fresh);
                            self.notify_of(&fresh);
                            *current = fresh;
                            return Ok(Wrote::Status);
                        }
                        Some(fresh)
                            if fresh.uid() == current.uid()
                                && fresh.status.clone().unwrap_or_default() == stored =>
                        {
                            *current = fresh;
                            conflicts += 1;
                            if conflicts >= MOST_ROUNDS {
                                return Err(ClusterError::Conflict);
                            }
                        }
                        Some(_) => return Ok(Wrote::Outdated),
                        None => return Ok(Wrote::Nothing),
                    }
                }
                Err(error) => {
                    failures += 1;
                    if failures >= tries {
                        return Err(error);
                    }
                    tokio::time::sleep(Duration::from_millis(100 << failures)).await;
                }
            }
        }
    }

    /// What the status is written with. An answer about a password is recorded by a process that does not
    /// lead any more, too: the version announced that it is sent, so that nothing newer is overwritten.
    fn recorder(&self, facts: &Facts) -> Cluster {
        if facts.is_password() && facts.progress.judgement.is_some() {
            self.cluster.for_results()
        } else {
            self.cluster.clone()
        }
    }

    /// Tells in between that an answer of Jira cannot be stored yet, while a task goes on trying. What goes
    /// wrong here is no reason to stop that.
    pub(super) async fn tell_meanwhile(&self, current: &mut JiraCredential, mut facts: Facts) {
        report_denied(&facts);
        let recorded = facts.status.clone();
        if let Err(error) = self.write_down(current, &mut facts, &recorded).await {
            tracing::warn!(%error, "the status could not be written while a renewal waits to be stored");
        }
    }

    /// A process that has just started does not know what its predecessor could not tell: the condition
    /// says that there was something, and goes when its own event gets through.
    fn remember_denied_event(
        &self,
        current: &JiraCredential,
        recorded: &JiraCredentialStatus,
        facts: &Facts,
    ) {
        let condition = recorded.condition(ConditionType::Denied);
        let Some(condition) = condition.filter(|found| found.reason == Reason::EventsDenied) else {
            return;
        };
        if self.untold.is_empty(&facts.object.uid) {
            let notice = Notice {
                warning: true,
                reason: condition.reason,
                note: condition.message.clone(),
            };
            self.add_pending(current, facts, &[notice]);
        }
    }

    fn add_pending(&self, before: &JiraCredential, facts: &Facts, notices: &[Notice]) {
        let events: Vec<Event> = notices
            .iter()
            .map(|notice| event(before, notice, facts.now))
            .collect();
        self.untold.add(&facts.object.uid, events);
    }

    /// Publishes what has not been told yet. Returns why the API server denies it, if it does.
    async fn tell_pending(&self, facts: &Facts) -> Option<Denial> {
        let uid = &facts.object.uid;
        let mut left = Vec::new();
        let mut denial = None;
        for event in self.untold.take(uid) {
            // One that fails is followed by more that would.
            if !left.is_empty() {
                left.push(event);
                continue;
            }
            let Err(error) = self.cluster.tell(&event).await else {
                continue;
            };
            let reason = event.reason.as_deref();
            tracing::warn!(%error, reason, "an event could not be published");
            denial = error.denial();
            if !error.is_end_of_namespace() && !matches!(error, ClusterError::NotFound) {
                left.push(event);
            }
        }
        self.untold.add(uid, left);
        denial
    }

    /// The wait until the next reconcile, shorter while something is still to be told.
    fn until_told(&self, facts: &Facts, conclusion: &Conclusion) -> Round {
        let wake = conclusion.wake.to_std().unwrap_or(Duration::from_secs(1));
        let untold = !self.untold.is_empty(&facts.object.uid);
        Round::Done(match (untold, &facts.progress.events_denied) {
            (true, Some(_)) => wake.min(DENIED),
            (true, None) => wake.min(UNTOLD),
            (false, _) => wake,
        })
    }
}
