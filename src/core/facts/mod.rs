//! The facts: everything a decision may look at. They hold no secret value, so they can be printed,
//! logged and written into a test.

pub mod attempt;
pub mod batches;
pub mod chain;
pub mod clock;
pub mod denied;
pub mod desired;
pub mod freshness;
pub mod identity;
pub mod permissions;
pub mod previous;
pub mod process;
mod publishable;
pub mod renewal;
pub mod repairs;
mod replaced;
pub mod restart;
pub mod targets;
pub mod types;

pub use batches::Batches;
pub use denied::{Denial, Denied, DeniedWork};
pub use process::{Process, TimeScale, Watched};
pub use repairs::{Repair, repair};
pub use restart::RestartDue;
pub use types::{
    ApiKey, Barrier, GrantState, GrantUser, Held, Holder, KeysStay, Object, Peer, Progress,
    Renewal, Restarted, SeedState, Source, TargetFacts, TargetState, TextValue, Twin,
};

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::api::{
    Account, JiraCredentialSpec, JiraCredentialStatus, MethodName, SourceVersion, TargetVersion,
};
use crate::core::probe::SiteWait;
use crate::core::spec::{Plan, SpecError, TokenFormat};

/// Everything known about one credential in one reconcile.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The present time.
    pub now: DateTime<Utc>,
    /// Since when this process looks after the credentials. The last acceptance of an earlier one may
    /// be later than the recorded one, as it is not recorded each time.
    pub watched_since: Option<DateTime<Utc>>,
    /// Who the object is.
    pub object: Object,
    /// What the user asks for.
    pub spec: JiraCredentialSpec,
    /// What was recorded last; a step that writes the status brings it up to date.
    pub status: JiraCredentialStatus,
    /// What follows from the spec alone, or why it cannot be acted on.
    pub plan: Result<Plan, SpecError>,
    /// The user's Secret.
    pub source: Source,
    /// What the secret value in it looks like, as far as it was read.
    pub form: TokenFormat,
    /// The values that were read as text in this reconcile.
    pub texts: Vec<TextValue>,
    /// The targets of the spec, in its order.
    pub targets: Vec<TargetFacts>,
    /// Targets that were written earlier and that the spec no longer names.
    pub surplus: Vec<TargetVersion>,
    /// What other credentials know of the same password.
    pub peer: Peer,
    /// Why no call is made to the site for now.
    pub site_wait: Option<SiteWait>,
    /// The same for a renewal that is due, which waits only for limits of its own account.
    pub renewal_wait: Option<SiteWait>,
    /// Host and port of the proxy that Jira is called through, if the administrator has set one.
    pub proxy: Option<Arc<str>>,
    /// The grant of a credential that renews itself.
    pub renewal: Option<Renewal>,
    /// The key with which an organisation can be asked when the credential expires.
    pub api_key: ApiKey,
    /// How far this process is with the restarts for a change.
    pub batches: Option<Batches>,
    /// What has happened in this reconcile.
    pub progress: Progress,
}

impl Facts {
    /// Whether this is the first reconcile over the object.
    pub fn is_new(&self) -> bool {
        self.status.observed_generation < 0
    }

    /// Whether the spec has changed since the last reconcile.
    pub fn spec_changed(&self) -> bool {
        self.status.observed_generation != self.object.generation
    }

    /// Whether this reconcile has done something that the status must tell of.
    pub fn has_effects(&self) -> bool {
        self.awaits_record() || !self.progress.restarts.is_empty()
    }

    /// Whether this reconcile has learnt or written something that the status must tell of before
    /// anything else takes its time.
    pub fn awaits_record(&self) -> bool {
        let written = |target: &TargetFacts| matches!(target.state, TargetState::Written(_));
        self.progress.judgement.is_some()
            || self.progress.renewed
            || self.progress.candidate_tried
            || self.progress.lookup.is_some()
            || self.targets.iter().any(written)
    }

    /// Whether the Secret with the private authorities has changed since it was read last. Of
    /// another source the fingerprint of its contents decides; its labels do not matter.
    pub fn authorities_edited(&self) -> bool {
        let tls = self.spec.tls.as_ref();
        let Some(reference) = tls.and_then(|tls| tls.ca_secret_ref.as_ref()) else {
            return false;
        };
        let Source::Read { versions, .. } = &self.source else {
            return false;
        };
        let of = |all: &[SourceVersion]| {
            all.iter()
                .find(|version| version.name == reference.name)
                .cloned()
        };
        let recorded = of(&self.status.sources);
        recorded.is_some() && recorded != of(versions)
    }

    /// Whether a person asks, by the annotation `renew`, for a validation now, and for a renewal of what
    /// is older than five minutes, and neither was tried yet. The value that a new object brings along
    /// was meant for an earlier one.
    pub fn renew_requested(&self) -> bool {
        !self.is_new()
            && self.object.renew.is_some()
            && self.object.renew != self.status.last_handled_renew
            && !self.renew_is_pending()
    }

    /// Whether that request was tried, and nothing has answered it yet.
    pub fn renew_is_pending(&self) -> bool {
        self.status.pending_renew.is_some() && self.status.pending_renew == self.object.renew
    }

    /// Whether the method sends a password, which Jira counts.
    pub fn is_password(&self) -> bool {
        self.plan
            .as_ref()
            .is_ok_and(|plan| plan.method == MethodName::Basic)
    }

    /// Until when no call is made to the site, because of other calls or of the queue.
    pub fn no_call_until(&self) -> Option<DateTime<Utc>> {
        let wait = self.site_wait.map(|wait| wait.until);
        wait.max(self.progress.queued_until)
    }

    /// The same for a renewal that is due.
    pub fn no_renewal_until(&self) -> Option<DateTime<Utc>> {
        let wait = self.renewal_wait.map(|wait| wait.until);
        wait.max(self.progress.queued_until)
    }

    /// The account of the credential that was validated last.
    pub fn account(&self) -> Option<&Account> {
        self.status.account.as_ref()
    }
}
