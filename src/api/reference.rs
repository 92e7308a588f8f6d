//! References to Secrets and `ConfigMap`s in the namespace of the credential.

#![expect(
    unreachable_pub,
    reason = "the derive repeats every type inside a function of its own"
)]

use std::fmt;

use kube::KubeSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::rules;

/// A key of a Secret in the namespace of the credential.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::name())]
    pub name: String,
    /// Key in the Secret.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::key())]
    pub key: String,
}

/// The key of a client secret that is left out.
const CLIENT_SECRET: &str = "client-secret";

/// Reads references to client secrets. The API server does not store the default of their key: who computes a merge
/// patch, as `kubectl apply` does, compares a list as a whole, and would take it for a difference each time.
pub(super) fn client_secrets<'de, D>(deserializer: D) -> Result<Vec<SecretKeyRef>, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    struct Reference {
        name: String,
        key: Option<String>,
    }
    let references = Vec::<Reference>::deserialize(deserializer)?;
    let whole = references.into_iter().map(|reference| SecretKeyRef {
        name: reference.name,
        key: reference.key.unwrap_or_else(|| CLIENT_SECRET.to_owned()),
    });
    Ok(whole.collect())
}

/// As messages name it.
impl fmt::Display for SecretKeyRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the key {} of the Secret {}",
            self.key, self.name
        )
    }
}

/// A key of a `ConfigMap` in the namespace of the credential.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
pub struct ConfigMapKeyRef {
    /// Name of the `ConfigMap`.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::name())]
    pub name: String,
    /// Key in the `ConfigMap`.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::key())]
    pub key: String,
}

/// A Secret in the namespace of the credential.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::name())]
    pub name: String,
}
