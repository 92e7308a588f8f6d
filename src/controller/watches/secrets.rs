//! The watch on the metadata of Secrets.

use std::collections::HashSet;
use std::sync::{Arc, MutexGuard, PoisonError};

use futures::{StreamExt, future};
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use kube::{Api, Resource, ResourceExt};

use super::{changes, is_change};
use crate::cluster::{
    Key, OwnedSecret, Scope, controller_of, key_of, key_of_target, merged_into, seen_grant,
};
use crate::controller::Operator;
use crate::core::facts::targets::targets;

impl Operator {
    /// Follows the metadata of all Secrets; keeps versions of those that are referred to.
    pub(in crate::controller) async fn watch_secrets(self: Arc<Self>) {
        let scopes = self.scopes.iter();
        let watches = scopes.map(|scope| self.watch_secrets_of(scope));
        future::join_all(watches).await;
    }

    async fn watch_secrets_of(self: &Arc<Self>, scope: &Scope) {
        // Before the credentials are known, no reference is known either.
        self.index.progress().references(scope).await;
        let api: Api<PartialObjectMeta<Secret>> = self.cluster.within_scope(scope);
        let mut events = changes(api).boxed();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    if is_change(&event) {
                        self.secrets_watch.works(scope);
                    }
                    self.hear_of_secrets(event, scope);
                }
                Err(error) => self.hear_of_failure(&self.secrets_watch, scope, &error),
            }
        }
    }

    fn hear_of_secrets(self: &Arc<Self>, event: Event<PartialObjectMeta<Secret>>, scope: &Scope) {
        let changed = match &event {
            Event::Apply(secret) | Event::InitApply(secret) => Some(key_of(secret)),
            Event::Init | Event::InitDone | Event::Delete(_) => None,
        };
        let concerned = self.hear_of_secret(event, scope);
        match changed {
            Some(key) if concerned.len() > 1 && self.index.knows_content(&key) => {
                if self.compared().insert(key.clone()) {
                    tokio::spawn(Arc::clone(self).compare(key));
                }
            }
            Some(_) | None => self.wake_all(&concerned),
        }
    }

    /// Reads a Secret that many credentials use once for all, and wakes them only if it holds
    /// something else.
    async fn compare(self: Arc<Self>, key: Key) {
        let slot = self.capacity.slot(&key.namespace).await;
        // What changes from now on is another change.
        self.compared().remove(&key);
        let found = self.cluster.secret(&key.namespace, &key.name).await;
        drop(slot);
        let is_same = match &found {
            Ok(Some(secret)) if self.index.knows_content(&key) => {
                self.index.learn_content(&key, secret);
                self.index.is_settled(&key)
            }
            Ok(_) | Err(_) => false,
        };
        let users = self.index.users(&key.namespace, &key.name);
        for user in users {
            if !is_same || self.is_target_of(&key, &user) {
                self.wake.wake(&user);
            }
        }
    }

    fn is_target_of(&self, secret: &Key, user: &Key) -> bool {
        let object = ObjectRef::new(&user.name).within(&user.namespace);
        let object = self.store.get().and_then(|store| store.get(&object));
        object.is_none_or(|object| match &object.0 {
            Ok(object) => targets(&object.spec, &user.namespace, &user.name)
                .iter()
                .any(|target| key_of_target(object, target) == *secret),
            Err(_) => true,
        })
    }

    fn compared(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.compared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear_of_secret(&self, event: Event<PartialObjectMeta<Secret>>, scope: &Scope) -> Vec<Key> {
        match event {
            Event::Init => {
                self.index.list_begins(scope);
                self.index.merged().list_begins(scope);
                self.index.elsewhere().list_begins(scope);
                Vec::new()
            }
            Event::InitApply(secret) => {
                let stray = self.hear_of_stray(&secret);
                let mut concerned = self.hear_of_secret(Event::Apply(secret), scope);
                concerned.extend(stray);
                concerned
            }
            Event::Apply(secret) => {
                if let Some(seen) = seen_grant(secret.meta()) {
                    self.index.grant_shown(key_of(&secret), seen);
                }
                let merged = merged_into(secret.meta());
                self.index.merged().shown(key_of(&secret), merged);
                let uid = secret.uid().unwrap_or_default();
                self.hear_of_elsewhere(&secret, &uid);
                let version = secret.resource_version().unwrap_or_default();
                self.index.shown(key_of(&secret), uid, version)
            }
            Event::InitDone => {
                let (concerned, is_first) = self.index.list_ends(scope);
                if is_first {
                    // The credentials of this scope that are known already have waited for it.
                    self.wake_scope(scope);
                }
                concerned
            }
            Event::Delete(secret) => {
                let key = key_of(&secret);
                self.index.merged().gone(&key);
                self.index.elsewhere().gone(&key);
                self.index.gone(&key, &secret.uid().unwrap_or_default())
            }
        }
    }

    /// What an earlier process wrote without writing it down is seen in a list at the latest.
    fn hear_of_stray(&self, secret: &PartialObjectMeta<Secret>) -> Option<Key> {
        let owner = controller_of(secret.meta())?;
        let namespace = secret.namespace()?;
        let stray = OwnedSecret {
            owner: owner.uid.clone(),
            name: secret.name_any(),
            uid: secret.uid()?,
            resource_version: secret.resource_version()?,
        };
        let found = self.index.found(&namespace, stray);
        found.then(|| Key::new(&namespace, &owner.name))
    }
}
