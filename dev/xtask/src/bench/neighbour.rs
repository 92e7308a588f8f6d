//! What a noisy tenant costs a quiet one: how long the quiet one's new credentials take to be Ready,
//! and how late their renewals are, while another namespace keeps the operator busy.

use std::path::Path;
use std::time::{Duration, Instant};

use atlassian_sim::{Fault, Rule, Token};
use chrono::{DateTime, TimeDelta, Utc};

use super::Options;
use super::load::Load;
use super::run::Bench;
use crate::failure::{Outcome, fail};
use crate::ui::Ui;

/// Credentials of the noisy tenant at a site that does not answer.
const HANGING: usize = 600;
/// Credentials that the noisy tenant creates at once, at a site that answers.
const BURST: usize = 2_000;
/// Credentials of the quiet tenant that renew their tokens meanwhile.
const RENEWING: usize = 20;
/// The life of their access tokens: a quarter before its end they are renewed.
const LIFE: TimeDelta = TimeDelta::seconds(60);
/// How long the quiet tenant is looked at: long enough for every token to be renewed.
const WATCHED: Duration = Duration::from_secs(60);
/// The pause between two of the quiet tenant's new credentials.
const PAUSE: Duration = Duration::from_secs(1);
/// No credential is waited for any longer.
const PATIENCE: Duration = Duration::from_secs(240);

/// What the noisy tenant does.
#[derive(Clone, Copy)]
enum Noise {
    Nothing,
    HangingSite,
    Burst,
}

/// What the quiet tenant met.
struct Met {
    /// From the creation of a credential to Ready, in seconds.
    ready: Vec<f64>,
    /// How long after the time in its status a renewal reached the token endpoint, in seconds.
    renewals: Vec<f64>,
}

/// Measures, and prints a table.
pub(super) async fn measure(ui: &Ui, binary: &Path, options: &Options) -> Outcome {
    let mut lines = vec![format!(
        "{:<46} {:>22} {:>22}",
        "meanwhile, another namespace has", "new: median, max", "renewal late by: max"
    )];
    for (noise, name) in [
        (Noise::Nothing, "nothing".to_owned()),
        (
            Noise::HangingSite,
            format!("{HANGING} credentials at a hanging site"),
        ),
        (Noise::Burst, format!("{BURST} credentials, made at once")),
    ] {
        ui.heading(&name);
        let mut met = round(ui, binary, options, noise).await?;
        met.ready.sort_by(f64::total_cmp);
        let [median, max] = [met.ready.len() / 2, met.ready.len().saturating_sub(1)]
            .map(|at| met.ready.get(at).copied().unwrap_or_default());
        let late = met.renewals.iter().copied().fold(0.0, f64::max);
        lines.push(format!(
            "{name:<46} {:>22} {:>22}",
            format!("{median:.2} s, {max:.2} s"),
            format!("{late:.2} s of {}", met.renewals.len())
        ));
    }
    ui.line(&format!("\n{}", lines.join("\n")));
    Ok(())
}

async fn round(ui: &Ui, binary: &Path, options: &Options, noise: Noise) -> Outcome<Met> {
    let mut bench = Bench::start(ui, binary, options).await?;
    bench
        .jira
        .sim
        .configure_oauth(|settings| settings.access_life = LIFE);
    let client = bench.plane.client()?;
    let grants = Load::new(client.clone(), "quiet-grants", RENEWING).await?;
    let quiet = Load::new(client.clone(), "quiet", 1).await?;
    let count = match noise {
        Noise::Nothing => 0,
        Noise::HangingSite => HANGING,
        Noise::Burst => BURST,
    };
    let crowd = Load::new(client, "noisy", count).await?;
    let hanging = bench.jira.sim.data_center("slow");
    let rule = Rule::new(Fault::HangBefore).host(hanging.host());
    bench.jira.sim.fault(rule);
    let site = match noise {
        Noise::HangingSite => hanging.url(),
        Noise::Nothing | Noise::Burst => bench.jira.data_center.url(),
    };
    let tokens = match noise {
        Noise::HangingSite => hanging.bulk_pats("noisy", count),
        Noise::Nothing | Noise::Burst => bench.jira.data_center.bulk_pats("noisy", count),
    };
    crowd.create_token_sources(&tokens).await?;
    let begin = bench.begin("consents of the quiet tenant")?;
    grants.create_grants(&bench.jira).await?;
    bench.end("consents of the quiet tenant", begin).await?;
    let due = grants.renewal_times().await?;
    let before = bench.jira.sim.spends().len();
    ui.say("the noise begins");
    let (made, ready) = tokio::join!(crowd.create_tokens(&site), watch(&bench, &quiet));
    made?;
    let spends = bench.jira.sim.spends();
    let renewals: Vec<DateTime<Utc>> = spends.iter().skip(before).map(|spend| spend.at).collect();
    let met = Met {
        ready: ready?,
        renewals: delays(due, renewals)?,
    };
    bench.stop().await?;
    Ok(met)
}

/// Makes credentials of the quiet tenant, one after the other.
async fn watch(bench: &Bench<'_>, quiet: &Load) -> Outcome<Vec<f64>> {
    let begun = Instant::now();
    let tokens: Vec<Token> = bench.jira.data_center.bulk_pats("quiet", 1);
    quiet.create_token_sources(&tokens).await?;
    let site = bench.jira.data_center.url();
    let mut seconds = Vec::new();
    // The burst comes first: what is measured is what it does to others.
    tokio::time::sleep(PAUSE).await;
    while begun.elapsed() < WATCHED {
        let made = Instant::now();
        quiet.create_tokens(&site).await?;
        while quiet.ready().await? == 0 {
            if made.elapsed() > PATIENCE {
                return fail("a credential of the quiet tenant did not become Ready");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        seconds.push(made.elapsed().as_secs_f64());
        quiet.delete_credentials().await?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(seconds)
}

/// How late each renewal was. Times of different grants are close together, so that the one that is due
/// first may be taken for the one that came first.
fn delays(mut due: Vec<DateTime<Utc>>, mut renewals: Vec<DateTime<Utc>>) -> Outcome<Vec<f64>> {
    if renewals.len() < due.len() {
        let (came, all) = (renewals.len(), due.len());
        return fail(format!("{came} of {all} renewals came"));
    }
    due.sort_unstable();
    renewals.sort_unstable();
    let late = due
        .iter()
        .zip(&renewals)
        .map(|(due, came)| (*came - *due).as_seconds_f64().max(0.0));
    Ok(late.collect())
}
