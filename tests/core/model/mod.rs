//! A model check of the renewal protocol: the decisions are those of this crate, the world around
//! them is a model, and every order of events within some bounds is tried.
//!
//! Real: `decide`, `conclude`, `apply`, `protocol`, the transitions of the grant, the watch over
//! an intent. Modelled: what a reconcile reads, its writes and calls, Atlassian, time.

mod act;
mod atlassian;
mod check;
mod explore;
mod observe;
mod shared;
mod spend;
mod world;

use crate::model::explore::{Found, explore};

/// How often something may go wrong on one path.
#[derive(Clone, Copy, Debug, Default, Hash)]
struct Limits {
    /// Ends of a process, which stays away for as long as it likes.
    crashes: u8,
    /// Lost requests and answers, outages, processes that are held up.
    faults: u8,
    /// Changes of the user's Secret.
    edits: u8,
    /// Looks at a status that was overtaken.
    stale: u8,
}

/// A part of the protocol that is taken away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Broken {
    NoIntent,
    PublishFirst,
    SeedsHidden,
    Hasty,
}

/// What is explored.
#[derive(Clone, Debug, Default)]
struct Rules {
    limits: Limits,
    /// First exchanges after which time stands still while nothing is under way.
    exchanges: u8,
    /// Whether a replay gives what the first exchange gave, or a new pair.
    same_successor: bool,
    /// Whether there is one replica only.
    alone: bool,
    /// What is taken away, and what must come of it.
    broken: Option<(Broken, &'static str)>,
}

impl Rules {
    fn is_broken(&self, part: Broken) -> bool {
        self.broken.is_some_and(|(broken, _)| broken == part)
    }
}

const NONE: Limits = Limits {
    crashes: 0,
    faults: 0,
    edits: 0,
    stale: 0,
};

/// Explores, and fails with a trace if anything went wrong.
fn holds(what: &str, rules: &Rules) -> Found {
    let found = explore(rules);
    println!(
        "model: {} states, {} transitions, {} renewals, {} states of a lost consent: {what}",
        found.states, found.transitions, found.renewals, found.lost
    );
    for (violation, trace) in &found.violations {
        println!("{violation}:\n{trace}");
    }
    assert!(found.violations.is_empty(), "{what}");
    found
}

#[test]
fn the_protocol_holds_whatever_the_order_of_events() {
    let two = |limits, exchanges| Rules {
        limits,
        exchanges,
        ..Rules::default()
    };
    let mut all = vec![
        ("one fault", two(Limits { faults: 1, ..NONE }, 3)),
        ("one crash", two(Limits { crashes: 1, ..NONE }, 3)),
        ("two crashes", two(Limits { crashes: 2, ..NONE }, 1)),
        ("one old status", two(Limits { stale: 1, ..NONE }, 3)),
        ("one new seed", two(Limits { edits: 1, ..NONE }, 2)),
    ];
    let alone = Rules {
        alone: true,
        same_successor: true,
        ..two(
            Limits {
                crashes: 1,
                faults: 1,
                ..NONE
            },
            4,
        )
    };
    all.push(("one crash and one fault, one replica", alone));
    let found: Vec<Found> = all.iter().map(|(what, rules)| holds(what, rules)).collect();
    let states: usize = found.iter().map(|found| found.states).sum();
    println!("model: {states} states in all");
    assert!(states > 100_000);
    assert!(found.iter().any(|found| found.renewals >= 3));
    // Bounds in which nothing can be lost would show nothing.
    assert!(found.iter().any(|found| found.lost > 0));
}

#[test]
fn without_any_of_its_parts_the_protocol_fails() {
    let crash = Limits { crashes: 1, ..NONE };
    let edits = Limits { edits: 2, ..NONE };
    for (part, limits, expected) in [
        (
            Broken::NoIntent,
            crash,
            "a refresh token was spent again, and not as the replay of its intent",
        ),
        (
            Broken::PublishFirst,
            NONE,
            "a target got a token that is not validated",
        ),
        (
            Broken::SeedsHidden,
            edits,
            "a refresh token was spent again, and not as the replay of its intent",
        ),
        (
            Broken::Hasty,
            NONE,
            "two replicas spend the same refresh token at once",
        ),
    ] {
        let rules = Rules {
            limits,
            exchanges: 3,
            broken: Some((part, expected)),
            ..Rules::default()
        };
        let found = explore(&rules);
        let trace = found.violations.get(expected);
        let trace = trace.unwrap_or_else(|| panic!("{part:?} does no harm: {found:?}"));
        println!("model without {part:?}: {expected}:\n{trace}");
    }
}
