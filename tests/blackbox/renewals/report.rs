//! The account of a run: what is asserted, and what is printed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::cast::Cast;
use super::ledger::{Lives, Tally, count, drop_newest};
use super::people::{Asked, events};
use super::readers::{Dead, Seen};

/// How long it takes from a renewal to the published Secret, on a machine that is busy.
const PUBLISHING: TimeDelta = TimeDelta::seconds(3);

/// A number that `cargo xtask kill` sets.
pub(crate) fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

/// What came of one run.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) setting: String,
    /// Who renews.
    pub(crate) who: String,
    pub(crate) grants: usize,
    pub(crate) random: usize,
    pub(crate) committed: usize,
    pub(crate) tally: Tally,
    /// Consents that were asked for.
    pub(crate) asked: usize,
    /// Turns of the condition for it: who is asked again before anything was well had one.
    pub(crate) turns: usize,
    /// Events that asked for one.
    pub(crate) events: usize,
    /// Uses of published tokens, and how many of them Jira refused.
    pub(crate) uses: u64,
    pub(crate) refused: usize,
    /// What is wrong.
    pub(crate) wrong: Vec<String>,
}

impl Report {
    pub(crate) async fn of(
        setting: &str,
        cast: &Cast,
        lives: &Lives,
        asked: &[Asked],
        seen: &Seen,
    ) -> Self {
        let spends = cast.stage.sim.spends();
        let mut tally = Tally::default();
        let mut wrong = Vec::new();
        let grants = cast.grants().await;
        let told = events(cast).await;
        for member in &cast.members {
            let name = &member.name;
            for consent in member.consents() {
                count(&mut tally, &consent, &spends, lives);
                let of_family = |asked: &&Asked| asked.family == consent.family();
                let asked = asked.iter().filter(of_family).count();
                if asked != usize::from(!consent.is_alive()) {
                    wrong.push(format!("{name}: a new consent was asked for {asked} times"));
                }
            }
            let stored = grants.get(name).and_then(|grant| grant.refresh.clone());
            if !stored.is_some_and(|token| member.consent().can_exchange(&token)) {
                drop_newest(&mut tally, name);
            }
        }
        for asked in asked {
            if !asked.message.contains("was interrupted on") {
                let Asked { name, message, .. } = asked;
                wrong.push(format!(
                    "{name}: nobody says when it was interrupted: {message}"
                ));
            }
        }
        let turns: BTreeSet<_> = asked
            .iter()
            .map(|asked| (&asked.name, asked.since))
            .collect();
        wrong.extend(wrong_events(asked, &told, lives));
        let excuses = excuses(cast, &spends, asked);
        let dead = seen.dead();
        assert_eq!(seen.mixed(), [""; 0], "keys of different renewals");
        wrong.extend(
            dead.iter()
                .filter_map(|dead| inexcusable(dead, lives, &excuses)),
        );
        Self {
            setting: setting.to_owned(),
            who: "operator".to_owned(),
            grants: cast.members.len(),
            asked: asked.len(),
            turns: turns.len(),
            events: told.values().sum(),
            uses: seen.uses(),
            refused: dead.len(),
            tally,
            wrong,
            ..Self::default()
        }
    }

    /// What holds whatever was done to the operator.
    pub(crate) fn assert_sound(&self) {
        assert_eq!(self.tally.lost, self.tally.unavoidable, "{self:#?}");
        assert_eq!(self.asked, self.tally.unavoidable, "{self:#?}");
        assert!(self.wrong.is_empty(), "{self:#?}");
    }

    /// Prints it, so that a person can compare it with others.
    pub(crate) fn tell(&self) {
        eprintln!("{}, {}: {}", self.who, self.setting, self.tally);
        if let Some(path) = std::env::var_os("JCO_KILL_REPORT") {
            let file = std::fs::File::options()
                .append(true)
                .create(true)
                .open(path);
            let line = serde_json::to_string(self).unwrap();
            writeln!(file.unwrap(), "{line}").unwrap();
        }
    }
}

/// One event for each consent that is asked for. A process that dies between the status and the
/// event tells nothing, and the next one has nothing new to tell.
fn wrong_events(asked: &[Asked], told: &BTreeMap<String, usize>, lives: &Lives) -> Vec<String> {
    let mut wrong = Vec::new();
    let interrupted = |asked: &&Asked| {
        // Times are whole seconds.
        let moment = TimeDelta::milliseconds(1500);
        let mut kills = lives.all.iter().filter_map(|life| life.killed);
        kills.any(|killed| killed >= asked.since && killed - asked.since < moment)
    };
    let mut names: Vec<&String> = asked
        .iter()
        .map(|asked| &asked.name)
        .chain(told.keys())
        .collect();
    names.sort();
    names.dedup();
    for name in names {
        // Who is asked again before anything was well again was told already.
        let mut turns: Vec<&Asked> = asked.iter().filter(|asked| asked.name == *name).collect();
        turns.dedup_by_key(|asked| asked.since);
        let told = told.get(name).copied().unwrap_or_default();
        let most = turns.len();
        let least = most - turns.iter().filter(|asked| interrupted(asked)).count();
        if !(least..=most).contains(&told) {
            wrong.push(format!("{name}: {told} events for {most} lost consents"));
        }
    }
    wrong
}

/// From the spend whose answer was lost until the new consent has reached the pods: nobody can
/// spare the readers this.
type Excuse = (String, DateTime<Utc>, DateTime<Utc>);

fn excuses(cast: &Cast, spends: &[atlassian_sim::Spend], asked: &[Asked]) -> Vec<Excuse> {
    let excuse = |asked: &Asked| {
        let last = spends
            .iter()
            .filter(|spend| spend.family == Some(asked.family));
        // A process has to be there to take the new consent.
        let until = asked.at + cast.tempo.life;
        let from = last
            .map(|spend| spend.at)
            .nth_back(1)
            .unwrap_or(asked.since);
        (asked.name.clone(), from, until)
    };
    asked.iter().map(excuse).collect()
}

/// Whether a reader held a dead token although an operator had been there for long enough.
fn inexcusable(dead: &Dead, lives: &Lives, excuses: &[Excuse]) -> Option<String> {
    let up = lives.up_for(dead.at)?;
    let lost = excuses
        .iter()
        .any(|(name, from, until)| *name == dead.name && (*from..=*until).contains(&dead.at));
    let wait = lives.patience() + PUBLISHING;
    (up > wait && !lost).then(|| {
        format!(
            "{}: a reader held a dead token {} ms after the start",
            dead.name,
            up.num_milliseconds()
        )
    })
}
