//! Keys that another client removes from its Secret again and again: the operator starts no write war.

use chrono::{DateTime, TimeDelta, Utc};

use crate::api::TargetVersion;
use crate::core::time::{is_ahead, later};

/// The pause behind the first repair; it doubles with each that follows.
const FIRST_PAUSE: TimeDelta = TimeDelta::minutes(5);

/// The longest pause is this many times doubled: about five hours.
const MOST_DOUBLINGS: u32 = 6;

/// Repairs count as a row up to so many pauses after the last.
const ROW_ENDS: i32 = 4;

/// Whether keys may be written that are not in the Secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Repair {
    /// Nobody has removed them: the Secret did not hold these before.
    New,
    /// Another client has removed or changed them; written again, this often in a row.
    Counted(i32),
    /// They were written again a short time ago, and are gone: not before this time.
    NotBefore(DateTime<Utc>),
}

/// Whether the contents of this digest may be written into a Secret, by what is recorded of it.
pub fn repair(recorded: Option<&TargetVersion>, digest: &str, now: DateTime<Utc>) -> Repair {
    let Some((target, merge)) = recorded.and_then(|old| Some((old, old.merge.as_ref()?))) else {
        return Repair::New;
    };
    if target.hash.as_deref() != Some(digest) && merge.next_repair_time.is_none() {
        return Repair::New;
    }
    let last = merge.repairs.zip(merge.repaired_time);
    let Some((count, time)) = last.filter(|(_, time)| !is_ahead(*time, now)) else {
        return Repair::Counted(1);
    };
    let doublings = u32::try_from(count - 1).unwrap_or_default();
    let pause = FIRST_PAUSE * 2_i32.pow(doublings.min(MOST_DOUBLINGS));
    if now >= later(time, pause * ROW_ENDS) {
        Repair::Counted(1)
    } else if now >= later(time, pause) {
        Repair::Counted(count.saturating_add(1))
    } else {
        Repair::NotBefore(later(time, pause))
    }
}

#[cfg(test)]
mod tests {
    use super::{Repair, repair};
    use crate::api::{MergeStatus, TargetVersion};
    use chrono::{DateTime, TimeDelta, Utc};

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_760_000_000, 0).unwrap() + TimeDelta::minutes(minutes)
    }

    #[test]
    fn keys_that_are_removed_again_and_again_are_written_in_growing_pauses() {
        let recorded = |hash: Option<&str>, merge: MergeStatus| TargetVersion {
            namespace: None,
            name: "app".into(),
            uid: "u".into(),
            resource_version: "1".into(),
            hash: hash.map(str::to_owned),
            held_by: None,
            merge: Some(merge),
        };
        let row = |count, time| MergeStatus {
            repairs: Some(count),
            repaired_time: Some(at(time)),
            ..MergeStatus::default()
        };
        let waiting = MergeStatus {
            next_repair_time: Some(at(5)),
            ..row(1, 0)
        };
        let same = Some("now");
        for (name, recorded, minute, expected) in [
            ("never seen", None, 0, Repair::New),
            (
                "another token",
                Some(recorded(Some("old"), row(1, 0))),
                1,
                Repair::New,
            ),
            (
                "blocked by something else",
                Some(recorded(None, row(1, 0))),
                1,
                Repair::New,
            ),
            (
                "the first time",
                Some(recorded(same, MergeStatus::default())),
                0,
                Repair::Counted(1),
            ),
            (
                "again at once",
                Some(recorded(same, row(1, 0))),
                1,
                Repair::NotBefore(at(5)),
            ),
            (
                "still in the pause",
                Some(recorded(None, waiting.clone())),
                4,
                Repair::NotBefore(at(5)),
            ),
            (
                "behind the pause",
                Some(recorded(None, waiting)),
                5,
                Repair::Counted(2),
            ),
            (
                "the next pause is longer",
                Some(recorded(same, row(2, 5))),
                14,
                Repair::NotBefore(at(15)),
            ),
            (
                "long ago",
                Some(recorded(same, row(1, 0))),
                20,
                Repair::Counted(1),
            ),
            (
                "the longest pause",
                Some(recorded(same, row(i32::MAX, 0))),
                319,
                Repair::NotBefore(at(320)),
            ),
            (
                "a clock that was ahead",
                Some(recorded(same, row(3, 600))),
                0,
                Repair::Counted(1),
            ),
        ] {
            let found = repair(recorded.as_ref(), "now", at(minute));
            assert_eq!(found, expected, "{name}");
        }
    }
}
