//! Records the result of a validation in the status.

use crate::core::facts::Facts;
use chrono::{DateTime, TimeDelta, Utc};

use crate::api::{Account, Attempt, AttemptOutcome, Reason, SiteStatus};
use crate::core::apply::judge::earns_renewal;
use crate::core::facts::Peer;
use crate::core::fingerprint::{Fingerprint, FingerprintMatch};
use crate::core::probe::{Cause, Judgement, Outage, Verdict, outage_reason};
use crate::core::spec::{Plan, RenewalPlan, USUAL_INTERVAL};
use crate::core::time::{
    CONFIRM_AFTER, FORBIDDEN_HEARTBEAT, REFUSED_HEARTBEAT, jitter, later, probe_backoff,
};

/// When the operator retries, if at all.
type Next = Option<DateTime<Utc>>;

/// What a probe without an acceptance leaves behind.
type Learnt = (AttemptOutcome, Reason, Next);

impl Facts {
    /// Records what Jira said.
    pub(crate) fn record(&mut self, verdict: &Verdict) {
        if self.falls_back_to_gateway(verdict) {
            return;
        }
        match self.judge(verdict) {
            Judgement::Accepted(account) if self.requires_permissions() => {
                self.progress.pending_account = Some(account);
            }
            judgement => self.settle(judgement),
        }
    }

    /// Records what became of a credential that Jira accepted and whose permissions were looked
    /// at.
    pub(crate) fn settle_pending(&mut self, judgement: Judgement) {
        if self.candidate_is_due() {
            self.settle_candidate(&judgement);
        } else {
            self.settle(judgement);
        }
    }

    fn settle(&mut self, judgement: Judgement) {
        match &judgement {
            Judgement::Accepted(account) => self.record_acceptance(account.clone()),
            other => {
                let attempt = self.failed_attempt(other);
                self.status = self.without_old_attempt();
                self.status.attempt = attempt;
            }
        }
        self.progress.attempt_recorded = false;
        self.progress.judgement = Some(judgement);
    }

    fn record_acceptance(&mut self, account: Account) {
        let Some(fingerprint) = self.fingerprint() else {
            return;
        };
        let Ok(plan) = &self.plan else { return };
        let (site, method) = (self.site_status(plan), plan.method);
        let known = if self.renews() {
            self.is_of_validated_chain()
        } else {
            self.is_known(&fingerprint)
        };
        if !known || self.status.first_seen_time.is_none() {
            let by_person = !self.renews() || self.renewal_plan().is_some_and(RenewalPlan::spends);
            let replaces = by_person && self.status.first_seen_time.is_some() && !known;
            self.status.rotated_time = replaces.then_some(self.now);
            self.status.first_seen_time = Some(self.now);
            // What another credential may do says nothing of this one.
            self.status.permissions = None;
        }
        self.status.site = Some(site);
        self.status.method = Some(method);
        self.record_chain();
        self.status.validated_fingerprint = Some(fingerprint.as_str().to_owned());
        self.status.account = Some(account);
        if self.renew_requested() {
            self.look_up_again();
        }
        self.status.last_validated_time = Some(self.now);
        self.status.attempt = None;
        // What others knew of the same password is out of date.
        self.peer = Peer::Silent;
    }

    /// How the site is used.
    fn site_status(&self, plan: &Plan) -> SiteStatus {
        let elsewhere = self.gateway().is_some();
        SiteStatus {
            hosting: plan.site.hosting,
            api_url: self.probe_base().unwrap_or_else(|| plan.site.base.clone()),
            address: elsewhere.then(|| plan.site.base.clone()),
            cloud_id: self.cloud_id().filter(|_| elsewhere).map(str::to_owned),
        }
    }

    /// How the site is used, as far as is known before anything was validated.
    pub(crate) fn unvalidated_site(&self, plan: &Plan) -> SiteStatus {
        if plan.gateway_fallback.is_none() {
            return self.site_status(plan);
        }
        SiteStatus {
            hosting: plan.site.hosting,
            api_url: plan.site.base.clone(),
            address: None,
            cloud_id: None,
        }
    }

    /// What is known of the chain whose token was validated.
    fn record_chain(&mut self) {
        let Some(chain) = self.chain() else { return };
        let family_id = chain.family_id();
        let access = chain.access.clone();
        let grant = self.status.grant.get_or_insert_default();
        grant.chain = Some(family_id);
        grant.provisional = None;
        if let Some(access) = access {
            self.status.expires_at = access.end();
            self.status.scopes = access.scopes;
        }
    }

    /// Records what Jira said about a candidate beside the chain in use. Once accepted it is the
    /// credential; any other result is reported without changing the one in use.
    pub(crate) fn record_candidate(&mut self, verdict: &Verdict) {
        match self.judge(verdict) {
            Judgement::Accepted(account) if self.requires_permissions() => {
                self.progress.pending_account = Some(account);
            }
            judgement => self.settle_candidate(&judgement),
        }
    }

    fn settle_candidate(&mut self, judgement: &Judgement) {
        let Some(print) = self
            .asked_about()
            .and_then(|chain| chain.access.as_ref())
            .map(|access| access.token.clone())
        else {
            return;
        };
        self.progress.candidate_tried = true;
        let (outcome, reason, next) = match judgement {
            Judgement::Accepted(account) => {
                // From here on the chain of this token is the credential.
                self.status.validated_fingerprint = Some(print.as_str().to_owned());
                if let Some(grant) = &mut self.status.grant {
                    grant.candidate = None;
                }
                self.record_acceptance(account.clone());
                self.progress.judgement = Some(judgement.clone());
                return;
            }
            Judgement::Refused(cause) => (AttemptOutcome::Refused, cause.reason(), None),
            Judgement::Unconfirmed(refusal) => {
                let reason = Cause::Jira(*refusal).reason();
                (AttemptOutcome::Refused, reason, None)
            }
            Judgement::NotAllowed(_) => (
                AttemptOutcome::NoVerdict,
                Reason::HostNotAllowed,
                Some(later(self.now, FORBIDDEN_HEARTBEAT)),
            ),
            Judgement::NoVerdict(outage) => {
                let failures = self.candidate_attempt().map_or(0, |old| old.failures);
                self.after_outage(*outage, failures.saturating_add(1))
            }
        };
        let failures = self.candidate_attempt().map_or(0, |old| old.failures);
        let attempt = Attempt {
            failures: failures.saturating_add(1),
            last_failure_time: self.now,
            next_attempt_time: next,
            fingerprint: print.as_str().to_owned(),
            outcome,
            reason: Some(reason),
        };
        self.status.grant.get_or_insert_default().candidate = Some(attempt);
    }

    /// Whether the credential is the one that was validated last. A lost fingerprint key makes
    /// everything unknown, never new.
    fn is_known(&self, fingerprint: &Fingerprint) -> bool {
        self.status
            .validated_fingerprint
            .as_deref()
            .is_some_and(|validated| match fingerprint.compare(validated) {
                FingerprintMatch::Same | FingerprintMatch::Unknown => true,
                FingerprintMatch::Different => false,
            })
    }

    fn failed_attempt(&self, judgement: &Judgement) -> Option<Attempt> {
        let fingerprint = self.fingerprint()?.as_str().to_owned();
        let failures = self
            .attempt()
            .map_or(0, |attempt| attempt.failures)
            .saturating_add(1);
        let uid = self.object.uid.as_str();
        let heartbeat = |wait| Some(later(self.now, wait + jitter(uid, wait / 10)));
        let (outcome, reason, next) = match judgement {
            Judgement::Accepted(_) => return None,
            Judgement::Refused(cause) => {
                // Jira accepted the password of an account that lacks a permission.
                let counts = self.is_password() && *cause != Cause::PermissionMissing;
                let next = if counts {
                    None
                } else {
                    heartbeat(REFUSED_HEARTBEAT)
                };
                (AttemptOutcome::Refused, cause.reason(), next)
            }
            // The reason tells the next reconcile whether a renewal may help.
            Judgement::Unconfirmed(refusal) => (
                AttemptOutcome::Unconfirmed,
                if earns_renewal(*refusal) {
                    Reason::Confirming
                } else {
                    Cause::Jira(*refusal).reason()
                },
                Some(later(self.now, CONFIRM_AFTER)),
            ),
            Judgement::NotAllowed(_) => (
                AttemptOutcome::NoVerdict,
                Reason::HostNotAllowed,
                heartbeat(FORBIDDEN_HEARTBEAT),
            ),
            Judgement::NoVerdict(outage) => self.after_outage(*outage, failures),
        };
        let learnt = (outcome, reason, next);
        let (outcome, reason, next_attempt_time) = self.after_silence(learnt, judgement.was_sent());
        Some(Attempt {
            failures,
            last_failure_time: self.now,
            next_attempt_time,
            fingerprint,
            outcome,
            reason: Some(reason),
        })
    }

    /// Silence takes nothing back: what Jira refused stays refused, and what awaits confirmation
    /// goes on awaiting it. `sent`: whether Jira may have seen the credential. A refused password
    /// that it has not seen is still to be sent, for what allowed that still holds.
    fn after_silence(&self, (outcome, reason, next): Learnt, sent: bool) -> Learnt {
        let silent = match outcome {
            AttemptOutcome::NoVerdict | AttemptOutcome::Interrupted => true,
            AttemptOutcome::Started | AttemptOutcome::Refused | AttemptOutcome::Unconfirmed => {
                false
            }
        };
        let before = self
            .attempt()
            .map(|attempt| (attempt.outcome, attempt.reason));
        let pending_account = self.progress.pending_account.is_some();
        // What Jira itself has just taken back is none any more.
        let lasts = |refusal: &Reason| !pending_account || *refusal == Reason::PermissionMissing;
        match (self.refusal().filter(lasts), before) {
            (Some(refusal), _) if silent => {
                let next = next.filter(|_| !self.is_password() || pending_account || !sent);
                (AttemptOutcome::Refused, refusal, next)
            }
            (None, Some((AttemptOutcome::Unconfirmed, doubt))) if silent => {
                let doubt = doubt.unwrap_or(Reason::Confirming);
                (AttemptOutcome::Unconfirmed, doubt, next)
            }
            _ => (outcome, reason, next),
        }
    }

    fn after_outage(&self, outage: Outage, failures: i32) -> Learnt {
        // A password that Jira may have counted, and that it never accepted, is not sent again.
        let answered = self.progress.pending_account.is_some();
        let unanswered = outage.may_have_arrived() && !answered;
        if self.is_password() && unanswered && !self.is_validated() {
            return (AttemptOutcome::Interrupted, Reason::NotValidated, None);
        }
        let wait = self
            .unhurried(outage)
            .unwrap_or_else(|| self.probe_backoff(failures));
        let wait = outage.retry_delay(wait);
        (
            AttemptOutcome::NoVerdict,
            outage_reason(outage),
            Some(later(self.now, wait)),
        )
    }

    fn probe_backoff(&self, failures: i32) -> TimeDelta {
        let interval = self.plan.as_ref().map(|plan| plan.periods.interval);
        probe_backoff(
            failures,
            interval.unwrap_or(USUAL_INTERVAL),
            &self.object.uid,
        )
    }

    /// A validated password whose answer was lost is not sent again in a hurry: it may have been
    /// changed meanwhile, and every answer that is lost may be a refusal that counts.
    fn unhurried(&self, outage: Outage) -> Option<TimeDelta> {
        let wait = self.validation_after_silence(self.now)? - self.now;
        let unanswered = outage.may_have_arrived() && self.progress.pending_account.is_none();
        (self.is_password() && unanswered).then_some(wait)
    }
}
