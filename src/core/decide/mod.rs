//! The next step of a reconcile.

pub mod cleanup;
pub mod expiry_lookup;
pub mod publication;
pub mod renewal;
pub mod restart;
pub mod step;
pub mod validation;

pub use step::{CleanupTask, Move, Publish, Restart, Step};

use chrono::{DateTime, Utc};

use crate::api::Reason;
use crate::core::decide::cleanup::{cleanup_task, next_cleanup};
use crate::core::decide::expiry_lookup::lookup_is_due;
use crate::core::decide::expiry_lookup::wants_api_key;
use crate::core::decide::publication::{publish, wants_write};
use crate::core::decide::restart::restart;
use crate::core::decide::validation::may_look_for_rights;
use crate::core::decide::validation::{ValidationDue, before_validation, validate, validation};
use crate::core::facts::{Facts, Source};

/// A status holds 32 targets, and a spec 8. Without this bound a target with another owner,
/// beside others that are renamed again and again, would make the status unwritable.
const MOST_SURPLUS: usize = 24;

/// Names the next step; `None` when nothing is left to do in this reconcile. The first check that
/// applies decides.
pub fn decide(facts: &Facts) -> Option<Step> {
    // 1. What is being deleted, suspended or contradictory is left alone. A source that is no
    //    credential validates nothing and publishes nothing.
    if is_left_alone(facts) {
        return None;
    }
    // 2. An acceptance is a validation only with the permissions that the spec requires.
    if facts.awaits_permissions() {
        return Some(Step::Permissions);
    }
    // 3. A token that is to be renewed is, before anything is said about it.
    if let Some(step) = renew(facts) {
        return Some(step);
    }
    // 4. A validation comes before anything is published.
    if facts.candidate_is_due() {
        return Some(before_validation(facts).unwrap_or(Step::ValidateCandidate));
    }
    if validation(facts) == ValidationDue::Now {
        return Some(validate(facts));
    }
    // 5. Targets that do not hold the validated credential are written.
    let out_of_sync = facts
        .targets
        .iter()
        .position(|target| wants_write(facts, target));
    if let Some(step) = out_of_sync.and_then(|index| publish(facts, index)) {
        return Some(step);
    }
    // 6. What pods took into variables they get by a restart, and an old token dies soon. What this
    //    reconcile has done is recorded before: restarts may take long.
    if let Some(step) = restart(facts) {
        if facts.awaits_record() {
            let may_look = facts.progress.queued_until.is_none() && may_look_for_rights(facts);
            return may_look.then_some(Step::Permissions);
        }
        return Some(step);
    }
    // 7. What the spec no longer names goes last, so that pods find the new before the old goes;
    //    but a status holds only so many.
    let mut surplus = facts
        .surplus
        .iter()
        .filter(|old| !facts.progress.deleted_targets.contains(&old.path()));
    let crowded = surplus.clone().count() > MOST_SURPLUS;
    let next = surplus.find(|old| crowded || facts.is_replaced(old));
    if let Some(old) = next {
        return Some(Step::DeleteTarget(old.clone()));
    }
    // What is left calls Jira, and nothing waits for it.
    if facts.progress.queued_until.is_some() {
        return None;
    }
    // 8. What was replaced is ended once everybody has what took its place.
    if let Some(cleanup_task) = cleanup_task(facts) {
        return Some(Step::Cleanup(cleanup_task));
    }
    // 9. Whether the account can do more than anybody asked for stands in the way of nothing.
    if may_look_for_rights(facts) {
        return Some(Step::Permissions);
    }
    // 10. What nothing waits for.
    lookup_is_due(facts).then_some(Step::LookUp)
}

/// Whether the reconcile must read the user's Secret before it can decide. Called while the source
/// still counts as unchanged.
pub fn needs_source(facts: &Facts) -> bool {
    if facts.object.deleting || facts.spec.suspend || facts.plan.is_err() {
        return false;
    }
    facts.spec_changed()
        || facts.status.sources.is_empty()
        || (facts.renews() && wants_look(facts))
        || wants_api_key(facts)
        || validation(facts) == ValidationDue::Now
        || facts
            .targets
            .iter()
            .any(|target| wants_write(facts, target))
}

/// Whether workloads are to be restarted as soon as what this reconcile has done is recorded.
pub fn restart_waits(facts: &Facts) -> bool {
    !is_left_alone(facts) && facts.awaits_record() && restart(facts).is_some()
}

/// Whether nothing is done for the credential.
pub(crate) fn is_left_alone(facts: &Facts) -> bool {
    facts.object.deleting
        || facts.spec.suspend
        || facts.plan.is_err()
        || matches!(facts.source, Source::Unusable(_))
}

/// Whether the grant must be read, as far as the recorded times tell.
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
        || due(next_cleanup(facts))
        || (due(facts.status.expires_at) && is_untold(facts))
        || due(candidate.and_then(|attempt| attempt.next_attempt_time))
        || (due(facts.nearly_ended()) && facts.attempt().is_some() && !facts.is_provisional())
}

/// Whether it was not told yet why nothing has taken the place of what has ended.
fn is_untold(facts: &Facts) -> bool {
    let recorded = facts.status.grant.as_ref();
    let waits = facts.status.next_renewal_time.is_some();
    facts.is_kept() && !waits && recorded.is_some_and(|grant| grant.blocked_by.is_none())
}

/// Whether another credential was in the way that is not there any more. A status of an earlier version
/// does not say who it was.
fn is_rid_of_rival(facts: &Facts) -> bool {
    let recorded = facts.status.grant.as_ref();
    let told = recorded.is_some_and(|grant| match &grant.conflicts_with {
        Some(rival) => !rival.is_empty(),
        None => grant.blocked_by == Some(Reason::GrantConflict),
    });
    let rival = facts
        .renewal
        .as_ref()
        .is_some_and(|renewal| renewal.rival.is_some());
    told && !rival
}

/// The next step of the renewal protocol.
pub(crate) fn renew(facts: &Facts) -> Option<Step> {
    let can_ask = facts
        .renewal
        .as_ref()
        .is_some_and(|renewal| renewal.clients_read);
    match renewal::next(facts)? {
        // Found in the middle of a reconcile: the next one is there at once.
        Move::Intend(_) | Move::Renew(_) if !can_ask => None,
        Move::ImportToken => Some(Step::ImportToken),
        Move::CheckDuplicate => Some(Step::CheckDuplicate),
        Move::Intend(spend) => Some(Step::Intend(spend)),
        Move::Renew(spend) => Some(Step::Renew(spend)),
        Move::Promote => Some(Step::Promote),
        Move::At(_) | Move::Idle | Move::Blocked(_) => None,
    }
}
