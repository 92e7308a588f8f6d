//! Visits every state, breadth first, so that the first trace to a violation is a shortest one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;

use crate::model::Rules;
use crate::model::shared::digest;
use crate::model::world::{Event, Violation, World};

/// Steps without a fault after which anything must have come to a good end.
const MOST_STEPS: usize = 2000;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(crate) states: usize,
    pub(crate) transitions: usize,
    /// States in which everything is well, or told to be over.
    pub(crate) settled: usize,
    /// A shortest trace for each thing that went wrong.
    pub(crate) violations: BTreeMap<Violation, String>,
    pub(crate) renewals: u8,
    /// States in which a consent has died and that was told.
    pub(crate) lost: usize,
}

/// A state as it is remembered.
struct Visited {
    parent: Option<(u32, u16)>,
    /// What follows without a fault.
    fair: Option<u32>,
    settled: bool,
}

/// Visits every state that the rules allow.
pub(super) fn explore(rules: &Rules) -> Found {
    let mut found = Found::default();
    let mut visited: Vec<Visited> = Vec::new();
    let mut known: HashMap<u64, u32> = HashMap::new();
    let mut queue = VecDeque::new();
    // Where the horizon ends a run, it goes on alone.
    let mut ends: Vec<(u32, World)> = Vec::new();
    let start = World::new(rules);
    known.insert(digest(&start), 0);
    visited.push(Visited::new(None, &start));
    queue.push_back((0_u32, start));
    while let Some((index, world)) = queue.pop_front() {
        let mut fair = None;
        for (nth, next) in world.successors(rules).into_iter().enumerate() {
            found.transitions += 1;
            let nth = u16::try_from(nth).unwrap();
            if let Some(violation) = next.violation {
                found
                    .violations
                    .entry(violation)
                    .or_insert_with(|| trace(rules, &visited, index, Some((nth, violation))));
                continue;
            }
            let key = digest(&next.world);
            let child = *known.entry(key).or_insert_with(|| {
                let child = u32::try_from(visited.len()).unwrap();
                visited.push(Visited::new(Some((index, nth)), &next.world));
                found.lost += next.world.ledger.reconsents;
                found.renewals = found.renewals.max(next.world.atlassian.exchanges);
                queue.push_back((child, next.world));
                child
            });
            if !next.event.fault && fair.is_none() {
                fair = Some(child);
            }
        }
        visited[index as usize].fair = fair;
        if fair.is_none() && !visited[index as usize].settled {
            ends.push((index, world));
        }
        if rules
            .broken
            .is_some_and(|(_, expected)| found.violations.contains_key(expected))
        {
            break;
        }
    }
    found.states = visited.len();
    found.settled = visited.iter().filter(|visited| visited.settled).count();
    if rules.broken.is_none() {
        converge(rules, &mut visited, ends, &mut found);
    }
    found
}

/// From every state, what happens without a fault leads to a good end.
fn converge(rules: &Rules, visited: &mut [Visited], ends: Vec<(u32, World)>, found: &mut Found) {
    for (index, world) in ends {
        if goes_on(world, rules) {
            visited[index as usize].settled = true;
        }
    }
    let mut good: Vec<bool> = visited.iter().map(|visited| visited.settled).collect();
    for start in 0..visited.len() {
        let mut path = Vec::new();
        let mut at = start;
        let ends_well = loop {
            if good[at] {
                break true;
            }
            path.push(at);
            match visited[at].fair {
                Some(next) if path.len() <= MOST_STEPS => at = next as usize,
                _ => break false,
            }
        };
        if ends_well {
            for at in path {
                good[at] = true;
            }
        } else {
            let text = || trace(rules, visited, u32::try_from(start).unwrap(), None);
            let what = "it does not settle when faults stop";
            found.violations.entry(what).or_insert_with(text);
            return;
        }
    }
}

fn goes_on(mut world: World, rules: &Rules) -> bool {
    let rules = Rules {
        exchanges: u8::MAX,
        ..rules.clone()
    };
    for _ in 0..MOST_STEPS {
        if world.is_settled() {
            return true;
        }
        let next = world
            .successors(&rules)
            .into_iter()
            .find(|next| !next.event.fault);
        match next {
            Some(next) if next.violation.is_none() => world = next.world,
            _ => return false,
        }
    }
    false
}

/// The way to a state, one line a step, and what follows without a fault if nothing was wrong yet.
fn trace(rules: &Rules, visited: &[Visited], index: u32, last: Option<(u16, Violation)>) -> String {
    let mut way = Vec::new();
    let mut at = index;
    while let Some((parent, nth)) = visited[at as usize].parent {
        way.push(nth);
        at = parent;
    }
    way.reverse();
    way.extend(last.map(|(nth, _)| nth));
    let mut world = World::new(rules);
    let mut text = String::new();
    for nth in way {
        let next = world.successors(rules).swap_remove(nth.into());
        world = next.world;
        line(&mut text, &world, next.event);
    }
    if let Some((_, violation)) = last {
        let _ = writeln!(text, "  => {violation}");
        return text;
    }
    let _ = writeln!(text, "  -- no fault from here on");
    for _ in 0..40 {
        let Some(next) = world
            .successors(rules)
            .into_iter()
            .find(|next| !next.event.fault)
        else {
            break;
        };
        world = next.world;
        line(&mut text, &world, next.event);
    }
    text
}

fn line(text: &mut String, world: &World, event: Event) {
    let who = match event.who {
        Some(0) => "A",
        Some(_) => "B",
        None => "-",
    };
    let ready = world.cluster.status.conditions.first();
    let ready = ready.map_or("new".to_owned(), |ready| format!("{:?}", ready.reason));
    let target = world
        .cluster
        .target
        .as_ref()
        .map_or("", |mounted| &mounted.print);
    let _ = writeln!(
        text,
        "  {:>6} s  {who} {:<48} Ready: {ready}, mounted: {target}",
        world.now, event.what
    );
}

impl Visited {
    fn new(parent: Option<(u32, u16)>, world: &World) -> Self {
        Self {
            parent,
            fair: None,
            settled: world.is_settled(),
        }
    }
}
