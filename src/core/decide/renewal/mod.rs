//! The renewal protocol: what is to be done next with a grant.
//!
//! ```text
//!   ImportToken ──► CheckDuplicate ──► Intend ──► Renew+Keep ──► Validate ──► Promote ──► Publish
//!   a new           is it held         write it   ask, and       GET          a new       the
//!   seed            twice?             down       store          /myself      chain       targets
//! ```
//!
//! A chain in use starts at Intend. Client credentials spend nothing and start at Renew. Sessions
//! and personal access tokens, which Jira keeps until they are ended, are in files of their own.

pub mod blocker;
pub mod pat;
pub mod session;
pub mod takeover;
pub mod timing;

use chrono::{DateTime, Utc};

use crate::api::Reason;
use crate::core::decide::renewal::takeover::{resume, runs_until};
use crate::core::decide::renewal::timing::{due, first, is_ours, not_before, wants_now};
use crate::core::decide::step::Move;
use crate::core::facts::{Facts, GrantState, Held, Renewal, SeedState};
use crate::core::fingerprint::Fingerprint;
use crate::core::grant::{Chain, Dead, RefreshRequest};
use crate::core::spec::{RenewalKind, RenewalPlan};

/// Names the next move of the protocol; `None` for a credential that does not renew itself.
pub fn next(facts: &Facts) -> Option<Move> {
    let (plan, renewal) = (facts.renewal_plan()?, facts.renewal.as_ref()?);
    if renewal.process.stopping {
        return Some(Move::Idle);
    }
    let held = match &renewal.grant {
        GrantState::NotRead => {
            return Some(facts.status.next_renewal_time.map_or(Move::Idle, Move::At));
        }
        GrantState::Later => return Some(Move::Blocked(Reason::GrantVersionUnsupported)),
        GrantState::Foreign => return Some(Move::Blocked(Reason::GrantForeign)),
        GrantState::Absent if renewal.rival.is_some() => {
            return Some(Move::Blocked(Reason::GrantConflict));
        }
        GrantState::Absent => return Some(without_grant(facts, plan, renewal)),
        GrantState::Read(held) => held,
    };
    if let Some(spend) = &facts.progress.intended {
        return Some(Move::Renew(spend.clone()));
    }
    let next = match plan.kind {
        RenewalKind::Refresh => with_grant(facts, plan, renewal, held),
        RenewalKind::ClientCredentials => asked_again(facts, plan, renewal, held),
        RenewalKind::Successor => pat::next(facts, plan, renewal, held),
        RenewalKind::Login => session::next(facts, plan, renewal, held),
    };
    Some(match next {
        Move::Idle | Move::At(_) | Move::Blocked(Reason::GrantConflict)
            if facts.progress.twins_unknown.is_some() =>
        {
            Move::At(looked_again(facts))
        }
        next => next,
    })
}

/// Every reconcile looks for duplicates until it is known whether there is one. The time stays as it is
/// recorded: it is no news.
fn looked_again(facts: &Facts) -> DateTime<Utc> {
    let recorded = facts.status.next_renewal_time;
    recorded.map_or(facts.now, |time| time.min(facts.now))
}

fn without_grant(facts: &Facts, plan: &RenewalPlan, renewal: &Renewal) -> Move {
    match plan.kind {
        RenewalKind::Refresh | RenewalKind::Successor => {}
        RenewalKind::ClientCredentials => {
            return Move::Renew(RefreshRequest::fresh("", facts.now, false));
        }
        // A password is no one-time secret.
        RenewalKind::Login => {
            return match renewal.seed {
                SeedState::Read { .. } => Move::ImportToken,
                SeedState::Missing | SeedState::Unusable(_) | SeedState::NotRead => Move::Idle,
            };
        }
    }
    let consumed = facts.status.grant.as_ref().filter(|known| known.consumed);
    let spent = consumed.and_then(|known| known.seed.as_deref());
    match &renewal.seed {
        _ if facts.renew_requested() && matches!(renewal.seed, SeedState::Read { .. }) => {
            Move::ImportToken
        }
        SeedState::Read { print, .. } if spent != Some(print.as_str()) => Move::ImportToken,
        SeedState::Read { .. } => Move::Blocked(Reason::GrantLost),
        // A seed of another place that is not there yet is waited for.
        SeedState::Missing | SeedState::Unusable(_) | SeedState::NotRead
            if consumed.is_some_and(|known| known.name == plan.grant) =>
        {
            Move::Blocked(Reason::GrantLost)
        }
        SeedState::Missing | SeedState::Unusable(_) | SeedState::NotRead => Move::Idle,
    }
}

fn with_grant(facts: &Facts, plan: &RenewalPlan, renewal: &Renewal, held: &Held) -> Move {
    let grant = &held.grant;
    if let Some(first) = first(facts, plan, renewal, held) {
        return first;
    }
    let holds = grant.live.is_some() || grant.candidate.is_some();
    if !is_ours(plan, grant) && holds {
        return Move::Blocked(Reason::GrantConflict);
    }
    if held.is_copy() && !facts.renew_requested() {
        return Move::Blocked(Reason::GrantRestored);
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
    if unspent.is_some() && !facts.progress.duplicate_checked {
        return Move::CheckDuplicate;
    }
    let mut wanted = Vec::new();
    if let Some(chain) = unspent.filter(|_| !facts.progress.is_duplicate) {
        wanted.push((facts.now, chain, false));
    }
    let others = [candidate, grant.live.as_ref()].into_iter().flatten();
    let others = others.filter(|chain| chain.client == plan.client);
    for chain in others.filter(|chain| is_usable(facts, plan, chain)) {
        if let Some((time, early)) = due(facts, plan, renewal.time_scale, chain) {
            wanted.push((time, chain, early));
        }
    }
    let Some((time, chain, early)) = wanted.into_iter().min_by_key(|(time, ..)| *time) else {
        return if unspent.is_some() {
            Move::Blocked(Reason::GrantConflict)
        } else {
            Move::Idle
        };
    };
    let time = not_before(facts, renewal, grant, time);
    if time > facts.now {
        return Move::At(time);
    }
    Move::Intend(RefreshRequest::fresh(&chain.origin, facts.now, early))
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
        return Move::Blocked(Reason::GrantConflict);
    }
    let (time, early) = live
        .and_then(|chain| due(facts, plan, renewal.time_scale, chain))
        .unwrap_or((facts.now, false));
    let changed = renewal.clients_changed && !facts.progress.renewed;
    let time = if changed { facts.now } else { time };
    let time = not_before(facts, renewal, grant, time);
    if time > facts.now {
        Move::At(time)
    } else {
        Move::Renew(RefreshRequest::fresh("", facts.now, early))
    }
}

/// Whether a chain may be renewed: it is not dead, or a person asks for a retry. Where
/// the redirect URL counts, the refusal of a wrong one looks like the end of the refresh token.
fn is_usable(facts: &Facts, plan: &RenewalPlan, chain: &Chain<Fingerprint>) -> bool {
    let refused_with_another = |dead: &Dead| {
        let sent = dead.redirect_uri.as_ref();
        sent.is_some() && sent != plan.redirect_uri.as_ref()
    };
    chain.dead.as_ref().is_none_or(refused_with_another) || wants_now(facts)
}

#[cfg(test)]
mod tests;
