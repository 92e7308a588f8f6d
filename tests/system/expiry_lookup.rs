//! The look-up of an API token's end, in a world with an organisation.

use std::time::Duration;

use atlassian_sim::{Fault, Organization, OrganizationKey, Rule, Token};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use jira_credential_operator::api::{
    ConditionStatus, ConditionType, ExpiryLookupStatus, JiraCredential, Reason,
};
use serde_json::{Value, json};

use crate::support::{World, says, value};

const EMAIL: &str = "bot@acme.example";

/// An organisation that manages the account of `bot`, with a key in the Secret `organisation`.
struct Scene {
    world: World,
    organization: Organization,
    key: OrganizationKey,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        let organization = world.sim.organization();
        organization.manage(EMAIL);
        let key = organization.reading_key();
        organization.expire_at(&key, world.clock.now() + TimeDelta::days(300));
        let scene = Self {
            world,
            organization,
            key,
        };
        scene.store(&scene.key).await;
        scene
    }

    async fn store(&self, key: &OrganizationKey) {
        self.world
            .secret("organisation", &[("key", key.secret())])
            .await;
    }

    /// A token with the label, in the source of a credential `bot` that has it looked up.
    async fn bot(&self) -> Token {
        let token = self.token("ci bot");
        self.world
            .secret("bot-source", &[("token", token.secret())])
            .await;
        self.world.create("bot", self.spec()).await;
        token
    }

    fn token(&self, label: &str) -> Token {
        let token = self.world.cloud().api_token(EMAIL);
        self.organization.label(&token, label);
        token
    }

    fn spec(&self) -> Value {
        let mut spec = self.world.api_token_spec("bot");
        spec["expiryLookup"] = json!({
            "apiKeySecretRef": {"name": "organisation", "key": "key"},
            "organizationId": self.organization.id(), "label": "ci bot",
        });
        spec
    }

    async fn until_known(&self, status: ConditionStatus, reason: Reason) -> JiraCredential {
        let object = self
            .world
            .wait("bot", ConditionType::ExpiryKnown, status, reason)
            .await;
        let ready = says(&object, ConditionType::Ready);
        assert_eq!((ready.status, ready.reason), READY, "{reason:?}");
        object
    }

    async fn until_found(&self, token: &Token) -> JiraCredential {
        let object = self
            .until_known(ConditionStatus::True, Reason::ExpiryFound)
            .await;
        assert_eq!(object.status.as_ref().unwrap().expires_at, self.end(token));
        object
    }

    fn end(&self, token: &Token) -> Option<DateTime<Utc>> {
        Some(self.world.sim.expiry(token)?.trunc_subsecs(0))
    }

    /// How often the list was asked for.
    fn asked(&self) -> usize {
        let path = self.organization.tokens_path();
        let calls = self.world.sim.calls();
        calls.iter().filter(|call| call.path == path).count()
    }
}

const READY: (ConditionStatus, Reason) = (ConditionStatus::True, Reason::Validated);

fn lookup(object: &JiraCredential) -> &ExpiryLookupStatus {
    let status = object.status.as_ref().unwrap();
    status.expiry_lookup.as_ref().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_found_published_and_warned_of() {
    let scene = Scene::new().await;
    let world = &scene.world;
    let operator = world.operator().await;
    let mark = operator.mark();
    let token = scene.bot().await;
    let object = scene.until_found(&token).await;
    operator.quiet().await;
    assert_eq!(
        operator.requests_since(mark),
        [
            "get secrets",
            "create secrets",
            "create events",
            "update jiracredentials/status",
            // Ready stands; then comes what nobody waits for.
            "get secrets",
            "get secrets",
            "patch secrets",
            "update jiracredentials/status",
        ]
    );
    let secret = world.secrets().get("bot").await.unwrap();
    let told: DateTime<Utc> = value(&secret, "expiresAt").parse().unwrap();
    assert_eq!(Some(told), scene.end(&token));
    assert!(lookup(&object).last_active_time.is_some());
    assert_eq!(scene.asked(), 1);
    let metrics = operator.metrics.render().unwrap();
    assert!(
        metrics.contains("expiration_timestamp_seconds"),
        "{metrics}"
    );
    world.until_told("bot", "Validated").await;

    // Nothing is asked and nothing written before it is due again, whatever is poked.
    let mark = operator.mark();
    world.label("bot", json!({"team": "a"})).await;
    // Before the next change, so that no write meets a version that it has not seen.
    operator.look_again(1).await;
    world
        .edit_secret(
            "organisation",
            json!({"metadata": {"labels": {"team": "a"}}}),
        )
        .await;
    operator.look_again(1).await;
    let writes = operator.writes_since(mark);
    assert!(
        writes.len() <= 1,
        "the version of the key at most: {writes:?}"
    );
    let mark = operator.mark();
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
    assert_eq!(scene.asked(), 1);

    // Twice a day.
    world.advance(TimeDelta::hours(12));
    operator.look_again(1).await;
    assert_eq!(scene.asked(), 2);
    world
        .sim
        .expire_at(&token, world.clock.now() + TimeDelta::days(5));
    world.advance(TimeDelta::hours(12));
    operator.poke();
    world
        .wait(
            "bot",
            ConditionType::RotationDue,
            ConditionStatus::True,
            Reason::ExpiresSoon,
        )
        .await;
    scene.until_found(&token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_entry_is_found_on_any_page_and_among_others() {
    let scene = Scene::new().await;
    let world = &scene.world;
    for number in 0..9 {
        scene.token(&format!("another {number}"));
    }
    // The same label on another person's token, and on one that is over.
    scene.organization.manage("other@acme.example");
    let others = world.cloud().api_token("other@acme.example");
    scene.organization.label(&others, "ci bot");
    let over = scene.token("ci bot");
    world
        .sim
        .expire_at(&over, world.clock.now() - TimeDelta::days(1));
    scene
        .organization
        .configure(|settings| settings.page_size = 3);
    let operator = world.operator().await;
    let token = scene.bot().await;
    world
        .sim
        .expire_at(&token, world.clock.now() + TimeDelta::days(77));
    scene.until_found(&token).await;
    assert_eq!(scene.asked(), 4, "as many pages as it takes");
    // The cursor alone, and entries without ids.
    scene.organization.configure(|settings| {
        settings.bare_cursors = true;
        settings.without_ids = true;
    });
    world.annotate("bot", "jira-operator.dev/renew", "1").await;
    world
        .until("a person has it looked up again", || async {
            (scene.asked() >= 8).then_some(())
        })
        .await;
    operator.quiet().await;
    scene.until_found(&token).await;
    assert_eq!(scene.asked(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_sent_nowhere_else() {
    let scene = Scene::new().await;
    let world = &scene.world;
    for number in 0..5 {
        scene.token(&format!("another {number}"));
    }
    let elsewhere = world.sim.cloud_site("elsewhere");
    scene.organization.configure(|settings| {
        settings.page_size = 2;
        settings.next_host = Some(format!("{}:{}", elsewhere.host(), world.sim.port()));
    });
    let _operator = world.operator().await;
    scene.bot().await;
    scene
        .until_known(ConditionStatus::Unknown, Reason::SiteUnavailable)
        .await;
    assert!(world.sim.calls_for(elsewhere.host()).is_empty());
    let with_key = |call: &atlassian_sim::Call| call.token_id.as_deref() == Some(scene.key.id());
    let calls = world.sim.calls();
    let hosts: Vec<&str> = calls
        .iter()
        .filter(|call| with_key(call))
        .map(|call| call.host.as_str())
        .collect();
    assert_eq!(hosts, [world.sim.gateway_host()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_takes_the_key_nowhere() {
    let scene = Scene::new().await;
    let world = &scene.world;
    let elsewhere = world.sim.cloud_site("elsewhere");
    let path = scene.organization.tokens_path();
    world.sim.fault(
        Rule::new(Fault::Redirect {
            status: 307,
            location: elsewhere.url(),
        })
        .path(&path),
    );
    let _operator = world.operator().await;
    scene.bot().await;
    scene
        .until_known(ConditionStatus::Unknown, Reason::SiteUnavailable)
        .await;
    assert!(world.sim.calls_for(elsewhere.host()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ambiguous_token_is_reported_and_another_label_fixes_it() {
    use ConditionStatus::False;
    let scene = Scene::new().await;
    let world = &scene.world;
    let operator = world.operator().await;
    let first = scene.bot().await;
    let second = scene.token("ci bot");
    let object = scene.until_known(False, Reason::TokenAmbiguous).await;
    assert_eq!(object.status.unwrap().expires_at, None);
    world.until_told("bot", "Validated TokenAmbiguous").await;
    // The other one goes.
    world.sim.revoke(&second);
    world.annotate("bot", "jira-operator.dev/renew", "1").await;
    scene.until_found(&first).await;
    world
        .until_told("bot", "Validated TokenAmbiguous ExpiryFound")
        .await;
    world
        .change("bot", json!({"expiryLookup": {"label": "CI bot"}}))
        .await;
    let object = scene.until_known(False, Reason::TokenNotListed).await;
    assert_eq!(object.status.unwrap().expires_at, None);
    world.change("bot", json!({"expiryLookup": null})).await;
    world
        .until_status("bot", "nothing of the look-up is left", |status| {
            status.expiry_lookup.is_none() && status.condition(ConditionType::ExpiryKnown).is_none()
        })
        .await;
    operator.quiet().await;
    let secret = world.secrets().get("bot").await.unwrap();
    assert!(!crate::support::keys(&secret).contains(&"expiresAt"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_does_not_open_the_list_is_told_until_it_is_replaced() {
    use ConditionStatus::False;
    let scene = Scene::new().await;
    let world = &scene.world;
    let operator = world.operator().await;
    let now = world.clock.now();
    scene.organization.expire_at(&scene.key, now);
    let token = scene.bot().await;
    scene.until_known(False, Reason::LookupKeyRejected).await;
    operator.quiet().await;
    let asked = scene.asked();
    operator.look_again(1).await;
    assert_eq!(scene.asked(), asked, "not again by itself");
    for (key, reason) in [
        (
            scene.organization.key(&["read:keys:admin"]),
            Reason::LookupForbidden,
        ),
        (
            world.sim.organization().reading_key(),
            Reason::OrganizationUnknown,
        ),
    ] {
        scene.store(&key).await;
        scene.until_known(False, reason).await;
    }
    let good = scene.organization.reading_key();
    for (text, reason) in [
        (format!("{}\n\n", good.secret()), Reason::SourceMalformed),
        (String::new(), Reason::SourceMalformed),
    ] {
        world.secret("organisation", &[("key", &text)]).await;
        let object = scene.until_known(False, reason).await;
        let said = says(&object, ConditionType::ExpiryKnown).message;
        assert!(said.contains("key of the Secret organisation"), "{said}");
    }
    world.delete_secret("organisation").await;
    scene.until_known(False, Reason::SourceMissing).await;
    scene.store(&good).await;
    scene.until_found(&token).await;
    // The key ends; what it told stays.
    scene.organization.revoke(&good);
    world.advance(TimeDelta::hours(13));
    operator.poke();
    let object = scene.until_known(False, Reason::LookupKeyRejected).await;
    assert_eq!(object.status.unwrap().expires_at, scene.end(&token));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_kept_and_holds_up_nobody_else() {
    let scene = Scene::new().await;
    let world = &scene.world;
    let path = scene.organization.tokens_path();
    let limit = world.sim.fault(
        Rule::new(Fault::RateLimit {
            retry_after: Some(1800),
            html: false,
        })
        .path(&path),
    );
    let operator = world.operator().await;
    let token = scene.bot().await;
    let object = scene
        .until_known(ConditionStatus::Unknown, Reason::RateLimited)
        .await;
    let looked = lookup(&object);
    assert!((looked.next_check_time - world.clock.now()).num_seconds() >= 900);
    let asked = scene.asked();
    world.advance(TimeDelta::minutes(14));
    operator.look_again(1).await;
    assert_eq!(scene.asked(), asked);
    drop(limit);
    world.sim.clear_faults();
    world.advance(TimeDelta::minutes(10));
    operator.poke();
    scene.until_found(&token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_never_comes_holds_up_nothing() {
    let scene = Scene::new().await;
    let world = &scene.world;
    let path = scene.organization.tokens_path();
    let hung = world.sim.fault(Rule::new(Fault::HangBefore).path(&path));
    let _operator = world.operator().await;
    scene.bot().await;
    hung.reached(1).await;
    let object = world.wait_ready("bot").await;
    assert!(
        object
            .status
            .as_ref()
            .unwrap()
            .condition(ConditionType::ExpiryKnown)
            .is_none()
    );
    assert!(world.secrets().get("bot").await.is_ok());
    scene
        .until_known(ConditionStatus::Unknown, Reason::SiteUnavailable)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn look_ups_take_a_part_of_the_passes_and_the_others_come_later() {
    let scene = Scene::new().await;
    let world = &scene.world;
    let path = scene.organization.tokens_path();
    let hang = world
        .sim
        .hang_before(Rule::new(Fault::HangBefore).path(&path).times(4));
    let operator = world
        .operator_with(|config| {
            config.jira.timeouts.read = Duration::from_secs(20);
            config.jira.timeouts.total = Duration::from_secs(20);
        })
        .await;
    scene.bot().await;
    hang.reached(1).await;
    let names = ["a", "b", "c"];
    for name in names {
        world.create(name, scene.spec()).await;
        world.wait_ready(name).await;
    }
    operator.quiet().await;
    let mark = operator.mark();
    operator.look_again(3).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
    assert_eq!(hang.hits(), 1, "of the four passes, one looks up");
    hang.release();
    for name in ["bot"].into_iter().chain(names) {
        world
            .until("everyone's turn", || async {
                operator.poke();
                let object = world.credentials().get(name).await.unwrap();
                let known = object
                    .status
                    .as_ref()?
                    .condition(ConditionType::ExpiryKnown)?;
                (known.reason == Reason::ExpiryFound).then_some(())
            })
            .await;
    }
    operator.quiet().await;
    assert_eq!(scene.asked(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_token_and_an_unused_one_are_a_persons_business() {
    use ConditionStatus::{False, True};
    let scene = Scene::new().await;
    let world = &scene.world;
    let operator = world.operator().await;
    let token = scene.bot().await;
    scene.organization.block(&token, true);
    world
        .wait(
            "bot",
            ConditionType::RotationDue,
            True,
            Reason::TokenBlocked,
        )
        .await;
    scene.until_found(&token).await;
    scene.organization.block(&token, false);
    world.advance(TimeDelta::hours(13));
    operator.poke();
    world
        .wait("bot", ConditionType::RotationDue, False, Reason::NotDue)
        .await;
    // The label moves to a token that nobody uses.
    scene.organization.label(&token, "renamed");
    let unused = scene.token("ci bot");
    let long_ago = world.clock.now() - TimeDelta::days(100);
    scene.organization.made_at(&unused, long_ago);
    world.advance(TimeDelta::days(3));
    operator.poke();
    let object = scene.until_known(False, Reason::TokenUnused).await;
    assert_eq!(object.status.unwrap().expires_at, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_spec_counts_and_a_new_token_is_looked_up_again() {
    let scene = Scene::new().await;
    let world = &scene.world;
    let _operator = world.operator().await;
    let token = scene.bot().await;
    scene.until_found(&token).await;
    let told = (world.clock.now() + TimeDelta::days(20)).trunc_subsecs(0);
    let auth = |end: Value| json!({"auth": {"apiToken": {"expiresAt": end}}});
    world.change("bot", auth(json!(told))).await;
    let object = scene
        .until_known(ConditionStatus::False, Reason::ExpiryDiffers)
        .await;
    assert_eq!(object.status.unwrap().expires_at, Some(told));
    world.change("bot", auth(Value::Null)).await;
    scene.until_found(&token).await;
    // The old one is revoked, the new one carries its label.
    let new = scene.token("ci bot");
    world
        .sim
        .expire_at(&new, world.clock.now() + TimeDelta::days(100));
    world.sim.revoke(&token);
    world.secret("bot-source", &[("token", new.secret())]).await;
    let end = scene.end(&new);
    world
        .until_status("bot", "the end of the new token", |status| {
            status.expires_at == end
        })
        .await;
    let end = end
        .unwrap()
        .to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    world.until_value("bot", "token", new.secret()).await;
    world.until_value("bot", "expiresAt", &end).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_asks_nothing() {
    let scene = Scene::new().await;
    let world = &scene.world;
    let operator = world.operator().await;
    let token = scene.bot().await;
    scene.until_found(&token).await;
    operator.quiet().await;
    operator.stop().await;
    let calls = world.calls();
    let operator = world.operator().await;
    operator.look_again(1).await;
    // The key of the fingerprints and the refused passwords are read at each start.
    assert_eq!(
        operator.requests_since(operator.start),
        ["get secrets", "get secrets"]
    );
    assert_eq!(world.calls(), calls);
}
