//! How pods read a Secret, as their spec says.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    Container, EnvFromSource, EnvVar, KeyToPath, PodSpec, Volume, VolumeMount,
};
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
    all(spec, secret)
        .into_iter()
        .map(|way| way.access)
        .collect()
}

/// Whether a pod reads one of these keys of a Secret in a way that shows it no new value before a restart.
pub(super) fn keeps(spec: &PodSpec, secret: &str, keys: &BTreeSet<String>) -> bool {
    let mut ways = all(spec, secret).into_iter();
    ways.any(|way| !way.access.follows() && keys.iter().any(|key| way.part.has(key)))
}

/// One way in which a pod reads a Secret.
struct Way<'a> {
    access: Access,
    part: Part<'a>,
}

/// The keys that it reads.
enum Part<'a> {
    Every,
    These(Vec<&'a str>),
}

impl Part<'_> {
    fn has(&self, key: &str) -> bool {
        match self {
            Self::Every => true,
            Self::These(keys) => keys.contains(&key),
        }
    }
}

/// A volume that holds a Secret.
struct Held<'a> {
    volume: &'a str,
    /// Which keys become which files; every key a file of its name, if there are none.
    sources: Vec<&'a [KeyToPath]>,
}

fn all<'a>(spec: &'a PodSpec, secret: &str) -> Vec<Way<'a>> {
    let mut ways = Vec::new();
    let pulls = spec.image_pull_secrets.iter().flatten();
    if pulls.into_iter().any(|pull| pull.name == secret) {
        ways.push(Way {
            access: Access::ImagePull,
            part: Part::Every,
        });
    }
    let volumes = spec.volumes.iter().flatten();
    let volumes: Vec<Held<'_>> = volumes.filter_map(|volume| held(volume, secret)).collect();
    let init = spec.init_containers.iter().flatten();
    for container in spec.containers.iter().chain(init) {
        of_container(container, secret, &volumes, &mut ways);
    }
    ways
}

fn of_container<'a>(
    container: &'a Container,
    secret: &str,
    volumes: &[Held<'a>],
    ways: &mut Vec<Way<'a>>,
) {
    let variables = container.env.iter().flatten();
    let keys: Vec<&str> = variables
        .filter_map(|variable| key_from(variable, secret))
        .collect();
    if !keys.is_empty() {
        ways.push(Way {
            access: Access::Env,
            part: Part::These(keys),
        });
    }
    let mut sources = container.env_from.iter().flatten();
    if sources.any(|source| is_all_from(source, secret)) {
        ways.push(Way {
            access: Access::EnvFrom,
            part: Part::Every,
        });
    }
    let mounts = container.volume_mounts.iter().flatten();
    ways.extend(mounts.filter_map(|mount| {
        let held = volumes.iter().find(|held| held.volume == mount.name)?;
        Some(of_mount(mount, held))
    }));
}

fn of_mount<'a>(mount: &'a VolumeMount, held: &Held<'a>) -> Way<'a> {
    let is_said = |path: &&str| !path.is_empty();
    let path = mount.sub_path.as_deref().filter(is_said);
    let expression = mount.sub_path_expr.as_deref().filter(is_said);
    let (access, part) = match (path, expression) {
        (None, None) => (Access::File, Part::Every),
        // What the variables in it stand for is known in the pod alone.
        (None, Some(expression)) if expression.contains('$') => (Access::SubPath, Part::Every),
        (Some(path), _) | (None, Some(path)) => (Access::SubPath, held.below(path)),
    };
    Way { access, part }
}

impl<'a> Held<'a> {
    /// The keys whose files a path names, or a directory in which they are.
    fn below(&self, path: &'a str) -> Part<'a> {
        let wanted = segments(path);
        let Some(first) = wanted.first() else {
            return Part::Every;
        };
        // The kubelet keeps what the files link to in folders of such names.
        if first.starts_with("..") {
            return Part::Every;
        }
        let of_source = |items: &&'a [KeyToPath]| {
            let mapped = items.iter();
            let mapped = mapped.filter(|item| segments(&item.path).starts_with(&wanted));
            let plain = (items.is_empty() && wanted.len() == 1).then_some(*first);
            mapped
                .map(|item| item.key.as_str())
                .chain(plain)
                .collect::<Vec<_>>()
        };
        Part::These(self.sources.iter().flat_map(of_source).collect())
    }
}

/// The parts of a path that name something.
fn segments(path: &str) -> Vec<&str> {
    let parts = path.split('/');
    parts
        .filter(|part| !part.is_empty() && *part != ".")
        .collect()
}

fn key_from<'a>(variable: &'a EnvVar, secret: &str) -> Option<&'a str> {
    let key = variable.value_from.as_ref()?.secret_key_ref.as_ref()?;
    Some(key.key.as_str()).filter(|_| key.name == secret)
}

fn is_all_from(source: &EnvFromSource, secret: &str) -> bool {
    let from = source.secret_ref.as_ref();
    from.is_some_and(|from| from.name == secret)
}

fn held<'a>(volume: &'a Volume, secret: &str) -> Option<Held<'a>> {
    let alone = volume.secret.iter();
    let alone = alone.filter(|source| source.secret_name.as_deref() == Some(secret));
    let alone = alone.map(|source| source.items.as_deref());
    let parts = volume
        .projected
        .iter()
        .flat_map(|projected| projected.sources.iter().flatten());
    let parts = parts.filter_map(|part| part.secret.as_ref());
    let parts = parts.filter(|part| part.name == secret);
    let parts = parts.map(|part| part.items.as_deref());
    let sources: Vec<_> = alone.chain(parts).map(Option::unwrap_or_default).collect();
    (!sources.is_empty()).then_some(Held {
        volume: &volume.name,
        sources,
    })
}
