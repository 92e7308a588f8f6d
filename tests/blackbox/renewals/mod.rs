//! No refresh token is lost that could be kept: the binary is killed while it renews all the time,
//! and the simulator's ledger tells what became of every token.
//!
//! `cargo xtask kill` runs the same with the full numbers.

mod cast;
mod dice;
mod frozen;
mod kills;
mod leaders;
mod ledger;
mod outage;
mod people;
mod readers;
mod replicas;
mod report;
mod seeds;
mod shell;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::task::JoinSet;

use crate::stage::Stage;
use cast::{Cast, Tempo};
use dice::Dice;
use kills::Killer;
use people::Requests;
use readers::Seen;
use report::{Report, number};

/// The life of an access token while the operator is killed. Half of it is left when it is
/// renewed, so that the next process has time to complete a renewal that was interrupted.
const LIFE: TimeDelta = TimeDelta::seconds(16);

/// Runs the operator into all kills, and returns what came of it.
async fn killed_again_and_again(setting: &str, tempo: Tempo, downtime: Duration) -> Report {
    let stage = Stage::new().await;
    let grants = number("JCO_KILL_GRANTS", 10);
    let chance = number("JCO_KILL_SEED", 20_261_125) as u64;
    let cast = Arc::new(Cast::gather(stage, tempo, grants).await);
    let (requests, seen) = (Arc::<Requests>::default(), Arc::<Seen>::default());
    let mut around = JoinSet::new();
    around.spawn(people::consent_on(cast.clone(), requests.clone()));
    around.spawn(people::meddle_on(cast.clone(), Dice::new(chance + 1)));

    let mut killer = Killer::new(cast.clone(), Dice::new(chance), downtime);
    let first = killer.start().await;
    cast.settled().await;
    killer.kill(first).await;
    around.spawn(readers::read_on(cast.clone(), seen.clone()));
    killer.at_any_moment(number("JCO_KILL_RANDOM", 10)).await;
    killer
        .between_commit_and_store(number("JCO_KILL_COMMIT", 6))
        .await;
    let last = killer.start().await;
    cast.settled().await;
    around.shutdown().await;

    let asked = requests.all();
    let mut report = Report::of(setting, &cast, &killer.lives, &asked, &seen).await;
    (report.random, report.committed) = (killer.random, killer.committed);
    drop(last);
    report.tell();
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_the_leeway_lasts_longer_than_the_operator_is_away() {
    let tempo = Tempo::divided_by(30, LIFE);
    let report = killed_again_and_again("leeway above downtime", tempo, Duration::ZERO).await;
    report.assert_sound();
    assert_eq!(report.tally.lost, 0, "{report:#?}");
    assert!(report.tally.replayed > 0, "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_nobody_could_keep_is_lost_when_the_operator_is_away_for_longer_than_the_leeway()
{
    let tempo = Tempo::divided_by(600, LIFE);
    let downtime = tempo.leeway + TimeDelta::milliseconds(500);
    let downtime = downtime.to_std().unwrap();
    let report = killed_again_and_again("leeway below downtime", tempo, downtime).await;
    report.assert_sound();
    assert!(report.tally.unavoidable > 0, "{report:#?}");
}
