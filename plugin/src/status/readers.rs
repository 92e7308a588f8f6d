//! Which workloads read the published Secrets of one credential, and how: one list of pods.

use std::collections::BTreeMap;

use jira_credential_operator::api::JiraCredential;
pub use jira_credential_operator::cluster::Access;
use jira_credential_operator::cluster::ways;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt};
use serde::Serialize;

use crate::connect::Cluster;
use crate::failure::{Exit, Failure};
use crate::status::published::published_here;

/// Pods of one workload that read one Secret in one way.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// Kind of what made the pods, such as `Deployment`; `Pod` for a pod of its own.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// How many pods.
    pub pods: usize,
    /// The Secret.
    pub secret: String,
    /// How they read it.
    pub how: Access,
}

/// Who reads the Secrets, as far as the caller may know.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Readers {
    /// The workloads.
    Known {
        /// Each with each way to read.
        workloads: Vec<Workload>,
    },
    /// They cannot be told.
    Unknown {
        /// Why not, and what to do.
        cause: String,
    },
}

/// Lists the pods of the namespace, once.
///
/// # Errors
/// When the time ran out; a missing right is an answer.
pub async fn of(cluster: &Cluster, object: &JiraCredential) -> Result<Readers, Failure> {
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &namespace);
    let what = format!("list pods in the namespace {namespace}");
    match cluster.ask(&what, api.list(&ListParams::default())).await {
        Ok(pods) => Ok(Readers::Known {
            workloads: workloads(&pods.items, &published_here(object)),
        }),
        Err(failure) if failure.exit == Exit::TimedOut => Err(failure),
        Err(failure) => Ok(Readers::Unknown {
            cause: failure.message,
        }),
    }
}

/// The workloads among some pods that read one of the Secrets.
pub fn workloads(pods: &[Pod], secrets: &[String]) -> Vec<Workload> {
    let mut counted: BTreeMap<(String, String, String, Access), usize> = BTreeMap::new();
    for pod in pods {
        let Some(spec) = &pod.spec else { continue };
        // A pod that has ended reads nothing any more.
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        if matches!(phase, Some("Succeeded" | "Failed")) {
            continue;
        }
        let (kind, name) = owner(pod);
        for secret in secrets {
            let mut ways = ways(spec, secret);
            ways.sort_unstable();
            ways.dedup();
            for how in ways {
                let key = (kind.clone(), name.clone(), secret.clone(), how);
                *counted.entry(key).or_default() += 1;
            }
        }
    }
    counted
        .into_iter()
        .map(|((kind, name, secret, how), pods)| Workload {
            kind,
            name,
            pods,
            secret,
            how,
        })
        .collect()
}

/// What made a pod. A Deployment makes a `ReplicaSet` whose name is its own and the hash of the
/// template; reading the `ReplicaSet` would cost another list.
fn owner(pod: &Pod) -> (String, String) {
    let owners = pod.meta().owner_references.iter().flatten();
    let Some(owner) = owners
        .into_iter()
        .find(|owner| owner.controller == Some(true))
    else {
        return ("Pod".to_owned(), pod.name_any());
    };
    let hash = pod.labels().get("pod-template-hash");
    let deployment = hash.and_then(|hash| owner.name.strip_suffix(&format!("-{hash}")));
    match deployment {
        Some(name) if owner.kind == "ReplicaSet" => ("Deployment".to_owned(), name.to_owned()),
        _ => (owner.kind.clone(), owner.name.clone()),
    }
}
