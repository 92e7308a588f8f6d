//! Two operators that elect a leader.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::bench::process;
use crate::failure::{Outcome, fail};
use crate::operator::{Operator, Start};

/// Both of them.
pub(super) struct Replicas<'a> {
    binary: &'a Path,
    kubeconfig: PathBuf,
    logs: PathBuf,
    flags: &'a [String],
    running: Vec<Operator>,
    started: usize,
}

/// Resident memory, in MB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    pub(super) leader: f64,
    pub(super) standby: f64,
}

impl fmt::Display for Memory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "leader {:.1} MB, standby {:.1} MB",
            self.leader, self.standby
        )
    }
}

impl<'a> Replicas<'a> {
    pub(super) async fn start(
        binary: &'a Path,
        kubeconfig: &Path,
        logs: &Path,
        flags: &'a [String],
    ) -> Outcome<Self> {
        let mut replicas = Self {
            binary,
            kubeconfig: kubeconfig.to_owned(),
            logs: logs.to_owned(),
            flags,
            running: Vec::new(),
            started: 0,
        };
        for _ in 0..2 {
            replicas.add().await?;
        }
        Ok(replicas)
    }

    async fn add(&mut self) -> Outcome {
        self.started += 1;
        let log = self.logs.join(format!("operator-{}.log", self.started));
        let start = Start {
            binary: self.binary,
            kubeconfig: &self.kubeconfig,
            log: &log,
            flags: self.flags,
        };
        // The API server may be away at this moment, or slow: then the process ends, and a kubelet starts it again.
        let begun = Instant::now();
        loop {
            match Operator::start(start).await {
                Ok(operator) => {
                    self.running.push(operator);
                    return Ok(());
                }
                Err(failure) if begun.elapsed() > Duration::from_secs(300) => return Err(failure),
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    }

    /// The one that leads now, at the end of the list.
    async fn put_leader_last(&mut self) -> Outcome {
        let begun = Instant::now();
        loop {
            self.revive().await?;
            for index in 0..self.running.len() {
                let Some(operator) = self.running.get(index) else {
                    continue;
                };
                let text = operator.scrape().await.unwrap_or_default();
                if text
                    .lines()
                    .any(|line| line.starts_with("jira_credential_leader") && line.ends_with(" 1"))
                {
                    let leader = self.running.remove(index);
                    self.running.push(leader);
                    return Ok(());
                }
            }
            if begun.elapsed() > Duration::from_secs(120) {
                return fail("nobody leads for two minutes");
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Starts others for those that have ended, as a kubelet does.
    pub(super) async fn revive(&mut self) -> Outcome {
        self.running.retain_mut(|operator| operator.check().is_ok());
        while self.running.len() < 2 {
            self.add().await?;
        }
        Ok(())
    }

    /// Kills the leader as a node that loses power does.
    pub(super) async fn kill_leader(&mut self) -> Outcome {
        self.put_leader_last().await?;
        if let Some(mut leader) = self.running.pop() {
            leader.kill().await?;
        }
        self.add().await
    }

    /// Asks the leader to end.
    pub(super) async fn end_leader(&mut self) -> Outcome {
        self.put_leader_last().await?;
        if let Some(mut leader) = self.running.pop() {
            leader.stop().await?;
        }
        self.add().await
    }

    /// Lets the leader stand still, longer than its lease lasts, and go on.
    pub(super) async fn freeze_leader(&mut self) -> Outcome {
        self.put_leader_last().await?;
        let Some(pid) = self.running.last().and_then(pid) else {
            return fail("the leader has no process");
        };
        kill_process(pid, Signal::STOP).map_err(std::io::Error::from)?;
        tokio::time::sleep(Duration::from_secs(25)).await;
        kill_process(pid, Signal::CONT).map_err(std::io::Error::from)?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.revive().await
    }

    /// What both have in memory.
    pub(super) async fn memory(&mut self) -> Outcome<Memory> {
        self.put_leader_last().await?;
        let resident = self.running.iter().map(resident);
        let resident = resident.collect::<Outcome<Vec<_>>>()?;
        Ok(Memory {
            leader: resident.last().copied().unwrap_or_default(),
            standby: resident.first().copied().unwrap_or_default(),
        })
    }

    /// The process that leads now, and what it has in memory, in MB.
    pub(super) async fn leader_memory(&mut self) -> Outcome<(u32, f64)> {
        self.put_leader_last().await?;
        match self.running.last() {
            Some(leader) => Ok((leader.id(), resident(leader)?)),
            None => fail("nobody leads"),
        }
    }

    pub(super) async fn stop(&mut self) -> Outcome {
        for operator in &mut self.running {
            // One that has lost the lease meanwhile has ended by itself.
            let _ = operator.stop().await;
        }
        Ok(())
    }

    pub(super) fn log_tails(&self) -> String {
        let tails = self.running.iter().map(|operator| operator.log_tail(20));
        tails.collect::<Vec<_>>().join("\n\n")
    }
}

/// What a process has in memory, in MB.
fn resident(operator: &Operator) -> Outcome<f64> {
    let kilobytes = process::memory(operator.id())?.resident;
    Ok(f64::from(u32::try_from(kilobytes).unwrap_or(u32::MAX)) / 1000.0)
}

fn pid(operator: &Operator) -> Option<Pid> {
    Pid::from_raw(i32::try_from(operator.id()).ok()?)
}
