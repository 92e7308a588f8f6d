//! Without a watch on Secrets, the operator asks for those that a credential names.
//!
//! What a watch shows and nothing here replaces: grants without a user, and targets that an earlier process
//! wrote and did not record.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use kube::ResourceExt;

use crate::api::JiraCredential;
use crate::cluster::{ClusterError, Key, Scope, Search, Stored, key_of, references};
use crate::controller::{Operator, SecretWatch};
use crate::core::spec::{Periods, USUAL_INTERVAL, grant_name, place};
use crate::core::time::jitter;

/// A change waits no longer than this, however seldom the credential is validated.
const LONGEST: TimeDelta = TimeDelta::hours(1);

impl Operator {
    /// Learns of changes of Secrets for as long as the process lives.
    pub(super) async fn follow_secrets(self: Arc<Self>) {
        match self.config.watch_secrets {
            SecretWatch::Metadata => self.watch_secrets().await,
            SecretWatch::None => {
                tracing::info!(
                    "Secrets are not watched: changes are noticed within an interval of validation, an hour at most, and stored tokens that no JiraCredential uses any more are not deleted"
                );
                let scopes = self.scopes.iter();
                futures::future::join_all(scopes.map(|scope| self.wait_for_no_list(scope))).await;
            }
        }
    }

    /// The operator acts in a scope as soon as the credentials are listed: no list of Secrets follows.
    async fn wait_for_no_list(&self, scope: &Scope) {
        let progress = self.index.progress();
        progress.references(scope).await;
        if progress.listed(scope) {
            self.wake_scope(scope);
        }
    }

    /// Asks which versions the Secrets have that a credential names. Where one has changed, the other
    /// credentials that name it are woken.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub(super) async fn ask_for_secrets(
        &self,
        object: &JiraCredential,
    ) -> Result<(), ClusterError> {
        if self.config.watch_secrets == SecretWatch::Metadata {
            return self.ask_elsewhere(object).await;
        }
        let me = key_of(object);
        for key in references(object) {
            // Nothing is asked where nothing is done.
            if !self.scopes.iter().any(|scope| scope.covers(&key.namespace)) {
                continue;
            }
            let (namespace, name) = (&*key.namespace, &*key.name);
            let found = match self.cluster.secret_metadata(namespace, name).await {
                Ok(found) => found,
                // The read of its contents is refused as well, and says so.
                Err(error) if error.is_refusal() => continue,
                Err(error) => return Err(error),
            };
            let metadata = found.as_ref().map(|found| &found.metadata);
            for user in self.index.asked(&key, metadata) {
                if user != me {
                    self.wake.wake(&user);
                }
            }
        }
        Ok(())
    }

    /// Without a watch, a change waits for one interval of validation at most, and for an hour.
    pub(super) fn not_later_than_a_poll(
        &self,
        object: &JiraCredential,
        wake: Duration,
    ) -> Duration {
        if self.config.watch_secrets == SecretWatch::Metadata {
            return wake;
        }
        let periods = Periods::of(&object.spec);
        let interval = periods.map_or(USUAL_INTERVAL, |periods| periods.interval);
        let interval = interval.min(LONGEST);
        // What became due together does not stay together.
        let spread = jitter(&object.uid().unwrap_or_default(), interval / 10);
        wake.min((interval - spread).to_std().unwrap_or_default())
    }

    /// Looks where another grant has held the seed of this one for longer.
    pub(super) async fn older_twin(&self, stored: &Stored) -> Result<Search, ClusterError> {
        let cluster = &self.cluster;
        if self.config.watch_secrets == SecretWatch::Metadata {
            return cluster.older_twin(&self.scopes, &self.key, stored).await;
        }
        let (mut grants, unread) = self.grants_in_use().await?;
        grants.extend(stored.followed());
        let found = cluster.older_twin_among(&grants, &self.key, stored).await?;
        Ok(match (found, unread) {
            (Search::None, Some(error)) => Search::Incomplete(error),
            (found, _) => found,
        })
    }

    /// The grants that credentials name, in their spec or in their status, and why those of some are not
    /// known. The credentials are read again: the watch may not show yet what another process has made.
    async fn grants_in_use(&self) -> Result<(BTreeSet<Key>, Option<ClusterError>), ClusterError> {
        let (mut grants, mut unread) = (BTreeSet::new(), None);
        for scope in &self.scopes {
            let all = match self.cluster.credentials_of(scope).await {
                Ok(all) => all,
                Err(error @ ClusterError::Forbidden(_)) => {
                    unread = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            for object in &all {
                match &object.0 {
                    Ok(object) => grants.extend(grants_of(object)),
                    Err(_) => unread = Some(unreadable(&key_of(object).namespace)),
                }
            }
        }
        Ok((grants, unread))
    }
}

/// The grant of the spec, and the one that was used last.
fn grants_of(object: &JiraCredential) -> impl Iterator<Item = Key> {
    let place = object.spec.auth.method().as_ref().and_then(place);
    let named = place.map(|place| grant_name(&place));
    let status = object.status.as_ref();
    let used = status.and_then(|status| Some(status.grant.as_ref()?.name.clone()));
    let namespace = key_of(object).namespace;
    let grants = named.into_iter().chain(used);
    grants.map(move |name| Key::new(&namespace, &name))
}

/// Nobody knows which grant an object uses that this version cannot read.
fn unreadable(namespace: &str) -> ClusterError {
    ClusterError::Refused(format!(
        "a JiraCredential in the namespace {namespace} cannot be read by this version of the operator; the log names it. Correct its spec."
    ))
}
