//! What came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

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
        let leaders = self.memory.values().map(|memory| memory.leader);
        let most = leaders.fold(0.0, f64::max);
        if let (Some((_, first)), Some((_, last))) =
            (self.memory.first_key_value(), self.memory.last_key_value())
        {
            ui.line(&format!(
                "memory at first: {first}; at last: {last}; at most: leader {most:.1} MB"
            ));
            is_sound &= last.leader < first.leader * MOST_GROWTH;
        }
        name(ui, "spent too late", &self.harmful);
        name(ui, "lost", &self.lost);
        is_sound
    }
}

/// By how much the memory of a leader may have grown from the first minute to the last: what is more is no cache
/// that fills.
const MOST_GROWTH: f64 = 1.3;

fn name<'a>(ui: &Ui, what: &str, names: impl IntoIterator<Item = &'a String>) {
    for name in names {
        ui.error(&format!("{what}: {name}"));
    }
}

fn said(spend: &Spend) -> String {
    format!("family {:?}, {:?}", spend.family, spend.outcome)
}

/// How many requests the API server has had since it started.
pub(super) async fn requests(client: &Client) -> Outcome<f64> {
    let request = Request::get("/metrics").body(Vec::new())?;
    let text = client.request_text(request).await.while_("/metrics")?;
    let counts = text
        .lines()
        .filter(|line| line.starts_with("apiserver_request_total{"));
    let counts = counts.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    Ok(counts.sum())
}
