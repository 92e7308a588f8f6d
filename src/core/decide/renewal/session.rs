//! Sessions: a login is counted by Jira, so that no refused one is ever repeated without a person.
//!
//! ```text
//!   ImportToken ──► Intend ──► Renew+Keep ──► Validate ──► Promote ──► Publish ──► Retire
//!   a new           write it   log in, and    GET          a new       the         log the
//!   password        down       store the      /myself      password    targets     session before
//!                              cookie                                              out
//! ```

use chrono::{DateTime, TimeDelta, Utc};

use crate::api::Reason;
use crate::core::decide::renewal::takeover::runs_until;
use crate::core::decide::renewal::timing::{
    conflicts, due, is_validated_candidate, not_before, wants_now,
};
use crate::core::decide::step::Move;
use crate::core::facts::{Facts, Held, Peer, Renewal, SeedState};
use crate::core::fingerprint::Fingerprint;
use crate::core::grant::{Access, Chain, Grant, RefreshRequest, SeedOutcome};
use crate::core::spec::RenewalPlan;
use crate::core::time::later;

/// A login whose answer was lost is repeated after this time, if the password worked before.
const REPEAT_AFTER: TimeDelta = TimeDelta::minutes(5);

/// Another party is logging in with the same password: the answer will be there soon.
pub(crate) const PEER_ANSWERS: TimeDelta = TimeDelta::seconds(2);

/// A person may have another credential with the same password tried again.
pub(crate) const PEER_SETTLES: TimeDelta = TimeDelta::minutes(10);

/// Names the next move.
pub(crate) fn next(facts: &Facts, plan: &RenewalPlan, renewal: &Renewal, held: &Held) -> Move {
    let grant = &held.grant;
    if conflicts(plan, renewal, grant) {
        return Move::Blocked(Reason::GrantConflict);
    }
    if is_validated_candidate(facts, grant) {
        return Move::Promote;
    }
    let SeedState::Read { digest, .. } = &renewal.seed else {
        return Move::Idle;
    };
    let Some(chain) = grant.chain(digest) else {
        return without_chain(facts, renewal, grant, digest);
    };
    if chain.client != plan.client {
        return Move::Blocked(Reason::GrantConflict);
    }
    let accepted = is_accepted(grant, digest);
    let interrupted = grant
        .intent
        .as_ref()
        .filter(|intent| intent.origin == chain.origin);
    if let Some(intent) = interrupted {
        if let Some(time) = runs_until(facts, plan, renewal, intent) {
            return Move::At(time);
        }
        if !accepted && !wants_now(facts) && !is_released(renewal) {
            return stuck(facts, chain, Reason::NotValidated);
        }
    }
    let released = wants_now(facts) || is_released(renewal);
    if let Some(dead) = chain.dead.as_ref().filter(|_| !released) {
        return stuck(facts, chain, dead.reason.unwrap_or(Reason::Rejected));
    }
    let Some((time, early)) = wanted(facts, plan, renewal, chain) else {
        return Move::Idle;
    };
    let time = not_before(facts, renewal, grant, time);
    let repeated =
        interrupted.map(|intent| later(intent.started, renewal.time_scale.of(REPEAT_AFTER)));
    let time = repeated
        .filter(|_| !wants_now(facts))
        .map_or(time, |repeat| time.max(repeat));
    if time > facts.now {
        return Move::At(time);
    }
    denied(facts, renewal, chain, accepted).unwrap_or_else(|| {
        Move::Intend(RefreshRequest {
            replay: interrupted.is_some(),
            ..RefreshRequest::fresh(&chain.origin, facts.now, early)
        })
    })
}

/// A password that came back: Jira has accepted it before, or refused it.
fn without_chain(
    facts: &Facts,
    renewal: &Renewal,
    grant: &Grant<Fingerprint>,
    digest: &str,
) -> Move {
    match grant.seed(digest).map(|seed| seed.outcome) {
        None | Some(SeedOutcome::Seen | SeedOutcome::Accepted) => Move::ImportToken,
        Some(SeedOutcome::Spent | SeedOutcome::Refused)
            if wants_now(facts) || is_released(renewal) =>
        {
            Move::ImportToken
        }
        Some(SeedOutcome::Spent | SeedOutcome::Refused) if goes_on(facts) => Move::Idle,
        Some(SeedOutcome::Spent | SeedOutcome::Refused) => Move::Blocked(Reason::Rejected),
    }
}

/// Whether Jira has accepted the password elsewhere after all that stands against a login.
fn is_released(renewal: &Renewal) -> bool {
    renewal.login == Peer::Accepted
}

/// Whether there is a session that has not ended, as far as is known.
fn goes_on(facts: &Facts) -> bool {
    let access = facts.chain().and_then(|chain| chain.access.as_ref());
    access.is_some_and(|access| access.expires > facts.now)
}

fn is_accepted(grant: &Grant<Fingerprint>, digest: &str) -> bool {
    grant
        .seed(digest)
        .is_some_and(|seed| seed.outcome == SeedOutcome::Accepted)
}

/// When to log in, and whether the early end of the previous session is the cause.
pub(crate) fn wanted(
    facts: &Facts,
    plan: &RenewalPlan,
    renewal: &Renewal,
    chain: &Chain<Fingerprint>,
) -> Option<(DateTime<Utc>, bool)> {
    match &chain.access {
        None => Some((facts.now, false)),
        Some(access) if is_owed(facts, chain, access) => Some((facts.now, true)),
        Some(_) => due(facts, plan, renewal.time_scale, chain),
    }
}

/// Whether Jira has dropped the session, and the login that this earned has brought no other: that
/// the cookie is known to be refused by now changes nothing.
fn is_owed(facts: &Facts, chain: &Chain<Fingerprint>, access: &Access<Fingerprint>) -> bool {
    let in_use = facts
        .chain()
        .is_some_and(|subject| subject.origin == chain.origin);
    let early = facts.held().and_then(|held| held.grant.early);
    in_use
        && early.is_some_and(|early| {
            let validated = facts.status.last_validated_time;
            early > access.obtained && validated.is_none_or(|validated| validated < early)
        })
}

/// What others know of the password stands against a login.
pub(crate) fn denied(
    facts: &Facts,
    renewal: &Renewal,
    chain: &Chain<Fingerprint>,
    accepted: bool,
) -> Option<Move> {
    let denied = facts.progress.attempt_denied;
    match renewal.login {
        Peer::InFlight => Some(Move::At(later(facts.now, PEER_ANSWERS))),
        _ if wants_now(facts) && !denied => None,
        Peer::Refused(reason) => Some(stuck(facts, chain, reason)),
        Peer::Interrupted if !accepted => Some(stuck(facts, chain, Reason::NotValidated)),
        Peer::Interrupted | Peer::Silent | Peer::Accepted => {
            denied.then(|| Move::At(later(facts.now, PEER_SETTLES)))
        }
    }
}

/// Nothing more until a person acts. What continues beside it is not blocked.
pub(crate) fn stuck(facts: &Facts, chain: &Chain<Fingerprint>, reason: Reason) -> Move {
    let beside = facts
        .chain()
        .is_some_and(|subject| subject.origin != chain.origin);
    if beside && goes_on(facts) {
        Move::Idle
    } else {
        Move::Blocked(reason)
    }
}
