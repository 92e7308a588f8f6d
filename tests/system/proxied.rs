//! The way to Jira through a proxy: in a closed network, with wrong credentials, and when it is down.

mod steps;

use std::time::Instant;

use atlassian_sim::{Config as SimConfig, ForwardProxy, ProxyAnswer, ProxyTransport, Sim};
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};

use self::steps::{INTERVAL, allow_hosts, pat, recovers, through, told};
use crate::support::{PATIENCE, Running, World, says};

/// A world whose sites nobody but the proxy finds.
async fn closed() -> World {
    let mut world = World::new().await;
    let config = SimConfig {
        gateway_hosts: vec!["api.closed.invalid".to_owned()],
        auth_hosts: vec!["auth.closed.invalid".to_owned()],
        cloud_suffix: "cloud.closed.invalid".to_owned(),
        data_center_suffix: "dc.closed.invalid".to_owned(),
        ..SimConfig::default()
    };
    let sim = Sim::start_blocking(config).unwrap();
    sim.clock().set(world.clock.now());
    sim.clock().freeze();
    world.sim = sim;
    world
}

fn proxy(world: &World, port: u16) -> ForwardProxy {
    ForwardProxy::start(&world.sim, port, ProxyTransport::Plain).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_network_is_served_through_the_proxy_alone() {
    let world = closed().await;
    let proxy = proxy(&world, 0);
    pat(&world, "far", &world.data_center()).await;
    let operator = world.operator_with(allow_hosts).await;
    let (kind, unknown) = (ConditionType::Valid, ConditionStatus::Unknown);
    let lost = world
        .wait("far", kind, unknown, Reason::SiteUnavailable)
        .await;
    let message = says(&lost, ConditionType::Valid).message;
    assert!(message.contains("does not resolve"), "{message}");
    operator.crash();

    let operator = through(&world, &proxy.url(), None).await;
    world.advance(INTERVAL);
    world.wait_ready("far").await;
    assert_eq!(proxy.connects_to("jira.dc.closed.invalid"), 1);
    // The token endpoint and the gateway, too.
    let (_, consent) = world.oauth("bot").await;
    world.wait_ready("bot").await;
    let first = world.published("bot").await;
    operator.quiet().await;
    world.sim.cut_connections();
    let before = proxy.connects_to("auth.closed.invalid");
    world.advance(crate::oauth::RENEWAL_IS_DUE);
    operator.look_again(2).await;
    world
        .until("the token is renewed", async || {
            (world.published("bot").await != first).then_some(())
        })
        .await;
    assert_eq!(proxy.connects_to("auth.closed.invalid"), before + 1);
    assert!(proxy.connects_to("api.closed.invalid") > 0);
    assert_eq!(world.outcomes(), ["exchanged", "exchanged"]);
    assert!(consent.holds_newest(&world.kept("bot").await));
    // A site inside goes direct.
    pat(
        &world,
        "near",
        &world.sim.data_center_at("near.dc.localhost"),
    )
    .await;
    world.wait_ready("near").await;
    assert_eq!(proxy.connects_to("near.dc.localhost"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_wants_other_credentials_is_the_administrators_matter() {
    let world = closed().await;
    let proxy = proxy(&world, 0);
    proxy.require("robot", "right");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    std::fs::write(&file, "robot:canary").unwrap();
    let operator = through(&world, &proxy.url(), Some(&file)).await;
    pat(&world, "bot", &world.data_center()).await;
    let message = told(&world, "bot", "(407)").await;
    for words in [
        proxy.name().as_str(),
        "administrator of the operator",
        "--https-proxy-credentials-file",
        "jira.dc.closed.invalid",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
    let told = world.events("bot").await;
    let notes: Vec<_> = told.iter().filter_map(|event| event.note.clone()).collect();
    let object = world.credential("bot").await;
    let all = format!("{notes:?} {}", serde_json::to_string(&object).unwrap());
    assert!(!all.contains("canary"), "{all}");
    assert_eq!(world.calls(), 0);
    // A new password in the file counts without a restart.
    std::fs::write(&file, "robot:right\n").unwrap();
    world.advance(INTERVAL);
    operator.look_again(1).await;
    world.wait_ready("bot").await;
}

/// Has `bot` validated until its status reports the outage in these words. The first call may still take the connection
/// that was just cut, and tells of its loss.
async fn told_in_the_end(world: &World, operator: &Running, words: &str) -> String {
    let begun = Instant::now();
    loop {
        world.advance(INTERVAL);
        operator.look_again(1).await;
        let object = world.credential("bot").await;
        let status = object.status.as_ref().unwrap();
        let found = status.condition(ConditionType::Reconciling);
        let message = found.map(|found| found.message.clone()).unwrap_or_default();
        if message.contains(words) {
            return message;
        }
        assert!(begun.elapsed() < PATIENCE, "{words}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_of_the_proxy_has_its_own_words_and_ends() {
    let world = closed().await;
    let proxy = proxy(&world, 0);
    let (url, port) = (proxy.url(), proxy.port());
    let operator = through(&world, &url, None).await;
    pat(&world, "bot", &world.data_center()).await;
    world.wait_ready("bot").await;
    let published = world.secrets().get("bot").await.unwrap();
    let mut calls = world.calls();
    for (answer, words) in [
        (ProxyAnswer::Status(407), "requires credentials (407)"),
        (
            ProxyAnswer::Status(403),
            "does not let the call through (status 403)",
        ),
        (
            ProxyAnswer::Status(502),
            "got no connection to it (status 502)",
        ),
        (
            ProxyAnswer::Close,
            "closed the connection without an answer",
        ),
        (ProxyAnswer::Garbage, "does not speak as an HTTP proxy does"),
    ] {
        proxy.answer(answer);
        world.sim.cut_connections();
        let message = told_in_the_end(&world, &operator, words).await;
        assert!(message.contains(&proxy.name()), "{message}");
        assert_eq!(world.calls(), calls, "{answer:?}");
        proxy.answer(ProxyAnswer::Tunnel);
        recovers(&world, &operator, "bot").await;
        calls = world.calls();
    }
    drop(proxy);
    told_in_the_end(&world, &operator, "there is no connection to the proxy").await;
    let _again = self::proxy(&world, port);
    recovers(&world, &operator, "bot").await;
    assert!(world.secrets().get("bot").await.unwrap() == published);
}
