//! Who may write a `JiraCredential`: those who hold the rights that it makes the operator use.

use std::collections::BTreeSet;

use jira_credential_operator::api::JiraCredential;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::support::{Context, User, change_as, context, credential, eventually, password};

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

/// The rights of an author count in the namespace of each target, and no others.
#[tokio::test]
async fn the_writer_needs_the_rights_in_the_namespace_of_each_target() {
    let test = context("policy").await;
    let user = User::tenant(&test, "ann").await;
    let there = test.plane.namespace("elsewhere").await.unwrap();
    let abroad = user.in_namespace(&there);
    user.may_secrets(&test.client, &["get"], &["login"]).await;
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    // All rights at home help nowhere else.
    user.may_secrets(&test.client, &["create", "update"], &names)
        .await;
    let mut object = credential("sync", password("login", &names));
    user.is_accepted(&object).await;
    for (index, name) in names.iter().enumerate() {
        object["spec"]["targets"][index]["namespace"] = json!(there);
        let words = format!(
            "Secret {there}/{name}: you need the rights to create and update it yourself, in its namespace"
        );
        user.is_refused(&object, &[&words]).await;
        abroad.may_secrets(&test.client, &["create"], &[name]).await;
        user.is_refused(&object, &[&words]).await;
        abroad.may_secrets(&test.client, &["update"], &[name]).await;
        user.is_accepted(&object).await;
    }
    // Its own namespace may be named, too.
    object["spec"]["targets"][0]["namespace"] = json!(test.namespace);
    user.is_accepted(&object).await;
}

/// The definition cannot see that two targets are one Secret if only one of them names the namespace.
#[tokio::test]
async fn a_target_with_the_namespace_of_its_object_is_the_one_without() {
    let test = context("policy").await;
    let user = User::tenant(&test, "ann").await;
    let there = test.plane.namespace("elsewhere").await.unwrap();
    user.may_secrets(&test.client, &["get"], &["login"]).await;
    let names = ["other", "jira"];
    for at in [&user, &user.in_namespace(&there)] {
        at.may_secrets(&test.client, &["create", "update"], &names)
            .await;
    }
    let mut object = credential("sync", password("login", &["other", "jira", "jira"]));
    object["spec"]["targets"][2]["namespace"] = json!(there);
    user.is_accepted(&object).await;
    object["spec"]["targets"][2]["namespace"] = json!(test.namespace);
    let words = [
        "spec.targets names the Secret jira twice",
        "give it another name or namespace",
    ];
    user.is_refused(&object, &words).await;
}

/// Who has no right to a target may change what does not concern it, and nothing else.
#[tokio::test]
async fn a_change_asks_for_the_rights_in_other_namespaces_unless_it_has_no_effect() {
    let test = context("policy").await;
    let user = User::tenant(&test, "ann").await;
    let there = test.plane.namespace("elsewhere").await.unwrap();
    user.may_secrets(&test.client, &["get"], &["login"]).await;
    user.may_secrets(&test.client, &["create", "update"], &["mine"])
        .await;
    let mut before = credential("sync", password("login", &["mine", "theirs"]));
    before["spec"]["targets"][1]["namespace"] = json!(there);
    let asked = async |after: &Value| {
        // An administrator has made it.
        change_as(&user, &test, &before, after.clone()).await
    };
    let mut labelled = before.clone();
    labelled["metadata"]["labels"] = json!({ "team": "a" });
    assert_eq!(asked(&labelled).await.err(), None);
    let mut suspended = before.clone();
    suspended["spec"]["suspend"] = json!(true);
    assert_eq!(asked(&suspended).await.err(), None);
    let mut renamed = before.clone();
    renamed["spec"]["targets"][0]["presets"] = json!(["Env"]);
    let said = asked(&renamed).await.unwrap_err();
    assert!(said.contains(&format!("Secret {there}/theirs")), "{said}");
    let mut removed = before.clone();
    removed["spec"]["targets"] = json!([{ "name": "mine" }]);
    assert_eq!(asked(&removed).await.err(), None);
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

/// How the policy about workloads begins its refusals.
const RESTART: &str = "ValidatingAdmissionPolicy 'jira-credential-operator-restart'";

/// The most workloads beside the most targets, each with a right of its own: as expensive as it gets.
#[tokio::test]
async fn the_writer_needs_the_right_to_patch_each_workload() {
    let test = context("policy").await;
    let user = User::tenant(&test, "ann").await;
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    user.may_secrets(&test.client, &["create", "update"], &names)
        .await;
    user.may_secrets(&test.client, &["get"], &["login"]).await;
    let deployments: Vec<String> = (0..14).map(|n| format!("d{n}")).collect();
    let mut restart: Vec<Value> = deployments
        .iter()
        .map(|name| json!({ "kind": "Deployment", "name": name }))
        .collect();
    restart.push(json!({ "kind": "StatefulSet", "name": "db" }));
    restart.push(json!({ "kind": "DaemonSet", "name": "agent" }));
    let mut object = credential("sync", password("login", &names));
    user.is_accepted(&object).await;
    object["spec"]["restart"] = json!(restart);
    let refused = async |words: &str| {
        user.is_answered(&object, |answer| {
            answer.is_err_and(|said| said.contains(RESTART) && said.contains(words))
        })
        .await;
    };
    refused("restart Deployment d0: you need the right to patch it yourself").await;
    let most: Vec<&str> = deployments.iter().map(String::as_str).collect();
    user.may(&test.client, &["patch"], "apps", "deployments", &most)
        .await;
    // The right to another kind of this name is none.
    user.may(&test.client, &["patch"], "apps", "deployments", &["db"])
        .await;
    refused("StatefulSet db").await;
    user.may(&test.client, &["patch"], "apps", "statefulsets", &["db"])
        .await;
    refused("DaemonSet agent").await;
    user.may(&test.client, &["get"], "apps", "daemonsets", &["agent"])
        .await;
    refused("DaemonSet agent").await;
    user.may(&test.client, &["patch"], "apps", "daemonsets", &["agent"])
        .await;
    user.is_accepted(&object).await;
}

/// What a person has named may be changed by others in everything else.
#[tokio::test]
async fn a_change_of_the_named_workloads_needs_the_right_to_patch_them() {
    let test = context("policy").await;
    let user = User::tenant(&test, "ann").await;
    user.may_secrets(&test.client, &["create", "update"], &["target"])
        .await;
    user.may_secrets(&test.client, &["get"], &["login"]).await;
    let mut object = credential("sync", password("login", &["target"]));
    user.is_accepted(&object).await;
    object["spec"]["restart"] = json!([
        { "kind": "Deployment", "name": "sync" }, { "kind": "StatefulSet", "name": "db" }
    ]);
    Api::<JiraCredential>::namespaced(test.client.clone(), &test.namespace)
        .create(
            &PostParams::default(),
            &serde_json::from_value(object).unwrap(),
        )
        .await
        .unwrap();
    let other = json!({ "spec": { "validation": { "interval": "10m" } } });
    assert_eq!(refusal(&user, &test, other).await, None);
    let one = json!({ "spec": { "restart": [{ "kind": "StatefulSet", "name": "db" }] } });
    assert_eq!(refusal(&user, &test, one).await, None, "one less");
    let more = json!({ "spec": { "restart": [
        { "kind": "StatefulSet", "name": "db" }, { "kind": "Deployment", "name": "db" }
    ] } });
    let error = refusal(&user, &test, more).await.unwrap();
    assert!(error.contains(RESTART), "{error}");
    let other = json!({ "spec": { "restart": [{ "kind": "Deployment", "name": "more" }] } });
    let error = refusal(&user, &test, other).await.unwrap();
    assert!(error.contains("restart Deployment more"), "{error}");
    let fewer = json!({ "spec": { "restart": null } });
    assert_eq!(refusal(&user, &test, fewer).await, None);
}

async fn allow_sites(test: &Context, allowed: Option<&str>) {
    let patch = json!({"metadata": {"annotations": {"jira-operator.dev/allowed-sites": allowed}}});
    Api::<Namespace>::all(test.client.clone())
        .patch(
            &test.namespace,
            &PatchParams::default(),
            &Patch::Merge(patch),
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn a_namespace_can_be_limited_to_sites() {
    let test = context("policy").await;
    let user = User::tenant(&test, "ann").await;
    user.may_secrets(&test.client, &["get"], &["login"]).await;
    user.may_secrets(&test.client, &["create", "update"], &["target"])
        .await;
    let at = |site: &str| {
        let mut spec = password("login", &["target"]);
        spec["site"] = site.into();
        credential("sync", spec)
    };
    let corp = at("https://jira.corp.example:8443/jira");
    user.is_accepted(&corp).await;

    allow_sites(&test, Some("acme.atlassian.net, *.lab.example")).await;
    let words = [
        "spec.site",
        "jira-operator.dev/allowed-sites",
        &test.namespace,
        "allows acme.atlassian.net, *.lab.example, not jira.corp.example",
        "name a site that it allows",
    ];
    user.is_refused(&corp, &words).await;
    user.is_accepted(&at("https://jira.lab.example")).await;
    user.is_accepted(&at("https://jira.lab.example.")).await;
    for other in [
        "https://lab.example",
        "https://jirallab.example",
        "https://lab.example.corp.example",
        "https://acme.atlassian.net.corp.example",
    ] {
        user.is_refused(&at(other), &["not "]).await;
    }

    // Names of hosts have no case; the port and the path do not count.
    allow_sites(&test, Some(" acme.atlassian.net,,JIRA.corp.Example. ,")).await;
    user.is_accepted(&corp).await;
    user.is_refused(&at("https://jira.lab.example"), &["spec.site"])
        .await;

    allow_sites(&test, Some("")).await;
    user.is_refused(&corp, &["allows no host, not jira.corp.example"])
        .await;
    // More than any list is long: refused, whatever it says, and without reading it.
    let entries = |count: usize| "a.example,".repeat(count) + "jira.corp.example";
    allow_sites(&test, Some(&entries(20_000))).await;
    user.is_refused(&corp, &["more than 4096 characters", "shorten it"])
        .await;
    allow_sites(&test, Some(&entries(400))).await;
    user.is_accepted(&corp).await;
    allow_sites(&test, None).await;
    user.is_accepted(&corp).await;
}

/// What exists is found when it changes, and is suspended all the same.
#[tokio::test]
async fn what_a_namespace_does_not_allow_any_more_is_refused_at_its_next_change() {
    let (test, user) = created_by_the_administrator("ann", false).await;
    user.may_secrets(&test.client, &["get"], &["login"]).await;
    user.may_secrets(&test.client, &["create", "update"], &["target"])
        .await;
    user.is_accepted(&credential("other", password("login", &["target"])))
        .await;
    allow_sites(&test, Some("acme.atlassian.net")).await;
    user.is_refused(
        &credential("other", password("login", &["target"])),
        &["spec.site"],
    )
    .await;
    let label = json!({ "metadata": { "labels": { "team": "a" } } });
    assert_eq!(refusal(&user, &test, label).await, None);
    assert_eq!(refusal(&user, &test, suspend(true)).await, None);
    let change = json!({ "spec": { "validation": { "interval": "10m" } } });
    let error = refusal(&user, &test, change).await.unwrap();
    assert!(error.contains("spec.site"), "{error}");
}

/// A `JiraCredential` that the administrator made and the user has no rights on the Secrets of.
async fn created_by_the_administrator(user: &str, suspended: bool) -> (Context, User) {
    let test = context("policy").await;
    let user = User::tenant(&test, user).await;
    // Once this is refused by the policy, the right to write JiraCredentials has arrived.
    user.is_refused(
        &credential("other", password("login", &[])),
        &["Secret login"],
    )
    .await;
    let mut created = credential("sync", password("login", &["target"]));
    created["spec"]["suspend"] = suspended.into();
    Api::<JiraCredential>::namespaced(test.client.clone(), &test.namespace)
        .create(
            &PostParams::default(),
            &serde_json::from_value(created).unwrap(),
        )
        .await
        .unwrap();
    (test, user)
}

/// The error that the API server answers to a merge patch of `sync`, or nothing.
async fn refusal(user: &User, test: &Context, patch: Value) -> Option<String> {
    Api::<JiraCredential>::namespaced(user.client.clone(), &test.namespace)
        .patch("sync", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .err()
        .map(|error| error.to_string())
}

fn renew(value: &str) -> Value {
    json!({ "metadata": { "annotations": { "jira-operator.dev/renew": value } } })
}

fn suspend(value: bool) -> Value {
    json!({ "spec": { "suspend": value } })
}

#[tokio::test]
async fn labels_may_change_without_rights_to_the_secrets_and_the_spec_may_not() {
    let (test, user) = created_by_the_administrator("gitops", false).await;
    let metadata =
        json!({ "metadata": { "labels": { "team": "a" }, "annotations": { "note": "b" } } });
    assert_eq!(refusal(&user, &test, metadata).await, None);
    for change in [
        json!({ "spec": { "validation": { "interval": "10m" } } }),
        json!({ "spec": { "suspend": true, "validation": { "interval": "10m" } } }),
        json!({ "spec": { "suspend": true, "targets": null } }),
    ] {
        let error = refusal(&user, &test, change).await.unwrap();
        assert!(error.contains("Secret login"), "{error}");
    }
    Api::<JiraCredential>::namespaced(user.client.clone(), &test.namespace)
        .delete("sync", &DeleteParams::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn anybody_who_may_write_the_object_may_suspend_it_and_not_resume_it() {
    let (test, user) = created_by_the_administrator("ann", false).await;
    assert_eq!(refusal(&user, &test, suspend(true)).await, None);
    for resumed in [
        suspend(false),
        json!({ "spec": { "suspend": null } }),
        json!({ "spec": { "suspend": false }, "metadata": { "labels": { "team": "a" } } }),
    ] {
        let error = refusal(&user, &test, resumed).await.unwrap();
        assert!(error.contains("Secret login"), "{error}");
    }
}

/// The annotation has a refused password sent again, until the account needs a CAPTCHA.
#[tokio::test]
async fn a_new_value_of_renew_needs_the_rights_to_the_secrets() {
    let (test, user) = created_by_the_administrator("ann", false).await;
    let error = refusal(&user, &test, renew("1")).await.unwrap();
    assert!(error.contains("Secret login"), "{error}");
    assert!(
        error.contains("role jira-credential-operator-on-call"),
        "{error}"
    );
    user.may_secrets(&test.client, &["get"], &["login"]).await;
    user.may_secrets(&test.client, &["create", "update"], &["target"])
        .await;
    eventually(async || match refusal(&user, &test, renew("1")).await {
        None => Ok(()),
        Some(error) => Err(error),
    })
    .await;
}

#[tokio::test]
async fn the_role_for_on_call_may_renew_suspend_and_resume_and_nothing_else() {
    let (test, user) = created_by_the_administrator("bob", true).await;
    user.may_what_the_role_may(&test.client, "jira-credential-operator-on-call")
        .await;
    eventually(async || match refusal(&user, &test, renew("1")).await {
        None => Ok(()),
        Some(error) => Err(error),
    })
    .await;
    assert_eq!(refusal(&user, &test, suspend(false)).await, None);
    assert_eq!(refusal(&user, &test, suspend(true)).await, None);
    let more = json!({ "spec": { "suspend": false, "targets": [{ "name": "elsewhere" }] } });
    let error = refusal(&user, &test, more).await.unwrap();
    assert!(error.contains("Secret login"), "{error}");
}

/// What people get from the roles that a cluster has.
#[tokio::test]
async fn view_reads_only_and_edit_contains_the_role_for_on_call() {
    let test = context("policy").await;
    let roles = Api::<ClusterRole>::all(test.client);
    let verbs = async |role: &str| -> BTreeSet<String> {
        let granted = roles.get(role).await.unwrap().rules.unwrap_or_default();
        granted
            .into_iter()
            .filter(|rule| {
                rule.api_groups
                    .iter()
                    .flatten()
                    .any(|group| group == "jira-operator.dev")
            })
            .flat_map(|rule| rule.verbs)
            .collect()
    };
    eventually(async || {
        let verbs = verbs("edit").await;
        let found = verbs.contains("renew");
        found.then_some(()).ok_or(format!("{verbs:?}"))
    })
    .await;
    let read_only = ["get", "list", "watch"].map(str::to_owned);
    eventually(async || match verbs("view").await {
        verbs if verbs == BTreeSet::from(read_only.clone()) => Ok(()),
        verbs => Err(format!("{verbs:?}")),
    })
    .await;
}
