//! Personal access tokens of Data Center that make their own successors.
//!
//! ```text
//!   a token that a person made:
//!   ImportToken ──► CheckDuplicate ──► Validate ──► Promote ──► Publish
//!
//!   CheckDuplicate ──► Intend ──► Renew+Keep ──► Validate ──► Promote ──► Publish ──► Retire
//!                      write it   make the       GET          the         the         revoke the
//!                      down       successor      /myself      successor   targets     one before
//! ```
//!
//! Nothing is spent but one of the account's slots: the token before goes on working until it is
//! revoked, and that waits until its successor is in use.

use chrono::{DateTime, TimeDelta, Utc};

use crate::api::{AttemptOutcome, Reason};
use crate::core::decide::renewal::takeover::runs_until;
use crate::core::decide::renewal::timing::{
    SHORTEST_BETWEEN_SPENDS, first, not_before, renew_at, wants_now,
};
use crate::core::decide::step::Move;
use crate::core::facts::{Facts, Held, Renewal, SeedState, TimeScale};
use crate::core::fingerprint::Fingerprint;
use crate::core::grant::{Access, Chain, ENDLESS, Grant, RefreshRequest, is_imported};
use crate::core::spec::RenewalPlan;
use crate::core::time::later;

/// A token with an unknown expiry is replaced at this age.
const UNKNOWN_LIVES: TimeDelta = TimeDelta::days(30);

/// A token without an end makes its successor at this age, unless the spec says another.
pub const USUAL_LIFE: TimeDelta = TimeDelta::days(90);

/// Jira refused the successor; another one is made after this time.
const ANOTHER_AFTER: TimeDelta = TimeDelta::hours(24);

/// Names the next move.
pub(crate) fn next(facts: &Facts, plan: &RenewalPlan, renewal: &Renewal, held: &Held) -> Move {
    let grant = &held.grant;
    if let Some(first) = first(facts, plan, renewal, held) {
        return first;
    }
    if let Some(elsewhere) = elsewhere(plan, renewal, grant) {
        return elsewhere;
    }
    if held.is_copy() && !wants_now(facts) {
        return Move::Blocked(Reason::GrantRestored);
    }
    if let Some(intent) = &grant.intent
        && let Some(time) = runs_until(facts, plan, renewal, intent)
    {
        return Move::At(time);
    }
    // Two grants with the same token would each make successors and revoke it.
    let untried = grant.candidate.as_ref().filter(|chain| is_imported(chain));
    if untried.is_some() && !facts.progress.duplicate_checked {
        return Move::CheckDuplicate;
    }
    if untried.is_some() && grant.live.is_none() {
        return if facts.progress.is_duplicate {
            Move::Blocked(Reason::GrantConflict)
        } else {
            Move::Idle
        };
    }
    if has_ended(facts, grant) {
        return Move::Blocked(Reason::Expired);
    }
    let Some((chain, time)) = wanted(facts, plan, renewal, grant) else {
        return Move::Idle;
    };
    let time = not_before(facts, renewal, grant, time);
    if time > facts.now {
        return Move::At(time);
    }
    if is_imported(chain) && !facts.progress.duplicate_checked {
        return Move::CheckDuplicate;
    }
    if is_imported(chain) && facts.progress.is_duplicate {
        return Move::Blocked(Reason::GrantConflict);
    }
    Move::Intend(RefreshRequest {
        replay: grant.intent.is_some(),
        ..RefreshRequest::fresh(&chain.origin, facts.now, false)
    })
}

/// What happens to tokens of another site. One that a person made, and that is still in their
/// Secret, may be meant for this one; one that the operator made there is never sent here.
pub(crate) fn elsewhere(
    plan: &RenewalPlan,
    renewal: &Renewal,
    grant: &Grant<Fingerprint>,
) -> Option<Move> {
    let mut chains = [&grant.live, &grant.candidate].into_iter().flatten();
    let first = chains.clone().next()?;
    if chains.any(|chain| chain.client == plan.client) {
        return None;
    }
    let stored = match &renewal.seed {
        SeedState::Read { digest, .. } => first.origin == *digest,
        SeedState::NotRead | SeedState::Missing | SeedState::Unusable(_) => false,
    };
    Some(if stored {
        Move::ImportToken
    } else {
        Move::Blocked(Reason::GrantConflict)
    })
}

/// Whether the token in use has ended, and no other waits for its place.
fn has_ended(facts: &Facts, grant: &Grant<Fingerprint>) -> bool {
    let ended = |chain: &Option<Chain<Fingerprint>>| {
        let access = chain.as_ref().and_then(|chain| chain.access.as_ref());
        access.is_none_or(|access| access.expires <= facts.now)
    };
    grant.live.is_some() && ended(&grant.live) && ended(&grant.candidate)
}

/// The token that makes the next one, and when.
pub(crate) fn wanted<'a>(
    facts: &Facts,
    plan: &RenewalPlan,
    renewal: &Renewal,
    grant: &'a Grant<Fingerprint>,
) -> Option<(&'a Chain<Fingerprint>, DateTime<Utc>)> {
    let live = grant
        .live
        .as_ref()
        .filter(|live| live.client == plan.client)?;
    let access = live.access.as_ref()?;
    if live.dead.is_some() || access.expires <= facts.now {
        return None;
    }
    // A token that Jira refuses makes no other.
    if facts.attempt().is_some_and(|attempt| {
        matches!(
            attempt.outcome,
            AttemptOutcome::Refused | AttemptOutcome::Unconfirmed
        )
    }) && facts
        .chain()
        .is_some_and(|chain| chain.origin == live.origin)
    {
        return None;
    }
    // One that may have been made and is not known is looked for before anything else.
    let lost = grant
        .intent
        .as_ref()
        .is_some_and(|intent| intent.origin == live.origin);
    let time = if lost {
        facts.now
    } else {
        due_at(facts, plan, renewal.time_scale, access)
    };
    match grant.candidate.as_ref() {
        None => Some((live, time)),
        // What waits for its validation is not replaced; what was refused is, but not in a hurry.
        Some(candidate) => {
            let refused = facts
                .candidate_attempt()
                .is_some_and(|attempt| attempt.outcome == AttemptOutcome::Refused);
            let made = candidate.access.as_ref()?.obtained;
            let next = later(made, renewal.time_scale.of(ANOTHER_AFTER));
            refused.then(|| (live, time.max(next)))
        }
    }
}

/// When a token makes its successor.
fn due_at(
    facts: &Facts,
    plan: &RenewalPlan,
    time_scale: TimeScale,
    access: &Access<Fingerprint>,
) -> DateTime<Utc> {
    let old = later(access.obtained, time_scale.of(SHORTEST_BETWEEN_SPENDS));
    if wants_now(facts) && old <= facts.now {
        return facts.now;
    }
    let end = if access.expires < ENDLESS {
        renew_at(access, plan, &facts.object.uid)
    } else if access.id.is_some() {
        later(access.obtained, USUAL_LIFE)
    } else {
        later(access.obtained, UNKNOWN_LIVES)
    };
    let aged = plan.stated.max_age.map(|age| {
        let aged = Access {
            expires: later(access.obtained, age),
            ..access.clone()
        };
        renew_at(&aged, plan, &facts.object.uid)
    });
    let endless = access.expires >= ENDLESS;
    match aged {
        Some(aged) if endless => aged,
        Some(aged) => end.min(aged),
        None => end,
    }
}
