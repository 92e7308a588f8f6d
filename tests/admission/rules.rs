//! One table of specs, judged twice: by an evaluator of CEL in this process, and by the real API
//! server.

use jira_credential_operator::api::{JiraCredential, JiraCredentialStatus};
use kube::{Api, Client, api::PostParams};
use kube_cel::Validator;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{self, Context};

/// A row of `specs.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(default = "credential")]
    object: String,
    /// The spec that is changed, if it is not a new object.
    before: Option<Value>,
    spec: Value,
    refused: Option<Refused>,
}

/// What the answer must say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    field: String,
    remedy: String,
    #[serde(default)]
    by: By,
}

/// What refuses.
#[derive(Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum By {
    #[default]
    Rule,
    Schema,
}

fn credential() -> String {
    "credential".to_owned()
}

fn rows() -> Vec<Row> {
    serde_saphyr::from_str(include_str!("specs.yaml")).unwrap()
}

impl Row {
    fn object(&self) -> Value {
        support::credential(&self.object, self.spec.clone())
    }

    fn before(&self) -> Option<Value> {
        let spec = self.before.clone()?;
        Some(support::credential(&self.object, spec))
    }

    /// What is wrong with an answer; `Ok` is acceptance.
    fn complaint(&self, answer: &Result<(), String>) -> Option<String> {
        let complaint = match (&self.refused, answer) {
            (None, Ok(())) => return None,
            (None, Err(message)) => format!("was refused: {message}"),
            (Some(_), Ok(())) => "was accepted".to_owned(),
            (Some(refused), Err(message)) => {
                if message.contains(&refused.field) && message.contains(&refused.remedy) {
                    return None;
                }
                format!("got the wrong answer: {message}")
            }
        };
        Some(format!("{}: {complaint}", self.name))
    }
}

#[test]
fn the_table_is_worth_its_name() {
    let rows = rows();
    let mut names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rows.len(), "a name is there twice");
    assert!(rows.iter().filter(|row| row.refused.is_some()).count() >= 30);
}

#[test]
fn the_rules_of_the_file_hold_by_themselves() {
    let definition: Value = serde_saphyr::from_str(support::CRD).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let found: Vec<String> = rows()
        .iter()
        .filter(|row| {
            row.refused
                .as_ref()
                .is_none_or(|refused| refused.by == By::Rule)
        })
        .filter_map(|row| {
            let mut object = row.object();
            // The API server does so before it asks a rule.
            without_nulls(&mut object);
            let before = row.before();
            let answer = Validator::new().validate(schema, &object, before.as_ref());
            row.complaint(&answer.map_err(|errors| {
                errors
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("; ")
            }))
        })
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

fn without_nulls(value: &mut Value) {
    if let Some(object) = value.as_object_mut() {
        object.retain(|_, member| !member.is_null());
        object.values_mut().for_each(without_nulls);
    }
}

#[tokio::test]
async fn the_api_server_takes_and_refuses_by_the_table() {
    let Context {
        client, namespace, ..
    } = support::context("rules").await;
    let mut found = Vec::new();
    for row in rows() {
        let answer = match row.before() {
            None => support::create(&client, &namespace, &row.object(), true).await,
            Some(before) => support::change(&client, &namespace, &before, row.object()).await,
        };
        found.extend(row.complaint(&answer.map(drop)));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test]
async fn one_mistake_in_a_site_is_told_once() {
    let Context {
        client, namespace, ..
    } = support::context("site-once").await;
    for site in [
        "http://jira.corp.example",
        "https://a@b.example",
        "https://b.example/?q#f",
        "x",
    ] {
        let spec =
            json!({ "site": site, "auth": { "basic": { "secretRef": { "name": "login" } } } });
        let object = support::credential("credential", spec);
        let answer = support::create(&client, &namespace, &object, true)
            .await
            .unwrap_err();
        assert_eq!(answer.matches("spec.site").count(), 1, "{answer}");
    }
}

#[tokio::test]
async fn a_missing_method_is_told_once() {
    let Context {
        client, namespace, ..
    } = support::context("method-once").await;
    for site in ["https://acme.atlassian.net", "https://jira.corp.example"] {
        let object = support::credential("credential", json!({ "site": site, "auth": {} }));
        let answer = support::create(&client, &namespace, &object, true)
            .await
            .unwrap_err();
        assert_eq!(answer.matches("Invalid value").count(), 1, "{answer}");
    }
}

#[tokio::test]
async fn a_new_object_is_not_yet_observed() {
    let Context {
        client, namespace, ..
    } = support::context("new").await;
    let created = create_example(&client, &namespace).await;
    assert_eq!(
        created.status.map(|status| status.observed_generation),
        Some(-1)
    );
    assert_eq!(created.spec.validation.interval, None);
    assert_eq!(created.spec.rotation.warn_before.as_str(), "14d");
    assert!(!created.spec.suspend);
}

#[tokio::test]
async fn a_reference_without_a_key_has_the_usual_one_of_its_field() {
    let Context {
        client, namespace, ..
    } = support::context("keys").await;
    let cloud = "https://acme.atlassian.net";
    let api_token = json!({ "apiToken": {
        "emailSecretRef": { "name": "bot" }, "tokenSecretRef": { "name": "bot" }
    } });
    let consent = json!({ "oauth2": {
        "clientId": "app", "clientSecretRefs": [{ "name": "app" }],
        "refreshTokenSecretRef": { "name": "bot" }
    } });
    let client_credentials = json!({ "clientCredentials": { "clientId": "app", "clientSecretRefs": [{ "name": "app" }] } });
    let pat = json!({ "personalAccessToken": { "tokenSecretRef": { "name": "bot" } } });
    for (spec, keys) in [
        (
            json!({ "site": cloud, "auth": api_token, "expiryLookup": {
                "apiKeySecretRef": { "name": "org" }, "organizationId": "1a", "label": "bot"
            } }),
            &[
                ("/auth/apiToken/emailSecretRef", "email"),
                ("/auth/apiToken/tokenSecretRef", "token"),
                ("/expiryLookup/apiKeySecretRef", "key"),
            ][..],
        ),
        (
            json!({ "site": cloud, "auth": consent }),
            &[
                ("/auth/oauth2/clientSecretRefs/0", "client-secret"),
                ("/auth/oauth2/refreshTokenSecretRef", "refresh-token"),
            ],
        ),
        (
            json!({ "site": cloud, "auth": client_credentials }),
            &[(
                "/auth/clientCredentials/clientSecretRefs/0",
                "client-secret",
            )],
        ),
        (
            json!({ "site": "https://jira.corp.example", "auth": pat.clone(),
                "tls": { "caSecretRef": { "name": "ca" } } }),
            &[
                ("/auth/personalAccessToken/tokenSecretRef", "token"),
                ("/tls/caSecretRef", "ca.crt"),
            ],
        ),
        (
            json!({ "site": "https://jira.corp.example", "auth": pat,
                "tls": { "caConfigMapRef": { "name": "ca" } } }),
            &[("/tls/caConfigMapRef", "ca.crt")],
        ),
    ] {
        let object = support::credential("credential", spec);
        let stored = support::create(&client, &namespace, &object, true)
            .await
            .unwrap();
        for (reference, key) in keys {
            let found = stored.pointer(&format!("/spec{reference}/key"));
            let is_in_a_list = reference.ends_with("/0");
            assert_eq!(found.is_none(), is_in_a_list, "{reference}: {stored}");
            let read: JiraCredential = serde_json::from_value(stored.clone()).unwrap();
            let read = serde_json::to_value(read).unwrap();
            let read = read.pointer(&format!("/spec{reference}/key"));
            assert_eq!(read, Some(&json!(key)), "{reference}: {stored}");
        }
    }
}

#[tokio::test]
async fn a_status_with_a_reason_of_a_newer_version_can_be_written() {
    let Context {
        client, namespace, ..
    } = support::context("reason").await;
    let mut object = create_example(&client, &namespace).await;
    let status = json!({
        "observedGeneration": 1,
        "conditions": [{
            "type": "Ready", "status": "False", "reason": "NotYetInvented", "message": "",
            "lastTransitionTime": "2026-03-01T00:00:00Z"
        }]
    });
    object.status = Some(serde_json::from_value::<JiraCredentialStatus>(status.clone()).unwrap());
    let api = Api::<JiraCredential>::namespaced(client, &namespace);
    let patch = kube::api::Patch::Merge(json!({ "status": status }));
    let stored = api
        .patch_status("credential", &kube::api::PatchParams::default(), &patch)
        .await
        .unwrap();
    assert_eq!(stored.status, object.status);
}

async fn create_example(client: &Client, namespace: &str) -> JiraCredential {
    let spec = json!({
        "site": "https://jira.corp.example",
        "auth": { "basic": { "secretRef": { "name": "login" } } }
    });
    let object = serde_json::from_value(support::credential("credential", spec)).unwrap();
    Api::namespaced(client.clone(), namespace)
        .create(&PostParams::default(), &object)
        .await
        .unwrap()
}

#[tokio::test]
async fn kubectl_explains_the_fields() {
    let Context { plane, .. } = support::context("explain").await;
    let output = plane
        .kubectl()
        .args(["explain", "jiracredentials.spec.site"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("The address of Jira as a person opens it"),
        "{output:?}"
    );
}
