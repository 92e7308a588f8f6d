//! Writing the Secret of a consent: by compare-and-swap, so that nobody's change is overwritten, and
//! repeated while the API server does not answer, since a consent is given only once.

use std::collections::BTreeMap;
use std::time::Duration;

use jira_credential_operator::api::SOURCE_LABEL;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, PostParams};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::connect::Cluster;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::rotate::store::MANAGER;

/// How long a write is repeated while the API server does not answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(10);

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_secs(2);

/// How often the write moves to a newer version of the Secret in which only other parts were changed.
const REBASES: u32 = 3;

/// What a dry run writes in place of a value.
const PLACEHOLDER: &str = "dry-run";

/// The Secret that a consent goes to.
pub struct Seed<'a> {
    /// The API server.
    pub cluster: &'a Cluster,
    /// Name of the Secret.
    pub name: &'a str,
    /// Keys beside the written ones whose values must be as they were read.
    pub kept: &'a [&'a str],
}

/// What an attempt means.
enum Attempt {
    Stored(Box<Secret>),
    /// The Secret was changed since.
    Conflict,
    /// The API server did not take the request, and says so.
    Busy(String),
    /// Whether it was stored is not known.
    Unknown(String),
    Refused(u16, String),
}

impl Seed<'_> {
    fn api(&self) -> Api<Secret> {
        Api::namespaced(self.cluster.client.clone(), &self.cluster.namespace)
    }

    /// Reads the Secret, which need not be there.
    ///
    /// # Errors
    /// When it may not be read, or can never be changed.
    pub async fn read(&self) -> Result<Option<Secret>, Failure> {
        let name = self.name;
        let what = format!("read the Secret {}/{name}", self.cluster.namespace);
        let secret = self.cluster.ask(&what, self.api().get_opt(name)).await?;
        if secret.as_ref().and_then(|secret| secret.immutable) == Some(true) {
            return Err(Failure::error(format!(
                "the Secret {name} is immutable; delete it or name another one in spec. Nothing was stored"
            )));
        }
        Ok(secret)
    }

    /// Asks the API server whether these keys could be written, and writes nothing.
    ///
    /// # Errors
    /// When they could not.
    pub async fn check(&self, read: Option<&Secret>, keys: &[&str]) -> Result<(), Failure> {
        let value = SecretString::from(PLACEHOLDER);
        let values: Vec<(&str, &SecretString)> = keys.iter().map(|key| (*key, &value)).collect();
        self.put(read.cloned(), &values, true).await.map(|_| ())
    }

    /// Writes values into the version of the Secret that was read, or into a new Secret. When only other
    /// parts of the Secret were changed since, the change is kept and the values go into the new version.
    ///
    /// # Errors
    /// When a value was changed since, the Secret may not be written, or the API server does not answer.
    pub async fn write(
        &self,
        read: Option<Secret>,
        values: &[(&str, &SecretString)],
    ) -> Result<Secret, Failure> {
        self.put(read, values, false).await
    }

    async fn put(
        &self,
        read: Option<Secret>,
        values: &[(&str, &SecretString)],
        dry_run: bool,
    ) -> Result<Secret, Failure> {
        let started = Instant::now();
        let (mut known, mut rebases, mut is_unclear) = (read, 0, false);
        loop {
            let cause = match self.attempt(known.clone(), values, dry_run).await {
                Attempt::Stored(secret) => return Ok(*secret),
                Attempt::Refused(code, reason) => return Err(self.refused(code, &reason)),
                Attempt::Conflict => match self.present().await {
                    Ok(Some(present)) if is_unclear && !dry_run && holds(&present, values) => {
                        return Ok(present);
                    }
                    Ok(present)
                        if rebases < REBASES
                            && self.is_same(known.as_ref(), present.as_ref(), values) =>
                    {
                        (known, rebases) = (present, rebases + 1);
                        continue;
                    }
                    Ok(_) => return Err(self.changed()),
                    Err(cause) => cause,
                },
                Attempt::Busy(cause) => cause,
                Attempt::Unknown(cause) => {
                    is_unclear = true;
                    cause
                }
            };
            if started.elapsed() >= PATIENCE {
                return Err(self.silent(&cause, is_unclear && !dry_run));
            }
            output::progress(&format!(
                "The API server does not take the Secret {} ({cause}); trying again.",
                self.name
            ));
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn attempt(
        &self,
        known: Option<Secret>,
        values: &[(&str, &SecretString)],
        dry_run: bool,
    ) -> Attempt {
        let is_new = known.is_none();
        let secret = filled(self.name, known, values);
        let params = PostParams {
            dry_run,
            field_manager: Some(MANAGER.to_owned()),
        };
        let api = self.api();
        let request = async {
            if is_new {
                api.create(&params, &secret).await
            } else {
                api.replace(self.name, &params, &secret).await
            }
        };
        let answer = tokio::time::timeout(ATTEMPT, self.cluster.within(request)).await;
        match answer.ok().flatten() {
            Some(Ok(written)) => Attempt::Stored(Box::new(written)),
            Some(Err(kube::Error::Api(status))) => {
                // What the API server says about a Secret may repeat what is in it.
                let cause = format!("{} {}", status.code, status.reason);
                match status.code {
                    409 => Attempt::Conflict,
                    429 => Attempt::Busy(cause),
                    500.. => Attempt::Unknown(cause),
                    code => Attempt::Refused(code, cause),
                }
            }
            Some(Err(_)) => Attempt::Unknown("the connection failed".to_owned()),
            None => Attempt::Unknown("no answer in time".to_owned()),
        }
    }

    /// The Secret as it is now, or why that is not known.
    async fn present(&self) -> Result<Option<Secret>, String> {
        let api = self.api();
        let request = self.cluster.within(api.get_opt(self.name));
        match tokio::time::timeout(ATTEMPT, request).await.ok().flatten() {
            Some(Ok(present)) => Ok(present),
            Some(Err(kube::Error::Api(status))) => {
                Err(format!("{} {}", status.code, status.reason))
            }
            Some(Err(_)) => Err("the connection failed".to_owned()),
            None => Err("no answer in time".to_owned()),
        }
    }

    /// Whether it is the same Secret with the same values where it matters.
    fn is_same(
        &self,
        known: Option<&Secret>,
        present: Option<&Secret>,
        values: &[(&str, &SecretString)],
    ) -> bool {
        let (Some(known), Some(present)) = (known, present) else {
            return false;
        };
        let written = values.iter().map(|(key, _)| *key);
        let mut keys = written.chain(self.kept.iter().copied());
        known.metadata.uid == present.metadata.uid
            && present.immutable != Some(true)
            && keys.all(|key| value(known, key) == value(present, key))
    }

    fn changed(&self) -> Failure {
        Failure::error(format!(
            "somebody changed the Secret {} meanwhile. Nothing was stored; run login again",
            self.name
        ))
    }

    fn refused(&self, code: u16, cause: &str) -> Failure {
        let remedy = match code {
            401 => "log in to the cluster again, and run login again",
            403 => "ask for the right to create and update it, and run login again",
            404 => "it or its namespace was deleted: run login again",
            _ => "check the admission rules of the cluster, and run login again",
        };
        Failure::error(format!(
            "the API server refused to write the Secret {} ({cause}). Nothing was stored; {remedy}",
            self.name
        ))
    }

    /// The API server did not take the Secret in all the time.
    fn silent(&self, cause: &str, is_unclear: bool) -> Failure {
        let name = self.name;
        let stored = if is_unclear {
            "It is not known whether the consent was stored"
        } else {
            "Nothing was stored"
        };
        let seconds = PATIENCE.as_secs();
        Failure::new(
            Exit::TimedOut,
            format!(
                "the API server did not take the Secret {name} within {seconds} seconds ({cause}). {stored}; run login again when it answers"
            ),
        )
    }
}

fn value<'a>(secret: &'a Secret, key: &str) -> Option<&'a ByteString> {
    secret.data.as_ref()?.get(key)
}

/// Whether the Secret has a value in this key.
pub fn has_value(secret: &Secret, key: &str) -> bool {
    value(secret, key).is_some_and(|value| !value.0.trim_ascii().is_empty())
}

fn holds(secret: &Secret, values: &[(&str, &SecretString)]) -> bool {
    let mut values = values.iter();
    values.all(|(key, wanted)| {
        value(secret, key).is_some_and(|value| value.0 == wanted.expose_secret().as_bytes())
    })
}

fn filled(name: &str, known: Option<Secret>, values: &[(&str, &SecretString)]) -> Secret {
    let mut secret = known.unwrap_or_else(|| Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            // Made for the operator to read, which may read no other with --require-source-label.
            labels: Some([(SOURCE_LABEL.to_owned(), "true".to_owned())].into()),
            ..ObjectMeta::default()
        },
        ..Secret::default()
    });
    let data: &mut BTreeMap<String, ByteString> = secret.data.get_or_insert_default();
    for (key, value) in values {
        let value = ByteString(value.expose_secret().as_bytes().to_vec());
        data.insert((*key).to_owned(), value);
    }
    secret
}

#[cfg(test)]
mod tests;
