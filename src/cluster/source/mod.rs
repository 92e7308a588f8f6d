//! Reading the user's Secret: errors name the Secret and the key, never the content.

use k8s_openapi::api::core::v1::Secret;
use secrecy::SecretString;

use crate::api::{JiraCredentialSpec, Method, SecretKeyRef, SourceVersion};
use crate::cluster::client::Cluster;
use crate::cluster::error::ClusterError;
use crate::cluster::key::Key;
use crate::cluster::secret_index::VersionIndex;
use crate::core::spec::{LOGIN_KEYS, SourceError, text_values};

mod material;
mod oauth1;
mod secrets;

use secrets::{Secrets, certificates, value_of};

pub(in crate::cluster) use material::ReadValue;
pub use material::{Material, Signing, Tokens, UserAndPassword};

/// The Secrets that a spec reads from, each once.
pub(super) fn names(spec: &JiraCredentialSpec) -> Vec<&str> {
    let ca = spec.tls.as_ref().and_then(|tls| tls.ca_secret_ref.as_ref());
    let auth = match spec.auth.method() {
        Some(Method::ApiToken(token)) => vec![
            Some(token.token_secret_ref.name.as_str()),
            token
                .email_secret_ref
                .as_ref()
                .map(|reference| reference.name.as_str()),
        ],
        Some(Method::PersonalAccessToken(token)) => {
            vec![Some(token.token_secret_ref.name.as_str())]
        }
        Some(Method::OAuth2(oauth2)) => oauth2
            .client_secret_refs
            .iter()
            .chain([&oauth2.refresh_token_secret_ref])
            .map(|reference| Some(reference.name.as_str()))
            .collect(),
        Some(Method::ClientCredentials(client)) => client
            .client_secret_refs
            .iter()
            .map(|reference| Some(reference.name.as_str()))
            .collect(),
        Some(Method::Basic(basic)) => vec![Some(basic.secret_ref.name.as_str())],
        Some(Method::Session(session)) => vec![Some(session.secret_ref.name.as_str())],
        Some(Method::OAuth1(oauth1)) => vec![Some(oauth1.secret_ref.name.as_str())],
        None => Vec::new(),
    };
    let mut names: Vec<&str> = auth
        .into_iter()
        .chain([ca.map(|reference| reference.name.as_str())])
        .flatten()
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The credential in Secrets that were read before; those that renew themselves are read one by one instead.
///
/// # Errors
/// Which Secret and key hold no credential, and why; never what they hold.
pub fn material(spec: &JiraCredentialSpec, secrets: Vec<Secret>) -> Result<Material, SourceError> {
    let secrets = Secrets {
        all: secrets,
        must_be_labelled: false,
    };
    secrets.material(spec)
}

/// A token in a Secret that was read before.
///
/// # Errors
/// Why it holds none; never what it holds.
pub fn token_in(reference: &SecretKeyRef, secret: Secret) -> Result<SecretString, SourceError> {
    let secrets = Secrets {
        all: vec![secret],
        must_be_labelled: false,
    };
    secrets.one_token(reference)
}

/// A user name and password in a Secret that was read before.
///
/// # Errors
/// Why it holds none; never what it holds.
pub fn login_in(name: &str, secret: Secret) -> Result<UserAndPassword, SourceError> {
    let secrets = Secrets {
        all: vec![secret],
        must_be_labelled: false,
    };
    secrets.one_login(name)
}

/// Reads a Secret, and remembers which version holds what.
async fn secret(
    cluster: &Cluster,
    index: &VersionIndex,
    namespace: &str,
    name: &str,
) -> Result<Option<Secret>, ClusterError> {
    let found = cluster.secret(namespace, name).await?;
    if let Some(secret) = &found {
        index.learn_content(&Key::new(namespace, name), secret);
    }
    Ok(found)
}

/// What stands where a token should be.
pub(super) struct OneToken {
    /// The token, or why it is none.
    pub token: Result<SecretString, SourceError>,
    /// The value, as far as it exists.
    pub values: Vec<ReadValue>,
    /// The version of the Secret that was read, where there is one.
    pub version: Option<SourceVersion>,
}

/// Reads one token.
///
/// # Errors
/// When the API server could not be asked.
pub(super) async fn read_token(
    cluster: &Cluster,
    index: &VersionIndex,
    namespace: &str,
    reference: &SecretKeyRef,
) -> Result<OneToken, ClusterError> {
    let found = secret(cluster, index, namespace, &reference.name).await?;
    let secrets = Secrets {
        all: found.into_iter().collect(),
        must_be_labelled: cluster.requires_source_label(),
    };
    Ok(OneToken {
        token: secrets.one_token(reference),
        values: secrets.values(std::slice::from_ref(reference)),
        version: secrets.versions().into_iter().next(),
    })
}

/// What stands where a user name and password should be.
pub(super) struct OneLogin {
    /// Both, or why they are none.
    pub login: Result<UserAndPassword, SourceError>,
    /// The values, as far as they exist.
    pub values: Vec<ReadValue>,
    /// The version of the Secret that was read, where there is one.
    pub version: Option<SourceVersion>,
}

/// Reads one user name and password.
///
/// # Errors
/// When the API server could not be asked.
pub(super) async fn read_login(
    cluster: &Cluster,
    index: &VersionIndex,
    namespace: &str,
    name: &str,
) -> Result<OneLogin, ClusterError> {
    let found = secret(cluster, index, namespace, name).await?;
    let secrets = Secrets {
        all: found.into_iter().collect(),
        must_be_labelled: cluster.requires_source_label(),
    };
    let references = LOGIN_KEYS.map(|key| SecretKeyRef {
        name: name.to_owned(),
        key: key.to_owned(),
    });
    Ok(OneLogin {
        login: secrets.one_login(name),
        values: secrets.values(&references),
        version: secrets.versions().into_iter().next(),
    })
}

/// Everything that a spec refers to.
pub(super) struct Everything {
    /// The secret values.
    pub material: Material,
    /// The versions of the Secrets.
    pub versions: Vec<SourceVersion>,
    /// The values that are text.
    pub values: Vec<ReadValue>,
}

/// Reads everything that a spec refers to.
///
/// # Errors
/// Outer: the API server could not be asked. Inner: what it holds is no credential.
pub(super) async fn read(
    cluster: &Cluster,
    index: &VersionIndex,
    namespace: &str,
    spec: &JiraCredentialSpec,
) -> Result<Result<Everything, SourceError>, ClusterError> {
    let mut secrets = Secrets {
        all: Vec::new(),
        must_be_labelled: cluster.requires_source_label(),
    };
    for name in names(spec) {
        match secret(cluster, index, namespace, name).await? {
            Some(secret) => secrets.all.push(secret),
            None => {
                return Ok(Err(SourceError::Missing {
                    kind: "Secret",
                    name: name.to_owned(),
                }));
            }
        }
    }
    let ca_pem = match mapped_authorities(cluster, namespace, spec).await? {
        Ok(ca_pem) => ca_pem,
        Err(problem) => return Ok(Err(problem)),
    };
    Ok(secrets.material(spec).map(|mut material| {
        material.ca_pem = material.ca_pem.or(ca_pem);
        Everything {
            material,
            versions: secrets.versions(),
            values: secrets.values(&text_values(spec)),
        }
    }))
}

/// The certificates of private authorities, with the version of the Secret that was read for them.
pub(super) struct Authorities {
    /// In PEM form; `None` when the spec names none.
    pub ca_pem: Result<Option<Vec<u8>>, SourceError>,
    /// The version of the Secret, where it is one.
    pub version: Option<SourceVersion>,
}

/// Reads the private authorities alone.
///
/// # Errors
/// When the API server could not be asked.
pub(super) async fn read_authorities(
    cluster: &Cluster,
    index: &VersionIndex,
    namespace: &str,
    spec: &JiraCredentialSpec,
) -> Result<Authorities, ClusterError> {
    let tls = spec.tls.as_ref();
    let Some(reference) = tls.and_then(|tls| tls.ca_secret_ref.as_ref()) else {
        return Ok(Authorities {
            ca_pem: mapped_authorities(cluster, namespace, spec).await?,
            version: None,
        });
    };
    let found = secret(cluster, index, namespace, &reference.name).await?;
    let secrets = Secrets {
        all: found.into_iter().collect(),
        must_be_labelled: cluster.requires_source_label(),
    };
    let checked = secrets.check();
    Ok(Authorities {
        ca_pem: checked.and_then(|()| secrets.authorities(spec)),
        version: secrets.versions().into_iter().next(),
    })
}

/// Reads the private authorities of a `ConfigMap`, if the spec names one.
async fn mapped_authorities(
    cluster: &Cluster,
    namespace: &str,
    spec: &JiraCredentialSpec,
) -> Result<Result<Option<Vec<u8>>, SourceError>, ClusterError> {
    let tls = spec.tls.as_ref();
    let Some(reference) = tls.and_then(|tls| tls.ca_config_map_ref.as_ref()) else {
        return Ok(Ok(None));
    };
    let (name, key) = (&reference.name, &reference.key);
    let map = cluster.config_map(namespace, name).await?;
    let data = map.map(|map| map.data.unwrap_or_default());
    let value = value_of("ConfigMap", name, key, data.as_ref());
    let pem = value.and_then(|text| certificates("ConfigMap", name, key, text.clone().into()));
    Ok(pem.map(Some))
}
