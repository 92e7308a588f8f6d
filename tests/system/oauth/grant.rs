//! What people and tools do to the Secrets around a grant.

mod consents;

use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionType, RENEW_ANNOTATION, Reason, SecretKeyRef};
use jira_credential_operator::core::spec::grant_name;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use serde_json::json;

use super::{SCOPES, assert_at_rest, assert_none_was_spent_late, grant_of, renewing};
use crate::support::{World, says};

#[tokio::test(flavor = "multi_thread")]
async fn deleting_and_applying_everything_again_loses_and_spends_nothing() {
    for up in [true, false] {
        let world = World::new().await;
        let mut operator = world.operator().await;
        let (app, consent) = world.oauth("bot").await;
        world.wait_ready("bot").await;
        operator.quiet().await;
        if !up {
            operator.stop().await;
            operator = world.operator().await;
        }
        let spent = world.outcomes().len();
        world.delete("bot").await;
        world.delete_secret("bot-seed").await;
        world.delete_secret("bot-client").await;
        let gone = || async {
            let target = world.secrets().get_opt("bot").await.unwrap();
            target.is_none().then_some(())
        };
        world.until("the target is collected", gone).await;
        operator.quiet().await;
        world.seed("bot", &consent.refresh_token()).await;
        world.client_secret("bot", &app.secret()).await;
        world.create("bot", world.oauth_spec("bot", &app)).await;
        world.wait_ready("bot").await;
        operator.quiet().await;
        assert_eq!(world.outcomes().len(), spent, "nothing is spent for it");
        world.renewal_falls_due(&operator).await;
        world.wait_ready("bot").await;
        assert!(consent.holds_newest(&world.kept("bot").await));
        assert_none_was_spent_late(&world);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_applied_again_with_a_new_consent() {
    let (world, operator, app, _) = renewing().await;
    world.delete("bot").await;
    world.delete_secret("bot-seed").await;
    operator.quiet().await;
    let fresh = app.consent("bot@acme.example", &[&world.cloud()], &SCOPES);
    world.seed("bot", &fresh.refresh_token()).await;
    world.create("bot", world.oauth_spec("bot", &app)).await;
    let used = || async {
        let kept = world.grant("bot").await?["live"]["refresh"].clone();
        fresh.holds_newest(kept.as_str()?).then_some(())
    };
    world.until("the new consent is in use", used).await;
    world.wait_ready("bot").await;
    assert_none_was_spent_late(&world);
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumed_seed_may_go() {
    let (world, operator, _, consent) = renewing().await;
    world.delete_secret("bot-seed").await;
    operator.quiet().await;
    world.renewal_falls_due(&operator).await;
    world.wait_ready("bot").await;
    assert!(consent.holds_newest(&world.kept("bot").await));
    operator.look_again(1).await;
    let mark = operator.mark();
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_a_person_deletes_is_missed_and_nothing_is_spent() {
    let (world, operator, app, _) = renewing().await;
    let (token, spent) = (world.published("bot").await, world.outcomes().len());
    world.delete_secret(&grant_of("bot")).await;
    let object = world.wait_unready("bot", Reason::GrantLost);
    let object = object.await;
    assert_eq!(
        says(&object, ConditionType::Stalled).reason,
        Reason::GrantLost
    );
    world.advance(TimeDelta::hours(13));
    operator.look_again(1).await;
    assert_eq!(world.outcomes().len(), spent);
    assert_eq!(
        world.published("bot").await,
        token,
        "pods keep what they have"
    );
    let mark = operator.mark();
    operator.look_again(1).await;
    assert_eq!(operator.writes_since(mark), Vec::<String>::new());

    let fresh = app.consent("bot@acme.example", &[&world.cloud()], &SCOPES);
    world.seed("bot", &fresh.refresh_token()).await;
    world.wait_ready("bot").await;
    assert!(fresh.holds_newest(&world.kept("bot").await));
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_a_person_deletes_during_a_renewal_is_written_again() {
    let (world, operator, _, consent) = renewing().await;
    let auth =
        atlassian_sim::Rule::new(atlassian_sim::Fault::HangAfter).host(world.sim.auth_host());
    let hang = world.sim.hang_after(auth);
    world.advance(super::RENEWAL_IS_DUE);
    operator.poke();
    hang.reached(1).await;
    world.delete_secret(&grant_of("bot")).await;
    hang.release();
    let kept = || async { world.grant("bot").await.map(|_| ()) };
    world.until("the grant is written again", kept).await;
    operator.quiet().await;
    world.wait_ready("bot").await;
    assert!(consent.holds_newest(&world.kept("bot").await));
    // The next renewal finds everything in order.
    world.renewal_falls_due(&operator).await;
    world.wait_ready("bot").await;
    assert!(consent.holds_newest(&world.kept("bot").await));
    assert_none_was_spent_late(&world);
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_grant_is_used_and_not_spent_until_a_person_says_so() {
    let (world, operator, _, consent) = renewing().await;
    operator.stop().await;
    let name = grant_of("bot");
    let saved = world.secrets().get(&name).await.unwrap();
    world.delete_secret(&name).await;
    let copy = Secret {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            labels: saved.metadata.labels.clone(),
            annotations: saved.metadata.annotations.clone(),
            ..ObjectMeta::default()
        },
        ..saved
    };
    world
        .secrets()
        .create(&PostParams::default(), &copy)
        .await
        .unwrap();
    let operator = world.operator().await;
    world.renewal_falls_due(&operator).await;
    let object = world.wait_unready("bot", Reason::GrantRestored);
    let said = says(&object.await, ConditionType::Stalled).message;
    assert!(
        said.contains("copy") && said.contains(RENEW_ANNOTATION),
        "{said}"
    );
    let spent = world.outcomes().len();
    world.advance(TimeDelta::hours(1));
    operator.look_again(1).await;
    assert_eq!(world.outcomes().len(), spent);
    world.annotate("bot", RENEW_ANNOTATION, "it is mine").await;
    world.wait_ready("bot").await;
    assert!(consent.holds_newest(&world.kept("bot").await));
    assert_none_was_spent_late(&world);
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_a_stranger_made_is_neither_used_nor_changed() {
    let world = World::new().await;
    let operator = world.operator().await;
    let name = grant_of("bot");
    for data in [
        "{}",
        r#"{"seeds":[{"digest":"00","seen":"2026-01-01T00:00:00Z","outcome":"Accepted"}],"uid":null}"#,
    ] {
        let stranger = Secret {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                labels: Some([("jira-operator.dev/grant".to_owned(), "true".to_owned())].into()),
                ..ObjectMeta::default()
            },
            type_: Some("jira-operator.dev/grant".into()),
            data: Some([("grant".to_owned(), ByteString(data.into()))].into()),
            ..Secret::default()
        };
        let params = PostParams::default();
        let made = world.secrets().create(&params, &stranger).await.unwrap();
        world.oauth("bot").await;
        let object = world.wait_unready("bot", Reason::GrantForeign);
        let said = says(&object.await, ConditionType::Ready).message;
        assert!(said.contains(&name), "{said}");
        operator.quiet().await;
        let found = world.secrets().get(&name).await.unwrap();
        assert_eq!(found, made);
        assert!(world.sim.spends().is_empty());
        // A person follows the advice.
        world.delete_secret(&name).await;
        world.wait_ready("bot").await;
        world.delete("bot").await;
        operator.quiet().await;
        world.delete_secret(&name).await;
        world.sim.clear_spends();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_grant_with_a_token_is_not_used_for_client_credentials() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mine = world.cloud().service_client("mine", &["read:jira-user"]);
    let theirs = world.sim.oauth_app();
    let theirs = theirs.consent("eve@acme.example", &[&world.cloud()], &SCOPES);
    let now = world.clock.now();
    let chain = json!({
        "origin": mine.client_id(), "consented": now, "attempt": "theirs", "refresh": null, "dead": null,
        "client": {"endpoint": format!("{}/oauth/token", world.sim.auth_url()), "id": mine.client_id()},
        "access": {"token": theirs.access_token(), "obtained": now, "expires": now + TimeDelta::hours(1)},
    });
    let place = SecretKeyRef {
        name: "bot-client".into(),
        key: "secret".into(),
    };
    let name = grant_name(&place);
    let data = json!({"uid": null, "live": chain}).to_string();
    let stranger = Secret {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            labels: Some([("jira-operator.dev/grant".to_owned(), "true".to_owned())].into()),
            ..ObjectMeta::default()
        },
        type_: Some("jira-operator.dev/grant".into()),
        data: Some([("grant".to_owned(), ByteString(data.into()))].into()),
        ..Secret::default()
    };
    let params = PostParams::default();
    world.secrets().create(&params, &stranger).await.unwrap();
    world.client_secret("bot", &mine.secret()).await;
    let spec = json!({
        "site": world.cloud().url(),
        "hosting": "Cloud",
        "auth": {"clientCredentials": {
            "clientId": mine.client_id(),
            "clientSecretRefs": [{"name": "bot-client", "key": "secret"}],
        }},
    });
    world.create("bot", spec).await;
    world.wait_unready("bot", Reason::GrantForeign).await;
    assert!(world.secrets().get_opt("bot").await.unwrap().is_none());
    world.delete_secret(&name).await;
    world.wait_ready("bot").await;
    // What is ours is known again without a word in the status.
    operator.quiet().await;
    let token = world.published("bot").await;
    let spec = world.credential("bot").await.spec;
    world.delete("bot").await;
    world.create("bot", json!(spec)).await;
    world.wait_ready("bot").await;
    assert_eq!(world.published("bot").await, token);
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_grant_serves_several_credentials_and_each_token_is_spent_once() {
    let (world, operator, app, consent) = renewing().await;
    for twin in ["one", "two"] {
        let spec = world.oauth_spec("bot", &app);
        world.create(twin, spec).await;
        world.wait_ready(twin).await;
    }
    operator.quiet().await;
    for _ in 0..3 {
        world.advance(super::RENEWAL_IS_DUE);
        operator.look_again(3).await;
        operator.quiet().await;
        let token = world.published("bot").await;
        for twin in ["one", "two"] {
            world.wait_ready(twin).await;
            assert_eq!(world.published(twin).await, token, "{twin}");
        }
    }
    assert!(consent.holds_newest(&world.kept("bot").await));
    assert_eq!(world.outcomes(), vec!["exchanged"; 4]);
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_client_gets_nothing_of_a_grant() {
    let (world, operator, _, consent) = renewing().await;
    // Ages are compared in seconds.
    let other = world.sim.oauth_app();
    world.client_secret("other", &other.secret()).await;
    let mut spec = world.oauth_spec("bot", &other);
    spec["auth"]["oauth2"]["clientSecretRefs"][0]["name"] = json!("other-client");
    world.create("other", spec).await;
    let object = world.wait_unready("other", Reason::GrantConflict);
    let object = object.await;
    let said = says(&object, ConditionType::Ready).message;
    assert!(said.contains("clientId"), "{said}");
    // The refresh token is in use, though not by this one.
    let rotation = says(&object, ConditionType::RotationDue);
    assert_eq!(rotation.reason, Reason::NotDue);
    world.advance(super::RENEWAL_IS_DUE);
    operator.look_again(2).await;
    world.wait_ready("bot").await;
    assert!(consent.holds_newest(&world.kept("bot").await));
    assert_eq!(world.outcomes(), vec!["exchanged"; 2]);
    assert!(world.secrets().get_opt("other").await.unwrap().is_none());
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_client_id_spends_nothing_until_it_is_changed_back() {
    let (world, operator, app, consent) = renewing().await;
    world
        .change("bot", json!({"auth": {"oauth2": {"clientId": "mistyped"}}}))
        .await;
    // The clock moves only when the operator has seen the other client.
    world.observed("bot").await;
    world.renewal_falls_due(&operator).await;
    world.wait_unready("bot", Reason::GrantConflict).await;
    assert_eq!(world.outcomes().len(), 1);
    let back = json!({"auth": {"oauth2": {"clientId": app.client_id()}}});
    world.change("bot", back).await;
    world.wait_ready("bot").await;
    assert!(consent.holds_newest(&world.kept("bot").await));
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_outlives_its_users_and_its_seed_by_a_day() {
    let (world, operator, app, consent) = renewing().await;
    let name = grant_of("bot");
    let exists = || async { world.secrets().get_opt(&name).await.unwrap().is_some() };
    // Only the credential goes: the seed still stands for it.
    world.delete("bot").await;
    operator.quiet().await;
    for _ in 0..3 {
        operator.operator.collect_grants().await;
        operator.quiet().await;
        world.advance(TimeDelta::hours(25));
    }
    assert!(exists().await);
    // The seed goes, and comes back in time.
    world.delete_secret("bot-seed").await;
    operator.quiet().await;
    operator.operator.collect_grants().await;
    operator.quiet().await;
    world.advance(TimeDelta::hours(23));
    operator.operator.collect_grants().await;
    operator.quiet().await;
    assert!(exists().await);
    world.seed("bot", &consent.refresh_token()).await;
    operator.quiet().await;
    operator.operator.collect_grants().await;
    operator.quiet().await;
    world.advance(TimeDelta::hours(25));
    operator.operator.collect_grants().await;
    assert!(exists().await);
    world.create("bot", world.oauth_spec("bot", &app)).await;
    world.wait_ready("bot").await;
    assert!(consent.holds_newest(&world.kept("bot").await));
    // Both go for good.
    world.delete("bot").await;
    world.delete_secret("bot-seed").await;
    operator.quiet().await;
    operator.operator.collect_grants().await;
    operator.quiet().await;
    assert!(exists().await);
    world.advance(TimeDelta::hours(25));
    operator.operator.collect_grants().await;
    assert!(!exists().await);
}

/// Nobody knows what an object refers to that a later version has written.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_kept_while_its_namespace_holds_an_object_that_cannot_be_read() {
    let world = World::alone().await;
    let operator = world.operator().await;
    let (_, consent) = world.oauth("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    operator.stop().await;
    world.accept_values_of_a_later_version().await;
    world.make_unreadable("bot").await;
    world.delete_secret("bot-seed").await;
    let operator = world.operator().await;
    for _ in 0..3 {
        operator.operator.collect_grants().await;
        operator.quiet().await;
        world.advance(TimeDelta::hours(25));
    }
    assert!(consent.holds_newest(&world.kept("bot").await));
    // Once it is gone nothing stands in the way any more.
    world.delete("bot").await;
    operator.quiet().await;
    for _ in 0..2 {
        operator.operator.collect_grants().await;
        operator.quiet().await;
        world.advance(TimeDelta::hours(25));
    }
    let grant = world.secrets().get_opt(&grant_of("bot")).await.unwrap();
    assert!(grant.is_none());
}

/// Somebody else's edit of labels makes a write of ours conflict, and nothing more.
#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_a_person_sets_during_a_renewal_stays_and_costs_nothing() {
    let (world, operator, _, consent) = renewing().await;
    let auth =
        atlassian_sim::Rule::new(atlassian_sim::Fault::HangAfter).host(world.sim.auth_host());
    let hang = world.sim.hang_after(auth);
    world.advance(super::RENEWAL_IS_DUE);
    operator.poke();
    hang.reached(1).await;
    let name = grant_of("bot");
    world
        .edit_secret(&name, json!({"metadata": {"labels": {"team": "a"}}}))
        .await;
    hang.release();
    operator.quiet().await;
    world.wait_ready("bot").await;
    assert!(consent.holds_newest(&world.kept("bot").await));
    assert_eq!(world.outcomes(), vec!["exchanged"; 2]);
    let grant = world.secrets().get(&name).await.unwrap();
    assert_eq!(grant.metadata.labels.unwrap()["team"], "a");
    assert_at_rest(&world, &operator).await;
}
