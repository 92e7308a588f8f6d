//! What the bench itself does to the cluster, with as little effort as possible.

use atlassian_sim::{Consent, Token};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::Request;
use jira_credential_operator::api::CREDENTIAL_LABEL;
use kube::Client;
use serde_json::{Value, json};

use crate::failure::{Outcome, While as _, fail};
use crate::stage::Jira;

/// Requests at a time.
const PARALLEL: usize = 32;

/// The namespace of everything, where there is only one.
pub(super) const NAMESPACE: &str = "bench";

/// Plays the users of one namespace of the cluster.
pub(super) struct Load {
    client: Client,
    namespace: &'static str,
    size: usize,
}

impl Load {
    /// Makes the namespace.
    pub(super) async fn new(client: Client, namespace: &'static str, size: usize) -> Outcome<Self> {
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace }
        });
        let load = Self {
            client,
            namespace,
            size,
        };
        load.send("POST", "/api/v1/namespaces", "application/json", &object)
            .await?;
        Ok(load)
    }

    /// Creates the Secrets that the credentials are read from; returns the e-mail addresses.
    pub(super) async fn create_sources(&self, jira: &Jira) -> Outcome<Vec<String>> {
        let tokens = jira.cloud.bulk_tokens("user", self.size);
        self.create_token_sources(&tokens).await?;
        Ok(tokens
            .iter()
            .map(|token| token.owner().to_owned())
            .collect())
    }

    /// Creates the credentials of API tokens.
    pub(super) async fn create_credentials(&self, site: &str, emails: &[String]) -> Outcome {
        let spec = |number: usize| {
            let auth = json!({ "apiToken": {
                "email": emails.get(number),
                "tokenSecretRef": reference(number, "token"),
            } });
            json!({ "site": site, "auth": auth })
        };
        self.create(&json!({}), spec).await
    }

    /// Creates the Secrets of these tokens.
    pub(super) async fn create_token_sources(&self, tokens: &[Token]) -> Outcome {
        let secrets = tokens.iter().enumerate().map(|(number, token)| {
            let body = json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": { "name": format!("source-{number}") },
                "stringData": { "token": token.secret() },
            });
            ("POST", self.secrets(None), "application/json", body)
        });
        self.send_all(secrets).await
    }

    /// Creates the credentials of personal access tokens.
    pub(super) async fn create_tokens(&self, site: &str) -> Outcome {
        let spec = |number| json!({ "site": site, "auth": access_token(number) });
        self.create(&json!({}), spec).await
    }

    /// Creates suspended credentials with an annotation of this length.
    pub(super) async fn create_suspended(&self, site: &str, length: usize) -> Outcome {
        let spec = |number| json!({ "site": site, "suspend": true, "auth": access_token(number) });
        self.create(&json!({ "bulk": "x".repeat(length) }), spec)
            .await
    }

    async fn create(&self, annotations: &Value, spec: impl Fn(usize) -> Value) -> Outcome {
        let credentials = (0..self.size).map(|number| {
            let body = json!({
                "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
                "metadata": { "name": name(number), "annotations": annotations },
                "spec": spec(number),
            });
            ("POST", self.credentials(None), "application/json", body)
        });
        self.send_all(credentials).await
    }

    /// Creates consents, the Secrets with their tokens, and the credentials that use them.
    pub(super) async fn create_grants(&self, jira: &Jira) -> Outcome<Vec<Consent>> {
        let app = jira.sim.oauth_app();
        let scopes = ["read:jira-work", "read:jira-user", "offline_access"];
        let consent = |number| {
            let email = format!("user{number}@acme.example");
            app.consent(&email, &[&jira.cloud], &scopes)
        };
        let consents: Vec<Consent> = (0..self.size).map(consent).collect();
        let secrets = consents.iter().enumerate().map(|(number, consent)| {
            let body = json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": { "name": format!("source-{number}") },
                "stringData": {
                    "refresh-token": consent.refresh_token(), "client-secret": app.secret(),
                },
            });
            ("POST", self.secrets(None), "application/json", body)
        });
        self.send_all(secrets).await?;
        let spec = |number| {
            let auth = json!({ "oauth2": {
                "clientId": app.client_id(),
                "clientSecretRefs": [reference(number, "client-secret")],
                "refreshTokenSecretRef": reference(number, "refresh-token"),
            } });
            json!({ "site": jira.cloud.url(), "hosting": "Cloud", "auth": auth })
        };
        self.create(&json!({}), spec).await?;
        Ok(consents)
    }

    /// The tokens that pods have.
    pub(super) async fn published_tokens(&self) -> Outcome<Vec<String>> {
        let list = format!(
            "{}?labelSelector={CREDENTIAL_LABEL}&resourceVersion=0",
            self.secrets(None)
        );
        let list: Value = serde_json::from_str(&self.get(&list).await?)?;
        let items = list.get("items").and_then(Value::as_array);
        let token = |item: &Value| {
            let encoded = item.pointer("/data/token")?.as_str()?;
            String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
        };
        Ok(items.into_iter().flatten().filter_map(token).collect())
    }

    /// Puts a label on every credential.
    pub(super) async fn label(&self) -> Outcome {
        let patches = (0..self.size).map(|number| {
            let body = json!({ "metadata": { "labels": { "team": "payments" } } });
            (
                "PATCH",
                self.credentials(Some(number)),
                "application/merge-patch+json",
                body,
            )
        });
        self.send_all(patches).await
    }

    /// Deletes every published Secret.
    pub(super) async fn delete_targets(&self) -> Outcome {
        self.delete(|number| self.secrets(Some(number))).await
    }

    /// Deletes every credential.
    pub(super) async fn delete_credentials(&self) -> Outcome {
        self.delete(|number| self.credentials(Some(number))).await
    }

    async fn delete(&self, path: impl Fn(usize) -> String) -> Outcome {
        let orders =
            (0..self.size).map(|number| ("DELETE", path(number), "application/json", Value::Null));
        self.send_all(orders).await
    }

    /// How many credentials are Ready.
    pub(super) async fn ready(&self) -> Outcome<usize> {
        let items = self.list_credentials().await?;
        Ok(items.iter().filter(|item| is_ready(item)).count())
    }

    /// When the tokens of the credentials are to be renewed.
    pub(super) async fn renewal_times(&self) -> Outcome<Vec<DateTime<Utc>>> {
        let items = self.list_credentials().await?;
        let time = |item: &Value| {
            let text = item.pointer("/status/nextRenewalTime")?.as_str()?;
            text.parse().ok()
        };
        Ok(items.iter().filter_map(time).collect())
    }

    async fn list_credentials(&self) -> Outcome<Vec<Value>> {
        let path = format!("{}?resourceVersion=0", self.credentials(None));
        let mut list: Value = serde_json::from_str(&self.get(&path).await?)?;
        let items = list.get_mut("items").and_then(Value::as_array_mut);
        Ok(items.map(std::mem::take).unwrap_or_default())
    }

    /// How many credentials are Ready, and how many Secrets are published.
    pub(super) async fn results(&self) -> Outcome<(usize, usize)> {
        let ready = self.ready().await?;
        let text = self
            .get(&format!(
                "{}?labelSelector={CREDENTIAL_LABEL}",
                self.secrets(None)
            ))
            .await?;
        let list: Value = serde_json::from_str(&text)?;
        let published = list
            .get("items")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        Ok((ready, published))
    }

    async fn send_all(
        &self,
        orders: impl Iterator<Item = (&'static str, String, &'static str, Value)>,
    ) -> Outcome {
        stream::iter(orders)
            .map(|(method, path, kind, body)| async move { self.send(method, &path, kind, &body).await })
            .buffer_unordered(PARALLEL)
            .try_for_each(|()| async { Ok(()) })
            .await
    }

    async fn send(&self, method: &str, path: &str, kind: &str, body: &Value) -> Outcome {
        let body = if body.is_null() {
            Vec::new()
        } else {
            serde_json::to_vec(body)?
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .body(body)?;
        match self.client.request_text(request).await {
            Ok(_) => Ok(()),
            Err(error) => fail(error.to_string()).while_(format!("{method} {path}")),
        }
    }

    async fn get(&self, path: &str) -> Outcome<String> {
        let request = Request::get(path).body(Vec::new())?;
        self.client.request_text(request).await.while_(path)
    }

    fn secrets(&self, number: Option<usize>) -> String {
        self.path("/api/v1", "secrets", number)
    }

    fn credentials(&self, number: Option<usize>) -> String {
        let group = "/apis/jira-operator.dev/v1alpha1";
        self.path(group, "jiracredentials", number)
    }

    fn path(&self, group: &str, resource: &str, number: Option<usize>) -> String {
        let number = number
            .map(|number| format!("/{}", name(number)))
            .unwrap_or_default();
        format!("{group}/namespaces/{}/{resource}{number}", self.namespace)
    }
}

fn is_ready(object: &Value) -> bool {
    let conditions = object
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        condition.get("type").is_some_and(|kind| kind == "Ready")
            && condition
                .get("status")
                .is_some_and(|status| status == "True")
    })
}

/// A key of the Secret of a credential.
fn reference(number: usize, key: &str) -> Value {
    json!({ "name": format!("source-{number}"), "key": key })
}

fn access_token(number: usize) -> Value {
    json!({ "personalAccessToken": { "tokenSecretRef": reference(number, "token") } })
}

/// The name of a credential, and of the Secret that it publishes.
fn name(number: usize) -> String {
    format!("credential-{number}")
}
