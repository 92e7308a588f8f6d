//! `cargo xtask bench`: what many credentials cost.
//!
//! The operator's requests are counted by the API server itself: its audit log notes every request
//! of the operator's account, and nobody else's. The control plane cannot be asked for that, so a
//! launcher of ours stands in for kube-apiserver and adds the flags (`KUBEBUILDER_ASSETS` names
//! the directory it is in). Calls to Jira are counted by the simulator. CPU and memory are read
//! from `/proc`.

mod audit;
mod bulky;
mod load;
mod neighbour;
pub(crate) mod process;
mod renewals;
mod report;
mod run;
mod staging;
mod writes;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::failure::{Outcome, While as _};
use crate::ui::Ui;

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: Option<What>,
    /// Numbers of credentials, each on a control plane of its own.
    #[arg(long, value_delimiter = ',', default_value = "100,1000,5000")]
    sizes: Vec<usize>,
    /// How long to look on while nothing happens.
    #[arg(long, default_value_t = 60)]
    rest_seconds: u64,
    /// Number of OAuth 2.0 grants that fall due together; 0 leaves that part out.
    #[arg(long, default_value_t = 1000)]
    renewals: usize,
    /// Measure instead what a noisy tenant costs a quiet one: the time of new credentials to Ready, and
    /// how late renewals are.
    #[arg(long)]
    noisy_neighbour: bool,
    /// Measure instead what large annotations cost in memory.
    #[arg(long)]
    bulky: bool,
    /// Where the numbers go as JSON; without it they follow the table.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A flag for the operator, such as --operator-flag=--max-concurrent-reconciles=32; may be
    /// repeated.
    #[arg(long = "operator-flag", allow_hyphen_values = true)]
    operator_flags: Vec<String>,
    /// Another binary of the operator than the release build of this work tree.
    #[arg(long, value_name = "FILE")]
    operator: Option<PathBuf>,
    /// The work tree whose crds/ and deploy/ go with that binary, instead of this one's.
    #[arg(long, value_name = "DIRECTORY")]
    manifests: Option<PathBuf>,
    /// Set by the bench itself once everything is built.
    #[arg(long, hide = true)]
    staged: bool,
}

/// What to measure instead of an operator at work.
#[derive(Clone, Debug, clap::Subcommand)]
enum What {
    /// Measures what one write costs the API server, as a ratio to the same write of a Secret.
    Writes(writes::Options),
}

/// Measures, prints a table and JSON.
pub(crate) async fn run(options: &Options) -> Outcome<ExitCode> {
    if let Some(What::Writes(options)) = &options.what {
        let ui = Ui::new();
        tokio::select! {
            measured = writes::measure(&ui, options) => measured?,
            _ = tokio::signal::ctrl_c() => return crate::failure::fail("interrupted"),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (true, Some(binary)) = (options.staged, options.operator.clone()) else {
        return staging::run(options).await;
    };
    let ui = Ui::new();
    if options.noisy_neighbour {
        tokio::select! {
            measured = neighbour::measure(&ui, &binary, options) => measured?,
            _ = tokio::signal::ctrl_c() => return crate::failure::fail("interrupted"),
        }
        return Ok(ExitCode::SUCCESS);
    }
    if options.bulky {
        tokio::select! {
            measured = bulky::measure(&ui, &binary, options) => measured?,
            _ = tokio::signal::ctrl_c() => return crate::failure::fail("interrupted"),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut sizes = Vec::new();
    for size in &options.sizes {
        ui.heading(&format!("{size} credentials"));
        let measured = tokio::select! {
            measured = run::measure(&ui, *size, &binary, options) => measured?,
            _ = tokio::signal::ctrl_c() => return crate::failure::fail("interrupted"),
        };
        report::table(&ui, &measured);
        sizes.push(measured);
    }
    report::targets(&ui, &sizes);
    if options.renewals > 0 {
        ui.heading(&format!("{} grants fall due together", options.renewals));
        tokio::select! {
            measured = renewals::measure(&ui, options.renewals, &binary, options) => measured?,
            _ = tokio::signal::ctrl_c() => return crate::failure::fail("interrupted"),
        }
    }
    let json = serde_json::to_string_pretty(&report::Report::new(sizes))?;
    match &options.json {
        Some(path) => {
            std::fs::write(path, json + "\n").while_(path.display())?;
            ui.line(&format!("\nThe numbers are in {}.", path.display()));
        }
        None => ui.line(&format!("\n{json}")),
    }
    Ok(ExitCode::SUCCESS)
}
