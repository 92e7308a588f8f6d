//! Access tokens of Cloud: they end by themselves, ten minutes after the exchange that replaced them.

use atlassian_sim::{Consent, Fault, OAuthApp, Rule};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, RENEW_ANNOTATION, Reason};
use serde_json::{Value, json};

use crate::oauth::{SCOPES, assert_at_rest};
use crate::support::{Running, World, keys, value};

/// Until a token of an hour is renewed that is renewed 25 minutes before its end, or up to five earlier: the token
/// before it would live for longer than ten minutes.
const RENEWAL_IS_DUE: TimeDelta = TimeDelta::minutes(36);

/// Half a minute less than the ten for which Atlassian accepts it.
const SHOWN_FOR: TimeDelta = TimeDelta::seconds(570);

fn keeping(spec: Value) -> Value {
    let mut spec = super::keeping(spec);
    spec["rotation"] = json!({"renewBefore": "25m"});
    spec
}

impl World {
    /// A consent whose access tokens `bot` keeps and `plain`, a target of the same credential, does not.
    async fn keeping_consent(&self) -> (OAuthApp, Consent) {
        let app = self.sim.oauth_app();
        let consent = app.consent("bot@acme.example", &[&self.cloud()], &SCOPES);
        self.seed("bot", &consent.refresh_token()).await;
        self.client_secret("bot", &app.secret()).await;
        let mut spec = keeping(self.oauth_spec("bot", &app));
        spec["targets"] = json!([{"name": "bot", "keepPrevious": true}, {"name": "plain"}]);
        self.create("bot", spec).await;
        self.wait_ready("bot").await;
        (app, consent)
    }

    /// What `bot` shows, if it is consistent: the token, and the one before.
    async fn shown(&self) -> (String, Option<String>) {
        let [token, previous, header] = self.tokens_shown().await;
        let expected = match previous.as_str() {
            "" => String::new(),
            previous => format!("Bearer {previous}"),
        };
        assert_eq!(header, expected);
        (
            token,
            Some(previous).filter(|previous| !previous.is_empty()),
        )
    }

    async fn renewed_by_a_person(&self, operator: &Running, value: &str) {
        self.annotate("bot", RENEW_ANNOTATION, value).await;
        let handled = |status: &jira_credential_operator::api::JiraCredentialStatus| {
            status.last_handled_renew.as_deref() == Some(value)
        };
        self.until_status("bot", "the request is handled", handled)
            .await;
        operator.quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_access_token_is_published_until_atlassian_revokes_it() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.keeping_consent().await;
    operator.quiet().await;
    let (first, none) = world.shown().await;
    assert_eq!(none, None, "nothing was replaced");
    let mark = operator.mark();
    world.advance(RENEWAL_IS_DUE);
    operator.look_again(1).await;
    // Intent, answer, one write for each target, status.
    let expected = [
        "update secrets",
        "update secrets",
        "patch secrets",
        "patch secrets",
        "update jiracredentials/status",
    ];
    assert_eq!(operator.writes_since(mark), expected);
    let (second, previous) = world.shown().await;
    assert_ne!(second, first);
    assert_eq!(previous.as_ref(), Some(&first));
    assert!(world.sim.access_token_lives(&first));
    let plain = world.secrets().get("plain").await.unwrap();
    assert_eq!(value(&plain, "token"), second);
    assert!(!keys(&plain).iter().any(|key| key.starts_with("previous")));
    assert_at_rest(&world, &operator).await;
    // Another process knows it from the grant, and writes nothing; it repairs what a person has removed.
    operator.stop().await;
    let operator = world.operator().await;
    operator.look_again(1).await;
    assert_eq!(operator.writes_since(operator.start), [""; 0]);
    let damage = json!({"data": {"previous.token": null}});
    world.edit_secret("bot", damage).await;
    world.until_value("bot", "previous.token", &first).await;
    operator.quiet().await;
    world.advance(SHOWN_FOR - TimeDelta::seconds(1));
    operator.look_again(1).await;
    assert_eq!(world.shown().await, (second.clone(), Some(first.clone())));
    // It goes before Atlassian revokes it.
    let mark = operator.mark();
    world.advance(TimeDelta::seconds(1));
    operator.look_again(1).await;
    assert_eq!(world.shown().await, (second.clone(), None));
    let expected = [
        "get secrets",
        "patch secrets",
        "update jiracredentials/status",
    ];
    assert_eq!(operator.requests_since(mark), expected);
    assert!(world.sim.access_token_lives(&first));
    assert_at_rest(&world, &operator).await;
    world.advance(TimeDelta::seconds(31));
    assert!(!world.sim.access_token_lives(&first));
    assert_at_rest(&world, &operator).await;
    world.advance(RENEWAL_IS_DUE - TimeDelta::minutes(10));
    operator.look_again(1).await;
    assert_eq!(world.shown().await.1, Some(second));
    let grant = world.grant("bot").await.unwrap().to_string();
    assert!(!grant.contains(&first), "it left the grant, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_renewals_in_quick_succession_the_later_one_says_what_is_previous() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.keeping_consent().await;
    world.advance(RENEWAL_IS_DUE);
    operator.look_again(1).await;
    let (second, _) = world.shown().await;
    world.advance(TimeDelta::minutes(6));
    let mark = operator.mark();
    world.renewed_by_a_person(&operator, "again").await;
    let writes = operator.writes_since(mark);
    let patches = writes.iter().filter(|write| *write == "patch secrets");
    assert_eq!(patches.count(), 2, "one for each target: {writes:?}");
    let (third, previous) = world.shown().await;
    assert_eq!(previous.as_ref(), Some(&second));
    // The end of the first one is no concern of the second.
    world.advance(TimeDelta::minutes(5));
    operator.look_again(1).await;
    assert_eq!(world.shown().await, (third.clone(), Some(second.clone())));
    assert!(world.sim.access_token_lives(&second));
    world.advance(TimeDelta::minutes(5));
    operator.look_again(1).await;
    assert_eq!(world.shown().await, (third, None));
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pods_have_is_previous_when_the_token_after_it_was_refused_at_first() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.keeping_consent().await;
    operator.quiet().await;
    let (first, _) = world.shown().await;
    // The account loses its access to the site: the successor is refused.
    world.cloud().remove_access("bot@acme.example");
    world.advance(RENEWAL_IS_DUE);
    operator.look_again(1).await;
    let refused = world.wait(
        "bot",
        ConditionType::Valid,
        ConditionStatus::False,
        Reason::Rejected,
    );
    refused.await;
    operator.quiet().await;
    assert_eq!(world.shown().await, (first.clone(), None));
    let _ = world.cloud().user("bot@acme.example");
    world.advance(TimeDelta::minutes(6));
    world.renewed_by_a_person(&operator, "it is back").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let (token, previous) = world.shown().await;
    assert_ne!(token, first);
    assert_eq!(previous, Some(first.clone()));
    assert!(world.sim.access_token_lives(&first));
    // Atlassian counts from the first exchange.
    world.advance(SHOWN_FOR - TimeDelta::minutes(6));
    operator.look_again(1).await;
    assert!(world.sim.access_token_lives(&first));
    assert_eq!(world.shown().await, (token, None));
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_lost_answer_its_end_counts_from_the_first_request() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.keeping_consent().await;
    operator.quiet().await;
    let (first, _) = world.shown().await;
    let lost = Rule::new(Fault::DropAfter).host(world.sim.auth_host());
    world.sim.fault(lost.once());
    world.advance(RENEWAL_IS_DUE);
    operator.look_again(1).await;
    let begun = world.clock.now();
    for _ in 0..2 {
        world.advance(TimeDelta::seconds(95));
        operator.look_again(1).await;
    }
    let (second, previous) = world.shown().await;
    assert_ne!(second, first);
    assert_eq!(previous, Some(first.clone()));
    world.advance(begun + SHOWN_FOR - world.clock.now());
    operator.look_again(1).await;
    assert!(world.sim.access_token_lives(&first));
    assert_eq!(world.shown().await, (second, None));
    world.advance(TimeDelta::seconds(31));
    assert!(!world.sim.access_token_lives(&first));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_jira_has_refused_is_not_published_as_previous() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.keeping_consent().await;
    operator.quiet().await;
    let (first, _) = world.shown().await;
    world.sim.revoke_access_token(&first);
    world.advance(TimeDelta::minutes(20));
    let sooner = json!({"validation": {"interval": "10m"}});
    world.change("bot", sooner).await;
    world.until_other("bot", "token", &first).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(world.shown().await.1, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_credential_renews_a_shared_consent_each_gets_what_it_wants() {
    let world = World::new().await;
    let operator = world.operator().await;
    let app = world.sim.oauth_app();
    let consent = app.consent("bot@acme.example", &[&world.cloud()], &SCOPES);
    world.seed("plain", &consent.refresh_token()).await;
    world.client_secret("plain", &app.secret()).await;
    let mut spec = keeping(world.oauth_spec("plain", &app));
    spec["targets"] = json!([]);
    world.create("plain", spec).await;
    world.wait_ready("plain").await;
    world
        .create("bot", keeping(world.oauth_spec("plain", &app)))
        .await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let first = world.published("plain").await;
    world.advance(RENEWAL_IS_DUE);
    operator.look_again(2).await;
    let second = world.published("plain").await;
    assert_ne!(second, first);
    assert_eq!(world.shown().await, (second.clone(), Some(first)));
    let plain = world.secrets().get("plain").await.unwrap();
    assert!(!keys(&plain).iter().any(|key| key.starts_with("previous")));
    world.advance(SHOWN_FOR);
    operator.look_again(2).await;
    assert_eq!(world.shown().await, (second, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_token_of_client_credentials_is_published_for_as_long() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (_, spec) = world.service_spec().await;
    let spec = keeping(spec);
    world.create("bot", spec).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let (first, none) = world.shown().await;
    assert_eq!(none, None);
    let mark = operator.mark();
    world.advance(RENEWAL_IS_DUE);
    operator.look_again(1).await;
    let expected = [
        "update secrets",
        "patch secrets",
        "update jiracredentials/status",
    ];
    assert_eq!(operator.writes_since(mark), expected);
    let (second, previous) = world.shown().await;
    assert_eq!(previous.as_ref(), Some(&first));
    assert!(world.sim.access_token_lives(&first));
    world.advance(SHOWN_FOR);
    operator.look_again(1).await;
    assert_eq!(world.shown().await, (second, None));
    assert_at_rest(&world, &operator).await;
}
