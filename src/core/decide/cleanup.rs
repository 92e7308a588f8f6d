//! What is done with a grant after everything else: revoke what was replaced, and find the id of a
//! token that a person created.

use chrono::{DateTime, TimeDelta, Utc};

use crate::core::decide::renewal::blocker::passes_by_itself;
use crate::core::decide::step::CleanupTask;
use crate::core::facts::{Facts, GrantUser, Held, Renewal};
use crate::core::fingerprint::Fingerprint;
use crate::core::grant::{Chain, Retired, is_imported};
use crate::core::time::later;

/// How long what was replaced goes on working after everybody shows what took its place: mounted
/// files follow within a minute or two.
const GRACE: TimeDelta = TimeDelta::minutes(5);

/// Whether all users have published the replacement is checked again after this time at first, and
/// after up to an hour later on.
const OTHERS_FOLLOW: TimeDelta = TimeDelta::minutes(1);

const OTHERS_STAY: TimeDelta = TimeDelta::hours(1);

/// The list of tokens is asked again after this time, if it did not tell enough.
const LIST_AGAIN: TimeDelta = TimeDelta::hours(24);

/// And after this time if the list could not be read.
const LIST_SOON: TimeDelta = TimeDelta::hours(1);

/// And after this time if that passes by itself, such as an outage: alerts wait for 15 minutes.
const LIST_AT_ONCE: TimeDelta = TimeDelta::minutes(5);

/// What is to be done now.
pub fn cleanup_task(facts: &Facts) -> Option<CleanupTask> {
    let (renewal, held) = grant_to_clean_up(facts)?;
    if renewal.process.stopping || held.is_copy() {
        return None;
    }
    let retired = &held.grant.retired;
    if retired.iter().any(|old| old.shown.is_none()) && everybody_shows(facts, renewal) {
        return Some(CleanupTask::ConfirmRollout);
    }
    if due_to_end(retired, facts.now, renewal).is_some() {
        return Some(CleanupTask::Revoke);
    }
    let unknown = look_at(facts, renewal, held).is_some_and(|time| time <= facts.now);
    (unknown && facts.is_validated()).then_some(CleanupTask::FindTokenId)
}

/// When something is to be done next; `None` when nothing waits.
pub fn next_cleanup(facts: &Facts) -> Option<DateTime<Utc>> {
    if facts.grant_unread() {
        return facts.status.grant.as_ref()?.next_cleanup_time;
    }
    // What ends by itself only leaves the targets.
    if !facts.is_kept() {
        return facts.previous_ends();
    }
    let (renewal, held) = grant_to_clean_up(facts)?;
    if held.is_copy() {
        return None;
    }
    let shown = |old: &Retired<Fingerprint>| {
        let (soon, late) = (
            renewal.time_scale.of(OTHERS_FOLLOW),
            renewal.time_scale.of(OTHERS_STAY),
        );
        later(facts.now, ((facts.now - old.since) / 2).clamp(soon, late))
    };
    let ends = held.grant.retired.iter();
    let ends = ends.map(|old| {
        let end = end_at(renewal, old).unwrap_or_else(|| shown(old));
        end.min(old.until)
    });
    let look = look_at(facts, renewal, held).filter(|_| facts.is_validated());
    ends.chain(look).min()
}

/// The index of what is to be ended now.
pub fn due_to_end<S>(
    retired: &[Retired<S>],
    now: DateTime<Utc>,
    renewal: &Renewal,
) -> Option<usize> {
    retired
        .iter()
        .position(|old| old.until <= now || end_at(renewal, old).is_some_and(|time| time <= now))
}

fn grant_to_clean_up(facts: &Facts) -> Option<(&Renewal, &Held)> {
    let plan = facts.renewal_plan().filter(|plan| plan.is_kept())?;
    let held = facts.held()?;
    // What is of another site is never sent to this one.
    let used = held.grant.live.as_ref().or(held.grant.candidate.as_ref());
    let here = used?.client == plan.client;
    Some((facts.renewal.as_ref()?, held)).filter(|_| here)
}

fn end_at<S>(renewal: &Renewal, old: &Retired<S>) -> Option<DateTime<Utc>> {
    let quiet = later(old.shown?, renewal.time_scale.of(GRACE));
    Some(old.next_attempt.map_or(quiet, |next| next.max(quiet)))
}

/// Whether this credential and all others with the grant have published the token in use, and restarted what
/// takes it into variables.
fn everybody_shows(facts: &Facts, renewal: &Renewal) -> bool {
    let Some(print) = facts.chain_print() else {
        return false;
    };
    let mine = facts.is_validated()
        && !facts.is_provisional()
        && facts.targets.iter().all(|target| facts.is_in_sync(target))
        && !facts.has_pods_behind();
    let shows = |other: &GrantUser| other.shows.as_deref() == Some(print.as_str());
    mine && renewal.others.iter().all(shows)
}

/// When the list of the account's tokens is to be read.
fn look_at(facts: &Facts, renewal: &Renewal, held: &Held) -> Option<DateTime<Utc>> {
    // A session is in no list.
    if !facts.makes_successors() {
        return None;
    }
    let live = held.grant.live.as_ref().filter(|live| is_unknown(live))?;
    let Some(search) = &live.search else {
        return Some(facts.now);
    };
    // Another date may tell which of several it is.
    if facts.spec_changed() && !facts.progress.looked_for {
        return Some(facts.now);
    }
    let wait = match search.likely {
        Some(_) => LIST_AGAIN,
        None if search.missed.is_some_and(passes_by_itself) => LIST_AT_ONCE,
        None => LIST_SOON,
    };
    Some(later(search.asked, renewal.time_scale.of(wait)))
}

/// Whether it is a token that a person made and that was not found in the list.
fn is_unknown(chain: &Chain<Fingerprint>) -> bool {
    is_imported(chain) && chain.is_sought() && chain.dead.is_none()
}
