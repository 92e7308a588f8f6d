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

/// Replaces the value in the version of the Secret that was read. When its values are as they were and a
/// label or the like was changed since, the value is replaced in the new version, once.
///
/// # Errors
/// When the value was changed since, or may not be written.
pub async fn replace(
    cluster: &Cluster,
    secret: Secret,
    reference: &SecretKeyRef,
    token: &SecretString,
) -> Result<Stored, Failure> {
    let written = write(cluster, secret.clone(), reference, token).await;
    let is_conflict = matches!(&written, Some(Err(kube::Error::Api(status))) if status.code == 409);
    if is_conflict
        && let Ok(present) = read(cluster, reference).await
        && has_same_values(&secret, &present)
    {
        let again = write(cluster, present, reference, token).await;
        return outcome(&reference.name, again);
    }
    outcome(&reference.name, written)
}

/// The token was validated with what stood beside it, such as the e-mail address.
fn has_same_values(old: &Secret, new: &Secret) -> bool {
    old.metadata.uid == new.metadata.uid && old.data == new.data
}

/// One attempt; `None` when its time ran out.
async fn write(
    cluster: &Cluster,
    mut secret: Secret,
    reference: &SecretKeyRef,
    token: &SecretString,
) -> Option<kube::Result<Secret>> {
    let value = ByteString(token.expose_secret().as_bytes().to_vec());
    let data = secret.data.get_or_insert_default();
    data.insert(reference.key.clone(), value);
    let params = PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    };
    let api = secrets(cluster);
    cluster
        .within(api.replace(&reference.name, &params, &secret))
        .await
}

/// What an attempt means for a person.
fn outcome(name: &str, written: Option<kube::Result<Secret>>) -> Result<Stored, Failure> {
    let unknown = |exit| {
        Err(Failure::new(
            exit,
            format!(
                "it is not known whether the token was stored: compare the Secret {name}, and run rotate again with the same token if it still has the old one"
            ),
        ))
    };
    let status = match written {
        Some(Ok(written)) => {
            return Ok(Stored {
                name: name.to_owned(),
                version: written.metadata.resource_version.unwrap_or_default(),
            });
        }
        Some(Err(kube::Error::Api(status))) if status.code < 500 => status,
        Some(Err(_)) => return unknown(Exit::Error),
        None => return unknown(Exit::TimedOut),
    };
    if status.code == 409 {
        return Err(Failure::error(format!(
            "somebody changed the Secret {name} meanwhile. Nothing was stored; run rotate again with the same token"
        )));
    }
    let remedy = if status.code == 403 {
        "ask for the right to update it, and run rotate again"
    } else {
        "run rotate again"
    };
    // What the API server says about a Secret may repeat what is in it.
    Err(Failure::error(format!(
        "the API server refused to change the Secret {name} ({} {}). Nothing was stored; {remedy} with the same token",
        status.code, status.reason
    )))
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
    let what = format!("write the dates into spec.auth.{member} (the token itself is stored)");
    patch(cluster, (name, member, &what), dates, false).await
}

/// Whether the dates could be written: before a person makes a token.
///
/// # Errors
/// When they may not be written.
pub async fn try_dates(
    cluster: &Cluster,
    name: &str,
    member: &str,
    dates: &Dates,
) -> Result<(), Failure> {
    let what = format!("write the dates into spec.auth.{member} (nothing was stored)");
    let tried = patch(cluster, (name, member, &what), dates, true).await;
    tried.map(drop)
}

async fn patch(
    cluster: &Cluster,
    (name, member, what): (&str, &str, &str),
    dates: &Dates,
    dry_run: bool,
) -> Result<Option<i64>, Failure> {
    let Some(fields) = dates.fields() else {
        return Ok(None);
    };
    let api: Api<JiraCredential> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let patch = Patch::Merge(json!({"spec": {"auth": {member: fields}}}));
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        dry_run,
        ..PatchParams::default()
    };
    let object = cluster.ask(what, api.patch(name, &params, &patch)).await?;
    Ok(object.metadata.generation)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;

    #[test]
    fn what_is_not_known_to_be_stored_is_told_so() {
        let answer = |code| {
            let status = kube::core::Status {
                code,
                message: "example-hidden".to_owned(),
                ..Default::default()
            };
            Some(Err(kube::Error::Api(Box::new(status))))
        };
        let right = "ask for the right";
        for (written, exit, told, asks) in [
            (answer(403), Exit::Error, "Nothing was stored", true),
            (answer(422), Exit::Error, "Nothing was stored", false),
            (
                answer(409),
                Exit::Error,
                "meanwhile. Nothing was stored",
                false,
            ),
            (answer(500), Exit::Error, "it is not known", false),
            (answer(504), Exit::Error, "it is not known", false),
            (
                Some(Err(kube::Error::LinesCodecMaxLineLengthExceeded)),
                Exit::Error,
                "it is not known",
                false,
            ),
            (None, Exit::TimedOut, "it is not known", false),
        ] {
            let failure = outcome("s", written).map(|_| ()).unwrap_err();
            assert_eq!(failure.exit, exit, "{failure}");
            assert!(failure.message.contains(told), "{failure}");
            assert_eq!(failure.message.contains(right), asks, "{failure}");
            assert!(!failure.message.contains("hidden"), "{failure}");
        }
    }

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
