//! What was replaced, published beside its successor for as long as it works.

mod access_tokens;

use chrono::TimeDelta;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::support::{Running, World, keys, value};

impl World {
    async fn tokens_shown(&self) -> [String; 3] {
        let secret = self.secrets().get("bot").await.unwrap();
        ["token", "previous.token", "previous.authorization"].map(|key| value(&secret, key))
    }

    async fn previous(&self) -> Vec<String> {
        let secret = self.secrets().get("bot").await.unwrap();
        let keys = keys(&secret).into_iter();
        let previous = keys.filter(|key| key.starts_with("previous."));
        previous.map(str::to_owned).collect()
    }

    async fn look_until_no_previous(&self, operator: &Running) {
        for _ in 0..8 {
            if self.previous().await.is_empty() {
                return;
            }
            self.advance(TimeDelta::minutes(3));
            operator.look_again(1).await;
        }
        panic!("{:?}", self.previous().await);
    }
}

fn keeping(mut spec: Value) -> Value {
    spec["targets"] = json!([{"name": "bot", "keepPrevious": true}]);
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_token_is_published_until_it_is_revoked() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.made_by_hand("bot").await;
    let spec = keeping(world.automatic_spec("bot"));
    world.create("bot", spec).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(world.previous().await, [""; 0], "nothing was replaced");
    world.advance(TimeDelta::days(76));
    let mark = operator.mark();
    operator.look_again(1).await;
    world.until_other("bot", "token", token.secret()).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let [second, previous, header] = world.tokens_shown().await;
    assert_ne!(second, token.secret());
    assert_eq!(previous, token.secret());
    assert_eq!(header, format!("Bearer {}", token.secret()));
    let writes = operator.writes_since(mark);
    let patches = writes.iter().filter(|write| *write == "patch secrets");
    assert_eq!(patches.count(), 1, "in one write: {writes:?}");
    // Another process knows it from the grant, and writes nothing; it repairs what a person has removed.
    operator.stop().await;
    let operator = world.operator().await;
    operator.look_again(1).await;
    assert_eq!(operator.writes_since(operator.start), [""; 0]);
    let damage = json!({"data": {"previous.token": null}});
    world.edit_secret("bot", damage).await;
    world
        .until_value("bot", "previous.token", token.secret())
        .await;
    operator.quiet().await;
    assert!(world.data_center().pats_of("robot").len() > 1);
    // It goes with the token.
    world.look_until_no_previous(&operator).await;
    assert_eq!(world.data_center().pats_of("robot").len(), 1);
    assert_eq!(
        world.tokens_shown().await,
        [second, String::new(), String::new()]
    );
    operator.quiet().await;
    let before = world.secrets().get("bot").await.unwrap();
    operator.look_again(1).await;
    let after = world.secrets().get("bot").await.unwrap();
    assert_eq!(after.resource_version(), before.resource_version());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_session_is_published_until_it_is_ended_where_that_is_wanted() {
    let world = World::new().await;
    let operator = world.operator().await;
    let password = world.data_center().new_password("robot");
    world.login_secret("bot", "robot", &password).await;
    let mut spec = world.session_spec("bot");
    spec["targets"] = json!([{"name": "bot", "keepPrevious": true}, {"name": "plain"}]);
    world.create("bot", spec).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let first = value(&world.secrets().get("bot").await.unwrap(), "cookie");
    let renewal = world.credential("bot").await.status.unwrap();
    world.advance(renewal.next_renewal_time.unwrap() - world.clock.now() + TimeDelta::seconds(1));
    operator.look_again(1).await;
    world.until_other("bot", "cookie", &first).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let secret = world.secrets().get("bot").await.unwrap();
    assert_eq!(value(&secret, "previous.cookie"), first);
    assert_eq!(world.previous().await, ["previous.cookie"]);
    let plain = world.secrets().get("plain").await.unwrap();
    assert_eq!(value(&plain, "cookie"), value(&secret, "cookie"));
    assert!(!keys(&plain).contains(&"previous.cookie"));
    world.look_until_no_previous(&operator).await;
    assert_eq!(world.data_center().logins_and_logouts(), (2, 1));
}
