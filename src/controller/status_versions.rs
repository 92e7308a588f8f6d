//! The versions that our own writes of the status produced, until the watch has shown them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::ResourceExt;

use crate::api::JiraCredential;
use crate::cluster::{Key, key_of};

/// A watch that has not shown our own write after this time is not waited for any longer: etcd may
/// have been restored from a backup, and its versions start lower.
const LONGEST_LAG: Duration = Duration::from_secs(30);

/// The last version of each credential that this process wrote.
#[derive(Default)]
pub(super) struct StatusVersions(Mutex<HashMap<Key, Written>>);

/// A write that the watch has not shown yet.
struct Written {
    version: u64,
    /// When the watch was first seen behind it, or the object was last read instead.
    behind_since: Option<Duration>,
}

/// How the watch stands to our own last write of an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shown {
    /// It shows that write, or a later one.
    Current,
    /// It shows the object as it was before, and may follow.
    Behind,
    /// It has been behind for so long that the object itself is to be read.
    Doubtful,
}

impl StatusVersions {
    /// Records what a write of ours made of an object: the watch lags behind.
    pub(super) fn remember(&self, object: &JiraCredential) {
        if let Some(version) = version_of(object) {
            let behind_since = None;
            let written = Written {
                version,
                behind_since,
            };
            self.lock().insert(key_of(object), written);
        }
    }

    /// Compares what the watch shows with our own last write. `now` is monotonic.
    pub(super) fn compare(&self, object: &JiraCredential, now: Duration) -> Shown {
        let key = key_of(object);
        let mut all = self.lock();
        match (all.get_mut(&key), version_of(object)) {
            (Some(ours), Some(shown)) if shown < ours.version => {
                let since = *ours.behind_since.get_or_insert(now);
                if now.saturating_sub(since) < LONGEST_LAG {
                    return Shown::Behind;
                }
                ours.behind_since = Some(now);
                Shown::Doubtful
            }
            (Some(_), _) => {
                all.remove(&key);
                Shown::Current
            }
            (None, _) => Shown::Current,
        }
    }

    /// The object itself was read. If it is older than our own write, that write is gone, and nothing
    /// is left to wait for. Otherwise the watch lags, and goes on being waited for.
    pub(super) fn believe(&self, read: &JiraCredential) {
        let key = key_of(read);
        let mut all = self.lock();
        let ours = all.get(&key).map(|ours| ours.version);
        if version_of(read) < ours {
            all.remove(&key);
        }
    }

    /// Forgets a credential that is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Written>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The version of an object as a number; Kubernetes promises since 1.35 that versions of one
/// resource compare as such.
fn version_of(object: &JiraCredential) -> Option<u64> {
    object.resource_version()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(version: u64) -> JiraCredential {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
            "metadata": {"name": "bot", "namespace": "team",
                "resourceVersion": version.to_string()},
            "spec": {"site": "https://acme.atlassian.net", "auth": {}},
        }))
        .unwrap()
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_watch_that_lags_is_waited_for() {
        let versions = StatusVersions::default();
        versions.remember(&object(20));
        assert_eq!(versions.compare(&object(19), at(100)), Shown::Behind);
        assert_eq!(versions.compare(&object(19), at(129)), Shown::Behind);
        assert_eq!(versions.compare(&object(20), at(130)), Shown::Current);
        // What was shown once is not waited for again.
        assert_eq!(versions.compare(&object(19), at(131)), Shown::Current);
    }

    #[test]
    fn a_write_that_a_restored_etcd_has_lost_is_not_waited_for_for_ever() {
        let versions = StatusVersions::default();
        versions.remember(&object(2000));
        assert_eq!(versions.compare(&object(19), at(100)), Shown::Behind);
        assert_eq!(versions.compare(&object(19), at(130)), Shown::Doubtful);
        versions.believe(&object(19));
        assert_eq!(versions.compare(&object(19), at(131)), Shown::Current);
    }

    #[test]
    fn a_watch_that_hangs_is_replaced_by_a_read_now_and_then() {
        let versions = StatusVersions::default();
        versions.remember(&object(20));
        assert_eq!(versions.compare(&object(19), at(100)), Shown::Behind);
        assert_eq!(versions.compare(&object(19), at(130)), Shown::Doubtful);
        versions.believe(&object(21));
        assert_eq!(versions.compare(&object(19), at(135)), Shown::Behind);
        assert_eq!(versions.compare(&object(19), at(160)), Shown::Doubtful);
    }
}
