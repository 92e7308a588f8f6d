//! When Jira last accepted each credential. The status tells that at most once an hour, the process
//! knows it exactly.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use kube::ResourceExt;

use crate::api::{JiraCredential, JiraCredentialStatus};
use crate::cluster::{Key, key_of};

/// The last acceptance of each credential.
#[derive(Debug, Default)]
pub(crate) struct Acceptances(Mutex<HashMap<Key, Acceptance>>);

#[derive(Debug)]
struct Acceptance {
    uid: String,
    fingerprint: String,
    time: DateTime<Utc>,
}

impl Acceptances {
    /// Keeps what a status says, before it is known whether it will be written.
    pub(super) fn remember(&self, object: &JiraCredential, status: &JiraCredentialStatus) {
        let key = key_of(object);
        let known = status
            .validated_fingerprint
            .clone()
            .zip(status.last_validated_time);
        let Some((fingerprint, time)) = known else {
            self.lock().remove(&key);
            return;
        };
        let uid = object.uid().unwrap_or_default();
        let acceptance = Acceptance {
            uid,
            fingerprint,
            time,
        };
        self.lock().insert(key, acceptance);
    }

    /// When Jira last accepted what the status names as validated, by what is known here and what is
    /// recorded.
    pub(crate) fn last(&self, object: &JiraCredential) -> Option<DateTime<Utc>> {
        let status = object.status.as_ref()?;
        let recorded = status.last_validated_time?;
        let all = self.lock();
        let known = all
            .get(&key_of(object))
            .filter(|known| {
                Some(&known.uid) == object.metadata.uid.as_ref()
                    && Some(&known.fingerprint) == status.validated_fingerprint.as_ref()
            })
            .map(|known| known.time);
        Some(known.map_or(recorded, |known| known.max(recorded)))
    }

    /// The object with the exact time of its last acceptance.
    pub(super) fn complete<'a>(&self, object: Cow<'a, JiraCredential>) -> Cow<'a, JiraCredential> {
        let last = self.last(&object);
        let recorded = object.status.as_ref();
        let recorded = recorded.and_then(|status| status.last_validated_time);
        if last == recorded {
            return object;
        }
        let mut object = object.into_owned();
        if let Some(status) = &mut object.status {
            status.last_validated_time = last;
        }
        Cow::Owned(object)
    }

    /// Forgets a credential that is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Acceptance>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use kube::api::ObjectMeta;

    use super::*;
    use crate::api::JiraCredentialSpec;

    fn object(fingerprint: &str, recorded: DateTime<Utc>) -> JiraCredential {
        let spec: JiraCredentialSpec = serde_json::from_value(serde_json::json!({
            "site": "https://acme.atlassian.net",
            "auth": {"apiToken": {"email": "a@example.com", "tokenSecretRef": {"name": "a", "key": "token"}}}
        }))
        .unwrap();
        JiraCredential {
            metadata: ObjectMeta {
                name: Some("a".into()),
                namespace: Some("n".into()),
                uid: Some("u".into()),
                ..ObjectMeta::default()
            },
            spec,
            status: Some(JiraCredentialStatus {
                validated_fingerprint: Some(fingerprint.into()),
                last_validated_time: Some(recorded),
                ..JiraCredentialStatus::default()
            }),
        }
    }

    #[test]
    fn the_exact_time_counts_for_the_same_credential_only() {
        let recorded = DateTime::UNIX_EPOCH;
        let later = recorded + TimeDelta::minutes(15);
        let known = Acceptances::default();
        let first = object("one", recorded);
        known.remember(&first, object("one", later).status.as_ref().unwrap());
        assert_eq!(known.last(&first), Some(later));
        let completed = known.complete(Cow::Borrowed(&first)).into_owned();
        assert_eq!(completed.status.unwrap().last_validated_time, Some(later));

        assert_eq!(known.last(&object("two", recorded)), Some(recorded));
        let mut recreated = object("one", recorded);
        recreated.metadata.uid = Some("v".into());
        assert_eq!(known.last(&recreated), Some(recorded));

        // A record that was taken back is not brought back.
        let mut taken_back = object("one", recorded);
        taken_back.status.as_mut().unwrap().last_validated_time = None;
        assert_eq!(known.last(&taken_back), None);

        known.forget(&key_of(&first));
        assert_eq!(known.last(&first), Some(recorded));
    }
}
