//! What a change of the spec causes, and what it does not.

use crate::support::{World, keys, says, value};
use atlassian_sim::{Config as SimConfig, Sim};
use jira_credential_operator::api::{ConditionStatus, ConditionType, MethodName, Reason};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_the_spec_beside_the_credential_cause_no_call() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.api_token("bot").await;
    world.wait_ready("bot").await;
    for change in [
        json!({"rotation": {"warnBefore": "3d"}}),
        json!({"rotation": {"maxAge": "90d"}}),
        json!({"validation": {"interval": "2h"}}),
        json!({"auth": {"apiToken": {"issuedAt": "2027-01-01T00:00:00Z"}}}),
        json!({"auth": {"apiToken": {"expiresAt": "2028-01-01T00:00:00Z"}}}),
        json!({"hosting": null}),
        json!({"validation": {"accountId": world.cloud().account_id("bot@acme.example")}}),
        json!({"validation": {"accountId": null}}),
        json!({"targets": [{"name": "bot"}, {"name": "another"}]}),
    ] {
        world.change("bot", change.clone()).await;
        world.observed("bot").await;
        world.wait_ready("bot").await;
        assert_eq!(world.calls(), 1, "{change}");
    }
    operator.look_again(1).await;
    assert_eq!(world.calls(), 1);
    world.until_told("bot", "Validated").await;
    let published = world.secrets().get("bot").await.unwrap();
    assert_eq!(value(&published, "expiresAt"), "2028-01-01T00:00:00Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_credential_of_another_account_is_not_published_unless_it_is_meant() {
    let world = World::new().await;
    let operator = world.operator().await;
    let first = world.pat("bot").await;
    world.wait_ready("bot").await;
    let jira = world.data_center();
    let second = jira.pat("robot");
    world
        .secret("bot-source", &[("token", second.secret())])
        .await;
    let refused = async || {
        let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
        world
            .wait("bot", kind, status, Reason::AccountChanged)
            .await
    };
    let object = refused().await;
    assert!(
        says(&object, ConditionType::Ready)
            .message
            .contains(&jira.user_key("bot"))
    );
    world.until_value("bot", "token", first.secret()).await;
    operator.look_again(1).await;
    assert_eq!(world.calls(), 2);
    // The other account is meant: the spec says so.
    let pin = |user: &str| json!({"validation": {"accountId": jira.user_key(user)}});
    world.change("bot", pin("robot")).await;
    let object = world.wait_ready("bot").await;
    world.until_value("bot", "token", second.secret()).await;
    assert_eq!(
        object.status.unwrap().account.unwrap().id,
        jira.user_key("robot")
    );
    assert_eq!(world.calls(), 3);
    // The spec goes before what was validated.
    world.change("bot", pin("bot")).await;
    refused().await;
    world.until_value("bot", "token", second.secret()).await;
    world
        .secret("bot-source", &[("token", first.secret())])
        .await;
    world.wait_ready("bot").await;
    world.until_value("bot", "token", first.secret()).await;
    operator.look_again(1).await;
    let told = "Validated AccountChanged Validated AccountChanged Validated";
    world.until_told("bot", told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_is_another_validation_and_another_account() {
    let world = World::new().await;
    let operator = world.operator().await;
    let old = world.pat("bot").await;
    let account = world.wait_ready("bot").await.status.unwrap().account;
    let published = world.secrets().get("bot").await.unwrap();
    let other = world.sim.data_center("other");
    // Users that push the key of the one we use away from that of the first site.
    for user in ["one", "two", "three"] {
        other.user_key(user);
    }
    world.change("bot", json!({"site": other.url()})).await;
    let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
    let object = world.wait("bot", kind, status, Reason::Rejected).await;
    assert_eq!(object.status.unwrap().account, account);
    operator.look_again(1).await;
    assert_eq!(world.secrets().get("bot").await.unwrap(), published);
    let new = other.pat("robot");
    world.secret("bot-source", &[("token", new.secret())]).await;
    let object = world.wait_ready("bot").await;
    let status = object.status.unwrap();
    assert_eq!(status.account.unwrap().id, other.user_key("robot"));
    assert_eq!(status.site.unwrap().api_url, other.url());
    let published = world.until_value("bot", "token", new.secret()).await;
    assert_eq!(value(&published, "url"), other.url());
    operator.look_again(1).await;
    assert_eq!(world.calls_for(other.host()), 2);
    assert_eq!(world.calls_with(&old), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_method_is_published_when_it_is_validated_and_leaves_no_old_keys() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.api_token("bot").await;
    world.wait_ready("bot").await;
    let published = world.secrets().get("bot").await.unwrap();
    let jira = world.data_center();
    let pat = jira.pat("bot");
    world.sim.revoke(&pat);
    world.secret("pat-source", &[("token", pat.secret())]).await;
    let reference = json!({"name": "pat-source", "key": "token"});
    let spec = json!({"site": jira.url(), "hosting": null, "auth": {
        "apiToken": null, "personalAccessToken": {"tokenSecretRef": reference},
    }});
    world.change("bot", spec).await;
    let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
    world.wait("bot", kind, status, Reason::Rejected).await;
    operator.look_again(1).await;
    assert_eq!(world.secrets().get("bot").await.unwrap(), published);
    let pat = jira.pat("bot");
    world.secret("pat-source", &[("token", pat.secret())]).await;
    let object = world.wait_ready("bot").await;
    let method = object.status.unwrap().method;
    assert_eq!(method, Some(MethodName::PersonalAccessToken));
    let published = world.secrets().get("bot").await.unwrap();
    let expected = "accountId authorization hosting scheme site token url";
    assert_eq!(keys(&published).join(" "), expected);
    assert_eq!(value(&published, "token"), pat.secret());
    assert_eq!(world.calls(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_is_trusted_by_the_credential_that_names_it() {
    let world = World::new().await;
    let operator = world
        .operator_with(|config| config.jira.extra_ca_pem = None)
        .await;
    let stranger = Sim::start(SimConfig::default()).await.unwrap();
    let (ours, theirs) = (world.sim.ca_pem(), stranger.ca_pem());
    world.secret("ours", &[("ca.crt", ours)]).await;
    world.secret("theirs", &[("ca.crt", theirs)]).await;
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    let map = async |name: &str| {
        let map = json!({"metadata": {"name": name}, "data": {"ca.crt": ours}});
        let map = serde_json::from_value(map).unwrap();
        maps.create(&PostParams::default(), &map).await.unwrap();
    };
    map("map").await;
    let (secret, config) = ("caSecretRef", "caConfigMapRef");
    for (name, tls, ready) in [
        ("none", None, Err("not trusted")),
        ("secret", Some((secret, "ours")), Ok(())),
        ("map", Some((config, "map")), Ok(())),
        ("wrong", Some((secret, "theirs")), Err("not trusted")),
        (
            "absent",
            Some((config, "later")),
            Err("ConfigMap later does not exist"),
        ),
    ] {
        let token = world.data_center().pat(name);
        world
            .secret(&format!("{name}-source"), &[("token", token.secret())])
            .await;
        let mut spec = world.pat_spec(name);
        if let Some((kind, object)) = tls {
            spec["tls"] = json!({kind: {"name": object, "key": "ca.crt"}});
        }
        spec["targets"] = json!([{"name": format!("{name}-target")}]);
        world.create(name, spec).await;
        match ready {
            Ok(()) => drop(world.wait_ready(name).await),
            Err(message) => {
                let object = world.observed(name).await;
                let ready = says(&object, ConditionType::Ready);
                assert_eq!(ready.status, ConditionStatus::False, "{name}");
                assert!(ready.message.contains(message), "{name}: {}", ready.message);
                let valid = says(&object, ConditionType::Valid).status;
                assert_eq!(valid, ConditionStatus::Unknown, "{name}");
            }
        }
    }
    // An edited Secret may be the remedy and is tried at once; ConfigMaps are looked for.
    world.secret("theirs", &[("ca.crt", ours)]).await;
    world.wait_ready("wrong").await;
    map("later").await;
    operator.look_again(5).await;
    world.wait_ready("absent").await;
}

/// A spec that names an authority says that no other may vouch for the site, those included that the
/// operator trusts for all.
#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_replaces_the_others_for_its_site() {
    let world = World::new().await;
    let _operator = world.operator().await;
    let stranger = Sim::start(SimConfig::default()).await.unwrap();
    world
        .secret("their-ca", &[("ca.crt", stranger.ca_pem())])
        .await;
    for name in ["none", "theirs"] {
        let token = world.data_center().pat(name);
        world
            .secret(&format!("{name}-source"), &[("token", token.secret())])
            .await;
        let mut spec = world.pat_spec(name);
        if name == "theirs" {
            spec["tls"] = json!({"caSecretRef": {"name": "their-ca", "key": "ca.crt"}});
        }
        world.create(name, spec).await;
    }
    world.wait_ready("none").await;
    let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
    let object = world
        .wait("theirs", kind, status, Reason::SiteUnavailable)
        .await;
    let message = says(&object, kind).message;
    assert!(message.contains("not trusted"), "{message}");
}
