//! `cargo xtask soak`: many credentials of all methods, while everything around them fails in turn.

mod load;
mod replicas;
mod report;
mod troubles;
mod tunnel;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use control_plane::ControlPlane;

use crate::failure::Outcome;
use crate::stage::{self, Jira, OPERATOR};
use crate::ui::Ui;
use crate::{cargo, root};

use load::Load;
use replicas::Replicas;
use report::Report;
use troubles::{Dice, Trouble};
use tunnel::Tunnel;

/// How many times faster than Atlassian's the protocol goes: the leeway for a refresh token, the overlap of
/// access tokens, and the operator's own waits.
const PACE: i32 = 4;

/// The life of an access token, in place of an hour.
const LIFE: TimeDelta = TimeDelta::minutes(5);

/// What is built together, so that cargo compiles what they share once.
const PACKAGES: [&str; 4] = ["-p", OPERATOR, "-p", "xtask"];

/// How much of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Credentials, of all methods.
    #[arg(long, default_value_t = 1000)]
    credentials: usize,
    /// How long there is trouble.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// For how long the API server is away after that.
    #[arg(long, default_value_t = 5)]
    outage_minutes: u64,
    /// How long only Jira fails at the end, while both processes live on and their memory is compared.
    #[arg(long, default_value_t = 20)]
    calm_minutes: u64,
    /// The operator to try, built with the feature `test-pace`, in place of one that is built now.
    #[arg(long)]
    operator: Option<PathBuf>,
    /// Decides the order of the troubles.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Everything that runs.
struct Soak<'a> {
    ui: &'a Ui,
    plane: ControlPlane,
    jira: Jira,
    tunnel: Tunnel,
    load: Load,
    replicas: Replicas<'a>,
    report: Report,
}

/// Runs it, and says whether nothing was lost.
pub(crate) async fn run(options: &Options) -> Outcome<ExitCode> {
    let ui = Ui::new();
    stage::binaries().await?;
    let binary = match &options.operator {
        Some(operator) => std::path::absolute(operator)?,
        None => cargo::build(OPERATOR, &PACKAGES, ui.is_terminal()).await?,
    };
    let plane = ControlPlane::start().await?;
    let jira = Jira::start().await?;
    jira.sim.configure_oauth(|oauth| {
        oauth.access_life = LIFE;
        oauth.leeway = TimeDelta::minutes(10) / PACE;
        oauth.overlap = TimeDelta::minutes(10) / PACE;
    });
    let kubeconfig = jira.file("operator.kubeconfig");
    stage::install(&plane, &kubeconfig, &root()).await?;
    let tunnel = Tunnel::open(plane.port()).await?;
    tunnel.lead_through(&kubeconfig)?;
    let mut flags = jira.flags();
    flags.extend(["--test-pace".to_owned(), PACE.to_string()]);
    flags.push("--leader-elect".to_owned());
    let logs = jira.directory.path().to_owned();
    let replicas = Replicas::start(&binary, &kubeconfig, &logs, &flags).await?;
    let load = Load::create(&ui, plane.client()?, &jira, options.credentials).await?;
    let mut soak = Soak {
        ui: &ui,
        plane,
        jira,
        tunnel,
        load,
        replicas,
        report: Report::default(),
    };
    let went = soak.go(options).await;
    if went.is_err() {
        ui.error(&soak.replicas.log_tails());
    }
    soak.replicas.stop().await?;
    soak.plane.stop().await?;
    went?;
    let is_sound = soak.report.print(&ui);
    Ok(if is_sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Soak<'_> {
    async fn go(&mut self, options: &Options) -> Outcome {
        let (took, _) = self.load.until_all_ready(Duration::from_secs(600)).await?;
        self.ui.line(&format!(
            "{} credentials are Ready after {} s",
            options.credentials,
            took.as_secs()
        ));
        let begun = Instant::now();
        let mut dice = Dice::new(options.seed);
        while begun.elapsed() < Duration::from_secs(60 * options.minutes) {
            let trouble = Trouble::draw(&mut dice);
            let minute = begun.elapsed().as_secs() / 60;
            self.make(trouble).await?;
            self.report.count(trouble);
            tokio::time::sleep(Duration::from_secs(15 + dice.below(30))).await;
            let memory = self.replicas.memory().await?;
            self.report.remember(minute, memory);
            let ready = self.load.ready().await?;
            self.ui.line(&format!(
                "{minute:>3} min  {trouble}: {ready} Ready, {memory}"
            ));
        }
        self.tunnel.allow();
        self.jira.sim.clear_faults();
        let (took, unready) = self.load.until_all_ready(Duration::from_secs(900)).await?;
        self.report.settled = Some((took, unready));
        if options.outage_minutes > 0 {
            self.cold_outage(Duration::from_secs(60 * options.outage_minutes))
                .await?;
        }
        self.calm(Duration::from_secs(60 * options.calm_minutes), &mut dice)
            .await?;
        self.report.weigh(&self.jira, &self.load).await
    }

    /// Only Jira fails, so that one process leads all the time: its memory shows what does not go away.
    async fn calm(&mut self, length: Duration, dice: &mut Dice) -> Outcome {
        let begun = Instant::now();
        while begun.elapsed() < length {
            self.make(Trouble::draw_of_jira(dice)).await?;
            tokio::time::sleep(Duration::from_secs(15)).await;
            let (process, memory) = self.replicas.leader_memory().await?;
            self.report.calm.push((process, memory));
            self.ui.line(&format!(
                "{:>3} min  without a restart: leader {memory:.1} MB (process {process})",
                begun.elapsed().as_secs() / 60
            ));
        }
        let (_, unready) = self.load.until_all_ready(Duration::from_secs(900)).await?;
        if let Some((_, before)) = &mut self.report.settled {
            before.extend(unready);
        }
        Ok(())
    }

    /// The API server goes away and comes back; what is asked of it then, and what is said meanwhile.
    async fn cold_outage(&mut self, length: Duration) -> Outcome {
        let client = self.plane.client()?;
        self.plane.stop_api_server().await?;
        tokio::time::sleep(length).await;
        // From before its first request on: a replica that has lived on lists everything at once.
        let rate = tokio::spawn(report::highest_rate(client, Duration::from_secs(90)));
        self.plane.start_api_server().await?;
        // A replica that does not lead any more ends, as it does in a pod.
        self.replicas.revive().await?;
        let mut unready = BTreeSet::new();
        while !rate.is_finished() {
            unready.extend(self.load.unready().await?);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        self.report.outage = Some((rate.await?, unready));
        Ok(())
    }
}
