//! Reading the user's Secret: whatever is wrong with it is told by name, never by content.

use std::fmt;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::SecretString;

use super::client::Cluster;
use super::error::ClusterError;
use super::grant::Stored;
use crate::api::{
    CREDENTIAL_LABEL, GRANT_LABEL, GRANT_TYPE, JiraCredentialSpec, Method, SecretKeyRef,
    SourceVersion,
};
use crate::core::problem::{Flaw, SourceProblem};

mod signing;

pub use signing::Signing;

/// The secret values of one credential. They stay apart from the facts that decisions see.
pub struct Material {
    /// E-mail or user name; none for Bearer methods.
    pub user: Option<String>,
    /// Token or password.
    pub secret: SecretString,
    /// What signs requests, for OAuth 1.0a.
    pub signing: Option<Signing>,
    /// Certificates of a private authority.
    pub ca_pem: Option<Vec<u8>>,
    /// What a renewal needs.
    pub tokens: Option<Tokens>,
    /// The organisation's API key, if it was read, or why there is none.
    pub api_key: Option<Result<SecretString, SourceProblem>>,
}

/// The secret values of a credential that renews itself.
#[derive(Default)]
pub struct Tokens {
    /// The grant, as it was read or written last.
    pub stored: Option<Stored>,
    /// The value in the user's Secret.
    pub seed: Option<SecretString>,
    /// The user name and password in it, for a session.
    pub login: Option<UserAndPassword>,
    /// The client secrets, in the order of the spec.
    pub clients: Vec<SecretString>,
}

/// With what a session is begun.
#[derive(Clone)]
pub struct UserAndPassword {
    /// User name.
    pub user: String,
    /// Password.
    pub password: SecretString,
}

impl fmt::Debug for UserAndPassword {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("UserAndPassword(REDACTED)")
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Material").finish_non_exhaustive()
    }
}

/// No token or password of Jira comes near this length.
const LONGEST_SECRET: usize = 4096;

/// The length of the longest e-mail address (RFC 5321), ample for a user name.
const LONGEST_USER: usize = 254;

/// Enough for a bundle of some hundred certificates.
const LONGEST_CA: usize = 512 * 1024;

/// Types of Secrets that are credentials of the cluster itself.
const FORBIDDEN_TYPES: [&str; 5] = [
    GRANT_TYPE,
    "kubernetes.io/service-account-token",
    "bootstrap.kubernetes.io/token",
    "kubernetes.io/dockerconfigjson",
    "helm.sh/release.v1",
];

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

/// What stands where a token should be.
pub(super) struct OneToken {
    /// The token, or why it is none.
    pub token: Result<SecretString, SourceProblem>,
    /// The version of the Secret that was read, where there is one.
    pub version: Option<SourceVersion>,
}

/// Reads one token.
///
/// # Errors
/// When the API server could not be asked.
pub(super) async fn read_token(
    cluster: &Cluster,
    namespace: &str,
    reference: &SecretKeyRef,
) -> Result<OneToken, ClusterError> {
    let found = cluster.secret(namespace, &reference.name).await?;
    let secrets = Secrets(found.into_iter().collect());
    Ok(OneToken {
        token: secrets.one_token(reference),
        version: secrets.versions().into_iter().next(),
    })
}

/// What stands where a user name and password should be.
pub(super) struct OneLogin {
    /// Both, or why they are none.
    pub login: Result<UserAndPassword, SourceProblem>,
    /// The version of the Secret that was read, where there is one.
    pub version: Option<SourceVersion>,
}

/// Reads one user name and password.
///
/// # Errors
/// When the API server could not be asked.
pub(super) async fn read_login(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<OneLogin, ClusterError> {
    let found = cluster.secret(namespace, name).await?;
    let secrets = Secrets(found.into_iter().collect());
    Ok(OneLogin {
        login: secrets.one_login(name),
        version: secrets.versions().into_iter().next(),
    })
}

/// The Secrets of one credential, as they were read.
struct Secrets(Vec<Secret>);

/// Reads everything that a spec refers to.
///
/// # Errors
/// Outer: the API server could not be asked. Inner: what it holds is no credential.
pub(super) async fn read(
    cluster: &Cluster,
    namespace: &str,
    spec: &JiraCredentialSpec,
) -> Result<Result<(Material, Vec<SourceVersion>), SourceProblem>, ClusterError> {
    let mut secrets = Secrets(Vec::new());
    for name in names(spec) {
        match cluster.secret(namespace, name).await? {
            Some(secret) => secrets.0.push(secret),
            None => {
                return Ok(Err(SourceProblem::Missing {
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
        (material, secrets.versions())
    }))
}

/// The certificates of private authorities, with the version of the Secret that was read for them.
pub(super) struct Authorities {
    /// In PEM form; `None` when the spec names none.
    pub ca_pem: Result<Option<Vec<u8>>, SourceProblem>,
    /// The version of the Secret, where it is one.
    pub version: Option<SourceVersion>,
}

/// Reads the private authorities alone.
///
/// # Errors
/// When the API server could not be asked.
pub(super) async fn read_authorities(
    cluster: &Cluster,
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
    let found = cluster.secret(namespace, &reference.name).await?;
    let secrets = Secrets(found.into_iter().collect());
    let checked = secrets.0.iter().try_for_each(check_secret);
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
) -> Result<Result<Option<Vec<u8>>, SourceProblem>, ClusterError> {
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

fn value_of<'a, V>(
    kind: &'static str,
    name: &str,
    key: &str,
    data: Option<&'a std::collections::BTreeMap<String, V>>,
) -> Result<&'a V, SourceProblem> {
    let data = data.ok_or_else(|| SourceProblem::Missing {
        kind,
        name: name.to_owned(),
    })?;
    let missing = || SourceProblem::KeyMissing {
        kind,
        name: name.to_owned(),
        key: key.to_owned(),
    };
    data.get(key).ok_or_else(missing)
}

impl Secrets {
    fn material(&self, spec: &JiraCredentialSpec) -> Result<Material, SourceProblem> {
        for secret in &self.0 {
            check_secret(secret)?;
        }
        let mut signing = None;
        let (user, secret) = match spec.auth.method() {
            Some(Method::ApiToken(token)) => {
                let email = match &token.email_secret_ref {
                    Some(reference) => Some(self.user(&reference.name, &reference.key)?),
                    None => token.email.clone(),
                };
                (email, self.token(&token.token_secret_ref)?)
            }
            Some(Method::PersonalAccessToken(token)) => {
                (None, self.token(&token.token_secret_ref)?)
            }
            Some(Method::Basic(basic)) => {
                let login = self.login(&basic.secret_ref.name)?;
                (Some(login.user), login.password)
            }
            Some(Method::OAuth1(oauth1)) => {
                let (token, signer) = self.signing(oauth1)?;
                signing = Some(signer);
                (None, token)
            }
            // Those are read one by one, when they are needed.
            Some(Method::OAuth2(_) | Method::ClientCredentials(_) | Method::Session(_)) | None => {
                (None, SecretString::default())
            }
        };
        Ok(Material {
            user,
            secret,
            signing,
            ca_pem: self.authorities(spec)?,
            tokens: None,
            api_key: None,
        })
    }

    fn authorities(&self, spec: &JiraCredentialSpec) -> Result<Option<Vec<u8>>, SourceProblem> {
        let tls = spec.tls.as_ref();
        let Some(reference) = tls.and_then(|tls| tls.ca_secret_ref.as_ref()) else {
            return Ok(None);
        };
        let (name, key) = (&reference.name, &reference.key);
        let pem = self.bytes(name, key)?.to_vec();
        certificates("Secret", name, key, pem).map(Some)
    }

    fn one_login(&self, name: &str) -> Result<UserAndPassword, SourceProblem> {
        let secret = self.0.first().ok_or_else(|| SourceProblem::Missing {
            kind: "Secret",
            name: name.to_owned(),
        })?;
        check_secret(secret)?;
        self.login(name)
    }

    fn login(&self, name: &str) -> Result<UserAndPassword, SourceProblem> {
        let password = self.text(name, "password", LONGEST_SECRET)?;
        Ok(UserAndPassword {
            user: self.user(name, "username")?,
            password: SecretString::from(password.to_owned()),
        })
    }

    fn one_token(&self, reference: &SecretKeyRef) -> Result<SecretString, SourceProblem> {
        let secret = self.0.first().ok_or_else(|| SourceProblem::Missing {
            kind: "Secret",
            name: reference.name.clone(),
        })?;
        check_secret(secret)?;
        self.token(reference)
    }

    fn versions(&self) -> Vec<SourceVersion> {
        let version = |secret: &Secret| SourceVersion {
            name: secret.name_any(),
            uid: secret.uid().unwrap_or_default(),
            resource_version: secret.resource_version().unwrap_or_default(),
        };
        self.0.iter().map(version).collect()
    }

    /// A token: printable ASCII, since it travels in a header.
    fn token(&self, reference: &SecretKeyRef) -> Result<SecretString, SourceProblem> {
        let text = self.text(&reference.name, &reference.key, LONGEST_SECRET)?;
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(malformed(&reference.name, &reference.key, Flaw::NotAscii));
        }
        Ok(SecretString::from(text.to_owned()))
    }

    fn user(&self, name: &str, key: &str) -> Result<String, SourceProblem> {
        let text = self.text(name, key, LONGEST_USER)?;
        if text.contains(':') {
            return Err(malformed(name, key, Flaw::Colon));
        }
        Ok(text.to_owned())
    }

    fn text(&self, name: &str, key: &str, longest: usize) -> Result<&str, SourceProblem> {
        let bytes = self.bytes(name, key)?;
        let flaw = |flaw| malformed(name, key, flaw);
        let text = std::str::from_utf8(bytes).map_err(|_| flaw(Flaw::NotUtf8))?;
        if text.trim().is_empty() {
            return Err(flaw(Flaw::Empty));
        }
        if text.len() > longest {
            return Err(flaw(Flaw::TooLong));
        }
        if text.ends_with('\n') {
            return Err(flaw(Flaw::TrailingNewline));
        }
        if text.chars().any(char::is_control) {
            return Err(flaw(Flaw::ControlCharacter));
        }
        if text.trim() != text {
            return Err(flaw(Flaw::Blank));
        }
        Ok(text)
    }

    fn bytes(&self, name: &str, key: &str) -> Result<&[u8], SourceProblem> {
        let secret = self
            .0
            .iter()
            .find(|secret| secret.metadata.name.as_deref() == Some(name));
        let empty = std::collections::BTreeMap::new();
        let data = secret.map(|secret| secret.data.as_ref());
        match data {
            Some(Some(data)) => Ok(value_of("Secret", name, key, Some(data))?.0.as_slice()),
            Some(None) => {
                value_of::<Vec<u8>>("Secret", name, key, Some(&empty)).map(|_| [].as_slice())
            }
            None => value_of::<Vec<u8>>("Secret", name, key, None).map(|_| [].as_slice()),
        }
    }
}

/// What the operator publishes, and what the cluster itself uses, is never a source.
fn check_secret(secret: &Secret) -> Result<(), SourceProblem> {
    let ours = [CREDENTIAL_LABEL, GRANT_LABEL];
    if ours
        .iter()
        .any(|label| secret.labels().contains_key(*label))
    {
        return Err(SourceProblem::IsTarget {
            name: secret.name_any(),
        });
    }
    match secret.type_.as_deref() {
        Some(kind) if FORBIDDEN_TYPES.contains(&kind) => Err(SourceProblem::ForbiddenType {
            name: secret.name_any(),
            kind: kind.to_owned(),
        }),
        _ => Ok(()),
    }
}

fn certificates(
    kind: &'static str,
    name: &str,
    key: &str,
    pem: Vec<u8>,
) -> Result<Vec<u8>, SourceProblem> {
    let flaw = if pem.len() > LONGEST_CA {
        Flaw::TooLong
    } else if is_bundle(&pem) {
        return Ok(pem);
    } else {
        Flaw::NotPem
    };
    Err(SourceProblem::Malformed {
        kind,
        name: name.to_owned(),
        key: key.to_owned(),
        flaw,
    })
}

/// Whether a text holds certificates, every one of which can be an authority.
fn is_bundle(pem: &[u8]) -> bool {
    let mut roots = RootCertStore::empty();
    let all = CertificateDer::pem_slice_iter(pem)
        .all(|certificate| certificate.is_ok_and(|certificate| roots.add(certificate).is_ok()));
    all && !roots.is_empty()
}

fn malformed(name: &str, key: &str, flaw: Flaw) -> SourceProblem {
    SourceProblem::Malformed {
        kind: "Secret",
        name: name.to_owned(),
        key: key.to_owned(),
        flaw,
    }
}

#[cfg(test)]
mod tests;
