//! Keys in Secrets that somebody else made.

use crate::api::TargetVersion;
use crate::cluster::{Key, Merged, Publication, Removed};
use crate::controller::Operator;
use crate::controller::act::error::ActError;
use crate::core::apply::Answer;
use crate::core::decide::Publish;
use crate::core::facts::Facts;

impl Operator {
    /// Writes the keys of a target, if they are not there.
    pub(super) async fn merge(
        &self,
        publish: &Publish,
        facts: &Facts,
        publication: &Publication<'_>,
    ) -> Result<Answer, ActError> {
        let index = publish.index;
        let merged = self.cluster.merge(publication).await;
        let (namespace, name) = (&facts.object.namespace, &facts.object.name);
        if let Ok(
            Merged::Held(version)
            | Merged::Written { version, .. }
            | Merged::Blocked(Some(version)),
        ) = &merged
        {
            self.learn(namespace, version);
        }
        match merged {
            Ok(Merged::Held(version)) => Ok(Answer::TargetWritten(index, version)),
            Ok(Merged::Written { version, freed }) => {
                // Our own write is not news on the watch.
                let users = self.index.users(namespace, &version.name);
                let me = Key::new(namespace, name);
                for user in users.iter().filter(|user| freed && **user != me) {
                    self.wake.wake(user);
                }
                Ok(Answer::TargetWritten(index, version))
            }
            Ok(Merged::Blocked(found)) => Ok(Answer::TargetNotMerged(index, found)),
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
        let removed = self.cluster.unmerge(namespace, &old.name, name).await?;
        report_removed(namespace, name, &old.name, removed);
        Ok(Answer::TargetDeleted(old.name.clone()))
    }
}

/// One line of log for keys that were removed, or stay.
pub(in crate::controller) fn report_removed(
    namespace: &str,
    name: &str,
    secret: &str,
    removed: Removed,
) {
    match removed {
        Removed::Gone => {
            tracing::info!(namespace, name, secret, "removed the keys of a credential");
        }
        Removed::NotAllowed => tracing::warn!(
            namespace,
            name,
            secret,
            "the keys of a credential stay: the Secret does not let the operator write any more"
        ),
    }
}
