//! Why a renewal is blocked.

use crate::api::Reason;
use crate::core::decide::renewal;
use crate::core::decide::step::Move;
use crate::core::facts::{Facts, GrantState, Peer};
use crate::core::grant::Search;
use crate::core::spec::RenewalKind;
use crate::core::time::later;

/// What stands in the way of the renewal: as seen in this reconcile, else as is recorded.
pub fn renewal_blocker(facts: &Facts) -> Option<Reason> {
    let renewal = facts.renewal.as_ref()?;
    if matches!(renewal.grant, GrantState::NotRead) {
        return facts.status.grant.as_ref()?.blocked_by;
    }
    if let Some(Move::Blocked(reason)) = renewal::next(facts) {
        return Some(reason);
    }
    // A token without a replacement still works.
    if facts.makes_successors() {
        return None;
    }
    let grant = &facts.held()?.grant;
    if facts.chain().is_some_and(|chain| chain.dead.is_some()) {
        return Some(Reason::ReconsentRequired);
    }
    if grant.failure != Some(Reason::ClientRejected) && facts.lacks_scopes() {
        return Some(Reason::InsufficientScope);
    }
    let interrupted = || {
        let intent = grant.intent.as_ref()?;
        let begun = grant.chain(&intent.origin).is_some() && !renewal.process.running;
        begun.then_some(Reason::RenewalInterrupted)
    };
    grant.failure.or_else(interrupted)
}

/// Why a personal access token has no successor though one is due, or none can be planned: as
/// seen in this reconcile, else as recorded. The token itself still works.
pub fn replacement_blocker(facts: &Facts) -> Option<Reason> {
    let plan = facts.renewal_plan()?;
    if facts.grant_unread() {
        return facts.status.grant.as_ref()?.replacement_blocked_by;
    }
    match plan.kind {
        RenewalKind::Successor => {}
        RenewalKind::Login => return login_beside(facts),
        RenewalKind::Refresh | RenewalKind::ClientCredentials => return None,
    }
    let grant = &facts.held()?.grant;
    let live = grant.live.as_ref()?;
    let access = live.access.as_ref()?;
    match grant.replacement_failure() {
        // An outage is waited out, unless the end is near.
        Some(reason) if passes_by_itself(reason) => {
            let half = plan.renewed_before(access.life()) / 2;
            return (later(facts.now, half) > access.expires).then_some(reason);
        }
        Some(reason) => return Some(reason),
        None => {}
    }
    let unknown = access.id.is_none() && plan.stated.end.is_none() && live.root.is_none();
    let told = live.search.as_ref().is_some_and(Search::has_failed);
    (unknown && told).then_some(Reason::ExpiryUnknown)
}

/// Whether a failure says nothing that a person has to act on at once.
pub(crate) fn passes_by_itself(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::SiteUnavailable
            | Reason::RateLimited
            | Reason::ClockSkew
            | Reason::SourceMalformed
            | Reason::HostNotAllowed
    )
}

/// Whether the operator does not log in with a new password, beside a session that continues.
fn login_beside(facts: &Facts) -> Option<Reason> {
    let renewal = facts.renewal.as_ref()?;
    let candidate = facts.waiting_candidate()?;
    let intent = facts.held()?.grant.intent.as_ref();
    let lost =
        intent.is_some_and(|intent| intent.origin == candidate.origin) && !renewal.process.running;
    let denied = matches!(renewal.login, Peer::Refused(_) | Peer::Interrupted);
    let waits = candidate.access.is_none() && (lost || denied);
    waits.then_some(Reason::RotationFailed)
}

/// Whether a person must act before the grant can be used at all.
pub fn needs_person(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::GrantForeign
            | Reason::GrantVersionUnsupported
            | Reason::GrantLost
            | Reason::GrantRestored
            | Reason::GrantConflict
    )
}

/// Whether the tokens of the grant are out of reach.
pub fn leaves_no_token(reason: Reason) -> bool {
    needs_person(reason) && reason != Reason::GrantRestored
}
