//! The flags of the proxy that Jira is called through.

use std::path::PathBuf;

use clap::Args;

use crate::jira::{Proxy, ProxyError};

#[derive(Args, Debug)]
pub(super) struct ProxyFlags {
    /// The HTTP proxy that Jira and Atlassian are called through: `http://HOST:PORT` or
    /// `https://HOST:PORT`, without user and password.
    ///
    /// The variables `HTTPS_PROXY` and `NO_PROXY` are not read.
    #[arg(long, env = "JCO_HTTPS_PROXY", hide_env_values = true)]
    https_proxy: Option<String>,
    /// Hosts that are called without the proxy: NAME with all names below it, .NAME for those below it
    /// alone, NAME:PORT, or `*`.
    ///
    /// Addresses and networks have no effect: each site is a name.
    #[arg(long, env = "JCO_NO_PROXY", value_delimiter = ',')]
    no_proxy: Vec<String>,
    /// File with the credentials for the proxy: one line, user:password. Read for each connection.
    #[arg(long, env = "JCO_HTTPS_PROXY_CREDENTIALS_FILE")]
    https_proxy_credentials_file: Option<PathBuf>,
}

impl ProxyFlags {
    /// The proxy, if there is one.
    pub(super) fn read(&self) -> Result<Option<Proxy>, ProxyError> {
        let proxy = Proxy::parse(
            self.https_proxy.as_deref().unwrap_or_default(),
            &self.no_proxy,
            self.https_proxy_credentials_file.as_deref(),
        )?;
        if let Some(proxy) = &proxy {
            announce(proxy, &self.no_proxy);
        }
        Ok(proxy)
    }
}

/// Says once what a proxy changes.
fn announce(proxy: &Proxy, direct: &[String]) {
    tracing::info!(
        proxy = proxy.name(),
        credentials = proxy.has_credentials(),
        no_proxy = direct.join(","),
        "Jira is called through a proxy; it resolves the names of sites, so their addresses are not checked, except for hosts of --no-proxy"
    );
    if proxy.sends_in_clear() {
        tracing::warn!(
            proxy = proxy.name(),
            "the credentials for the proxy are sent in clear text, because the address in --https-proxy begins with http: use a proxy of https if the network in between is not trusted"
        );
    }
    if proxy.has_idle_addresses() {
        tracing::warn!(
            "--no-proxy: addresses and networks have no effect, because every site is a name: add the names of the sites there"
        );
    }
}
