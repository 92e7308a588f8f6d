//! The renewal protocol: what is to be done next with a grant.
//!
//! ```text
//!   Adopt ──► Seek ──► Intend ──► Renew+Keep ──► Prove ──► Promote ──► Publish
//!   a new     is it    write it   ask, and       GET       a new       the
//!   seed      held     down       store          /myself   chain       targets
//!             twice?
//! ```
//!
//! A chain in use begins at Intend. Client credentials spend nothing and begin at Renew. Sessions
//! and personal access tokens, which Jira keeps until they are ended, are in files of their own.

use chrono::{DateTime, TimeDelta, Utc};

use super::facts::Facts;
use super::fingerprint::Fingerprint;
use super::grant::{Access, Chain, Dead, Grant};
use super::renewal::{GrantState, Held, Pace, Renewal, RenewalKind, RenewalPlan, SeedState};
use super::schedule::{IDLE_LIVES, earlier, later, splay};
use crate::api::{AttemptOutcome, Reason};

mod login;
pub mod successor;
pub mod takeover;

pub use takeover::is_outdated;
use takeover::{resume, runs_until};

/// A person's word renews a token that is older than this.
pub const SHORTEST_BETWEEN_SPENDS: TimeDelta = TimeDelta::minutes(5);

/// While the site asks for rest, a renewal waits until so long before the token ends: it starts
/// the death of the old token, and nobody could prove the new one.
const LATEST_BEFORE_END: TimeDelta = TimeDelta::minutes(5);

/// The next move.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Move {
    /// Write down that a new seed is there.
    Adopt,
    /// Look whether another grant holds the same seed.
    Seek,
    /// Write down that the refresh token of a chain is about to be spent.
    Intend(Spend),
    /// Ask the token endpoint, and store the answer.
    Renew(Spend),
    /// Let the proven candidate take the place of the chain in use.
    Promote,
    /// Nothing before this time.
    At(DateTime<Utc>),
    /// Nothing by itself.
    Rest,
    /// Nothing until a person acts.
    Stuck(Reason),
}

/// A renewal to make.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Spend {
    /// The chain, by the seed from which it descends; empty for client credentials.
    pub origin: String,
    /// Since when the refresh token may have been spent.
    pub first_sent: DateTime<Utc>,
    /// Since when it is unknown what became of it.
    pub interrupted: Option<DateTime<Utc>>,
    /// Whether an earlier attempt with the same token may have been carried out.
    pub replay: bool,
    /// Whether the refusal of a token that should still live is the cause.
    pub early: bool,
}

impl Spend {
    fn fresh(origin: &str, now: DateTime<Utc>, early: bool) -> Self {
        Self {
            origin: origin.to_owned(),
            first_sent: now,
            interrupted: None,
            replay: false,
            early,
        }
    }
}

/// Names the next move of the protocol; `None` for a credential that does not renew itself.
pub fn next(facts: &Facts) -> Option<Move> {
    let (plan, renewal) = (facts.renewal_plan()?, facts.renewal.as_ref()?);
    if renewal.process.stopping {
        return Some(Move::Rest);
    }
    let held = match &renewal.grant {
        GrantState::NotRead => {
            return Some(facts.status.next_renewal_time.map_or(Move::Rest, Move::At));
        }
        GrantState::Foreign => return Some(Move::Stuck(Reason::GrantForeign)),
        GrantState::Absent if renewal.rival.is_some() => {
            return Some(Move::Stuck(Reason::GrantConflict));
        }
        GrantState::Absent => return Some(without_grant(facts, plan, renewal)),
        GrantState::Read(held) => held,
    };
    if let Some(spend) = &facts.happened.intended {
        return Some(Move::Renew(spend.clone()));
    }
    Some(match plan.kind {
        RenewalKind::Refresh => with_grant(facts, plan, renewal, held),
        RenewalKind::ClientCredentials => asked_again(facts, plan, renewal, held),
        RenewalKind::Successor => successor::next(facts, plan, renewal, held),
        RenewalKind::Login => login::next(facts, plan, renewal, held),
    })
}

fn without_grant(facts: &Facts, plan: &RenewalPlan, renewal: &Renewal) -> Move {
    match plan.kind {
        RenewalKind::Refresh | RenewalKind::Successor => {}
        RenewalKind::ClientCredentials => {
            return Move::Renew(Spend::fresh("", facts.now, false));
        }
        // A password is no one-time secret.
        RenewalKind::Login => {
            return match renewal.seed {
                SeedState::Read { .. } => Move::Adopt,
                SeedState::Missing | SeedState::Unusable(_) | SeedState::NotRead => Move::Rest,
            };
        }
    }
    let consumed = facts.status.grant.as_ref().filter(|known| known.consumed);
    let spent = consumed.and_then(|known| known.seed.as_deref());
    match &renewal.seed {
        _ if facts.renew_requested() && matches!(renewal.seed, SeedState::Read { .. }) => {
            Move::Adopt
        }
        SeedState::Read { print, .. } if spent != Some(print.as_str()) => Move::Adopt,
        SeedState::Read { .. } => Move::Stuck(Reason::GrantLost),
        // A seed of another place that is not there yet is waited for.
        SeedState::Missing | SeedState::Unusable(_) | SeedState::NotRead
            if consumed.is_some_and(|known| known.name == plan.grant) =>
        {
            Move::Stuck(Reason::GrantLost)
        }
        SeedState::Missing | SeedState::Unusable(_) | SeedState::NotRead => Move::Rest,
    }
}

/// Whether another credential uses the grant in another way. Who holds it keeps it.
fn conflicts(plan: &RenewalPlan, renewal: &Renewal, grant: &Grant<Fingerprint>) -> bool {
    !is_ours(plan, grant) && renewal.rival.is_some()
}

/// Whether a chain of the grant is of the client of the plan.
fn is_ours(plan: &RenewalPlan, grant: &Grant<Fingerprint>) -> bool {
    let mut chains = [&grant.live, &grant.candidate].into_iter().flatten();
    chains.any(|chain| chain.client == plan.client)
}

/// What comes before anything is done with a token that exists once, or that makes another.
fn first(facts: &Facts, plan: &RenewalPlan, renewal: &Renewal, held: &Held) -> Option<Move> {
    let grant = &held.grant;
    if conflicts(plan, renewal, grant) {
        return Some(Move::Stuck(Reason::GrantConflict));
    }
    // What was proven may be published already: a newer seed comes beside it, not in its place.
    if is_proven_candidate(facts, grant) && !held.is_copy() {
        return Some(Move::Promote);
    }
    match &renewal.seed {
        SeedState::Read { digest, .. } if grant.seed(digest).is_none() => Some(Move::Adopt),
        SeedState::Read { .. }
        | SeedState::NotRead
        | SeedState::Missing
        | SeedState::Unusable(_) => None,
    }
}

fn with_grant(facts: &Facts, plan: &RenewalPlan, renewal: &Renewal, held: &Held) -> Move {
    let grant = &held.grant;
    if let Some(first) = first(facts, plan, renewal, held) {
        return first;
    }
    let holds = grant.live.is_some() || grant.candidate.is_some();
    if !is_ours(plan, grant) && holds {
        return Move::Stuck(Reason::GrantConflict);
    }
    if held.is_copy() && !facts.renew_requested() {
        return Move::Stuck(Reason::GrantRestored);
    }
    if let Some(intent) = &grant.intent
        && let Some(chain) = grant.chain(&intent.origin)
    {
        if let Some(time) = runs_until(facts, plan, renewal, intent) {
            return Move::At(time);
        }
        // The token of another client would be sent with this one's secret, and called dead.
        if chain.client == plan.client {
            return resume(facts, plan, renewal, grant, intent);
        }
    }
    let candidate = grant.candidate.as_ref();
    let unspent = candidate.filter(|chain| {
        chain.access.is_none() && chain.client == plan.client && is_usable(facts, plan, chain)
    });
    if unspent.is_some() && !facts.happened.sought {
        return Move::Seek;
    }
    let mut wanted = Vec::new();
    if let Some(chain) = unspent.filter(|_| !facts.happened.twin) {
        wanted.push((facts.now, chain, false));
    }
    let others = [candidate, grant.live.as_ref()].into_iter().flatten();
    let others = others.filter(|chain| chain.client == plan.client);
    for chain in others.filter(|chain| is_usable(facts, plan, chain)) {
        if let Some((time, early)) = due(facts, plan, renewal.pace, chain) {
            wanted.push((time, chain, early));
        }
    }
    let Some((time, chain, early)) = wanted.into_iter().min_by_key(|(time, ..)| *time) else {
        return if unspent.is_some() {
            Move::Stuck(Reason::GrantConflict)
        } else {
            Move::Rest
        };
    };
    let time = not_before(facts, renewal, grant, time);
    if time > facts.now {
        return Move::At(time);
    }
    Move::Intend(Spend::fresh(&chain.origin, facts.now, early))
}

/// Client credentials: nothing is spent, so that nothing has to be written down before.
fn asked_again(facts: &Facts, plan: &RenewalPlan, renewal: &Renewal, held: &Held) -> Move {
    let grant = &held.grant;
    let live = grant
        .live
        .as_ref()
        .filter(|live| live.client == plan.client);
    // The older one has the grant; two would take the token out of each other's hands.
    if live.is_none() && renewal.rival.is_some() {
        return Move::Stuck(Reason::GrantConflict);
    }
    let (time, early) = live
        .and_then(|chain| due(facts, plan, renewal.pace, chain))
        .unwrap_or((facts.now, false));
    let changed = renewal.clients_changed && !facts.happened.renewed;
    let time = if changed { facts.now } else { time };
    let time = not_before(facts, renewal, grant, time);
    if time > facts.now {
        Move::At(time)
    } else {
        Move::Renew(Spend::fresh("", facts.now, early))
    }
}

/// Whether a chain may be spent: it is not dead, or a person wants it tried all the same. Where
/// the redirect URL counts, the refusal of a wrong one looks like the end of the refresh token.
fn is_usable(facts: &Facts, plan: &RenewalPlan, chain: &Chain<Fingerprint>) -> bool {
    let refused_with_another = |dead: &Dead| {
        let sent = dead.redirect_uri.as_ref();
        sent.is_some() && sent != plan.redirect_uri.as_ref()
    };
    chain.dead.as_ref().is_none_or(refused_with_another) || wants_now(facts)
}

/// Whether a person asks for a renewal, and has not been answered in this pass.
fn wants_now(facts: &Facts) -> bool {
    facts.renew_requested() && !facts.happened.renewed && facts.happened.judgement.is_none()
}

fn is_proven_candidate(facts: &Facts, grant: &Grant<Fingerprint>) -> bool {
    let access = grant
        .candidate
        .as_ref()
        .and_then(|chain| chain.access.as_ref());
    access.is_some_and(|access| {
        Some(access.token.as_str()) == facts.status.proven_fingerprint.as_deref()
    })
}

/// When the token of a chain is to be renewed, and whether its early death is the cause.
fn due(
    facts: &Facts,
    plan: &RenewalPlan,
    pace: Pace,
    chain: &Chain<Fingerprint>,
) -> Option<(DateTime<Utc>, bool)> {
    let access = chain.access.as_ref()?;
    let is_subject = facts
        .chain()
        .is_some_and(|subject| subject.origin == chain.origin);
    if is_subject && facts.died_early() {
        return Some((facts.now, true));
    }
    let old = later(access.obtained, pace.of(SHORTEST_BETWEEN_SPENDS));
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
    let time = renew_at(access, plan, &facts.object.uid);
    // However long the access token lives: a refresh token that nobody uses dies.
    let idle = plan
        .spends()
        .then(|| later(access.obtained, IDLE_LIVES / 2));
    let time = idle.map_or(time, |idle| idle.min(time));
    Some((cooled(facts, pace, access, time), false))
}

/// When a token is renewed: some time before its end, at most half of its life, and a little
/// earlier for some credentials than for others.
pub fn renew_at(access: &Access<Fingerprint>, plan: &RenewalPlan, uid: &str) -> DateTime<Utc> {
    let life = (access.expires - access.obtained).max(TimeDelta::zero());
    let before = plan.renewed_before(access);
    let before = (before + splay(uid, before / 5)).min(life / 2);
    earlier(access.expires, before)
}

/// A renewal that is due while the site asks for rest waits for its end, but not for ever.
fn cooled(
    facts: &Facts,
    pace: Pace,
    access: &Access<Fingerprint>,
    time: DateTime<Utc>,
) -> DateTime<Utc> {
    let latest = earlier(access.expires, pace.of(LATEST_BEFORE_END));
    match facts.cooling_until {
        Some(until) if until > time && latest > time => until.min(latest),
        _ => time,
    }
}

/// A failure is waited out, unless something has changed that may help.
fn not_before(
    facts: &Facts,
    renewal: &Renewal,
    grant: &Grant<Fingerprint>,
    time: DateTime<Utc>,
) -> DateTime<Utc> {
    let mended = match grant.failure {
        Some(Reason::ClientRejected) => renewal.clients_changed || facts.spec_changed(),
        Some(Reason::InsufficientScope) => facts.spec_changed(),
        _ => false,
    };
    match grant.next_attempt {
        Some(wait) if !(wants_now(facts) || (mended && !facts.happened.renewed)) => time.max(wait),
        _ => time,
    }
}

#[cfg(test)]
mod tests;
