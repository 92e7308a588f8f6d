//! Keys in Secrets that somebody else made.

use chrono::{DateTime, Utc};

use crate::api::{Reason, TargetVersion};
use crate::cluster::{ClusterError, Key, Merged, Publication, Removed};
use crate::controller::Operator;
use crate::controller::act::error::ActError;
use crate::core::apply::Answer;
use crate::core::decide::Publish;
use crate::core::facts::{Facts, KeysStay, Repair, repair};

impl Operator {
    /// Writes the keys of a target, if they are not there.
    pub(super) async fn merge(
        &self,
        publish: &Publish,
        facts: &Facts,
        publication: &Publication<'_>,
    ) -> Result<Answer, ActError> {
        let index = publish.index;
        let recorded = facts.recorded(publication.target);
        let repair = repair(recorded, publication.digest, facts.now);
        let merged = self.cluster.merge(publication, repair).await;
        let (namespace, name) = (&facts.object.namespace, &facts.object.name);
        if let Ok(merged) = &merged {
            for user in self.index.learn_merge(&Key::new(namespace, name), merged) {
                self.wake.wake(&user);
            }
        }
        match merged {
            Ok(Merged::Held(version)) => {
                let version = with_history(version, recorded, None, facts.now);
                Ok(Answer::TargetWritten(index, version))
            }
            Ok(Merged::Written { version, .. }) => {
                let version = with_history(version, recorded, Some(repair), facts.now);
                Ok(Answer::TargetWritten(index, version))
            }
            Ok(Merged::Blocked(found)) => {
                let found = found.map(|found| blocked(found, recorded));
                Ok(Answer::TargetNotMerged(index, found))
            }
            // The rest of the pass does not wait for others.
            Err(ClusterError::Conflict) => {
                let cause = "other clients change the Secret all the time".to_owned();
                Ok(Answer::TargetRefused(index, cause))
            }
            Err(error) if error.is_refusal() => Ok(Answer::TargetRefused(index, error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the keys of a target that the spec no longer names.
    pub(super) async fn remove_keys(
        &self,
        old: &TargetVersion,
        facts: &Facts,
    ) -> Result<Answer, ActError> {
        let (namespace, name) = (&facts.object.namespace, &facts.object.name);
        let wrote = old.merge.as_ref().map(|merge| merge.keys.as_slice());
        let removed = self
            .cluster
            .unmerge(namespace, &old.name, name, wrote.unwrap_or_default())
            .await?;
        report_removed(namespace, name, &old.name, &removed);
        let (reason, keys) = match removed {
            Removed::Gone => return Ok(Answer::TargetDeleted(old.name.clone())),
            Removed::NotAllowed(keys) => (Reason::MergeNotAllowed, keys),
            Removed::Left(keys) => (Reason::MergeConflict, keys),
        };
        Ok(Answer::KeysStay(KeysStay {
            secret: old.name.clone(),
            keys,
            reason,
        }))
    }
}

/// A target that holds its keys, and how often they were written again in a row; `wrote`: by this write.
fn with_history(
    mut version: TargetVersion,
    recorded: Option<&TargetVersion>,
    wrote: Option<Repair>,
    now: DateTime<Utc>,
) -> TargetVersion {
    let Some(merge) = &mut version.merge else {
        return version;
    };
    let before = recorded.and_then(|old| old.merge.as_ref());
    (merge.repairs, merge.repaired_time) = match wrote {
        Some(Repair::Counted(count)) => (Some(count), Some(now)),
        Some(Repair::New | Repair::NotBefore(_)) => (None, None),
        None => before.map_or((None, None), |old| (old.repairs, old.repaired_time)),
    };
    version
}

/// A target that does not hold its keys, and what is known of them from before.
fn blocked(mut found: TargetVersion, recorded: Option<&TargetVersion>) -> TargetVersion {
    let before = recorded.and_then(|old| old.merge.as_ref());
    if let Some((merge, before)) = found.merge.as_mut().zip(before) {
        // What was written before may still be there.
        merge.keys.clone_from(&before.keys);
        (merge.repairs, merge.repaired_time) = (before.repairs, before.repaired_time);
    }
    found
}

/// One line of log for keys that were removed, or stay.
pub(in crate::controller) fn report_removed(
    namespace: &str,
    name: &str,
    secret: &str,
    removed: &Removed,
) {
    match removed {
        Removed::Gone => {
            tracing::info!(
                namespace,
                name,
                secret,
                "no key of a credential is left in a Secret of somebody else"
            );
        }
        Removed::NotAllowed(keys) => tracing::warn!(
            namespace,
            name,
            secret,
            keys = keys.join(" "),
            "the keys of a credential stay: the Secret does not let the operator write any more"
        ),
        Removed::Left(keys) => tracing::warn!(
            namespace,
            name,
            secret,
            keys = keys.join(" "),
            "the keys of a credential stay: other clients manage them, too, or the Secret does not say who wrote them"
        ),
    }
}
