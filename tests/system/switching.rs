//! A credential that changes its method: the new one is published once it is proven, and nothing of
//! the old one is left.

use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use serde_json::{Map, Value, json};

use crate::support::{World, keys, says};

const MEMBERS: [&str; 7] = [
    "apiToken",
    "oauth2",
    "clientCredentials",
    "personalAccessToken",
    "basic",
    "session",
    "oauth1",
];

/// One way to authenticate.
struct Way {
    member: &'static str,
    /// What the spec says of it, beside the Secret.
    more: Value,
    /// Whether the operator keeps something for it.
    kept: bool,
    keys: &'static [&'static str],
}

const PAT: &[&str] = &[
    "accountId",
    "authorization",
    "scheme",
    "site",
    "token",
    "url",
];
const PAT_WITH_END: &[&str] = &[
    "accountId",
    "authorization",
    "expiresAt",
    "scheme",
    "site",
    "token",
    "url",
];
const BASIC: &[&str] = &[
    "accountId",
    "authorization",
    "password",
    "scheme",
    "site",
    "url",
    "username",
];
const SESSION: &[&str] = &[
    "JSESSIONID",
    "accountId",
    "cookie",
    "expiresAt",
    "scheme",
    "site",
    "url",
];

fn ways() -> Vec<Way> {
    let way = |member, more, kept, keys| Way {
        member,
        more,
        kept,
        keys,
    };
    let manual = || json!({"rotation": "Manual", "expiresAt": null});
    let end = json!({"rotation": "Automatic", "expiresAt": "2027-03-01T00:00:00Z"});
    vec![
        way("personalAccessToken", manual(), false, PAT),
        way("personalAccessToken", end, true, PAT_WITH_END),
        way("basic", json!({}), false, BASIC),
        way("session", json!({}), true, SESSION),
        way("personalAccessToken", manual(), false, PAT),
        way("session", json!({}), true, SESSION),
        way("basic", json!({}), false, BASIC),
    ]
}

impl World {
    /// What the spec says of a method whose Secret has this name.
    fn auth_of(way: &Way, secret: &str) -> Value {
        let mut method = way.more.clone();
        if way.member == "personalAccessToken" {
            method["tokenSecretRef"] = json!({"name": secret, "key": "token"});
        } else {
            method["secretRef"] = json!({"name": secret});
        }
        let mut auth: Map<String, Value> = MEMBERS
            .iter()
            .map(|member| ((*member).to_owned(), Value::Null))
            .collect();
        auth.insert(way.member.to_owned(), method);
        Value::Object(auth)
    }

    async fn fill(&self, way: &Way, secret: &str, value: &str) {
        if way.member == "personalAccessToken" {
            self.secret(secret, &[("token", value)]).await;
        } else {
            let login = [("username", "robot"), ("password", value)];
            self.secret(secret, &login).await;
        }
    }

    async fn data(&self) -> Value {
        json!(self.secrets().get("bot").await.unwrap().data)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_method_is_published_once_proven_and_leaves_nothing_of_the_one_before() {
    let world = World::new().await;
    let operator = world.operator().await;
    let jira = world.data_center().captcha_after(None);
    let password = jira.new_password("robot");
    for (n, way) in ways().iter().enumerate() {
        let secret = format!("source-{n}");
        let right = match way.member {
            "personalAccessToken" => jira.pat("robot").secret().to_owned(),
            _ => password.clone(),
        };
        let auth = World::auth_of(way, &secret);
        if n == 0 {
            world.fill(way, &secret, &right).await;
            let spec = json!({"site": jira.url(), "auth": {way.member: auth[way.member]}});
            world.create("bot", spec).await;
        } else {
            let before = world.data().await;
            world.fill(way, &secret, &format!("wrong-{n}")).await;
            world.change("bot", json!({"auth": auth})).await;
            let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
            world.wait("bot", kind, status, Reason::Rejected).await;
            operator.quiet().await;
            assert_eq!(world.data().await, before, "{n}: unproven, unpublished");
            world.fill(way, &secret, &right).await;
        }
        world.wait_ready("bot").await;
        operator.quiet().await;
        let object = world.wait_ready("bot").await;
        let published = world.secrets().get("bot").await.unwrap();
        assert_eq!(keys(&published), way.keys, "{n}");
        let rotation = says(&object, ConditionType::RotationDue);
        assert!(
            matches!(rotation.reason, Reason::NotDue | Reason::ExpiryUnknown),
            "{n}: {rotation:?}"
        );
        let status = object.status.unwrap();
        assert_eq!(status.grant.is_some(), way.kept, "{n}");
        assert_eq!(status.attempt, None, "{n}");
        let end = way.keys.contains(&"expiresAt");
        assert_eq!(status.expires_at.is_some(), end, "{n}");
        assert_eq!(status.next_renewal_time.is_some(), way.kept, "{n}");
        let method = status.method.unwrap();
        assert_eq!(
            format!("{method:?}").to_lowercase(),
            way.member.to_lowercase()
        );
    }
}
