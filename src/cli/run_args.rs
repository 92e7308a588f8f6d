//! The flags of `run`.

use std::net::SocketAddr;

use clap::Args;
use tracing::Level;

use crate::cli::failure::{Failure, failed};
use crate::cli::network_flags::NetworkFlags;
use crate::cli::notify_flags::NotifyFlags;
use crate::cli::values::{bind_address, namespace_name};
use crate::cluster::{Leadership, Selector, SelectorError, Shard, Terms};
use crate::controller::{OperatorConfig, SecretWatch};
use crate::core::facts::TimeScale;
use crate::ops::telemetry::LogFormat;

#[derive(Args, Debug)]
pub(super) struct RunArgs {
    /// Namespace of the operator, where it keeps the key of its fingerprints.
    #[arg(
        long,
        env = "JCO_NAMESPACE",
        default_value = "jira-credential-operator"
    )]
    pub(super) namespace: String,
    /// Namespaces whose credentials are served, by their names; all when it is left out.
    ///
    /// Rights in these namespaces and in that of --namespace are enough. Do not list that of
    /// --namespace. The `JiraCredentials` of other namespaces are not seen.
    #[arg(long, env = "JCO_WATCH_NAMESPACES", value_delimiter = ',', value_parser = namespace_name)]
    watch_namespaces: Vec<String>,
    /// The credentials that are served, by their labels, as in `kubectl get --selector`; all when it is
    /// left out.
    ///
    /// Its terms are `key=value`, `key!=value`, `key in (a,b)`, `key notin (a,b)`, `key` and `!key`,
    /// separated by commas. Operators with other selectors serve the others. Needs --leader-elect.
    #[arg(long, env = "JCO_SHARD_SELECTOR")]
    shard_selector: Option<String>,
    /// How changes of Secrets are noticed: by a watch on their metadata, or by asking for those that
    /// are named.
    ///
    /// `metadata`: the operator watches the metadata of all Secrets that it may see. `none`: without
    /// the rights to list and watch Secrets, it asks for those that a `JiraCredential` names.
    #[arg(long, env = "JCO_WATCH_SECRETS", default_value = "metadata")]
    watch_secrets: SecretWatch,
    /// Read Secrets as sources only if they have the label jira-operator.dev/source=true.
    ///
    /// Each Secret that a spec names needs the label. A `JiraCredential` with one that lacks it is
    /// `SourceNotAllowed`.
    #[arg(long, env = "JCO_REQUIRE_SOURCE_LABEL")]
    require_source_label: bool,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    notify: NotifyFlags,
    /// Keep names and e-mail addresses of accounts out of the status and of messages.
    #[arg(long, env = "JCO_HIDE_ACCOUNT_NAMES")]
    hide_account_names: bool,
    /// Prefixes of labels and annotations that targets may have.
    ///
    /// Anyone who can create `JiraCredentials` can have Secrets written with such labels and annotations,
    /// with any keys, and with a type of their own: controllers that select Secrets by label or type
    /// may act on them.
    #[arg(long, env = "JCO_ALLOWED_METADATA_KEYS", value_delimiter = ',', default_values = ["app.kubernetes.io/", "jenkins.io/", "reloader.stakater.com/"])]
    allowed_metadata_keys: Vec<String>,
    /// Name of the `ValidatingAdmissionPolicy` of deploy/ and of its binding.
    ///
    /// The operator looks for both at its start and every ten minutes, and reports whether they are in
    /// force.
    #[arg(
        long,
        env = "JCO_ADMISSION_POLICY",
        default_value = "jira-credential-operator"
    )]
    admission_policy: String,
    /// Reconciles that run at once, not counting those that wait for Jira.
    ///
    /// A quarter is reserved for namespaces without a running reconcile.
    #[arg(long, env = "JCO_MAX_CONCURRENT_RECONCILES", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    max_concurrent_reconciles: u16,
    /// Calls to one Jira site at a time; renewals that are due may make as many again.
    ///
    /// A quarter is reserved for namespaces without a call to the site.
    #[arg(long, env = "JCO_MAX_CONCURRENT_CALLS_PER_SITE", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    max_concurrent_calls_per_site: u16,
    /// Address of /metrics.
    #[arg(long, env = "JCO_METRICS_BIND_ADDRESS", default_value = ":8080", value_parser = bind_address)]
    pub(super) metrics_bind_address: SocketAddr,
    /// Address of /healthz and /readyz.
    #[arg(long, env = "JCO_HEALTH_PROBE_BIND_ADDRESS", default_value = ":8081", value_parser = bind_address)]
    pub(super) health_probe_bind_address: SocketAddr,
    /// Act only while holding a Lease, and stand by otherwise: for more than one replica.
    ///
    /// deploy/ and the chart set it.
    #[arg(long, env = "JCO_LEADER_ELECT")]
    pub(super) leader_elect: bool,
    /// Namespace of the Lease; that of --namespace when it is left out.
    ///
    /// The Lease is `jira-credential-operator`; with --shard-selector that name, a hyphen and ten
    /// characters that follow from the selector, which the log names. The Role and `RoleBinding` for it
    /// must be in this namespace.
    #[arg(long, env = "JCO_LEADER_ELECTION_NAMESPACE")]
    pub(super) leader_election_namespace: Option<String>,
    /// Divides the times of the election, for tests. Not in a program that ships.
    #[cfg(feature = "test-pace")]
    #[arg(long, hide = true, env = "JCO_TEST_LEASE_PACE", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10))]
    test_lease_pace: u64,
    /// Divides the waits of the renewal protocol, for tests against a simulator whose lifetimes
    /// are divided alike. Not in a program that ships.
    #[cfg(feature = "test-pace")]
    #[arg(long, hide = true, env = "JCO_TEST_PACE", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=1000))]
    test_pace: i32,
    /// The format of log lines: text or json.
    #[arg(long, env = "JCO_LOG_FORMAT", default_value = "text")]
    pub(super) log_format: LogFormat,
    /// The least severe level that is logged: error, warn, info, debug or trace.
    ///
    /// Libraries never log more than warnings.
    #[arg(long, env = "JCO_LOG_LEVEL", default_value_t = Level::INFO)]
    pub(super) log_level: Level,
}

impl RunArgs {
    /// What the operator is to do.
    ///
    /// # Errors
    /// When a flag has a value that makes no sense, or a file that it names cannot be read.
    pub(super) fn config(&self) -> Result<OperatorConfig, Failure> {
        Ok(OperatorConfig {
            namespace: self.namespace.clone(),
            watch_namespaces: self
                .watched_namespaces()
                .map_err(failed("--watch-namespaces"))?,
            shard: self.shard().map_err(failed("--shard-selector"))?,
            watch_secrets: self.watch_secrets,
            require_source_label: self.require_source_label,
            hosts: self.network.hosts()?,
            jira: self.network.jira()?,
            notify: self.notify.read()?,
            hide_account_names: self.hide_account_names,
            allowed_metadata_keys: self
                .allowed_metadata_keys
                .iter()
                .filter(|prefix| !prefix.is_empty())
                .cloned()
                .collect(),
            admission_policy: self.admission_policy.clone(),
            max_concurrent_reconciles: self.max_concurrent_reconciles,
            max_concurrent_calls_per_site: usize::from(self.max_concurrent_calls_per_site),
            auth_url: self.network.auth_url.clone(),
            api_url: self.network.api_url.clone(),
            // In a pod the name of the host is the name of the pod.
            pod: std::env::var("HOSTNAME").unwrap_or_default(),
            leadership: Leadership::default(),
            time_scale: self.time_scale(),
            reconciles: None,
        })
    }

    /// An empty variable is an empty list. A list of empty names is a mistake, and must not mean every
    /// namespace.
    pub(super) fn watched_namespaces(&self) -> Result<Vec<String>, String> {
        match self.watch_namespaces.as_slice() {
            [name] if name.is_empty() => Ok(Vec::new()),
            names if names.iter().any(String::is_empty) => {
                Err("a name is empty: remove the comma before or after it".to_owned())
            }
            names => Ok(names.to_vec()),
        }
    }

    /// An empty selector is a mistake: as in kubectl it would be all, and that makes the operators of all other
    /// shards stop. Without an election nobody would notice that two operators serve the same.
    pub(super) fn shard(&self) -> Result<Option<Shard>, String> {
        let Some(written) = self.shard_selector.as_deref().map(str::trim) else {
            return Ok(None);
        };
        if written.is_empty() {
            return Err("it is empty: leave it out, and JCO_SHARD_SELECTOR too, if the operator is to serve all JiraCredentials".to_owned());
        }
        let selector: Selector = written
            .parse()
            .map_err(|error: SelectorError| error.to_string())?;
        if !self.leader_elect {
            return Err("it needs --leader-elect: operators of several shards find each other by their Leases".to_owned());
        }
        let (lease, serves) = (selector.lease_name(), selector.to_string());
        tracing::info!(lease, "serves the credentials with {serves}");
        Ok(Some(Shard::new(selector)))
    }

    #[cfg(feature = "test-pace")]
    pub(super) fn terms(&self) -> Terms {
        Terms::default().divided_by(self.test_lease_pace)
    }

    #[cfg(not(feature = "test-pace"))]
    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(super) fn terms(&self) -> Terms {
        Terms::default()
    }

    #[cfg(feature = "test-pace")]
    fn time_scale(&self) -> TimeScale {
        TimeScale(self.test_pace)
    }

    #[cfg(not(feature = "test-pace"))]
    #[expect(clippy::unused_self, reason = "as with the feature")]
    fn time_scale(&self) -> TimeScale {
        TimeScale::default()
    }
}
