//! What is left to do with a grant when all else is done.

use std::time::Duration;

use chrono::TimeDelta;

use crate::cluster::{Kept, Material};
use crate::controller::Operator;
use crate::controller::act::error::ActError;
use crate::controller::act::grant::{outdated, parts};
use crate::controller::renewal_task::{name_prefix, unlisted_reason};
use crate::core::apply::Answer;
use crate::core::decide::CleanupTask;
use crate::core::decide::cleanup::due_to_end;
use crate::core::facts::Facts;
use crate::core::grant::{Grant, Retired};
use crate::core::probe::{Refusal, Verdict};
use crate::core::time::{REFUSED_HEARTBEAT, backoff, later};
use crate::jira::{Jira, Owner, Place};

/// When a refused revocation is retried.
const ASKED_TWICE: TimeDelta = TimeDelta::minutes(1);

/// Calls that nothing waits for are cut after this time.
const LIMIT: Duration = Duration::from_secs(10);

impl Operator {
    /// Does what is left to do, and writes down what came of it.
    pub(in crate::controller) async fn clean_up(
        &self,
        cleanup_task: CleanupTask,
        facts: &Facts,
        material: &mut Material,
    ) -> Result<Answer, ActError> {
        let stored = material
            .tokens
            .as_ref()
            .and_then(|tokens| tokens.stored.clone());
        let mut stored = stored.ok_or(ActError::Stale)?;
        let ours = name_prefix(stored.metadata.uid.as_deref().unwrap_or_default());
        match cleanup_task {
            CleanupTask::ConfirmRollout => stored.grant.show(facts.now),
            CleanupTask::Revoke => {
                self.end_one(facts, material, &mut stored.grant, &ours)
                    .await?;
            }
            CleanupTask::FindTokenId => {
                self.identify(facts, material, &mut stored.grant, &ours)
                    .await?;
            }
        }
        let stored = self.cluster.put_grant(&stored).await.map_err(outdated)?;
        let (_, tokens) = parts(facts, material)?;
        Ok(Answer::CleanedUp(
            cleanup_task,
            self.take(facts, tokens, stored),
        ))
    }

    /// Ends at Jira what was replaced.
    async fn end_one(
        &self,
        facts: &Facts,
        material: &Material,
        grant: &mut Grant<Kept>,
        ours: &str,
    ) -> Result<(), ActError> {
        let renewal = facts.renewal.as_ref().ok_or(ActError::Stale)?;
        let index = due_to_end(&grant.retired, facts.now, renewal).ok_or(ActError::Stale)?;
        let old = grant.retired.get(index).cloned().ok_or(ActError::Stale)?;
        if old.until <= facts.now {
            grant.settle_retired(index, None);
            return Ok(());
        }
        let ended = self.end_at_jira(facts, material, grant, &old, ours).await;
        let again = match ended {
            Ok(()) => None,
            Err(Verdict::NoVerdict(outage)) => {
                let usual = self.config.time_scale.of(backoff(4, &facts.object.uid));
                Some(later(facts.now, outage.retry_delay(usual)))
            }
            // What ends itself and is refused has ended; Jira says so for a moment during some of
            // its own failures, too, and is asked twice.
            Err(Verdict::Refused(Refusal::Rejected)) if old.next_attempt.is_some() => None,
            Err(Verdict::Refused(Refusal::Rejected)) => {
                Some(later(facts.now, self.config.time_scale.of(ASKED_TWICE)))
            }
            Err(Verdict::Accepted(_) | Verdict::Refused(_) | Verdict::NotAllowed(_)) => Some(
                later(facts.now, self.config.time_scale.of(REFUSED_HEARTBEAT)),
            ),
        };
        let done = again.is_none();
        let (namespace, name) = (&facts.object.namespace, &facts.object.name);
        tracing::info!(namespace, name, done, "asked Jira to end what was replaced");
        grant.settle_retired(index, again);
        // Any of them may have started it.
        if done && grant.retired.iter().all(|old| old.id.is_none()) {
            grant.drop_orphaned_intent();
        }
        Ok(())
    }

    /// A token or session is revoked with its own credentials.
    async fn end_at_jira(
        &self,
        facts: &Facts,
        material: &Material,
        grant: &Grant<Kept>,
        old: &Retired<Kept>,
        ours: &str,
    ) -> Result<(), Verdict> {
        let Ok(place) = place(facts, material) else {
            return Err(Verdict::Refused(Refusal::Rejected));
        };
        let (jira, token) = (self.jira_for(facts), &old.token.0);
        match &old.id {
            Some(id) => {
                let owner = Owner { place, token };
                if grant.has_orphaned_intent() {
                    end_strays(&jira, &owner, grant, ours).await?;
                }
                jira.revoke(&owner, id).await
            }
            None => jira.log_out(&place, token).await,
        }
    }

    /// Looks for the token in use among those of its account.
    async fn identify(
        &self,
        facts: &Facts,
        material: &Material,
        grant: &mut Grant<Kept>,
        prefix: &str,
    ) -> Result<(), ActError> {
        let plan = facts.plan.as_ref().map_err(|_| ActError::Stale)?;
        let stated = plan.renewal.as_ref().and_then(|plan| plan.stated.end);
        let live = grant.live.as_ref().ok_or(ActError::Stale)?;
        let (origin, access) = (
            live.origin.clone(),
            live.access.clone().ok_or(ActError::Stale)?,
        );
        let owner = Owner {
            place: place(facts, material)?,
            token: &access.token.0,
        };
        match self.jira_for(facts).list_tokens(&owner).await {
            Ok(listed) => grant.identify(&origin, &listed, prefix, stated, facts.now),
            Err(error) => {
                let (namespace, name) = (&facts.object.namespace, &facts.object.name);
                let reason = unlisted_reason(&error);
                tracing::warn!(
                    namespace,
                    name,
                    ?reason,
                    "could not read the list of the account's personal access tokens"
                );
                grant.not_listed(&origin, reason, facts.now);
            }
        }
        Ok(())
    }
}

/// What the one that is ended may have made unnoticed: its successor may be of another
/// account, and would not find it.
async fn end_strays(
    jira: &Jira,
    owner: &Owner<'_>,
    grant: &Grant<Kept>,
    ours: &str,
) -> Result<(), Verdict> {
    let listed = jira.list_tokens(owner).await;
    let listed = match listed.map_err(|error| error.verdict()) {
        Ok(listed) => listed,
        // It has already expired, as its own end shows, and no call can use it.
        Err(Verdict::Refused(Refusal::Rejected)) => return Ok(()),
        Err(verdict) => return Err(verdict),
    };
    for stray in grant.strays(&listed, ours) {
        jira.revoke(owner, &stray.id).await?;
    }
    Ok(())
}

/// Where the site keeps tokens and sessions.
fn place<'a>(facts: &'a Facts, material: &'a Material) -> Result<Place<'a>, ActError> {
    let plan = facts.plan.as_ref().map_err(|_| ActError::Stale)?;
    Ok(Place {
        site: &plan.site,
        ca_pem: material.ca_pem.as_deref(),
        limit: LIMIT,
        until: None,
    })
}
