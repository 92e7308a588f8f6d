//! Secrets that their owners let the operator read, where the administrator requires that.

use jira_credential_operator::api::{ConditionType, Reason};
use serde_json::json;

use crate::support::{Running, World, says};

async fn operator(world: &World) -> Running {
    world
        .operator_with(|config| config.require_source_label = true)
        .await
}

impl World {
    async fn mark_source(&self, secret: &str, value: Option<&str>) {
        let labels = json!({"metadata": {"labels": {"jira-operator.dev/source": value}}});
        self.edit_secret(secret, labels).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_used_while_it_has_the_label() {
    let world = World::new().await;
    let operator = operator(&world).await;
    world.api_token("bot").await;
    let object = world.wait_unready("bot", Reason::SourceNotAllowed).await;
    let words = [
        "Secret bot-source",
        "jira-operator.dev/source=true",
        "--require-source-label",
        "set the label",
    ];
    let message = says(&object, ConditionType::Ready).message;
    for word in words {
        assert!(message.contains(word), "{word}: {message}");
    }
    // A second user: what a label changes is then found out by reading the Secret once for both.
    world
        .create("twin", {
            let mut spec = world.api_token_spec("bot");
            spec["targets"] = json!([{"name": "twin"}]);
            spec
        })
        .await;
    world.wait_unready("twin", Reason::SourceNotAllowed).await;
    world.mark_source("bot-source", Some("yes")).await;
    operator.quiet().await;
    assert_eq!(world.calls(), 0);

    world.mark_source("bot-source", Some("true")).await;
    world.wait_ready("bot").await;
    world.wait_ready("twin").await;
    let (calls, published) = (world.calls(), world.published("bot").await);
    world.mark_source("bot-source", None).await;
    for name in ["bot", "twin"] {
        world.wait_unready(name, Reason::SourceNotAllowed).await;
    }
    assert_eq!(world.calls(), calls);
    assert_eq!(world.published("bot").await, published);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_spent_and_no_password_is_sent_before_every_secret_has_the_label() {
    let world = World::new().await;
    let operator = operator(&world).await;
    world.oauth("bot").await;
    let right = world.data_center().new_password("robot");
    world.session("robot", "robot", &right).await;
    let other = world.data_center().new_password("other");
    world.password("basic", "other", &other).await;
    for name in ["bot", "robot", "basic"] {
        world.wait_unready(name, Reason::SourceNotAllowed).await;
    }
    world.mark_source("bot-seed", Some("true")).await;
    operator.quiet().await;
    world.wait_unready("bot", Reason::SourceNotAllowed).await;
    assert_eq!(world.outcomes(), Vec::<String>::new());
    assert_eq!(
        (world.calls(), world.data_center().logins_and_logouts()),
        (0, (0, 0))
    );

    for secret in ["bot-client", "robot-login", "basic-source"] {
        world.mark_source(secret, Some("true")).await;
    }
    for name in ["bot", "robot", "basic"] {
        world.wait_ready(name).await;
    }
    operator.stop().await;
}
