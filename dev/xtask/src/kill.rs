//! `cargo xtask kill`: the tests that kill the operator while it renews, with numbers that take
//! their time, and what people run today beside it.

use std::process::{ExitCode, Stdio};

use serde::Deserialize;

use crate::failure::{Outcome, While as _, fail};
use crate::ui::Ui;
use crate::{cargo, stage};

/// How much of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Kills at random moments, in each setting.
    #[arg(long, default_value_t = 200)]
    random: usize,
    /// Kills between the provider's commit and the store, in each setting.
    #[arg(long, default_value_t = 100)]
    commit: usize,
    /// Refreshes for which two replicas compete, and during which leaders are killed.
    #[arg(long, default_value_t = 500)]
    refreshes: usize,
    /// Credentials that are renewed at a time.
    #[arg(long, default_value_t = 20)]
    grants: usize,
    /// Leave the shell loop out.
    #[arg(long)]
    operator_only: bool,
}

/// What a test reports.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    setting: String,
    who: String,
    random: usize,
    committed: usize,
    tally: Tally,
    asked: usize,
    turns: usize,
    events: usize,
    uses: u64,
    refused: usize,
}

#[derive(Debug, Deserialize)]
struct Tally {
    exchanged: usize,
    kept: usize,
    replayed: usize,
    lost: usize,
    unavoidable: usize,
    twice: usize,
}

/// Runs the tests, prints the table, and says whether all of them passed.
pub(crate) async fn run(options: &Options) -> Outcome<ExitCode> {
    let ui = Ui::new();
    stage::binaries().await?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("report");
    let mut passed = ui
        .noisy_step("The operator", test(options, &path, &["--skip", "shell"]))
        .await
        .is_ok();
    match missing() {
        _ if options.operator_only => {}
        Some(tool) => ui.error(&format!(
            "The shell loop was NOT measured: it needs curl and jq, and there is no {tool} here."
        )),
        None => {
            let only = ["--ignored", "shell"];
            let loops = ui.noisy_step("The shell loop", test(options, &path, &only));
            passed &= loops.await.is_ok();
        }
    }
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let reports = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<Report>, _>>()
        .while_("reading the reports of the tests")?;
    ui.heading("What became of the refresh tokens");
    ui.line(&table(&reports));
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn test(options: &Options, report: &std::path::Path, more: &[&str]) -> Outcome<((), String)> {
    let status = cargo::cargo()
        .args(["test", "-p", "jira-credential-operator"])
        .args(["--test", "blackbox", "renewals::", "--", "--nocapture"])
        .args(["--test-threads", "1"])
        .args(more)
        .env("JCO_KILL_RANDOM", options.random.to_string())
        .env("JCO_KILL_COMMIT", options.commit.to_string())
        .env("JCO_KILL_REFRESHES", options.refreshes.to_string())
        .env("JCO_LEADER_REFRESHES", options.refreshes.to_string())
        .env("JCO_KILL_GRANTS", options.grants.to_string())
        .env("JCO_KILL_REPORT", report)
        .stdin(Stdio::null())
        .status()
        .await
        .while_("running cargo")?;
    if status.success() {
        Ok(((), "all tests passed".to_owned()))
    } else {
        fail("a test failed")
    }
}

/// A program that the shell loop needs and that is not there.
fn missing() -> Option<&'static str> {
    let answers = |tool: &&str| {
        let mut command = std::process::Command::new(tool);
        command.arg("--version").stdout(Stdio::null());
        command.stderr(Stdio::null()).status().is_ok()
    };
    ["curl", "jq"].into_iter().find(|tool| !answers(tool))
}

fn table(reports: &[Report]) -> String {
    let mut lines = vec![
        "| setting | who | kills at random, at commit | exchanged | kept | replayed | lost | of them unavoidable | presented twice | consents asked for, turns, events | dead tokens read |".to_owned(),
        "|---|---|---|---|---|---|---|---|---|---|---|".to_owned(),
    ];
    let mut sorted: Vec<&Report> = reports.iter().collect();
    sorted.sort_by(|a, b| (&a.setting, &a.who).cmp(&(&b.setting, &b.who)));
    for report in sorted {
        let Tally {
            exchanged,
            kept,
            replayed,
            lost,
            unavoidable,
            twice,
        } = &report.tally;
        let Report {
            setting,
            who,
            random,
            committed,
            asked,
            turns,
            events,
            ..
        } = report;
        // Nobody reads beside the shell loop, which has nothing to say about what it publishes.
        let readers = match report.uses {
            0 => "–".to_owned(),
            uses => format!("{} of {uses}", report.refused),
        };
        lines.push(format!(
            "| {setting} | {who} | {random}, {committed} | {exchanged} | {kept} | {replayed} | {lost} | {unavoidable} | {twice} | {asked}, {turns}, {events} | {readers} |"
        ));
    }
    lines.join("\n")
}
