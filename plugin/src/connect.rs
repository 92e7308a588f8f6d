//! The API server: which one, as whom, and how long a request may take.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use kube::client::AuthError;
use kube::config::{
    ExecConfig, ExecInteractiveMode, KubeConfigOptions, Kubeconfig, KubeconfigError,
};
use kube::{Client, Config};

use crate::failure::{Exit, Failure};
use crate::words;

/// The flags that kubectl has too.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of kubectl")]
pub struct ConnectArgs {
    /// Path to the kubeconfig file; otherwise KUBECONFIG, then ~/.kube/config, then the pod's own.
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Name of the kubeconfig context.
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// Namespace; otherwise that of the context.
    #[arg(short, long, global = true)]
    pub namespace: Option<String>,
    /// User to impersonate.
    #[arg(long = "as", global = true, value_name = "USER")]
    pub impersonate: Option<String>,
    /// Group to impersonate; may be given several times.
    #[arg(
        long = "as-group",
        global = true,
        value_name = "GROUP",
        requires = "impersonate"
    )]
    pub impersonate_groups: Vec<String>,
    /// How long one request to the API server may take, such as 5s; 0 means no limit.
    #[arg(long, global = true, default_value = "0", value_parser = words::limit, value_name = "TIME")]
    pub request_timeout: Duration,
}

/// The API server, as one command uses it.
#[derive(Clone)]
pub struct Cluster {
    /// The client, for what has a limit of its own.
    pub client: Client,
    /// The namespace that the command is about.
    pub namespace: String,
    limit: Duration,
}

impl ConnectArgs {
    /// Connects as kubectl would with the same flags.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read or used.
    pub async fn connect(&self) -> Result<Cluster, Failure> {
        let mut config = self.config().await?;
        if let Some(exec) = &mut config.auth_info.exec
            && !std::io::stdin().is_terminal()
        {
            keep_input(exec)?;
        }
        if let Some(user) = &self.impersonate {
            config.auth_info.impersonate = Some(user.clone());
            config.auth_info.impersonate_groups =
                (!self.impersonate_groups.is_empty()).then(|| self.impersonate_groups.clone());
        }
        let namespace = self.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| {
            Failure::error(secretive(&error).map_or_else(
                || {
                    format!(
                        "the kubeconfig cannot be used: {error}; check it with kubectl cluster-info"
                    )
                },
                str::to_owned,
            ))
        })?;
        Ok(Cluster {
            client,
            namespace,
            limit: self.request_timeout,
        })
    }

    async fn config(&self) -> Result<Config, Failure> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let read = match &self.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        match read {
            Ok(kubeconfig) => Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .map_err(|error| unusable(&error)),
            // Without any file, in a pod: as its ServiceAccount.
            Err(error) if self.kubeconfig.is_none() && self.context.is_none() => {
                Config::incluster().map_err(|_| unusable(&error))
            }
            Err(error) => Err(unusable(&error)),
        }
    }
}

fn unusable(error: &KubeconfigError) -> Failure {
    // The error of the parser quotes lines of the file.
    if matches!(error, KubeconfigError::Parse(_)) {
        return Failure::error(
            "the kubeconfig cannot be used: it is no valid YAML of a kubeconfig; run kubectl config view to see why",
        );
    }
    Failure::error(format!(
        "the kubeconfig cannot be used: {error}; give --kubeconfig or --context, or set KUBECONFIG"
    ))
}

/// Keeps what is piped in, which may be a token, from the credential plugin of the kubeconfig: it would
/// inherit standard input. kubectl refuses `Always` without a terminal, too.
fn keep_input(exec: &mut ExecConfig) -> Result<(), Failure> {
    if exec.interactive_mode == Some(ExecInteractiveMode::Always) {
        return Err(Failure::error(
            "the credential plugin of the kubeconfig needs a terminal (interactiveMode Always), and standard input is none: log in to the cluster first, or run this command in a terminal",
        ));
    }
    exec.interactive_mode = Some(ExecInteractiveMode::Never);
    Ok(())
}

impl Cluster {
    /// A cluster whose requests have no limit.
    #[cfg(test)]
    pub fn of(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            limit: Duration::ZERO,
        }
    }

    /// Makes one request. `what` says what it does: "list jiracredentials".
    ///
    /// # Errors
    /// When the request fails or takes longer than `--request-timeout`.
    pub async fn ask<T>(
        &self,
        what: &str,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Failure> {
        let answer = self.within(request).await.ok_or_else(|| timed_out(what))?;
        answer.map_err(|error| failed(what, &error))
    }

    /// Makes one request whose failure is an answer too; `None` when its time ran out.
    pub async fn within<T>(&self, request: impl Future<Output = T>) -> Option<T> {
        if self.limit.is_zero() {
            return Some(request.await);
        }
        tokio::time::timeout(self.limit, request).await.ok()
    }
}

/// What it means that the time of a request ran out.
pub fn timed_out(what: &str) -> Failure {
    Failure::new(
        Exit::TimedOut,
        format!(
            "cannot {what}: the API server did not answer within --request-timeout; try a longer one"
        ),
    )
}

/// What a failed request means for a person.
pub fn failed(what: &str, error: &kube::Error) -> Failure {
    let remedy = match error {
        kube::Error::Api(status) => match status.code {
            401 => "log in to the cluster again",
            403 => "ask an administrator for the right, or see kubectl jira-credential doctor",
            404 => {
                "check name and namespace; if no JiraCredential is found at all, see kubectl jira-credential doctor"
            }
            409 => "somebody changed it meanwhile; try again",
            _ => "see kubectl jira-credential doctor",
        },
        _ => "check the connection with kubectl cluster-info",
    };
    if let Some(cause) = secretive(error) {
        return Failure::error(format!("cannot {what}: {cause}"));
    }
    let cause = match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => with_causes(other),
    };
    Failure::error(format!("cannot {what}: {cause}; {remedy}"))
}

/// The message that replaces the text of an error that may hold a secret: the environment and the output
/// of a credential plugin, or the password in the URL of a proxy.
pub fn secretive(error: &kube::Error) -> Option<&'static str> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if cause.is::<AuthError>() {
            return Some(
                "the credential plugin of the kubeconfig failed: run kubectl cluster-info to see why",
            );
        }
        if let Some(
            kube::Error::ProxyProtocolDisabled { .. }
            | kube::Error::ProxyProtocolUnsupported { .. },
        ) = cause.downcast_ref()
        {
            return Some(
                "the kubeconfig or HTTPS_PROXY names a proxy of a kind that this plugin does not support: give an http:// address, or unset it for this command",
            );
        }
        next = cause.source();
    }
    None
}

/// An error with what caused it, as far as that is not in its text already.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    text
}
