//! What a tenant tries who may write `JiraCredentials` and read no Secret; the part of the list
//! that is decided at admission.

use jira_credential_operator::api::JiraCredential;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::support::{Context, User, context, create, credential, password};

/// A tenant who holds everything about Secrets named `own` and `own-…`, and a neighbour's Secret.
async fn tenant(prefix: &str) -> (Context, User) {
    let test = context(prefix).await;
    let user = User::tenant(&test, "mallory").await;
    user.may_secrets(&test.client, &["get"], &["own"]).await;
    user.may_secrets(&test.client, &["create", "update"], &["own-target"])
        .await;
    let neighbours: Secret = serde_json::from_value(json!({
        "metadata": { "name": "neighbours" }, "stringData": { "username": "a", "password": "b" }
    }))
    .unwrap();
    Api::namespaced(test.client.clone(), &test.namespace)
        .create(&PostParams::default(), &neighbours)
        .await
        .unwrap();
    user.is_accepted(&credential("fair", password("own", &["own-target"])))
        .await;
    (test, user)
}

#[tokio::test]
async fn anothers_secret_cannot_be_a_source() {
    let (_, user) = tenant("attack").await;
    let object = credential("thief", password("neighbours", &["own-target"]));
    user.is_refused(&object, &["Secret neighbours"]).await;
}

#[tokio::test]
async fn anothers_secret_cannot_become_the_source_later() {
    let (test, user) = tenant("attack").await;
    let fair = credential("fair", password("own", &["own-target"]));
    create(&user.client, &test.namespace, &fair, false)
        .await
        .unwrap();
    let theirs = Api::<JiraCredential>::namespaced(user.client.clone(), &test.namespace);
    let source =
        json!({ "spec": { "auth": { "basic": { "secretRef": { "name": "neighbours" } } } } });
    let refusal = theirs
        .patch("fair", &PatchParams::default(), &Patch::Merge(source))
        .await
        .unwrap_err();
    assert!(
        refusal.to_string().contains("Secret neighbours"),
        "{refusal}"
    );
}

#[tokio::test]
async fn server_side_apply_is_no_way_around() {
    let (test, user) = tenant("attack").await;
    let theirs = Api::<JiraCredential>::namespaced(user.client.clone(), &test.namespace);
    let object = credential("thief", password("neighbours", &["own-target"]));
    let refusal = theirs
        .patch(
            "thief",
            &PatchParams::apply("mallory"),
            &Patch::Apply(object),
        )
        .await
        .unwrap_err();
    assert!(
        refusal.to_string().contains("Secret neighbours"),
        "{refusal}"
    );
}

#[tokio::test]
async fn anothers_secret_cannot_be_a_target() {
    let (_, user) = tenant("attack").await;
    let named = credential("vandal", password("own", &["own-target", "neighbours"]));
    user.is_refused(&named, &["Secret neighbours"]).await;
    let by_default = credential("neighbours", password("own", &[]));
    user.is_refused(&by_default, &["Secret neighbours"]).await;
}

/// A user who could name another's grant would get its access tokens through their own target.
#[tokio::test]
async fn anothers_consent_cannot_be_used() {
    let (_, user) = tenant("attack").await;
    let reference = |name: &str| json!({ "name": name, "key": "username" });
    let borrowed = |seed: &str, client: &str| {
        json!({
            "site": "https://acme.atlassian.net",
            "auth": { "oauth2": {
                "clientId": "app",
                "clientSecretRefs": [reference(client)],
                "refreshTokenSecretRef": reference(seed),
            } },
            "targets": [{ "name": "own-target" }],
        })
    };
    user.is_accepted(&credential("fair", borrowed("own", "own")))
        .await;
    for (seed, client) in [("neighbours", "own"), ("own", "neighbours")] {
        let thief = credential("thief", borrowed(seed, client));
        user.is_refused(&thief, &["Secret neighbours"]).await;
    }
}

#[tokio::test]
async fn the_operators_own_secrets_cannot_be_targets() {
    let (test, user) = tenant("attack").await;
    let grant = "jco-grant-aaaaaaaaaaaaaaaaaaaaaaaaaa";
    let named = credential("vandal", password("own", &["own-target", grant]));
    let by_default = credential(grant, password("own", &[]));
    for object in [named, by_default] {
        let refusal = create(&user.client, &test.namespace, &object, true).await;
        let told = |message: &String| message.contains("begin with jco-grant-");
        assert!(refusal.as_ref().is_err_and(told), "{refusal:?}");
    }
}

#[tokio::test]
async fn what_a_cluster_acts_upon_cannot_be_published() {
    let (test, user) = tenant("attack").await;
    for kind in [
        "kubernetes.io/service-account-token",
        "bootstrap.kubernetes.io/token",
        "helm.sh/release.v1",
        "cluster.x-k8s.io/secret",
    ] {
        let mut spec = password("own", &[]);
        spec["targets"] = json!([{ "name": "own-target", "template": { "type": kind } }]);
        let refusal = create(&user.client, &test.namespace, &credential("x", spec), true).await;
        assert!(
            refusal
                .as_ref()
                .is_err_and(|message| message.contains("must be Opaque")),
            "{kind}: {refusal:?}"
        );
    }
}

#[tokio::test]
async fn a_site_cannot_be_an_address() {
    let (test, user) = tenant("attack").await;
    for site in [
        "https://127.0.0.1",
        "https://169.254.169.254",
        "https://[::1]",
        "https://0x7f000001",
    ] {
        let mut spec = password("own", &["own-target"]);
        spec["site"] = Value::from(site);
        let refusal = create(&user.client, &test.namespace, &credential("x", spec), true).await;
        assert!(
            refusal
                .as_ref()
                .is_err_and(|message| message.contains("not an IP address")),
            "{site}: {refusal:?}"
        );
    }
}

#[tokio::test]
async fn a_tenant_cannot_write_the_status() {
    let (test, user) = tenant("attack").await;
    let fair = credential("fair", password("own", &["own-target"]));
    create(&user.client, &test.namespace, &fair, false)
        .await
        .unwrap();
    let theirs = Api::<JiraCredential>::namespaced(user.client.clone(), &test.namespace);
    let pin = json!({ "status": { "account": { "id": "somebody" } } });
    let merge = Patch::Merge(pin);
    let refusal = theirs
        .patch_status("fair", &PatchParams::default(), &merge)
        .await
        .unwrap_err();
    assert!(
        refusal.to_string().contains("jiracredentials/status"),
        "{refusal}"
    );
    // Through the object itself, a status is ignored.
    let ignored = theirs
        .patch("fair", &PatchParams::default(), &merge)
        .await
        .unwrap();
    assert!(ignored.status.is_none_or(|status| status.account.is_none()));
}
