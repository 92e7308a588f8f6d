//! The steps Intend and Renew: the intent is written, the renewal runs in a task of its own, or is given
//! up.

use crate::api::{JiraCredential, Reason};
use crate::cluster::{ClusterError, Key, Material, Stored, Tokens};
use crate::controller::Operator;
use crate::controller::act::error::ActError;
use crate::controller::act::grant::{outdated, parts};
use crate::controller::renewal_task::{Renewed, Renewing};
use crate::core::apply::Answer;
use crate::core::decide::renewal::takeover::is_outdated;
use crate::core::facts::{Denied, DeniedWork, Facts, Held};
use crate::core::grant::{Intent, RefreshRequest, RenewalFailure};
use crate::core::spec::{RenewalKind, RenewalPlan, Site};

/// Nothing is lost with a token that is just asked for again, but not at once.
const UNSTORED: &str = "the token could not be stored; check quotas, admission policies and the operator's RBAC rules.";

impl Operator {
    /// Writes down that a refresh token is about to be spent.
    pub(in crate::controller) async fn intend(
        &self,
        spend: RefreshRequest,
        facts: &Facts,
        material: &mut Material,
    ) -> Result<Answer, ActError> {
        // What was decided before the stop signal is decided again.
        if self.stopping.is_cancelled() {
            return Err(ActError::Stale);
        }
        let (plan, tokens) = parts(facts, material)?;
        if is_outdated(facts.now, self.clock.now(), self.config.time_scale) {
            return Err(ActError::Stale);
        }
        let mut stored = tokens.stored.clone().ok_or(ActError::Stale)?;
        let copy = facts.held().is_some_and(Held::is_copy);
        if copy && plan.kind == RenewalKind::Successor {
            stored.grant.leave_to_original(facts.now);
        }
        if plan.kind == RenewalKind::Login {
            self.hear_of_other_shards().await?;
        }
        if let Err(peer) = self.claim_login(facts, plan) {
            return Ok(Answer::AttemptNotOurs(peer));
        }
        // In the register before it stands in the grant: another reconcile of this process must not
        // take it for one that has ended.
        let running = self.renewals.begin();
        stored.grant.intend(Intent {
            attempt: running.attempt().to_owned(),
            holder: self.renewals.holder(),
            origin: spend.origin.clone(),
            first_sent: spend.first_sent,
            // Not when the reconcile started: others count from here when they may take over.
            started: self.clock.now(),
            interrupted: spend.interrupted,
            replay: spend.replay,
        });
        if spend.early {
            stored.grant.early = Some(facts.now);
        }
        // Waited for even if the lease is lost meanwhile: an intent that stands is carried out or taken back.
        let stored = match self.cluster.for_results().put_grant(&stored).await {
            Ok(stored) => stored,
            Err(error) => {
                // It may have been written nevertheless.
                self.give_up(facts, plan, running.attempt());
                return Err(outdated(error));
            }
        };
        self.renewals.park(&grant_key(facts, plan), running);
        let written = self.take(facts, tokens, stored);
        Ok(Answer::Intended(spend, written))
    }

    /// Asks the token endpoint and stores the answer, in a task that nothing cancels.
    pub(in crate::controller) async fn renew(
        &self,
        spend: &RefreshRequest,
        facts: &Facts,
        material: &mut Material,
        current: &mut JiraCredential,
    ) -> Result<Answer, ActError> {
        let ca_pem = material.ca_pem.clone();
        let (plan, tokens) = parts(facts, material)?;
        let mut stored = match &tokens.stored {
            Some(stored) => stored.clone(),
            None => self.fresh(facts, plan)?,
        };
        let intent = stored.grant.intent.as_ref();
        let begun = intent.map(|intent| intent.started);
        if begun.is_some_and(|begun| is_outdated(begun, self.clock.now(), self.config.time_scale)) {
            self.take_back(facts, plan, tokens, stored).await;
            return Err(ActError::Stale);
        }
        let attempt = intent.map(|intent| intent.attempt.clone());
        let parked = intent.and_then(|intent| self.renewals.resume(&intent.attempt));
        let running = parked.unwrap_or_else(|| self.renewals.begin());
        if spend.early && !plan.is_announced() {
            stored.grant.early = Some(facts.now);
        }
        let (denied, mut denials) = tokio::sync::mpsc::channel(1);
        let renewing = Renewing {
            cluster: self.cluster.for_results(),
            jira: self.jira_for(facts),
            clock: self.clock.clone(),
            time_scale: self.config.time_scale,
            running,
            origin: spend.origin.clone(),
            plan: plan.clone(),
            ca_pem,
            secrets: tokens.clients.clone(),
            site: site_of(facts)?,
            login: tokens.login.clone(),
            early: spend.early,
            replacement: facts.replacement(&spend.origin),
            uid: facts.object.uid.clone(),
            stored,
            denied,
        };
        let mut task = self.renewals.tasks.spawn(renewing.run());
        let ended = loop {
            tokio::select! {
                ended = &mut task => break ended,
                Some(cause) = denials.recv(), if plan.is_announced() => {
                    let work = DeniedWork::Keep(plan.grant.clone());
                    let mut told = facts.clone();
                    told.progress.denied = Some(Denied { work, cause });
                    Box::pin(self.tell_meanwhile(current, told)).await;
                }
            }
        };
        let renewed = ended.map_err(|_| {
            ClusterError::Unavailable("the renewal task panicked or was cancelled".into())
        })?;
        self.tell_others(facts, plan, &renewed, attempt.as_deref());
        let Renewed {
            miss,
            outage,
            stored,
            ..
        } = renewed;
        if stored.is_none() && !plan.is_announced() {
            return Err(match denials.try_recv() {
                Ok(_) => ClusterError::Refused(UNSTORED.to_owned()),
                Err(_) => ClusterError::Unavailable("the token could not be stored".to_owned()),
            }
            .into());
        }
        let written = stored.map(|stored| self.take(facts, tokens, stored));
        self.wake_others(facts, current);
        Ok(Answer::Renewed(miss, outage, written))
    }

    /// Counts and logs what came of a renewal, and lets other credentials know of a login.
    fn tell_others(
        &self,
        facts: &Facts,
        plan: &RenewalPlan,
        renewed: &Renewed,
        attempt: Option<&str>,
    ) {
        let method = facts.plan.as_ref().ok().map(|plan| plan.method);
        self.metrics.renewed(method, renewed.word);
        self.report_miss(facts, renewed.miss);
        if plan.kind == RenewalKind::Login {
            self.settle_login(facts, renewed.miss);
        }
        if let (Some(RenewalFailure::NotSpent(_)), None, Some(attempt)) =
            (renewed.miss, &renewed.stored, attempt)
        {
            self.give_up(facts, plan, attempt);
        }
    }

    /// Nothing was sent and nothing will be: who comes next, which may be another credential, need
    /// not treat a login as one whose response was lost. A token is taken over without that.
    fn give_up(&self, facts: &Facts, plan: &RenewalPlan, attempt: &str) {
        if plan.kind == RenewalKind::Login {
            self.renewals.abandon(grant_key(facts, plan), attempt);
            self.unclaim_login(facts);
        }
    }

    /// Gives up an attempt whose intent stands in the grant, and takes that back: the next process
    /// could not tell. A conflict is ignored: a faster write has changed the grant.
    async fn take_back(
        &self,
        facts: &Facts,
        plan: &RenewalPlan,
        tokens: &mut Tokens,
        mut stored: Stored,
    ) {
        let Some(intent) = stored.grant.intent.take() else {
            return;
        };
        let running = self.renewals.resume(&intent.attempt);
        self.give_up(facts, plan, &intent.attempt);
        drop(running);
        // What is a repetition may have been sent before.
        if plan.kind == RenewalKind::Login
            && !intent.replay
            && let Ok(stored) = self.cluster.for_results().put_grant(&stored).await
        {
            self.take(facts, tokens, stored);
        }
    }

    /// A refusal by the token endpoint is a failed authentication like one by Jira.
    fn report_miss(&self, facts: &Facts, miss: Option<RenewalFailure>) {
        let (namespace, name) = (&facts.object.namespace, &facts.object.name);
        let reason = match miss {
            Some(RenewalFailure::Dead) => Reason::ReconsentRequired,
            Some(RenewalFailure::Refused(reason)) => reason,
            Some(RenewalFailure::NotSpent(Reason::ClientRejected)) => Reason::ClientRejected,
            Some(RenewalFailure::NotSpent(reason) | RenewalFailure::Unknown(reason)) => {
                tracing::warn!(namespace, name, ?reason, "a renewal brought no token");
                return;
            }
            None => return,
        };
        let method = facts.plan.as_ref().ok().map(|plan| plan.method);
        self.metrics.authentication_failed(method, reason);
        tracing::warn!(namespace, name, ?reason, "a renewal was refused");
    }
}

fn grant_key(facts: &Facts, plan: &RenewalPlan) -> Key {
    Key::new(&facts.object.namespace, &plan.grant)
}

fn site_of(facts: &Facts) -> Result<Site, ActError> {
    let plan = facts.plan.as_ref().map_err(|_| ActError::Stale)?;
    Ok(plan.site.clone())
}
