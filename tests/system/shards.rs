//! Two operators on one API server, each for the credentials with a label.

use atlassian_sim::{Fault, Rule};
use chrono::TimeDelta;
use jira_credential_operator::api::Reason;
use jira_credential_operator::cluster::Shard;
use jira_credential_operator::controller::OperatorConfig;
use serde_json::json;

use crate::oauth::{RENEWAL_IS_DUE, assert_none_was_spent_late};
use crate::support::{PATIENCE, Running, World, be_patient};

/// Longer than a credential waits that came from another shard.
const HANDED_OVER: TimeDelta = TimeDelta::seconds(61);

/// Longer than the operators wait for each other's intents.
const TAKEN_OVER: TimeDelta = TimeDelta::minutes(4);

fn serves(config: &mut OperatorConfig, selector: &str) {
    config.shard = Some(Shard::new(selector.parse().unwrap()));
}

/// The operators of the shards a and b.
async fn two(world: &World, change: impl Fn(&mut OperatorConfig)) -> [Running; 2] {
    let operator = async |selector| {
        let config = |config: &mut OperatorConfig| {
            serves(config, selector);
            change(config);
        };
        world.operator_with(config).await
    };
    [operator("shard=a").await, operator("shard=b").await]
}

async fn stop(operators: [Running; 2]) {
    for operator in operators {
        operator.stop().await;
    }
}

impl World {
    async fn assign(&self, name: &str, shard: &str) {
        self.label(name, json!({"shard": shard})).await;
    }
}

/// Whether an operator takes a credential for its own.
fn shows(world: &World, operator: &Running, name: &str) -> bool {
    let text = operator.metrics.render().unwrap();
    let namespace = &world.namespace;
    text.contains(&format!("namespace=\"{namespace}\",name=\"{name}\""))
}

/// Gives a credential to an operator, and lets it begin.
async fn hand_over(world: &World, name: &str, shard: &str, to: &Running) {
    world.assign(name, shard).await;
    let seen = || async { shows(world, to, name).then_some(()) };
    world.until("the label has arrived", seen).await;
    world.advance(HANDED_OVER);
    to.poke();
}

/// Waits until an operator knows that a credential is none of its own any more.
async fn leaves(world: &World, name: &str, operator: &Running) {
    let gone = || async { (!shows(world, operator, name)).then_some(()) };
    world.until("the operator has seen the label", gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operator_serves_what_matches_and_nothing_else() {
    let world = World::new().await;
    for name in ["one", "two", "none"] {
        world.api_token(name).await;
    }
    world.assign("one", "a").await;
    world.assign("two", "b").await;
    let [a, b] = two(&world, |_| {}).await;
    world.wait_ready("one").await;
    world.wait_ready("two").await;
    for operator in [&a, &b] {
        operator.poke();
        operator.quiet().await;
    }
    assert_eq!(world.calls(), 2);
    let shown =
        [&a, &b].map(|operator| ["one", "two", "none"].map(|name| shows(&world, operator, name)));
    assert_eq!(shown, [[true, false, false], [false, true, false]]);
    let untouched = world.credential("none").await.status.unwrap_or_default();
    assert!(untouched.conditions.is_empty(), "{untouched:?}");

    // Labelled later, it may come from another operator.
    world.assign("none", "b").await;
    let seen = || async { shows(&world, &b, "none").then_some(()) };
    world.until("the label has arrived", seen).await;
    b.poke();
    b.quiet().await;
    assert_eq!(world.calls(), 2);
    world.advance(HANDED_OVER);
    b.poke();
    world.wait_ready("none").await;
    assert_eq!(world.calls(), 3);

    // One that moves takes its series along.
    hand_over(&world, "none", "a", &a).await;
    leaves(&world, "none", &b).await;
    a.quiet().await;
    assert_eq!(world.calls(), 3, "nothing is due");
    stop([a, b]).await;
}

/// The answer is on its way to one operator when the credential becomes another's.
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_moves_during_a_renewal_has_its_token_spent_once() {
    for waits in [HANDED_OVER, TAKEN_OVER] {
        let world = World::new().await;
        let (_, consent) = world.oauth("bot").await;
        world.assign("bot", "a").await;
        let [a, b] = two(&world, be_patient).await;
        world.wait_ready("bot").await;
        a.quiet().await;
        let auth = Rule::new(Fault::HangAfter).host(world.sim.auth_host());
        let hang = world.sim.hang_after(auth);
        world.advance(RENEWAL_IS_DUE);
        a.poke();
        tokio::time::timeout(PATIENCE, hang.reached(1))
            .await
            .unwrap();
        let published = world.published("bot").await;
        hand_over(&world, "bot", "b", &b).await;
        leaves(&world, "bot", &a).await;
        b.quiet().await;
        assert_eq!(world.outcomes().len(), 2, "the other waits for the intent");
        let mark = a.mark();
        hang.release();
        a.quiet().await;
        // It stores the token and says so in the status; the other publishes it.
        let wrote = ["update secrets", "update jiracredentials/status"];
        assert_eq!(a.writes_since(mark), wrote);
        assert!(consent.holds_newest(&world.kept("bot").await));
        world.advance(waits);
        b.poke();
        world
            .until("the other publishes", || async {
                (world.published("bot").await != published).then_some(())
            })
            .await;
        world.wait_ready("bot").await;
        assert_eq!(world.outcomes(), vec!["exchanged"; 2]);
        assert_none_was_spent_late(&world);
        stop([a, b]).await;
    }
}

/// The same when nobody may tell whether a password was sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_moves_while_its_password_is_checked_needs_no_person() {
    let world = World::new().await;
    let right = world.data_center().new_password("robot");
    let [a, b] = two(&world, be_patient).await;
    let hang = world
        .sim
        .hang_after(Rule::new(Fault::HangAfter).host(world.data_center().host()));
    world.password("robot", "robot", &right).await;
    hand_over(&world, "robot", "a", &a).await;
    tokio::time::timeout(PATIENCE, hang.reached(1))
        .await
        .unwrap();
    world.assign("robot", "b").await;
    leaves(&world, "robot", &a).await;
    let seen = || async { shows(&world, &b, "robot").then_some(()) };
    world.until("the label has arrived", seen).await;
    b.poke();
    b.quiet().await;
    hang.release();
    a.quiet().await;
    world.advance(HANDED_OVER);
    b.poke();
    world.wait_ready("robot").await;
    assert_eq!(world.calls(), 1);
    stop([a, b]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refresh_token_in_two_shards_is_spent_once() {
    let world = World::new().await;
    let other = world.neighbour().await;
    let namespaces = vec![world.namespace.clone(), other.namespace.clone()];
    let (app, consent) = world.oauth("bot").await;
    world.assign("bot", "a").await;
    let operators = two(&world, |config| {
        config.watch_namespaces.clone_from(&namespaces);
    })
    .await;
    world.wait_ready("bot").await;
    world.advance(TimeDelta::minutes(11));
    other.seed("twin", &consent.refresh_token()).await;
    other.client_secret("twin", &app.secret()).await;
    other.create("twin", other.oauth_spec("twin", &app)).await;
    hand_over(&other, "twin", "b", &operators[1]).await;
    other.wait_unready("twin", Reason::GrantConflict).await;
    assert_eq!(world.outcomes(), ["exchanged"]);
    stop(operators).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stored_tokens_of_another_shard_are_not_taken_for_unused() {
    let world = World::new().await;
    world.oauth("bot").await;
    world.assign("bot", "a").await;
    let [a, b] = two(&world, |_| {}).await;
    world.wait_ready("bot").await;
    world.delete_secret("bot-seed").await;
    for _ in 0..3 {
        a.quiet().await;
        b.quiet().await;
        b.operator.collect_grants().await;
        world.advance(TimeDelta::hours(25));
    }
    b.operator.collect_grants().await;
    assert!(world.grant("bot").await.is_some());
    let wrote = b.writes_since(b.start);
    assert_eq!(wrote, Vec::<String>::new());
    stop([a, b]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_was_refused_in_one_shard_is_not_sent_in_another() {
    let world = World::new().await;
    let other = world.neighbour().await;
    let home = world.plane.namespace("home").await.unwrap();
    let namespaces = vec![world.namespace.clone(), other.namespace.clone()];
    let [a, b] = two(&world, |config| {
        config.namespace.clone_from(&home);
        config.watch_namespaces.clone_from(&namespaces);
    })
    .await;
    world.data_center().set_password("robot", "right");
    world.password("robot", "robot", "wrong").await;
    hand_over(&world, "robot", "a", &a).await;
    world.wait_unready("robot", Reason::Rejected).await;
    a.quiet().await;
    // In the same namespace, and in another one.
    for twin in [&world, &other] {
        twin.password("twin", "robot", "wrong").await;
        hand_over(twin, "twin", "b", &b).await;
    }
    for twin in [&world, &other] {
        twin.wait_unready("twin", Reason::Rejected).await;
    }
    assert_eq!(world.calls(), 1);

    // Asked by a person, each operator sends it once more.
    world.data_center().set_password("robot", "wrong");
    for (name, operator) in [("robot", &a), ("twin", &b)] {
        world.annotate(name, "jira-operator.dev/renew", "now").await;
        world.wait_ready(name).await;
        operator.quiet().await;
    }
    assert_eq!(world.calls(), 3);
    stop([a, b]).await;
}
