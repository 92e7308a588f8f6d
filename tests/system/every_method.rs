//! One credential of every method, side by side.

use atlassian_sim::LinkKey;
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use serde_json::{Value, json};

use crate::support::{World, keys, says, value};

const REDIRECT: &str = "https://app.example/callback";

impl World {
    async fn everything_on_cloud(&self) {
        self.api_token("api-token").await;
        self.oauth("consent").await;
        let scopes = ["read:jira-work", "read:jira-user"];
        let service = self.cloud().service_client("service", &scopes);
        self.client_secret("service", &service.secret()).await;
        let spec = json!({
            "site": self.cloud().url(),
            "hosting": "Cloud",
            "auth": {"clientCredentials": {
                "clientId": service.client_id(),
                "clientSecretRefs": [{"name": "service-client", "key": "secret"}],
            }},
        });
        self.create("service", spec).await;
    }

    async fn everything_on_data_center(&self) {
        let jira = self.data_center();
        self.pat("token").await;
        let minting = jira.pat("minting");
        self.sim
            .expire_at(&minting, self.clock.now() + TimeDelta::days(90));
        self.secret("minting-pat", &[("token", minting.secret())])
            .await;
        let reference = json!({"name": "minting-pat", "key": "token"});
        let token = json!({"tokenSecretRef": reference, "rotation": "Automatic"});
        self.on_data_center("minting", json!({"personalAccessToken": token}))
            .await;
        self.password("password", "robot", &jira.new_password("robot"))
            .await;
        let login = [
            ("username", "cookie"),
            ("password", &jira.new_password("cookie")),
        ];
        self.secret("cookie-login", &login).await;
        let session = json!({"session": {"secretRef": {"name": "cookie-login"}}});
        self.on_data_center("cookie", session).await;
        let key = LinkKey::generate().unwrap();
        let access = jira.application_link("sync", &key).authorize("robot");
        let link = [
            ("privateKey", &*key.private_pem()),
            ("token", access.token.secret()),
            ("tokenSecret", access.token_secret()),
        ];
        self.secret("link", &link).await;
        let oauth1 = json!({"consumerKey": "sync", "secretRef": {"name": "link"}});
        self.on_data_center("signed", json!({"oauth1": oauth1}))
            .await;
        let app = jira.oauth_link(&[REDIRECT]);
        let consent = jira.consent(&app, "own", &["WRITE"]);
        self.seed("own", &consent.refresh_token()).await;
        self.client_secret("own", &app.secret()).await;
        let oauth2 = json!({
            "clientId": app.client_id(),
            "clientSecretRefs": [{"name": "own-client", "key": "secret"}],
            "refreshTokenSecretRef": {"name": "own-seed", "key": "refresh-token"},
            "redirectUri": REDIRECT,
        });
        self.on_data_center("own", json!({"oauth2": oauth2})).await;
        let eleven = self.sim.data_center("eleven").version("11.3.5");
        let service = eleven.service_client("robot", &["READ"]);
        self.client_secret("own-service", &service.secret()).await;
        let spec = json!({
            "site": eleven.url(),
            "hosting": "DataCenter",
            "auth": {"clientCredentials": {
                "clientId": service.client_id(),
                "clientSecretRefs": [{"name": "own-service-client", "key": "secret"}],
                "scopes": ["READ"],
            }},
        });
        self.create("own-service", spec).await;
    }

    async fn on_data_center(&self, name: &str, auth: Value) {
        let site = self.data_center().url();
        let spec = json!({"site": site, "hosting": "DataCenter", "auth": auth});
        self.create(name, spec).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_of_every_method_is_proven_published_and_left_in_peace() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.everything_on_cloud().await;
    world.everything_on_data_center().await;
    let all = [
        ("api-token", "Basic"),
        ("consent", "Bearer"),
        ("service", "Bearer"),
        ("token", "Bearer"),
        ("minting", "Bearer"),
        ("password", "Basic"),
        ("cookie", "Cookie"),
        ("signed", "OAuth"),
        ("own", "Bearer"),
        ("own-service", "Bearer"),
    ];
    for (name, scheme) in all {
        let object = world.wait_ready(name).await;
        assert_eq!(
            says(&object, ConditionType::RotationDue).reason,
            Reason::NotDue,
            "{name}"
        );
        let published = world.secrets().get(name).await.unwrap();
        assert_eq!(value(&published, "scheme"), scheme, "{name}");
        for key in ["url", "site", "accountId"] {
            assert!(keys(&published).contains(&key), "{name}: {key}");
        }
    }
    operator.quiet().await;
    let (mark, calls) = (operator.mark(), world.calls());
    operator.look_again(10).await;
    assert_eq!(operator.writes_since(mark), Vec::<String>::new());
    assert_eq!(world.calls(), calls);
    // Some hours later whatever renews itself has done so, and the rest was proven again.
    for _ in 0..5 {
        world.advance(TimeDelta::minutes(55));
        operator.look_again(10).await;
        operator.quiet().await;
    }
    for (name, _) in all {
        let (kind, status) = (ConditionType::Ready, ConditionStatus::True);
        world.wait(name, kind, status, Reason::Proven).await;
    }
    assert_eq!(world.data_center().logins_and_logouts().0, 2);
}
