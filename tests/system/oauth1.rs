//! OAuth 1.0a: signed requests, and the parts of them in a published Secret.

use std::sync::Arc;

use atlassian_sim::{AccessToken, ApplicationLink, Canned, DataCenter, Fault, LinkKey, Rule};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, MethodName, Reason};
use jira_credential_operator::clock::Clock;
use jira_credential_operator::core::probe::Verdict;
use jira_credential_operator::core::spec::{RsaKey, Site};
use jira_credential_operator::jira::{Credential, Jira, Signer};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::support::{World, says, value};

use ConditionStatus::{False, True, Unknown};
use ConditionType::{Ready, RotationDue, Valid};

mod changes;

/// A link with a user behind it, and a credential that uses them.
struct Stage {
    world: World,
    jira: DataCenter,
    key: LinkKey,
    link: ApplicationLink,
    access: AccessToken,
}

impl Stage {
    async fn new() -> Self {
        let world = World::new().await;
        let jira = world.data_center();
        let key = LinkKey::generate().unwrap();
        let link = jira.application_link("sync", &key);
        let access = link.authorize("robot");
        Self {
            world,
            jira,
            key,
            link,
            access,
        }
    }

    fn spec(&self, fields: &Value) -> Value {
        let mut oauth1 = json!({"consumerKey": "sync", "secretRef": {"name": "link"}});
        for (name, field) in fields.as_object().unwrap() {
            oauth1[name] = field.clone();
        }
        json!({"site": self.jira.url(), "auth": {"oauth1": oauth1}})
    }

    async fn store(&self, private_key: &str) {
        let access = &self.access;
        let data = [
            ("privateKey", private_key),
            ("token", access.token.secret()),
            ("tokenSecret", access.token_secret()),
        ];
        self.world.secret("link", &data).await;
    }

    async fn create(&self) {
        self.store(&self.key.private_pem()).await;
        self.world.create("sync", self.spec(&json!({}))).await;
    }

    async fn published(&self) -> Secret {
        self.world.secrets().get("sync").await.unwrap()
    }

    /// Neither status nor events repeat a part of the credential, or the server's base string.
    async fn nothing_leaked(&self) {
        let object = self.world.credential("sync").await;
        let told = serde_json::to_string(&object.status).unwrap();
        let events = serde_json::to_string(&self.world.events("sync").await).unwrap();
        let key = self.key.private_pem();
        let body = key.lines().nth(1).unwrap();
        for secret in [self.access.token.secret(), self.access.token_secret(), body] {
            assert!(!told.contains(secret) && !events.contains(secret), "{told}");
        }
        assert!(!told.contains("oauth_") && !told.contains("GET&"), "{told}");
    }
}

/// What a consumer makes of a published Secret: it signs with its parts and nothing else.
pub(crate) async fn consume(world: &World, secret: &Secret) -> Verdict {
    let read = |key: &str| value(secret, key);
    assert_eq!(read("scheme"), "OAuth");
    assert_eq!(read("signatureMethod"), "RSA-SHA1");
    let jira = Jira::new(world.config().jira, Clock::standing_at(world.clock.now())).unwrap();
    let spec = json!({"site": read("url"), "auth": {"basic": {"secretRef": {"name": "x"}}}});
    let site = Site::of(&serde_json::from_value(spec).unwrap()).unwrap();
    let credential = Credential::Signed(Signer {
        consumer_key: read("consumerKey"),
        token: read("token").into(),
        key: Arc::new(RsaKey::from_pem(&read("privateKey")).unwrap()),
    });
    jira.whoami(&site, None, &credential).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_request_validates_and_the_parts_are_published() {
    let stage = Stage::new().await;
    let world = &stage.world;
    let operator = world.operator().await;
    stage.create().await;
    let object = world.wait_ready("sync").await;
    let status = object.status.as_ref().unwrap();
    let key = stage.jira.user_key("robot");
    assert_eq!(status.method, Some(MethodName::OAuth1));
    assert_eq!(status.account.as_ref().unwrap().id, key);
    assert_eq!(
        status.expires_at, None,
        "nobody said when the token was given"
    );
    operator.quiet().await;
    assert_eq!(world.calls(), 1);
    let secret = stage.published().await;
    let keys: Vec<&str> = secret
        .data
        .as_ref()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = "accountId consumerKey hosting privateKey scheme signatureMethod site token tokenSecret url";
    assert_eq!(keys.join(" "), expected);
    assert_eq!(value(&secret, "url"), stage.jira.url());
    assert_eq!(value(&secret, "accountId"), key);
    assert_eq!(
        value(&secret, "privateKey"),
        stage.key.private_pem().trim_end()
    );
    assert!(
        matches!(consume(world, &secret).await, Verdict::Accepted(account) if account.id == key)
    );
    // The same key in its older form, and no secret of the token: validated and published again.
    let data = [
        ("privateKey", stage.key.private_pem_pkcs1()),
        ("token", stage.access.token.secret().to_owned()),
    ];
    let data = data.each_ref().map(|(key, text)| (*key, text.as_str()));
    world.delete_secret("link").await;
    world.secret("link", &data).await;
    let older = stage.key.private_pem_pkcs1();
    let secret = world
        .until_value("sync", "privateKey", older.trim_end())
        .await;
    assert!(!secret.data.as_ref().unwrap().contains_key("tokenSecret"));
    assert!(matches!(
        consume(world, &secret).await,
        Verdict::Accepted(_)
    ));
    stage.nothing_leaked().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_of_the_account_are_asked_about_in_signed_requests_too() {
    let stage = Stage::new().await;
    let world = &stage.world;
    let _operator = world.operator().await;
    stage.store(&stage.key.private_pem()).await;
    let mut spec = stage.spec(&json!({}));
    spec["validation"] = json!({"requiredPermissions": ["BROWSE_PROJECTS", "CREATE_ISSUES"]});
    world.create("sync", spec).await;
    world.wait_ready("sync").await;
    // The query is signed along; anonymous would have been told less.
    assert!(world.questions() > 0);
    let needed = json!({"validation": {"requiredPermissions": ["SYSTEM_ADMIN"]}});
    world.change("sync", needed).await;
    world
        .wait("sync", Ready, False, Reason::PermissionMissing)
        .await;
}

/// Each way to be refused at first sight, its reason, and a word of what is said.
#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_reason_and_publishes_nothing() {
    let stage = Stage::new().await;
    let (world, jira) = (&stage.world, &stage.jira);
    let _operator = world.operator().await;
    let stranger = LinkKey::generate().unwrap().private_pem();
    let own = stage.key.private_pem();
    let revoked = stage.link.authorize("robot");
    world.sim.revoke(&revoked.token);
    let ended = stage.link.authorize("robot");
    world.sim.expire_at(&ended.token, world.clock.now());
    let elsewhere = jira
        .application_link("other", &stage.key)
        .authorize("robot");
    let good = stage.access.token.secret();
    for (name, consumer, key, token, reason, said) in [
        (
            "unknown",
            "nobody",
            &own,
            good,
            Reason::ClientRejected,
            "consumerKey",
        ),
        (
            "key",
            "sync",
            &stranger,
            good,
            Reason::SignatureRejected,
            "private key",
        ),
        (
            "revoked",
            "sync",
            &own,
            revoked.token.secret(),
            Reason::Rejected,
            "revoked",
        ),
        (
            "ended",
            "sync",
            &own,
            ended.token.secret(),
            Reason::Rejected,
            "expired",
        ),
        (
            "other",
            "sync",
            &own,
            elsewhere.token.secret(),
            Reason::Rejected,
            "application link",
        ),
        (
            "mistyped",
            "sync",
            &own,
            "no-such-token",
            Reason::Rejected,
            "OAuth 1.0a",
        ),
    ] {
        let source = format!("{name}-link");
        let data = [("privateKey", key.as_str()), ("token", token)];
        world.secret(&source, &data).await;
        let mut spec = stage.spec(&json!({"consumerKey": consumer}));
        spec["auth"]["oauth1"]["secretRef"] = json!({"name": source});
        world.create(name, spec).await;
        let object = world.wait(name, Valid, False, reason).await;
        let message = says(&object, Ready).message;
        assert!(message.contains(said), "{name}: {message}");
        assert_eq!(
            says(&object, ConditionType::Stalled).reason,
            reason,
            "{name}"
        );
        assert!(world.secrets().get_opt(name).await.unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_none_is_told_without_a_call() {
    let stage = Stage::new().await;
    let world = &stage.world;
    let _operator = world.operator().await;
    stage.store(&stage.key.public_pem()).await;
    world.create("sync", stage.spec(&json!({}))).await;
    let wait = |reason| world.wait("sync", Ready, False, reason);
    let object = wait(Reason::SourceMalformed).await;
    let message = says(&object, Ready).message;
    assert!(
        message.contains("privateKey") && message.contains("Secret link"),
        "{message}"
    );
    world.secret("link", &[("token", "t")]).await;
    wait(Reason::SourceMissing).await;
    assert_eq!(world.calls(), 0);
    stage.store(&stage.key.private_pem()).await;
    world.wait_ready("sync").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_says_nothing_of_the_credential() {
    let stage = Stage::new().await;
    let world = &stage.world;
    let operator = world.operator().await;
    stage.create().await;
    world.wait_ready("sync").await;
    let before = stage.published().await;
    // Jira's clock is set, the operator's goes on.
    world.clock.advance(TimeDelta::minutes(70));
    operator.look_again(1).await;
    assert_eq!(world.calls(), 2);
    world.wait_ready("sync").await;
    world.clock.advance(TimeDelta::minutes(60));
    operator.look_again(1).await;
    let object = world.wait("sync", Ready, Unknown, Reason::ClockSkew).await;
    let message = says(&object, Valid).message;
    assert!(
        message.contains("NTP") && message.contains("still hold the last"),
        "{message}"
    );
    assert_eq!(stage.published().await.data, before.data);
    stage.nothing_leaked().await;
    // Somebody sets the clocks.
    world.advance(TimeDelta::hours(2));
    operator.look_again(1).await;
    world.wait_ready("sync").await;
    // One that was never validated waits in the same way.
    world.clock.advance(TimeDelta::minutes(6));
    world.create("new", stage.spec(&json!({}))).await;
    world.wait("new", Ready, False, Reason::ClockSkew).await;
    world.advance(TimeDelta::minutes(1));
    operator.look_again(2).await;
    world.wait_ready("new").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_jira_takes_for_an_old_one_is_made_again() {
    let stage = Stage::new().await;
    let world = &stage.world;
    let operator = world.operator().await;
    let form = "application/x-www-form-urlencoded";
    for word in ["nonce_used", "parameter_absent"] {
        let canned = Canned {
            status: 401,
            headers: [("content-type".to_owned(), form.to_owned())].into(),
            body: format!("oauth_problem={word}"),
        };
        let rule = Rule::new(Fault::Canned(canned)).host(stage.jira.host());
        world.sim.fault(rule.once());
    }
    stage.create().await;
    for seen in 1..=2 {
        world
            .wait("sync", Valid, Unknown, Reason::SiteUnavailable)
            .await;
        operator.quiet().await;
        assert_eq!(world.calls(), seen);
        world.advance(TimeDelta::minutes(2));
        operator.look_again(1).await;
    }
    world.wait_ready("sync").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jira_behind_a_proxy_that_it_does_not_know_of_refuses_the_signature() {
    let stage = Stage::new().await;
    let world = &stage.world;
    let operator = world.operator().await;
    let plain = stage.jira.url().replace("https://", "http://");
    stage
        .jira
        .configure(|settings| settings.base_url = Some(plain));
    stage.create().await;
    let object = world
        .wait("sync", Valid, False, Reason::SignatureRejected)
        .await;
    assert!(says(&object, Valid).message.contains("proxy"));
    stage.jira.configure(|settings| settings.base_url = None);
    world
        .annotate("sync", "jira-operator.dev/renew", "now")
        .await;
    operator.quiet().await;
    world.wait_ready("sync").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_token_is_told_by_the_day_it_was_given() {
    let stage = Stage::new().await;
    let world = &stage.world;
    let operator = world.operator().await;
    stage.store(&stage.key.private_pem()).await;
    let given = world.clock.now() - TimeDelta::days(1800);
    let spec = stage.spec(&json!({"issuedAt": given}));
    world.create("sync", spec).await;
    let object = world.wait_ready("sync").await;
    let end = given + TimeDelta::seconds(157_680_000);
    assert_eq!(object.status.as_ref().unwrap().expires_at, Some(end));
    assert_eq!(says(&object, RotationDue).reason, Reason::NotDue);
    world.advance(TimeDelta::days(12));
    operator.look_again(1).await;
    let object = world
        .wait("sync", RotationDue, True, Reason::ExpiresSoon)
        .await;
    let message = says(&object, RotationDue).message;
    let date = end.format("%Y-%m-%d").to_string();
    assert!(
        message.contains("five years") && message.contains(&date),
        "{message}"
    );
    // With a policy of the organisation's own, that comes first.
    let policy = json!({"rotation": {"maxAge": "365d"}});
    world.change("sync", policy).await;
    let object = world.wait_ready("sync").await;
    assert_eq!(says(&object, RotationDue).status, True);
}
