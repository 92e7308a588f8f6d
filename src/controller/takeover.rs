//! From standby to leader: what a process has to learn before it acts for the first time.
//!
//! A standby watches like a leader, so that its lists, versions and references are those of the present. What
//! it lacks is what its predecessor knew and no watch shows in time: which passwords were refused or
//! are in doubt. That is read again, because a password is sent once.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use kube::ResourceExt;

use crate::api::{AttemptOutcome, JiraCredential, Method};
use crate::cluster::{ClusterError, Key, Scope, key_of};
use crate::controller::Operator;

/// How often it is tried to learn what the predecessor knew.
const RETRY: Duration = Duration::from_secs(1);

/// How often that is tried in a namespace where the right is missing: a person grants it.
const RETRY_REFUSED: Duration = Duration::from_secs(10);

impl Operator {
    /// Whether this process acts: everything that may be is listed, it leads, and it knows what its
    /// predecessor knew.
    pub(super) fn is_serving(&self) -> bool {
        self.serving.is_cancelled() && self.config.leadership.leads()
    }

    /// Whether this process acts, and knows what a namespace holds.
    pub(super) fn acts_in(&self, namespace: &str) -> bool {
        self.is_serving() && self.index.progress().serves(namespace)
    }

    /// Waits until this process acts.
    pub(super) async fn serving(&self) {
        self.serving.cancelled().await;
    }

    /// Since when this process is responsible for what its watches show.
    pub(super) fn watched_since(&self) -> Option<DateTime<Utc>> {
        self.watched_since.get().copied()
    }

    /// Waits until everything that may be is listed and this process leads, and has it act from then on.
    pub(super) async fn serve_when_elected(self: Arc<Self>) {
        self.index.progress().settled().await;
        let leadership = &self.config.leadership;
        leadership.decided().await;
        let mut withdrawn = Vec::new();
        if leadership.is_elected() {
            withdrawn = loop {
                match self.learn_from_predecessor().await {
                    Ok(withdrawn) => break withdrawn,
                    Err(error) => {
                        if !leadership.leads() {
                            return;
                        }
                        tracing::warn!(%error, "cannot read yet which passwords Jira refused: nothing is done before");
                        leadership.wait(RETRY).await;
                    }
                }
            };
        }
        if !leadership.leads() {
            return;
        }
        let _ = self.watched_since.set(self.clock.now());
        if let Some(store) = self.store.get() {
            let acceptances = self.acceptances.clone();
            let last_validated = Box::new(move |object: &JiraCredential| acceptances.last(object));
            self.metrics
                .show_credentials(store.clone(), last_validated, self.config.shard.clone());
        }
        self.serving.cancel();
        self.learn_of_withdrawn(withdrawn).await;
    }

    /// Reads which passwords were refused, and the status of every credential that may send one: the
    /// watch may be behind, and what a standby has heard over time is not what stands there now. Returns
    /// the namespaces in which that may not be read: nothing is done in them before it is.
    async fn learn_from_predecessor(&self) -> Result<Vec<Scope>, ClusterError> {
        let refused = self.cluster.refused_passwords(&self.config.namespace);
        let refused = refused.await?;
        let mut all = self.shown();
        let namespaces: BTreeSet<String> = all
            .values()
            .filter(|object| sends_passwords(object))
            .filter_map(ResourceExt::namespace)
            .collect();
        let mut withdrawn = Vec::new();
        for namespace in namespaces {
            match self.cluster.credentials_in(&namespace).await {
                Ok(objects) => {
                    all.extend(objects.into_iter().map(|object| (key_of(&object), object)));
                }
                Err(error @ ClusterError::Forbidden(_)) if self.scopes.len() > 1 => {
                    tracing::warn!(namespace, %error, "cannot read which passwords were sent: nothing is done in this namespace before");
                    all.retain(|key, _| *key.namespace != *namespace);
                    let scope = Scope::Namespace(namespace.into());
                    self.index.progress().withdraw(&scope, error.to_string());
                    withdrawn.push(scope);
                }
                Err(error) => return Err(error),
            }
        }
        let now = self.clock.now();
        self.passwords.start_over(&refused, now);
        let mut uids = HashSet::new();
        for (key, object) in &all {
            if is_sending(object) {
                let now = self.clock.elapsed();
                self.membership.may_have_arrived(key, now);
            }
            self.passwords.note(object);
            uids.extend(object.uid());
        }
        // Where not everything is listed, nobody knows who else sent a password.
        if self.is_ready() {
            self.passwords.forget_others(&uids, now);
        }
        *self.refusals.lock().await = refused;
        Ok(withdrawn)
    }

    /// Reads again and again what could not be read when this process began to act.
    async fn learn_of_withdrawn(&self, mut withdrawn: Vec<Scope>) {
        let leadership = &self.config.leadership;
        while !withdrawn.is_empty() {
            leadership.wait(RETRY_REFUSED).await;
            if !leadership.leads() {
                return;
            }
            let mut refused = Vec::new();
            for scope in withdrawn {
                let namespace = scope.namespace().unwrap_or_default();
                match self.cluster.credentials_in(namespace).await {
                    Ok(objects) => {
                        for object in &objects {
                            self.passwords.note(object);
                        }
                        self.index.progress().restore(&scope);
                        self.wake_scope(&scope);
                    }
                    Err(error) => {
                        tracing::warn!(namespace, %error, "cannot read yet which passwords were sent: nothing is done in this namespace before");
                        refused.push(scope);
                    }
                }
            }
            withdrawn = refused;
        }
    }

    /// The credentials as the watch shows them.
    fn shown(&self) -> HashMap<Key, JiraCredential> {
        let Some(store) = self.store.get() else {
            return HashMap::new();
        };
        let readable = store.state().into_iter().filter_map(|object| {
            let object = object.0.as_ref().ok()?;
            Some((key_of(object), object.clone()))
        });
        readable.collect()
    }
}

/// Whether a password was sent and not answered, as far as the status says.
fn is_sending(object: &JiraCredential) -> bool {
    let status = object.status.as_ref();
    let attempt = status.and_then(|status| status.attempt.as_ref());
    attempt.is_some_and(|attempt| attempt.outcome == AttemptOutcome::Started)
}

/// Whether a credential sends a password, or did.
fn sends_passwords(object: &JiraCredential) -> bool {
    let wanted = matches!(
        object.spec.auth.method(),
        Some(Method::Basic(_) | Method::Session(_))
    );
    let status = object.status.as_ref();
    wanted || status.is_some_and(|status| status.attempt.is_some())
}
