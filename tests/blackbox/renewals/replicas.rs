//! Two replicas without a leader, as processes of their own.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::task::JoinSet;

use super::cast::{Cast, Tempo};
use super::dice::Dice;
use super::ledger::Lives;
use super::people::{self, Requests};
use super::readers::{self, Seen};
use super::report::{Report, number};
use crate::process::{PATIENCE, Process};
use crate::stage::Stage;

/// The renewals that a process has made.
pub(crate) fn renewals(process: &Process) -> u64 {
    let metrics = process.metrics();
    let counters = metrics
        .lines()
        .filter(|line| line.starts_with("jira_credential_renewals_total"));
    counters
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_without_a_leader_spend_each_token_once() {
    let stage = Stage::new().await;
    // No leeway: a token that is spent twice is lost.
    let tempo = Tempo {
        leeway: TimeDelta::zero(),
        ..Tempo::divided_by(20, TimeDelta::seconds(6))
    };
    let refreshes = number("JCO_KILL_REFRESHES", 100);
    let cast = Arc::new(Cast::gather(stage, tempo, number("JCO_KILL_GRANTS", 10) * 2).await);
    let (requests, seen) = (Arc::<Requests>::default(), Arc::<Seen>::default());
    let mut lives = Lives::new(&cast.tempo);
    let mut replicas = [cast.stage.operator().await, cast.stage.operator().await];
    lives.begin(cast.stage.sim.clock().now());
    let mut around = JoinSet::new();
    around.spawn(people::consent_on(cast.clone(), requests.clone()));
    around.spawn(people::meddle_on(cast.clone(), Dice::new(1)));
    cast.settled().await;
    around.spawn(readers::read_on(cast.clone(), seen.clone()));

    let patience = PATIENCE + Duration::from_millis(refreshes as u64 * 400);
    let spent = tokio::time::timeout(patience, cast.stage.sim.wait_for_spends(refreshes));
    spent.await.unwrap();
    let shares = [renewals(&replicas[0]), renewals(&replicas[1])];
    for replica in &replicas {
        replica.terminate();
    }
    for replica in &mut replicas {
        let status = replica.ended(PATIENCE).await;
        assert_eq!(status.code(), Some(0), "{}", replica.log());
    }
    around.shutdown().await;

    let report = Report::of("two replicas", &cast, &lives, &requests.all(), &seen).await;
    report.tell();
    report.assert_sound();
    assert_eq!(report.tally.twice, 0, "{report:#?}");
    assert_eq!(report.tally.lost, 0, "{report:#?}");
    assert!(report.tally.exchanged >= refreshes, "{report:#?}");
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
}
