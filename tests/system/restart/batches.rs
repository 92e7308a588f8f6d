//! More than four workloads are restarted in batches.

use atlassian_sim::{Fault, Rule};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, WorkloadKind};
use serde_json::{Value, json};

use crate::oauth::RENEWAL_IS_DUE;
use crate::support::{Running, World, says};

const NAMES: [&str; 6] = ["one", "two", "three", "four", "five", "six"];

impl World {
    /// Creates six Deployments. Returns what `spec.restart` says of them.
    async fn six_workloads(&self) -> Vec<Value> {
        for name in NAMES {
            self.workload(WorkloadKind::Deployment, name).await;
        }
        let named = NAMES.map(|name| json!({"kind": "Deployment", "name": name}));
        named.into()
    }

    /// How often each of them was restarted.
    async fn restarts_of_six(&self) -> Vec<i64> {
        let mut all = Vec::new();
        for name in NAMES {
            all.push(self.rolled(WorkloadKind::Deployment, name).await.0);
        }
        all
    }

    async fn restarts_are_recorded(&self) -> bool {
        self.restart_status().await.revision.is_some()
    }

    /// Six workloads, of which four were restarted for another API token.
    async fn four_of_six(&self, operator: &Running) {
        let restart = self.six_workloads().await;
        self.token_with(operator, &restart).await;
        self.advance(TimeDelta::minutes(30));
        self.rotated(operator).await;
        assert_eq!(self.restarts_of_six().await, [1, 1, 1, 1, 0, 0]);
        assert!(!self.restarts_are_recorded().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn four_are_restarted_and_the_others_a_minute_later() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.four_of_six(&operator).await;
    let object = world.credential("bot").await;
    let ready = says(&object, ConditionType::Ready);
    assert_eq!(ready.status, ConditionStatus::True);
    let status = object.status.unwrap();
    assert_eq!(status.condition(ConditionType::Reconciling), None);
    assert_eq!(status.condition(ConditionType::RestartFailed), None);

    let mark = operator.mark();
    world.advance(TimeDelta::seconds(59));
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());

    let mark = operator.mark();
    world.advance(TimeDelta::seconds(1));
    operator.look_again(1).await;
    assert_eq!(
        operator.requests_since(mark),
        [
            "patch deployments",
            "patch deployments",
            "update jiracredentials/status"
        ]
    );
    assert_eq!(world.restarts_of_six().await, [1; 6]);
    assert!(world.restarts_are_recorded().await);

    let mark = operator.mark();
    world.advance(TimeDelta::minutes(5));
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_process_restarts_what_is_left_and_nothing_twice() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.four_of_six(&operator).await;
    operator.crash();
    world.advance(TimeDelta::seconds(90));
    let operator = world.operator().await;
    operator.look_again(1).await;
    assert_eq!(world.restarts_of_six().await, [1, 1, 1, 1, 0, 0]);
    world.advance(TimeDelta::minutes(1));
    operator.look_again(1).await;
    assert_eq!(world.restarts_of_six().await, [1; 6]);
    assert!(world.restarts_are_recorded().await);
}

/// The token before works for ten minutes after the renewal, not after the publication.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_late_publication_all_are_restarted_together() {
    for (late, restarts) in [(1, [1, 1, 1, 1, 0, 0]), (5, [1; 6])] {
        let world = World::new().await;
        let operator = world.operator().await;
        let restart = world.six_workloads().await;
        world.oauth("bot").await;
        world.change("bot", json!({"restart": restart})).await;
        world.wait_ready("bot").await;
        operator.quiet().await;

        let gateway = Rule::new(Fault::ServerError { status: 503 }).host(world.sim.gateway_host());
        let outage = world.sim.fault(gateway);
        let old = world.published("bot").await;
        world.advance(RENEWAL_IS_DUE);
        operator.look_again(1).await;
        assert_eq!(world.outcomes(), ["exchanged"; 2]);
        assert_eq!(world.published("bot").await, old);
        assert_eq!(world.restarts_of_six().await, [0; 6]);

        world.sim.remove_fault(outage.id());
        world.advance(TimeDelta::minutes(late));
        operator.look_again(1).await;
        assert_ne!(world.published("bot").await, old);
        assert_eq!(world.restarts_of_six().await, restarts, "{late}");
        operator.stop().await;
    }
}
