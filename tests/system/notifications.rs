//! Notifications: what a receiver outside the cluster gets, and what becomes of those that fail.

use std::time::{Duration, Instant};

use atlassian_sim::{Fault, Webhook};
use chrono::TimeDelta;
use jira_credential_operator::api::Reason;
use jira_credential_operator::controller::OperatorConfig;
use jira_credential_operator::net::HostPatterns;
use jira_credential_operator::notify::NotifyConfig;
use serde_json::{Value, json};

use crate::redaction::Log;
use crate::support::{PATIENCE, Running, World};

/// Rounds and retries come so many times as often as in a cluster: a round every 60 ms, a first retry
/// after 15 ms.
const PACE: u32 = 1000;

/// The path of a webhook is its secret.
const SECRET: &str = "T000/B000/canary-in-the-path";

/// The settings of a sink.
fn sink(name: &str, format: &str, hook: &Webhook) -> Value {
    json!({"name": name, "format": format, "url": format!("{}/{SECRET}", hook.url())})
}

pub(crate) fn to(sinks: &Value) -> impl FnOnce(&mut OperatorConfig) + use<> {
    let text = json!({"runbookUrl": "https://docs.example/runbook", "sinks": sinks}).to_string();
    let hosts = HostPatterns::parse("--notify-hosts", ["*.example.localhost"]).unwrap();
    let mut notify = NotifyConfig::parse(&text, std::path::Path::new("/"), hosts).unwrap();
    notify.pace = PACE;
    move |config| config.notify = Some(notify)
}

/// What a receiver has got, once there are so many.
async fn received(world: &World, hook: &Webhook, count: usize) -> Vec<Value> {
    let got = world.until("the notifications", async || {
        let got = hook.received();
        (got.len() >= count).then_some(got)
    });
    let got = got.await;
    got.iter()
        .map(|one| serde_json::from_slice(&one.body).unwrap())
        .collect()
}

/// The parts of the messages of a chat, once there are so many.
async fn until_texts(world: &World, hook: &Webhook, count: usize) -> Vec<String> {
    world
        .until("the texts", async || {
            let mut texts: Vec<String> = Vec::new();
            for one in hook.received() {
                let body: Value = serde_json::from_slice(&one.body).unwrap();
                let text = body["text"].as_str().unwrap().to_owned();
                texts.extend(text.split("\n\n").map(str::to_owned));
            }
            (texts.len() >= count).then_some(texts)
        })
        .await
}

pub(crate) fn count(operator: &Running, sink: &str, outcome: &str) -> u64 {
    let text = operator.metrics.render().unwrap();
    let series =
        format!("jira_credential_notifications_total{{sink=\"{sink}\",outcome=\"{outcome}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&series));
    line.map_or(0, |value| value.parse().unwrap())
}

pub(crate) async fn until_counted(
    world: &World,
    operator: &Running,
    sink: &str,
    outcome: &str,
    least: u64,
) {
    world
        .until(&format!("{least} {outcome} of {sink}"), async || {
            (count(operator, sink, outcome) >= least).then_some(())
        })
        .await;
}

/// A credential that Jira refuses, with an owner.
pub(crate) async fn refused(world: &World, name: &str) {
    world
        .secret(&format!("{name}-source"), &[("token", "no-such-token")])
        .await;
    let mut spec = world.api_token_spec(name);
    spec["owner"] = json!({"team": "platform", "contact": "#platform"});
    world.create(name, spec).await;
    world.wait_unready(name, Reason::Rejected).await;
}

/// Stores the token that Jira knows.
pub(crate) async fn heal(world: &World, name: &str) {
    let token = world.cloud().api_token(&format!("{name}@acme.example"));
    world
        .secret(&format!("{name}-source"), &[("token", token.secret())])
        .await;
    world.wait_ready(name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cause_is_told_once_and_its_end_and_a_restart_tells_nothing() {
    let world = World::new().await;
    let hook = world.sim.webhook("hooks.example.localhost");
    let config = || to(&json!([sink("all", "json", &hook)]));
    let operator = world.operator_with(config()).await;
    refused(&world, "bot").await;
    let got = received(&world, &hook, 1).await;
    let message = &got[0];
    let site = world.cloud().url();
    assert_eq!(message["status"], "firing");
    assert_eq!(message["event"], "Stalled");
    assert_eq!(message["reason"], "Rejected");
    assert_eq!(message["namespace"], world.namespace.as_str());
    assert_eq!(message["name"], "bot");
    assert_eq!(message["site"], site.trim_start_matches("https://"));
    assert_eq!(message["owner"]["team"], "platform");
    assert_eq!(message["runbook"], "https://docs.example/runbook#rejected");
    let told = hook.received();
    assert_eq!(told[0].path, format!("/{SECRET}"));
    assert_eq!(told[0].content_type, "application/json");
    // The same again, by reconciles, rounds and a restart.
    operator.look_again(1).await;
    operator.stop().await;
    let operator = world.operator_with(config()).await;
    operator.look_again(1).await;
    world
        .annotate("bot", "jira-operator.dev/renew", "once-more")
        .await;
    world
        .until_status("bot", "the request is handled", |status| {
            status.last_handled_renew.as_deref() == Some("once-more")
        })
        .await;
    operator.quiet().await;
    assert_eq!(hook.received().len(), 1);
    heal(&world, "bot").await;
    let got = received(&world, &hook, 2).await;
    assert_eq!(got[1]["status"], "resolved");
    assert_eq!(got[1]["reason"], "Rejected");
    operator.quiet().await;
    assert_eq!(hook.received().len(), 2);
    until_counted(&world, &operator, "all", "sent", 1).await;
    assert_eq!(count(&operator, "all", "sent"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lasts_is_told_again_once_a_day() {
    let world = World::new().await;
    let (daily, never) = (
        world.sim.webhook("daily.example.localhost"),
        world.sim.webhook("never.example.localhost"),
    );
    let mut quiet = sink("never", "json", &never);
    quiet["reminders"] = json!("Never");
    let operator = world
        .operator_with(to(&json!([sink("daily", "json", &daily), quiet])))
        .await;
    refused(&world, "bot").await;
    received(&world, &daily, 1).await;
    world.advance(TimeDelta::hours(23));
    operator.look_again(1).await;
    assert_eq!(daily.received().len(), 1);
    world.advance(TimeDelta::hours(1));
    let got = received(&world, &daily, 2).await;
    assert_eq!(got[1]["status"], "reminder");
    operator.look_again(1).await;
    assert_eq!(daily.received().len(), 2);
    assert_eq!(never.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_hangs_holds_up_neither_reconciles_nor_other_sinks() {
    let world = World::new().await;
    let (dead, alive) = (
        world.sim.webhook("dead.example.localhost"),
        world.sim.webhook("alive.example.localhost"),
    );
    let hang = dead.fault(Fault::HangBefore);
    let sinks = json!([sink("dead", "slack", &dead), sink("alive", "slack", &alive)]);
    let operator = world.operator_with(to(&sinks)).await;
    refused(&world, "first").await;
    received(&world, &alive, 1).await;
    tokio::time::timeout(PATIENCE, hang.reached(1))
        .await
        .unwrap();
    refused(&world, "second").await;
    heal(&world, "first").await;
    // What comes up soon after a message is told together.
    until_texts(&world, &alive, 3).await;
    assert_eq!(dead.received().len(), 0);
    assert_eq!(count(&operator, "dead", "sent"), 0);
    // Once it answers, it gets the last state of each.
    hang.remove();
    let mut texts = until_texts(&world, &dead, 2).await;
    operator.quiet().await;
    assert_eq!(texts.len(), 2, "{texts:?}");
    texts.sort();
    let name = |name: &str| format!("*JiraCredential {}/{name} ", world.namespace);
    let over = format!("{}is Ready: Rejected is over", name("first"));
    assert!(texts[0].starts_with(&over), "{texts:?}");
    assert!(
        texts[1].starts_with(&format!("{}needs ", name("second"))),
        "{texts:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_tried_again_and_what_is_refused_is_not() {
    let world = World::new().await;
    let log = Log::default();
    let hook = |name: &str| world.sim.webhook(&format!("{name}.example.localhost"));
    let faults = [
        (
            "busy",
            Fault::RateLimit {
                retry_after: Some(1),
                html: false,
            },
        ),
        ("broken", Fault::ServerError { status: 500 }),
        ("stranger", Fault::TlsUnknownCa),
        ("cut", Fault::DropBefore),
    ];
    let hooks = faults.map(|(name, fault)| {
        let hook = hook(name);
        let once = hook.fault_times(fault, 1);
        (name, hook, once)
    });
    let moved = hook("moved");
    let elsewhere = hook("elsewhere");
    let _moved = moved.fault(Fault::Redirect {
        status: 307,
        location: elsewhere.url(),
    });
    let mut sinks: Vec<Value> = hooks
        .iter()
        .map(|(name, hook, _)| sink(name, "json", hook))
        .collect();
    sinks.push(sink("moved", "json", &moved));
    let operator = world
        .operator_logging(to(&json!(sinks)), log.dispatch())
        .await;
    let started = Instant::now();
    refused(&world, "bot").await;
    for (name, hook, _) in &hooks {
        received(&world, hook, 1).await;
        until_counted(&world, &operator, name, "sent", 1).await;
        assert_eq!(count(&operator, name, "failed"), 1, "{name}");
        // It asked for a second.
        let waited = started.elapsed() >= Duration::from_secs(1);
        assert!(*name != "busy" || waited, "{:?}", started.elapsed());
    }
    until_counted(&world, &operator, "moved", "refused", 1).await;
    operator.quiet().await;
    assert_eq!(elsewhere.received().len(), 0);
    assert_eq!(count(&operator, "moved", "failed"), 0);
    operator.stop().await;
    let text = log.text();
    for words in [
        "the sink answered with 429",
        "the sink answered with 500",
        "the certificate is not accepted",
        "a redirect, which is not followed",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("canary-in-the-path"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn alertmanager_is_told_again_what_lasts_and_once_that_it_is_over() {
    let world = World::new().await;
    let hook = world.sim.webhook("alertmanager.example.localhost");
    let settings = json!([{"name": "am", "format": "alertmanager", "url": hook.url()}]);
    let operator = world.operator_with(to(&settings)).await;
    refused(&world, "bot").await;
    let got = received(&world, &hook, 3).await;
    assert_eq!(hook.received()[0].path, "/api/v2/alerts");
    let labels = &got[0][0]["labels"];
    for alerts in &got {
        let alert = &alerts[0];
        assert_eq!(alert["labels"], *labels);
        assert_eq!(alert["startsAt"], got[0][0]["startsAt"]);
        assert!(
            alert["endsAt"].as_str() > alert["startsAt"].as_str(),
            "{alert}"
        );
    }
    heal(&world, "bot").await;
    let over = world
        .until("the end of the alert", async || {
            let got = hook.received();
            let last: Value = serde_json::from_slice(&got.last()?.body).unwrap();
            let now = world
                .clock
                .now()
                .to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
            // An alert that lasts ends ten minutes ahead.
            (last[0]["endsAt"].as_str()? <= now.as_str()).then_some(last)
        })
        .await;
    assert_eq!(over[0]["labels"], *labels);
    operator.quiet().await;
    let count = hook.received().len();
    operator.look_again(1).await;
    assert_eq!(hook.received().len(), count);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_namespaces_and_events_that_a_sink_asks_for_are_told() {
    let world = World::new().await;
    let (other, rotation, all) = (
        world.sim.webhook("other.example.localhost"),
        world.sim.webhook("rotation.example.localhost"),
        world.sim.webhook("all.example.localhost"),
    );
    let mut elsewhere = sink("other", "json", &other);
    elsewhere["namespaces"] = json!(["another-namespace"]);
    let mut only = sink("rotation", "json", &rotation);
    only["events"] = json!(["RotationDue"]);
    only["namespaces"] = json!([format!("{}*", &world.namespace[..3])]);
    let sinks = json!([elsewhere, only, sink("all", "json", &all)]);
    let operator = world.operator_with(to(&sinks)).await;
    refused(&world, "bot").await;
    // A credential that works and ends soon.
    let token = world.cloud().api_token("old@acme.example");
    world
        .secret("old-source", &[("token", token.secret())])
        .await;
    let mut spec = world.api_token_spec("old");
    spec["auth"]["apiToken"]["expiresAt"] = json!(world.clock.now() + TimeDelta::days(3));
    world.create("old", spec).await;
    received(&world, &all, 2).await;
    let got = received(&world, &rotation, 2).await;
    // A credential that Jira refuses is to be rotated, too.
    let told = |one: &Value| one["reason"] == "Rejected" && one["event"] == "Stalled";
    assert!(got.iter().any(told), "{got:?}");
    let told = |one: &Value| one["reason"] == "ExpiresSoon" && one["event"] == "RotationDue";
    assert!(got.iter().any(told), "{got:?}");
    // Somebody who suspends a credential knows it.
    world.change("old", json!({"suspend": true})).await;
    world.observed("old").await;
    operator.quiet().await;
    assert_eq!(all.received().len(), 2);
    assert_eq!(rotation.received().len(), 2);
    assert_eq!(other.received().len(), 0);
}
