//! How pods read a Secret, as their spec says.

use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVar, PodSpec, Volume};
use serde::Serialize;

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

/// Every way in which a pod reads a Secret.
pub fn ways(spec: &PodSpec, secret: &str) -> Vec<Access> {
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
