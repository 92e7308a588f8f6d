//! Grants that are unused: neither the user's Secret with the refresh token exists, nor
//! a credential that names it. They are kept for a while, since both are often deleted and applied
//! together.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::cluster::{ClusterError, GrantSeen, Key};
use crate::controller::Operator;

/// How often the grants are gone through.
const INTERVAL: Duration = Duration::from_secs(600);

/// How long a grant is kept that does not say it.
const USUAL_RETENTION: TimeDelta = TimeDelta::hours(24);

impl Operator {
    pub(super) async fn collect_now_and_then(self: Arc<Self>) {
        let rounds = async {
            self.serving().await;
            loop {
                self.collect_grants().await;
                let next = tokio::time::sleep(INTERVAL);
                let keys = async {
                    loop {
                        self.collect_merged().await;
                        self.collect_elsewhere().await;
                        self.orphaned.notified().await;
                    }
                };
                tokio::select! {
                    () = next => {}
                    () = keys => {}
                }
            }
        };
        // What is cut short is done in a later round: every step starts from what is stored.
        self.stopping.run_until_cancelled(rounds).await;
    }

    /// Goes through the grants once: marks those that are unused, unmarks those that a credential
    /// needs again, and deletes those that were marked for long enough.
    pub async fn collect_grants(&self) {
        for (key, seen) in self.index.grants() {
            if !self.knows_users_in(&key.namespace) {
                continue;
            }
            if let Err(error) = self.collect(&key, &seen).await {
                let (namespace, name) = (&*key.namespace, &*key.name);
                tracing::warn!(namespace, name, %error, "failed to mark or delete an unused grant");
            }
        }
    }

    /// Whether it is known which credentials a namespace has now: what is used by one that nobody shows is
    /// not unused.
    pub(super) fn knows_users_in(&self, namespace: &str) -> bool {
        let mut mine = self.scopes.iter().filter(|scope| scope.covers(namespace));
        self.acts_in(namespace) && mine.all(|scope| self.credentials_watch.refusal(scope).is_none())
    }

    async fn collect(&self, key: &Key, seen: &GrantSeen) -> Result<(), ClusterError> {
        let namespace = &*key.namespace;
        // Nobody knows which grants an object uses that cannot be read.
        let used = self.unreadable.is_in(namespace)
            || !self.index.users(namespace, &key.name).is_empty()
            || self
                .cluster
                .secret_metadata(namespace, &seen.seed_name)
                .await?
                .is_some();
        let now = self.clock.now();
        let marked = seen.unused_since.as_deref().and_then(read_time);
        match (used, marked) {
            (true, None) => Ok(()),
            (true, Some(_)) => self.mark(key, seen, None).await,
            (false, None) => self.mark(key, seen, Some(now)).await,
            (false, Some(since)) => {
                let kept = seen.retention.unwrap_or(USUAL_RETENTION);
                if now - since < kept {
                    return Ok(());
                }
                let version = Some(seen.resource_version.as_str());
                let deleted = self
                    .cluster
                    .delete_version(namespace, &key.name, &seen.uid, version)
                    .await;
                if deleted.is_ok() {
                    tracing::info!(namespace, name = &*key.name, "deleted an unused grant");
                }
                settled(deleted)
            }
        }
    }

    async fn mark(
        &self,
        key: &Key,
        seen: &GrantSeen,
        since: Option<DateTime<Utc>>,
    ) -> Result<(), ClusterError> {
        let text = since.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true));
        settled(self.cluster.mark_grant(key, seen, text.as_deref()).await)
    }
}

/// After a conflict the next round sees what a faster write has changed.
fn settled(result: Result<(), ClusterError>) -> Result<(), ClusterError> {
    match result {
        Err(ClusterError::Conflict | ClusterError::NotFound) => Ok(()),
        other => other,
    }
}

fn read_time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.with_timezone(&Utc))
}
