//! Watches, queue, passes, shutdown.

mod act;
mod grant_gc;
mod password_guard;
mod peers;
mod reconcile;
mod renewal_registry;
mod renewal_task;
mod watches;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::channel::mpsc;
use futures::{StreamExt, stream};
use kube::ResourceExt;
use kube::runtime::Controller;
use kube::runtime::controller::{Action, Config};
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::api::JiraCredential;
use crate::clock::Clock;
use crate::cluster::{
    Cluster, ClusterError, Key, VersionIndex, Watched, creation_time, fingerprint_key, key_of,
};
use crate::core::facts::{TimeScale, targets};
use crate::core::fingerprint::FingerprintKey;
use crate::core::time::jitter;
use crate::jira::{HostPolicy, Jira, JiraConfig, JiraError};
use crate::ops::metrics::Metrics;
use password_guard::Passwords;
use renewal_registry::Renewals;

/// How long a reconcile waits after the API server could not be asked.
const RETRY: Duration = Duration::from_secs(5);

/// How long a reconcile waits that the API server refused a right: only an administrator can help.
const REFUSED: Duration = Duration::from_secs(300);

/// No request to the API server takes longer, its retries included.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// What an administrator sets.
#[derive(Clone)]
pub struct OperatorConfig {
    /// The namespace of the operator, where the key of the fingerprints is kept.
    pub namespace: String,
    /// The one namespace to watch; `None`: all of them.
    pub watch_namespace: Option<String>,
    /// Which hosts a credential may be sent to.
    pub hosts: HostPolicy,
    /// How Jira is called.
    pub jira: JiraConfig,
    /// Prefixes of labels and annotations that a target may have.
    pub allowed_metadata_keys: Vec<String>,
    /// Reconciles at a time.
    pub max_concurrent_reconciles: u16,
    /// Base address of Atlassian's authorization server.
    pub auth_url: String,
    /// Base address of Atlassian's gateway.
    pub api_url: String,
    /// What distinguishes this replica for people.
    pub pod: String,
    /// How fast the renewal protocol's own clocks run; 1 outside of tests.
    pub time_scale: TimeScale,
}

/// Why the operator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Jira cannot be called.
    #[error(transparent)]
    Jira(#[from] JiraError),
    /// The key of the fingerprints can be neither read nor made.
    #[error("the Secret with the key of the fingerprints: {0}")]
    Key(#[from] ClusterError),
}

/// The operator: what all reconciles share.
pub struct Operator {
    config: OperatorConfig,
    cluster: Cluster,
    jira: Arc<Jira>,
    key: FingerprintKey,
    clock: Clock,
    index: VersionIndex,
    passwords: Passwords,
    renewals: Renewals,
    /// Room for look-ups of an expiry: a part of the reconciles, so that validations always have
    /// some.
    look_ups: Semaphore,
    wake: OnceLock<mpsc::UnboundedSender<ObjectRef<Watched>>>,
    metrics: Arc<Metrics>,
    store: OnceLock<Store<Watched>>,
    /// The versions that our own writes of the status produced, until the watch has shown them.
    written: Mutex<HashMap<Key, u64>>,
    passes: AtomicU64,
    stopping: CancellationToken,
}

impl StartError {
    /// Whether another try can succeed without anybody doing anything.
    pub fn is_passing(&self) -> bool {
        match self {
            StartError::Jira(_) => false,
            StartError::Key(error) => match error {
                ClusterError::TimedOut
                | ClusterError::Unavailable(_)
                | ClusterError::Conflict
                | ClusterError::NotFound
                | ClusterError::AlreadyExists => true,
                ClusterError::Refused(_) => false,
            },
        }
    }
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
        Ok(Arc::new(Self {
            jira: Arc::new(Jira::new(jira, clock.clone())?),
            renewals: Renewals::new(config.pod.clone(), clock.clone(), config.time_scale),
            look_ups: Semaphore::new(usize::from(config.max_concurrent_reconciles / 4).max(1)),
            wake: OnceLock::new(),
            config,
            cluster,
            key,
            clock,
            index: VersionIndex::default(),
            passwords: Passwords::default(),
            metrics,
            store: OnceLock::new(),
            written: Mutex::default(),
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
        let (wake, woken) = mpsc::unbounded();
        let _ = self.wake.set(wake.clone());
        let (reader, credentials) = self.clone().watch_credentials(wake.clone());
        let _ = self.store.set(reader.clone());
        self.metrics.show_credentials(reader.clone());
        let secrets = tokio::spawn(self.clone().watch_secrets(wake));
        let collector = tokio::spawn(self.clone().collect_now_and_then());
        let stop = {
            let stopping = self.stopping.clone();
            async move {
                shutdown.cancelled().await;
                stopping.cancel();
            }
        };
        let config = Config::default().concurrency(self.config.max_concurrent_reconciles);
        let passes = Controller::for_stream(credentials, reader)
            .with_config(config)
            .reconcile_on(woken)
            .reconcile_all_on(pokes)
            .graceful_shutdown_on(stop)
            .run(reconcile, on_error, self.clone())
            .for_each(|_| async {});
        self.until_all_is_stored(passes).await;
        secrets.abort();
        collector.abort();
    }

    /// Whether everything that exists has been listed.
    pub fn is_ready(&self) -> bool {
        self.index.is_listed()
    }

    /// The number of reconciles that have ended.
    pub fn passes(&self) -> u64 {
        self.passes.load(Ordering::Relaxed)
    }

    /// Keeps in mind what a write of ours made of an object: the watch lags behind.
    fn remember(&self, object: &JiraCredential) {
        if let Some(version) = version_of(object) {
            self.written().insert(key_of(object), version);
        }
    }

    /// Whether the watch shows an object as it was before our own last write.
    fn is_outdated(&self, object: &JiraCredential) -> bool {
        let key = key_of(object);
        let mut written = self.written();
        match (written.get(&key), version_of(object)) {
            (Some(ours), Some(shown)) if shown < *ours => true,
            (Some(_), _) => {
                written.remove(&key);
                false
            }
            (None, _) => false,
        }
    }

    fn written(&self) -> std::sync::MutexGuard<'_, HashMap<Key, u64>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The older credential that names the same target: of two that hold nothing it takes
    /// precedence.
    fn older_claim(&self, object: &JiraCredential, target: &str) -> Option<String> {
        let store = self.store.get()?;
        let age = |object: &JiraCredential| (creation_time(object), object.uid());
        let namespace = object.namespace().unwrap_or_default();
        let users = self.index.users(&namespace, target);
        let rivals = users
            .iter()
            .filter(|user| *user != &key_of(object))
            .filter_map(|user| {
                let rival = store.get(&ObjectRef::new(&user.name).within(&user.namespace))?;
                let rival = rival.0.as_ref().ok()?;
                let names = targets::targets(&rival.spec, &rival.name_any());
                let claims = names.iter().any(|other| other.name == target);
                (claims && age(rival) < age(object)).then(|| (age(rival), rival.name_any()))
            });
        rivals.min().map(|(_, name)| name)
    }
}

/// The version of an object as a number; Kubernetes promises since 1.35 that versions of one
/// resource compare as such.
fn version_of(object: &JiraCredential) -> Option<u64> {
    object.resource_version()?.parse().ok()
}

async fn reconcile(object: Arc<Watched>, operator: Arc<Operator>) -> Result<Action, ClusterError> {
    // What cannot start must not hold up a shutdown either.
    tokio::select! {
        () = operator.index.listed() => {}
        () = operator.stopping.cancelled() => return Ok(Action::requeue(RETRY)),
    }
    let started = std::time::Instant::now();
    let result = match &object.0 {
        Ok(object) if operator.is_outdated(object) => Ok(RETRY),
        Ok(object) => Box::pin(operator.pass(object)).await,
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
