//! The log lines of a reconcile: what Jira said, what was renewed and published, and what has changed.

use kube::ResourceExt;

use crate::api::{JiraCredential, JiraCredentialStatus, Reason};
use crate::controller::Operator;
use crate::core::conclude::notice::Notice;
use crate::core::facts::{Facts, TargetState};
use crate::core::messages::outage;
use crate::core::probe::{Cause, Judgement, outage_reason};

impl Operator {
    /// Logs and counts what was done in a reconcile.
    pub(super) fn report(&self, facts: &Facts) {
        let (namespace, name) = (&facts.object.namespace, &facts.object.name);
        if let Some(judgement) = &facts.progress.judgement {
            self.report_judgement(facts, judgement);
        }
        if facts.progress.renewed && facts.progress.renewal_failure.is_none() {
            tracing::info!(namespace, name, "renewed the token");
        }
        for target in &facts.targets {
            if let TargetState::Written(version) = &target.state {
                // Others may change a Secret that holds our keys often.
                let recorded = facts.recorded(&target.target);
                let same = recorded.is_some_and(|seen| seen.hash == version.hash);
                if version.merge.is_some() && same {
                    continue;
                }
                let secret = target.target.path();
                tracing::info!(namespace, name, secret, "published the credential");
            }
        }
    }

    fn report_judgement(&self, facts: &Facts, judgement: &Judgement) {
        let (namespace, name) = (&facts.object.namespace, &facts.object.name);
        let plan = facts.plan.as_ref().ok();
        let kind = plan.map(|plan| plan.method);
        let method = kind.map(tracing::field::debug);
        match judgement {
            Judgement::Accepted(_) => tracing::debug!(namespace, name, method, "accepted"),
            Judgement::Refused(cause) => {
                let reason = cause.reason();
                self.metrics.authentication_failed(kind, reason);
                tracing::warn!(namespace, name, method, ?reason, "authentication failed");
            }
            Judgement::Unconfirmed(refusal) => {
                self.metrics.authentication_failed(kind, Reason::Confirming);
                let reason = Cause::Jira(*refusal).reason();
                tracing::warn!(
                    namespace,
                    name,
                    method,
                    ?reason,
                    "authentication failed; validating again to confirm"
                );
            }
            Judgement::NoVerdict(outage) => {
                let (reason, cause) = (outage_reason(*outage), outage::cause(facts, *outage));
                tracing::warn!(
                    namespace,
                    name,
                    method,
                    ?reason,
                    cause,
                    "no usable answer from Jira"
                );
            }
            Judgement::NotAllowed(forbidden) => {
                let cause = outage::address(facts, *forbidden);
                tracing::warn!(
                    namespace,
                    name,
                    method,
                    cause,
                    "the site's address is not allowed"
                );
            }
        }
    }
}

/// Logs what has changed: the same as the event, which may be gone after an hour.
pub(super) fn log_change(object: &JiraCredential, notice: &Notice) {
    let (namespace, name) = (object.namespace(), object.name_any());
    let (reason, note) = (notice.reason, &notice.note);
    if notice.warning {
        tracing::warn!(namespace, name, ?reason, note, "status changed");
    } else {
        tracing::info!(namespace, name, ?reason, note, "status changed");
    }
}

/// Logs each condition that has another status, whether or not an event tells about it.
pub(super) fn log_transitions(
    object: &JiraCredential,
    stored: &JiraCredentialStatus,
    concluded: &JiraCredentialStatus,
) {
    let (namespace, name) = (object.namespace(), object.name_any());
    for new in &concluded.conditions {
        let old = stored.condition(new.kind);
        if old.is_none_or(|old| old.status != new.status) {
            let (condition, status, reason) = (new.kind, new.status, new.reason);
            tracing::info!(
                namespace,
                name,
                ?condition,
                ?status,
                ?reason,
                "condition changed"
            );
        }
    }
}
