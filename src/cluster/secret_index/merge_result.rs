//! What the index learns from a look at a Secret of somebody else, or from a write of keys into it.

use crate::api::TargetVersion;
use crate::cluster::key::Key;
use crate::cluster::merge::Merged;
use crate::cluster::secret_index::{Known, VersionIndex};

impl VersionIndex {
    /// Learns what a look at a Secret of somebody else has shown, or what a write has made of it. Returns the
    /// other credentials that have to look, since the watch will not tell them.
    pub fn learn_merge(&self, me: &Key, merged: &Merged) -> Vec<Key> {
        let known = |version: &TargetVersion, resource_version: &str| Known::Present {
            uid: version.uid.clone(),
            resource_version: resource_version.to_owned(),
        };
        let namespace = &me.namespace;
        match merged {
            // What another client wrote stays news for the others.
            Merged::Held(version) | Merged::Blocked(Some(version)) => {
                let seen = known(version, &version.resource_version);
                self.learn_from_read(namespace, &version.name, seen);
                Vec::new()
            }
            Merged::Blocked(None) => Vec::new(),
            Merged::Written {
                version,
                over,
                freed,
            } => {
                let (before, now) = (
                    known(version, over),
                    known(version, &version.resource_version),
                );
                let shown = self.look(namespace, &version.name);
                let told = shown == before || shown == now;
                self.learn_from_write(namespace, &version.name, now);
                let users = self.users(namespace, &version.name).into_iter();
                let others = users.filter(|user| (*freed || !told) && user != me);
                others.collect()
            }
        }
    }
}
