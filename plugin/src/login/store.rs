//! The objects of a login beside the Secret of the consent (`seed`).

use jira_credential_operator::api::{JiraCredential, SecretKeyRef};
use jira_credential_operator::cluster::{Key, references};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use secrecy::SecretString;
use serde_json::json;

use crate::connect::{Cluster, failed};
use crate::failure::Failure;
use crate::login::seed::has_value;
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

fn params(dry_run: bool) -> PostParams {
    PostParams {
        dry_run,
        field_manager: Some(MANAGER.to_owned()),
    }
}

/// Reads the value of a key.
///
/// # Errors
/// When it is not there, or may not be read.
pub async fn value(cluster: &Cluster, reference: &SecretKeyRef) -> Result<SecretString, Failure> {
    let api: Api<Secret> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let what = format!("read the Secret {}/{}", cluster.namespace, reference.name);
    let secret = cluster.ask(&what, api.get(&reference.name)).await?;
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

/// Checks that a token in the Secret is not that of another credential, which a new one would take over.
///
/// # Errors
/// When another `JiraCredential` of the namespace names the Secret, or they may not be listed.
pub async fn check_owner(
    cluster: &Cluster,
    secret: Option<&Secret>,
    key: &str,
) -> Result<(), Failure> {
    let Some(secret) = secret.filter(|secret| has_value(secret, key)) else {
        return Ok(());
    };
    let name = secret.metadata.name.as_deref().unwrap_or_default();
    let api: Api<JiraCredential> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let what = format!("list the JiraCredentials of {}", cluster.namespace);
    let all = cluster.ask(&what, api.list(&ListParams::default())).await?;
    let secret = Key::new(&cluster.namespace, name);
    let names = |object: &&JiraCredential| references(object).contains(&secret);
    match all.items.iter().find(names) {
        None => Ok(()),
        Some(other) => Err(Failure::error(format!(
            "the Secret {name} belongs to the JiraCredential {}: give the new one another name, or run login {0} to consent again for that one. Nothing was stored",
            other.metadata.name.as_deref().unwrap_or_default()
        ))),
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
