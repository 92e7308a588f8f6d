//! Targets in other namespaces than that of their credential.
//!
//! The rights of the operator reach every namespace. That an author may publish into one is checked by the admission
//! policy alone, so nothing is written there unless the policy is known to be in force.

use std::sync::PoisonError;

use k8s_openapi::api::core::v1::Secret;
use kube::Resource;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::Store;

use crate::api::{JiraCredential, Target, TargetVersion};
use crate::cluster::{
    ClusterError, FoundElsewhere, Key, Known, key_of, key_of_target, owner_elsewhere,
};
use crate::controller::{Operator, SecretWatch};
use crate::core::apply::Answer;
use crate::core::decide::Publish;
use crate::core::facts::{Barrier, Facts, targets};

/// The targets of a credential that are in other namespaces.
fn targets_elsewhere(object: &JiraCredential) -> Vec<Target> {
    if object
        .spec
        .targets
        .iter()
        .all(|target| target.namespace.is_none())
    {
        return Vec::new();
    }
    let me = key_of(object);
    let mut targets = targets::targets(&object.spec, &me.namespace, &me.name);
    targets.retain(|target| target.namespace.is_some());
    targets
}

/// Whether anything depends on what a look at the policy has found. Until somebody has looked, claims from other
/// namespaces count.
fn is_news(before: Option<bool>, publishes: bool) -> bool {
    before.unwrap_or(true) != publishes
}

impl Operator {
    /// Whether the policy is in force that checks who may publish into other namespaces; `None`: nobody has looked.
    pub(super) fn publishes_elsewhere(&self) -> Option<bool> {
        let known = self.publishes_elsewhere.lock();
        *known.unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns whether that policy is in force, and has those looked at whom it concerns if that is news.
    pub(super) fn learn_of_elsewhere(&self, publishes: bool) {
        let known = self.publishes_elsewhere.lock();
        let before = known
            .unwrap_or_else(PoisonError::into_inner)
            .replace(publishes);
        if !is_news(before, publishes) {
            return;
        }
        for object in self.store.get().map(Store::state).unwrap_or_default() {
            if let Ok(object) = &object.0 {
                // Others may wait for the same Secret.
                for target in targets_elsewhere(object) {
                    let key = key_of_target(object, &target);
                    self.wake_all(&self.index.users(&key.namespace, &key.name));
                }
            }
        }
    }

    /// Whether any credential has a target in another namespace.
    pub(super) fn names_elsewhere(&self) -> bool {
        let all = self.store.get().map(Store::state);
        let all = all.unwrap_or_default();
        let readable = all.iter().filter_map(|object| object.0.as_ref().ok());
        readable
            .into_iter()
            .any(|object| !targets_elsewhere(object).is_empty())
    }

    /// Why nothing is written into the namespace of a target, as far as that is known.
    pub(super) fn barrier(&self, target: &Target) -> Option<Barrier> {
        let namespace = target.namespace.as_deref()?;
        if !self.watches(namespace) {
            return Some(Barrier::NotWatched);
        }
        if !self.index.progress().serves(namespace) {
            return Some(Barrier::NotListed);
        }
        (self.publishes_elsewhere() == Some(false)).then_some(Barrier::Policy)
    }

    /// Whether the operator is set up to watch a namespace.
    pub(super) fn watches(&self, namespace: &str) -> bool {
        self.scopes.iter().any(|scope| scope.covers(namespace))
    }

    /// Asks for what no list has shown: the Secrets of a namespace may be listed before the credentials of another.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub(super) async fn ask_elsewhere(&self, object: &JiraCredential) -> Result<(), ClusterError> {
        for target in targets_elsewhere(object) {
            let key = key_of_target(object, &target);
            let (namespace, name) = (&*key.namespace, &*key.name);
            let is_served = self.index.progress().serves(namespace);
            if !is_served || self.index.look(namespace, name) != Known::Unknown {
                continue;
            }
            match self.cluster.secret_metadata(namespace, name).await {
                Ok(found) => {
                    self.index
                        .asked(&key, found.as_ref().map(|found| &found.metadata));
                }
                // The write is refused as well, and says so.
                Err(error) if error.is_refusal() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Why a target is not written. Before a Secret is made in another namespace, the policy is read again:
    /// without it, its author may have been admitted a moment ago.
    pub(super) async fn barrier_now(
        &self,
        publish: &Publish,
        target: &Target,
    ) -> Result<Option<Barrier>, ClusterError> {
        let is_known = publish.holds.is_some() && self.publishes_elsewhere() == Some(true);
        if target.namespace.is_none() || is_known {
            return Ok(None);
        }
        let checks = match self.check_policy().await {
            // Who may not look does not know.
            Err(error) if error.is_refusal() => false,
            checks => checks?,
        };
        Ok((!checks).then_some(Barrier::Policy))
    }

    /// The watch or the list shows a Secret that may be of a credential in another namespace.
    pub(super) fn hear_of_elsewhere(&self, secret: &PartialObjectMeta<Secret>, uid: &str) {
        let owner = owner_elsewhere(secret.meta(), &self.key);
        let uid = uid.to_owned();
        let found = owner.map(|owner| FoundElsewhere { owner, uid });
        self.index.elsewhere().shown(key_of(secret), found);
    }

    /// Where Secrets are not watched, the status alone says which ones a credential has in other namespaces. They
    /// are looked at before anything is done with them.
    pub(super) fn hear_of_recorded_targets(&self, object: &JiraCredential) {
        // A watch shows who they belong to, and a status may be out of date.
        if self.config.watch_secrets != SecretWatch::None {
            return;
        }
        let recorded = object.status.iter().flat_map(|status| &status.targets);
        let written = recorded.filter(|target| target.hash.is_some());
        for target in written {
            let namespace = target.namespace.as_ref();
            if let Some(namespace) = namespace.filter(|namespace| self.watches(namespace)) {
                let found = FoundElsewhere {
                    owner: key_of(object),
                    uid: target.uid.clone(),
                };
                let key = Key::new(namespace, &target.name);
                self.index.elsewhere().shown(key, Some(found));
            }
        }
    }

    /// Records that the operator has written a Secret in another namespace.
    pub(super) fn wrote_elsewhere(&self, owner: Key, secret: Key, uid: String) {
        let found = FoundElsewhere { owner, uid };
        self.index.elsewhere().shown(secret, Some(found));
    }

    /// Gives up a surplus target in a namespace that is not served: the operator may have no rights there any more.
    pub(super) fn leave_target(
        &self,
        elsewhere: &str,
        old: &TargetVersion,
        facts: &Facts,
    ) -> Answer {
        let (namespace, name) = (&facts.object.namespace, &facts.object.name);
        let secret = old.path();
        tracing::warn!(
            namespace,
            name,
            secret,
            "a Secret that spec.targets no longer names stays: its namespace is not served"
        );
        self.index.elsewhere().gone(&Key::new(elsewhere, &old.name));
        Answer::TargetStays(secret, elsewhere.to_owned())
    }

    /// Deletes what credentials that are gone have left in other namespaces. The garbage collector does not: there
    /// are no owner references across namespaces.
    pub async fn collect_elsewhere(&self) {
        for (secret, owner) in self.index.elsewhere().all() {
            let home = &*owner.namespace;
            // Nobody knows what an object names that cannot be read.
            let known = self.knows_users_in(home) && !self.unreadable.is_in(home);
            // One that is there deletes its Secrets itself.
            if !known || self.index.refers(&owner) {
                continue;
            }
            match self.remove_left(&secret, &owner).await {
                Ok(true) => self.index.elsewhere().gone(&secret),
                Ok(false) => {}
                Err(error) => {
                    let (namespace, shown) = (&*secret.namespace, &*secret.name);
                    tracing::warn!(namespace, secret = shown, credential = %format!("{home}/{}", owner.name), %error, "failed to delete the Secret of a deleted credential of another namespace; the operator retries");
                }
            }
        }
    }

    /// Deletes what a credential has left, if a live look proves that it is gone and that the Secret is its own.
    /// Returns whether nothing is left to do.
    async fn remove_left(&self, secret: &Key, owner: &Key) -> Result<bool, ClusterError> {
        let (namespace, name) = (&*secret.namespace, &*secret.name);
        // What this process has not been shown may be new.
        let credential = self.cluster.credential(&owner.namespace, &owner.name);
        if credential.await?.is_some() {
            return Ok(false);
        }
        let Some(found) = self.cluster.secret_metadata(namespace, name).await? else {
            return Ok(true);
        };
        let metadata = found.metadata;
        if owner_elsewhere(&metadata, &self.key).as_ref() != Some(owner) {
            return Ok(true);
        }
        let uid = metadata.uid.unwrap_or_default();
        let version = metadata.resource_version.as_deref();
        let deleted = self
            .cluster
            .delete_version(namespace, name, &uid, version)
            .await;
        match deleted {
            Ok(()) => {
                let credential = format!("{}/{}", owner.namespace, owner.name);
                tracing::info!(
                    namespace,
                    secret = name,
                    credential,
                    "deleted the Secret of a deleted credential of another namespace"
                );
                Ok(true)
            }
            Err(ClusterError::NotFound) => Ok(true),
            // What it has become is looked at in the next round.
            Err(ClusterError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_news;

    #[test]
    fn who_yielded_to_a_claim_before_the_first_look_is_woken_if_it_counts_for_nothing() {
        for (before, publishes, expected) in [
            (None, true, false),
            (None, false, true),
            (Some(true), true, false),
            (Some(true), false, true),
            (Some(false), true, true),
            (Some(false), false, false),
        ] {
            assert_eq!(
                is_news(before, publishes),
                expected,
                "{before:?} {publishes}"
            );
        }
    }
}
