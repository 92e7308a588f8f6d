//! Which versions of a Secret hold the same contents, as far as this process has read them: a label
//! that somebody sets makes a new version and concerns nobody.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use crate::api::{CREDENTIAL_LABEL, GRANT_LABEL, MERGE_ANNOTATION, SOURCE_LABEL, SourceVersion};
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
    /// Whether something else was read since the users were woken.
    changed: bool,
}

impl Contents {
    /// Learns what was read.
    pub(super) fn learn(&self, key: &Key, secret: &Secret) {
        let version = secret.resource_version();
        let (Some(uid), Some(version)) = (secret.uid(), version.and_then(|text| text.parse().ok()))
        else {
            return;
        };
        let hash = self.hash(secret);
        let mut contents = self.lock();
        if let Some(known) = contents.get_mut(key)
            && known.uid == uid
        {
            let is_same = known.hash == hash;
            known.changed |= !is_same;
            if version >= known.last {
                known.last = version;
                if !is_same {
                    (known.hash, known.first) = (hash, version);
                }
            } else if !is_same {
                // A late answer: what came before it is not the same as what is known.
                known.first = known.first.max(version + 1);
            }
            return;
        }
        let content = Content {
            uid,
            hash,
            first: version,
            last: version,
            changed: false,
        };
        contents.insert(key.clone(), content);
    }

    /// Whether nothing else was read since this was asked last.
    pub(super) fn is_settled(&self, key: &Key) -> bool {
        let mut contents = self.lock();
        let known = contents.get_mut(key);
        known.is_some_and(|known| !std::mem::take(&mut known.changed))
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
        secret.labels().get(SOURCE_LABEL).hash(&mut hasher);
        secret
            .annotations()
            .contains_key(MERGE_ANNOTATION)
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
    fn a_secret_that_lets_others_write_is_another_one() {
        let (contents, key) = (Contents::default(), Key::new("team", "source"));
        let mut read = secret("5", "YQ==", &json!({}));
        contents.learn(&key, &read);
        assert!(contents.is_settled(&key));
        read.metadata.resource_version = Some("6".to_owned());
        let open = (MERGE_ANNOTATION.to_owned(), "bot".to_owned());
        read.metadata.annotations = Some([open].into());
        contents.learn(&key, &read);
        assert!(!contents.is_settled(&key));
    }

    #[test]
    fn versions_with_the_same_contents_are_told_from_others() {
        let (contents, key) = (Contents::default(), Key::new("team", "source"));
        let (none, label) = (json!({}), json!({"team": "payments"}));
        let ours = json!({CREDENTIAL_LABEL: "bot"});
        for (version, value, labels, same) in [
            ("5", "YQ==", &none, true),
            ("7", "YQ==", &label, true),
            ("6", "YQ==", &label, true),
            ("9", "YQ==", &none, true),
            ("11", "Yg==", &none, false),
            ("12", "Yg==", &ours, false),
        ] {
            let read = secret(version, value, labels);
            contents.learn(&key, &read);
            assert_eq!(contents.is_settled(&key), same, "{version}");
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
        // Who read first does not keep the others from being woken, nor does a late answer.
        contents.learn(&key, &secret("13", "Yw==", &none));
        contents.learn(&key, &secret("13", "Yw==", &none));
        assert!(!contents.is_settled(&key) && contents.is_settled(&key));
        contents.learn(&key, &secret("15", "Yw==", &none));
        contents.learn(&key, &secret("14", "ZA==", &none));
        assert!(!contents.is_settled(&key));
        assert!(!contents.is_same(&key, &recorded("14"), "15"));
        contents.forget(&key);
        assert!(!contents.knows(&key));
    }
}
