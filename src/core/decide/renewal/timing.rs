//! When a token is renewed, and what comes before a renewal.

use chrono::{DateTime, TimeDelta, Utc};

use crate::api::{AttemptOutcome, Reason};
use crate::core::decide::step::Move;
use crate::core::facts::{Facts, Held, Renewal, SeedState, TimeScale};
use crate::core::fingerprint::Fingerprint;
use crate::core::grant::{Access, Chain, Grant};
use crate::core::spec::RenewalPlan;
use crate::core::time::{IDLE_LIVES, earlier, is_ahead, jitter, later};

/// A person's word renews a token that is older than this.
pub const SHORTEST_BETWEEN_SPENDS: TimeDelta = TimeDelta::minutes(5);

/// A token that lives shorter is renewed as if it lived so long.
pub const SHORTEST_LIFE: TimeDelta = TimeDelta::minutes(1);

/// While the site asks for rest, a renewal waits until so long before the token ends: it starts
/// the end of the old token, and the new one could not be validated.
const LATEST_BEFORE_END: TimeDelta = TimeDelta::minutes(5);

/// Whether another credential uses the grant in another way. Who holds it keeps it.
pub(crate) fn conflicts(plan: &RenewalPlan, renewal: &Renewal, grant: &Grant<Fingerprint>) -> bool {
    !is_ours(plan, grant) && renewal.rival.is_some()
}

/// Whether a chain of the grant is of the client of the plan.
pub(crate) fn is_ours(plan: &RenewalPlan, grant: &Grant<Fingerprint>) -> bool {
    let mut chains = [&grant.live, &grant.candidate].into_iter().flatten();
    chains.any(|chain| chain.client == plan.client)
}

/// What comes before anything is done with a token that exists once, or that makes another.
pub(crate) fn first(
    facts: &Facts,
    plan: &RenewalPlan,
    renewal: &Renewal,
    held: &Held,
) -> Option<Move> {
    let grant = &held.grant;
    if conflicts(plan, renewal, grant) {
        return Some(Move::Blocked(Reason::GrantConflict));
    }
    // What was validated may be published already: a newer seed comes beside it, not in its place.
    if is_validated_candidate(facts, grant) && !held.is_copy() {
        return Some(Move::Promote);
    }
    match &renewal.seed {
        SeedState::Read { digest, .. } if grant.seed(digest).is_none() => Some(Move::ImportToken),
        SeedState::Read { .. }
        | SeedState::NotRead
        | SeedState::Missing
        | SeedState::Unusable(_) => None,
    }
}

/// Whether a person asks for a renewal, and has not been answered in this reconcile.
pub(crate) fn wants_now(facts: &Facts) -> bool {
    facts.renew_requested() && !facts.progress.renewed && facts.progress.judgement.is_none()
}

pub(crate) fn is_validated_candidate(facts: &Facts, grant: &Grant<Fingerprint>) -> bool {
    let access = grant
        .candidate
        .as_ref()
        .and_then(|chain| chain.access.as_ref());
    access.is_some_and(|access| {
        Some(access.token.as_str()) == facts.status.validated_fingerprint.as_deref()
    })
}

/// When the token of a chain is to be renewed, and whether its early death is the cause.
pub(crate) fn due(
    facts: &Facts,
    plan: &RenewalPlan,
    time_scale: TimeScale,
    chain: &Chain<Fingerprint>,
) -> Option<(DateTime<Utc>, bool)> {
    let access = chain.access.as_ref()?;
    let is_subject = facts
        .chain()
        .is_some_and(|subject| subject.origin == chain.origin);
    if is_subject && facts.died_early() {
        return Some((facts.now, true));
    }
    let old = later(access.obtained, time_scale.of(SHORTEST_BETWEEN_SPENDS));
    if is_subject && wants_now(facts) && (old <= facts.now || chain.dead.is_some()) {
        return Some((facts.now, false));
    }
    // A candidate that was refused is not kept alive: a person has to do something about it.
    let refused = || {
        let attempt = facts.candidate_attempt();
        attempt.is_some_and(|attempt| attempt.outcome == AttemptOutcome::Refused)
    };
    if !is_subject && refused() {
        return None;
    }
    // The clock was ahead: nobody knows when the token ends.
    if is_ahead(access.obtained, facts.now) {
        return Some((facts.now, false));
    }
    let time = renew_at(access, plan, &facts.object.uid);
    let floor = later(access.obtained, time_scale.of(SHORTEST_LIFE) / 2);
    let time = time.max(floor);
    // However long the access token lives: an unused refresh token expires.
    let idle = plan
        .spends()
        .then(|| later(access.obtained, IDLE_LIVES / 2));
    let time = idle.map_or(time, |idle| idle.min(time));
    Some((cooled(facts, time_scale, access, time), false))
}

/// When a token is renewed: some time before its end, at most half of its life, and a little
/// earlier for some credentials than for others.
pub fn renew_at(access: &Access<Fingerprint>, plan: &RenewalPlan, uid: &str) -> DateTime<Utc> {
    let life = access.life();
    let before = plan.renewed_before(life);
    let before = (before + jitter(uid, before / 5)).min(life / 2);
    earlier(access.expires, before)
}

/// A renewal that is due while no calls are made to the site waits, but not into the last minutes.
fn cooled(
    facts: &Facts,
    time_scale: TimeScale,
    access: &Access<Fingerprint>,
    time: DateTime<Utc>,
) -> DateTime<Utc> {
    let latest = earlier(access.expires, time_scale.of(LATEST_BEFORE_END));
    match facts.no_renewal_until() {
        Some(until) if until > time && latest > time => until.min(latest),
        _ => time,
    }
}

/// A failure is waited out, unless something has changed that may help: another spec may name the CA or
/// the site that was wrong. What the site itself asked for is always waited out.
pub(crate) fn not_before(
    facts: &Facts,
    renewal: &Renewal,
    grant: &Grant<Fingerprint>,
    time: DateTime<Utc>,
) -> DateTime<Utc> {
    let mended = match grant.failure {
        Some(Reason::ClientRejected) => renewal.clients_changed || facts.spec_changed(),
        None | Some(Reason::RateLimited) => false,
        Some(_) => facts.spec_changed(),
    };
    let was_ahead = grant
        .missed
        .is_some_and(|missed| is_ahead(missed, facts.now));
    match grant.next_attempt {
        Some(_) if was_ahead => time,
        Some(wait) if !(wants_now(facts) || (mended && !facts.progress.renewed)) => time.max(wait),
        _ => time,
    }
}
