//! One size: a fresh control plane, and one phase after the other.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use control_plane::ControlPlane;
use serde::Serialize;

use super::Options;
use super::audit::{AuditLog, Requests, Seen};
use super::load::{Load, NAMESPACE};
use super::process::{self, Cpu, Memory};
use crate::failure::{Outcome, While as _, fail};
use crate::operator::{Operator, Start};
use crate::stage::{self, Jira};
use crate::ui::Ui;

/// How long nothing must happen before a phase counts as over.
const QUIET: Duration = Duration::from_millis(1_500);
/// CPU that the operator may use meanwhile, in seconds.
const IDLE: f64 = 0.02;
/// Longest that a phase may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// All numbers of one size.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    /// Number of credentials.
    pub(super) credentials: usize,
    /// Memory of the operator before there was any object, in kB.
    pub(super) idle: Memory,
    pub(super) phases: Vec<Phase>,
}

/// What one phase cost.
#[derive(Debug, Serialize)]
pub(super) struct Phase {
    pub(super) name: &'static str,
    /// When it began.
    pub(super) begun: DateTime<Utc>,
    /// From its begin to the operator's last request; for `create` to the last status.
    pub(super) seconds: f64,
    /// The operator's requests to the API server.
    pub(super) requests: Requests,
    /// Those of them that were not answered with success.
    pub(super) failures: Requests,
    pub(super) jira_calls: u64,
    pub(super) jira_connections: u64,
    pub(super) cpu: Cpu,
    /// Memory of the operator at the end, in kB, and its peak during the phase.
    pub(super) memory: Memory,
}

pub(super) struct Bench<'a> {
    ui: &'a Ui,
    pub(super) plane: ControlPlane,
    pub(super) jira: Jira,
    binary: &'a Path,
    flags: Vec<String>,
    kubeconfig: PathBuf,
    operator: Operator,
    audit: AuditLog,
    /// etcd, API server, controller manager.
    processes: [u32; 3],
}

/// The state of the counters at the begin of a phase.
pub(super) struct Begin {
    at: DateTime<Utc>,
    calls: u64,
    connections: u64,
    cpu: Cpu,
}

/// Measures one size.
pub(super) async fn measure(
    ui: &Ui,
    size: usize,
    binary: &Path,
    options: &Options,
) -> Outcome<Measured> {
    let mut bench = Bench::start(ui, binary, options).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    bench.settle().await?;
    let idle = process::memory(bench.operator.id())?;
    let load = Load::new(bench.plane.client()?, NAMESPACE, size).await?;
    let mut phases = Vec::new();

    let begin = bench.begin("sources")?;
    let emails = load.create_sources(&bench.jira).await?;
    phases.push(bench.end("sources", begin).await?);

    let begin = bench.begin("create")?;
    load.create_credentials(&bench.jira.cloud.url(), &emails)
        .await?;
    phases.push(bench.end("create", begin).await?);
    check(&load, size).await?;

    let begin = bench.begin("rest")?;
    tokio::time::sleep(Duration::from_secs(options.rest_seconds)).await;
    phases.push(bench.end("rest", begin).await?);

    let begin = bench.begin("label")?;
    load.label().await?;
    phases.push(bench.end("label", begin).await?);

    let begin = bench.begin("delete targets")?;
    load.delete_targets().await?;
    phases.push(bench.end("delete targets", begin).await?);
    check(&load, size).await?;

    let mut begin = bench.begin("restart")?;
    bench.restart().await?;
    // The new process began with nothing.
    begin.cpu.others += std::mem::take(&mut begin.cpu.operator);
    phases.push(bench.end("restart", begin).await?);
    check(&load, size).await?;
    bench.stop().await?;
    Ok(Measured {
        credentials: size,
        idle,
        phases,
    })
}

async fn check(load: &Load, size: usize) -> Outcome {
    let (ready, published) = load.results().await?;
    if ready == size && published == size {
        return Ok(());
    }
    fail(format!(
        "of {size} credentials {ready} are Ready, {published} Secrets are published"
    ))
}

impl<'a> Bench<'a> {
    pub(super) async fn start(ui: &'a Ui, binary: &'a Path, options: &Options) -> Outcome<Self> {
        ui.say("starting a control plane");
        let plane = ControlPlane::start().await?;
        let jira = Jira::start().await?;
        let kubeconfig = jira.file("operator.kubeconfig");
        let tree = options.manifests.clone().unwrap_or_else(crate::root);
        stage::install(&plane, &kubeconfig, &tree).await?;
        let mut all = jira.flags();
        all.extend_from_slice(&options.operator_flags);
        let operator = start_operator(binary, &kubeconfig, &jira, &all).await?;
        let audit = AuditLog::of(plane.directory());
        let Ok(processes) = plane.process_ids().await.try_into() else {
            return fail("the control plane does not consist of three processes");
        };
        Ok(Self {
            ui,
            plane,
            jira,
            binary,
            flags: all,
            kubeconfig,
            operator,
            audit,
            processes,
        })
    }

    pub(super) async fn restart(&mut self) -> Outcome {
        // The old one is asked to end first: two at once would do the work twice.
        self.operator.stop().await.while_("stopping the operator")?;
        self.operator =
            start_operator(self.binary, &self.kubeconfig, &self.jira, &self.flags).await?;
        Ok(())
    }

    pub(super) fn begin(&mut self, name: &str) -> Outcome<Begin> {
        self.ui.say(name);
        // What came before belongs to no phase.
        self.audit.read()?;
        process::forget_peak(self.operator.id())?;
        let counters = self.jira.sim.counters();
        Ok(Begin {
            at: self.jira.sim.clock().now(),
            calls: counters.total,
            connections: counters.handshakes,
            cpu: self.cpu()?,
        })
    }

    pub(super) async fn end(&mut self, name: &'static str, begin: Begin) -> Outcome<Phase> {
        let seen = self.settle().await?;
        let counters = self.jira.sim.counters();
        let last = if name == "create" {
            seen.last_status
        } else {
            seen.last
        };
        let seconds = last.map_or(0.0, |last| (last - begin.at).as_seconds_f64());
        Ok(Phase {
            name,
            begun: begin.at,
            seconds,
            requests: seen.requests,
            failures: seen.failures,
            jira_calls: counters.total - begin.calls,
            jira_connections: counters.handshakes - begin.connections,
            cpu: self.cpu()?.since(begin.cpu),
            memory: process::memory(self.operator.id())?,
        })
    }

    fn cpu(&self) -> Outcome<Cpu> {
        let [etcd, api_server, controller_manager] = self.processes;
        let mut cpu = Cpu {
            operator: process::cpu_seconds(self.operator.id())?,
            api_server: process::cpu_seconds(api_server)?,
            etcd: process::cpu_seconds(etcd)?,
            controller_manager: process::cpu_seconds(controller_manager)?,
            bench_and_jira: process::cpu_seconds(std::process::id())?,
            others: 0.0,
        };
        cpu.others = process::machine_cpu_seconds()? - cpu.ours();
        Ok(cpu)
    }

    /// Ends operator and control plane.
    pub(super) async fn stop(mut self) -> Outcome {
        self.operator.stop().await.while_("stopping the operator")?;
        Ok(self.plane.stop().await?)
    }

    /// Waits until the operator has nothing left to do; returns what it asked for.
    async fn settle(&mut self) -> Outcome<Seen> {
        let begun = Instant::now();
        let mut all = Seen::default();
        let mut quiet_since = Instant::now();
        let mut cpu = process::cpu_seconds(self.operator.id())?;
        while quiet_since.elapsed() < QUIET {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let seen = self.audit.read()?;
            let now = process::cpu_seconds(self.operator.id())?;
            if seen.total() > 0 || now - cpu > IDLE {
                quiet_since = Instant::now();
                cpu = now;
            }
            all.add(seen);
            if begun.elapsed() > PATIENCE {
                let log = self.operator.log_tail(20);
                return fail(format!(
                    "the operator was still busy after {PATIENCE:?}\n{log}"
                ));
            }
        }
        Ok(all)
    }
}

async fn start_operator(
    binary: &Path,
    kubeconfig: &Path,
    jira: &Jira,
    flags: &[String],
) -> Outcome<Operator> {
    let log = jira.file("operator.log");
    Operator::start(Start {
        binary,
        kubeconfig,
        log: &log,
        flags,
    })
    .await
}
