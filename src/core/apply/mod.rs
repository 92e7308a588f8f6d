//! Adds the result of a step to the facts.

pub mod expiry_lookup;
pub mod gateway;
pub mod judge;
pub mod permissions;
pub mod probe;

use crate::api::{Attempt, SourceVersion, TargetVersion};
use crate::core::decide::Care;
use crate::core::facts::Facts;
use crate::core::facts::{ApiKey, GrantState, Held, Holder, Peer, Source, TargetState};
use crate::core::grant::{RenewalFailure, Spend};
use crate::core::probe::token_list::{Found, LookupError};
use crate::core::probe::{Permissions, Resource, Verdict};

/// What became of a step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The attempt stands in the status.
    AttemptRecorded(Attempt),
    /// Somebody else is sending the same password, or has.
    AttemptNotOurs(Peer),
    /// The probe was made.
    Validated(Verdict),
    /// The target was written.
    Written(usize, TargetVersion),
    /// Somebody else holds the target.
    Held(usize, Holder, TargetVersion),
    /// The API server refused the write, for this cause.
    WriteRefused(usize, String),
    /// The surplus target of this name is gone, or was not ours.
    Retracted(String),
    /// The new seed stands in the grant.
    Adopted(Written),
    /// Whether an older grant holds the same seed.
    Sought(bool),
    /// The intent stands in the grant.
    Intended(Spend, Written),
    /// The renewal was made. What it brought stands in the grant; `None`: somebody else has
    /// taken it over meanwhile.
    Renewed(Option<RenewalFailure>, Option<Written>),
    /// The candidate has taken its place.
    Promoted(Written),
    /// The site told its id, or did not.
    Located(Result<String, Verdict>),
    /// The gateway told what the token covers, or would not (`Ok(None)`), or could not.
    Surveyed(Result<Option<Vec<Resource>>, Verdict>),
    /// A candidate beside the chain in use was asked about.
    Tried(Verdict),
    /// The organisation was asked about the API token.
    LookedUp(Result<Found, LookupError>),
    /// The organisation was not asked: other look-ups take the room that there is.
    LookUpPutOff,
    /// What was left to do with the grant was done, as far as it could be.
    Tended(Care, Written),
    /// Jira told what the account may do, or did not.
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

impl Facts {
    /// Takes in what became of a step.
    #[must_use]
    pub fn absorb(mut self, answer: Answer) -> Self {
        match answer {
            Answer::AttemptRecorded(attempt) => {
                self.status = self.with_attempt(attempt);
                self.happened.attempt_recorded = true;
            }
            Answer::AttemptNotOurs(peer) => {
                match &mut self.renewal {
                    Some(renewal) => renewal.login = peer,
                    None => self.peer = peer,
                }
                self.happened.attempt_denied = true;
            }
            // From here on the rest of the pass decides as the next pass would.
            Answer::Validated(verdict) => self.record(&verdict),
            Answer::Tried(verdict) => self.record_candidate(&verdict),
            Answer::Written(index, version) => {
                self.set_target(index, TargetState::Written(version));
            }
            Answer::Held(index, holder, version) => {
                self.set_target(index, TargetState::Held(holder, version));
            }
            Answer::WriteRefused(index, cause) => {
                self.set_target(index, TargetState::Refused(cause));
            }
            Answer::Retracted(name) => self.happened.retracted.push(name),
            Answer::Adopted(written) | Answer::Promoted(written) => self.set_grant(written),
            Answer::Tended(care, written) => {
                self.happened.looked_for |= care == Care::Identify;
                self.set_grant(written);
            }
            Answer::Sought(twin) => {
                self.happened.sought = true;
                self.happened.twin = twin;
            }
            Answer::Intended(spend, written) => {
                self.set_grant(written);
                self.happened.intended = Some(spend);
            }
            Answer::Renewed(miss, written) => self.absorb_renewal(miss, written),
            Answer::Located(Ok(id)) => self.happened.located = Some(id),
            Answer::Surveyed(answer) => self.absorb_survey(answer),
            Answer::LookedUp(answer) => self.record_lookup(answer),
            Answer::LookUpPutOff => self.api_key = ApiKey::PutOff,
            Answer::Located(Err(verdict)) => self.record_asked(&self.judge_unlocated(&verdict)),
            Answer::Permitted(answer) => self.absorb_permissions(&answer),
        }
        self
    }

    fn absorb_renewal(&mut self, miss: Option<RenewalFailure>, written: Option<Written>) {
        self.happened.intended = None;
        self.happened.renewed = true;
        // What was said of the token before says nothing of its successor.
        if miss.is_none() {
            self.happened.judgement = None;
        }
        match written {
            Some(written) => self.set_grant(written),
            // Another pass finds out what became of it.
            None => {
                if let Some(renewal) = &mut self.renewal {
                    renewal.grant = GrantState::NotRead;
                }
            }
        }
    }

    fn absorb_survey(&mut self, answer: Result<Option<Vec<Resource>>, Verdict>) {
        self.happened.surveyed = true;
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

    /// What was asked before `/myself` counts for the chain that stands to be asked about.
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
