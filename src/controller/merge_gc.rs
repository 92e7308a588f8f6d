//! Keys of credentials that are gone, in Secrets that somebody else made. The garbage collector removes whole
//! Secrets only.

use std::collections::HashSet;

use crate::cluster::{ClusterError, Key};
use crate::controller::Operator;
use crate::controller::act::report_removed;

impl Operator {
    /// Removes the keys of credentials that are gone from the Secrets that still let them write.
    pub async fn collect_merged(&self) {
        // One that refuses is asked once in a round.
        let mut failed = HashSet::new();
        for (secret, credential) in self.index.merged().all() {
            let namespace = &*secret.namespace;
            // Nobody knows what an object names that cannot be read.
            let known = self.knows_users_in(namespace) && !self.unreadable.is_in(namespace);
            // One that is there removes its keys itself.
            if !known || failed.contains(&secret) || self.index.refers(&credential) {
                continue;
            }
            if let Err(error) = self.remove_orphaned(&secret, &credential).await {
                let (shown, name) = (&*secret.name, &*credential.name);
                tracing::warn!(namespace, name, secret = shown, %error, "failed to remove the keys of a deleted credential; the operator retries");
                failed.insert(secret.clone());
            }
        }
    }

    async fn remove_orphaned(&self, secret: &Key, credential: &Key) -> Result<(), ClusterError> {
        let (namespace, name) = (&*secret.namespace, &*credential.name);
        // What this process has not been shown may be new.
        if self.cluster.credential(namespace, name).await?.is_some() {
            return Ok(());
        }
        // Of a credential that is gone, only the Secret tells what it wrote.
        let removed = self
            .cluster
            .unmerge(namespace, &secret.name, name, &[])
            .await?;
        report_removed(namespace, name, &secret.name, &removed);
        Ok(())
    }
}
