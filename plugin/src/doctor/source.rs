//! What a spec reads from Secrets and `ConfigMap`s: whether every key has a value. Values themselves are
//! dropped at once.

use std::collections::BTreeMap;
use std::fmt;

use jira_credential_operator::api::{JiraCredential, JiraCredentialSpec, Method};
use jira_credential_operator::core::spec::text_values;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, ResourceExt};

use crate::connect::{Cluster, failed, timed_out};
use crate::doctor::finding::{Finding, Level};
use crate::failure::Failure;

/// The keys of the Secret of OAuth 1.0a: the key that signs, and one that not every Jira gives.
const PRIVATE_KEY: &str = "privateKey";
const TOKEN_SECRET: &str = "tokenSecret";

/// Where a value is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Secret,
    ConfigMap,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        })
    }
}

/// An object, and a key in it.
#[derive(Debug, Eq, PartialEq)]
struct Source {
    kind: Kind,
    name: String,
    key: String,
}

/// What was read of an object.
enum Read {
    /// It may be read: the lengths of its values by their keys.
    Keys(BTreeMap<String, usize>),
    /// There is none.
    Missing,
    /// It may not be read, or not now.
    Unknown(String),
}

/// Looks at everything that the spec of a credential reads.
///
/// # Errors
/// When the time of a request runs out.
pub async fn examine(
    cluster: &Cluster,
    about: &str,
    object: &JiraCredential,
) -> Result<Vec<Finding>, Failure> {
    let namespace = object.namespace().unwrap_or_default();
    let mut findings = Vec::new();
    let mut seen: BTreeMap<(Kind, String), Read> = BTreeMap::new();
    for source in sources(&object.spec) {
        let place = (source.kind, source.name.clone());
        if !seen.contains_key(&place) {
            let read = read(cluster, &namespace, &source).await?;
            seen.insert(place.clone(), read);
        }
        let found = seen
            .get(&place)
            .and_then(|read| judge(about, &source, read));
        findings.extend(found);
    }
    Ok(findings)
}

/// Every value that a spec needs.
fn sources(spec: &JiraCredentialSpec) -> Vec<Source> {
    let secret = |name: String, key: String| Source {
        kind: Kind::Secret,
        name,
        key,
    };
    let mut values = text_values(spec);
    // The credential works without the look-up; the operator reports what is wrong with that.
    let lookup = spec.expiry_lookup.as_ref();
    values.retain(|value| lookup.is_none_or(|lookup| *value != lookup.api_key_secret_ref));
    let mut sources = Vec::new();
    if let Some(Method::OAuth1(oauth1)) = spec.auth.method() {
        values.retain(|value| value.key != TOKEN_SECRET);
        let name = oauth1.secret_ref.name.clone();
        sources.push(secret(name, PRIVATE_KEY.to_owned()));
    }
    let authority = spec.tls.as_ref().and_then(|tls| tls.ca_secret_ref.clone());
    let values = values.into_iter().chain(authority);
    sources.extend(values.map(|value| secret(value.name, value.key)));
    let public = spec.tls.as_ref();
    let public = public.and_then(|tls| tls.ca_config_map_ref.clone());
    sources.extend(public.map(|authority| Source {
        kind: Kind::ConfigMap,
        name: authority.name,
        key: authority.key,
    }));
    sources
}

async fn read(cluster: &Cluster, namespace: &str, source: &Source) -> Result<Read, Failure> {
    let (client, name) = (cluster.client.clone(), &source.name);
    let what = format!("read the {} {name}", source.kind);
    let answer = match source.kind {
        Kind::Secret => {
            let api: Api<Secret> = Api::namespaced(client, namespace);
            let secret = cluster.within(api.get_opt(name)).await;
            secret.map(|answer| answer.map(|found| found.map(|secret| lengths(secret.data))))
        }
        Kind::ConfigMap => {
            let api: Api<ConfigMap> = Api::namespaced(client, namespace);
            let map = cluster.within(api.get_opt(name)).await;
            map.map(|answer| answer.map(|found| found.map(of_config_map)))
        }
    };
    Ok(match answer.ok_or_else(|| timed_out(&what))? {
        Ok(Some(keys)) => Read::Keys(keys),
        Ok(None) => Read::Missing,
        Err(error) => Read::Unknown(failed(&what, &error).message),
    })
}

fn lengths(data: Option<BTreeMap<String, ByteString>>) -> BTreeMap<String, usize> {
    let data = data.unwrap_or_default().into_iter();
    data.map(|(key, value)| (key, value.0.len())).collect()
}

fn of_config_map(map: ConfigMap) -> BTreeMap<String, usize> {
    let texts = map.data.unwrap_or_default().into_iter();
    let mut keys = lengths(map.binary_data);
    keys.extend(texts.map(|(key, value)| (key, value.len())));
    keys
}

fn judge(about: &str, source: &Source, read: &Read) -> Option<Finding> {
    let Source { kind, name, key } = source;
    let bad = |message: String, next: String| Some(Finding::new(Level::Bad, about, message, next));
    match read {
        Read::Keys(keys) => match keys.get(key) {
            Some(0) => bad(
                format!("the key {key} of the {kind} {name} is empty"),
                format!("store the value in the key {key}; for a token, with rotate"),
            ),
            Some(_) => None,
            None => bad(
                format!("the {kind} {name} has no key {key}"),
                "add the key, or correct the reference in spec".to_owned(),
            ),
        },
        Read::Missing => bad(
            format!("the {kind} {name} does not exist"),
            format!(
                "create the {kind} {name} with the key {key}, or correct the reference in spec"
            ),
        ),
        Read::Unknown(cause) => Some(Finding::new(
            Level::Unknown,
            about,
            format!("whether the key {key} of the {kind} {name} has a value is not known: {cause}"),
            format!(
                "see what the operator reports: kubectl jira-credential status {}",
                with_namespace(about)
            ),
        )),
    }
}

/// `NAMESPACE/NAME` as arguments.
fn with_namespace(about: &str) -> String {
    about
        .split_once('/')
        .map_or_else(String::new, |(namespace, name)| {
            format!("{name} -n {namespace}")
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn every_value_that_a_spec_needs_is_looked_at() {
        let token = json!({"name": "s", "key": "t"});
        for (auth, tls, expected) in [
            (
                json!({"personalAccessToken": {"tokenSecretRef": token}}),
                Value::Null,
                vec!["Secret s t"],
            ),
            (
                json!({"personalAccessToken": {"tokenSecretRef": token}}),
                json!({"caConfigMapRef": {"name": "ca", "key": "pem"}}),
                vec!["Secret s t", "ConfigMap ca pem"],
            ),
            (
                json!({"oauth1": {"consumerKey": "c", "secretRef": {"name": "o"}}}),
                json!({"caSecretRef": {"name": "ca", "key": "pem"}}),
                vec!["Secret o privateKey", "Secret o token", "Secret ca pem"],
            ),
        ] {
            let mut spec = json!({"site": "https://jira.example.com", "auth": auth});
            if !tls.is_null() {
                spec["tls"] = tls;
            }
            let spec: JiraCredentialSpec = serde_json::from_value(spec).unwrap();
            let found = sources(&spec);
            let found: Vec<_> = found
                .iter()
                .map(|one| format!("{} {} {}", one.kind, one.name, one.key))
                .collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_key_without_a_value_is_bad_and_an_unread_one_unknown() {
        let source = Source {
            kind: Kind::Secret,
            name: "s".into(),
            key: "token".into(),
        };
        let keys = |length| Read::Keys(BTreeMap::from([("token".to_owned(), length)]));
        for (read, level) in [
            (keys(7), None),
            (keys(0), Some(Level::Bad)),
            (Read::Keys(BTreeMap::new()), Some(Level::Bad)),
            (Read::Missing, Some(Level::Bad)),
            (Read::Unknown("no".into()), Some(Level::Unknown)),
        ] {
            assert_eq!(judge("b", &source, &read).map(|one| one.level), level);
        }
    }

    #[test]
    fn texts_and_bytes_of_a_config_map_count() {
        let map: ConfigMap = serde_json::from_value(json!({
            "data": {"a": "xy"}, "binaryData": {"b": "eHl6"},
        }))
        .unwrap();
        let expected = BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 3)]);
        assert_eq!(of_config_map(map), expected);
    }
}
