//! The one reader: gathers the facts of a reconcile, and apart from them the secret values.

pub(super) mod fingerprints;
pub(super) mod grant;
pub(super) mod types;

use kube::ResourceExt;
use secrecy::{ExposeSecret, SecretString};

use crate::api::{
    JiraCredential, MergeStatus, RENEW_ANNOTATION, SourceVersion, Target, TargetVersion,
};
use crate::cluster::client::Cluster;
use crate::cluster::error::ClusterError;
use crate::cluster::key::Key;
use crate::cluster::observe::fingerprints::{fingerprint, line_ends, password_prints};
use crate::cluster::observe::grant::{observe_grant, place_of};
use crate::cluster::observe::types::{ObserveContext, Observed, PasswordPrints};
use crate::cluster::secret_index::{Known, VersionIndex};
use crate::cluster::slim::short;
use crate::cluster::source::{self, Everything, Material, OneToken};
use crate::core::decide::expiry_lookup::wants_api_key;
use crate::core::decide::needs_source;
use crate::core::facts::{
    ApiKey, Facts, Object, Peer, Progress, Source, TargetFacts, TargetState, targets,
};
use crate::core::fingerprint::FingerprintKey;
use crate::core::spec::grant_name;
use crate::core::spec::{SourceError, TokenFormat};

/// Gathers the facts. The user's Secret is read only when they cannot be known without.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn observe(
    cluster: &Cluster,
    index: &VersionIndex,
    key: &FingerprintKey,
    object: &JiraCredential,
    around: ObserveContext<'_>,
) -> Result<Observed, ClusterError> {
    let mut facts = without_source(index, object, &around);
    facts.correct_times();
    facts.begin_restarts();
    if let Some(here) = facts.fingerprint() {
        let everywhere = None;
        facts.peer = peer(&facts, &around, &PasswordPrints { here, everywhere });
    }
    if around.lookups_are_full && wants_api_key(&facts) {
        facts.api_key = ApiKey::PutOff;
    }
    let (namespace, spec) = (facts.object.namespace.clone(), &object.spec);
    let missing = source::names(spec)
        .into_iter()
        .find(|name| index.look(&namespace, name) == Known::Absent);
    if facts.object.deleting || facts.spec.suspend || facts.plan.is_err() {
        return Ok(Observed {
            facts,
            material: None,
        });
    }
    if facts.renews() {
        let renewals = &around.renewals;
        let peer = around.peer;
        return Box::pin(observe_grant(cluster, index, key, facts, renewals, peer)).await;
    }
    if let Some(name) = missing {
        let name = name.to_owned();
        facts.source = Source::Unusable(SourceError::Missing {
            kind: "Secret",
            name,
        });
        return Ok(Observed {
            facts,
            material: None,
        });
    }
    if is_unchanged(index, &facts) && !needs_source(&facts) {
        return Ok(Observed {
            facts,
            material: None,
        });
    }
    let read = match source::read(cluster, index, &namespace, spec).await {
        Err(ClusterError::Forbidden(right)) => Err(SourceError::NotReadable(right)),
        other => other?,
    };
    match read {
        Ok(Everything {
            mut material,
            versions,
            values,
        }) => {
            facts.texts = line_ends(key, &namespace, values);
            index.learn_versions(&namespace, &versions);
            let print = fingerprint(key, &facts, &material);
            let user = material.user.as_deref().unwrap_or_default();
            let prints = password_prints(key, &facts, user, &material.secret);
            facts.peer = peer(&facts, &around, &prints);
            facts.form = TokenFormat::of(material.secret.expose_secret());
            facts.source = Source::Read {
                fingerprint: print,
                versions,
            };
            if wants_api_key(&facts) {
                read_api_key(cluster, index, key, &mut facts, &mut material).await?;
            }
            Ok(Observed {
                facts,
                material: Some(material),
            })
        }
        Err(problem) => {
            if let SourceError::Missing {
                kind: "Secret",
                name,
            } = &problem
            {
                index.learn_from_read(&namespace, name, Known::Absent);
            }
            facts.source = Source::Unusable(problem);
            Ok(Observed {
                facts,
                material: None,
            })
        }
    }
}

/// Reads the organisation's API key. Whatever is wrong with it concerns the look-up alone.
async fn read_api_key(
    cluster: &Cluster,
    index: &VersionIndex,
    key: &FingerprintKey,
    facts: &mut Facts,
    material: &mut Material,
) -> Result<(), ClusterError> {
    let Some(lookup) = &facts.spec.expiry_lookup else {
        return Ok(());
    };
    let namespace = facts.object.namespace.clone();
    let reference = &lookup.api_key_secret_ref;
    let OneToken {
        token,
        values,
        version,
    } = match source::read_token(cluster, index, &namespace, reference).await {
        Err(ClusterError::Forbidden(right)) => OneToken {
            token: Err(SourceError::NotReadable(right)),
            values: Vec::new(),
            version: None,
        },
        other => other?,
    };
    facts
        .texts
        .retain(|text| (&text.secret, &text.key) != (&reference.name, &reference.key));
    facts.texts.extend(line_ends(key, &namespace, values));
    let version = version.unwrap_or_else(|| absent(&reference.name));
    index.learn_versions(&namespace, std::slice::from_ref(&version));
    let print = |token: &SecretString| {
        let parts: [&[u8]; 2] = [b"api key", token.expose_secret().as_bytes()];
        key.fingerprint_in(&namespace, &parts)
    };
    facts.api_key = ApiKey::Read {
        fingerprint: token.as_ref().ok().map(print),
        version,
    };
    material.api_key = Some(token);
    Ok(())
}

/// Whether the Secret with the organisation's API key is another than at the last look-up, as far
/// as the watch has reported.
fn api_key_shown(index: &VersionIndex, object: &JiraCredential) -> ApiKey {
    let status = object.status.as_ref();
    let lookup = object.spec.expiry_lookup.as_ref();
    let looked = status.and_then(|status| status.expiry_lookup.as_ref());
    let Some((lookup, looked)) = lookup.zip(looked) else {
        return ApiKey::Unmoved;
    };
    let name = &lookup.api_key_secret_ref.name;
    let namespace = object.namespace().unwrap_or_default();
    let shown = match index.look(&namespace, name) {
        Known::Unknown => return ApiKey::Unmoved,
        Known::Absent => absent(name),
        Known::Present {
            uid,
            resource_version,
        } => SourceVersion {
            name: name.clone(),
            uid,
            resource_version,
        },
    };
    if shown == looked.source || index.is_same(&namespace, &looked.source) {
        ApiKey::Unmoved
    } else {
        ApiKey::Moved
    }
}

/// The version of a Secret that does not exist.
fn absent(name: &str) -> SourceVersion {
    SourceVersion {
        name: name.to_owned(),
        uid: String::new(),
        resource_version: String::new(),
    }
}

fn without_source(
    index: &VersionIndex,
    object: &JiraCredential,
    around: &ObserveContext<'_>,
) -> Facts {
    let namespace = object.namespace().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    let me = key_of(object);
    let targets = targets::targets(&object.spec, &namespace, &me.name);
    let is_wanted = |old: &TargetVersion| targets.iter().any(|target| old.is_of(target));
    let wrote = |old: &&TargetVersion| old.hash.is_some() || old.merge.is_some();
    let recorded = status.targets.iter().filter(wrote);
    let strays = index.strays(&namespace, &object.uid().unwrap_or_default());
    let strays = strays.into_iter().map(|stray| TargetVersion {
        resource_version: stray.resource_version,
        ..unrecorded(None, stray.name, stray.uid)
    });
    let elsewhere = index.elsewhere().of(&me).into_iter();
    let elsewhere = elsewhere.map(|(key, uid)| {
        let namespace = Some(key.namespace.to_string());
        unrecorded(namespace, key.name.to_string(), uid)
    });
    let is_recorded = |stray: &TargetVersion| {
        let mut recorded = status.targets.iter();
        recorded.any(|seen| seen.path() == stray.path())
    };
    let strays = strays.chain(elsewhere).filter(|stray| !is_recorded(stray));
    let merged = index.merged().of(&me).into_iter();
    let merged = merged
        .map(|name| TargetVersion {
            hash: None,
            merge: Some(MergeStatus::default()),
            ..unrecorded(None, name, String::new())
        })
        .filter(|merged| !is_recorded(merged));
    let surplus = recorded.cloned().chain(strays).chain(merged);
    let surplus = surplus.filter(|old| !is_wanted(old)).collect();
    Facts {
        now: around.now,
        object: Object {
            namespace: namespace.clone(),
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
            generation: object.metadata.generation.unwrap_or_default(),
            deleting: object.metadata.deletion_timestamp.is_some(),
            renew: object
                .annotations()
                .get(RENEW_ANNOTATION)
                .map(|value| short(value)),
        },
        spec: object.spec.clone(),
        plan: around.plan.clone(),
        source: Source::Unchanged,
        form: TokenFormat::default(),
        surplus,
        targets: targets
            .into_iter()
            .map(|target| TargetFacts {
                state: match index.look(
                    target.namespace.as_deref().unwrap_or(&namespace),
                    &target.name,
                ) {
                    Known::Unknown => TargetState::Unknown,
                    Known::Absent => TargetState::Absent,
                    Known::Present {
                        uid,
                        resource_version,
                    } => TargetState::Present {
                        uid,
                        resource_version,
                    },
                },
                // Several may write keys into one Secret.
                older_claim: Some(&target)
                    .filter(|target| !targets::merges(target))
                    .and_then(|target| (around.older_claim)(target)),
                barrier: (around.barrier)(&target),
                target,
            })
            .collect(),
        peer: Peer::Silent,
        watched_since: around.watched_since,
        site_wait: around.site_wait,
        renewal_wait: around.renewal_wait,
        proxy: around.proxy.clone(),
        api_key: api_key_shown(index, object),
        renewal: None,
        texts: Vec::new(),
        batches: None,
        progress: Progress::default(),
        status,
    }
}

/// A target that no status records: what it holds is not known.
fn unrecorded(namespace: Option<String>, name: String, uid: String) -> TargetVersion {
    TargetVersion {
        name,
        namespace,
        uid,
        resource_version: String::new(),
        hash: Some(String::new()),
        held_by: None,
        merge: None,
    }
}

fn peer(facts: &Facts, around: &ObserveContext<'_>, prints: &PasswordPrints) -> Peer {
    if facts.is_password() {
        (around.peer)(prints)
    } else {
        Peer::Silent
    }
}

/// Whether every source has the version that was read last.
fn is_unchanged(index: &VersionIndex, facts: &Facts) -> bool {
    let names = source::names(&facts.spec);
    names.len() == facts.status.sources.len()
        && names.iter().all(|name| {
            let recorded = facts
                .status
                .sources
                .iter()
                .find(|source| source.name == **name);
            recorded.is_some_and(|recorded| index.is_same(&facts.object.namespace, recorded))
        })
}

/// Every Secret that a credential refers to: sources, grant, API key and targets.
pub fn references(object: &JiraCredential) -> Vec<Key> {
    let me = key_of(object);
    let targets = targets::targets(&object.spec, &me.namespace, &me.name);
    let targets = targets.iter().map(|target| key_of_target(object, target));
    let mut keys: Vec<Key> = inputs(object).into_iter().chain(targets).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Every Secret that a credential refers to and that is no target.
pub fn inputs(object: &JiraCredential) -> Vec<Key> {
    let namespace = key_of(object).namespace;
    let sources = source::names(&object.spec).into_iter().map(str::to_owned);
    let grant = place_of(&object.spec).map(|place| grant_name(&place));
    let lookup = object.spec.expiry_lookup.as_ref();
    let api_key = lookup.map(|lookup| lookup.api_key_secret_ref.name.clone());
    let names = sources.chain(grant).chain(api_key);
    names.map(|name| Key::new(&namespace, &name)).collect()
}

/// The Secret of a target.
pub fn key_of_target(object: &JiraCredential, target: &Target) -> Key {
    let own = object.metadata.namespace.as_deref();
    let namespace = target.namespace.as_deref().or(own);
    Key::new(namespace.unwrap_or_default(), &target.name)
}

/// The key of a credential in the index.
pub fn key_of(object: &impl ResourceExt) -> Key {
    Key::new(&object.namespace().unwrap_or_default(), &object.name_any())
}
