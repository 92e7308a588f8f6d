//! The credentials: the examples of `deploy/`, many times over.

use std::time::{Duration, Instant};

use atlassian_sim::Consent;
use chrono::TimeDelta;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::Request;
use jira_credential_operator::api::{
    ConditionStatus, ConditionType, JiraCredential, RENEW_ANNOTATION,
};
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::demo::examples;
use crate::failure::{Outcome, While as _};
use crate::stage::Jira;
use crate::ui::Ui;

const NAMESPACE: &str = "soak";

/// Of twenty-one credentials so many are of this file, whose word is made unique.
const SHARES: [(usize, &str, &str); 10] = [
    (7, "api-token.yaml", "bot"),
    (3, "personal-access-token.yaml", "bot"),
    (2, "personal-access-token-automatic.yaml", "bot"),
    (2, "password.yaml", "sync"),
    (1, "session.yaml", "legacy"),
    (1, "oauth1.yaml", "sync"),
    (2, "oauth2.yaml", "bot"),
    (1, "client-credentials.yaml", "bot"),
    (1, "client-credentials-data-center.yaml", "bot"),
    (1, "oauth2-data-center.yaml", "bot"),
];

/// Requests at a time.
const PARALLEL: usize = 16;

/// What was made.
pub(super) struct Load {
    client: Client,
    size: usize,
    /// The consents behind those of OAuth 2.0, by the name of the credential.
    pub(super) consents: Vec<(String, Consent)>,
}

impl Load {
    /// Creates so many credentials, with their Secrets.
    pub(super) async fn create(ui: &Ui, client: Client, jira: &Jira, size: usize) -> Outcome<Self> {
        // Service accounts came with 11, where an administrator has to allow passwords.
        let _ = jira.data_center.clone().version("11.3.5").basic(true);
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        post(&client, "/api/v1/namespaces", &namespace).await?;
        let mut load = Self {
            client,
            size,
            consents: Vec::new(),
        };
        let mut manifests = Vec::new();
        for number in 0..size {
            let (file, word) = example_of(number);
            let renamed = format!("{word}-{number}");
            let example =
                examples::read(jira, file, Some((word, &renamed)), TimeDelta::minutes(40))?;
            if let Some(consent) = example.consent {
                load.consents.push((example.name, consent));
            }
            manifests.push(example.manifest);
        }
        ui.line(&format!("{size} credentials of all methods are created"));
        stream::iter(manifests)
            .map(|manifest| create(&load.client, manifest))
            .buffer_unordered(PARALLEL)
            .try_for_each(|()| async { Ok(()) })
            .await?;
        Ok(load)
    }

    async fn list(&self) -> Outcome<Vec<JiraCredential>> {
        let api = Api::<JiraCredential>::namespaced(self.client.clone(), NAMESPACE);
        let any = ListParams::default().match_any();
        let begun = Instant::now();
        loop {
            match api.list(&any).await {
                Ok(list) => return Ok(list.items),
                // An API server that has just started again.
                Err(error) if begun.elapsed() > Duration::from_secs(60) => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
    }

    /// How many are Ready.
    pub(super) async fn ready(&self) -> Outcome<usize> {
        Ok(self.size - self.unready().await?.len())
    }

    /// What those say that are not Ready.
    pub(super) async fn unready(&self) -> Outcome<Vec<String>> {
        let all = self.list().await?;
        let unready = all.iter().filter(|object| !is_ready(object));
        Ok(unready.map(says).collect())
    }

    /// Waits until all are Ready; returns how long it took, and what the others say when the time is over.
    pub(super) async fn until_all_ready(
        &self,
        longest: Duration,
    ) -> Outcome<(Duration, Vec<String>)> {
        self.until_all(longest, is_ready).await
    }

    /// Has all validated or renewed, and waits until they are Ready after that; returns what the others say.
    pub(super) async fn validate_again(&self, longest: Duration) -> Outcome<Vec<String>> {
        let api = Api::<JiraCredential>::namespaced(self.client.clone(), NAMESPACE);
        let ask = json!({"metadata": {"annotations": {RENEW_ANNOTATION: AT_THE_END}}});
        let (params, patch) = (PatchParams::default(), Patch::Merge(ask));
        let all = self.list().await?;
        stream::iter(&all)
            .map(async |object| api.patch(&object.name_any(), &params, &patch).await)
            .buffer_unordered(PARALLEL)
            .try_for_each(async |_| Ok(()))
            .await?;
        let is_answered = |object: &JiraCredential| {
            let status = object.status.as_ref();
            let handled = status.and_then(|status| status.last_handled_renew.as_deref());
            is_ready(object) && handled == Some(AT_THE_END)
        };
        let (_, others) = self.until_all(longest, is_answered).await?;
        Ok(others)
    }

    async fn until_all(
        &self,
        longest: Duration,
        is_well: impl Fn(&JiraCredential) -> bool,
    ) -> Outcome<(Duration, Vec<String>)> {
        let begun = Instant::now();
        loop {
            let all = self.list().await?;
            let unready: Vec<&JiraCredential> =
                all.iter().filter(|object| !is_well(object)).collect();
            if all.len() == self.size && unready.is_empty() {
                return Ok((begun.elapsed(), Vec::new()));
            }
            if begun.elapsed() > longest {
                return Ok((begun.elapsed(), unready.into_iter().map(says).collect()));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// The value of the annotation `renew` with which all are validated in the end.
const AT_THE_END: &str = "at-the-end";

/// The file of one credential, and the word in it that is made unique.
fn example_of(number: usize) -> (&'static str, &'static str) {
    let all: usize = SHARES.iter().map(|(share, _, _)| share).sum();
    let mut place = number % all;
    for (share, file, word) in SHARES {
        if place < share {
            return (file, word);
        }
        place -= share;
    }
    ("api-token.yaml", "bot")
}

async fn create(client: &Client, manifest: String) -> Outcome {
    let mut list: Value = serde_json::from_str(&manifest)?;
    let items = list
        .get_mut("items")
        .and_then(Value::as_array_mut)
        .map(std::mem::take);
    for mut item in items.unwrap_or_default() {
        if let Some(spec) = item.get_mut("spec").and_then(Value::as_object_mut) {
            // The demo hurries; the operator's own choice is what is tried here.
            spec.remove("rotation");
        }
        let path = match item.get("kind").and_then(Value::as_str) {
            Some("Secret") => format!("/api/v1/namespaces/{NAMESPACE}/secrets"),
            Some("ConfigMap") => format!("/api/v1/namespaces/{NAMESPACE}/configmaps"),
            _ => format!("/apis/jira-operator.dev/v1alpha1/namespaces/{NAMESPACE}/jiracredentials"),
        };
        post(client, &path, &item).await?;
    }
    Ok(())
}

/// Creates an object, unless it exists: some are shared by many examples.
async fn post(client: &Client, path: &str, object: &Value) -> Outcome {
    let request = Request::post(path)
        .header("content-type", "application/json")
        .body(serde_json::to_vec(object)?)?;
    match client.request_text(request).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        answer => answer.map(drop).while_(format!("POST {path}")),
    }
}

fn is_ready(object: &JiraCredential) -> bool {
    let status = object.status.as_ref();
    let ready = status.and_then(|status| status.condition(ConditionType::Ready));
    ready.is_some_and(|ready| ready.status == ConditionStatus::True)
}

fn says(object: &JiraCredential) -> String {
    let status = object.status.as_ref();
    let ready = status.and_then(|status| status.condition(ConditionType::Ready));
    let said = ready.map_or_else(
        || "no status".to_owned(),
        |ready| format!("{:?}: {}", ready.reason, ready.message),
    );
    format!("{}: {said}", object.name_any())
}
