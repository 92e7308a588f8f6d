//! Without a watch on Secrets, the operator asks for those that a credential names.
//!
//! What a watch shows and nothing here replaces: grants without a user, and targets that an earlier process
//! wrote and did not record.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::runtime::reflector::Store;

use crate::api::JiraCredential;
use crate::cluster::{ClusterError, Key, Scope, Stored, key_of, references};
use crate::controller::act::ActError;
use crate::controller::{Operator, SecretWatch};
use crate::core::facts::Twin;
use crate::core::spec::{Periods, USUAL_INTERVAL, grant_name, place};

/// A change waits no longer than this, however seldom the credential is validated.
const LONGEST: Duration = Duration::from_secs(3600);

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

    /// All that is to be known of a scope before the operator acts in it is what refers to Secrets.
    async fn wait_for_no_list(&self, scope: &Scope) {
        let progress = self.index.progress();
        progress.references(scope).await;
        if progress.listed(scope) {
            self.wake_scope(scope);
        }
    }

    /// Asks which versions the Secrets have that a credential names. Who shares one that is
    /// another one now is woken.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub(super) async fn ask_for_secrets(
        &self,
        object: &JiraCredential,
    ) -> Result<(), ClusterError> {
        if self.config.watch_secrets == SecretWatch::Metadata {
            return Ok(());
        }
        let me = key_of(object);
        for name in references(object) {
            let key = Key::new(&me.namespace, &name);
            let found = match self.cluster.secret_metadata(&key.namespace, &name).await {
                Ok(found) => found,
                // Whoever reads its contents is refused as well, and says so.
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
        wake.min(interval.to_std().unwrap_or_default().min(LONGEST))
    }

    /// Where another grant has held the seed of this one for longer.
    pub(super) async fn older_twin(&self, stored: &Stored) -> Result<Option<Twin>, ActError> {
        let twin = match self.config.watch_secrets {
            SecretWatch::Metadata => {
                self.cluster
                    .older_twin(&self.scopes, &self.key, stored)
                    .await?
            }
            SecretWatch::None => {
                let grants = self.grants_in_use();
                self.cluster
                    .older_twin_among(&grants, &self.key, stored)
                    .await?
            }
        };
        Ok(twin)
    }

    /// The grants that credentials name.
    fn grants_in_use(&self) -> BTreeSet<Key> {
        let all = self.store.get().map(Store::state).unwrap_or_default();
        let grants = all.iter().filter_map(|object| {
            let object = object.0.as_ref().ok()?;
            let place = place(&object.spec.auth.method()?)?;
            Some(Key::new(&key_of(object).namespace, &grant_name(&place)))
        });
        grants.collect()
    }
}
