//! Storing a token: by compare-and-swap, so that nobody's change is overwritten.

use jira_credential_operator::api::{Date, JiraCredential, Method, SecretKeyRef};
use jira_credential_operator::clock::Clock;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams, PostParams};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::connect::Cluster;
use crate::failure::{Exit, Failure};

/// Who writes, in the managed fields.
pub const MANAGER: &str = "kubectl-jira-credential";

/// Which version of which Secret holds the new token.
pub struct Stored {
    /// Name of the Secret.
    pub name: String,
    /// Its resource version.
    pub version: String,
}

fn secrets(cluster: &Cluster) -> Api<Secret> {
    Api::namespaced(cluster.client.clone(), &cluster.namespace)
}

/// Reads the Secret that the new token goes to.
///
/// # Errors
/// When it is not there, may not be read, or can never be changed.
pub async fn read(cluster: &Cluster, reference: &SecretKeyRef) -> Result<Secret, Failure> {
    let what = format!("read the Secret {}/{}", cluster.namespace, reference.name);
    let secret = cluster
        .ask(&what, secrets(cluster).get(&reference.name))
        .await?;
    if secret.immutable == Some(true) {
        return Err(Failure::error(format!(
            "the Secret {} is immutable; create another one and name it in spec",
            reference.name
        )));
    }
    Ok(secret)
}

/// Whether a Secret holds this value already.
pub fn holds(secret: &Secret, key: &str, token: &SecretString) -> bool {
    let value = secret.data.as_ref().and_then(|data| data.get(key));
    value.is_some_and(|value| value.0.trim_ascii() == token.expose_secret().as_bytes())
}

/// Replaces the value in the version of the Secret that was read.
///
/// # Errors
/// When the Secret was changed since, or may not be written.
pub async fn replace(
    cluster: &Cluster,
    mut secret: Secret,
    reference: &SecretKeyRef,
    token: &SecretString,
) -> Result<Stored, Failure> {
    let value = ByteString(token.expose_secret().as_bytes().to_vec());
    let data = secret.data.get_or_insert_default();
    data.insert(reference.key.clone(), value);
    let params = PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    };
    let api = secrets(cluster);
    let written = cluster
        .within(api.replace(&reference.name, &params, &secret))
        .await;
    let name = &reference.name;
    match written {
        Some(Ok(written)) => Ok(Stored {
            name: name.clone(),
            version: written.metadata.resource_version.unwrap_or_default(),
        }),
        Some(Err(kube::Error::Api(status))) if status.code == 409 => Err(Failure::error(format!(
            "somebody changed the Secret {name} meanwhile. Nothing was stored; run rotate again with the same token"
        ))),
        // What the API server says about a Secret may repeat what is in it.
        Some(Err(kube::Error::Api(status))) => Err(Failure::error(format!(
            "the API server refused to change the Secret {name} ({} {}). Nothing was stored; ask for the right to update it, and run rotate again with the same token",
            status.code, status.reason
        ))),
        Some(Err(_)) | None => Err(Failure::new(
            Exit::TimedOut,
            format!(
                "the API server did not say whether the Secret {name} was changed; see status, and run rotate again with the same token if it still shows the old one"
            ),
        )),
    }
}

/// What the spec is to say of the new token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dates {
    expires_at: Option<Date>,
    /// Today, where the spec says when the old one was issued.
    issued_at: Option<Date>,
    /// The end of the old token is still in the spec, and nothing is known of the new one's.
    is_stale: bool,
}

impl Dates {
    /// Compares what the spec says with what is known of the new token.
    pub fn of(object: &JiraCredential, expires_at: Option<Date>) -> Self {
        let method = object.spec.auth.method();
        let (issued, expires) = match method {
            Some(Method::ApiToken(method)) => (method.issued_at, method.expires_at),
            Some(Method::PersonalAccessToken(method)) => (method.issued_at, method.expires_at),
            _ => (None, None),
        };
        let today = Clock::system().now().date_naive();
        Self {
            expires_at,
            issued_at: issued.map(|_| Date::Day(today)),
            is_stale: expires.is_some() && expires_at.is_none(),
        }
    }

    fn fields(&self) -> Option<Value> {
        let mut fields = serde_json::Map::new();
        for (name, date) in [("expiresAt", self.expires_at), ("issuedAt", self.issued_at)] {
            if let Some(date) = date {
                fields.insert(name.to_owned(), json!(date));
            }
        }
        (!fields.is_empty()).then(|| fields.into())
    }
}

/// Writes the dates into the spec; returns its new generation, if it was written.
///
/// # Errors
/// When it may not be written; the token is stored then.
pub async fn date(
    cluster: &Cluster,
    name: &str,
    member: &str,
    dates: &Dates,
) -> Result<Option<i64>, Failure> {
    if dates.is_stale {
        crate::output::progress(&format!(
            "spec.auth.{member}.expiresAt is still that of the old token: give --expires-at next time, and correct it now with kubectl edit jc {name}"
        ));
    }
    let Some(fields) = dates.fields() else {
        return Ok(None);
    };
    let api: Api<JiraCredential> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let patch = Patch::Merge(json!({"spec": {"auth": {member: fields}}}));
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let what = format!("write the dates into spec.auth.{member} (the token itself is stored)");
    let object = cluster.ask(&what, api.patch(name, &params, &patch)).await?;
    Ok(object.metadata.generation)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;

    #[test]
    fn only_dates_that_are_known_or_were_there_are_written() {
        let object = |dates: &Value| -> JiraCredential {
            let mut token = json!({"tokenSecretRef": {"name": "s", "key": "t"}});
            token
                .as_object_mut()
                .unwrap()
                .extend(dates.as_object().unwrap().clone());
            serde_json::from_value(json!({
                "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
                "metadata": {"name": "bot"},
                "spec": {"site": "https://j.example", "auth": {"personalAccessToken": token}},
            }))
            .unwrap()
        };
        let today = Date::Day(Clock::system().now().date_naive());
        let new: Date = serde_json::from_value("2099-01-01".into()).unwrap();
        for (spec, given, fields, stale) in [
            (json!({}), None, None, false),
            (
                json!({}),
                Some(new),
                Some(json!({"expiresAt": "2099-01-01"})),
                false,
            ),
            (json!({"expiresAt": "2020-01-01"}), None, None, true),
            (
                json!({"issuedAt": "2020-01-01", "expiresAt": "2021-01-01"}),
                Some(new),
                Some(json!({"expiresAt": "2099-01-01", "issuedAt": today})),
                false,
            ),
        ] {
            let dates = Dates::of(&object(&spec), given);
            assert_eq!((dates.fields(), dates.is_stale), (fields, stale), "{spec}");
        }
    }
}
