//! Which versions of a Secret hold the same contents, as far as this process has read them: a label
//! that somebody sets makes a new version and concerns nobody.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use crate::api::{CREDENTIAL_LABEL, GRANT_LABEL, SourceVersion};
use crate::cluster::key::Key;

/// What was read of Secrets. Nothing of the contents can be found out from it.
#[derive(Debug, Default)]
pub(super) struct Contents {
    hasher: RandomState,
    by_secret: Mutex<HashMap<Key, Content>>,
}

#[derive(Debug)]
struct Content {
    uid: String,
    hash: u64,
    /// The first version that was read with these contents, and the last.
    first: u64,
    last: u64,
}

impl Contents {
    /// Learns what was read. Returns whether an earlier version held the same.
    pub(super) fn learn(&self, key: &Key, secret: &Secret) -> bool {
        let version = secret.resource_version();
        let (Some(uid), Some(version)) = (secret.uid(), version.and_then(|text| text.parse().ok()))
        else {
            return false;
        };
        let hash = self.hash(secret);
        let mut contents = self.lock();
        if let Some(known) = contents.get_mut(key)
            && known.uid == uid
        {
            if version < known.last {
                return false;
            }
            let is_same = known.hash == hash;
            known.last = version;
            if !is_same {
                (known.hash, known.first) = (hash, version);
            }
            return is_same;
        }
        let content = Content {
            uid,
            hash,
            first: version,
            last: version,
        };
        contents.insert(key.clone(), content);
        false
    }

    /// Whether the version that the watch shows holds the same as the one that is recorded.
    pub(super) fn is_same(&self, key: &Key, recorded: &SourceVersion, shown: &str) -> bool {
        let (Ok(recorded_version), Ok(shown)) =
            (recorded.resource_version.parse(), shown.parse::<u64>())
        else {
            return false;
        };
        self.lock().get(key).is_some_and(|known| {
            known.uid == recorded.uid
                && known.last == shown
                && (known.first..=known.last).contains(&recorded_version)
        })
    }

    pub(super) fn knows(&self, key: &Key) -> bool {
        self.lock().contains_key(key)
    }

    pub(super) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// Everything that decides whether a Secret is read, and as what.
    fn hash(&self, secret: &Secret) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for (name, value) in secret.data.iter().flatten() {
            (name, &value.0).hash(&mut hasher);
        }
        let ours = [CREDENTIAL_LABEL, GRANT_LABEL];
        ours.map(|label| secret.labels().contains_key(label))
            .hash(&mut hasher);
        secret.type_.hash(&mut hasher);
        hasher.finish()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Content>> {
        self.by_secret
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secret(version: &str, value: &str, labels: &serde_json::Value) -> Secret {
        serde_json::from_value(json!({
            "metadata": {"uid": "u", "resourceVersion": version, "labels": labels},
            "data": {"token": value},
        }))
        .unwrap()
    }

    fn recorded(version: &str) -> SourceVersion {
        SourceVersion {
            name: "source".to_owned(),
            uid: "u".to_owned(),
            resource_version: version.to_owned(),
        }
    }

    #[test]
    fn versions_with_the_same_contents_are_told_from_others() {
        let (contents, key) = (Contents::default(), Key::new("team", "source"));
        let (none, label) = (json!({}), json!({"team": "payments"}));
        let ours = json!({CREDENTIAL_LABEL: "bot"});
        for (version, value, labels, same) in [
            ("5", "YQ==", &none, false),
            ("7", "YQ==", &label, true),
            ("6", "YQ==", &label, false),
            ("9", "YQ==", &none, true),
            ("11", "Yg==", &none, false),
            ("12", "Yg==", &ours, false),
        ] {
            let read = secret(version, value, labels);
            assert_eq!(contents.learn(&key, &read), same, "{version}");
            match version {
                "9" => {
                    assert!(contents.is_same(&key, &recorded("5"), "9"));
                    assert!(!contents.is_same(&key, &recorded("4"), "9"), "not read");
                    assert!(!contents.is_same(&key, &recorded("5"), "10"), "news");
                }
                "11" => assert!(!contents.is_same(&key, &recorded("9"), "11")),
                _ => {}
            }
        }
        contents.forget(&key);
        assert!(!contents.knows(&key));
    }
}
