//! What goes wrong.

use std::fmt;
use std::time::Duration;

use atlassian_sim::{Fault, Rule};

use super::Soak;
use crate::failure::Outcome;

/// One thing that goes wrong, for a while.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Trouble {
    LeaderKilled,
    LeaderFrozen,
    LeaderEnded,
    ApiServerRestarted,
    ApiServerStuck,
    WatchesCut,
    ApiServerOutOfReach,
    JiraDown,
    JiraSilent,
    JiraLosesAnswers,
    JiraConnectionsCut,
    TooManyRequests,
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Trouble::LeaderKilled => "leader killed",
            Trouble::LeaderFrozen => "leader frozen for 25 s",
            Trouble::LeaderEnded => "leader ended with SIGTERM",
            Trouble::ApiServerRestarted => "API server restarted",
            Trouble::ApiServerStuck => "API server without an answer for 20 s",
            Trouble::WatchesCut => "every connection to the API server cut",
            Trouble::ApiServerOutOfReach => "API server out of reach for 40 s",
            Trouble::JiraDown => "Jira answers with 502 for 45 s",
            Trouble::JiraSilent => "Jira does not answer for 45 s",
            Trouble::JiraLosesAnswers => "answers with new tokens lost for 30 s",
            Trouble::JiraConnectionsCut => "every connection to Jira cut",
            Trouble::TooManyRequests => "Jira answers with 429 for 45 s",
        })
    }
}

impl Trouble {
    const ALL: [Self; 12] = [
        Trouble::LeaderKilled,
        Trouble::LeaderFrozen,
        Trouble::LeaderEnded,
        Trouble::ApiServerRestarted,
        Trouble::ApiServerStuck,
        Trouble::WatchesCut,
        Trouble::ApiServerOutOfReach,
        Trouble::JiraDown,
        Trouble::JiraSilent,
        Trouble::JiraLosesAnswers,
        Trouble::JiraConnectionsCut,
        Trouble::TooManyRequests,
    ];

    /// Those that end no process of the operator.
    const OF_JIRA: [Self; 5] = [
        Trouble::JiraDown,
        Trouble::JiraSilent,
        Trouble::JiraLosesAnswers,
        Trouble::JiraConnectionsCut,
        Trouble::TooManyRequests,
    ];

    pub(super) fn draw(dice: &mut Dice) -> Self {
        Self::one_of(&Self::ALL, dice)
    }

    pub(super) fn draw_of_jira(dice: &mut Dice) -> Self {
        Self::one_of(&Self::OF_JIRA, dice)
    }

    fn one_of(these: &[Self], dice: &mut Dice) -> Self {
        let size = u64::try_from(these.len()).unwrap_or(1);
        let index = usize::try_from(dice.below(size)).unwrap_or_default();
        these.get(index).copied().unwrap_or(Trouble::JiraDown)
    }

    /// What Jira does, and for how long.
    fn of_jira(self) -> Option<(Fault, u64)> {
        match self {
            Trouble::JiraDown => Some((Fault::ServerError { status: 502 }, 45)),
            Trouble::JiraSilent => Some((Fault::HangBefore, 45)),
            Trouble::TooManyRequests => Some((
                Fault::RateLimit {
                    retry_after: Some(5),
                    html: false,
                },
                45,
            )),
            _ => None,
        }
    }
}

impl Soak<'_> {
    /// Lets it happen, until it is over.
    pub(super) async fn make(&mut self, trouble: Trouble) -> Outcome {
        if let Some((fault, seconds)) = trouble.of_jira() {
            self.jira.sim.fault(Rule::new(fault));
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            self.jira.sim.clear_faults();
            return Ok(());
        }
        match trouble {
            Trouble::LeaderKilled => self.replicas.kill_leader().await?,
            Trouble::LeaderFrozen => self.replicas.freeze_leader().await?,
            Trouble::LeaderEnded => self.replicas.end_leader().await?,
            Trouble::ApiServerRestarted => {
                self.plane.stop_api_server().await?;
                self.plane.start_api_server().await?;
                self.replicas.revive().await?;
            }
            Trouble::ApiServerStuck => {
                self.plane.pause_api_server().await?;
                tokio::time::sleep(Duration::from_secs(20)).await;
                self.plane.resume_api_server().await?;
                self.replicas.revive().await?;
            }
            Trouble::WatchesCut => self.tunnel.cut(),
            Trouble::ApiServerOutOfReach => {
                self.tunnel.close();
                tokio::time::sleep(Duration::from_secs(40)).await;
                self.tunnel.allow();
                self.replicas.revive().await?;
            }
            Trouble::JiraLosesAnswers => {
                // At Atlassian's token endpoint: a Data Center honours no refresh token twice, so what is
                // lost there is lost whatever the operator does.
                let lost = Rule::new(Fault::DropAfter).host(self.jira.sim.auth_host());
                self.jira.sim.fault(lost.times(20));
                tokio::time::sleep(Duration::from_secs(30)).await;
                self.jira.sim.clear_faults();
            }
            _ => self.jira.sim.cut_connections(),
        }
        Ok(())
    }
}

/// Numbers that only look random: the same seed gives the same order.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From 0, below this. The generator is splitmix64 (Steele, Lea and Flood 2014).
    pub(super) fn below(&mut self, size: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % size.max(1)
    }
}
