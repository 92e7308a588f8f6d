//! What the operator watches: credentials, and the metadata of Secrets.

mod secrets;

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt, stream};
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::cluster::{
    ClusterError, Key, LONGEST_SILENCE, Scope, WATCH_SECONDS, Watched, key_of, references, slim,
    was_silent,
};
use crate::controller::Operator;
use crate::controller::watch_health::Watches;

/// What a page leaves behind in the heap grows with its size, and an object may be 1.5 MB large: a
/// page is held in memory three times while it is read.
const PAGE: u32 = 8;

fn config() -> watcher::Config {
    watcher::Config::default()
        .timeout(WATCH_SECONDS)
        .page_size(PAGE)
}

/// What changes, from a list of everything on. After the API server was away, everything is listed again:
/// etcd may have been restored from a backup, and a watch from a version that does not exist yet hears
/// nothing of what happens before that version is reached again.
fn changes<K>(api: Api<K>) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let start = move || watcher(api.clone(), config()).default_backoff().boxed();
    let first = (start(), start, Relist::default());
    stream::unfold(first, async |(mut events, start, mut relist)| {
        let event = events.next().await?;
        if event.as_ref().is_err_and(was_away) {
            tokio::time::sleep(relist.wait()).await;
            events = start();
        }
        Some((event, (events, start, relist)))
    })
}

/// How long to wait before everything is listed again: lists may work where watches do not, and one list
/// after the other would be all that the API server does.
#[derive(Default)]
struct Relist {
    last: Option<Instant>,
    wait: Duration,
}

impl Relist {
    /// 1 s, doubling to a minute while one failure follows the other.
    fn wait(&mut self) -> Duration {
        let follows = self.last.is_some_and(|last| last.elapsed() < QUIET_FOR);
        self.wait = if follows {
            (self.wait * 2).min(Duration::from_secs(60))
        } else {
            Duration::from_secs(1)
        };
        self.last = Some(Instant::now());
        self.wait
    }
}

/// A watch that has held for this long works.
const QUIET_FOR: Duration = Duration::from_secs(300);

/// Whether a watch has shown something. The begin and the end of a list tell nothing of the watch.
fn is_change<K>(event: &Event<K>) -> bool {
    match event {
        Event::Apply(_) | Event::Delete(_) => true,
        Event::Init | Event::InitApply(_) | Event::InitDone => false,
    }
}

/// Whether the API server could not be reached when a watch was to go on.
fn was_away(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code >= 500,
        watcher::Error::WatchStartFailed(_) => true,
        _ => false,
    }
}

/// Why the API server refuses a watch or its list; `None` where it does not.
fn refusal(error: &watcher::Error) -> Option<String> {
    let (watcher::Error::InitialListFailed(kube::Error::Api(status))
    | watcher::Error::WatchStartFailed(kube::Error::Api(status))) = error
    else {
        return None;
    };
    match ClusterError::from(kube::Error::Api(status.clone())) {
        error @ ClusterError::Forbidden(_) => Some(error.to_string()),
        _ => None,
    }
}

/// The keys that a list of one scope has shown.
type Listed = HashSet<Key>;

/// An event of one scope as changes of a store that holds several.
fn as_changes(
    event: Event<Watched>,
    scope: &Scope,
    listed: &Listed,
    store: &Store<Watched>,
) -> Vec<Event<Watched>> {
    match event {
        Event::Init => Vec::new(),
        Event::InitApply(object) | Event::Apply(object) => vec![Event::Apply(object)],
        Event::Delete(object) => vec![Event::Delete(object)],
        Event::InitDone => {
            let all = store.state().into_iter();
            let gone = all.filter(|object| {
                let key = key_of(&**object);
                scope.covers(&key.namespace) && !listed.contains(&key)
            });
            gone.map(|object| Event::Delete(Watched::clone(&object)))
                .collect()
        }
    }
}

impl Operator {
    /// The credentials as they change, and a store of all of them.
    pub(super) fn watch_credentials(
        self: Arc<Self>,
    ) -> (
        Store<Watched>,
        impl Stream<Item = Result<Watched, watcher::Error>> + Send + 'static,
    ) {
        let (reader, writer) = reflector::store();
        // The store begins empty and is kept by changes alone: the list of one scope must not replace what
        // it holds of the others. What is complete, the index knows.
        let begin = stream::iter([Ok(Event::Init), Ok(Event::InitDone)]);
        let scopes = self.scopes.clone().into_iter();
        let changes =
            scopes.map(|scope| self.clone().credentials_of(scope, reader.clone()).boxed());
        let stream = begin
            .chain(stream::select_all(changes))
            .reflect(writer)
            .applied_objects();
        (reader, stream)
    }

    /// The credentials of one scope, as changes of the store.
    fn credentials_of(
        self: Arc<Self>,
        scope: Scope,
        reader: Store<Watched>,
    ) -> impl Stream<Item = watcher::Result<Event<Watched>>> + Send + 'static {
        let mut listed = Listed::new();
        let keep = self
            .membership
            .shard()
            .map(|shard| shard.selector().clone());
        changes(self.cluster.within_scope(&scope))
            .modify(move |object: &mut Watched| slim(object.meta_mut(), keep.as_ref()))
            .flat_map(move |event| {
                let changes = match event {
                    Ok(event) => {
                        if is_change(&event) {
                            self.credentials_watch.works(&scope);
                        }
                        let lists = matches!(event, Event::Init | Event::InitApply(_));
                        self.hear_of_credential(&event, &scope, &mut listed);
                        let changes = as_changes(event, &scope, &listed, &reader);
                        if !lists {
                            listed = Listed::new();
                        }
                        changes.into_iter().map(Ok).collect()
                    }
                    Err(error) => {
                        self.hear_of_failure(&self.credentials_watch, &scope, &error);
                        vec![Err(error)]
                    }
                };
                stream::iter(changes)
            })
    }

    fn hear_of_failure(&self, watches: &Watches, scope: &Scope, error: &watcher::Error) {
        let refusal = refusal(error);
        let cause = refusal.clone().unwrap_or_else(|| error.to_string());
        let namespace = scope.namespace();
        tracing::warn!(
            namespace,
            error = cause,
            "the watch on {} failed",
            watches.kind()
        );
        if refusal.is_some() {
            self.index.progress().refused(scope);
        }
        let now = self.clock.elapsed();
        let since = if was_silent(error) {
            now.saturating_sub(LONGEST_SILENCE)
        } else {
            now
        };
        watches.failed(scope, since..now, refusal);
    }

    fn hear_of_credential(&self, event: &Event<Watched>, scope: &Scope, listed: &mut Listed) {
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(object) | Event::Apply(object) => {
                let key = key_of(object);
                self.unreadable.note(&key, object.0.is_ok());
                let is_foreign = self
                    .membership
                    .note(&key, object.meta(), self.clock.elapsed());
                if is_foreign {
                    self.leave(&key);
                }
                if let Ok(object) = &object.0 {
                    self.wake_all(&self.index.refer(&key, references(object)));
                    self.hear_of_recorded_targets(object);
                    if !is_foreign {
                        self.passwords.note(object);
                        self.notify_of(object);
                    } else if self.passwords.note_elsewhere(object) {
                        // Its operator wakes only its own.
                        let uid = object.uid().unwrap_or_default();
                        self.wake_password_users(&key.namespace, &uid);
                    }
                }
                listed.insert(key);
            }
            Event::InitDone => self.hear_of_all_credentials(scope, listed),
            Event::Delete(object) => {
                self.forget(&key_of(object));
                let uid = object.uid().unwrap_or_default();
                self.passwords.forget(&uid, self.clock.now());
                self.untold.take(&uid);
            }
        }
    }

    /// The list of a scope is complete: what it has not shown is gone.
    fn hear_of_all_credentials(&self, scope: &Scope, listed: &Listed) {
        let is_gone = |key: &Key| scope.covers(&key.namespace) && !listed.contains(key);
        for key in self.index.referring(scope) {
            if is_gone(&key) {
                self.forget(&key);
            }
        }
        self.unreadable.keep(|key| !is_gone(key));
        let progress = self.index.progress();
        progress.references_known(scope);
        // Before, nobody knows whose password it is that none of the known credentials sent.
        if progress.has_references() {
            let all = self.store.get().map(Store::state).unwrap_or_default();
            let present = all.iter().filter(|object| !is_gone(&key_of(&***object)));
            let uids = present.filter_map(|object| object.uid()).collect();
            self.passwords.forget_others(&uids, self.clock.now());
        }
    }

    fn forget(&self, key: &Key) {
        self.wake_all(&self.index.refer(key, Vec::new()));
        self.unreadable.forget(key);
        self.membership.forget(key);
        self.notify_no_more_of(key);
        self.leave(key);
        let left = self.index.merged().of(key).len() + self.index.elsewhere().of(key).len();
        if left > 0 {
            self.orphaned.notify_one();
        }
    }

    /// Forgets what only the operator that serves a credential has to know of it.
    fn leave(&self, key: &Key) {
        self.written.forget(key);
        self.leave_notifications_of(key);
        self.acceptances.forget(key);
        self.retries.forget(key);
        self.denials.forget(key);
        self.restarts.forget(key);
        self.capacity.forget(key);
    }

    /// Has every credential of a scope looked at, if this process acts already.
    pub(super) fn wake_scope(&self, scope: &Scope) {
        if !self.is_serving() {
            return;
        }
        let all = self.store.get().map(Store::state).unwrap_or_default();
        let keys = all.iter().map(|object| key_of(&**object));
        let mine: Vec<Key> = keys.filter(|key| scope.covers(&key.namespace)).collect();
        self.wake_all(&mine);
    }

    pub(super) fn wake_all(&self, keys: &[Key]) {
        for key in keys {
            self.wake.wake(key);
        }
    }
}
