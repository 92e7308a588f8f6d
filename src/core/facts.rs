//! What a decision may look at. No secret value is among it, so that it can be printed, logged
//! and written into a test.

use chrono::{DateTime, Utc};

use super::answer::Refusal;
use super::detour::is_site_of;
use super::fingerprint::{Fingerprint, Likeness};
use super::form::Form;
use super::judge::Judgement;
use super::listed::{Found, Miss};
use super::lookup::ApiKey;
use super::problem::{Periods, SourceProblem, SpecProblem};
use super::protocol::Spend;
use super::renewal::{Renewal, RenewalPlan};
use super::schedule::{self, later};
use super::site::Site;
use crate::api::{
    Account, JiraCredentialSpec, JiraCredentialStatus, MethodName, Reason, SourceVersion, Target,
    TargetVersion,
};

/// Everything known about one credential in one pass.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The present time.
    pub now: DateTime<Utc>,
    /// Who the object is.
    pub object: Object,
    /// What the user asks for.
    pub spec: JiraCredentialSpec,
    /// What was recorded last; a step that writes the status brings it up to date.
    pub status: JiraCredentialStatus,
    /// What follows from the spec alone, or why it cannot be acted on.
    pub plan: Result<Plan, SpecProblem>,
    /// The user's Secret.
    pub source: Source,
    /// What the secret value in it looks like, as far as it was read.
    pub form: Form,
    /// The targets of the spec, in its order.
    pub targets: Vec<TargetFacts>,
    /// Targets that were written earlier and that the spec no longer names.
    pub surplus: Vec<TargetVersion>,
    /// What other credentials know of the same password.
    pub peer: Peer,
    /// Until when the site asked everybody to wait.
    pub cooling_until: Option<DateTime<Utc>>,
    /// The grant of a credential that renews itself.
    pub renewal: Option<Renewal>,
    /// The key with which an organisation can be asked when the credential expires.
    pub api_key: ApiKey,
    /// What has happened in this pass.
    pub happened: Happened,
}

/// The identity of a `JiraCredential`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Object {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// Generation of the spec.
    pub generation: i64,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// The value of the annotation `jira-operator.dev/renew`.
    pub renew: Option<String>,
}

/// What follows from a spec alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// The method.
    pub method: MethodName,
    /// The site.
    pub site: Site,
    /// The lengths of time.
    pub periods: Periods,
    /// When the credential was issued, as far as the user says.
    pub issued_at: Option<DateTime<Utc>>,
    /// When the credential expires, as far as the user says.
    pub expires_at: Option<DateTime<Utc>>,
    /// How the credential renews itself, if it does.
    pub renewal: Option<RenewalPlan>,
    /// Base address of Atlassian's gateway, for API tokens, which may work only there.
    pub detour: Option<String>,
}

/// What is known of the user's Secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// It has the versions that are recorded; it was not read.
    Unchanged,
    /// It was read.
    Read {
        /// Keyed fingerprint of site, user and secret.
        fingerprint: Fingerprint,
        /// The versions that were read.
        versions: Vec<SourceVersion>,
    },
    /// It is missing, or no credential.
    Unusable(SourceProblem),
}

/// What is known of one target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TargetFacts {
    /// The target, as the spec has it.
    pub target: Target,
    /// What stands on the cluster under its name.
    pub state: TargetState,
    /// An older `JiraCredential` that names the same Secret.
    pub older_claim: Option<String>,
}

/// What stands on the cluster under the name of a target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TargetState {
    /// Nobody looked.
    Unknown,
    /// Nothing.
    Absent,
    /// A Secret of this uid and resourceVersion.
    Present {
        /// Its uid.
        uid: String,
        /// Its resourceVersion.
        resource_version: String,
    },
    /// This pass wrote it.
    Written(TargetVersion),
    /// This pass found that somebody else holds it.
    Held(Holder, TargetVersion),
    /// The API server refused to write it in this pass.
    Refused(String),
}

/// Who holds a Secret that is not ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Holder {
    /// Another `JiraCredential`, by its name.
    Credential(String),
    /// Somebody that has nothing to do with us.
    Stranger,
}

/// What other credentials know of the same site, user and password.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Peer {
    /// Nothing, or it is no password.
    Silent,
    /// One of them is sending it at this moment.
    InFlight,
    /// One of them sent it and nobody knows the answer.
    Interrupted,
    /// Jira refused it.
    Refused(Reason),
}

/// What has happened in this pass.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one for each kind of thing that can happen"
)]
pub struct Happened {
    /// The attempt with a password was recorded before it is sent.
    pub attempt_recorded: bool,
    /// Another credential has the word on this password: it is not sent in this pass.
    pub attempt_denied: bool,
    /// What the probe means.
    pub judgement: Option<Judgement>,
    /// Names of surplus targets that were removed, or turned out to be gone or another's.
    pub retracted: Vec<String>,
    /// Another grant holds the same seed was looked for.
    pub sought: bool,
    /// An older grant holds the same seed.
    pub twin: bool,
    /// The renewal whose intent is durable.
    pub intended: Option<Spend>,
    /// A renewal was made, whatever became of it.
    pub renewed: bool,
    /// The id of the site, as the site told it.
    pub located: Option<String>,
    /// What the token covers was asked.
    pub surveyed: bool,
    /// A candidate beside the chain in use was asked about.
    pub candidate_tried: bool,
    /// What the organisation told about the API token.
    pub lookup: Option<Result<Found, Miss>>,
    /// The site refused an API token that may work at the gateway.
    pub refused_at_site: Option<Refusal>,
    /// Jira accepted the credential as this account; the permissions that the spec requires
    /// decide.
    pub welcomed: Option<Account>,
    /// Jira was asked about permissions.
    pub permissions_asked: bool,
    /// The token in use was looked for among those of its account.
    pub looked_for: bool,
}

impl Facts {
    /// Whether this is the first pass over the object.
    pub fn is_new(&self) -> bool {
        self.status.observed_generation < 0
    }

    /// Whether the spec has changed since the last pass.
    pub fn spec_changed(&self) -> bool {
        self.status.observed_generation != self.object.generation
    }

    /// Whether this pass has done something that the status must tell of.
    pub fn has_effects(&self) -> bool {
        let written = |target: &TargetFacts| matches!(target.state, TargetState::Written(_));
        self.happened.judgement.is_some()
            || self.happened.renewed
            || self.happened.candidate_tried
            || self.happened.lookup.is_some()
            || self.targets.iter().any(written)
    }

    /// Whether the Secret with the private authorities has changed since it was read last. Of
    /// another source its contents tell, by the fingerprint, and its labels are nobody's concern.
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

    /// Whether a person asks for a proof now. The value that a new object brings along was
    /// meant for an earlier one.
    pub fn renew_requested(&self) -> bool {
        !self.is_new()
            && self.object.renew.is_some()
            && self.object.renew != self.status.last_handled_renew
    }

    /// Whether the method sends a password, which Jira counts.
    pub fn is_password(&self) -> bool {
        self.plan
            .as_ref()
            .is_ok_and(|plan| plan.method == MethodName::Basic)
    }

    /// The fingerprint of the credential in the source: as read, or else as recorded.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        if let Some(print) = self.chain_print() {
            return Some(print.clone());
        }
        match &self.source {
            Source::Read { fingerprint, .. } => Some(fingerprint.clone()),
            Source::Unchanged | Source::Unusable(_) => self
                .status
                .attempt
                .as_ref()
                .map(|attempt| attempt.fingerprint.as_str())
                .or(self.status.proven_fingerprint.as_deref())
                .map(Fingerprint::recorded),
        }
    }

    /// Whether the credential in the source is the one that was proven last.
    pub fn is_proven(&self) -> bool {
        match (self.fingerprint(), &self.status.proven_fingerprint) {
            (Some(fingerprint), Some(proven)) => {
                fingerprint.likeness(proven) == Likeness::Same
                    && self.site_recorded()
                    && self.status.last_validated_time.is_some()
            }
            _ => false,
        }
    }

    /// Fingerprints of different keys tell nothing: then equal versions of the Secret decide.
    pub(super) fn is_same(&self, fingerprint: &Fingerprint, recorded: &str) -> bool {
        match fingerprint.likeness(recorded) {
            Likeness::Same => true,
            Likeness::Different => false,
            Likeness::Unknown => match &self.source {
                Source::Read { versions, .. } => *versions == self.status.sources,
                Source::Unchanged => true,
                Source::Unusable(_) => false,
            },
        }
    }

    /// Whether the recorded proof was made at the site and with the method of the present spec.
    pub fn site_recorded(&self) -> bool {
        match (&self.plan, &self.status.site) {
            (Ok(plan), Some(site)) if plan.detour.is_some() => {
                is_site_of(plan, site) && self.status.method == Some(plan.method)
            }
            (Ok(plan), Some(site)) => {
                Some(&site.api_url) == self.api_base().as_ref()
                    && self.status.method == Some(plan.method)
            }
            _ => false,
        }
    }

    /// The account that the credential must belong to: the one of the spec, else the first one
    /// that it was proven for. Another site or method is another account.
    pub fn pinned_account(&self) -> Option<&str> {
        let recorded = || {
            self.status
                .account
                .as_ref()
                .filter(|_| self.site_recorded())
        };
        self.spec
            .validation
            .account_id
            .as_deref()
            .or_else(|| recorded().map(|account| account.id.as_str()))
    }

    /// When a proof of the credential that was proven last falls due.
    pub fn next_proof(&self) -> Option<DateTime<Utc>> {
        self.proof_after(self.status.last_validated_time?)
    }

    /// When the regular proof after the probe at `last` falls due.
    pub fn proof_after(&self, last: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let interval = self.plan.as_ref().ok()?.periods.interval;
        Some(schedule::next_proof(last, interval, &self.object.uid))
    }

    /// When the proven credential is asked about again after the answer to a question was lost:
    /// at the usual time, at the latest when the last proof grows too old.
    pub fn proof_after_silence(&self, asked: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let usual = self.proof_after(asked)?;
        let stale = self.proof_is_stale_from().filter(|stale| *stale > asked);
        Some(stale.map_or(usual, |stale| stale.min(usual)))
    }

    /// From when on the last proof says nothing any more: two intervals after it, or when what
    /// was proven has expired.
    pub fn proof_is_stale_from(&self) -> Option<DateTime<Utc>> {
        let plan = self.plan.as_ref().ok()?;
        let last = self.status.last_validated_time?;
        let stale = later(last, plan.periods.interval * 2);
        // A token that Jira accepted after its stated end is no token that has ended.
        let expiry = self.published_end().filter(|expiry| *expiry > last);
        Some(expiry.map_or(stale, |expiry| expiry.min(stale)))
    }

    /// The account of the credential that was proven last.
    pub fn account(&self) -> Option<&Account> {
        self.status.account.as_ref()
    }

    /// Whether the status names the credential in the source: as proven, or as tried. Only then
    /// may the next pass take it as known without reading it.
    pub fn is_on_record(&self) -> bool {
        let proven = || {
            let proven = self.status.proven_fingerprint.as_deref()?;
            Some(self.is_same(&self.fingerprint()?, proven))
        };
        self.attempt().is_some() || proven().unwrap_or(false)
    }
}
