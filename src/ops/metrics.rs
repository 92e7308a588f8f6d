//! Metrics. No label holds an account, a path or a token. The series of a credential are read
//! from the store when they are asked for, so that they vanish with the object.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use kube::runtime::reflector::Store;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::api::{MethodName, Reason};
use crate::cluster::{Leadership, PolicyState, Shard, Watched};

use credentials::{Credentials, Shown};

pub use credentials::LastValidated;

mod credentials;

type Outcome = [(&'static str, &'static str); 1];

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Call {
    operation: &'static str,
    outcome: &'static str,
}

type Seconds = Family<Call, Histogram, fn() -> Histogram>;

/// All metrics of the operator.
pub struct Metrics {
    registry: Registry,
    probes: Family<Outcome, Counter>,
    renewals: Family<[(&'static str, String); 2], Counter>,
    calls: Seconds,
    passes: Family<Outcome, Counter>,
    pass_seconds: Histogram,
    failures: Family<[(&'static str, String); 2], Counter>,
    notifications: Family<[(&'static str, String); 2], Counter>,
    store: Arc<OnceLock<Shown>>,
    policy: Arc<Mutex<Option<PolicyState>>>,
    leadership: Arc<OnceLock<Leadership>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let store = Arc::new(OnceLock::new());
        let policy = Arc::default();
        let leadership = Arc::default();
        let mut registry = Registry::with_prefix("jira_credential");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version that runs", build);
        let metrics = Self {
            probes: Family::default(),
            renewals: Family::default(),
            calls: Family::new_with_constructor(call_seconds),
            passes: Family::default(),
            pass_seconds: call_seconds(),
            failures: Family::default(),
            notifications: Family::default(),
            store: store.clone(),
            policy: Arc::clone(&policy),
            leadership: Arc::clone(&leadership),
            registry: Registry::default(),
        };
        registry.register(
            "probes",
            "Validations by the result of /myself",
            metrics.probes.clone(),
        );
        registry.register(
            "renewals",
            "Renewals by the result of the token endpoint, or of Jira: granted, dead, client_rejected, not_taken, no_verdict, not_allowed, too_late; of a login or a replacement also refused, limit_reached, too_long, forbidden, absent",
            metrics.renewals.clone(),
        );
        registry.register(
            "jira_request_duration_seconds",
            "Calls to Jira and Atlassian, by what they did and how they ended",
            metrics.calls.clone(),
        );
        registry.register(
            "reconcile",
            "Reconciles by outcome: success or error",
            metrics.passes.clone(),
        );
        registry.register(
            "reconcile_duration_seconds",
            "Time that a reconcile took",
            metrics.pass_seconds.clone(),
        );
        registry.register(
            "auth_failures",
            "Credentials that Jira refused, by method and reason",
            metrics.failures.clone(),
        );
        registry.register(
            "notifications",
            "Notifications by receiver (sink) and outcome: sent, failed, refused, given_up, dropped; each receiver has all of them from the start",
            metrics.notifications.clone(),
        );
        registry.register_collector(Box::new(Credentials::new(store)));
        registry.register_collector(Box::new(Policy(policy)));
        registry.register_collector(Box::new(Leader(leadership)));
        Self {
            registry,
            ..metrics
        }
    }
}

impl Metrics {
    /// The text that a scrape gets.
    ///
    /// # Errors
    /// When a metric cannot be encoded, which would be a bug.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// From now on the credentials of this store are shown. `last_validated` knows the exact time of
    /// the last acceptance, which the status tells at most once an hour. Of a shard, its credentials are shown, and
    /// how many no shard serves.
    pub fn show_credentials(
        &self,
        store: Store<Watched>,
        last_validated: LastValidated,
        shard: Option<Shard>,
    ) {
        let _ = self.store.set(Shown {
            store,
            last_validated,
            shard,
        });
    }

    /// Shows from now on whether this process leads.
    pub fn show_leadership(&self, leadership: Leadership) {
        let _ = self.leadership.set(leadership);
    }

    /// Shows what became of the admission policy; returns what was shown before.
    pub fn show_policy(&self, state: PolicyState) -> Option<PolicyState> {
        lock(&self.policy).replace(state)
    }

    /// What is shown of the admission policy.
    pub fn policy(&self) -> Option<PolicyState> {
        *lock(&self.policy)
    }

    /// A reconcile has ended.
    pub fn passed(&self, well: bool, took: Duration) {
        let outcome = if well { "success" } else { "error" };
        self.passes.get_or_create(&[("outcome", outcome)]).inc();
        self.pass_seconds.observe(took.as_secs_f64());
    }

    /// A renewal has ended.
    pub fn renewed(&self, method: Option<MethodName>, outcome: &'static str) {
        let method = method.map(|method| format!("{method:?}"));
        let labels = [
            ("method", method.unwrap_or_default()),
            ("outcome", outcome.to_owned()),
        ];
        self.renewals.get_or_create(&labels).inc();
    }

    /// Jira refused a credential.
    pub fn authentication_failed(&self, method: Option<MethodName>, reason: Reason) {
        let method = method.map(|method| format!("{method:?}"));
        let labels = [
            ("method", method.unwrap_or_default()),
            ("reason", format!("{reason:?}")),
        ];
        self.failures.get_or_create(&labels).inc();
    }
}

impl crate::jira::Observer for Metrics {
    fn call(&self, operation: &'static str, outcome: &'static str, seconds: f64) {
        if operation == "myself" {
            self.probes.get_or_create(&[("verdict", outcome)]).inc();
        }
        self.calls
            .get_or_create(&Call { operation, outcome })
            .observe(seconds);
    }
}

impl crate::notify::Observer for Metrics {
    /// Each outcome has a series from the start, since the first one has no increase otherwise.
    fn sink(&self, sink: &str) {
        for outcome in crate::notify::OUTCOMES {
            let labels = [("sink", sink.to_owned()), ("outcome", outcome.to_owned())];
            drop(self.notifications.get_or_create(&labels));
        }
    }

    fn notification(&self, sink: &str, outcome: &'static str) {
        let labels = [("sink", sink.to_owned()), ("outcome", outcome.to_owned())];
        self.notifications.get_or_create(&labels).inc();
    }
}

fn call_seconds() -> Histogram {
    Histogram::new([0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0])
}

/// Whether the admission policy is in force; no series as long as that is not known.
struct Policy(Arc<Mutex<Option<PolicyState>>>);

impl fmt::Debug for Policy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Policy")
    }
}

impl Collector for Policy {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(in_force) = lock(&self.0).and_then(PolicyState::in_force) else {
            return Ok(());
        };
        let gauge = ConstGauge::new(i64::from(in_force));
        let help = "1 when the admission policy is in force, 0 when it is missing, not bound or does not refuse; no series while that is not known";
        let metric_type = gauge.metric_type();
        gauge.encode(encoder.encode_descriptor("admission_policy", help, None, metric_type)?)
    }
}

/// Whether this process leads. One that has not read the API server yet does nothing, and shows 0.
struct Leader(Arc<OnceLock<Leadership>>);

impl fmt::Debug for Leader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Leader")
    }
}

impl Collector for Leader {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let leads = self.0.get().is_some_and(Leadership::leads);
        let gauge = ConstGauge::new(i64::from(leads));
        let help = "1 when the process leads or there is no election, 0 on standby. The sum over the replicas is 1, with --shard-selector over those of one shard. A standby shows no series of credentials and no admission_policy";
        let metric_type = gauge.metric_type();
        gauge.encode(encoder.encode_descriptor("leader", help, None, metric_type)?)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
