//! How the operator is configured, and why it cannot start.

use std::sync::Arc;
use std::time::Instant;

use futures::channel::mpsc::UnboundedSender;

use crate::clock::Clock;
use crate::cluster::{ClusterError, Leadership, Shard};
use crate::core::facts::TimeScale;
use crate::jira::{HostPolicy, Jira, JiraConfig, JiraError, TrustError};
use crate::notify::{self, Notifier, NotifyConfig};
use crate::ops::metrics::Metrics;

/// How the operator learns of changes of Secrets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum SecretWatch {
    /// It watches the metadata of all Secrets, which needs the rights to list and watch them.
    #[default]
    Metadata,
    /// It asks for the metadata of those that a credential names, at least once in each interval of
    /// validation.
    None,
}

/// What an administrator sets.
#[derive(Clone)]
pub struct OperatorConfig {
    /// The namespace of the operator, where the key of the fingerprints is kept.
    pub namespace: String,
    /// The namespaces to watch; empty: all of them.
    pub watch_namespaces: Vec<String>,
    /// The credentials that are served, by their labels; `None`: all.
    pub shard: Option<Shard>,
    /// How changes of Secrets are noticed.
    pub watch_secrets: SecretWatch,
    /// Whether a Secret is a source only with the label by which its owner lets it be one.
    pub require_source_label: bool,
    /// Which hosts a credential may be sent to.
    pub hosts: HostPolicy,
    /// How Jira is called.
    pub jira: JiraConfig,
    /// Where notifications go, if they go anywhere.
    pub notify: Option<NotifyConfig>,
    /// Whether names and e-mail addresses of accounts are kept out of the status.
    pub hide_account_names: bool,
    /// Prefixes of labels and annotations that a target may have.
    pub allowed_metadata_keys: Vec<String>,
    /// Name of the `ValidatingAdmissionPolicy` that is looked for, and of its binding.
    pub admission_policy: String,
    /// Reconciles at a time, without those that wait for Jira.
    pub max_concurrent_reconciles: u16,
    /// Calls to one site at a time; renewals that are due may make as many again.
    pub max_concurrent_calls_per_site: usize,
    /// Base address of Atlassian's authorization server.
    pub auth_url: String,
    /// Base address of Atlassian's gateway.
    pub api_url: String,
    /// What distinguishes this replica for people.
    pub pod: String,
    /// Whether this process may act: always, unless it stands for election.
    pub leadership: Leadership,
    /// How fast the renewal protocol's own clocks run; 1 outside of tests.
    pub time_scale: TimeScale,
    /// Receives every reconcile that has looked at its object; for tests.
    pub reconciles: Option<UnboundedSender<Reconciled>>,
}

impl OperatorConfig {
    /// Starts to send notifications, if there are receivers.
    pub(super) fn notifier(
        &self,
        jira: &Jira,
        clock: &Clock,
        metrics: &Arc<Metrics>,
    ) -> Result<Option<Notifier>, StartError> {
        let Some(sinks) = self.notify.clone() else {
            return Ok(None);
        };
        let leadership = self.leadership.clone();
        let permit = Arc::new(move || leadership.leads());
        let (network, metrics) = (jira.network(), Arc::clone(metrics));
        let notifier = notify::start(sinks, network, clock.clone(), metrics, permit);
        notifier.map(Some).map_err(StartError::Notify)
    }
}

/// A reconcile that has ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reconciled {
    /// Namespace of the credential.
    pub namespace: String,
    /// Name of the credential.
    pub name: String,
    /// When the reconcile started.
    pub started: Instant,
}

/// Why the operator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Jira cannot be called.
    #[error(transparent)]
    Jira(#[from] JiraError),
    /// Notifications cannot be sent.
    #[error("--notify-config: {0}")]
    Notify(TrustError),
    /// The key of the fingerprints can be neither read nor made.
    #[error("the Secret with the key of the fingerprints: {0}")]
    Key(#[from] ClusterError),
}

impl StartError {
    /// Whether another try can succeed without anybody doing anything.
    pub fn is_passing(&self) -> bool {
        match self {
            StartError::Jira(_) | StartError::Notify(_) => false,
            StartError::Key(error) => match error {
                ClusterError::TimedOut
                | ClusterError::Unavailable(_)
                | ClusterError::Conflict
                | ClusterError::NotFound
                | ClusterError::AlreadyExists
                // The leader makes the key.
                | ClusterError::NotLeading => true,
                ClusterError::Refused(_) | ClusterError::Forbidden(_) => false,
            },
        }
    }
}
