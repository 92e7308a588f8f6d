//! Metrics. No label holds an account, a path or a token. The series of a credential are read
//! from the store when they are asked for, so that they vanish with the object.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use kube::ResourceExt;
use kube::runtime::reflector::Store;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::api::{
    ConditionStatus, ConditionType, JiraCredential, JiraCredentialStatus, MethodName, Reason,
};
use crate::cluster::{PolicyState, Watched};

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
    failures: Family<[(&'static str, String); 1], Counter>,
    store: Arc<OnceLock<Shown>>,
    policy: Arc<Mutex<Option<PolicyState>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let store = Arc::new(OnceLock::new());
        let policy = Arc::default();
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
            store: store.clone(),
            policy: Arc::clone(&policy),
            registry: Registry::default(),
        };
        registry.register(
            "probes",
            "Probes of /myself by verdict",
            metrics.probes.clone(),
        );
        registry.register(
            "renewals",
            "Renewals by method and outcome",
            metrics.renewals.clone(),
        );
        registry.register(
            "jira_request_duration_seconds",
            "Calls to Jira",
            metrics.calls.clone(),
        );
        registry.register("reconcile", "Passes by outcome", metrics.passes.clone());
        registry.register(
            "reconcile_duration_seconds",
            "Time of a pass",
            metrics.pass_seconds.clone(),
        );
        registry.register(
            "auth_failures",
            "Refusals by reason",
            metrics.failures.clone(),
        );
        registry.register_collector(Box::new(Credentials(store)));
        registry.register_collector(Box::new(Policy(policy)));
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
    /// the last acceptance, which the status tells at most once an hour.
    pub fn show_credentials(&self, store: Store<Watched>, last_validated: LastValidated) {
        let _ = self.store.set(Shown {
            store,
            last_validated,
        });
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
    pub fn authentication_failed(&self, reason: Reason) {
        self.failures
            .get_or_create(&[("reason", format!("{reason:?}"))])
            .inc();
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

fn call_seconds() -> Histogram {
    Histogram::new([0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0])
}

/// Tells when Jira last accepted a credential.
pub type LastValidated = Box<dyn Fn(&JiraCredential) -> Option<DateTime<Utc>> + Send + Sync>;

/// What is shown of the credentials.
struct Shown {
    store: Store<Watched>,
    last_validated: LastValidated,
}

/// The series of the credentials, made when they are asked for.
struct Credentials(Arc<OnceLock<Shown>>);

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials")
    }
}

/// The value of one credential, by its status and the exact time of its last acceptance; `None` leaves
/// the series out.
type Read = fn(&JiraCredentialStatus, Option<DateTime<Utc>>) -> Option<i64>;

const SERIES: [(&str, &str, Read); 8] = [
    (
        "ready",
        "1 when what pods mount is current and validated",
        |status, _| Some(holds(status, ConditionType::Ready)),
    ),
    (
        "valid",
        "1 when Jira accepts the credential",
        |status, _| Some(holds(status, ConditionType::Valid)),
    ),
    (
        "rotation_due",
        "1 when a person must rotate the credential",
        |status, _| Some(holds(status, ConditionType::RotationDue)),
    ),
    (
        "expiration_timestamp_seconds",
        "End of life, where known",
        |status, _| seconds(status.expires_at),
    ),
    (
        "renewal_timestamp_seconds",
        "When the operator renews the token, or a person should rotate the credential",
        |status, _| seconds(status.next_renewal_time.or(status.rotation_due_time)),
    ),
    (
        "consent_expiration_timestamp_seconds",
        "When the consent behind the token ends",
        |status, _| {
            seconds(
                status
                    .grant
                    .as_ref()
                    .and_then(|grant| grant.consent_expires_at),
            )
        },
    ),
    (
        "idle_expiration_timestamp_seconds",
        "When the refresh token dies if it is not used before",
        |status, _| {
            seconds(
                status
                    .grant
                    .as_ref()
                    .and_then(|grant| grant.idle_expires_at),
            )
        },
    ),
    (
        "last_validated_timestamp_seconds",
        "Last acceptance by Jira",
        |_, last_validated| seconds(last_validated),
    ),
];

fn holds(status: &JiraCredentialStatus, kind: ConditionType) -> i64 {
    let found = status.condition(kind);
    i64::from(found.is_some_and(|condition| condition.status == ConditionStatus::True))
}

fn seconds(time: Option<DateTime<Utc>>) -> Option<i64> {
    time.map(|time| time.timestamp())
}

impl Collector for Credentials {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(shown) = self.0.get() else {
            return Ok(());
        };
        let objects = shown.store.state();
        for (name, help, read) in SERIES {
            let gauge = ConstGauge::<i64>::new(0);
            let mut family = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            for object in objects.iter().filter_map(|object| object.0.as_ref().ok()) {
                let last_validated = (shown.last_validated)(object);
                let status = object.status.as_ref();
                let Some(value) = status.and_then(|status| read(status, last_validated)) else {
                    continue;
                };
                let labels = labels(object);
                let series = family.encode_family(&labels)?;
                ConstGauge::new(value).encode(series)?;
            }
        }
        Ok(())
    }
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
        let help = "1 when the ValidatingAdmissionPolicy is in force, 0 when it is not";
        let metric_type = gauge.metric_type();
        gauge.encode(encoder.encode_descriptor("admission_policy", help, None, metric_type)?)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn labels(object: &JiraCredential) -> [(&'static str, String); 2] {
    [
        ("namespace", object.namespace().unwrap_or_default()),
        ("name", object.name_any()),
    ]
}
