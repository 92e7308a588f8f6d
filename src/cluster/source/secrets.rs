//! What the values in Secrets are read as: tokens, passwords, user names, certificates.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use secrecy::SecretString;

use crate::api::{
    CREDENTIAL_LABEL, GRANT_LABEL, GRANT_TYPE, JiraCredentialSpec, Method, SOURCE_LABEL,
    SecretKeyRef, SourceVersion,
};
use crate::cluster::merge::is_merge_target;
use crate::cluster::source::material::{Material, ReadValue, UserAndPassword};
use crate::core::spec::{InvalidValue, SourceError, authorities};

/// No token or password of Jira comes near this length.
const LONGEST_SECRET: usize = 4096;

/// UTF-8, and both orders of UTF-16.
const BYTE_ORDER_MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];

/// The length of the longest e-mail address (RFC 5321), ample for a user name.
const LONGEST_USER: usize = 254;

/// Types of Secrets that are credentials of the cluster itself.
const FORBIDDEN_TYPES: [&str; 5] = [
    GRANT_TYPE,
    "kubernetes.io/service-account-token",
    "bootstrap.kubernetes.io/token",
    "kubernetes.io/dockerconfigjson",
    "helm.sh/release.v1",
];

/// The Secrets of one credential, as they were read.
#[derive(Default)]
pub(super) struct Secrets {
    pub(super) all: Vec<Secret>,
    /// Whether each must have the label of a source.
    pub(super) must_be_labelled: bool,
}

pub(super) fn value_of<'a, V>(
    kind: &'static str,
    name: &str,
    key: &str,
    data: Option<&'a std::collections::BTreeMap<String, V>>,
) -> Result<&'a V, SourceError> {
    let data = data.ok_or_else(|| SourceError::Missing {
        kind,
        name: name.to_owned(),
    })?;
    let missing = || SourceError::KeyMissing {
        kind,
        name: name.to_owned(),
        key: key.to_owned(),
    };
    data.get(key).ok_or_else(missing)
}

impl Secrets {
    pub(super) fn material(&self, spec: &JiraCredentialSpec) -> Result<Material, SourceError> {
        self.check()?;
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

    pub(super) fn authorities(
        &self,
        spec: &JiraCredentialSpec,
    ) -> Result<Option<Vec<u8>>, SourceError> {
        let tls = spec.tls.as_ref();
        let Some(reference) = tls.and_then(|tls| tls.ca_secret_ref.as_ref()) else {
            return Ok(None);
        };
        let (name, key) = (&reference.name, &reference.key);
        let pem = self.bytes(name, key)?.to_vec();
        certificates("Secret", name, key, pem).map(Some)
    }

    /// Whether all of them may be read as sources.
    pub(super) fn check(&self) -> Result<(), SourceError> {
        for secret in &self.all {
            check_secret(secret)?;
            let label = secret.labels().get(SOURCE_LABEL);
            if self.must_be_labelled && label.is_none_or(|label| label != "true") {
                return Err(SourceError::NotAllowed {
                    name: secret.name_any(),
                });
            }
        }
        Ok(())
    }

    pub(super) fn one_login(&self, name: &str) -> Result<UserAndPassword, SourceError> {
        if self.all.is_empty() {
            return Err(SourceError::Missing {
                kind: "Secret",
                name: name.to_owned(),
            });
        }
        self.check()?;
        self.login(name)
    }

    fn login(&self, name: &str) -> Result<UserAndPassword, SourceError> {
        let password = self.text(name, "password", LONGEST_SECRET)?;
        Ok(UserAndPassword {
            user: self.user(name, "username")?,
            password: SecretString::from(password.to_owned()),
        })
    }

    pub(super) fn one_token(&self, reference: &SecretKeyRef) -> Result<SecretString, SourceError> {
        if self.all.is_empty() {
            return Err(SourceError::Missing {
                kind: "Secret",
                name: reference.name.clone(),
            });
        }
        self.check()?;
        self.token(reference)
    }

    /// Values of the Secrets that were read, with what events say about their line ends.
    pub(super) fn values(&self, references: &[SecretKeyRef]) -> Vec<ReadValue> {
        let value = |reference: &SecretKeyRef| {
            let bytes = self.bytes(&reference.name, &reference.key).ok()?;
            Some(ReadValue {
                reference: reference.clone(),
                trimmed: without_line_end(bytes).map(|line| line.to_vec().into()),
            })
        };
        references.iter().filter_map(value).collect()
    }

    pub(super) fn versions(&self) -> Vec<SourceVersion> {
        let version = |secret: &Secret| SourceVersion {
            name: secret.name_any(),
            uid: secret.uid().unwrap_or_default(),
            resource_version: secret.resource_version().unwrap_or_default(),
        };
        self.all.iter().map(version).collect()
    }

    /// A token: printable ASCII, since it travels in a header.
    pub(super) fn token(&self, reference: &SecretKeyRef) -> Result<SecretString, SourceError> {
        let text = self.text(&reference.name, &reference.key, LONGEST_SECRET)?;
        if is_quoted(text) {
            return Err(malformed(
                &reference.name,
                &reference.key,
                InvalidValue::Quotes,
            ));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(malformed(
                &reference.name,
                &reference.key,
                InvalidValue::NotAscii,
            ));
        }
        Ok(SecretString::from(text.to_owned()))
    }

    fn user(&self, name: &str, key: &str) -> Result<String, SourceError> {
        let text = self.text(name, key, LONGEST_USER)?;
        if is_quoted(text) {
            return Err(malformed(name, key, InvalidValue::Quotes));
        }
        if text.contains(':') {
            return Err(malformed(name, key, InvalidValue::Colon));
        }
        Ok(text.to_owned())
    }

    /// The text of a value, without the one line end that `echo`, editors and `--from-file` leave at its
    /// end. The value with and without it is the same credential.
    fn text(&self, name: &str, key: &str, longest: usize) -> Result<&str, SourceError> {
        let bytes = self.bytes(name, key)?;
        let flaw = |flaw| malformed(name, key, flaw);
        let bytes = without_line_end(bytes).unwrap_or(bytes);
        if BYTE_ORDER_MARKS.iter().any(|mark| bytes.starts_with(mark)) {
            return Err(flaw(InvalidValue::ByteOrderMark));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| flaw(InvalidValue::NotUtf8))?;
        if text.trim().is_empty() {
            return Err(flaw(InvalidValue::Empty));
        }
        if text.len() > longest {
            return Err(flaw(InvalidValue::TooLong));
        }
        if text.ends_with('\n') {
            return Err(flaw(InvalidValue::SeveralLineEnds));
        }
        if text.chars().any(char::is_control) {
            return Err(flaw(InvalidValue::ControlCharacter));
        }
        if text.trim() != text {
            return Err(flaw(InvalidValue::Blank));
        }
        Ok(text)
    }

    pub(super) fn bytes(&self, name: &str, key: &str) -> Result<&[u8], SourceError> {
        let secret = self
            .all
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

/// A value without the line end behind it, LF or CRLF; `None` where there is none.
fn without_line_end(bytes: &[u8]) -> Option<&[u8]> {
    let line = bytes.strip_suffix(b"\n")?;
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

/// Whether the text stands in quotes. A password may; a token, an e-mail or a user name never does.
fn is_quoted(text: &str) -> bool {
    let inside = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    ['"', '\''].into_iter().any(|quote| inside(quote).is_some())
}

/// What the operator publishes, and what the cluster itself uses, is never a source.
fn check_secret(secret: &Secret) -> Result<(), SourceError> {
    let ours = [CREDENTIAL_LABEL, GRANT_LABEL];
    if ours
        .iter()
        .any(|label| secret.labels().contains_key(*label))
        || is_merge_target(&secret.metadata)
    {
        return Err(SourceError::IsTarget {
            name: secret.name_any(),
        });
    }
    match secret.type_.as_deref() {
        Some(kind) if FORBIDDEN_TYPES.contains(&kind) => Err(SourceError::ForbiddenType {
            name: secret.name_any(),
            kind: kind.to_owned(),
        }),
        _ => Ok(()),
    }
}

pub(super) fn certificates(
    kind: &'static str,
    name: &str,
    key: &str,
    pem: Vec<u8>,
) -> Result<Vec<u8>, SourceError> {
    let Err(flaw) = authorities(&pem) else {
        return Ok(pem);
    };
    Err(SourceError::Malformed {
        kind,
        name: name.to_owned(),
        key: key.to_owned(),
        flaw,
    })
}

pub(super) fn malformed(name: &str, key: &str, flaw: InvalidValue) -> SourceError {
    SourceError::Malformed {
        kind: "Secret",
        name: name.to_owned(),
        key: key.to_owned(),
        flaw,
    }
}

#[cfg(test)]
mod tests;
