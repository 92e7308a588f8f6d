//! The flags of notifications.

use std::path::PathBuf;

use clap::Args;

use crate::cli::failure::{Failure, failed};
use crate::net::HostPatterns;
use crate::notify::NotifyConfig;

#[derive(Args, Debug)]
pub(super) struct NotifyFlags {
    /// YAML file that says where notifications about credentials that need a person go.
    ///
    /// It is read at the start.
    #[arg(long, env = "JCO_NOTIFY_CONFIG")]
    notify_config: Option<PathBuf>,
    /// Hosts that notifications may be sent to, in the form of --cloud-hosts.
    #[arg(long, env = "JCO_NOTIFY_HOSTS", value_delimiter = ',')]
    notify_hosts: Vec<String>,
}

impl NotifyFlags {
    /// Where notifications go. An empty variable is none.
    pub(super) fn read(&self) -> Result<Option<NotifyConfig>, Failure> {
        let hosts = HostPatterns::parse("--notify-hosts", &self.notify_hosts);
        let hosts = hosts.map_err(failed("the lists of hosts"))?;
        let path = self.notify_config.as_deref();
        let Some(path) = path.filter(|path| !path.as_os_str().is_empty()) else {
            return Ok(None);
        };
        let config = NotifyConfig::load(path, hosts).map_err(failed("--notify-config"))?;
        tracing::info!(sinks = config.summary(), "notifications are sent");
        for (sink, problem) in config.without_address() {
            tracing::warn!(
                sink,
                problem = format!("urlFile {problem}"),
                "gets nothing until this is corrected"
            );
        }
        Ok(Some(config))
    }
}
