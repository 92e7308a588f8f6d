//! An operator that a test runs, and what the API server heard of it.

use super::PATIENCE;
use control_plane::faults::{Faults, Mark};
use futures::StreamExt;
use futures::channel::mpsc;
use jira_credential_operator::clock::Clock;
use jira_credential_operator::controller::{Operator, OperatorConfig, Reconciled};
use jira_credential_operator::ops::metrics::Metrics;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// An operator in a runtime of its own.
pub(crate) struct Running {
    pub(crate) operator: Arc<Operator>,
    pub(crate) faults: Faults,
    pub(crate) metrics: Arc<Metrics>,
    /// Before the first request.
    pub(crate) start: Mark,
    pub(super) runtime: Option<Runtime>,
    pub(super) poke: mpsc::UnboundedSender<()>,
    pub(super) shutdown: CancellationToken,
    pub(super) ended: Option<tokio::task::JoinHandle<()>>,
    pub(super) reconciles: tokio::sync::Mutex<mpsc::UnboundedReceiver<Reconciled>>,
}

impl Running {
    pub(super) async fn start(
        config: OperatorConfig,
        identity: kube::Config,
        clock: Clock,
        logs: Option<tracing::Dispatch>,
    ) -> Self {
        let running = Self::begin(config, identity, clock, logs).await;
        let deadline = Instant::now() + PATIENCE;
        while !running.operator.is_ready() {
            assert!(
                Instant::now() < deadline,
                "the operator does not become ready"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        running
    }

    /// Does not wait until it is ready.
    pub(super) async fn begin(
        mut config: OperatorConfig,
        identity: kube::Config,
        clock: Clock,
        logs: Option<tracing::Dispatch>,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .on_thread_start(move || {
                if let Some(logs) = &logs {
                    // For as long as the thread lives.
                    std::mem::forget(tracing::dispatcher::set_default(logs));
                }
            })
            .enable_all()
            .build()
            .unwrap();
        let faults = Faults::default();
        let start = faults.mark();
        let metrics = Arc::new(Metrics::default());
        let (poke, pokes) = mpsc::unbounded();
        let (listen, reconciles) = mpsc::unbounded();
        config.reconciles = Some(listen);
        let shutdown = CancellationToken::new();
        let (started, starting) = tokio::sync::oneshot::channel();
        let (layer, token, shown) = (faults.clone(), shutdown.clone(), metrics.clone());
        let ended = runtime.spawn(async move {
            let client = layer.client(identity).unwrap();
            let operator = Operator::new(config, client, clock, shown).await.unwrap();
            let _ = started.send(operator.clone());
            operator.run(token, pokes).await;
        });
        let operator = starting.await.unwrap();
        Self {
            operator,
            faults,
            metrics,
            start,
            runtime: Some(runtime),
            poke,
            shutdown,
            ended: Some(ended),
            reconciles: tokio::sync::Mutex::new(reconciles),
        }
    }

    /// Has so many credentials reconciled, each from now on, and waits until nothing more happens.
    pub(crate) async fn look_again(&self, credentials: u64) {
        let asked = Instant::now();
        self.poke();
        let mut reconciles = self.reconciles.lock().await;
        let mut seen = BTreeSet::new();
        while (seen.len() as u64) < credentials {
            let left = PATIENCE.saturating_sub(asked.elapsed());
            let next = tokio::time::timeout(left, reconciles.next()).await;
            let Ok(Some(next)) = next else {
                panic!(
                    "{} of {credentials} were reconciled after a poke",
                    seen.len()
                );
            };
            if next.started >= asked {
                seen.insert((next.namespace, next.name));
            }
        }
        drop(reconciles);
        self.quiet().await;
    }

    /// Has every credential looked at.
    pub(crate) fn poke(&self) {
        self.poke.unbounded_send(()).unwrap();
    }

    /// Waits until neither a request nor a reconcile has happened for a while.
    pub(crate) async fn quiet(&self) {
        let state = || (self.operator.passes(), self.faults.requests().len());
        let (mut last, mut since) = (state(), Instant::now());
        let deadline = Instant::now() + PATIENCE;
        while since.elapsed() < Duration::from_millis(400) {
            assert!(
                Instant::now() < deadline,
                "the operator does not come to rest"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
            if state() != last {
                (last, since) = (state(), Instant::now());
            }
        }
    }

    pub(crate) fn mark(&self) -> Mark {
        self.faults.mark()
    }

    /// The requests since a mark, as `verb resource`, watches and lists left out.
    pub(crate) fn requests_since(&self, mark: Mark) -> Vec<String> {
        use control_plane::faults::Verb;
        let requests = self.faults.since(mark);
        requests
            .iter()
            .filter(|request| !matches!(request.verb, Verb::Watch | Verb::List))
            // Whether the admission policy is in force is looked at by the clock of the machine.
            .filter(|request| request.group != "admissionregistration.k8s.io")
            .map(|request| format!("{} {}", request.verb.as_str(), request.target()))
            .collect()
    }

    /// The writes since a mark, those of events left out.
    pub(crate) fn writes_since(&self, mark: Mark) -> Vec<String> {
        let mut requests = self.requests_since(mark);
        requests.retain(|request| !request.starts_with("get ") && request != "create events");
        requests
    }

    /// Reconciles that have ended.
    pub(crate) fn passes(&self) -> u64 {
        self.operator.passes()
    }

    /// Ends when the operator has ended by itself.
    pub(crate) fn ended(&mut self) -> Option<tokio::task::JoinHandle<()>> {
        self.ended.take()
    }

    /// Ends the process, as far as one can inside another: nothing of it runs on.
    pub(crate) fn crash(mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Asks the operator to stop, and waits for it.
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(ended) = self.ended.take() {
            let ended = tokio::time::timeout(PATIENCE, ended).await;
            ended.unwrap().unwrap();
        }
        if let Some(runtime) = self.runtime.take() {
            tokio::task::spawn_blocking(move || runtime.shutdown_timeout(PATIENCE))
                .await
                .unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
