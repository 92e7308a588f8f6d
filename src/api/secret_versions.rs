//! Which versions of Secrets the operator has read and written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::path;
use super::{MergeStatus, Target};

/// The version of a source as it was last read.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceVersion {
    /// Name of the Secret.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its uid; empty when it did not exist.
    #[schemars(length(max = 128))]
    pub uid: String,
    /// Its resourceVersion; empty when it did not exist.
    #[schemars(length(max = 64))]
    pub resource_version: String,
}

/// A value that is used without the line end that stands behind it.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LineEnd {
    /// Name of the Secret.
    #[schemars(length(max = 253))]
    pub secret: String,
    /// Its key.
    #[schemars(length(max = 253))]
    pub key: String,
    /// Keyed fingerprint of the value; comparable with no other.
    #[schemars(length(max = 64))]
    pub fingerprint: String,
}

/// A target as it was last written or seen.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetVersion {
    /// Name of the Secret.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its namespace, when that is another than the one of the `JiraCredential`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
    /// Its uid.
    #[schemars(length(max = 128))]
    pub uid: String,
    /// Its resourceVersion.
    #[schemars(length(max = 64))]
    pub resource_version: String,
    /// Digest of what the operator wrote; absent when the Secret has another owner, or when
    /// the write was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub hash: Option<String>,
    /// The `JiraCredential` that the Secret belongs to, when it is another; empty when that is in another
    /// namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub held_by: Option<String>,
    /// Present for a Secret of somebody else into which the operator writes its keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<MergeStatus>,
}

/// Reference to the Secret to bind to (servicebinding.io, provisioned service).
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Binding {
    /// Name of the Secret.
    #[schemars(length(max = 253))]
    pub name: String,
}

impl TargetVersion {
    /// The name of the Secret, behind its namespace where that is another.
    pub fn path(&self) -> String {
        path(self.namespace.as_deref(), &self.name)
    }

    /// Whether this is the record of a target.
    pub fn is_of(&self, target: &Target) -> bool {
        self.name == target.name && self.namespace == target.namespace
    }
}
