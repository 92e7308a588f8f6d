//! A process that stands still between its decision and the call: a machine that sleeps, a node
//! that has no time for it.

use std::sync::Arc;

use atlassian_sim::{Fault, Rule};
use chrono::TimeDelta;

use super::cast::{Cast, Tempo};
use super::ledger::Lives;
use super::readers::Seen;
use super::replicas::renewals;
use super::report::Report;
use crate::process::PATIENCE;
use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_long_ago_is_not_carried_out_when_the_process_goes_on() {
    let stage = Stage::new().await;
    let tempo = Tempo {
        leeway: TimeDelta::zero(),
        overlap: TimeDelta::seconds(60),
        ..Tempo::divided_by(20, TimeDelta::seconds(40))
    };
    let cast = Arc::new(Cast::gather(stage, tempo, 2).await);
    let sim = &cast.stage.sim;
    // One call at a time: who comes second waits with its intent written down.
    let one = ["--max-concurrent-calls-per-site", "1"];
    let mut frozen = cast.stage.start_with(&one);
    frozen.ready().await;
    let mut lives = Lives::new(&cast.tempo);
    lives.begin(sim.clock().now());
    cast.settled().await;
    let before = sim.spends().len();
    let rule = Rule::new(Fault::HangBefore)
        .host(sim.auth_host())
        .path("/oauth/token");
    let hang = sim.fault(rule);
    frozen
        .until_async("waiting with both", async |_| {
            let grants = cast.grants().await;
            hang.hits() > 0 && grants.values().all(|grant| grant.intent.is_some())
        })
        .await;
    let made = renewals(&frozen);
    frozen.stop();
    assert_eq!(hang.hits(), 1, "the second call was made already");
    hang.remove();

    let mut other = cast.stage.operator().await;
    other
        .until_async("with what it has taken over", async |_| {
            let grants = cast.grants().await;
            let idle = grants.values().all(|grant| grant.intent.is_none());
            sim.spends().len() >= before + 2 && idle
        })
        .await;
    frozen.go_on();
    frozen
        .until("through with both", |process| renewals(process) >= made + 2)
        .await;
    cast.settled().await;
    for process in [&mut frozen, &mut other] {
        process.terminate();
        let status = process.ended(PATIENCE).await;
        assert_eq!(status.code(), Some(0), "{}", process.log());
    }
    let seen = Seen::default();
    let report = Report::of("a process stands still", &cast, &lives, &[], &seen).await;
    report.assert_sound();
    assert_eq!(report.tally.twice, 0, "{report:#?}");
}
