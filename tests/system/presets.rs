//! Presets: the keys that a target has, and what becomes of one that its method cannot fill.

use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::support::{World, keys, says, value};

/// A credential of a personal access token with these targets.
async fn with_targets(world: &World, targets: Value) -> String {
    let site = world.data_center().user("bot");
    let token = site.pat("bot");
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    let spec = json!({
        "site": site.url(), "hosting": "DataCenter",
        "auth": {"personalAccessToken": {"tokenSecretRef": {"name": "bot-source", "key": "token"}}},
        "targets": targets,
    });
    world.create("bot", spec).await;
    token.secret().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_has_the_keys_of_its_presets() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.cloud().api_token("bot@acme.example");
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    let mut spec = world.api_token_spec("bot");
    spec["targets"] = json!([
        {"name": "variables", "presets": ["Env"]},
        {"name": "both", "presets": ["Netrc", "BasicAuth"]},
        {"name": "standard", "presets": ["Standard"]},
        {"name": "jenkins", "presets": ["Jenkins"]},
    ]);
    world.create("bot", spec).await;
    world.wait_ready("bot").await;
    let secret = |name: &'static str| {
        let secrets = world.secrets();
        async move { secrets.get(name).await.unwrap() }
    };
    let variables = secret("variables").await;
    assert_eq!(
        keys(&variables).join(" "),
        "JIRA_API_TOKEN JIRA_AUTH_TYPE JIRA_BASE_URL JIRA_LOGIN JIRA_SERVER JIRA_URL JIRA_USERNAME JIRA_USER_EMAIL"
    );
    assert_eq!(value(&variables, "JIRA_API_TOKEN"), token.secret());
    let both = secret("both").await;
    assert_eq!(keys(&both).join(" "), ".netrc password username");
    assert_eq!(both.type_.as_deref(), Some("kubernetes.io/basic-auth"));
    assert_eq!(value(&secret("standard").await, "hosting"), "Cloud");
    let jenkins = secret("jenkins").await;
    assert_eq!(
        jenkins.labels()["jenkins.io/credentials-type"],
        "usernamePassword"
    );
    // Another preset: the keys, labels and the type of the one before go, in one write each.
    operator.quiet().await;
    let mark = operator.mark();
    let other = json!({"targets": [
        {"name": "variables", "presets": ["Env", "Standard"]},
        {"name": "both", "presets": ["BasicAuth"]},
        {"name": "standard"},
        {"name": "jenkins"},
    ]});
    world.change("bot", other).await;
    world.observed("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let plain = secret("standard").await;
    let standard = keys(&plain);
    let jenkins = secret("jenkins").await;
    assert_eq!(keys(&jenkins), standard);
    assert!(!jenkins.labels().contains_key("jenkins.io/credentials-type"));
    assert_eq!(jenkins.type_.as_deref(), Some("Opaque"));
    assert_eq!(keys(&secret("both").await).join(" "), "password username");
    let variables = secret("variables").await;
    let variables = keys(&variables);
    assert!(standard.iter().all(|key| variables.contains(key)));
    // One for each target, and one for the labels that went; what says Standard is not written.
    assert_eq!(
        operator.writes_since(mark),
        [
            "patch secrets",
            "patch secrets",
            "patch secrets",
            "patch secrets",
            "update jiracredentials/status"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preset_that_the_method_cannot_fill_is_named() {
    let world = World::new().await;
    let operator = world.operator().await;
    let targets = json!([
        {"name": "file", "presets": ["Netrc"]},
        {"name": "plain"},
    ]);
    let token = with_targets(&world, targets).await;
    let told = world.wait_unready("bot", Reason::TemplateInvalid).await;
    let stalled = says(&told, ConditionType::Stalled);
    assert_eq!(
        stalled.message,
        "The Secret file is not written: the preset Netrc holds a user name with a password or an API token, and this method has none. Remove Netrc from presets of this target; Standard works with every method."
    );
    let valid = says(&told, ConditionType::Valid);
    assert_eq!(valid.status, ConditionStatus::True);
    // The other target does not wait for it.
    world.until_value("plain", "token", &token).await;
    assert!(world.secrets().get_opt("file").await.unwrap().is_none());
    // A restart changes nothing, and asks nobody.
    operator.quiet().await;
    operator.stop().await;
    let calls = world.calls();
    let operator = world.operator().await;
    let mark = operator.mark();
    operator.quiet().await;
    assert!(operator.requests_since(mark).is_empty());
    assert_eq!(world.calls(), calls);
    let targets = json!({"targets": [
        {"name": "file", "presets": ["McpAtlassian"]},
        {"name": "plain"},
    ]});
    world.change("bot", targets).await;
    world.wait_ready("bot").await;
    world
        .until_value("file", "JIRA_PERSONAL_TOKEN", &token)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_preset_is_refused_by_the_server() {
    let world = World::new().await;
    let mut spec = world.api_token_spec("bot");
    for (presets, told) in [
        (json!(["standard"]), "Unsupported value: \"standard\""),
        (json!(["Env", "Env"]), "Duplicate value: \"Env\""),
    ] {
        spec["targets"] = json!([{"name": "a", "presets": presets}]);
        let object = serde_json::from_value::<kube::api::DynamicObject>(json!({
            "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
            "metadata": {"name": "bot"}, "spec": spec,
        }))
        .unwrap();
        let resource =
            kube::api::ApiResource::erase::<jira_credential_operator::api::JiraCredential>(&());
        let api: kube::Api<kube::api::DynamicObject> =
            kube::Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
        let refused = api.create(&kube::api::PostParams::default(), &object).await;
        let text = refused.unwrap_err().to_string();
        assert!(text.contains(told), "{text}");
    }
}
