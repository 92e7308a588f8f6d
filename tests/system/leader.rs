//! What a process does before it leads, and what it still does when it does not lead any more. The test
//! plays the election.

use std::time::Duration;

use atlassian_sim::{Fault, Rule};
use chrono::TimeDelta;
use control_plane::faults::{Fault as ApiFault, Requests, Verb};
use jira_credential_operator::api::{
    Attempt, AttemptOutcome, ConditionStatus, ConditionType, Reason,
};
use jira_credential_operator::clock::Clock;
use jira_credential_operator::cluster::{
    Cluster, ClusterError, Leadership, Standing, fingerprint_key,
};
use jira_credential_operator::controller::{Operator, OperatorConfig, StartError};
use jira_credential_operator::core::facts::TimeScale;
use jira_credential_operator::ops::metrics::Metrics;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::oauth::{RENEWAL_IS_DUE, assert_none_was_spent_late};
use crate::support::{OPERATOR, PATIENCE, Running, World, be_patient};

/// A replica and who decides whether it leads.
struct Replica {
    standing: watch::Sender<Standing>,
    operator: Running,
}

impl Replica {
    /// A replica that stands by.
    async fn new(world: &World) -> Self {
        Self::with(world, |_| {}).await
    }

    async fn with(world: &World, change: impl FnOnce(&mut OperatorConfig)) -> Self {
        let home = Cluster::new(world.client.clone(), PATIENCE);
        fingerprint_key(&home, OPERATOR).await.unwrap();
        let (standing, leadership) = Leadership::elected();
        let elected = |config: &mut OperatorConfig| {
            config.leadership = leadership;
            change(config);
        };
        let operator = world.operator_with(elected).await;
        Self { standing, operator }
    }

    fn leads(&self) {
        let until = Instant::now() + Duration::from_secs(3600);
        self.standing.send_replace(Standing::Leads { until });
    }

    fn loses(&self) {
        self.standing.send_replace(Standing::Over);
    }

    /// The lease is lost while the API server holds back an answer, which arrives then.
    async fn loses_what_was_held(&mut self) {
        self.loses();
        self.operator.faults.heal();
        self.ends().await;
    }

    fn shows(&self, leader: u8) -> bool {
        let text = self.operator.metrics.render().unwrap();
        let line = format!("jira_credential_leader {leader}");
        text.lines().any(|shown| shown == line)
    }

    fn shows_credentials(&self) -> bool {
        let text = self.operator.metrics.render().unwrap();
        text.contains("jira_credential_info{")
    }

    /// Waits until it has ended by itself.
    async fn ends(&mut self) {
        let ended = self.operator.ended().unwrap();
        tokio::time::timeout(PATIENCE, ended)
            .await
            .unwrap()
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_ready_and_does_nothing_until_it_leads() {
    let world = World::new().await;
    world.api_token("static").await;
    world.password("robot", "robot", "wrong").await;
    world.oauth("bot").await;
    let replica = Replica::new(&world).await;
    world.label("static", serde_json::json!({"a": "b"})).await;
    replica.operator.poke();
    replica.operator.quiet().await;
    assert!(replica.operator.operator.is_ready());
    let standing = replica.operator.operator.standing();
    assert_eq!(standing, Some(Standing::Standby));
    assert_eq!((replica.operator.passes(), world.calls()), (0, 0));
    // It has read the key of the fingerprints and what was refused; it has made nothing.
    let writes = replica.operator.writes_since(replica.operator.start);
    assert_eq!(writes, Vec::<String>::new());
    assert!(world.events("static").await.is_empty());
    assert!(replica.shows(0) && !replica.shows_credentials());

    replica.leads();
    world.wait_ready("static").await;
    world.wait_ready("bot").await;
    assert!(replica.shows(1) && replica.shows_credentials());
    replica.operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_leaves_it_to_the_leader_to_make_the_key_of_the_fingerprints() {
    let world = World::new().await;
    let home = world.plane.namespace("home").await.unwrap();
    let (standing, leadership) = Leadership::elected();
    let config = OperatorConfig {
        namespace: home.clone(),
        leadership,
        ..world.config()
    };
    let start = async || {
        let (client, metrics) = (world.client.clone(), Metrics::default().into());
        Operator::new(config.clone(), client, Clock::system(), metrics).await
    };
    let error = start().await.err().unwrap();
    assert!(error.is_passing());
    assert!(matches!(error, StartError::Key(ClusterError::NotLeading)));
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &home);
    let made = async || secrets.list(&ListParams::default()).await.unwrap().items;
    assert!(made().await.is_empty());
    let until = Instant::now() + Duration::from_secs(60);
    standing.send_replace(Standing::Leads { until });
    assert!(start().await.is_ok());
    assert_eq!(made().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_leaders_at_rest_writes_nothing_and_calls_nobody() {
    let world = World::new().await;
    let first = Replica::new(&world).await;
    first.leads();
    world.api_token("static").await;
    world.oauth("bot").await;
    let right = world.data_center().new_password("robot");
    world.password("robot", "robot", &right).await;
    let second = Replica::new(&world).await;
    for name in ["static", "bot", "robot"] {
        world.wait_ready(name).await;
    }
    first.operator.quiet().await;
    first.operator.stop().await;
    second.operator.quiet().await;

    let (mark, calls) = (second.operator.mark(), world.sim.calls().len());
    second.leads();
    world
        .until("everything is looked at", || async {
            (second.operator.passes() >= 3).then_some(())
        })
        .await;
    second.operator.quiet().await;
    // One look at what its predecessor has recorded, and none at any source.
    assert_eq!(second.operator.requests_since(mark), ["get secrets"]);
    assert_eq!(world.sim.calls().len(), calls);
    second.operator.stop().await;
}

/// The answer is on its way when the lease is lost: it is stored, as nobody else can have it. What follows
/// from it is left to the next leader.
#[tokio::test(flavor = "multi_thread")]
async fn who_loses_the_lease_during_a_renewal_stores_the_answer_and_does_nothing_else() {
    let world = World::new().await;
    let mut first = Replica::with(&world, be_patient).await;
    let second = Replica::new(&world).await;
    first.leads();
    let (_, consent) = world.oauth("bot").await;
    world.wait_ready("bot").await;
    first.operator.quiet().await;
    let auth = Rule::new(Fault::HangAfter).host(world.sim.auth_host());
    let hang = world.sim.hang_after(auth);
    world.advance(RENEWAL_IS_DUE);
    first.operator.poke();
    tokio::time::timeout(PATIENCE, hang.reached(1))
        .await
        .unwrap();
    let (published, mark) = (world.published("bot").await, first.operator.mark());
    first.loses();
    hang.release();
    first.ends().await;
    assert_eq!(first.operator.writes_since(mark), ["update secrets"]);
    assert!(consent.holds_newest(&world.kept("bot").await));
    assert_eq!(world.published("bot").await, published);
    assert!(first.operator.operator.unfinished_renewals().is_empty());

    second.leads();
    world
        .until("the next leader publishes", || async {
            (world.published("bot").await != published).then_some(())
        })
        .await;
    world.wait_ready("bot").await;
    assert_eq!(world.outcomes(), vec!["exchanged"; 2]);
    second.operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_the_lease_before_the_call_spends_nothing() {
    let world = World::new().await;
    let mut first = Replica::new(&world).await;
    let second = Replica::new(&world).await;
    first.leads();
    let (_, consent) = world.oauth("bot").await;
    world.wait_ready("bot").await;
    first.operator.quiet().await;
    // The intent stands, and the process hears of that when it has lost the lease.
    let intend = Requests::verb(Verb::Update).resource("secrets");
    let faults = &first.operator.faults;
    faults.add(intend, 1..=1, ApiFault::HoldAfter);
    world.advance(RENEWAL_IS_DUE);
    first.operator.poke();
    world
        .until("the intent stands", || async {
            let grant = world.grant("bot").await?;
            (!grant["intent"].is_null()).then_some(())
        })
        .await;
    first.loses_what_was_held().await;
    assert_eq!(world.outcomes(), ["exchanged"], "the first token");
    let grant = world.grant("bot").await.unwrap();
    assert!(grant["intent"].is_null(), "it is taken back: {grant}");

    second.leads();
    for _ in 0..3 {
        second.operator.look_again(1).await;
        world.advance(TimeDelta::seconds(60));
    }
    second.operator.look_again(1).await;
    world.wait_ready("bot").await;
    assert_eq!(world.outcomes(), vec!["exchanged"; 2]);
    assert!(consent.holds_newest(&world.kept("bot").await));
    assert_none_was_spent_late(&world);
    second.operator.stop().await;
}

/// An attempt that stands without an answer needs a person: it must not stand when nothing was sent.
#[tokio::test(flavor = "multi_thread")]
async fn who_loses_the_lease_before_a_password_is_sent_takes_the_attempt_back() {
    let world = World::new().await;
    let mut first = Replica::with(&world, be_patient).await;
    let second = Replica::new(&world).await;
    first.leads();
    let record = Requests::verb(Verb::Update).resource("jiracredentials/status");
    let faults = &first.operator.faults;
    faults.add(record, 1..=1, ApiFault::HoldAfter);
    let right = world.data_center().new_password("robot");
    world.password("robot", "robot", &right).await;
    let attempt = async || {
        let status = world.credential("robot").await.status?;
        status.attempt
    };
    world.until("the attempt stands", attempt).await;
    first.loses_what_was_held().await;
    assert_eq!(world.calls(), 0);
    let left = attempt().await;
    let started = |attempt: &Attempt| attempt.outcome == AttemptOutcome::Started;
    assert!(!left.as_ref().is_some_and(started), "{left:?}");

    second.leads();
    for _ in 0..2 {
        second.operator.look_again(1).await;
        world.advance(TimeDelta::minutes(10));
    }
    second.operator.look_again(1).await;
    world.wait_ready("robot").await;
    assert_eq!(world.calls(), 1);
    second.operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_the_lease_before_a_login_takes_the_intent_back() {
    let world = World::new().await;
    let mut first = Replica::with(&world, be_patient).await;
    let second = Replica::new(&world).await;
    first.leads();
    let jira = world.data_center();
    let right = jira.new_password("robot");
    world.session("bot", "robot", &right).await;
    world.wait_ready("bot").await;
    first.operator.quiet().await;
    let intend = Requests::verb(Verb::Update).resource("secrets");
    let faults = &first.operator.faults;
    faults.add(intend, 1..=1, ApiFault::HoldAfter);
    world.advance(TimeDelta::minutes(250));
    first.operator.poke();
    let standing = async || {
        let grant = world.login_grant("bot").await?;
        (!grant["intent"].is_null()).then_some(())
    };
    world.until("the intent stands", standing).await;
    first.loses_what_was_held().await;
    assert_eq!(standing().await, None);
    assert_eq!(jira.logins_and_logouts(), (1, 0));

    second.leads();
    world
        .until("the next leader logs in", || async {
            second.operator.look_again(1).await;
            world.advance(TimeDelta::seconds(20));
            (jira.logins_and_logouts() == (2, 0)).then_some(())
        })
        .await;
    world.wait_ready("bot").await;
    second.operator.stop().await;
}

/// Nobody waits for a process that has lost its lease to end: it keeps what it has received for longer
/// than after SIGTERM.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_received_is_kept_after_the_loss_until_it_can_be_stored() {
    let world = World::new().await;
    // After SIGTERM it would be kept for a second.
    let hurried = |config: &mut OperatorConfig| {
        be_patient(config);
        config.time_scale = TimeScale(110);
    };
    let mut first = Replica::with(&world, hurried).await;
    first.leads();
    let (_, consent) = world.oauth("bot").await;
    world.wait_ready("bot").await;
    first.operator.quiet().await;
    let auth = Rule::new(Fault::HangAfter).host(world.sim.auth_host());
    let hang = world.sim.hang_after(auth);
    world.advance(RENEWAL_IS_DUE);
    first.operator.poke();
    tokio::time::timeout(PATIENCE, hang.reached(1))
        .await
        .unwrap();
    let store = Requests::verb(Verb::Update).resource("secrets");
    let before = first.operator.faults.count(&store);
    first
        .operator
        .faults
        .add(store.clone(), .., ApiFault::Status(503));
    first.loses();
    hang.release();
    world
        .until("it is tried again and again", || async {
            (first.operator.faults.count(&store) >= before + 6).then_some(())
        })
        .await;
    assert!(!first.operator.operator.unfinished_renewals().is_empty());
    first.operator.faults.heal();
    first.ends().await;
    assert!(consent.holds_newest(&world.kept("bot").await));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_about_a_password_outlives_the_loss_of_the_lease() {
    for (password, reason) in [(None, Reason::Validated), (Some("wrong"), Reason::Rejected)] {
        let world = World::new().await;
        let mut first = Replica::with(&world, be_patient).await;
        let second = Replica::new(&world).await;
        first.leads();
        let right = world.data_center().new_password("robot");
        let hang = Rule::new(Fault::HangAfter).user("robot");
        let hang = world.sim.hang_after(hang);
        let sent = password.unwrap_or(&right);
        world.password("robot", "robot", sent).await;
        tokio::time::timeout(PATIENCE, hang.reached(1))
            .await
            .unwrap();
        let mark = first.operator.mark();
        first.loses();
        hang.release();
        first.ends().await;
        let writes = first.operator.writes_since(mark);
        let (status, others) = writes.split_first().unwrap();
        assert_eq!(status, "update jiracredentials/status", "{reason:?}");
        // What was refused is recorded for the other namespaces, too.
        let recorded = others.iter().all(|write| write.ends_with(" secrets"));
        assert!(
            recorded && others.is_empty() == password.is_none(),
            "{writes:?}"
        );

        second.leads();
        let status = match password {
            None => ConditionStatus::True,
            Some(_) => ConditionStatus::False,
        };
        world
            .wait("robot", ConditionType::Ready, status, reason)
            .await;
        second.operator.quiet().await;
        assert_eq!(world.calls(), 1, "{reason:?}: nobody sends it again");
        second.operator.stop().await;
    }
}

/// What a standby read when it started is old when it takes over.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_was_refused_under_the_predecessor_is_not_sent_again_in_any_namespace() {
    for loses in [false, true] {
        let world = World::alone().await;
        let neighbour = world.neighbour().await;
        let everywhere = |config: &mut OperatorConfig| config.watch_namespaces.clear();
        let mut first = Replica::with(&world, everywhere).await;
        first.leads();
        let second = Replica::with(&world, everywhere).await;
        world.password("a", "robot", "wrong").await;
        let (kind, no) = (ConditionType::Ready, ConditionStatus::False);
        world.wait("a", kind, no, Reason::Rejected).await;
        if loses {
            // Before it is time to record refusals.
            first.loses();
            first.ends().await;
        } else {
            first.operator.quiet().await;
            first.operator.stop().await;
        }
        second.leads();
        neighbour.password("b", "robot", "wrong").await;
        neighbour.wait("b", kind, no, Reason::Rejected).await;
        assert_eq!(world.calls(), 1, "{loses}");
        second.operator.stop().await;
    }
}

/// What a standby has heard over time is not what stands there when it takes over.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_was_accepted_in_the_end_is_not_taken_for_refused() {
    let world = World::new().await;
    let first = Replica::new(&world).await;
    first.leads();
    let jira = world.data_center();
    let password = "the-one-of-tomorrow";
    jira.set_password("robot", "the-one-of-today");
    world.password("robot", "robot", password).await;
    world.wait_unready("robot", Reason::Rejected).await;
    // It lists what stands there now, and hears of what comes later.
    let second = Replica::new(&world).await;
    jira.set_password("robot", password);
    world
        .annotate("robot", "jira-operator.dev/renew", "now")
        .await;
    world.wait_ready("robot").await;
    first.operator.quiet().await;
    second.operator.quiet().await;
    first.operator.stop().await;
    second.leads();
    world.password("twin", "robot", password).await;
    world.wait_ready("twin").await;
    world.wait_ready("robot").await;
    second.operator.stop().await;
}
