//! One reconcile over one credential: observe, then decide and act until no step is left, conclude.

use std::borrow::Cow;
use std::time::Duration;

use kube::ResourceExt;

use crate::api::{AttemptOutcome, JiraCredential};
use crate::cluster::{
    ClusterError, Key, ObserveContext, Observed, RenewalContext, key_of, observe,
};
use crate::controller::Operator;
use crate::controller::act::ActError;
use crate::controller::denials::not_believed;
use crate::controller::password_guard::Password;
use crate::controller::turns::Turns;
use crate::core::decide::{Step, decide, restart_waits};
use crate::core::facts::attempt::without_unsent;
use crate::core::facts::{Denied, DeniedWork, Facts, Source};
use crate::core::spec::{Endpoints, Plan, SourceError, SpecError, check_metadata, check_targets};
use crate::jira::site_key;

/// A spec has at most 8 targets and 16 workloads to restart, and a status at most 32 targets; every step
/// settles one of them, or the validation. More steps would mean that a step changes nothing.
const MOST_STEPS: usize = 64;

/// How often a reconcile may start again because the object was changed, by others or by itself.
pub(super) const MOST_ROUNDS: usize = 5;

/// How a round ended.
pub(super) enum Round {
    /// With this wait until the next reconcile.
    Done(Duration),
    /// The object has changed, by another client or by a status that had to be written before the rest is
    /// done: look at it again.
    Outdated,
}

impl Operator {
    /// Performs one reconcile. Returns when the next one is due.
    ///
    /// # Errors
    /// When the API server cannot be asked; the reconcile is repeated later.
    pub(super) async fn reconcile(
        &self,
        object: &JiraCredential,
        mut turns: Turns<'_>,
    ) -> Result<Duration, ClusterError> {
        let mut fresh: Option<JiraCredential> = None;
        for _ in 0..MOST_ROUNDS {
            let object = fresh.as_ref().unwrap_or(object);
            match Box::pin(self.round(object, &mut turns)).await? {
                Round::Done(wake) => return Ok(wake),
                Round::Outdated => {}
            }
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            fresh = self.cluster.credential(&namespace, &name).await?;
            // By now it may be another operator's.
            if fresh
                .as_ref()
                .is_none_or(|object| self.is_elsewhere(object))
            {
                break;
            }
        }
        Ok(Duration::from_secs(1))
    }

    async fn round(
        &self,
        object: &JiraCredential,
        turns: &mut Turns<'_>,
    ) -> Result<Round, ClusterError> {
        self.ask_for_secrets(object).await?;
        let Observed {
            mut facts,
            mut material,
        } = Box::pin(self.look(object)).await?;
        let key = key_of(object);
        let unreadable = matches!(facts.source, Source::Unusable(SourceError::NotReadable(_)));
        if unreadable && !self.denials.met(&key) {
            return Err(not_believed());
        }
        let recorded = facts.status.clone();
        // The object as it stands on the cluster, our own writes of this reconcile included.
        let mut current = object.clone();
        let mut failure = None;
        for _ in 0..MOST_STEPS {
            let Some(step) = decide(&facts) else { break };
            if !turns.prepare(&step, &mut facts).await {
                continue;
            }
            let work = work(&step, &facts);
            let answer = self.act(step, &facts, &mut material, &mut current).await;
            turns.resume().await;
            match answer {
                Ok(answer) if self.config.hide_account_names => {
                    facts = facts.apply(answer.without_names());
                }
                Ok(answer) => facts = facts.apply(answer),
                Err(ActError::Cluster(ClusterError::Forbidden(_)))
                    if !facts.has_effects() && !self.denials.met(&key) =>
                {
                    return Err(not_believed());
                }
                // What has happened is written to the status before a new start: a password must
                // not be sent twice, and neither a refusal nor a Secret that we made be forgotten.
                Err(error) if facts.has_effects() || error.is_refusal() => {
                    let cause = error.denial();
                    facts.progress.denied = cause.map(|cause| Denied { work, cause });
                    report_denied(&facts);
                    failure = Some(error);
                    break;
                }
                Err(ActError::Stale) => return Ok(Round::Outdated),
                // Gone with its credential.
                Err(ActError::Cluster(ClusterError::NotFound)) => {
                    return Ok(Round::Done(Duration::from_secs(60)));
                }
                Err(ActError::Cluster(error)) => return Err(error),
            }
        }
        turns.end_calls();
        self.restarts.remember(&key, &facts);
        let unknown = facts.progress.twins_unknown.as_ref();
        if facts.progress.denied.is_none() && unknown.is_none() && !unreadable {
            self.denials.forget(&key);
        }
        failure = failure.or_else(|| unknown.map(|cause| ActError::Cluster(cause.into())));
        self.report(&facts);
        let round = self.write_down(&mut current, &mut facts, &recorded).await?;
        if matches!(round, Round::Done(_)) {
            self.look_for_readers(&current, &facts, &recorded);
        }
        match failure {
            None if restart_waits(&facts) => Ok(Round::Outdated),
            Some(ActError::Stale) => Ok(Round::Outdated),
            Some(ActError::Cluster(error)) => Err(error),
            None => Ok(round),
        }
    }

    /// Gathers the facts of a credential.
    pub(super) async fn look(&self, object: &JiraCredential) -> Result<Observed, ClusterError> {
        let plan = self.plan(object);
        let waits = plan.as_ref().map(|plan| self.site_waits(plan, object));
        let [site_wait, renewal_wait] = waits.unwrap_or_default();
        let uid = object.uid().unwrap_or_default();
        let namespace = object.namespace().unwrap_or_default();
        let object = &self.acceptances.complete(self.without_unsent(object, &uid));
        let stopping = self.stopping.is_cancelled();
        let around = ObserveContext {
            now: self.clock.now(),
            watched_since: self.watched_since(),
            plan,
            site_wait,
            renewal_wait,
            proxy: self
                .config
                .jira
                .proxy
                .as_ref()
                .map(|proxy| proxy.name().into()),
            peer: &|prints| self.peer(&namespace, &uid, prints),
            older_claim: &|target| self.older_claim(object, target),
            barrier: &|target| self.barrier(target),
            lookups_are_full: self.look_ups.available_permits() == 0,
            renewals: RenewalContext {
                rival: self.rival(object),
                others: self.others(object),
                stopping,
                process: &|grant, intent| {
                    let grant = Key::new(&namespace, grant);
                    self.renewals.process(&grant, intent, stopping)
                },
                unsent: &|grant, intent| {
                    let grant = Key::new(&namespace, grant);
                    self.renewals.is_unsent(&grant, intent)
                },
                time_scale: self.config.time_scale,
            },
        };
        let mut observed = observe(&self.cluster, &self.index, &self.key, object, around).await?;
        self.restarts
            .recall(&key_of(object.as_ref()), &mut observed.facts);
        Ok(observed)
    }

    /// An attempt that this process recorded, or tried to, and never sent is none; nor is one that
    /// it knows to be accepted, when only the status could not be written.
    fn without_unsent<'a>(&self, object: &'a JiraCredential, uid: &str) -> Cow<'a, JiraCredential> {
        let attempt = object
            .status
            .as_ref()
            .and_then(|status| status.attempt.as_ref());
        let namespace = object.namespace().unwrap_or_default();
        let harmless = attempt.is_some_and(|attempt| {
            let password = Password::new(&namespace, &attempt.fingerprint);
            attempt.outcome == AttemptOutcome::Started && self.passwords.did_no_harm(&password, uid)
        });
        if !harmless {
            return Cow::Borrowed(object);
        }
        let mut object = object.clone();
        object.status = object.status.as_ref().map(without_unsent);
        Cow::Owned(object)
    }

    /// The site that a credential calls before it does anything else: it has never been validated, and
    /// no call to the site has to wait for now.
    pub(super) fn first_site(&self, object: &JiraCredential) -> Option<String> {
        let tried = object.status.as_ref().is_some_and(|status| {
            status.validated_fingerprint.is_some() || status.attempt.is_some()
        });
        let is_left_alone = object.spec.suspend || object.metadata.deletion_timestamp.is_some();
        let plan = self.plan(object).ok()?;
        let [wait, _] = self.site_waits(&plan, object);
        let waits = tried || is_left_alone || plan.renewal.is_some() || wait.is_some();
        (!waits).then(|| site_key(&plan.site.base, plan.site.hosting).to_owned())
    }

    fn plan(&self, object: &JiraCredential) -> Result<Plan, SpecError> {
        let spec = &object.spec;
        let endpoints = Endpoints::new(&self.config.auth_url, &self.config.api_url);
        let plan = Plan::of(spec, &endpoints)?;
        self.config.hosts.check(&plan.site).map_err(|refusal| {
            SpecError::HostNotAllowed(format!("spec.site {}: {refusal}", plan.site.host))
        })?;
        check_targets(spec, &object.namespace().unwrap_or_default())?;
        check_metadata(spec, &self.config.allowed_metadata_keys)?;
        Ok(plan)
    }
}

/// One line of log for a request that the API server denies for good.
pub(super) fn report_denied(facts: &Facts) {
    if let Some(denied) = &facts.progress.denied {
        let (namespace, name) = (&facts.object.namespace, &facts.object.name);
        let (reason, work) = (denied.reason(), &denied.work);
        tracing::warn!(namespace, name, ?reason, ?work, cause = %denied.cause, "the API server denies a request");
    }
}

/// What a step does on the cluster, to be named if it is denied.
fn work(step: &Step, facts: &Facts) -> DeniedWork {
    match step {
        Step::ImportToken | Step::Intend(_) | Step::Renew(_) | Step::Promote | Step::Cleanup(_) => {
            facts.renewal_plan().map_or(DeniedWork::Other, |plan| {
                DeniedWork::Grant(plan.grant.clone())
            })
        }
        Step::DeleteTarget(old) if old.merge.is_some() => DeniedWork::Removal(old.name.clone()),
        Step::DeleteTarget(old) => DeniedWork::Deletion(old.path()),
        Step::RecordAttempt(_)
        | Step::Validate
        | Step::Publish(_)
        | Step::Restart(_)
        | Step::ResolveCloudId
        | Step::LookUp
        | Step::Permissions
        | Step::CheckDuplicate
        | Step::ListSites
        | Step::ValidateCandidate => DeniedWork::Other,
    }
}
