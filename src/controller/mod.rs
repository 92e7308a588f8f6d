//! Watches, queue, reconciles, shutdown.

mod acceptances;
mod act;
mod batches;
mod config;
mod denials;
mod elsewhere;
mod fair_share;
mod grant_gc;
mod merge_gc;
mod notifications;
mod password_guard;
mod peers;
mod policy_check;
mod reader_search;
mod readers;
mod reconcile;
mod refusals;
mod renewal_registry;
mod renewal_task;
mod report;
mod retries;
mod secret_polls;
mod shard;
mod shared_verdicts;
mod shutdown;
mod status_versions;
mod takeover;
mod ticket_writer;
mod turns;
mod unreadable;
mod untold;
mod wake;
mod watch_health;
mod watches;
mod write_down;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use kube::ResourceExt;
use kube::runtime::Controller;
use kube::runtime::controller::{Action, Config};
use kube::runtime::reflector::Store;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::api::JiraCredential;
use crate::clock::Clock;
use crate::cluster::{
    Cluster, ClusterError, Key, RefusedPassword, Scope, Standing, VersionIndex, Watched,
    fingerprint_key, key_of,
};
use crate::core::fingerprint::{Fingerprint, FingerprintKey};
use crate::jira::{Jira, JiraConfig};
use crate::notify::Notifier;
use crate::ops::metrics::Metrics;
use acceptances::Acceptances;
use batches::Restarts;
pub use config::{OperatorConfig, Reconciled, SecretWatch, StartError};
use denials::Denials;
use password_guard::Passwords;
use reader_search::Readers;
use renewal_registry::Renewals;
use retries::Retries;
use shard::{Membership, Served};
use shared_verdicts::SharedVerdicts;
use status_versions::{Shown, StatusVersions};
use turns::{Capacity, priority_of};
use unreadable::Unreadable;
use untold::Untold;
use wake::Wake;
use watch_health::Watches;

/// How long a reconcile waits for the watch to show our own last write.
const CATCH_UP: Duration = Duration::from_secs(5);

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
    notifier: Option<Notifier>,
    store: OnceLock<Store<Watched>>,
    written: StatusVersions,
    acceptances: Arc<Acceptances>,
    watched_since: OnceLock<DateTime<Utc>>,
    /// Cancelled when this process begins to act.
    serving: CancellationToken,
    retries: Retries,
    denials: Denials,
    restarts: Restarts,
    unreadable: Unreadable,
    membership: Membership,
    /// A credential is gone whose keys may stand in Secrets of others, or whose Secrets in other namespaces.
    orphaned: Notify,
    /// Whether the policy is in force without which nothing is published into other namespaces.
    publishes_elsewhere: Mutex<Option<bool>>,
    /// What is watched.
    scopes: Vec<Scope>,
    credentials_watch: Watches,
    secrets_watch: Watches,
    untold: Untold,
    readers: Readers,
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
        let cluster = Cluster::new(client, REQUEST_LIMIT)
            .led_by(config.leadership.clone())
            .requiring_source_label(config.require_source_label);
        let key = fingerprint_key(&cluster, &config.namespace).await?;
        let scopes = Scope::of(&config.watch_namespaces);
        let jira = jira_config(&config, &metrics);
        let refused = cluster.refused_passwords(&config.namespace).await?;
        let passwords = Passwords::default();
        passwords.restore(&refused, clock.now());
        let wake = Arc::default();
        metrics.show_leadership(config.leadership.clone());
        let jira = Jira::new(jira, clock.clone())?;
        let notifier = config.notifier(&jira, &clock, &metrics)?;
        let operator = Arc::new(Self {
            jira,
            notifier,
            renewals: Renewals::new(config.pod.clone(), clock.clone(), config.time_scale)
                .led_by(config.leadership.clone())
                .beside_others(config.shard.is_some()),
            look_ups: Semaphore::new(usize::from(config.max_concurrent_reconciles / 4).max(1)),
            capacity: Capacity::new(&config, &wake),
            verdicts: SharedVerdicts::default(),
            compared: Mutex::default(),
            wake,
            membership: Membership::of(config.shard.clone(), config.time_scale),
            config,
            cluster,
            key,
            clock,
            index: VersionIndex::over(scopes.clone()),
            passwords,
            refusals: tokio::sync::Mutex::new(refused),
            metrics,
            store: OnceLock::new(),
            written: StatusVersions::default(),
            acceptances: Arc::default(),
            watched_since: OnceLock::new(),
            serving: CancellationToken::new(),
            retries: Retries::default(),
            denials: Denials::default(),
            restarts: Restarts::default(),
            unreadable: Unreadable::default(),
            orphaned: Notify::new(),
            publishes_elsewhere: Mutex::default(),
            credentials_watch: Watches::over("JiraCredentials", &scopes),
            secrets_watch: Watches::over("Secrets", &scopes),
            scopes,
            untold: Untold::default(),
            readers: Readers::default(),
            passes: AtomicU64::new(0),
            stopping: CancellationToken::new(),
        });
        operator.lend_to_notifier();
        Ok(operator)
    }

    /// Runs until `shutdown` is cancelled, or this process has lost the leadership, and the reconciles
    /// under way have ended. Every item of `pokes` starts a reconcile over every credential.
    ///
    /// A process that does not lead yet watches, and does nothing else.
    pub async fn run(
        self: Arc<Self>,
        shutdown: CancellationToken,
        pokes: impl stream::Stream<Item = ()> + Send + 'static,
    ) {
        let woken = self.wake.woken();
        let (reader, credentials) = self.clone().watch_credentials();
        let _ = self.store.set(reader.clone());
        let leads = tokio::spawn(self.clone().serve_when_elected());
        let secrets = tokio::spawn(self.clone().follow_secrets());
        let collector = tokio::spawn(self.clone().collect_now_and_then());
        let policy = tokio::spawn(self.clone().check_policy_now_and_then());
        let refusals = tokio::spawn(self.clone().record_refusals_as_they_come());
        let rounds = tokio::spawn(self.clone().notify_in_rounds());
        let stop = {
            let (stopping, shutdown) = (self.stopping.clone(), shutdown.clone());
            let leadership = self.config.leadership.clone();
            async move {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = leadership.over() => {}
                }
                stopping.cancel();
            }
        };
        // How many reconciles work at a time, `turns` decides.
        let config = Config::default().concurrency(0);
        let serving = {
            let operator = self.clone();
            stream::once(async move { operator.serving().await })
        };
        let passes = Controller::for_stream(credentials, reader)
            .with_config(config)
            .reconcile_on(woken)
            .reconcile_all_on(stream::select(serving, pokes))
            .graceful_shutdown_on(stop)
            .run(reconcile, on_error, self.clone())
            .for_each(|_| async {});
        self.until_all_is_stored(passes, &shutdown).await;
        for task in [leads, secrets, collector, policy, refusals, rounds] {
            task.abort();
        }
        // A receiver that is dead must not delay what keeps accounts from being locked.
        if self.serving.is_cancelled() {
            self.record_last_refusals().await;
        }
        self.finish_notifications().await;
    }

    /// Whether everything that exists has been listed.
    pub fn is_ready(&self) -> bool {
        self.index.progress().is_complete()
    }

    /// Which lists the API server refuses, if that is why not everything has been listed.
    pub fn refused_list(&self) -> Option<String> {
        let missing = self.index.progress().missing().into_iter();
        let refused = missing.filter_map(|scope| {
            let watches = [&self.credentials_watch, &self.secrets_watch];
            let refusal = watches.iter().find_map(|watch| watch.refusal(&scope));
            let refusal = refusal.or_else(|| self.index.progress().withdrawal(&scope))?;
            Some(match scope.namespace() {
                Some(namespace) => format!(
                    "{refusal} If the namespace does not exist any more, take {namespace} out of --watch-namespaces."
                ),
                None => refusal,
            })
        });
        let refused: Vec<String> = refused.collect();
        (!refused.is_empty()).then(|| refused.join(" "))
    }

    /// What the election has made of this process; `None` without an election.
    pub fn standing(&self) -> Option<Standing> {
        self.config.leadership.standing()
    }

    /// What cannot be watched: the API server has refused it, or broken it off, for more than a minute.
    pub fn broken_watch(&self) -> Option<String> {
        let now = self.clock.elapsed();
        let credentials = self.credentials_watch.broken(now);
        credentials.or_else(|| self.secrets_watch.broken(now))
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

/// How Jira is called: only while this process leads.
fn jira_config(config: &OperatorConfig, metrics: &Arc<Metrics>) -> JiraConfig {
    let leadership = config.leadership.clone();
    JiraConfig {
        observer: Some(metrics.clone()),
        permit: Some(Arc::new(move || leadership.leads())),
        ..config.jira.clone()
    }
}

async fn reconcile(object: Arc<Watched>, operator: Arc<Operator>) -> Result<Action, ClusterError> {
    // Everything is reconciled when this process begins to act.
    if !operator.acts_in(&object.namespace().unwrap_or_default()) {
        return Ok(Action::await_change());
    }
    match operator
        .membership
        .served(&key_of(&*object), operator.clock.elapsed())
    {
        Served::Here => {}
        Served::In(wait) => return Ok(Action::requeue(wait)),
        Served::Elsewhere => return Ok(Action::await_change()),
    }
    let started = std::time::Instant::now();
    let result = match &object.0 {
        Ok(object) => Box::pin(operator.attend(object, started)).await,
        Err(invalid) => {
            let (name, namespace) = (
                invalid.metadata.name.as_deref(),
                invalid.metadata.namespace.as_deref(),
            );
            tracing::error!(namespace, name, error = %invalid.error, "the stored object cannot be read; correct its spec");
            Ok(Attended::Done(Duration::from_secs(3600)))
        }
    };
    let result = match result {
        Ok(Attended::PutBack(action)) => return Ok(action),
        Ok(Attended::Done(wake)) => Ok(Action::requeue(wake)),
        Err(error) => Err(error),
    };
    if result.is_ok() {
        operator.retries.forget(&key_of(&*object));
    }
    operator.passes.fetch_add(1, Ordering::Relaxed);
    operator.metrics.passed(result.is_ok(), started.elapsed());
    result
}

/// How the controller dealt with a credential that is due.
enum Attended {
    /// A reconcile has ended, and the next is due after this time.
    Done(Duration),
    /// None has begun.
    PutBack(Action),
}

impl Operator {
    /// Reconciles a credential as the watch shows it. When the watch has not shown our own last
    /// write for long, the object itself is read and believed.
    async fn attend(
        &self,
        shown: &JiraCredential,
        started: std::time::Instant,
    ) -> Result<Attended, ClusterError> {
        let mut read = None;
        match self.written.compare(shown, self.clock.elapsed()) {
            Shown::Current => {}
            Shown::Behind => return Ok(Attended::PutBack(Action::requeue(CATCH_UP))),
            Shown::Doubtful => {
                let (namespace, name) = (shown.namespace().unwrap_or_default(), shown.name_any());
                let object = self.cluster.credential(&namespace, &name).await?;
                let Some(object) = object else {
                    return Ok(Attended::PutBack(Action::await_change()));
                };
                tracing::info!(
                    namespace,
                    name,
                    "read the credential itself: the watch does not show the last status"
                );
                self.written.believe(&object);
                read = Some(object);
            }
        }
        let object = read.as_ref().unwrap_or(shown);
        let first_site = self.first_site(object);
        let priority = priority_of(object, self.clock.now());
        let begin = self
            .capacity
            .begin(key_of(object), priority, first_site.as_deref());
        let turns = match begin.await {
            Ok(turns) => turns,
            Err(None) => return Ok(Attended::PutBack(Action::await_change())),
            Err(Some(wait)) => return Ok(Attended::PutBack(Action::requeue(wait))),
        };
        let result = Box::pin(self.reconcile(object, turns)).await;
        self.report_reconcile(object, started);
        result.map(|wake| Attended::Done(self.not_later_than_a_poll(object, wake)))
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the controller prescribes the signature"
)]
fn on_error(object: Arc<Watched>, error: &ClusterError, operator: Arc<Operator>) -> Action {
    let (key, uid) = (key_of(&*object), object.uid().unwrap_or_default());
    let now = operator.clock.elapsed();
    let wait = operator.retries.wait(&key, &uid, error, now);
    tracing::warn!(
        namespace = object.namespace(),
        name = object.name_any(),
        %error,
        seconds = wait.as_secs(),
        "retrying the reconcile after a backoff"
    );
    Action::requeue(wait)
}
