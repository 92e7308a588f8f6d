//! The flags that say which sites may be called, and how.

use std::path::PathBuf;

use clap::Args;

use crate::cli::failure::{Failure, failed};
use crate::cli::proxy_flags::ProxyFlags;
use crate::cli::values::https_address;
use crate::jira::{AddressPolicy, DEFAULT_CLOUD_HOSTS, HostPolicy, JiraConfig};

#[derive(Args, Debug)]
pub(super) struct NetworkFlags {
    /// Hosts of Atlassian Cloud sites: exact names, or `*.SUFFIX` with at least two labels.
    #[arg(long, env = "JCO_CLOUD_HOSTS", value_delimiter = ',', default_values = DEFAULT_CLOUD_HOSTS)]
    cloud_hosts: Vec<String>,
    /// Hosts of Data Center sites that credentials may be sent to, in the form of --cloud-hosts.
    #[arg(long, env = "JCO_ALLOWED_HOSTS", value_delimiter = ',')]
    allowed_hosts: Vec<String>,
    /// Base address of Atlassian's authorization server, where OAuth 2.0 tokens are renewed.
    ///
    /// The government cloud has its own. A refresh token belongs to one of them: a change needs new
    /// consents.
    #[arg(long, env = "JCO_AUTH_URL", default_value = "https://auth.atlassian.com", value_parser = https_address)]
    pub(super) auth_url: String,
    /// Base address of Atlassian's gateway, where tokens of OAuth 2.0 and API tokens with scopes are
    /// used.
    #[arg(long, env = "JCO_API_URL", default_value = "https://api.atlassian.com", value_parser = https_address)]
    pub(super) api_url: String,
    /// Addresses or networks, such as 10.1.0.0/16, that credentials may be sent to although they would
    /// be refused otherwise: loopback, link-local, and for Cloud also private ones.
    #[arg(long, env = "JCO_ALLOWED_ADDRESSES", value_delimiter = ',')]
    allowed_addresses: Vec<String>,
    /// NAT64 prefixes of this network beside `64:ff9b::/96`: an address under one of them is judged by
    /// the IPv4 address in it.
    #[arg(long, env = "JCO_NAT64_PREFIXES", value_delimiter = ',')]
    nat64_prefixes: Vec<String>,
    /// PEM file with certificate authorities to trust beside those of the system; they also count for a
    /// proxy of https.
    #[arg(long, env = "JCO_EXTRA_CA_FILE")]
    extra_ca_file: Option<PathBuf>,
    #[command(flatten)]
    proxy: ProxyFlags,
}

impl NetworkFlags {
    /// The hosts that credentials may be sent to.
    pub(super) fn hosts(&self) -> Result<HostPolicy, Failure> {
        HostPolicy::parse(&self.cloud_hosts, &self.allowed_hosts)
            .map_err(failed("the lists of hosts"))
    }

    /// How Jira is called.
    pub(super) fn jira(&self) -> Result<JiraConfig, Failure> {
        let extra_ca_pem = match &self.extra_ca_file {
            Some(path) => Some(std::fs::read(path).map_err(failed("--extra-ca-file"))?),
            None => None,
        };
        Ok(JiraConfig {
            addresses: AddressPolicy::parse(&self.allowed_addresses)
                .map_err(failed("--allowed-addresses"))?
                .with_nat64(&self.nat64_prefixes)
                .map_err(failed("--nat64-prefixes"))?,
            extra_ca_pem,
            proxy: self.proxy.read().map_err(failed("the proxy"))?,
            ..JiraConfig::default()
        })
    }
}
