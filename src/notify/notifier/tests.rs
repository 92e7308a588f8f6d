use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::*;
use crate::api::Hosting;
use crate::clock::Clock;
use crate::net::{AddressPolicy, HostPatterns, Network, Timeouts};
use crate::notify::delivery::Observer;

struct Nobody;

impl Observer for Nobody {
    fn sink(&self, _sink: &str) {}

    fn notification(&self, _sink: &str, _outcome: &'static str) {}
}

struct World {
    notifier: Notifier,
    leads: Arc<AtomicBool>,
}

/// A notifier whose sinks take nothing: their address is not allowed.
fn world(sinks: &[Value]) -> World {
    let sinks: Vec<Value> = sinks
        .iter()
        .map(|sink| {
            let mut sink = sink.clone();
            sink["url"] = json!("https://nobody.localhost:9/hook");
            sink
        })
        .collect();
    let text = json!({"sinks": sinks}).to_string();
    let hosts = HostPatterns::parse("--notify-hosts", ["nobody.localhost"]).unwrap();
    let config = NotifyConfig::parse(&text, Path::new("/"), hosts).unwrap();
    let clock = Clock::standing_at(DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
    let timeouts = Timeouts::default();
    let addresses = AddressPolicy::default();
    let network = Network::new(addresses, &[], timeouts, None, None, &clock).unwrap();
    let leads = Arc::new(AtomicBool::new(true));
    let permit = Arc::clone(&leads);
    let delivery = Delivery {
        hosts: Arc::new(config.hosts.clone()),
        client: network.client(Hosting::DataCenter, None).unwrap(),
        clock,
        observer: Arc::new(Nobody),
        permit: Arc::new(move || permit.load(Ordering::Relaxed)),
        writers: Arc::default(),
        pace: 1,
    };
    World {
        notifier: Notifier::start(config, delivery),
        leads,
    }
}

impl World {
    fn see(&self, version: u64, conditions: &[(&str, &str)]) {
        self.notifier.see(&object("a", version, conditions));
    }

    /// What waits for each sink: the stage, the reason, and whether others are left.
    fn waits(&self, sink: usize) -> Vec<(&'static str, String)> {
        let messages = self.notifier.senders[sink].waiting();
        let told = messages.into_iter();
        told.map(|one| (one.stage.word(), one.reason)).collect()
    }
}

fn object(uid: &str, version: u64, conditions: &[(&str, &str)]) -> JiraCredential {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(kind, reason)| {
            json!({
                "type": kind, "status": "True", "reason": reason, "message": "It is so.",
                "lastTransitionTime": "2024-01-01T00:00:00Z",
            })
        })
        .collect();
    serde_json::from_value(json!({
        "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
        "metadata": {
            "namespace": "team", "name": "bot", "uid": uid, "resourceVersion": version.to_string(),
        },
        "spec": {"site": "https://jira.example", "auth": {"basic": {"secretRef": {"name": "s"}}}},
        "status": {"conditions": conditions},
    }))
    .unwrap()
}

const REJECTED: (&str, &str) = ("Stalled", "Rejected");
const SOON: (&str, &str) = ("RotationDue", "ExpiresSoon");

fn told(stage: &'static str, reason: &str) -> Vec<(&'static str, String)> {
    vec![(stage, reason.to_owned())]
}

#[tokio::test(start_paused = true)]
async fn programs_are_told_of_each_end_and_people_when_nothing_is_left_for_them() {
    let world = world(&[
        json!({"name": "json", "format": "json"}),
        json!({"name": "am", "format": "alertmanager"}),
        json!({"name": "chat", "format": "slack"}),
        json!({"name": "stalled", "format": "slack", "events": ["Stalled", "Resolved"]}),
    ]);
    world.see(1, &[REJECTED, SOON]);
    world.see(2, &[SOON]);
    assert_eq!(world.waits(0), told("resolved", "Rejected"));
    assert_eq!(world.waits(1), told("resolved", "Rejected"));
    assert_eq!(world.waits(2), []);
    assert_eq!(world.waits(3), told("resolved", "Rejected"));
    world.see(3, &[]);
    assert_eq!(world.waits(2), told("resolved", "ExpiresSoon"));
    assert_eq!(world.waits(3), []);
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_or_made_again_is_over() {
    let world = world(&[json!({"name": "chat", "format": "slack"})]);
    world.see(1, &[REJECTED]);
    world.notifier.forget("team", "bot");
    let messages = world.notifier.senders[0].waiting();
    assert_eq!(messages.len(), 1);
    assert!(messages[0].title().contains("bot is deleted"));
    assert_eq!(messages[0].site, "jira.example");
    world.see(2, &[REJECTED]);
    world.notifier.see(&object("b", 3, &[]));
    assert_eq!(world.waits(0), told("resolved", "Rejected"));
    // A standby tells nothing.
    world.see(4, &[REJECTED]);
    world.leads.store(false, Ordering::Relaxed);
    world.notifier.forget("team", "bot");
    assert_eq!(world.waits(0), []);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_lags_behind_our_own_write_takes_nothing_back() {
    let world = world(&[json!({"name": "json", "format": "json"})]);
    world.see(1, &[]);
    world.see(3, &[REJECTED]);
    assert_eq!(world.waits(0), told("firing", "Rejected"));
    world.see(2, &[]);
    assert_eq!(world.waits(0), []);
    // A backup of etcd was restored.
    tokio::time::advance(LONGEST_LAG).await;
    world.see(2, &[]);
    assert_eq!(world.waits(0), told("resolved", "Rejected"));
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_tells_what_it_has_just_seen_as_a_standby() {
    let world = world(&[json!({"name": "json", "format": "json"})]);
    world.leads.store(false, Ordering::Relaxed);
    world.see(1, &[]);
    world.see(2, &[SOON]);
    tokio::time::advance(SEEN_AS_STANDBY).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    world.see(3, &[SOON, REJECTED]);
    assert_eq!(world.waits(0), []);
    world.leads.store(true, Ordering::Relaxed);
    world.notifier.begin();
    assert_eq!(world.waits(0), told("firing", "Rejected"));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_process_waits_neither_for_a_dead_sink_nor_without_the_lease() {
    let start = Instant::now();
    let world = world(&[json!({"name": "json", "format": "json"})]);
    world.see(1, &[]);
    world.see(2, &[REJECTED]);
    world.leads.store(false, Ordering::Relaxed);
    world.notifier.finish(Duration::from_secs(5)).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    world.leads.store(true, Ordering::Relaxed);
    while world.notifier.senders[0].failures() == 0 {
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    world.notifier.finish(Duration::from_secs(5)).await;
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn reminders_come_a_whole_number_of_days_after_the_beginning() {
    let since = DateTime::UNIX_EPOCH;
    let at = |hours| since + TimeDelta::hours(hours);
    for (reminders, last, now, due) in [
        (Reminders::Daily, 23, 24, true),
        (Reminders::Daily, 24, 25, false),
        (Reminders::Daily, 1, 23, false),
        (Reminders::Daily, 24, 100, true),
        // The clock was set back.
        (Reminders::Daily, 49, 25, false),
        (Reminders::Daily, -30, -3, false),
        (Reminders::Weekly, 24, 48, false),
        (Reminders::Weekly, 167, 168, true),
        (Reminders::Never, 23, 400, false),
    ] {
        let found = is_due(reminders, since, at(last), at(now));
        assert_eq!(found, due, "{reminders:?} {last} {now}");
    }
}
