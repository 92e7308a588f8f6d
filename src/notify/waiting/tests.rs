use chrono::DateTime;

use super::*;
use crate::api::Owner;
use crate::notify::message::Standing;
use crate::notify::problem::Event;

const AGAIN: Duration = Duration::from_secs(600);

const OVER: Stage = Stage::Resolved {
    others_left: false,
    now: Standing::Ready,
};

fn message(namespace: &str, uid: &str, stage: Stage) -> Message {
    Message {
        stage,
        event: Event::Stalled,
        uid: uid.into(),
        namespace: namespace.into(),
        name: uid.into(),
        site: String::new(),
        reason: "Rejected".into(),
        text: String::new(),
        since: DateTime::UNIX_EPOCH,
        owner: Owner::default(),
        link: None,
    }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn put(pending: &mut Pending, stage: Stage, seconds: u64) {
    pending.put(message("team", "a", stage), at(seconds));
}

/// The stages and names of what is taken and sent.
fn send(pending: &mut Pending, most: usize, seconds: u64) -> Vec<String> {
    let taken = pending.take(most, at(seconds));
    pending.sent(&taken, at(seconds));
    let words = taken.iter().map(|one| &one.message);
    words
        .map(|one| format!("{} {}", one.stage.word(), one.name))
        .collect()
}

#[test]
fn a_beginning_and_an_end_that_both_wait_are_told_neither() {
    let mut pending = Pending::new(Some(AGAIN));
    for (first, second) in [(Stage::Firing, OVER), (OVER, Stage::Firing)] {
        put(&mut pending, first, 0);
        put(&mut pending, second, 1);
        assert_eq!(pending.ready_in(at(1)), None);
    }
    // A reminder was told before.
    put(&mut pending, Stage::Reminder, 0);
    put(&mut pending, OVER, 1);
    assert_eq!(send(&mut pending, 9, 1), ["resolved a"]);
    // A receiver that keeps a state gets the last.
    let mut pending = Pending::new(None);
    put(&mut pending, Stage::Firing, 0);
    put(&mut pending, OVER, 1);
    assert_eq!(send(&mut pending, 9, 1), ["resolved a"]);
}

#[test]
fn what_comes_and_goes_is_told_every_ten_minutes() {
    let mut pending = Pending::new(Some(AGAIN));
    let mut told = Vec::new();
    for second in 0..3600 {
        let stage = if second % 20 < 10 {
            Stage::Firing
        } else {
            OVER
        };
        if second % 10 == 0 {
            put(&mut pending, stage, second);
        }
        told.extend(send(&mut pending, 9, second));
    }
    assert_eq!(told.len(), 12, "{told:?}");
}

#[test]
fn what_failed_waits_on_unless_something_newer_does() {
    let mut pending = Pending::new(Some(AGAIN));
    for (may_be_told, newer, expected) in [
        (false, None, vec!["firing a"]),
        (true, None, vec!["firing a"]),
        (false, Some(OVER), vec![]),
        // The sink may have taken it.
        (true, Some(OVER), vec!["resolved a"]),
    ] {
        pending = Pending::new(Some(AGAIN));
        put(&mut pending, Stage::Firing, 0);
        let taken = pending.take(9, at(0));
        if let Some(newer) = newer {
            put(&mut pending, newer, 1);
        }
        pending.put_back(taken, may_be_told, at(2));
        assert_eq!(
            send(&mut pending, 9, 2),
            expected,
            "{may_be_told} {newer:?}"
        );
    }
    assert_eq!(pending.clear(), 0);
}

#[test]
fn who_has_many_waits_behind_who_has_few() {
    let mut pending = Pending::new(Some(AGAIN));
    for number in 0..1000 {
        let name = format!("many-{number}");
        pending.put(message("many", &name, Stage::Firing), at(0));
    }
    pending.put(message("few", "few-1", Stage::Firing), at(1));
    pending.put(message("few", "few-2", Stage::Firing), at(1));
    let four = ["many-0", "few-1", "many-1", "few-2"].map(|name| format!("firing {name}"));
    assert_eq!(send(&mut pending, 4, 2), four);
    // One at a time it is the same, whichever comes later.
    pending.put(message("few", "few-3", Stage::Firing), at(3));
    let one = [send(&mut pending, 1, 3), send(&mut pending, 1, 3)].concat();
    assert_eq!(one, ["firing many-2", "firing few-3"]);
    // Nothing is dropped.
    assert_eq!(send(&mut pending, usize::MAX, 4).len(), 997);
}

#[test]
fn what_fails_goes_behind_the_others_of_its_namespace() {
    let mut pending = Pending::new(Some(AGAIN));
    for name in ["bad", "good", "other"] {
        pending.put(message("team", name, Stage::Firing), at(0));
    }
    let bad = pending.take(1, at(1));
    pending.put_back(bad, false, at(1));
    let sent = [1, 2, 3]
        .map(|second| send(&mut pending, 1, second))
        .concat();
    assert_eq!(sent, ["firing good", "firing other", "firing bad"]);
}
