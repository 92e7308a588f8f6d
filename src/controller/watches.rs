//! What the operator watches: credentials, and the metadata of Secrets.

use std::collections::HashSet;
use std::sync::Arc;

use futures::channel::mpsc::UnboundedSender;
use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource, ResourceExt};

use crate::cluster::{
    Key, OwnedSecret, Watched, controller_of, key_of, references, seen_grant, slim,
};
use crate::controller::Operator;

type Wake = UnboundedSender<ObjectRef<Watched>>;

/// Load balancers drop a connection that is quiet for 240 s without a word; a watch ends earlier.
const WATCH_SECONDS: u32 = 200;

/// What a page leaves behind in the heap grows with its size, and an object may be 1.5 MB large: a
/// page is held in memory three times while it is read.
const PAGE: u32 = 20;

fn config() -> watcher::Config {
    watcher::Config::default()
        .timeout(WATCH_SECONDS)
        .page_size(PAGE)
}

impl Operator {
    /// The credentials as they change, and a store of all of them.
    pub(super) fn watch_credentials(
        self: Arc<Self>,
        wake: Wake,
    ) -> (
        Store<Watched>,
        impl Stream<Item = Result<Watched, watcher::Error>> + Send + 'static,
    ) {
        let (reader, writer) = reflector::store();
        let api: Api<Watched> = self.watched();
        let mut listed: HashSet<Key> = HashSet::new();
        let stream = watcher(api, config())
            .default_backoff()
            .modify(|object| slim(object.meta_mut()))
            .inspect_err(|error| tracing::warn!(%error, "the watch on JiraCredentials failed"))
            .inspect_ok(move |event| self.hear_of_credential(event, &mut listed, &wake))
            .reflect(writer)
            .applied_objects();
        (reader, stream)
    }

    fn watched<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match &self.config.watch_namespace {
            Some(namespace) => Api::namespaced(self.cluster.client(), namespace),
            None => Api::all(self.cluster.client()),
        }
    }

    fn hear_of_credential(&self, event: &Event<Watched>, listed: &mut HashSet<Key>, wake: &Wake) {
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(object) | Event::Apply(object) => {
                let key = key_of(object);
                if let Ok(object) = &object.0 {
                    let names = references(object);
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    send(wake, self.index.refer(&key, &names));
                    self.passwords.note(object);
                }
                listed.insert(key);
            }
            Event::InitDone => {
                for key in self.index.referring() {
                    if !listed.contains(&key) {
                        self.forget(&key, wake);
                    }
                }
                listed.clear();
                self.index.references_known();
            }
            Event::Delete(object) => {
                self.forget(&key_of(object), wake);
                let uid = object.uid().unwrap_or_default();
                self.passwords.forget(&uid, self.clock.now());
            }
        }
    }

    fn forget(&self, key: &Key, wake: &Wake) {
        send(wake, self.index.refer(key, &[]));
        self.written.forget(key);
    }

    /// Follows the metadata of all Secrets; keeps versions of those that are referred to.
    pub(super) async fn watch_secrets(self: Arc<Self>, wake: Wake) {
        // Before the credentials are known, no reference is known either.
        self.index.references().await;
        let api: Api<PartialObjectMeta<Secret>> = self.watched();
        let mut events = watcher(api, config()).default_backoff().boxed();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => send(&wake, self.hear_of_secret(event)),
                Err(error) => tracing::warn!(%error, "the watch on Secrets failed"),
            }
        }
    }

    fn hear_of_secret(&self, event: Event<PartialObjectMeta<Secret>>) -> Vec<Key> {
        match event {
            Event::Init => {
                self.index.list_begins();
                Vec::new()
            }
            Event::InitApply(secret) => {
                let stray = self.hear_of_stray(&secret);
                let mut concerned = self.hear_of_secret(Event::Apply(secret));
                concerned.extend(stray);
                concerned
            }
            Event::Apply(secret) => {
                if let Some(seen) = seen_grant(secret.meta()) {
                    self.index.grant_shown(key_of(&secret), seen);
                }
                let uid = secret.uid().unwrap_or_default();
                let version = secret.resource_version().unwrap_or_default();
                self.index.shown(key_of(&secret), uid, version)
            }
            Event::InitDone => self.index.list_ends(),
            Event::Delete(secret) => self
                .index
                .gone(&key_of(&secret), &secret.uid().unwrap_or_default()),
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

fn send(wake: &Wake, keys: Vec<Key>) {
    for key in keys {
        // The receiver goes at shutdown only.
        let _ = wake.unbounded_send(ObjectRef::new(&key.name).within(&key.namespace));
    }
}
