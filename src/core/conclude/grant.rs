//! What the status says of the grant.

use chrono::{DateTime, Utc};

use crate::api::{Attempt, AttemptOutcome, GrantStatus, JiraCredentialStatus, Reason};
use crate::core::decide::cleanup::next_cleanup;
use crate::core::decide::renewal::blocker::renewal_blocker;
use crate::core::decide::renewal::blocker::replacement_blocker;
use crate::core::decide::{Move, renewal};
use crate::core::facts::{Facts, GrantState, Renewal, SeedState, Twin};
use crate::core::grant::{Access, SeedOutcome};
use crate::core::spec::RenewalKind;

/// Brings the status up to date with what was seen of the grant.
pub(crate) fn record_grant(facts: &Facts, status: &mut JiraCredentialStatus) {
    let Some(plan) = facts.renewal_plan() else {
        if facts.plan.is_ok() {
            status.grant = None;
            status.next_renewal_time = None;
            status.scopes.clear();
        }
        return;
    };
    // A suspended credential is not observed, and its record is kept.
    let Some(renewal) = &facts.renewal else {
        return;
    };
    if matches!(renewal.grant, GrantState::NotRead) {
        name_rival(renewal, status);
        return;
    }
    let old = status.grant.clone().unwrap_or_default();
    let (seed, consumed) = seed_of(facts, &renewal.seed, &old);
    let provisional = facts.is_provisional();
    let conflicts = renewal_blocker(facts) == Some(Reason::GrantConflict);
    let is_lost = renewal_blocker(facts) == Some(Reason::GrantLost) && !old.name.is_empty();
    status.grant = Some(GrantStatus {
        // Where the tokens were last: the grant there has spent what another place may hold.
        name: if is_lost {
            old.name.clone()
        } else {
            plan.grant.clone()
        },
        uid: facts
            .held()
            .map(|held| held.uid.clone())
            .unwrap_or_default(),
        seed,
        consumed,
        chain: old.chain.clone(),
        provisional: facts
            .chain_print()
            .filter(|_| provisional)
            .map(|print| print.as_str().to_owned()),
        previous: previous(facts).map(str::to_owned),
        blocked_by: renewal_blocker(facts),
        conflicts_with: conflicts.then(|| renewal.rival.clone().unwrap_or_default()),
        duplicate_of: twin_name(facts).filter(|_| conflicts),
        interrupted_time: facts.interrupted_at(),
        candidate: candidate(facts, &old),
        replacement_blocked_by: replacement_blocker(facts),
        retrying: facts.retried_renewal(),
        next_cleanup_time: next_cleanup(facts),
        consent_expires_at: facts.consent_ends(),
        idle_expires_at: facts.idle_ends(),
    });
    record_validated_token(facts, status);
    if provisional {
        let access = facts.chain().and_then(|chain| chain.access.as_ref());
        status.expires_at = access.and_then(Access::end).or(status.expires_at);
    }
    status.next_renewal_time = next_renewal(facts);
}

/// What was replaced and is published, too.
fn previous(facts: &Facts) -> Option<&str> {
    facts.previous().filter(|_| facts.keeps_previous())
}

/// Where the older grant is that was found in this reconcile, as it is recorded.
fn twin_name(facts: &Facts) -> Option<String> {
    facts.progress.twin.as_ref().map(|twin| match twin {
        Twin::Here(name) => name.clone(),
        Twin::Elsewhere => String::new(),
    })
}

/// Keeps the name of the credential that is in the way, so that the reconcile that finds it gone
/// looks at the grant again. A status of an earlier version has no name yet.
fn name_rival(renewal: &Renewal, status: &mut JiraCredentialStatus) {
    let Some(grant) = &mut status.grant else {
        return;
    };
    if grant.blocked_by == Some(Reason::GrantConflict) && renewal.rival.is_some() {
        grant.conflicts_with.clone_from(&renewal.rival);
    }
}

/// What is known of the validated token may be learned without another validation: a token that was
/// validated before it started a chain has one now, and Jira's list shows the end of one that a
/// person made.
fn record_validated_token(facts: &Facts, status: &mut JiraCredentialStatus) {
    let Some(chain) = facts.chain().filter(|_| facts.is_validated()) else {
        return;
    };
    if let Some(grant) = &mut status.grant {
        grant.chain = Some(chain.family_id());
    }
    if let Some(access) = &chain.access {
        status.expires_at = access.end();
        status.scopes.clone_from(&access.scopes);
    }
}

fn next_renewal(facts: &Facts) -> Option<DateTime<Utc>> {
    match renewal::next(facts)? {
        Move::At(time) => Some(time),
        Move::Idle | Move::Blocked(_) if !is_stopping(facts) => None,
        // A step was left undone: the next reconcile takes it up.
        _ => Some(facts.now),
    }
}

fn is_stopping(facts: &Facts) -> bool {
    facts
        .renewal
        .as_ref()
        .is_some_and(|renewal| renewal.process.stopping)
}

/// The fingerprint of the seed, and whether it was spent.
fn seed_of(facts: &Facts, seed: &SeedState, old: &GrantStatus) -> (Option<String>, bool) {
    let Some((plan, held)) = facts.renewal_plan().zip(facts.held()) else {
        return (old.seed.clone(), old.consumed);
    };
    let SeedState::Read { digest, print } = seed else {
        // A token that a person made is done with when its successor is there, read again or not.
        let succeeded = plan.kind == RenewalKind::Successor && held.grant.has_successor(None);
        return (old.seed.clone(), old.consumed || succeeded);
    };
    let spent = match plan.kind {
        RenewalKind::Refresh | RenewalKind::ClientCredentials => held
            .grant
            .seed(digest)
            .is_some_and(|seed| seed.outcome != SeedOutcome::Seen),
        RenewalKind::Successor => held.grant.has_successor(Some(digest)),
        RenewalKind::Login => false,
    };
    (Some(print.as_str().to_owned()), spent)
}

/// What became of a newer seed that has not taken the place of the chain in use.
pub(crate) fn candidate(facts: &Facts, old: &GrantStatus) -> Option<Attempt> {
    if let Some(attempt) = facts.candidate_attempt() {
        return Some(attempt.clone());
    }
    let print = match &facts.renewal.as_ref()?.seed {
        SeedState::Read { print, .. } => print.as_str(),
        SeedState::Unusable(_) => "",
        // What was wrong with it went with it.
        SeedState::Missing => return None,
        SeedState::NotRead => {
            let told = old.candidate.clone()?;
            return (told.outcome == AttemptOutcome::Refused
                && facts.waiting_candidate().is_none())
            .then_some(told);
        }
    };
    let reason = facts.seed_trouble()?;
    let told = old
        .candidate
        .as_ref()
        .filter(|told| told.fingerprint == print && told.reason == Some(reason));
    Some(told.cloned().unwrap_or_else(|| Attempt {
        failures: 1,
        last_failure_time: facts.now,
        next_attempt_time: None,
        fingerprint: print.to_owned(),
        outcome: AttemptOutcome::Refused,
        reason: Some(reason),
    }))
}
