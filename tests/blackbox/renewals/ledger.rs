//! What became of every refresh token, by the simulator's own account.

use std::collections::BTreeMap;
use std::fmt;

use atlassian_sim::{Consent, Spend, SpendOutcome};
use chrono::{DateTime, TimeDelta, Utc};
use jira_credential_operator::core::decide::renewal::takeover::{
    LAST_WITHOUT_ELECTION, REPLAY_WITHIN, TAKEOVER_AGE, TAKEOVER_WATCHED,
};
use serde::Serialize;

use super::cast::Tempo;

/// The life of one process of the operator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    /// When it had listed everything.
    pub(crate) ready: DateTime<Utc>,
    /// When it was killed; `None`: it was not.
    pub(crate) killed: Option<DateTime<Utc>>,
}

/// What is known about the processes, and what is asked of them.
#[derive(Clone, Debug)]
pub(crate) struct Lives {
    pub(crate) all: Vec<Life>,
    pub(crate) leeway: TimeDelta,
    /// Nobody dares to spend a token again later than this after the first time.
    pub(crate) replay: TimeDelta,
    /// An answer is stored within this time, or its process is to blame.
    pub(crate) store: TimeDelta,
    /// A process that has been ready for so long has taken up what another left behind.
    pub(crate) watched: TimeDelta,
    /// As has one that was ready for a moment when the renewal was so old.
    pub(crate) age: TimeDelta,
    /// Later than this nothing is left undone.
    pub(crate) last: TimeDelta,
}

/// What became of one refresh token that was exchanged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// Its answer was stored.
    Kept,
    /// Its answer was lost, and it was spent again inside the leeway.
    Replayed,
    /// The answer died with its process, and nobody could spend it again in time.
    Unavoidable,
    /// It was lost, and need not have been: why.
    Avoidable(String),
}

/// The counts of one run.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct Tally {
    pub(crate) exchanged: usize,
    pub(crate) kept: usize,
    pub(crate) replayed: usize,
    pub(crate) lost: usize,
    pub(crate) unavoidable: usize,
    /// Tokens that were presented more than once.
    pub(crate) twice: usize,
    /// Why each of the others was lost.
    pub(crate) blame: Vec<String>,
}

impl Tally {
    pub(crate) fn count(&mut self, fate: Fate) {
        self.exchanged += 1;
        match fate {
            Fate::Kept => self.kept += 1,
            Fate::Replayed => self.replayed += 1,
            Fate::Unavoidable => {
                self.lost += 1;
                self.unavoidable += 1;
            }
            Fate::Avoidable(blame) => {
                self.lost += 1;
                self.blame.push(blame);
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            exchanged,
            kept,
            replayed,
            lost,
            unavoidable,
            twice,
            ..
        } = self;
        write!(
            f,
            "{exchanged} exchanged: {kept} kept, {replayed} replayed inside the leeway, {lost} lost, \
             {unavoidable} of them unavoidable; {twice} presented more than once"
        )
    }
}

/// The spends of one token, oldest first.
type Spends<'a> = Vec<&'a Spend>;

/// Counts what became of the tokens of a consent. `stored`: what is kept of it in the end.
pub(crate) fn count(tally: &mut Tally, consent: &Consent, spends: &[Spend], lives: &Lives) {
    let mut tokens: BTreeMap<&str, Spends<'_>> = BTreeMap::new();
    let of_family = spends
        .iter()
        .filter(|spend| spend.family == Some(consent.family()));
    for spend in of_family {
        tokens.entry(&spend.token).or_default().push(spend);
    }
    for (token, spends) in tokens {
        let granted = spends.iter().filter(|spend| is_granted(spend)).count();
        if spends.len() > 1 {
            tally.twice += 1;
        }
        if granted == 0 {
            continue;
        }
        let late = spends
            .iter()
            .find(|spend| spend.outcome == SpendOutcome::LateReuse);
        tally.count(match late {
            Some(late) => blame(token, &spends, late, lives),
            None if granted > 1 => Fate::Replayed,
            None => Fate::Kept,
        });
    }
}

/// Counts a family that lives, but whose grant holds nothing that could be exchanged: what was
/// given last was dropped.
pub(crate) fn drop_newest(tally: &mut Tally, name: &str) {
    tally.kept = tally.kept.saturating_sub(1);
    tally.lost += 1;
    tally
        .blame
        .push(format!("{name}: the grant holds a dead token"));
}

fn is_granted(spend: &Spend) -> bool {
    matches!(
        spend.outcome,
        SpendOutcome::Exchanged { .. } | SpendOutcome::Replayed { .. }
    )
}

/// Whose fault it is that a token was presented too late.
fn blame(token: &str, spends: &Spends<'_>, late: &Spend, lives: &Lives) -> Fate {
    let granted = || spends.iter().copied().filter(|spend| is_granted(spend));
    for spend in granted() {
        let Some(life) = lives.at(spend.at) else {
            return Fate::Avoidable(format!("{token}: spent by nobody known"));
        };
        match life.killed {
            Some(killed) if killed - spend.at <= lives.store => {}
            killed => {
                let time = killed.map_or("on".to_owned(), |killed| {
                    format!("{} ms", (killed - spend.at).num_milliseconds())
                });
                return Fate::Avoidable(format!(
                    "{token}: its process lived {time} and did not store the answer"
                ));
            }
        }
    }
    let Some(first) = granted().next() else {
        return Fate::Avoidable(format!("{token}: late without an exchange"));
    };
    let end = first.at + lives.leeway;
    if late.at < end {
        return Fate::Avoidable(format!("{token}: refused inside the leeway"));
    }
    let last = granted().next_back().unwrap_or(first);
    if lives.had_time(last.at, first.at + lives.replay) {
        return Fate::Avoidable(format!(
            "{token}: a process had time to spend it again, and came {} ms too late",
            (late.at - end).num_milliseconds()
        ));
    }
    Fate::Unavoidable
}

impl Lives {
    /// Of no process yet.
    pub(crate) fn new(tempo: &Tempo) -> Self {
        Self {
            all: Vec::new(),
            leeway: tempo.leeway,
            replay: tempo.of(REPLAY_WITHIN).min(tempo.leeway),
            store: TimeDelta::seconds(2),
            watched: tempo.of(TAKEOVER_WATCHED),
            age: tempo.of(TAKEOVER_AGE),
            last: tempo.of(LAST_WITHOUT_ELECTION),
        }
    }

    /// One more is there now.
    pub(crate) fn begin(&mut self, now: DateTime<Utc>) {
        self.all.push(Life {
            ready: now,
            killed: None,
        });
    }

    /// The longest that a process has to wait before it takes up what another has left.
    pub(crate) fn patience(&self) -> TimeDelta {
        if self.leeway > self.age * 2 {
            self.age
        } else {
            self.last
        }
    }

    /// The process that lived then. A request may be carried out a moment after its sender died.
    pub(crate) fn at(&self, time: DateTime<Utc>) -> Option<Life> {
        let dying = TimeDelta::milliseconds(300);
        let lived = |life: &&Life| life.killed.is_none_or(|killed| time <= killed + dying);
        self.all.iter().find(lived).copied()
    }

    /// Whether a process was there for long enough between these times.
    fn had_time(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
        let moment = TimeDelta::seconds(2);
        self.all.iter().any(|life| {
            let end = life.killed.map_or(to, |killed| killed.min(to));
            end - life.ready.max(from) > self.watched + moment
                || end - life.ready.max(from + self.age) > moment
        })
    }

    /// For how long a process has been ready at this time; `None` when none is.
    pub(crate) fn up_for(&self, time: DateTime<Utc>) -> Option<TimeDelta> {
        let is_up =
            |life: &&Life| life.ready <= time && life.killed.is_none_or(|killed| time < killed);
        let since = self.all.iter().filter(is_up).map(|life| life.ready).min()?;
        Some(time - since)
    }
}
