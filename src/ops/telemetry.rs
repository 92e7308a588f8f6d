//! Logs. The level is ours alone: libraries below us print headers and frames at their finest
//! levels, and a credential travels in them.

use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::jira::AUDIT;

/// How log lines look.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged at a level.
///
/// Of the Kubernetes client errors only: it warns of an answer that it cannot read by printing it,
/// and the response may hold a Secret. The operator logs failures itself.
pub fn filter(level: Level) -> Targets {
    Targets::new()
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_target(AUDIT, level)
        .with_target("kube_client", LevelFilter::ERROR)
        .with_default(LevelFilter::WARN)
}

/// Sends the logs of this process to standard error.
pub fn start(format: LogFormat, level: Level) {
    let layer = match format {
        LogFormat::Text => fmt::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .boxed(),
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(std::io::stderr)
            .boxed(),
    };
    // Only the first subscriber of a process counts; a second start in a test is no error.
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(filter(level)))
        .try_init();
}
