//! How old a green status can be: what fails beside a credential that is ready is said at once, and
//! what was accepted again costs no write.

use std::time::{Duration, Instant};

use atlassian_sim::{Fault, Rule};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, JiraCredential, Reason};
use serde_json::json;

use crate::oauth::RENEWAL_IS_DUE;
use crate::support::{Running, World, says};

/// The interval of a token when the spec does not say.
const INTERVAL: TimeDelta = TimeDelta::minutes(15);

impl World {
    /// An API token that is validated as often as is usual.
    async fn usual(&self, name: &str) -> atlassian_sim::Token {
        let token = self.cloud().api_token(&format!("{name}@acme.example"));
        self.secret(&format!("{name}-source"), &[("token", token.secret())])
            .await;
        let mut spec = self.api_token_spec(name);
        spec["validation"] = json!({"interval": "15m"});
        self.create(name, spec).await;
        self.wait_ready(name).await;
        token
    }

    /// Waits until `bot` is Ready and something fails for this reason.
    async fn fails_beside_ready(&self, reason: Reason) -> JiraCredential {
        let (kind, status) = (ConditionType::Reconciling, ConditionStatus::True);
        let object = self.wait("bot", kind, status, reason).await;
        let ready = says(&object, ConditionType::Ready);
        assert_eq!(ready.status, ConditionStatus::True, "{}", ready.message);
        object
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_beside_ready_is_told_at_once_and_so_is_its_end() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.usual("bot").await;
    let site = world.cloud();
    let rule = Rule::new(Fault::ServerError { status: 500 }).host(site.host());
    let outage = world.sim.fault(rule);
    world.advance(INTERVAL);
    operator.look_again(1).await;
    let object = world.fails_beside_ready(Reason::SiteUnavailable).await;
    let ready = says(&object, ConditionType::Ready);
    assert_eq!(
        (ready.status, ready.reason),
        (ConditionStatus::True, Reason::Validated)
    );
    let cause = says(&object, ConditionType::Reconciling).message;
    assert!(cause.contains("server error 500"), "{cause}");
    for text in [&cause, &ready.message] {
        assert!(text.contains("two validation intervals"), "{text}");
    }

    // The first retry comes within seconds, and says nothing new.
    let calls = world.calls();
    world.advance(TimeDelta::seconds(7));
    operator.look_again(1).await;
    assert_eq!(world.calls(), calls + 1);

    // With age the cause stays.
    world.advance(INTERVAL * 2);
    operator.look_again(1).await;
    let object = world
        .wait(
            "bot",
            ConditionType::Ready,
            ConditionStatus::Unknown,
            Reason::SiteUnavailable,
        )
        .await;
    let text = says(&object, ConditionType::Ready).message;
    assert!(text.contains("server error 500"), "{text}");
    world.until_told("bot", "Validated SiteUnavailable").await;

    outage.remove();
    world.advance(INTERVAL * 2);
    operator.look_again(1).await;
    world.wait_ready("bot").await;
    world
        .until_told("bot", "Validated SiteUnavailable Validated")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requested_validation_stays_open_until_jira_answers() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.usual("bot").await;
    let site = world.cloud();
    let rule = Rule::new(Fault::ServerError { status: 502 }).host(site.host());
    let outage = world.sim.fault(rule);
    world
        .annotate("bot", "jira-operator.dev/renew", "now")
        .await;
    let status = world
        .until_status("bot", "the request is pending", |status| {
            status.pending_renew.as_deref() == Some("now")
        })
        .await
        .status
        .unwrap();
    assert_eq!(status.last_handled_renew, None);
    let told = status.condition(ConditionType::Reconciling).unwrap();
    assert!(
        told.message.contains("is pending until Jira answers"),
        "{}",
        told.message
    );
    outage.remove();
    world.advance(TimeDelta::seconds(7));
    operator.look_again(1).await;
    let status = world
        .until_status("bot", "the request is handled", |status| {
            status.last_handled_renew.as_deref() == Some("now")
        })
        .await
        .status
        .unwrap();
    assert_eq!(status.pending_renew, None);
    assert_eq!(status.condition(ConditionType::Reconciling), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_that_changes_nothing_is_written_once_an_hour() {
    let world = World::new().await;
    let mut operator = world.operator().await;
    world.usual("bot").await;
    operator.quiet().await;
    let start = world.clock.now();
    let exact = |operator: &Running| {
        let text = operator.metrics.render().unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("jira_credential_last_validated_timestamp_seconds{"));
        line.unwrap()
            .rsplit(' ')
            .next()
            .unwrap()
            .parse::<i64>()
            .unwrap()
    };
    for quarter in 1..=3 {
        let mark = operator.mark();
        world.advance(INTERVAL);
        operator.look_again(1).await;
        assert_eq!(
            operator.writes_since(mark),
            Vec::<String>::new(),
            "{quarter}"
        );
        assert_eq!(world.calls(), 1 + quarter);
        assert_eq!(exact(&operator), world.clock.now().timestamp());
    }
    let mark = operator.mark();
    world.advance(INTERVAL);
    operator.look_again(1).await;
    assert_eq!(
        operator.writes_since(mark),
        ["update jiracredentials/status"]
    );

    // A new process knows the record only, and looks for itself before it says that it is too old.
    for _ in 0..3 {
        world.advance(INTERVAL);
        operator.look_again(1).await;
    }
    operator.stop().await;
    operator = world.operator().await;
    operator.quiet().await;
    let object = world.credential("bot").await;
    assert_eq!(
        says(&object, ConditionType::Ready).status,
        ConditionStatus::True
    );
    world.until_told("bot", "Validated").await;
    assert_eq!(world.clock.now() - start, INTERVAL * 7);
    assert_eq!(exact(&operator), world.clock.now().timestamp());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_client_secret_is_noticed_when_it_happens() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (app, _) = world.oauth("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let calls = world.calls();
    world.delete_secret("bot-client").await;
    let object = world.fails_beside_ready(Reason::SourceMissing).await;
    assert_eq!(
        says(&object, ConditionType::Ready).status,
        ConditionStatus::True
    );
    let text = says(&object, ConditionType::Reconciling).message;
    assert!(
        text.contains("the Secret bot-client does not exist"),
        "{text}"
    );
    assert_eq!(world.calls(), calls, "nothing is asked for it");
    world.client_secret("bot", &app.secret()).await;
    world
        .until_status("bot", "it is back", |status| {
            status.condition(ConditionType::Reconciling).is_none()
        })
        .await;
    world
        .until_told("bot", "Validated SourceMissing Validated")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cause_of_a_failing_renewal_is_told_while_the_token_lives() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.oauth("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    for (fault, words) in [
        (Fault::ServerError { status: 503 }, "it has the status 503"),
        (Fault::DropBefore, "the connection broke"),
    ] {
        let rule = Rule::new(fault).host(world.sim.auth_host());
        let outage = world.sim.fault(rule);
        world.advance(RENEWAL_IS_DUE);
        operator.look_again(1).await;
        let object = world.fails_beside_ready(Reason::SiteUnavailable).await;
        let ready = says(&object, ConditionType::Ready);
        assert_eq!(ready.status, ConditionStatus::True, "{}", ready.message);
        let text = says(&object, ConditionType::Reconciling).message;
        assert!(text.contains(words), "{text}");
        assert!(text.contains("until the current token expires"), "{text}");

        // A reconcile that asks nobody says the same.
        operator.look_again(1).await;
        let object = world.credential("bot").await;
        assert_eq!(says(&object, ConditionType::Reconciling).message, text);

        outage.remove();
        world.advance(TimeDelta::minutes(2));
        operator.look_again(1).await;
        world
            .until_status("bot", "it is renewed", |status| {
                status.condition(ConditionType::Reconciling).is_none()
            })
            .await;
    }
    world
        .until_told(
            "bot",
            "Validated SiteUnavailable Validated SiteUnavailable Validated",
        )
        .await;
}

/// How many credentials live through the long outage; `JCO_OUTAGE_OF=1000 cargo test --test system
/// freshness::a_long_outage -- --nocapture` prints what a thousand ask for when it ends.
fn many() -> u64 {
    std::env::var("JCO_OUTAGE_OF").map_or(60, |many| many.parse().unwrap())
}

/// Looks on while `until` happens; returns the requests in all, and the most within a second.
async fn requests_until(operator: &Running, until: impl Future<Output = ()>) -> (usize, usize) {
    let begin = operator.mark();
    let (mut all, mut most) = (0, 0);
    let mut count = || {
        let now = operator.requests_since(begin).len();
        most = most.max(now - all);
        all = now;
    };
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let mut until = std::pin::pin!(until);
    loop {
        tokio::select! {
            () = &mut until => break count(),
            _ = ticks.tick() => count(),
        }
    }
    (all, most)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_outage_is_told_once_for_each_of_many_credentials() {
    let many = many();
    let world = World::new().await;
    let operator = world.operator().await;
    let names: Vec<String> = (0..many).map(|n| format!("bot-{n}")).collect();
    let mut published = Vec::new();
    for name in &names {
        world.usual(name).await;
        published.push(world.secrets().get(name).await.unwrap());
    }
    let reconciling = async |status: Option<ConditionStatus>| {
        for name in &names {
            world
                .until_status(name, "what it waits for is said", |found| {
                    let found = found.condition(ConditionType::Reconciling);
                    found.map(|found| found.status) == status
                })
                .await;
        }
    };
    let site = world.cloud();
    let rule = Rule::new(Fault::ServerError { status: 500 }).host(site.host());
    let outage = world.sim.fault(rule);
    world.advance(INTERVAL);
    operator.look_again(many).await;
    reconciling(Some(ConditionStatus::True)).await;
    for _ in 0..3 {
        world.advance(TimeDelta::minutes(10));
        operator.look_again(many).await;
    }
    outage.remove();
    let started = Instant::now();
    let (requests, most) = requests_until(&operator, async {
        world.advance(INTERVAL);
        operator.look_again(many).await;
        reconciling(None).await;
    })
    .await;
    println!(
        "{many} credentials, all due at once: {requests} requests in {:.1?}, at most {most} in a second",
        started.elapsed()
    );
    // Read the source, report, write the status; and once more where the end of the outage met a retry.
    assert!(requests as u64 <= 4 * many, "{requests}");
    for (name, before) in names.iter().zip(published) {
        world
            .until_told(name, "Validated SiteUnavailable Validated")
            .await;
        assert_eq!(world.secrets().get(name).await.unwrap(), before, "{name}");
    }
}
