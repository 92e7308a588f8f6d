//! Who may write a `JiraCredential`: those who hold the rights that it makes the operator use.

use jira_credential_operator::api::JiraCredential;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::support::{User, context, credential, password};

#[tokio::test]
async fn the_writer_needs_the_right_to_read_the_source_and_to_write_the_targets() {
    let test = context("policy").await;
    let user = User::tenant(&test, "ann").await;
    let object = credential("sync", password("login", &["first", "second"]));

    user.is_refused(&object, &["Secret login", "right to get", "name a Secret"])
        .await;
    user.may_secrets(&test.client, &["get"], &["login"]).await;
    user.is_refused(
        &object,
        &["Secret first", "create and update", "spec.targets"],
    )
    .await;
    user.may_secrets(&test.client, &["create"], &["first"])
        .await;
    user.is_refused(&object, &["Secret first", "create and update"])
        .await;
    user.may_secrets(&test.client, &["update"], &["first"])
        .await;
    user.is_refused(&object, &["Secret second", "create and update"])
        .await;
    user.may_secrets(&test.client, &["create", "update"], &["second"])
        .await;
    user.is_accepted(&object).await;
}

#[tokio::test]
async fn every_reference_is_checked() {
    let test = context("policy").await;
    let user = User::tenant(&test, "ann").await;
    user.may_secrets(&test.client, &["create", "update"], &[])
        .await;
    user.may_secrets(&test.client, &["get"], &["mine"]).await;
    let own = json!({ "name": "mine", "key": "k" });
    let foreign = json!({ "name": "foreign", "key": "k" });
    let cloud = |token: &Value, email: &Value| {
        json!({
            "site": "https://acme.atlassian.net",
            "auth": { "apiToken": { "tokenSecretRef": token, "emailSecretRef": email } }
        })
    };
    let data_center = |auth: Value, tls: Value| json!({ "site": "https://jira.corp.example", "auth": auth, "tls": tls });
    let pat = |token: &Value| json!({ "personalAccessToken": { "tokenSecretRef": token } });
    let oauth2 = |seed: &Value, clients: [&Value; 2]| {
        let mut spec = client_credentials(&clients);
        spec["auth"] = json!({ "oauth2": spec["auth"]["clientCredentials"] });
        spec["auth"]["oauth2"]["refreshTokenSecretRef"] = seed.clone();
        spec
    };
    for spec in [
        cloud(&own, &own),
        oauth2(&own, [&own, &own]),
        client_credentials(&[&own, &own]),
    ] {
        user.is_accepted(&credential("all-mine", spec)).await;
    }
    for (kind, spec) in [
        ("Secret", cloud(&foreign, &own)),
        ("Secret", cloud(&own, &foreign)),
        ("Secret", oauth2(&foreign, [&own, &own])),
        ("Secret", oauth2(&own, [&foreign, &own])),
        ("Secret", oauth2(&own, [&own, &foreign])),
        ("Secret", client_credentials(&[&foreign, &own])),
        ("Secret", client_credentials(&[&own, &foreign])),
        ("Secret", data_center(pat(&foreign), Value::Null)),
        (
            "Secret",
            data_center(
                json!({ "basic": { "secretRef": { "name": "foreign" } } }),
                Value::Null,
            ),
        ),
        (
            "Secret",
            data_center(pat(&own), json!({ "caSecretRef": foreign })),
        ),
        (
            "ConfigMap",
            data_center(pat(&own), json!({ "caConfigMapRef": foreign })),
        ),
    ] {
        let named = format!("{kind} foreign");
        user.is_refused(&credential("not-all-mine", spec), &[&named])
            .await;
    }
}

/// A spec that reads these client secrets.
fn client_credentials(clients: &[&Value]) -> Value {
    json!({
        "site": "https://acme.atlassian.net",
        "auth": { "clientCredentials": { "clientId": "app", "clientSecretRefs": clients } },
        "targets": [{ "name": "target" }]
    })
}

/// The most that a definition lets a `JiraCredential` name is checked to the end, and costs no more
/// than an expression may.
#[tokio::test]
async fn the_most_sources_and_the_most_targets_are_checked_together() {
    let test = context("policy").await;
    let user = User::tenant(&test, "ann").await;
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    user.may_secrets(&test.client, &["create", "update"], &names)
        .await;
    user.may_secrets(&test.client, &["get"], &["seed", "new"])
        .await;
    let secret = |name: &str| json!({ "name": name, "key": "k" });
    let object = credential(
        "most",
        json!({
            "site": "https://acme.atlassian.net",
            "auth": { "oauth2": {
                "clientId": "app",
                "clientSecretRefs": [secret("new"), secret("old")],
                "refreshTokenSecretRef": secret("seed"),
            } },
            "targets": names.map(|name| json!({ "name": name })),
        }),
    );
    user.is_refused(&object, &["Secret old:", "right to get"])
        .await;
    user.may_secrets(&test.client, &["get"], &["old"]).await;
    user.is_accepted(&object).await;
}

#[tokio::test]
async fn the_default_target_is_checked() {
    let test = context("policy").await;
    let user = User::tenant(&test, "ann").await;
    user.may_secrets(&test.client, &["get"], &["login"]).await;
    user.is_refused(
        &credential("sync", password("login", &[])),
        &["Secret sync"],
    )
    .await;
}

#[tokio::test]
async fn the_last_of_the_most_targets_is_checked() {
    let test = context("policy").await;
    let user = User::tenant(&test, "ann").await;
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let object = credential("sync", password("login", &names));
    user.may_secrets(&test.client, &["get"], &["login"]).await;
    user.may_secrets(&test.client, &["create", "update"], &names[..7])
        .await;
    user.is_refused(&object, &["Secret h:"]).await;
    user.may_secrets(&test.client, &["create", "update"], &["h"])
        .await;
    user.is_accepted(&object).await;
}

#[tokio::test]
async fn labels_may_change_without_rights_to_the_secrets_and_the_spec_may_not() {
    let test = context("policy").await;
    let user = User::tenant(&test, "gitops").await;
    // Once this is refused by the policy, the right to write JiraCredentials has arrived.
    user.is_refused(
        &credential("other", password("login", &[])),
        &["Secret login"],
    )
    .await;
    let created = credential("sync", password("login", &["target"]));
    Api::<JiraCredential>::namespaced(test.client, &test.namespace)
        .create(
            &PostParams::default(),
            &serde_json::from_value(created).unwrap(),
        )
        .await
        .unwrap();

    let theirs = Api::<JiraCredential>::namespaced(user.client.clone(), &test.namespace);
    let merge = async |patch: Value| {
        theirs
            .patch("sync", &PatchParams::default(), &Patch::Merge(patch))
            .await
    };
    merge(json!({ "metadata": { "labels": { "team": "a" }, "annotations": { "note": "b" } } }))
        .await
        .unwrap();
    let refusal = merge(json!({ "spec": { "suspend": true } }))
        .await
        .unwrap_err();
    assert!(refusal.to_string().contains("Secret login"), "{refusal}");
    theirs
        .delete("sync", &DeleteParams::default())
        .await
        .unwrap();
}
