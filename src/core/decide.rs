//! The next step of a pass.

use chrono::{DateTime, Utc};

use super::care::{Care, care, next_care};
use super::conditions::condition;
use super::facts::{Facts, Peer, Source, TargetFacts, TargetState};
use super::protocol::{self, Move, Spend};
use super::trouble;
use crate::api::{Account, Attempt, AttemptOutcome, ConditionType, Reason, TargetVersion};

/// One effect: one write to the cluster, or one call to Jira.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Write down that a password is about to be sent, so that a crash cannot send it twice.
    RecordAttempt(Attempt),
    /// Ask Jira who the credential belongs to.
    Prove,
    /// Write a target.
    Publish(Publish),
    /// Delete a target that the spec no longer names.
    Retract(TargetVersion),
    /// Write a new seed into the grant.
    Adopt,
    /// Look whether another grant holds the same seed.
    Seek,
    /// Write down that a refresh token is about to be spent.
    Intend(Spend),
    /// Ask the token endpoint and store the answer: the one step with two effects.
    Renew(Spend),
    /// Let the proven candidate take the place of the chain in use.
    Promote,
    /// Ask the site for its id.
    Locate,
    /// Ask the gateway what the token covers.
    Survey,
    /// Ask Jira who a candidate beside the chain in use belongs to.
    Try,
    /// Ask the organisation when the API token expires.
    LookUp,
    /// Ask Jira what the account may do.
    Permissions,
    /// Do what is left to do with the grant when all else is done.
    Tend(Care),
}

/// How to write a target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Publish {
    /// Index among the targets of the facts.
    pub index: usize,
    /// The digest of what is to be written.
    pub digest: String,
    /// The account that what is written belongs to.
    pub account: Account,
    /// The uid of the Secret that we hold under this name; `None`: create it.
    pub holds: Option<String>,
}

/// A status holds 32 targets, and a spec 8. Without this bound a target that somebody else holds,
/// beside others that are renamed again and again, would make the status unwritable.
const MOST_SURPLUS: usize = 24;

/// Names the next step; `None` when nothing is left to do in this pass. The first check that
/// applies decides.
pub fn decide(facts: &Facts) -> Option<Step> {
    // 1. What is being deleted, suspended or contradictory is left alone. A source that is no
    //    credential proves nothing and publishes nothing.
    if facts.object.deleting || facts.spec.suspend || facts.plan.is_err() {
        return None;
    }
    if matches!(facts.source, Source::Unusable(_)) {
        return None;
    }
    // 2. An acceptance is a proof only with the permissions that the spec requires.
    if facts.awaits_permissions() {
        return Some(Step::Permissions);
    }
    // 3. A token that is to be renewed is, before anything is said about it.
    if let Some(step) = renew(facts) {
        return Some(step);
    }
    // 4. A proof comes before anything is published.
    if facts.candidate_is_due() {
        return Some(before_proof(facts).unwrap_or(Step::Try));
    }
    if proof(facts) == Proof::Due {
        return Some(prove(facts));
    }
    // 5. Targets that do not hold the proven credential are written.
    let out_of_sync = facts
        .targets
        .iter()
        .position(|target| wants_write(facts, target));
    if let Some(step) = out_of_sync.and_then(|index| publish(facts, index)) {
        return Some(step);
    }
    // 6. What the spec no longer names goes last, so that pods find the new before the old goes;
    //    but a status holds only so many.
    let mut surplus = facts
        .surplus
        .iter()
        .filter(|old| !facts.happened.retracted.contains(&old.name));
    let crowded = surplus.clone().count() > MOST_SURPLUS;
    if crowded || facts.targets.iter().all(|target| facts.is_in_sync(target)) {
        let next = surplus.next().cloned();
        if next.is_some() {
            return next.map(Step::Retract);
        }
    }
    // 7. What was replaced is ended once everybody has what took its place.
    if let Some(care) = care(facts) {
        return Some(Step::Tend(care));
    }
    // 8. Whether the account can do more than anybody asked for stands in the way of nothing.
    if facts.may_look_for_rights() {
        return Some(Step::Permissions);
    }
    // 9. What nobody waits for.
    facts.lookup_is_due().then_some(Step::LookUp)
}

/// Whether the pass must read the user's Secret before it can decide. Called while the source
/// still counts as unchanged.
pub fn needs_source(facts: &Facts) -> bool {
    if facts.object.deleting || facts.spec.suspend || facts.plan.is_err() {
        return false;
    }
    facts.spec_changed()
        || facts.status.sources.is_empty()
        || (facts.renews() && wants_look(facts))
        || facts.wants_api_key()
        || proof(facts) == Proof::Due
        || facts
            .targets
            .iter()
            .any(|target| wants_write(facts, target))
}

/// Whether the grant must be looked at, as far as the recorded times tell.
fn wants_look(facts: &Facts) -> bool {
    let due = |time: Option<DateTime<Utc>>| time.is_some_and(|time| time <= facts.now);
    let candidate = facts
        .status
        .grant
        .as_ref()
        .and_then(|grant| grant.candidate.as_ref());
    facts.renew_requested()
        || is_rid_of_rival(facts)
        || due(facts.status.next_renewal_time)
        || due(next_care(facts))
        || (due(facts.status.expires_at) && is_untold(facts))
        || due(candidate.and_then(|attempt| attempt.next_attempt_time))
        || (due(facts.nearly_ended()) && facts.attempt().is_some() && !facts.is_provisional())
}

/// Whether it was not told yet why nothing has taken the place of what has ended.
fn is_untold(facts: &Facts) -> bool {
    let recorded = facts.status.grant.as_ref();
    let waits = facts.status.next_renewal_time.is_some();
    facts.is_kept() && !waits && recorded.is_some_and(|grant| grant.trouble.is_none())
}

/// Whether another credential was in the way that is not there any more. Nothing tells but the
/// words, which name it.
fn is_rid_of_rival(facts: &Facts) -> bool {
    let recorded = facts.status.grant.as_ref();
    let conflict = recorded.and_then(|grant| grant.trouble) == Some(Reason::GrantConflict);
    let rival = facts
        .renewal
        .as_ref()
        .is_some_and(|renewal| renewal.rival.is_some());
    let now = || trouble::words(facts, Reason::GrantConflict);
    let told = condition(&facts.status, ConditionType::Ready);
    conflict && !rival && told.is_none_or(|told| told.message != now())
}

/// The next step of the renewal protocol.
fn renew(facts: &Facts) -> Option<Step> {
    let can_ask = facts
        .renewal
        .as_ref()
        .is_some_and(|renewal| renewal.clients_read);
    match protocol::next(facts)? {
        // Found in the middle of a pass: the next one is there at once.
        Move::Intend(_) | Move::Renew(_) if !can_ask => None,
        Move::Adopt => Some(Step::Adopt),
        Move::Seek => Some(Step::Seek),
        Move::Intend(spend) => Some(Step::Intend(spend)),
        Move::Renew(spend) => Some(Step::Renew(spend)),
        Move::Promote => Some(Step::Promote),
        Move::At(_) | Move::Rest | Move::Stuck(_) => None,
    }
}

/// What has to be known before a token can be proven on Atlassian's gateway. Data Center has none.
fn before_proof(facts: &Facts) -> Option<Step> {
    if facts.gateway().is_some() && facts.cloud_id().is_none() {
        return Some(Step::Locate);
    }
    facts.survey_is_due().then_some(Step::Survey)
}

/// Whether a proof is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// Now.
    Due,
    /// At this time.
    At(DateTime<Utc>),
    /// Not before something changes.
    NotByItself,
}

/// Tells when the credential in the source is to be proven next.
pub fn proof(facts: &Facts) -> Proof {
    let asked = facts.happened.judgement.is_some() || facts.happened.welcomed.is_some();
    if asked || !facts.has_token() {
        return Proof::NotByItself;
    }
    let due = due_by_record(facts);
    match facts.cooling_until {
        Some(until) if due == Proof::Due && until > facts.now => Proof::At(until),
        _ => due,
    }
}

fn due_by_record(facts: &Facts) -> Proof {
    let at = |time: DateTime<Utc>| {
        if time <= facts.now {
            Proof::Due
        } else {
            Proof::At(time)
        }
    };
    let asked = facts.renew_requested();
    match facts.peer {
        _ if facts.happened.attempt_recorded => return Proof::Due,
        _ if facts.happened.attempt_denied => return Proof::NotByItself,
        Peer::InFlight => return Proof::NotByItself,
        _ if asked => return Proof::Due,
        Peer::Refused(_) => return Proof::NotByItself,
        Peer::Interrupted if !facts.is_proven() => return Proof::NotByItself,
        Peer::Interrupted | Peer::Silent => {}
    }
    let regular = |last| facts.proof_after(last).map_or(Proof::Due, at);
    match facts.attempt() {
        Some(attempt) => match attempt.outcome {
            // Whether Jira counted it is unknown. What it accepted before may be asked again in
            // due time; what it never accepted, or refused before, waits for a person.
            AttemptOutcome::Started | AttemptOutcome::Interrupted
                if facts.is_proven() && facts.refusal().is_none() =>
            {
                let next = facts.proof_after_silence(attempt.last_failure_time);
                next.map_or(Proof::Due, at)
            }
            AttemptOutcome::Started | AttemptOutcome::Interrupted => Proof::NotByItself,
            AttemptOutcome::Refused if facts.spec_changed() && may_mend(facts, attempt) => {
                Proof::Due
            }
            // The change may be the remedy, such as another CA.
            AttemptOutcome::NoVerdict if facts.spec_changed() => Proof::Due,
            AttemptOutcome::NoVerdict if facts.authorities_edited() && !counts(facts) => Proof::Due,
            AttemptOutcome::Refused | AttemptOutcome::Unconfirmed | AttemptOutcome::NoVerdict => {
                attempt.next_attempt_time.map_or(Proof::NotByItself, at)
            }
        },
        None if facts.is_proven() && !pin_moved(facts) && facts.permissions_are_settled() => {
            facts.status.last_validated_time.map_or(Proof::Due, regular)
        }
        None => Proof::Due,
    }
}

/// Whether an answer that was lost may have been a refusal that Jira counts.
fn counts(facts: &Facts) -> bool {
    facts.is_password() && facts.is_proven()
}

/// Whether another spec can end a refusal. A password is sent again only if Jira accepted it and
/// nothing but the pinned account or a required permission was wrong.
fn may_mend(facts: &Facts, attempt: &Attempt) -> bool {
    let accepted = [Reason::AccountChanged, Reason::PermissionMissing].map(Some);
    !facts.is_password() || accepted.contains(&attempt.reason)
}

/// Whether the spec now pins another account than the proven one.
pub fn pin_moved(facts: &Facts) -> bool {
    facts.pinned_account() != facts.account().map(|account| account.id.as_str())
}

fn prove(facts: &Facts) -> Step {
    if facts.is_password() && !facts.happened.attempt_recorded {
        let failures = facts.attempt().map_or(0, |attempt| attempt.failures);
        let fingerprint = facts.fingerprint().map(|print| print.as_str().to_owned());
        return Step::RecordAttempt(Attempt {
            failures,
            last_failure_time: facts.now,
            next_attempt_time: None,
            fingerprint: fingerprint.unwrap_or_default(),
            outcome: AttemptOutcome::Started,
            reason: facts.refusal(),
        });
    }
    before_proof(facts).unwrap_or(Step::Prove)
}

/// Whether the credential in the source may be written into targets: it is the one that Jira
/// accepted last, and Jira has not refused it since, neither here nor for another credential.
pub fn may_publish(facts: &Facts) -> bool {
    let doubted = facts
        .attempt()
        .is_some_and(|attempt| match attempt.outcome {
            // Something gave cause to ask, and the answer is not known.
            AttemptOutcome::Started | AttemptOutcome::Unconfirmed => true,
            AttemptOutcome::Refused | AttemptOutcome::NoVerdict | AttemptOutcome::Interrupted => {
                false
            }
        });
    let refused = facts.refusal().is_some() || matches!(facts.peer, Peer::Refused(_));
    if facts.lacks_scopes() || !facts.permissions_are_settled() {
        return false;
    }
    (facts.is_proven() || facts.is_provisional()) && !pin_moved(facts) && !doubted && !refused
}

fn wants_write(facts: &Facts, target: &TargetFacts) -> bool {
    let tried = matches!(
        target.state,
        TargetState::Refused(_) | TargetState::Held(..)
    );
    may_publish(facts)
        && !tried
        && !facts.is_in_sync(target)
        && (target.older_claim.is_none() || holds(facts, target).is_some())
        && !facts.is_held_by_another(target)
}

/// The uid of the Secret under this name, if it is the one that we wrote.
fn holds(facts: &Facts, target: &TargetFacts) -> Option<String> {
    let recorded = facts
        .recorded(&target.target.name)
        .filter(|seen| seen.hash.is_some())?;
    match &target.state {
        TargetState::Present { uid, .. } if *uid == recorded.uid => Some(uid.clone()),
        TargetState::Unknown => Some(recorded.uid.clone()),
        TargetState::Present { .. }
        | TargetState::Absent
        | TargetState::Written(_)
        | TargetState::Held(..)
        | TargetState::Refused(_) => None,
    }
}

fn publish(facts: &Facts, index: usize) -> Option<Step> {
    // Only what was read in this pass can be written.
    if !matches!(facts.source, Source::Read { .. }) {
        return None;
    }
    let target = facts.targets.get(index)?;
    Some(Step::Publish(Publish {
        index,
        digest: facts.wanted_digest(&target.target)?,
        account: facts.account()?.clone(),
        holds: holds(facts, target),
    }))
}

#[cfg(test)]
mod tests;
