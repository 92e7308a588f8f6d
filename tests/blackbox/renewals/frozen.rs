//! A process that stands still between its decision and the call: a machine that sleeps, a node
//! that has no time for it.

use std::sync::Arc;

use atlassian_sim::{Fault, Rule, Spend, SpendOutcome};
use chrono::TimeDelta;
use serde_json::json;

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
    let cast = Arc::new(Cast::gather(stage, tempo, 1).await);
    let sim = &cast.stage.sim;
    let mut frozen = cast.stage.operator().await;
    let mut lives = Lives::new(&cast.tempo);
    lives.begin(sim.clock().now());
    cast.settled().await;
    // Every renewal makes two calls from now on: the client secret that is tried first is an old one.
    let old = [("secret", "the-client-secret-of-last-year")];
    cast.stage.secret("old-client", &old).await;
    let secrets = ["old-client", "client"].map(|name| json!({"name": name, "key": "secret"}));
    let auth = json!({"oauth2": {"clientSecretRefs": secrets}});
    cast.stage
        .merge("bot-0", json!({"spec": {"auth": auth}}))
        .await;
    let exchanged = || {
        let spends = sim.spends();
        let exchanged = |spend: &&Spend| matches!(spend.outcome, SpendOutcome::Exchanged { .. });
        spends.iter().filter(exchanged).count()
    };
    let before = exchanged();
    let rule = Rule::new(Fault::HangBefore)
        .host(sim.auth_host())
        .path("/oauth/token");
    let hang = sim.fault(rule.once());
    frozen
        .until("waiting for an answer", |_| hang.hits() > 0)
        .await;
    let made = renewals(&frozen);
    frozen.stop();
    // The answer waits in the socket: the client secret is refused, and nothing is spent.
    hang.release();

    let mut other = cast.stage.operator().await;
    other
        .until_async("with what it has taken over", async |_| {
            let grants = cast.grants().await;
            let idle = grants.values().all(|grant| grant.intent.is_none());
            exchanged() > before && idle
        })
        .await;
    frozen.go_on();
    frozen
        .until("through with it", |process| renewals(process) > made)
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
    let spends = cast.stage.sim.spends();
    let harmless = |spend: &Spend| {
        let outcome = &spend.outcome;
        matches!(
            outcome,
            SpendOutcome::Exchanged { .. } | SpendOutcome::ClientRejected
        )
    };
    assert!(spends.iter().all(harmless), "{spends:#?}");
}
