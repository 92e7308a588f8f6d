//! The end of a reconcile: what to write down, what to tell, when to look again.

pub mod conditions;
mod events;
pub mod grant;
pub mod line_ends;
pub mod notice;
mod request;
mod restart;

pub use notice::Notice;

use chrono::{DateTime, TimeDelta, Utc};

use crate::api::Reason;
use crate::api::{Binding, Condition, ConditionType, JiraCredentialStatus, TargetVersion};
use crate::core::conclude::conditions::ConditionDraft;
use crate::core::conclude::conditions::denied::{blocks_ready, denied};
use crate::core::conclude::conditions::expiry_known::expiry_known;
use crate::core::conclude::conditions::over_privileged::over_privileged;
use crate::core::conclude::conditions::progressing::progressing;
use crate::core::conclude::conditions::published::published;
use crate::core::conclude::conditions::ready::{BlockedOn, ready};
use crate::core::conclude::conditions::restart_failed::restart_failed;
use crate::core::conclude::conditions::rotation_due::rotation_due;
use crate::core::conclude::conditions::valid::valid;
use crate::core::conclude::events::{clock_was_ahead, notices};
use crate::core::conclude::grant::record_grant;
use crate::core::conclude::line_ends::record_line_ends;
use crate::core::conclude::request::record_request;
use crate::core::conclude::restart::{next_restart, record_restarts};
use crate::core::decide::cleanup::next_cleanup;
use crate::core::decide::expiry_lookup::next_lookup;
use crate::core::decide::validation::{ValidationDue, validation};
use crate::core::decide::{Move, renewal};
use crate::core::facts::{ApiKey, Barrier, Facts, Peer, Source, TargetFacts, TargetState, targets};
use crate::core::messages;
use crate::core::time::{LONGEST_WAIT, RECORDED_EVERY, later};

/// The end of a reconcile.
#[derive(Clone, Debug, PartialEq)]
pub struct Conclusion {
    /// The status to write, if it differs from what is recorded.
    pub status: JiraCredentialStatus,
    /// What to tell.
    pub events: Vec<Notice>,
    /// When to look again.
    pub wake: TimeDelta,
}

/// A write that the API server refused is tried again after this time.
const REFUSED_WRITE: TimeDelta = TimeDelta::minutes(5);

/// No watch shows when a `ConfigMap` changes: one that did not help is read again after this time.
const UNWATCHED: TimeDelta = TimeDelta::minutes(1);

/// Another credential is sending the same password: its answer will be there soon.
pub(crate) const PEER_ANSWERS: TimeDelta = TimeDelta::seconds(2);

/// A person may have another credential with the same password tried again.
pub(crate) const PEER_SETTLES: TimeDelta = TimeDelta::minutes(10);

/// Concludes a reconcile in which no step is left. `recorded` is the status as it stood when the
/// reconcile started.
pub fn conclude(facts: &Facts, recorded: &JiraCredentialStatus) -> Conclusion {
    let valid = valid(facts);
    let published = published(facts);
    let (ready, waits) = ready(facts, &valid, &published);
    let (ready, waits) = match blocks_ready(facts, &ready) {
        Some(blocked) => (blocked, BlockedOn::Person),
        None => (ready, waits),
    };
    let (rotation, due, changes) = rotation_due(facts, &ready);
    let mut status = facts.without_old_attempt();
    status.observed_generation = facts.object.generation;
    record_plan(facts, &mut status);
    record_source(facts, &mut status);
    record_line_ends(facts, &mut status);
    record_versions(facts, &mut status);
    record_restarts(facts, &mut status);
    record_grant(facts, &mut status);
    record_api_key(facts, &mut status);
    status.rotation_due_time = due;
    record_request(facts, recorded, &mut status);
    let pending = status.pending_renew.is_some();
    let (reconciling, stalled) = progressing(facts, &ready, waits, pending);
    let findings = [
        (ConditionType::Ready, Some(ready)),
        (ConditionType::Valid, Some(valid)),
        (ConditionType::Published, Some(published)),
        (ConditionType::RotationDue, Some(rotation)),
        (ConditionType::ExpiryKnown, expiry_known(facts)),
        (ConditionType::OverPrivileged, over_privileged(facts)),
        (ConditionType::Denied, denied(facts)),
        (
            ConditionType::RestartFailed,
            restart_failed(status.restart.as_ref()),
        ),
        (ConditionType::Reconciling, reconciling),
        (ConditionType::Stalled, stalled),
    ];
    status.conditions = findings
        .into_iter()
        .filter_map(|(kind, draft)| Some(settle(facts, recorded, kind, draft?)))
        .collect();
    let mut events = notices(recorded, &status);
    if facts.progress.clock_was_ahead {
        events.insert(0, clock_was_ahead());
    }
    events.extend(facts.progress.keys_stay.iter().map(|keys| Notice {
        warning: true,
        reason: keys.reason,
        note: truncate(messages::merge::keys_stay(facts, keys), 1024),
    }));
    let stay = facts.progress.targets_stay.iter();
    events.extend(stay.map(|(path, namespace)| Notice {
        warning: true,
        reason: Reason::NamespaceNotServed,
        note: messages::elsewhere::stays(path, namespace),
    }));
    let mut changes = changes;
    changes.extend(next_restart(facts, &status));
    let wake = wake(facts, &changes);
    Conclusion {
        status,
        events,
        wake,
    }
}

impl Conclusion {
    /// Whether the status must be written. A source that got another version and holds the same is
    /// recorded with the next change. A grant is not: while it has another version than the one that is
    /// recorded, every reconcile reads it.
    pub fn differs_from(&self, facts: &Facts, recorded: &JiraCredentialStatus) -> bool {
        let mut same = recorded.clone();
        if self.only_validated_again(recorded) {
            same.last_validated_time = self.status.last_validated_time;
        }
        if !facts.renews() && same.sources.len() == self.status.sources.len() {
            for (old, new) in same.sources.iter_mut().zip(&self.status.sources) {
                old.resource_version.clone_from(&new.resource_version);
            }
        }
        same != self.status
    }

    /// Whether Jira has accepted what it accepted before, a short time after the recorded acceptance:
    /// the process knows that, and the status need not.
    fn only_validated_again(&self, recorded: &JiraCredentialStatus) -> bool {
        let times = recorded
            .last_validated_time
            .zip(self.status.last_validated_time);
        let recent = times.is_some_and(|(old, new)| {
            let since = new - old;
            since >= TimeDelta::zero() && since < RECORDED_EVERY
        });
        recent && recorded.validated_fingerprint == self.status.validated_fingerprint
    }
}

/// Method and site are shown from the first reconcile; once an account is pinned they say where it
/// was validated, and move with the next validation only.
fn record_plan(facts: &Facts, status: &mut JiraCredentialStatus) {
    let Ok(plan) = &facts.plan else { return };
    if status.account.is_none() {
        status.method = Some(plan.method);
        status.site = Some(facts.unvalidated_site(plan));
    }
    if plan.renewal.is_none() {
        status.expires_at = facts.static_end();
    }
}

/// Versions stand for the credential that the status names, under the spec that it speaks of;
/// without them the next reconcile looks again.
fn record_source(facts: &Facts, status: &mut JiraCredentialStatus) {
    match &facts.source {
        Source::Unchanged if facts.spec_changed() => status.sources.clear(),
        Source::Unchanged => {}
        // The result of a renewal could not be stored, or another process has taken it over.
        Source::Read { .. } if facts.renews() && facts.grant_unread() => status.sources.clear(),
        Source::Read { versions, .. } if facts.renews() || facts.is_on_record() => {
            status.sources.clone_from(versions);
        }
        Source::Read { .. } | Source::Unusable(_) => status.sources.clear(),
    }
}

/// A Secret of another version that holds the same key needs no second look.
fn record_api_key(facts: &Facts, status: &mut JiraCredentialStatus) {
    if facts.spec.expiry_lookup.is_none() {
        status.expiry_lookup = None;
    }
    if let (
        Some(looked),
        ApiKey::Read {
            fingerprint: Some(key),
            version,
        },
    ) = (&mut status.expiry_lookup, &facts.api_key)
        && looked.key_fingerprint.as_deref() == Some(key.as_str())
    {
        looked.source.clone_from(version);
    }
}

fn record_versions(facts: &Facts, status: &mut JiraCredentialStatus) {
    let mut targets: Vec<TargetVersion> = Vec::new();
    for target in &facts.targets {
        let recorded = facts.recorded(&target.target).cloned();
        let now = match &target.state {
            TargetState::Written(version)
            | TargetState::OwnedByOther(_, version)
            | TargetState::NotMerged(version) => Some(version.clone()),
            TargetState::Absent if facts.plan.is_ok() && !facts.spec.suspend => None,
            // The other owner was found under another spec, and has to be found again.
            TargetState::Present { .. } => {
                recorded.filter(|seen| seen.hash.is_some() || !facts.spec_changed())
            }
            TargetState::Absent
            | TargetState::Unknown
            | TargetState::Refused(_)
            | TargetState::NotRendered(_) => recorded,
        };
        targets.extend(now);
    }
    let kept = facts
        .surplus
        .iter()
        .filter(|old| !facts.progress.deleted_targets.contains(&old.path()));
    targets.extend(kept.cloned());
    status.targets = targets;
    let object = &facts.object;
    let wanted = targets::targets(&facts.spec, &object.namespace, &object.name);
    // Who binds to it looks in the namespace of the credential.
    let mut here = wanted.iter().filter(|target| target.namespace.is_none());
    status.binding = here
        .next()
        .filter(|first| {
            let mut seen = status.targets.iter();
            seen.any(|seen| seen.is_of(first) && seen.hash.is_some())
        })
        .map(|first| Binding {
            name: first.name.clone(),
        });
}

/// Turns a finding into a condition; a status that has not changed keeps its time.
pub(crate) fn settle(
    facts: &Facts,
    recorded: &JiraCredentialStatus,
    kind: ConditionType,
    draft: ConditionDraft,
) -> Condition {
    let old = recorded.condition(kind);
    let same_status = old.filter(|old| old.status == draft.status);
    Condition {
        kind,
        status: draft.status,
        reason: draft.reason,
        message: truncate(draft.message, 1024),
        last_transition_time: same_status.map_or(facts.now, |old| old.last_transition_time),
    }
}

/// Shortens a text to at most `most` bytes at the border of a character.
fn truncate(mut text: String, most: usize) -> String {
    if text.len() > most {
        let mut end = most;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}

/// The earliest time at which something can be due, as a wait from now, at most 12 h.
pub(crate) fn wake(facts: &Facts, changes: &[DateTime<Utc>]) -> TimeDelta {
    if facts.object.deleting || facts.plan.is_err() {
        return LONGEST_WAIT;
    }
    let mut times: Vec<DateTime<Utc>> = changes.to_vec();
    if !facts.spec.suspend && !matches!(facts.source, Source::Unusable(_)) {
        let next = if facts.progress.judgement.is_some() {
            after_probe(facts)
        } else {
            validation(facts)
        };
        match next {
            ValidationDue::Now => times.push(facts.now),
            ValidationDue::At(time) => times.push(time),
            ValidationDue::OnChange => {}
        }
        times.extend(renewal_times(facts));
        // One that this reconcile had no room for: at once, unless it waits for its turn.
        let soon = later(facts.now, TimeDelta::seconds(1));
        let earliest = facts.progress.queued_until.unwrap_or(soon);
        times.extend(facts.progress.queued_until);
        times.extend(next_lookup(facts).map(|next| next.max(earliest)));
        if facts
            .targets
            .iter()
            .any(|target| matches!(target.state, TargetState::Refused(_)))
        {
            times.push(later(facts.now, REFUSED_WRITE));
        }
        let is_missing = |target: &TargetFacts| target.barrier == Some(Barrier::Missing);
        if facts.targets.iter().any(is_missing) {
            times.push(later(facts.now, UNWATCHED));
        }
        let problems = facts
            .targets
            .iter()
            .filter_map(|target| facts.merge_problem(target));
        times.extend(problems.filter_map(|problem| problem.next_repair_time));
        match facts.peer {
            Peer::Silent | Peer::Accepted => {}
            Peer::InFlight => times.push(later(facts.now, PEER_ANSWERS)),
            // The refusal is our own.
            Peer::Refused(_) if facts.refusal().is_some() => {}
            Peer::Interrupted | Peer::Refused(_) => times.push(later(facts.now, PEER_SETTLES)),
        }
    }
    times.extend(facts.validation_is_stale_from());
    if let Source::Unusable(problem) = &facts.source
        && problem.is_unwatched()
    {
        times.push(later(facts.now, UNWATCHED));
    }
    let future = times.into_iter().filter(|time| *time > facts.now).min();
    let wait = future.map_or(LONGEST_WAIT, |time| time - facts.now);
    wait.clamp(TimeDelta::seconds(1), LONGEST_WAIT)
}

/// When something about the renewal is due.
fn renewal_times(facts: &Facts) -> Vec<DateTime<Utc>> {
    let mut times = Vec::new();
    match renewal::next(facts) {
        Some(Move::At(time)) => times.push(time),
        Some(Move::Idle | Move::Blocked(_)) | None => {}
        // Left undone: at once.
        Some(_) => times.push(later(facts.now, TimeDelta::seconds(1))),
    }
    // Another party has taken a renewal over: what came of it is soon to be seen.
    if facts.progress.renewed && facts.grant_unread() {
        times.push(later(facts.now, PEER_ANSWERS));
    }
    times.extend(facts.nearly_ended());
    times.extend(next_cleanup(facts));
    let candidate = facts
        .status
        .grant
        .as_ref()
        .and_then(|grant| grant.candidate.as_ref());
    times.extend(candidate.and_then(|attempt| attempt.next_attempt_time));
    times
}

/// When the next probe is due after the one of this reconcile.
fn after_probe(facts: &Facts) -> ValidationDue {
    let next = match facts.attempt() {
        Some(attempt) => attempt.next_attempt_time,
        None => facts.next_validation(),
    };
    next.map_or(ValidationDue::OnChange, ValidationDue::At)
}

#[cfg(test)]
mod tests {
    use super::truncate;

    #[test]
    fn a_message_is_cut_at_the_border_of_a_character() {
        assert_eq!(truncate("äöü".into(), 3), "ä");
        assert_eq!(truncate("abc".into(), 3), "abc");
    }
}
