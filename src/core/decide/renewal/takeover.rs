//! When a renewal that this or another process started and did not finish is taken over, and by
//! which process.

use chrono::{DateTime, TimeDelta, Utc};

use crate::core::decide::renewal::timing::wants_now;
use crate::core::decide::step::Move;
use crate::core::facts::{Facts, Renewal, TimeScale};
use crate::core::fingerprint::Fingerprint;
use crate::core::grant::{Grant, Intent, RefreshRequest};
use crate::core::spec::RenewalPlan;
use crate::core::time::{jitter, later};

/// This process may take over what another has started when it has seen it unchanged for so
/// long by its own clock.
pub const TAKEOVER_WATCHED: TimeDelta = TimeDelta::seconds(90);

/// Or when it is so old by the clock on the wall; a call to the token endpoint is cut long before.
pub const TAKEOVER_AGE: TimeDelta = TimeDelta::minutes(3);

/// A refresh token is honoured for ten minutes after it was spent (Atlassian documentation); later
/// than this the answer may come too late.
pub const REPLAY_WITHIN: TimeDelta = TimeDelta::minutes(8);

/// No longer than this after an attempt whose answer was lost, the token is used again. Any of the attempts may be
/// the one that was carried out, so each is followed by several others within the leeway, however long the
/// outage has lasted.
const REPLAY_EVERY: TimeDelta = TimeDelta::minutes(2);

/// Without an election no process makes the last attempt before all others must be gone.
pub const LAST_WITHOUT_ELECTION: TimeDelta = TimeDelta::minutes(20);

/// What was decided this long ago is decided again before a token is used: others may have taken
/// over meanwhile.
const DECISION_LASTS: TimeDelta = TimeDelta::minutes(1);

/// A running attempt is checked again after this time.
const ATTEMPT_RUNS: TimeDelta = TimeDelta::seconds(2);

/// Until when an attempt may still be running, if it may.
pub(crate) fn runs_until(
    facts: &Facts,
    plan: &RenewalPlan,
    renewal: &Renewal,
    intent: &Intent,
) -> Option<DateTime<Utc>> {
    let (process, time_scale, now) = (&renewal.process, renewal.time_scale, facts.now);
    if intent.holder == process.holder {
        return process.running.then(|| later(now, ATTEMPT_RUNS));
    }
    let watched = time_scale.of(TAKEOVER_WATCHED) - process.seen_for;
    let old = later(intent.started, time_scale.of(TAKEOVER_AGE));
    // The last attempt ends the grant if the holder still has the answer and could not store it:
    // however old the intent is, the holder gets the time to do so.
    let late = is_late(plan, intent, time_scale, now);
    if watched <= TimeDelta::zero() || (old <= now && !late) {
        return None;
    }
    let watched = later(now, watched);
    Some(if late { watched } else { old.min(watched) })
}

/// Whether a replay may come too late: where nothing is honoured twice, any. What spends nothing
/// comes never too late.
fn is_late(plan: &RenewalPlan, intent: &Intent, time_scale: TimeScale, now: DateTime<Utc>) -> bool {
    if !plan.spends() {
        return false;
    }
    !plan.has_leeway() || now > later(intent.first_sent, time_scale.of(REPLAY_WITHIN))
}

/// When the last attempt may be made without leader election. Before that, several replays may run,
/// since a replay in time does no harm. Where every replay is the last one, the process that watched
/// the intent acts alone, at an age at which no call is under way any more.
fn last_without_election(
    plan: &RenewalPlan,
    intent: &Intent,
    time_scale: TimeScale,
) -> DateTime<Utc> {
    if plan.has_leeway() {
        later(intent.first_sent, time_scale.of(LAST_WITHOUT_ELECTION))
    } else {
        later(intent.started, time_scale.of(TAKEOVER_AGE))
    }
}

/// Takes over what another process, or this one, has started and not finished.
pub(crate) fn resume(
    facts: &Facts,
    plan: &RenewalPlan,
    renewal: &Renewal,
    grant: &Grant<Fingerprint>,
    intent: &Intent,
) -> Move {
    let (process, time_scale, now) = (&renewal.process, renewal.time_scale, facts.now);
    let late = is_late(plan, intent, time_scale, now);
    if let Some(time) = grant.next_attempt.filter(|time| *time > now)
        && !wants_now(facts)
    {
        return Move::At(time);
    }
    // An attempt of this process has ended with a lost response: no other process has it.
    let alone = !plan.has_leeway() && intent.holder == process.holder;
    if late && !alone {
        match process.leads {
            Some(true) => {}
            Some(false) => return Move::Idle,
            None => {
                let time = last_without_election(plan, intent, time_scale);
                if time > now {
                    return Move::At(time);
                }
            }
        }
    }
    let before = intent.interrupted.unwrap_or(intent.first_sent);
    Move::Intend(RefreshRequest {
        origin: intent.origin.clone(),
        // If the earlier attempts were carried out, the token is dead by now; if they were not,
        // this is the first.
        first_sent: if late { now } else { intent.first_sent },
        interrupted: if late {
            Some(before)
        } else {
            intent.interrupted
        },
        replay: true,
        early: false,
    })
}

/// The wait after an attempt that brought no token, though it may have spent one: the usual one, but short enough
/// for the leeway, where there is one.
pub fn wait_in_doubt(
    plan: &RenewalPlan,
    usual: TimeDelta,
    time_scale: TimeScale,
    uid: &str,
) -> TimeDelta {
    if !plan.spends() || !plan.has_leeway() {
        return usual;
    }
    let most = time_scale.of(REPLAY_EVERY);
    usual.min(most + jitter(uid, most / 5))
}

/// Whether a decision to spend a token is too old to be carried out.
pub fn is_outdated(decided: DateTime<Utc>, now: DateTime<Utc>, time_scale: TimeScale) -> bool {
    now > later(decided, time_scale.of(DECISION_LASTS))
}
