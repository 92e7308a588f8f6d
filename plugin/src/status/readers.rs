//! Which workloads read the published Secrets of one credential, and how: one list of pods.

use std::collections::BTreeMap;

use jira_credential_operator::api::JiraCredential;
use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVar, Pod, PodSpec, Volume};
use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt};
use serde::Serialize;

use crate::connect::Cluster;
use crate::failure::{Exit, Failure};
use crate::status::published::published_here;

/// How a pod reads a Secret.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Access {
    /// A key in an environment variable.
    Env,
    /// All keys as environment variables.
    EnvFrom,
    /// Files of a volume.
    File,
    /// A file that is mounted by `subPath`.
    SubPath,
    /// For pulling its images.
    ImagePull,
}

impl Access {
    /// Whether a running pod gets a new value without a restart: the kubelet updates files of volumes,
    /// but neither the environment nor what is mounted by `subPath`.
    pub fn follows(self) -> bool {
        matches!(self, Self::File | Self::ImagePull)
    }
}

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

/// Every way in which a pod reads a Secret.
fn ways(spec: &PodSpec, secret: &str) -> Vec<Access> {
    let mut ways = Vec::new();
    let pulls = spec.image_pull_secrets.iter().flatten();
    if pulls.into_iter().any(|pull| pull.name == secret) {
        ways.push(Access::ImagePull);
    }
    let volumes: Vec<&str> = spec
        .volumes
        .iter()
        .flatten()
        .filter(|volume| holds(volume, secret))
        .map(|volume| volume.name.as_str())
        .collect();
    let init = spec.init_containers.iter().flatten();
    for container in spec.containers.iter().chain(init) {
        of_container(container, secret, &volumes, &mut ways);
    }
    ways
}

fn of_container(container: &Container, secret: &str, volumes: &[&str], ways: &mut Vec<Access>) {
    if container
        .env
        .iter()
        .flatten()
        .any(|variable| is_from(variable, secret))
    {
        ways.push(Access::Env);
    }
    if container
        .env_from
        .iter()
        .flatten()
        .any(|source| is_all_from(source, secret))
    {
        ways.push(Access::EnvFrom);
    }
    let mounts = container.volume_mounts.iter().flatten();
    for mount in mounts.filter(|mount| volumes.contains(&mount.name.as_str())) {
        let is_part = mount.sub_path.is_some() || mount.sub_path_expr.is_some();
        ways.push(if is_part {
            Access::SubPath
        } else {
            Access::File
        });
    }
}

fn is_from(variable: &EnvVar, secret: &str) -> bool {
    let from = variable.value_from.as_ref();
    let key = from.and_then(|from| from.secret_key_ref.as_ref());
    key.is_some_and(|key| key.name == secret)
}

fn is_all_from(source: &EnvFromSource, secret: &str) -> bool {
    let from = source.secret_ref.as_ref();
    from.is_some_and(|from| from.name == secret)
}

fn holds(volume: &Volume, secret: &str) -> bool {
    let alone = volume
        .secret
        .as_ref()
        .and_then(|source| source.secret_name.as_deref());
    let parts = volume
        .projected
        .iter()
        .flat_map(|projected| projected.sources.iter().flatten());
    let mut projected = parts.filter_map(|part| part.secret.as_ref());
    alone == Some(secret) || projected.any(|part| part.name == secret)
}
