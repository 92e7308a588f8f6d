//! CPU and memory of processes, from `/proc`.

use std::fs;

use serde::Serialize;

use crate::failure::{Outcome, While as _, fail};

/// Memory of a process in kB.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident: u64,
    /// The most that was resident since [`forget_peak`].
    pub(super) peak: u64,
}

/// Seconds of CPU that a process has used so far, those of the kernel for it included.
pub(super) fn cpu_seconds(pid: u32) -> Outcome<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).while_(format!("process {pid}"))?;
    // The second field is a name in parentheses, which may hold anything.
    let rest = text
        .rsplit_once(')')
        .map(|(_, rest)| rest)
        .unwrap_or_default();
    let field = |index: usize| {
        rest.split_ascii_whitespace()
            .nth(index)?
            .parse::<u32>()
            .ok()
    };
    match (field(11), field(12)) {
        (Some(user), Some(system)) => {
            let ticks = f64::from(user) + f64::from(system);
            Ok(ticks / ticks_per_second())
        }
        _ => fail(format!("/proc/{pid}/stat has an unknown form")),
    }
}

/// Seconds of CPU that the whole machine has used so far.
pub(super) fn machine_cpu_seconds() -> Outcome<f64> {
    let text = fs::read_to_string("/proc/stat")?;
    // cpu user nice system idle iowait irq softirq …
    let fields = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace()
        .skip(1);
    let busy = fields
        .enumerate()
        .filter(|(index, _)| [0, 1, 2, 5, 6].contains(index));
    let ticks: f64 = busy
        .filter_map(|(_, ticks)| ticks.parse::<f64>().ok())
        .sum();
    Ok(ticks / ticks_per_second())
}

fn ticks_per_second() -> f64 {
    f64::from(u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100))
}

/// Memory of a process.
pub(crate) fn memory(pid: u32) -> Outcome<Memory> {
    let text =
        fs::read_to_string(format!("/proc/{pid}/status")).while_(format!("process {pid}"))?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':')
            .split_ascii_whitespace()
            .next()?
            .parse()
            .ok()
    };
    match (field("VmRSS"), field("VmHWM")) {
        (Some(resident), Some(peak)) => Ok(Memory { resident, peak }),
        _ => fail(format!("/proc/{pid}/status has an unknown form")),
    }
}

/// Lets the peak start again.
pub(super) fn forget_peak(pid: u32) -> Outcome {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").while_(format!("the peak of process {pid}"))
}

/// Seconds of CPU by process.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Cpu {
    pub(super) operator: f64,
    pub(super) api_server: f64,
    pub(super) etcd: f64,
    pub(super) controller_manager: f64,
    /// The bench itself, with the simulator of Jira in it.
    pub(super) bench_and_jira: f64,
    /// Everything else on the machine: it should be next to nothing, or the times mean little.
    pub(super) others: f64,
}

impl Cpu {
    /// All processes that take part.
    pub(super) fn ours(self) -> f64 {
        self.operator + self.api_server + self.etcd + self.controller_manager + self.bench_and_jira
    }

    pub(super) fn since(self, before: Self) -> Self {
        Self {
            operator: self.operator - before.operator,
            api_server: self.api_server - before.api_server,
            etcd: self.etcd - before.etcd,
            controller_manager: self.controller_manager - before.controller_manager,
            bench_and_jira: self.bench_and_jira - before.bench_and_jira,
            others: (self.others - before.others).max(0.0),
        }
    }
}
