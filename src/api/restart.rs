//! Workloads that are restarted when the published credential changes.

#![expect(
    unreachable_pub,
    reason = "the derive repeats every type inside a function of its own"
)]

use std::fmt;

use chrono::{DateTime, Utc};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{Reason, rules};

/// A workload in the namespace of the credential.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
pub struct Workload {
    /// Deployment, `StatefulSet` or `DaemonSet`.
    pub kind: WorkloadKind,
    /// Name of the workload.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::name())]
    pub name: String,
}

/// The kinds of workloads that can be restarted.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum WorkloadKind {
    /// A Deployment.
    Deployment,
    /// A `StatefulSet`.
    StatefulSet,
    /// A `DaemonSet`.
    DaemonSet,
}

/// As messages name it.
impl fmt::Display for Workload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} {}", self.kind, self.name)
    }
}

/// For which published credential the workloads of `spec.restart` were restarted.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestartStatus {
    /// Keyed fingerprint of the published credential.
    #[schemars(length(max = 64))]
    pub fingerprint: String,
    /// The value of the annotation of the pod templates; absent before the first change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub revision: Option<String>,
    /// Targets that did not hold the published credential at the restart: the workloads are restarted once
    /// more when one of these does.
    #[schemars(schema_with = "pending_targets_schema")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_targets: Vec<String>,
    /// The workloads that could not be restarted, and why.
    #[schemars(length(max = 16))]
    #[serde(
        default,
        deserialize_with = "super::lenient::all_known",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub failed: Vec<FailedRestart>,
    /// Consecutive attempts that left some workloads.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: i32,
    /// When the operator tries these again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_time: Option<DateTime<Utc>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde prescribes it")]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// A workload that could not be restarted.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct FailedRestart {
    /// The workload.
    #[serde(flatten)]
    pub workload: Workload,
    /// Why.
    #[schemars(schema_with = "super::condition::reason_schema")]
    pub reason: Reason,
}

fn pending_targets_schema(_: &mut SchemaGenerator) -> Schema {
    let name = json_schema!({
        "description": "Name of the Secret.",
        "type": "string",
        "maxLength": 253
    });
    json_schema!({ "type": "array", "maxItems": 8, "items": name })
}
