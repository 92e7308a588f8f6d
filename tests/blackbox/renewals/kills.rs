//! SIGKILL, at any moment and at the worst one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atlassian_sim::{Fault, FaultHandle, Rule};

use super::cast::Cast;
use super::dice::Dice;
use super::ledger::Lives;
use crate::process::{PATIENCE, Process};
use crate::stage::email;

/// Kills the operator, and counts what that costs.
pub(crate) struct Killer {
    cast: Arc<Cast>,
    dice: Dice,
    /// How long nobody starts it again.
    downtime: Duration,
    pub(crate) lives: Lives,
    /// Kills at any moment.
    pub(crate) random: usize,
    /// Kills between the commit of the provider and the store.
    pub(crate) committed: usize,
}

impl Killer {
    pub(crate) fn new(cast: Arc<Cast>, dice: Dice, downtime: Duration) -> Self {
        let lives = Lives::new(&cast.tempo);
        Self {
            cast,
            dice,
            downtime,
            lives,
            random: 0,
            committed: 0,
        }
    }

    /// Starts the operator, and waits until it has listed everything.
    pub(crate) async fn start(&mut self) -> Process {
        let process = self.cast.stage.operator().await;
        self.lives.begin(self.cast.stage.sim.clock().now());
        process
    }

    /// Ends it, and leaves it so for a while.
    pub(crate) async fn kill(&mut self, process: Process) {
        process.kill();
        if let Some(life) = self.lives.all.last_mut() {
            life.killed = Some(self.cast.stage.sim.clock().now());
        }
        // That nobody is there is what is tested.
        tokio::time::sleep(self.downtime).await;
    }

    /// Waits until the process has taken up what the one before it had begun. Without that the
    /// operator would be away for longer than its downtime: nobody takes up anything at once.
    async fn taken_up(&self, process: &Process) {
        let begun = self.attempts().await;
        let deadline = Instant::now() + PATIENCE;
        while !self.attempts().await.is_disjoint(&begun) {
            assert!(
                Instant::now() < deadline,
                "nothing is taken up\n{}",
                process.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn attempts(&self) -> BTreeSet<String> {
        let grants = self.cast.grants().await;
        grants
            .into_values()
            .filter_map(|grant| grant.intent)
            .collect()
    }

    /// Lets it live for a random time below two seconds; every other time from the start, else
    /// from when it has taken up what was left.
    pub(crate) async fn at_any_moment(&mut self, times: usize) {
        for round in 0..times {
            let process = self.start().await;
            if round % 2 == 0 {
                self.taken_up(&process).await;
            }
            let moment = Duration::from_micros(self.dice.below(2_000_000));
            // No synchronisation: any moment will do.
            tokio::time::sleep(moment).await;
            self.kill(process).await;
            self.random += 1;
        }
    }

    /// Lets it live until the provider has spent a refresh token. The answer is never sent, or
    /// the process ends while it arrives.
    pub(crate) async fn between_commit_and_store(&mut self, times: usize) {
        let begun = self.committed;
        while self.committed < begun + times {
            let process = self.start().await;
            self.taken_up(&process).await;
            let hangs = self.hang().await;
            let deadline = Instant::now() + PATIENCE;
            let struck = loop {
                if let Some((name, _)) = hangs.iter().find(|(_, hang)| hang.hits() > 0) {
                    break name.clone();
                }
                assert!(
                    Instant::now() < deadline,
                    "nothing was renewed\n{}",
                    process.log()
                );
                tokio::time::sleep(Duration::from_millis(1)).await;
            };
            if self.dice.below(2) == 0 {
                for (_, hang) in &hangs {
                    hang.release();
                }
                let moment = Duration::from_micros(self.dice.below(3000));
                tokio::time::sleep(moment).await;
            }
            self.kill(process).await;
            for (_, hang) in hangs {
                hang.remove();
                hang.release();
            }
            // It may have been quicker than the signal.
            let stored = self.cast.grants().await.remove(&struck);
            let stored = stored.and_then(|grant| grant.refresh).unwrap_or_default();
            let consent = self.cast.member(&struck).consent();
            if !consent.holds_newest(&stored) {
                self.committed += 1;
            }
        }
    }

    /// Holds back the answers to renewals of all grants for which no renewal is under way: one
    /// that is killed again and again has no chance, and validates nothing.
    async fn hang(&self) -> Vec<(String, FaultHandle)> {
        let sim = &self.cast.stage.sim;
        let grants = self.cast.grants().await;
        let idle = grants
            .into_iter()
            .filter(|(_, grant)| grant.intent.is_none());
        idle.map(|(name, _)| {
            let rule = Rule::new(Fault::HangAfter)
                .host(sim.auth_host())
                .path("/oauth/token")
                .user(email(&name));
            (name, sim.fault(rule))
        })
        .collect()
    }
}
