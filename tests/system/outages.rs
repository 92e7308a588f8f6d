//! Outages: what Jira does not answer is no verdict on a credential.

use jira_credential_operator::core::time;
use std::time::Duration;

use atlassian_sim::{Canned, CloudSite, Fault, Rule};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, JiraCredential, Reason};
use jira_credential_operator::jira::HostPolicy;
use serde_json::json;

use crate::support::{Running, World, says};

/// More than an interval and its splay.
const INTERVAL: TimeDelta = TimeDelta::minutes(67);

impl World {
    /// An API token on a site of its own, so that the outage of one is not that of another.
    async fn on_own_site(&self, name: &str) -> CloudSite {
        self.on_site(&self.sim.cloud_site(name), name).await
    }

    async fn on_site(&self, site: &CloudSite, name: &str) -> CloudSite {
        let token = site.api_token(&format!("{name}@acme.example"));
        self.secret(&format!("{name}-source"), &[("token", token.secret())])
            .await;
        let mut spec = self.api_token_spec(name);
        spec["site"] = json!(site.url());
        self.create(name, spec).await;
        site.clone()
    }

    fn calls_to(&self, site: &CloudSite) -> usize {
        self.calls_for(site.host())
    }

    async fn unknown(&self, name: &str, reason: Reason) -> JiraCredential {
        let (kind, status) = (ConditionType::Valid, ConditionStatus::Unknown);
        self.wait(name, kind, status, reason).await
    }
}

/// Name, what goes wrong, and what is said of it.
fn outages() -> Vec<(&'static str, Fault, Reason, &'static str)> {
    let redirect = Fault::Redirect {
        status: 302,
        location: "https://login.example/".into(),
    };
    let proxy = Fault::Canned(Canned {
        status: 401,
        headers: [(
            "WWW-Authenticate".to_owned(),
            "Basic realm=proxy".to_owned(),
        )]
        .into(),
        body: "<html>".into(),
    });
    let limited = |retry_after| Fault::RateLimit {
        retry_after,
        html: false,
    };
    let unavailable = |retry_after| Fault::Unavailable { retry_after };
    let (site, rate) = (Reason::SiteUnavailable, Reason::RateLimited);
    vec![
        (
            "e500",
            Fault::ServerError { status: 500 },
            site,
            "server error 500",
        ),
        (
            "e502",
            Fault::ServerError { status: 502 },
            site,
            "server error 502",
        ),
        ("e503", unavailable(None), site, "server error 503"),
        ("e503-wait", unavailable(Some(60)), site, "is unavailable"),
        ("e429", limited(None), rate, "limits the rate"),
        ("e429-zero", limited(Some(0)), rate, "limits the rate"),
        ("e429-wait", limited(Some(300)), rate, "limits the rate"),
        ("timeout", Fault::HangBefore, site, "did not answer in time"),
        ("lost", Fault::DropAfter, site, "broke before the answer"),
        ("html", Fault::HtmlPage, site, "a web page instead of data"),
        (
            "garbage",
            Fault::GarbageJson,
            site,
            "JSON that is cut off or damaged",
        ),
        ("redirect", redirect, site, "a redirect"),
        (
            "endless",
            Fault::EndlessBody,
            site,
            "more data than a Jira user has",
        ),
        ("proxy", proxy, site, "unexpected status 401"),
        ("tls", Fault::TlsAbort, site, "No connection"),
        ("certificate", Fault::TlsExpired, site, "certificate"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_leaves_a_validated_credential_alone_for_two_intervals_and_is_no_verdict_then() {
    let world = World::new().await;
    let operator = world.operator().await;
    let cases = outages();
    let all = cases.len() as u64;
    let mut credentials = Vec::new();
    for (name, fault, reason, words) in cases {
        let site = world.on_own_site(name).await;
        credentials.push((name, site, fault, reason, words));
    }
    let mut published = Vec::new();
    for (name, ..) in &credentials {
        world.wait_ready(name).await;
        published.push(world.secrets().get(name).await.unwrap());
    }
    for (_, site, fault, ..) in &credentials {
        world.sim.fault(Rule::new(fault.clone()).host(site.host()));
    }
    world.sim.cut_connections();
    // The first failure: everything stays Ready, and the next attempt is written down.
    world.advance(INTERVAL);
    operator.look_again(all).await;
    let mut calls = Vec::new();
    for (name, site, ..) in &credentials {
        let object = failed(&world, name, 1).await;
        assert_eq!(
            says(&object, ConditionType::Ready).reason,
            Reason::Validated
        );
        let attempt = object.status.unwrap().attempt.unwrap();
        let wait = attempt.next_attempt_time.unwrap() - world.clock.now();
        let (least, most) = match *name {
            "e503-wait" => (60, 60),
            "e429-wait" => (300, 300),
            _ => (5, 6),
        };
        assert!(
            (least..=most).contains(&wait.num_seconds()),
            "{name}: {wait}"
        );
        calls.push(world.calls_to(site));
    }
    // The back-off holds, over a restart as well.
    operator.look_again(all).await;
    operator.crash();
    let operator = world.operator().await;
    world.advance(TimeDelta::seconds(4));
    operator.look_again(all).await;
    let again: Vec<usize> = credentials
        .iter()
        .map(|(_, site, ..)| world.calls_to(site))
        .collect();
    assert_eq!(again, calls);
    // After two intervals the last validation is too old.
    world.advance(TimeDelta::hours(1));
    operator.look_again(all).await;
    for ((name, _, _, reason, words), published) in credentials.iter().zip(&published) {
        failed(&world, name, 2).await;
        let object = world.unknown(name, *reason).await;
        let ready = says(&object, ConditionType::Ready);
        assert_eq!(
            (ready.status, ready.reason),
            (ConditionStatus::Unknown, *reason),
            "{name}"
        );
        assert!(ready.message.contains(words), "{name}: {}", ready.message);
        assert_eq!(says(&object, ConditionType::Reconciling).reason, *reason);
        assert_eq!(
            says(&object, ConditionType::Published).status,
            ConditionStatus::True
        );
        assert!(
            world.secrets().get(name).await.unwrap() == *published,
            "{name}"
        );
    }
    // It ends: one call each.
    world.sim.clear_faults();
    let calls: Vec<usize> = credentials
        .iter()
        .map(|(_, site, ..)| world.calls_to(site))
        .collect();
    world.advance(TimeDelta::hours(1));
    operator.look_again(all).await;
    for ((name, site, _, reason, _), calls) in credentials.iter().zip(calls) {
        let status = world.wait_ready(name).await.status.unwrap();
        assert_eq!(status.attempt, None, "{name}");
        assert_eq!(world.calls_to(site), calls + 1, "{name}");
        let told = format!("Validated {reason:?} Validated");
        world.until_told(name, &told).await;
    }
}

/// Waits for the outcome of so many failed calls; some of them time out.
async fn failed(world: &World, name: &str, times: i32) -> JiraCredential {
    world
        .until_status(name, "the call has failed", |status| {
            let attempt = status.attempt.as_ref();
            attempt.is_some_and(|attempt| attempt.failures == times)
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_without_an_address_is_an_outage() {
    let world = World::new().await;
    let names = ["*.cloud.localhost", "*.acme.invalid"];
    let operator = world
        .operator_with(|config| {
            config.hosts = HostPolicy::parse(names, ["*.dc.localhost"]).unwrap();
        })
        .await;
    world.api_token("bot").await;
    world.wait_ready("bot").await;
    let published = world.secrets().get("bot").await.unwrap();
    let nowhere = json!({"site": "https://jira.acme.invalid"});
    world.change("bot", nowhere).await;
    let object = world.unknown("bot", Reason::SiteUnavailable).await;
    let message = says(&object, ConditionType::Valid).message;
    assert!(
        message.contains("jira.acme.invalid does not resolve"),
        "{message}"
    );
    operator.look_again(1).await;
    assert!(world.secrets().get("bot").await.unwrap() == published);
    world
        .change("bot", json!({"site": world.cloud().url()}))
        .await;
    world.wait_ready("bot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_several_accounts_are_told_to_wait_all_of_their_namespace_wait() {
    let world = World::new().await;
    let operator = world.operator().await;
    let site = world.cloud();
    for name in ["first", "second"] {
        world.on_site(&site, name).await;
        world.wait_ready(name).await;
    }
    let other = world.on_own_site("elsewhere").await;
    world.wait_ready("elsewhere").await;
    let fault = Fault::RateLimit {
        retry_after: Some(1200),
        html: false,
    };
    let limit = world.sim.fault(Rule::new(fault).host(site.host()).times(2));
    for name in ["first", "second"] {
        world.annotate(name, "jira-operator.dev/renew", "now").await;
        world
            .until_status(name, "the request waits for an answer", |status| {
                status.pending_renew.is_some()
            })
            .await;
    }
    assert_eq!(limit.hits(), 2);
    let calls = world.calls_to(&site);
    // A newcomer waits, too; another site does not.
    world.on_site(&site, "third").await;
    let object = world.unknown("third", Reason::RateLimited).await;
    assert_eq!(
        says(&object, ConditionType::Reconciling).reason,
        Reason::RateLimited
    );
    world
        .annotate("elsewhere", "jira-operator.dev/renew", "now")
        .await;
    // However long Jira asked for, a quarter of an hour is the most.
    world.advance(TimeDelta::seconds(899));
    operator.look_again(4).await;
    assert_eq!(world.calls_to(&site), calls);
    assert_eq!(world.calls_to(&other), 2);
    for name in ["first", "second"] {
        world.wait_ready(name).await;
    }
    world.advance(TimeDelta::seconds(1));
    operator.look_again(4).await;
    world.wait_ready("third").await;
    assert_eq!(world.calls_to(&site), calls + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_gets_so_many_calls_at_a_time() {
    let world = World::new().await;
    let operator = world
        .operator_with(|config| {
            config.max_concurrent_reconciles = 2;
            config.max_concurrent_calls_per_site = 2;
            config.jira.timeouts.read = Duration::from_secs(20);
            config.jira.timeouts.total = Duration::from_secs(20);
        })
        .await;
    let (full, free) = (world.cloud(), world.sim.cloud_site("free"));
    let hang = world
        .sim
        .hang_before(Rule::new(Fault::HangBefore).host(full.host()).times(6));
    let names = ["a", "b", "c", "d", "e", "f"];
    for name in names {
        world.on_site(&full, name).await;
    }
    hang.reached(2).await;
    world.on_site(&free, "free").await;
    world.wait_ready("free").await;
    operator.quiet().await;
    assert_eq!(hang.hits(), 2, "the others wait in line");
    hang.release();
    for name in names {
        world.wait_ready(name).await;
    }
    assert_eq!(world.calls_to(&full), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_reaches_its_stated_end_during_an_outage_is_neither_good_nor_bad() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.cloud().api_token("bot@acme.example");
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    let mut spec = world.api_token_spec("bot");
    let end = world.clock.now() + INTERVAL + TimeDelta::minutes(20);
    spec["auth"]["apiToken"]["expiresAt"] = json!(end);
    world.create("bot", spec).await;
    world.wait_ready("bot").await;
    let published = world.secrets().get("bot").await.unwrap();
    world
        .sim
        .fault(Rule::new(Fault::ServerError { status: 500 }));
    world.advance(INTERVAL);
    operator.look_again(1).await;
    world.wait_ready("bot").await;
    world.advance(TimeDelta::minutes(20));
    operator.look_again(1).await;
    let object = world.unknown("bot", Reason::SiteUnavailable).await;
    assert_eq!(
        says(&object, ConditionType::RotationDue).reason,
        Reason::Expired
    );
    assert!(world.secrets().get("bot").await.unwrap() == published);
    // Its end is what Jira says it is.
    world.sim.clear_faults();
    world.advance(TimeDelta::hours(1));
    operator.look_again(1).await;
    world.wait_ready("bot").await;
    world.sim.revoke(&token);
    world.advance(INTERVAL);
    operator.look_again(1).await;
    let (kind, status) = (ConditionType::Valid, ConditionStatus::False);
    world.wait("bot", kind, status, Reason::Expired).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wait_doubles_with_every_failure_up_to_an_hour() {
    let world = World::new().await;
    let operator = world.operator().await;
    let site = world.on_own_site("bot").await;
    let object = world.wait_ready("bot").await;
    let uid = object.metadata.uid.unwrap();
    world
        .sim
        .fault(Rule::new(Fault::ServerError { status: 500 }));
    world.advance(INTERVAL);
    operator.look_again(1).await;
    for failures in 1..=10 {
        let attempt = attempt(&world, &operator).await;
        assert_eq!(attempt.failures, failures);
        let wait = attempt.next_attempt_time.unwrap() - world.clock.now();
        let expected = time::probe_backoff(failures, TimeDelta::hours(1), &uid);
        assert_eq!(wait, expected, "after {failures}");
        world.advance(wait - TimeDelta::seconds(1));
        operator.look_again(1).await;
        assert_eq!(
            world.calls_to(&site),
            usize::try_from(failures).unwrap() + 1
        );
        world.advance(TimeDelta::seconds(1));
        operator.look_again(1).await;
    }
}

async fn attempt(world: &World, operator: &Running) -> jira_credential_operator::api::Attempt {
    operator.quiet().await;
    let object = world.credential("bot").await;
    object.status.unwrap().attempt.unwrap()
}
