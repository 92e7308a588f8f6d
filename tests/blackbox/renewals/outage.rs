//! The API server goes away when the provider has spent a refresh token, and the operator lives.

use std::process::Command;
use std::sync::Arc;

use atlassian_sim::{Fault, Rule};
use chrono::TimeDelta;
use control_plane::ControlPlane;
use tokio::task::JoinSet;

use super::cast::{Cast, Tempo};
use super::ledger::Lives;
use super::people::{self, Requests};
use super::readers::Seen;
use super::report::Report;
use crate::process::PATIENCE;
use crate::stage::Stage;

/// How the API server goes away.
#[derive(Clone, Copy)]
pub(crate) enum Away {
    /// Connections break, and are refused.
    Killed,
    /// Nothing is answered any more.
    Silent,
}

pub(crate) async fn take_away(plane: &ControlPlane, how: Away) {
    match how {
        Away::Silent => plane.pause_api_server().await.unwrap(),
        Away::Killed => {
            // In the order of their start: etcd, API server, controller manager.
            let id = plane.process_ids().await[1].to_string();
            let mut kill = Command::new("sh");
            kill.args(["-c", r#"kill -KILL "$0""#, &id]);
            assert!(kill.status().unwrap().success());
        }
    }
}

pub(crate) async fn bring_back(plane: &ControlPlane, how: Away) {
    match how {
        Away::Silent => plane.resume_api_server().await.unwrap(),
        Away::Killed => {
            plane.stop_api_server().await.unwrap();
            plane.start_api_server().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_kept_until_the_api_server_is_back_however_long_that_takes() {
    let plane = ControlPlane::start().await.unwrap();
    let stage = Stage::on(&plane).await;
    // Shorter than every outage: nobody could spend a token again.
    let leeway = TimeDelta::seconds(1);
    let tempo = Tempo {
        leeway,
        ..Tempo::divided_by(10, TimeDelta::seconds(30))
    };
    let cast = Arc::new(Cast::gather(stage, tempo, 6).await);
    let sim = &cast.stage.sim;
    let mut operator = cast.stage.operator().await;
    let mut lives = Lives::new(&cast.tempo);
    lives.begin(sim.clock().now());
    let (requests, seen) = (Arc::<Requests>::default(), Arc::<Seen>::default());
    let mut around = JoinSet::new();
    around.spawn(people::consent_on(cast.clone(), requests.clone()));
    cast.settled().await;
    for how in [Away::Silent, Away::Killed] {
        let before = sim.spends().len();
        let rule = Rule::new(Fault::HangAfter)
            .host(sim.auth_host())
            .path("/oauth/token");
        let hang = sim.fault(rule);
        let reached = tokio::time::timeout(PATIENCE, hang.reached(1));
        reached.await.unwrap();
        take_away(&plane, how).await;
        hang.remove();
        hang.release();
        let spent = &sim.spends()[before];
        operator
            .until("in possession of an answer", |_| {
                let answered = sim
                    .spends()
                    .iter()
                    .any(|spend| spend.number == spent.number && spend.answered);
                answered && sim.clock().now() > spent.at + leeway * 3
            })
            .await;
        bring_back(&plane, how).await;
        cast.settled().await;
    }
    operator.terminate();
    let status = operator.ended(PATIENCE).await;
    assert_eq!(status.code(), Some(0), "{}", operator.log());

    around.shutdown().await;

    let report = Report::of("API server away", &cast, &lives, &requests.all(), &seen).await;
    report.tell();
    report.assert_sound();
    assert_eq!(report.tally.twice, 0, "{report:#?}");
    assert_eq!(report.tally.lost, 0, "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_must_end_before_its_answer_is_stored_says_so_and_fails() {
    let plane = ControlPlane::start().await.unwrap();
    let stage = Stage::on(&plane).await;
    // The end waits for 110 seconds, divided.
    let tempo = Tempo::divided_by(40, TimeDelta::seconds(12));
    let cast = Cast::gather(stage, tempo, 1).await;
    let sim = &cast.stage.sim;
    let mut operator = cast.stage.operator().await;
    cast.settled().await;
    let rule = Rule::new(Fault::HangAfter)
        .host(sim.auth_host())
        .path("/oauth/token");
    let hang = sim.fault(rule.once());
    let reached = tokio::time::timeout(PATIENCE, hang.reached(1));
    reached.await.unwrap();
    take_away(&plane, Away::Killed).await;
    operator.terminate();
    hang.release();
    let status = operator.ended(PATIENCE).await;
    let log = operator.log();
    assert_eq!(status.code(), Some(1), "{log}");
    let spent = sim.spends().pop().unwrap();
    let attempt = spent.attempt.unwrap();
    let told = |line: &str| line.contains("RENEWAL NOT STORED") && line.contains(&attempt);
    assert!(log.lines().any(told), "{attempt} is not in {log}");
    plane.stop().await.unwrap();
}
