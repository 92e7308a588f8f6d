//! Watches, queue, reconciles, shutdown.

mod act;
mod config;
mod fair_share;
mod grant_gc;
mod password_guard;
mod peers;
mod policy_check;
mod reconcile;
mod refusals;
mod renewal_registry;
mod renewal_task;
mod shared_verdicts;
mod shutdown;
mod status_versions;
mod turns;
mod wake;
mod watches;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use futures::{StreamExt, stream};
use kube::ResourceExt;
use kube::runtime::Controller;
use kube::runtime::controller::{Action, Config};
use kube::runtime::reflector::Store;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::api::JiraCredential;
use crate::clock::Clock;
use crate::cluster::{
    Cluster, ClusterError, Key, RefusedPassword, VersionIndex, Watched, fingerprint_key, key_of,
};
use crate::core::fingerprint::{Fingerprint, FingerprintKey};
use crate::core::time::jitter;
use crate::jira::{Jira, JiraConfig};
use crate::ops::metrics::Metrics;
pub use config::{OperatorConfig, Reconciled, StartError};
use password_guard::Passwords;
use renewal_registry::Renewals;
use shared_verdicts::SharedVerdicts;
use status_versions::StatusVersions;
use turns::{Capacity, priority_of};
use wake::Wake;

/// How long a reconcile waits after the API server could not be asked.
const RETRY: Duration = Duration::from_secs(5);

/// How long a reconcile waits that the API server refused a right: only an administrator can help.
const REFUSED: Duration = Duration::from_secs(300);

/// No request to the API server takes longer, its retries included.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// The operator: what all reconciles share.
pub struct Operator {
    config: OperatorConfig,
    cluster: Cluster,
    jira: Jira,
    key: FingerprintKey,
    clock: Clock,
    index: VersionIndex,
    passwords: Passwords,
    /// The refused passwords that are recorded in the operator's namespace.
    refusals: tokio::sync::Mutex<BTreeMap<Fingerprint, RefusedPassword>>,
    renewals: Renewals,
    /// Room for look-ups of an expiry: a part of the reconciles, so that validations always have
    /// some.
    look_ups: Semaphore,
    wake: Arc<Wake>,
    capacity: Capacity,
    verdicts: SharedVerdicts,
    /// Secrets whose contents are compared.
    compared: Mutex<HashSet<Key>>,
    metrics: Arc<Metrics>,
    store: OnceLock<Store<Watched>>,
    written: StatusVersions,
    passes: AtomicU64,
    stopping: CancellationToken,
}

impl Operator {
    /// Gathers what all reconciles share; makes the key of the fingerprints at the first start.
    ///
    /// # Errors
    /// When the key can be neither read nor made, or Jira cannot be called at all.
    pub async fn new(
        config: OperatorConfig,
        client: kube::Client,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, StartError> {
        let cluster = Cluster::new(client, REQUEST_LIMIT);
        let key = fingerprint_key(&cluster, &config.namespace).await?;
        let jira = JiraConfig {
            observer: Some(metrics.clone()),
            ..config.jira.clone()
        };
        let refused = cluster.refused_passwords(&config.namespace).await?;
        let passwords = Passwords::default();
        passwords.restore(&refused, clock.now());
        let wake = Arc::default();
        Ok(Arc::new(Self {
            jira: Jira::new(jira, clock.clone())?,
            renewals: Renewals::new(config.pod.clone(), clock.clone(), config.time_scale),
            look_ups: Semaphore::new(usize::from(config.max_concurrent_reconciles / 4).max(1)),
            capacity: Capacity::new(&config, &wake),
            verdicts: SharedVerdicts::default(),
            compared: Mutex::default(),
            wake,
            config,
            cluster,
            key,
            clock,
            index: VersionIndex::default(),
            passwords,
            refusals: tokio::sync::Mutex::new(refused),
            metrics,
            store: OnceLock::new(),
            written: StatusVersions::default(),
            passes: AtomicU64::new(0),
            stopping: CancellationToken::new(),
        }))
    }

    /// Runs until `shutdown` is cancelled and the reconciles under way have ended. Every item of
    /// `pokes` starts a reconcile over every credential.
    pub async fn run(
        self: Arc<Self>,
        shutdown: CancellationToken,
        pokes: impl stream::Stream<Item = ()> + Send + 'static,
    ) {
        let woken = self.wake.woken();
        let (reader, credentials) = self.clone().watch_credentials();
        let _ = self.store.set(reader.clone());
        self.metrics.show_credentials(reader.clone());
        let secrets = tokio::spawn(self.clone().watch_secrets());
        let collector = tokio::spawn(self.clone().collect_now_and_then());
        let policy = tokio::spawn(self.clone().check_policy_now_and_then());
        let refusals = tokio::spawn(self.clone().record_refusals_as_they_come());
        let stop = {
            let stopping = self.stopping.clone();
            async move {
                shutdown.cancelled().await;
                stopping.cancel();
            }
        };
        // How many reconciles work at a time, `turns` decides.
        let config = Config::default().concurrency(0);
        let listed = {
            let operator = self.clone();
            stream::once(async move { operator.index.listed().await })
        };
        let passes = Controller::for_stream(credentials, reader)
            .with_config(config)
            .reconcile_on(woken)
            .reconcile_all_on(stream::select(listed, pokes))
            .graceful_shutdown_on(stop)
            .run(reconcile, on_error, self.clone())
            .for_each(|_| async {});
        self.until_all_is_stored(passes).await;
        secrets.abort();
        collector.abort();
        policy.abort();
        refusals.abort();
        self.record_refusals().await;
    }

    /// Whether everything that exists has been listed.
    pub fn is_ready(&self) -> bool {
        self.index.is_listed()
    }

    /// Says that a reconcile has ended, if anything listens.
    fn report_reconcile(&self, object: &JiraCredential, started: std::time::Instant) {
        if let Some(reconciles) = &self.config.reconciles {
            // The receiver may be gone.
            let _ = reconciles.unbounded_send(Reconciled {
                namespace: object.namespace().unwrap_or_default(),
                name: object.name_any(),
                started,
            });
        }
    }

    /// The number of reconciles that have ended.
    pub fn passes(&self) -> u64 {
        self.passes.load(Ordering::Relaxed)
    }
}

async fn reconcile(object: Arc<Watched>, operator: Arc<Operator>) -> Result<Action, ClusterError> {
    // Everything is reconciled once all Secrets are listed.
    if !operator.index.is_listed() {
        return Ok(Action::await_change());
    }
    let started = std::time::Instant::now();
    let result = match &object.0 {
        Ok(object) if operator.written.is_outdated(object) => Ok(RETRY),
        Ok(object) => {
            let first_site = operator.first_site(object);
            let priority = priority_of(object, operator.clock.now());
            let begin = operator
                .capacity
                .begin(key_of(object), priority, first_site.as_deref());
            let turns = match begin.await {
                Ok(turns) => turns,
                Err(None) => return Ok(Action::await_change()),
                Err(Some(wait)) => return Ok(Action::requeue(wait)),
            };
            let result = Box::pin(operator.reconcile(object, turns)).await;
            operator.report_reconcile(object, started);
            result
        }
        Err(invalid) => {
            let (name, namespace) = (&invalid.metadata.name, &invalid.metadata.namespace);
            tracing::error!(?namespace, ?name, error = %invalid.error, "the stored object cannot be read; correct its spec");
            Ok(Duration::from_secs(3600))
        }
    };
    operator.passes.fetch_add(1, Ordering::Relaxed);
    operator.metrics.passed(result.is_ok(), started.elapsed());
    result.map(Action::requeue)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the controller prescribes the signature"
)]
fn on_error(object: Arc<Watched>, error: &ClusterError, _: Arc<Operator>) -> Action {
    let uid = object.uid().unwrap_or_default();
    tracing::warn!(
        namespace = object.namespace(),
        name = object.name_any(),
        %error,
        "retrying the reconcile"
    );
    let spread = jitter(&uid, chrono::TimeDelta::seconds(5))
        .to_std()
        .unwrap_or_default();
    let wait = if error.is_refusal() { REFUSED } else { RETRY };
    Action::requeue(wait + spread)
}
