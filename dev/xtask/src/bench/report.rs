//! The numbers, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::run::{Measured, Phase};
use crate::ui::Ui;

/// What the operator is to reach.
const RATE: f64 = 150.0;
const REQUESTS: f64 = 4.0;
/// The validation, and the question what the account may do.
const JIRA_CALLS: f64 = 2.0;
const IDLE_MB: f64 = 20.0;
const GROWTH_KB: f64 = 10.0;

/// Everything, as JSON.
#[derive(Serialize)]
pub(super) struct Report {
    version: &'static str,
    kubernetes: &'static str,
    cores: usize,
    sizes: Vec<Measured>,
}

impl Report {
    pub(super) fn new(sizes: Vec<Measured>) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            kubernetes: control_plane::binaries::KUBERNETES_VERSION,
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            sizes,
        }
    }
}

/// What one size cost.
pub(super) fn table(ui: &Ui, measured: &Measured) {
    let size = measured.credentials;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "\n{:<15} {:>8} {:>9} {:>9} | {:>8} {:>8} {:>6} {:>6} {:>6} {:>6} | {:>8} {:>8}",
        "phase",
        "seconds",
        "requests",
        "Jira",
        "operator",
        "apiserv.",
        "etcd",
        "c.-m.",
        "bench",
        "others",
        "RSS kB",
        "peak kB"
    );
    let _ = writeln!(
        text,
        "{:<15} {:>8} {:>9} {:>9} | {:>45} | {:>8} {:>8}",
        "", "", "/ cred.", "calls", "CPU seconds", measured.idle.resident, measured.idle.peak
    );
    for phase in &measured.phases {
        let _ = writeln!(
            text,
            "{:<15} {:>8.2} {:>9.3} {:>9} | {:>8.2} {:>8.2} {:>6.2} {:>6.2} {:>6.2} {:>6.2} | {:>8} {:>8}",
            phase.name,
            phase.seconds,
            each(phase.total(), size),
            phase.jira_calls,
            phase.cpu.operator,
            phase.cpu.api_server,
            phase.cpu.etcd,
            phase.cpu.controller_manager,
            phase.cpu.bench_and_jira,
            phase.cpu.others,
            phase.memory.resident,
            phase.memory.peak,
        );
    }
    let _ = writeln!(
        text,
        "CPU of the control plane for each credential: {}",
        control_plane(measured)
    );
    let _ = writeln!(text, "Per second: {}", rates(measured));
    for phase in &measured.phases {
        let requests: Vec<String> = phase
            .requests
            .iter()
            .map(|(name, number)| format!("{number} {name}"))
            .collect();
        if !requests.is_empty() {
            let _ = writeln!(text, "{}: {}", phase.name, requests.join(", "));
        }
        for (name, number) in &phase.failures {
            let _ = writeln!(text, "  {number} of them answered {name}");
        }
    }
    ui.line(text.trim_end());
}

/// How many requests the API server had from the operator, and calls Jira, in a second of each phase.
fn rates(measured: &Measured) -> String {
    let phases = measured.phases.iter().map(|phase| {
        let rate = |count: u64| number(count) / phase.seconds.max(0.001);
        let (requests, calls) = (rate(phase.total()), rate(phase.jira_calls));
        format!("{} {requests:.1} requests and {calls:.1} calls", phase.name)
    });
    let phases: Vec<String> = phases.collect();
    phases.join(", ")
}

/// What each phase costs the API server and etcd. The bench's own requests are part of it: those of
/// users, and the lists by which it looks.
fn control_plane(measured: &Measured) -> String {
    let milliseconds =
        |seconds: f64| seconds * 1000.0 / number(measured.credentials as u64).max(1.0);
    let phases = measured.phases.iter().map(|phase| {
        format!(
            "{} {:.2} + {:.2} ms",
            phase.name,
            milliseconds(phase.cpu.api_server),
            milliseconds(phase.cpu.etcd)
        )
    });
    let phases: Vec<String> = phases.collect();
    format!("{} (API server + etcd)", phases.join(", "))
}

/// What was aimed at, and what was reached.
pub(super) fn targets(ui: &Ui, sizes: &[Measured]) {
    ui.heading("Targets");
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:>11} {:>14} {:>14} {:>14} {:>14} {:>14} {:>16} {:>16}",
        "credentials",
        "per second",
        "undisturbed*",
        "requests each",
        "Jira each",
        "idle MB",
        "growth kB each",
        "after restart"
    );
    let _ = writeln!(
        text,
        "{:>11} {:>14} {:>14} {:>14} {:>14} {:>14} {:>16} {:>16}",
        "target",
        format!(">= {RATE}"),
        "",
        format!("{REQUESTS}"),
        format!("{JIRA_CALLS}"),
        format!("< {IDLE_MB}"),
        format!("< {GROWTH_KB}"),
        format!("< {GROWTH_KB}"),
    );
    for measured in sizes {
        let _ = writeln!(text, "{}", measured.against_targets());
    }
    for pair in sizes.windows(2) {
        if let [few, many] = pair {
            let _ = writeln!(text, "{}", many.growth_beyond(few));
        }
    }
    let _ = writeln!(
        text,
        "* what {} cores could do if nothing else ran on them: credentials by CPU seconds used",
        cores()
    );
    ui.line(text.trim_end());
}

fn cores() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |cores| number(cores.get() as u64))
}

impl Phase {
    fn total(&self) -> u64 {
        self.requests.values().sum()
    }
}

impl Measured {
    fn phase(&self, name: &str) -> Option<&Phase> {
        self.phases.iter().find(|phase| phase.name == name)
    }

    fn growth(&self, phase: &str) -> f64 {
        let resident = self.phase(phase).map_or(0, |phase| phase.memory.resident);
        each(
            resident.saturating_sub(self.idle.resident),
            self.credentials,
        )
    }

    /// Without what the first credential costs once and for all: connections, threads, tables.
    fn growth_beyond(&self, few: &Self) -> String {
        let (from, to) = (few.credentials, self.credentials);
        let beyond = |phase: &str| {
            let resident = |measured: &Self| {
                measured
                    .phase(phase)
                    .map_or(0.0, |phase| number(phase.memory.resident))
            };
            (resident(self) - resident(few)) / number(to.abs_diff(from) as u64).max(1.0)
        };
        format!(
            "growth from {from} to {to}: {:.2} kB each, {:.2} kB each after a restart",
            beyond("rest"),
            beyond("restart"),
        )
    }

    fn against_targets(&self) -> String {
        let size = self.credentials;
        let (seconds, requests, calls) = self.phase("create").map_or((0.0, 0, 0), |phase| {
            (phase.seconds, phase.total(), phase.jira_calls)
        });
        let rate = number(size as u64) / seconds.max(f64::EPSILON);
        let used = self.phase("create").map_or(0.0, |phase| phase.cpu.ours());
        let undisturbed = number(size as u64) * cores() / used.max(f64::EPSILON);
        let idle = number(self.idle.resident) / 1000.0;
        let mark =
            |value: f64, good: bool| format!("{value:.2} {}", if good { "ok" } else { "MISSED" });
        let requests = each(requests, size);
        let calls = each(calls, size);
        let (rest, restart) = (self.growth("rest"), self.growth("restart"));
        format!(
            "{size:>11} {:>14} {:>14} {:>14} {:>14} {:>14} {:>16} {:>16}",
            mark(rate, rate >= RATE),
            mark(undisturbed, undisturbed >= RATE),
            mark(requests, requests <= REQUESTS + 0.05),
            mark(calls, calls <= JIRA_CALLS),
            mark(idle, idle < IDLE_MB),
            mark(rest, rest < GROWTH_KB),
            mark(restart, restart < GROWTH_KB),
        )
    }
}

fn each(total: u64, size: usize) -> f64 {
    number(total) / number(size as u64).max(1.0)
}

/// Counts here are far below what a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn number(count: u64) -> f64 {
    count as f64
}
