//! Storing the consent: by compare-and-swap, so that nobody's change is overwritten.

use std::collections::BTreeMap;

use jira_credential_operator::api::{JiraCredential, SecretKeyRef};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::connect::{Cluster, failed};
use crate::failure::{Exit, Failure};
use crate::output;
use crate::rotate::store::{MANAGER, Stored};
use crate::rotate::validate;

/// What was stored, for the operator to accept.
pub struct Written {
    /// The version of the Secret.
    pub secret: Stored,
    /// The credential.
    pub object: JiraCredential,
}

fn secrets(cluster: &Cluster) -> Api<Secret> {
    Api::namespaced(cluster.client.clone(), &cluster.namespace)
}

fn params(dry_run: bool) -> PostParams {
    PostParams {
        dry_run,
        field_manager: Some(MANAGER.to_owned()),
    }
}

/// Reads a Secret that need not be there.
///
/// # Errors
/// When it may not be read, or can never be changed.
pub async fn read(cluster: &Cluster, name: &str) -> Result<Option<Secret>, Failure> {
    let what = format!("read the Secret {}/{name}", cluster.namespace);
    let secret = cluster.ask(&what, secrets(cluster).get_opt(name)).await?;
    if secret.as_ref().and_then(|secret| secret.immutable) == Some(true) {
        return Err(Failure::error(format!(
            "the Secret {name} is immutable; delete it or name another one in spec. Nothing was stored"
        )));
    }
    Ok(secret)
}

/// Reads the value of a key.
///
/// # Errors
/// When it is not there, or may not be read.
pub async fn value(cluster: &Cluster, reference: &SecretKeyRef) -> Result<SecretString, Failure> {
    let what = format!("read the Secret {}/{}", cluster.namespace, reference.name);
    let secret = cluster
        .ask(&what, secrets(cluster).get(&reference.name))
        .await?;
    let value = secret.data.and_then(|mut data| data.remove(&reference.key));
    let text = value.and_then(|value| String::from_utf8(value.0).ok());
    let text = text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
    text.filter(|text| !text.is_empty())
        .map(SecretString::from)
        .ok_or_else(|| {
            Failure::error(format!(
                "{reference} has no value; store the client secret of the app there first. Nothing was stored"
            ))
        })
}

/// Writes values into the version of the Secret that was read, or into a new Secret.
///
/// # Errors
/// When the Secret was changed since, or may not be written.
pub async fn write(
    cluster: &Cluster,
    name: &str,
    read: Option<Secret>,
    values: &[(&str, &SecretString)],
) -> Result<Secret, Failure> {
    let is_new = read.is_none();
    let mut secret = read.unwrap_or_else(|| Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        ..Secret::default()
    });
    let data: &mut BTreeMap<String, ByteString> = secret.data.get_or_insert_default();
    for (key, value) in values {
        let value = ByteString(value.expose_secret().as_bytes().to_vec());
        data.insert((*key).to_owned(), value);
    }
    let api = secrets(cluster);
    let written = if is_new {
        cluster.within(api.create(&params(false), &secret)).await
    } else {
        cluster
            .within(api.replace(name, &params(false), &secret))
            .await
    };
    match written {
        Some(Ok(written)) => Ok(written),
        Some(Err(kube::Error::Api(status))) if status.code == 409 => Err(Failure::error(format!(
            "somebody changed the Secret {name} meanwhile. Nothing was stored; run login again"
        ))),
        // What the API server says about a Secret may repeat what is in it.
        Some(Err(kube::Error::Api(status))) => Err(Failure::error(format!(
            "the API server refused to write the Secret {name} ({} {}). Nothing was stored; ask for the right to create and update it, and run login again",
            status.code, status.reason
        ))),
        Some(Err(_)) | None => Err(Failure::new(
            Exit::TimedOut,
            format!(
                "the API server did not say whether the Secret {name} was written; run login again"
            ),
        )),
    }
}

/// Which version of which Secret was written.
pub fn version(written: &Secret) -> Stored {
    Stored {
        name: written.metadata.name.clone().unwrap_or_default(),
        version: written
            .metadata
            .resource_version
            .clone()
            .unwrap_or_default(),
    }
}

/// Creates the `JiraCredential`; as a dry run it only asks whether that would work.
///
/// # Errors
/// When it would not.
pub async fn create(
    cluster: &Cluster,
    object: &JiraCredential,
    dry_run: bool,
) -> Result<JiraCredential, Failure> {
    let api: Api<JiraCredential> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let what = format!(
        "create the JiraCredential {}/{name} ({})",
        cluster.namespace,
        kept(dry_run)
    );
    let created = cluster
        .within(api.create(&params(dry_run), object))
        .await
        .ok_or_else(|| crate::connect::timed_out(&what))?;
    created.map_err(|error| failed(&what, &error))
}

/// Creates the `JiraCredential` if there is none.
///
/// # Errors
/// When it cannot be created; the consent itself is stored then.
pub async fn ensure(
    cluster: &Cluster,
    exists: bool,
    object: JiraCredential,
) -> Result<JiraCredential, Failure> {
    if exists {
        return Ok(object);
    }
    let created = create(cluster, &object, false).await?;
    let name = created.metadata.name.as_deref().unwrap_or_default();
    output::progress(&format!("Created the JiraCredential {name}."));
    Ok(created)
}

/// The private authorities of `spec.tls`, in PEM form.
///
/// # Errors
/// When they are not there, or may not be read.
pub async fn authorities(
    cluster: &Cluster,
    object: &JiraCredential,
) -> Result<Option<Vec<u8>>, Failure> {
    let found = validate::authorities(cluster, &object.spec).await?;
    if object.spec.tls.is_some() && found.as_ref().is_none_or(Vec::is_empty) {
        return Err(Failure::error(
            "the key that spec.tls names holds no certificates; store them there first. Nothing was stored",
        ));
    }
    Ok(found)
}

/// Writes the date of the consent into the spec; as a dry run it only asks whether that would work.
///
/// # Errors
/// When it would not.
pub async fn date(
    cluster: &Cluster,
    object: &JiraCredential,
    dry_run: bool,
) -> Result<JiraCredential, Failure> {
    let api: Api<JiraCredential> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let oauth1 = object.spec.auth.oauth1.as_ref();
    let issued = oauth1.and_then(|oauth1| oauth1.issued_at);
    let patch = Patch::Merge(json!({"spec": {"auth": {"oauth1": {"issuedAt": issued}}}}));
    let params = PatchParams {
        dry_run,
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let what = format!(
        "write the date into spec.auth.oauth1 of the JiraCredential {}/{name} ({})",
        cluster.namespace,
        kept(dry_run)
    );
    cluster.ask(&what, api.patch(name, &params, &patch)).await
}

/// What is stored when the credential cannot be written.
fn kept(dry_run: bool) -> &'static str {
    if dry_run {
        "nothing was stored"
    } else {
        "the consent itself is stored"
    }
}
