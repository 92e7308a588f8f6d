//! A model check of the renewal protocol: the decisions are those of this crate, the world around
//! them is a model, and every order of events within some bounds is tried.

mod act;
mod atlassian;
mod check;
mod explore;
mod observe;
mod world;

use explore::explore;

/// How often something may go wrong on one path.
#[derive(Clone, Debug, Default, Hash)]
struct Limits {
    crashes: u8,
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
    /// First exchanges after which time stands still.
    exchanges: u8,
    /// Whether a replay gives what the first exchange gave.
    same_successor: bool,
    broken: Option<Broken>,
    /// With a part taken away: states after which one counter-example is enough.
    enough: usize,
}

#[test]
fn the_protocol_holds_whatever_the_order_of_events() {
    let rules = Rules {
        limits: Limits { crashes: env("C"), faults: env("F"), edits: env("E"), stale: env("S") },
        exchanges: env("X"),
        ..Rules::default()
    };
    let found = explore(&rules);
    println!(
        "model: {} states, {} transitions, {} settled, {} renewals",
        found.states, found.transitions, found.settled, found.renewals
    );
    for (violation, trace) in &found.violations {
        println!("{violation}\n{trace}");
    }
    assert!(found.violations.is_empty());
}

fn env(name: &str) -> u8 {
    std::env::var(name).map_or(0, |v| v.parse().unwrap())
}
