//! Adds the result of a step to the facts.

pub mod expiry_lookup;
pub mod gateway;
pub mod judge;
pub mod permissions;
pub mod probe;

use crate::api::{Attempt, Reason, SourceVersion, TargetVersion, Workload};
use crate::core::decide::CleanupTask;
use crate::core::facts::Facts;
use crate::core::facts::{
    ApiKey, Barrier, Denial, GrantState, Held, Holder, KeysStay, Peer, Restarted, Source,
    TargetState, Twin,
};
use crate::core::grant::{RefreshRequest, RenewalFailure};
use crate::core::probe::token_list::{Found, LookupError};
use crate::core::probe::{Outage, Permissions, Resource, Verdict};

/// What became of a step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The attempt stands in the status.
    AttemptRecorded(Attempt),
    /// Another party is sending the same password, or has.
    AttemptNotOurs(Peer),
    /// The probe was made.
    Validated(Verdict),
    /// The target was written.
    TargetWritten(usize, TargetVersion),
    /// Another party holds the target.
    TargetOwnedByOther(usize, Holder, TargetVersion),
    /// A Secret of somebody else does not take the keys of the target; `None`: there is no such Secret.
    TargetNotMerged(usize, Option<TargetVersion>),
    /// The API server refused the write, for this cause.
    TargetRefused(usize, String),
    /// Nothing is written into the namespace of the target, for this reason.
    TargetBarred(usize, Barrier),
    /// The target could not be rendered, for this reason.
    TargetNotRendered(usize, String),
    /// What became of a workload that was to be restarted.
    Restarted(Workload, Restarted),
    /// The API server did not say what became of it.
    RestartUnanswered(Workload),
    /// The surplus target of this path is gone, or was not ours.
    TargetDeleted(String),
    /// The surplus target of this path stays: the operator does not serve this namespace.
    TargetStays(String, String),
    /// Keys of a surplus target stay in the Secret of somebody else.
    KeysStay(KeysStay),
    /// The new seed stands in the grant.
    TokenImported(Written),
    /// Where an older grant holds the same seed, if there is one.
    DuplicateChecked(Option<Twin>),
    /// Nobody knows whether there is one.
    DuplicatesUnknown(Denial),
    /// The intent stands in the grant.
    Intended(RefreshRequest, Written),
    /// The renewal was made. What it brought stands in the grant; `None`: another party has
    /// taken it over meanwhile.
    Renewed(Option<RenewalFailure>, Option<Outage>, Option<Written>),
    /// The candidate has taken its place.
    Promoted(Written),
    /// The site reported its id, or did not.
    CloudIdResolved(Result<String, Verdict>),
    /// The gateway reported what the token covers, or would not (`Ok(None)`), or could not.
    SitesListed(Result<Option<Vec<Resource>>, Verdict>),
    /// A candidate beside the chain in use was validated.
    CandidateValidated(Verdict),
    /// The organisation was asked for the API token.
    LookedUp(Result<Found, LookupError>),
    /// The organisation was not asked: other look-ups take the room that there is.
    LookUpPutOff,
    /// What was left to do with the grant was done, as far as it could be.
    CleanedUp(CleanupTask, Written),
    /// Jira reported what the account may do, or did not.
    Permitted(Result<Permissions, Verdict>),
}

/// A grant as it was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Written {
    /// Its contents.
    pub held: Held,
    /// The version of the Secret.
    pub version: SourceVersion,
}

impl Answer {
    /// The same answer without what identifies a person beyond the id of the account.
    #[must_use]
    pub fn without_names(self) -> Self {
        match self {
            Answer::Validated(Verdict::Accepted(account)) => {
                Answer::Validated(Verdict::Accepted(account.without_names()))
            }
            Answer::CandidateValidated(Verdict::Accepted(account)) => {
                Answer::CandidateValidated(Verdict::Accepted(account.without_names()))
            }
            other => other,
        }
    }
}

impl Facts {
    /// Records what became of a step.
    #[must_use]
    pub fn apply(mut self, answer: Answer) -> Self {
        match answer {
            Answer::AttemptRecorded(attempt) => {
                self.status = self.with_attempt(attempt);
                self.progress.attempt_recorded = true;
            }
            Answer::AttemptNotOurs(peer) => {
                match &mut self.renewal {
                    Some(renewal) => renewal.login = peer,
                    None => self.peer = peer,
                }
                self.progress.attempt_denied = true;
            }
            // From here on the rest of the reconcile decides as the next reconcile would.
            Answer::Validated(verdict) => self.record(&verdict),
            Answer::CandidateValidated(verdict) => self.record_candidate(&verdict),
            Answer::TargetWritten(index, version) => {
                self.set_target(index, TargetState::Written(version));
            }
            Answer::TargetOwnedByOther(index, holder, version) => {
                self.set_target(index, TargetState::OwnedByOther(holder, version));
            }
            Answer::TargetNotMerged(index, found) => {
                let state = found.map_or(TargetState::Absent, TargetState::NotMerged);
                self.set_target(index, state);
            }
            Answer::TargetRefused(index, cause) => {
                self.set_target(index, TargetState::Refused(cause));
            }
            Answer::TargetBarred(index, barrier) => {
                if let Some(target) = self.targets.get_mut(index) {
                    target.barrier = Some(barrier);
                }
            }
            Answer::TargetNotRendered(index, text) => {
                self.set_target(index, TargetState::NotRendered(text));
            }
            Answer::Restarted(workload, restarted) => self.record_restart(workload, restarted),
            Answer::RestartUnanswered(workload) => {
                self.progress.restarts_stopped = true;
                self.record_restart(workload, Restarted::Failed(Reason::RestartRefused));
            }
            Answer::TargetDeleted(name) => self.progress.deleted_targets.push(name),
            Answer::TargetStays(path, namespace) => {
                self.progress.deleted_targets.push(path.clone());
                self.progress.targets_stay.push((path, namespace));
            }
            Answer::KeysStay(keys) => {
                self.progress.deleted_targets.push(keys.secret.clone());
                self.progress.keys_stay.push(keys);
            }
            Answer::TokenImported(written) | Answer::Promoted(written) => self.set_grant(written),
            Answer::CleanedUp(cleanup_task, written) => {
                self.progress.looked_for |= cleanup_task == CleanupTask::FindTokenId;
                self.set_grant(written);
            }
            Answer::DuplicateChecked(twin) => {
                self.progress.duplicate_checked = true;
                self.progress.is_duplicate = twin.is_some();
                self.progress.twin = twin;
            }
            // What may be another's to use waits as if it were.
            Answer::DuplicatesUnknown(cause) => {
                self.progress.duplicate_checked = true;
                self.progress.is_duplicate = true;
                self.progress.twins_unknown = Some(cause);
            }
            Answer::Intended(spend, written) => {
                self.set_grant(written);
                self.progress.intended = Some(spend);
            }
            Answer::Renewed(miss, outage, written) => {
                self.progress.renewal_outage = outage;
                self.absorb_renewal(miss, written);
            }
            Answer::CloudIdResolved(Ok(id)) => self.progress.cloud_id = Some(id),
            Answer::SitesListed(answer) => self.absorb_survey(answer),
            Answer::LookedUp(answer) => self.record_lookup(answer),
            Answer::LookUpPutOff => self.api_key = ApiKey::PutOff,
            Answer::CloudIdResolved(Err(verdict)) => {
                self.record_asked(&self.judge_unlocated(&verdict));
            }
            Answer::Permitted(answer) => self.absorb_permissions(&answer),
        }
        self
    }

    fn absorb_renewal(&mut self, miss: Option<RenewalFailure>, written: Option<Written>) {
        self.progress.intended = None;
        self.progress.renewed = true;
        self.progress.renewal_failure = miss;
        // What was said of the token before says nothing of its successor.
        if miss.is_none() {
            self.progress.judgement = None;
        }
        match written {
            Some(written) => self.set_grant(written),
            // Another reconcile finds out what became of it.
            None => {
                if let Some(renewal) = &mut self.renewal {
                    renewal.grant = GrantState::NotRead;
                }
            }
        }
    }

    fn absorb_survey(&mut self, answer: Result<Option<Vec<Resource>>, Verdict>) {
        self.progress.sites_listed = true;
        match answer {
            Ok(None) => {}
            Ok(Some(resources)) => {
                if let Err(refusal) = self.judge_survey(&resources) {
                    self.record_asked(&Verdict::Refused(refusal));
                }
            }
            Err(verdict) => self.record_asked(&verdict),
        }
    }

    /// A verdict from before `/myself` counts for the chain that is validated next.
    fn record_asked(&mut self, verdict: &Verdict) {
        if self.candidate_is_due() {
            self.record_candidate(verdict);
        } else {
            self.record(verdict);
        }
    }

    fn set_grant(&mut self, written: Written) {
        let Written { held, version } = written;
        if let Some(renewal) = &mut self.renewal {
            renewal.grant = GrantState::Read(Box::new(held));
        }
        if let Source::Read { versions, .. } = &mut self.source {
            versions.retain(|seen| seen.name != version.name);
            versions.push(version);
            versions.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }

    fn set_target(&mut self, index: usize, state: TargetState) {
        if let Some(target) = self.targets.get_mut(index) {
            target.state = state;
        }
    }
}
