//! Many grants that fall due together.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use atlassian_sim::{Spend, SpendOutcome};
use chrono::{DateTime, TimeDelta, Utc};

use super::Options;
use super::load::{Load, NAMESPACE};
use super::run::{Bench, Phase};
use crate::failure::{Outcome, fail};
use crate::ui::Ui;

/// The life of the access tokens of so many grants: a quarter before its end they are renewed, and the last grant must
/// be made before the first is renewed.
fn life(size: usize) -> TimeDelta {
    let seconds = i64::try_from(size / 8).unwrap_or(i64::MAX);
    TimeDelta::seconds(seconds.clamp(240, 3600))
}

/// How often the published Secrets are read, as pods would.
const READ_EVERY: Duration = Duration::from_secs(2);

/// What was seen while the grants were renewed.
struct Renewed {
    phase: Phase,
    /// From the first refresh to the last, in seconds.
    spread: f64,
    /// From the first refresh to the last request of the operator.
    done: f64,
    /// Consents that are dead at the end.
    lost: usize,
    /// Tokens that a reader held when they were dead.
    dead: usize,
    looks: usize,
}

/// Measures, and prints what came of it.
pub(super) async fn measure(ui: &Ui, size: usize, binary: &Path, options: &Options) -> Outcome {
    let mut bench = Bench::start(ui, binary, options).await?;
    bench
        .jira
        .sim
        .configure_oauth(|settings| settings.access_life = life(size));
    let load = Load::new(bench.plane.client()?, NAMESPACE, size).await?;
    let begin = bench.begin("consents")?;
    let consents = load.create_grants(&bench.jira).await?;
    let created = bench.end("consents", begin).await?;
    let (ready, written) = load.results().await?;
    if ready != size || written != size {
        return fail(format!("of {size} credentials {ready} are Ready"));
    }
    let first = size;
    let begin = bench.begin("renewals")?;
    let (dead, looks) = watch(&bench, &load, first + size, life(size)).await?;
    let phase = bench.end("renewals", begin).await?;
    let spends = bench.jira.sim.spends();
    let renewals = spends.get(first..first + size).unwrap_or_default();
    check(renewals, size)?;
    let lost = consents
        .iter()
        .filter(|consent| !consent.is_alive())
        .count();
    let renewed = Renewed {
        spread: span(renewals),
        done: phase.seconds - offset(renewals, phase.begun),
        phase,
        lost,
        dead,
        looks,
    };
    report(ui, size, &created, &renewed);
    bench.stop().await
}

/// Reads what pods have until every grant has been renewed once. Returns how many dead tokens were
/// seen in how many reads.
async fn watch(
    bench: &Bench<'_>,
    load: &Load,
    spends: usize,
    life: TimeDelta,
) -> Outcome<(usize, usize)> {
    let (mut dead, mut looks) = (0, 0);
    let begun = Instant::now();
    let longest = life.to_std().unwrap_or_default() + Duration::from_secs(120);
    let mut last = false;
    loop {
        let tokens = load.published_tokens().await?;
        looks += 1;
        let lives = |token: &&String| !bench.jira.sim.access_token_lives(token);
        dead += tokens.iter().filter(lives).count();
        if last {
            return Ok((dead, looks));
        }
        // Once more after the last one.
        last = bench.jira.sim.spends().len() >= spends;
        if begun.elapsed() > longest {
            return fail("not every grant was renewed in time");
        }
        tokio::time::sleep(READ_EVERY).await;
    }
}

/// Every refresh token was spent once, and nobody lost one.
fn check(renewals: &[Spend], size: usize) -> Outcome {
    let mut of_token: BTreeMap<&str, usize> = BTreeMap::new();
    for spend in renewals {
        *of_token.entry(&spend.token).or_default() += 1;
        if !matches!(spend.outcome, SpendOutcome::Exchanged { .. }) {
            return fail(format!("a refresh token was not exchanged: {spend:?}"));
        }
    }
    if of_token.len() == size && of_token.values().all(|times| *times == 1) {
        Ok(())
    } else {
        fail(format!("{} of {size} tokens were spent", of_token.len()))
    }
}

/// So many in so many seconds.
fn rate(count: u64, seconds: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let count = count as f64;
    count / seconds.max(1.0)
}

fn times(renewals: &[Spend]) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let times = || renewals.iter().map(|spend| spend.at);
    Some((times().min()?, times().max()?))
}

fn span(renewals: &[Spend]) -> f64 {
    times(renewals).map_or(0.0, |(first, last)| (last - first).as_seconds_f64())
}

fn offset(renewals: &[Spend], begun: DateTime<Utc>) -> f64 {
    times(renewals).map_or(0.0, |(first, _)| (first - begun).as_seconds_f64())
}

fn report(ui: &Ui, size: usize, created: &Phase, renewed: &Renewed) {
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let each = |count: u64| count as f64 / size as f64;
    let of = |phase: &Phase, verb: &str| {
        let requests = phase.requests.iter();
        let matching = requests.filter(|(name, _)| verb.is_empty() || name.starts_with(verb));
        matching.map(|(_, count)| *count).sum::<u64>()
    };
    let phase = &renewed.phase;
    let reads: u64 = ["get", "list", "watch"]
        .map(|verb| of(phase, verb))
        .iter()
        .sum();
    let (all, events) = (of(phase, ""), of(phase, "create events"));
    let lines = [
        format!("{:<44} {:>9.1} s", "consents to Ready", created.seconds),
        format!("{:<44} {:>9.2}", "  requests each", each(of(created, ""))),
        format!(
            "{:<44} {:>9.2}",
            "requests per renewal (wanted: 6)",
            each(all)
        ),
        format!(
            "{:<44} {:>9.2}",
            "  of which writes (wanted: 4)",
            each(all - reads)
        ),
        format!("{:<44} {:>9}", "  of which events (wanted: 0)", events),
        format!(
            "{:<44} {:>9.2}",
            "calls to Atlassian per renewal (2)",
            each(phase.jira_calls)
        ),
        format!(
            "{:<44} {:>9.1} s",
            "from the first refresh to the last", renewed.spread
        ),
        format!(
            "{:<44} {:>9.1}",
            "requests a second meanwhile",
            rate(all, renewed.done)
        ),
        format!(
            "{:<44} {:>9.1} s",
            "from the first refresh until all is written", renewed.done
        ),
        format!("{:<44} {:>9}", "consents lost", renewed.lost),
        format!(
            "{:<44} {:>9}",
            format!("dead tokens seen by readers in {} reads", renewed.looks),
            renewed.dead
        ),
        format!(
            "{:<44} {:>9} kB",
            "memory of the operator", phase.memory.resident
        ),
    ];
    ui.line(&format!("\n{}", lines.join("\n")));
    for (name, number) in &phase.requests {
        ui.line(&format!("  {number} {name}"));
    }
}
