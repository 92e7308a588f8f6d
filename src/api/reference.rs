//! References to Secrets and `ConfigMap`s in the namespace of the credential.

#![expect(
    unreachable_pub,
    reason = "the derive repeats every type inside a function of its own"
)]

use std::fmt;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

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
