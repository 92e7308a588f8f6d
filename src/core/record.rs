//! What a probe leaves behind in the status.

use chrono::{DateTime, Utc};

use super::answer::{Outage, Verdict};
use super::facts::{Facts, Peer};
use super::fingerprint::{Fingerprint, Likeness};
use super::judge::{Judgement, outage_reason};
use super::schedule::{
    CONFIRM_AFTER, FORBIDDEN_HEARTBEAT, REFUSED_HEARTBEAT, backoff, later, splay,
};
use crate::api::{Account, Attempt, AttemptOutcome, Reason, SiteStatus};

/// When the credential is tried again by itself, if at all.
type Next = Option<DateTime<Utc>>;

/// What a probe without an acceptance leaves behind.
type Learnt = (AttemptOutcome, Reason, Next);

impl Facts {
    /// Takes in what Jira said.
    pub(super) fn record(&mut self, verdict: &Verdict) {
        let judgement = self.judge(verdict);
        match &judgement {
            Judgement::Accepted(account) => self.record_acceptance(account.clone()),
            other => {
                let attempt = self.failed_attempt(other);
                self.status = self.without_old_attempt();
                self.status.attempt = attempt;
            }
        }
        self.happened.attempt_recorded = false;
        self.happened.judgement = Some(judgement);
    }

    fn record_acceptance(&mut self, account: Account) {
        let Some(fingerprint) = self.fingerprint() else {
            return;
        };
        let Ok(plan) = &self.plan else { return };
        if !self.is_known(&fingerprint) || self.status.first_seen_time.is_none() {
            self.status.first_seen_time = Some(self.now);
        }
        self.status.site = Some(SiteStatus {
            hosting: plan.site.hosting,
            api_url: plan.site.base.clone(),
        });
        self.status.method = Some(plan.method);
        self.status.proven_fingerprint = Some(fingerprint.as_str().to_owned());
        self.status.account = Some(account);
        self.status.last_validated_time = Some(self.now);
        self.status.attempt = None;
        // What others knew of the same password is out of date.
        self.peer = Peer::Silent;
    }

    /// Whether the credential is the one that was proven last. A lost fingerprint key makes
    /// everything unknown, never new.
    fn is_known(&self, fingerprint: &Fingerprint) -> bool {
        self.status
            .proven_fingerprint
            .as_deref()
            .is_some_and(|proven| match fingerprint.likeness(proven) {
                Likeness::Same | Likeness::Unknown => true,
                Likeness::Different => false,
            })
    }

    fn failed_attempt(&self, judgement: &Judgement) -> Option<Attempt> {
        let fingerprint = self.fingerprint()?.as_str().to_owned();
        let failures = self
            .attempt()
            .map_or(0, |attempt| attempt.failures)
            .saturating_add(1);
        let uid = self.object.uid.as_str();
        let heartbeat = |wait| Some(later(self.now, wait + splay(uid, wait / 10)));
        let (outcome, reason, next) = match judgement {
            Judgement::Accepted(_) => return None,
            Judgement::Refused(cause) => {
                let next = if self.is_password() {
                    None
                } else {
                    heartbeat(REFUSED_HEARTBEAT)
                };
                (AttemptOutcome::Refused, cause.reason(), next)
            }
            Judgement::Unconfirmed(_) => (
                AttemptOutcome::Unconfirmed,
                Reason::Confirming,
                Some(later(self.now, CONFIRM_AFTER)),
            ),
            Judgement::NotAllowed(_) => (
                AttemptOutcome::NoVerdict,
                Reason::HostNotAllowed,
                heartbeat(FORBIDDEN_HEARTBEAT),
            ),
            Judgement::NoVerdict(outage) => self.after_outage(*outage, failures),
        };
        let (outcome, reason, next_attempt_time) = self.after_silence(outcome, reason, next);
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
    /// goes on awaiting it.
    fn after_silence(&self, outcome: AttemptOutcome, reason: Reason, next: Next) -> Learnt {
        let silent = match outcome {
            AttemptOutcome::NoVerdict | AttemptOutcome::Interrupted => true,
            AttemptOutcome::Started | AttemptOutcome::Refused | AttemptOutcome::Unconfirmed => {
                false
            }
        };
        let before = self.attempt().map(|attempt| attempt.outcome);
        match self.refusal() {
            Some(refusal) if silent => {
                let next = next.filter(|_| !self.is_password());
                (AttemptOutcome::Refused, refusal, next)
            }
            None if silent && before == Some(AttemptOutcome::Unconfirmed) => {
                (AttemptOutcome::Unconfirmed, Reason::Confirming, next)
            }
            _ => (outcome, reason, next),
        }
    }

    fn after_outage(&self, outage: Outage, failures: i32) -> Learnt {
        // A password that Jira may have counted, and that it never accepted, is not sent again.
        if self.is_password() && outage.may_have_arrived() && !self.is_proven() {
            return (AttemptOutcome::Interrupted, Reason::NotYetProven, None);
        }
        let asked = outage
            .retry_after()
            .and_then(|wait| chrono::TimeDelta::from_std(wait).ok())
            .unwrap_or_default();
        let wait = self
            .unhurried(outage)
            .unwrap_or_else(|| backoff(failures, &self.object.uid));
        let wait = wait.max(asked);
        (
            AttemptOutcome::NoVerdict,
            outage_reason(outage),
            Some(later(self.now, wait)),
        )
    }

    /// A proven password whose answer was lost is not sent again in a hurry: it may have been
    /// changed meanwhile, and every answer that is lost may be a refusal that counts.
    fn unhurried(&self, outage: Outage) -> Option<chrono::TimeDelta> {
        let wait = self.proof_after_silence(self.now)? - self.now;
        (self.is_password() && outage.may_have_arrived()).then_some(wait)
    }
}
