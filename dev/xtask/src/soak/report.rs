//! What came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use atlassian_sim::{Spend, SpendOutcome};
use http::Request;
use kube::Client;

use super::load::Load;
use super::replicas::Memory;
use super::troubles::Trouble;
use crate::failure::{Outcome, While as _};
use crate::stage::Jira;
use crate::ui::Ui;

/// The figures.
#[derive(Default)]
pub(super) struct Report {
    troubles: BTreeMap<Trouble, usize>,
    memory: BTreeMap<u64, Memory>,
    /// How long it took until all were Ready after the last trouble, and what the others say.
    pub(super) settled: Option<(Duration, Vec<String>)>,
    /// The most requests in a second after a long outage, and what those said that were not Ready then.
    pub(super) outage: Option<(f64, BTreeSet<String>)>,
    /// Without a restart: which process led, and what it had in memory, in MB, in the order of time.
    pub(super) calm: Vec<(u32, f64)>,
    exchanged: usize,
    replayed: usize,
    harmful: Vec<String>,
    lost: Vec<String>,
    consents: usize,
}

impl Report {
    pub(super) fn count(&mut self, trouble: Trouble) {
        *self.troubles.entry(trouble).or_default() += 1;
    }

    pub(super) fn remember(&mut self, minute: u64, memory: Memory) {
        self.memory.insert(minute, memory);
    }

    /// Asks the simulator what became of the refresh tokens.
    pub(super) async fn weigh(&mut self, jira: &Jira, load: &Load) -> Outcome {
        self.consents = load.consents.len();
        for spend in jira.sim.spends() {
            match spend.outcome {
                SpendOutcome::Exchanged { .. } => self.exchanged += 1,
                SpendOutcome::Replayed { .. } => self.replayed += 1,
                SpendOutcome::LateReuse | SpendOutcome::Dead => self.harmful.push(said(&spend)),
                _ => {}
            }
        }
        let dead = load
            .consents
            .iter()
            .filter(|(_, consent)| !consent.is_alive());
        self.lost = dead.map(|(name, _)| name.clone()).collect();
        // A condition may be as old as an interval: what is published must work now.
        let unready = load.validate_again(Duration::from_secs(300)).await?;
        self.lost.extend(unready);
        Ok(())
    }

    /// Prints it; returns whether nothing was lost.
    pub(super) fn print(&self, ui: &Ui) -> bool {
        ui.heading("Troubles");
        for (trouble, times) in &self.troubles {
            ui.line(&format!("{times:>4}  {trouble}"));
        }
        ui.heading("What came of it");
        ui.line(&format!(
            "{} consents: {} exchanges, {} repeated in time, {} too late",
            self.consents,
            self.exchanged,
            self.replayed,
            self.harmful.len()
        ));
        let mut is_sound = self.lost.is_empty() && self.harmful.is_empty();
        if let Some((took, unready)) = &self.settled {
            ui.line(&format!(
                "all Ready {} s after the last trouble",
                took.as_secs()
            ));
            is_sound &= unready.is_empty();
            name(ui, "not Ready", unready);
        }
        if let Some((most, unready)) = &self.outage {
            ui.line(&format!(
                "after the outage: at most {most:.0} requests a second, {} not Ready",
                unready.len()
            ));
            is_sound &= unready.is_empty();
            name(ui, "not Ready after the outage", unready);
        }
        is_sound &= self.print_memory(ui);
        name(ui, "spent too late", &self.harmful);
        name(ui, "lost", &self.lost);
        is_sound
    }
}

impl Report {
    /// Prints what the processes had in memory; returns whether the one that led without a restart stayed flat.
    fn print_memory(&self, ui: &Ui) -> bool {
        let leaders = self.memory.values().map(|memory| memory.leader);
        let most = leaders.fold(0.0, f64::max);
        if let (Some((_, first)), Some((_, last))) =
            (self.memory.first_key_value(), self.memory.last_key_value())
        {
            ui.line(&format!(
                "memory at first: {first}; at last: {last}; at most: leader {most:.1} MB"
            ));
        }
        let Some((process, _)) = self.calm.first() else {
            return true;
        };
        let Some((first, last)) = thirds(&self.calm) else {
            ui.line("too few samples without a restart");
            return false;
        };
        ui.line(&format!(
            "memory without a restart, medians of {} samples: {first:.1} MB in the first third, {last:.1} MB in the last",
            self.calm.len()
        ));
        let is_one = self.calm.iter().all(|(other, _)| other == process);
        if !is_one {
            ui.error("another process led meanwhile");
        }
        is_one && last < first * MOST_GROWTH
    }
}

/// By how much the memory of a leader may have grown from the first third of its samples to the last: what is
/// more is no noise of the allocator.
const MOST_GROWTH: f64 = 1.1;

/// The medians of the first and of the last third.
fn thirds(samples: &[(u32, f64)]) -> Option<(f64, f64)> {
    let third = samples.len() / 3;
    let first = samples.get(..third)?;
    let last = samples.get(samples.len() - third..)?;
    Some((median(first)?, median(last)?))
}

fn median(samples: &[(u32, f64)]) -> Option<f64> {
    let mut values: Vec<f64> = samples.iter().map(|(_, value)| *value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn name<'a>(ui: &Ui, what: &str, names: impl IntoIterator<Item = &'a String>) {
    for name in names {
        ui.error(&format!("{what}: {name}"));
    }
}

fn said(spend: &Spend) -> String {
    format!("family {:?}, {:?}", spend.family, spend.outcome)
}

/// The most requests in a second that an API server gets within this time, from its start on.
pub(super) async fn highest_rate(client: Client, length: Duration) -> f64 {
    let begun = Instant::now();
    let (mut before, mut since) = (0.0, begun);
    let mut most = 0.0_f64;
    while begun.elapsed() < length {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = Instant::now();
        // One that does not answer yet has had none.
        let Ok(count) = requests(&client).await else {
            since = now;
            continue;
        };
        most = most.max((count - before) / now.duration_since(since).as_secs_f64());
        (before, since) = (count, now);
    }
    most
}

/// How many requests the API server has had since it started.
async fn requests(client: &Client) -> Outcome<f64> {
    let request = Request::get("/metrics").body(Vec::new())?;
    let text = client.request_text(request).await.while_("/metrics")?;
    let counts = text
        .lines()
        .filter(|line| line.starts_with("apiserver_request_total{"));
    let counts = counts.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    Ok(counts.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_seen_by_the_medians_of_the_thirds() {
        let samples = |values: &[f64]| values.iter().map(|value| (1, *value)).collect::<Vec<_>>();
        let flat = samples(&[40.0, 41.0, 90.0, 40.0, 41.0, 41.0, 40.0, 41.0, 40.0]);
        assert_eq!(thirds(&flat), Some((41.0, 40.0)));
        let grows = samples(&[40.0, 45.0, 50.0, 55.0, 60.0, 65.0]);
        let (first, last) = thirds(&grows).unwrap();
        assert!(last > first * MOST_GROWTH);
        assert_eq!(thirds(&samples(&[40.0, 41.0])), None);
    }
}
