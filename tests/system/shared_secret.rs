//! Many credentials that read one Secret: what is no change of its contents costs next to nothing, and
//! a change is validated once.

use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use serde_json::json;

use crate::support::{Running, World, value};

const USERS: usize = 12;

impl World {
    /// Credentials that all use the token in the Secret `shared`.
    async fn users_of_one_secret(&self) -> atlassian_sim::Token {
        let token = self.data_center().pat("robot");
        self.secret("shared", &[("token", token.secret())]).await;
        for number in 0..USERS {
            let mut spec = self.pat_spec("bot");
            spec["auth"]["personalAccessToken"]["tokenSecretRef"]["name"] = json!("shared");
            self.create(&name(number), spec).await;
        }
        self.all_ready().await;
        token
    }

    async fn all_ready(&self) {
        for number in 0..USERS {
            self.wait_ready(&name(number)).await;
        }
    }

    /// Sets a label of the shared Secret. Returns the requests that follow.
    async fn label_the_secret(&self, operator: &Running, value: &str) -> Vec<String> {
        operator.quiet().await;
        let mark = operator.mark();
        let labels = json!({"metadata": {"labels": {"team": value}}});
        self.edit_secret("shared", labels).await;
        self.until("the Secret is looked at", || async {
            (!operator.requests_since(mark).is_empty()).then_some(())
        })
        .await;
        operator.quiet().await;
        operator.requests_since(mark)
    }
}

fn name(number: usize) -> String {
    format!("bot-{number}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_costs_one_read_and_no_write() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.users_of_one_secret().await;
    let calls = world.calls();
    for label in ["payments", "billing"] {
        let requests = world.label_the_secret(&operator, label).await;
        assert_eq!(requests, ["get secrets"]);
    }
    // A new process has read nothing yet: each looks, at most twice, and none writes.
    operator.stop().await;
    let operator = world.operator().await;
    operator.quiet().await;
    let requests = operator.requests_since(operator.start);
    assert!(requests.iter().all(|request| request == "get secrets"));
    assert!(requests.len() <= 2 * USERS + 1, "{requests:?}");
    let requests = world.label_the_secret(&operator, "sales").await;
    assert_eq!(requests, ["get secrets"]);
    assert_eq!(world.calls(), calls, "Jira is not asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_is_validated_once_and_published_for_all() {
    let world = World::new().await;
    let operator = world.operator().await;
    let first = world.users_of_one_secret().await;
    assert_eq!(world.calls_with(&first), 1);
    let second = world.data_center().pat("robot");
    let data = json!({"stringData": {"token": second.secret()}});
    world.edit_secret("shared", data).await;
    for number in 0..USERS {
        world
            .until_value(&name(number), "token", second.secret())
            .await;
    }
    operator.quiet().await;
    assert_eq!(world.calls_with(&second), 1);

    // One that Jira refuses is refused once, and nobody's Secret changes.
    let data = json!({"stringData": {"token": "no-token-of-jira"}});
    let calls = world.calls();
    world.edit_secret("shared", data).await;
    for number in 0..USERS {
        let (kind, status) = (ConditionType::Valid, ConditionStatus::False);
        world
            .wait(&name(number), kind, status, Reason::Rejected)
            .await;
        let secret = world.secrets().get(&name(number)).await.unwrap();
        assert_eq!(value(&secret, "token"), second.secret());
    }
    operator.quiet().await;
    assert_eq!(world.calls(), calls + 1);
}
