//! How a simulator is started.

use std::net::{IpAddr, Ipv4Addr};

/// The name under which Cloud sites are made by default: `<site>.cloud.localhost`.
pub const CLOUD_SUFFIX: &str = "cloud.localhost";
/// The name under which Data Center instances are made by default: `<name>.dc.localhost`.
pub const DATA_CENTER_SUFFIX: &str = "dc.localhost";
/// The gateway's default host, the stand-in for `api.atlassian.com`.
pub const GATEWAY_HOST: &str = "api.cloud.localhost";
/// The token endpoint's default host, the stand-in for `auth.atlassian.com`.
pub const AUTH_HOST: &str = "auth.cloud.localhost";

/// How to start a simulator. The default suits a test: free ports, no admin API.
#[derive(Debug, Clone)]
pub struct Config {
    /// The loopback address of both ports; by default 127.0.0.1.
    pub address: IpAddr,
    /// The HTTPS port; 0 takes a free one.
    pub port: u16,
    /// The port of the plain-HTTP admin API; 0 takes a free one, `None` starts none.
    pub admin_port: Option<u16>,
    /// Further names in the server certificate, such as `*.atlassian.test`. Any other name works
    /// too: its certificate is made when a client first asks for it by SNI.
    pub extra_names: Vec<String>,
    /// The hosts that answer as the gateway (`/ex/jira/{cloudId}/…`).
    pub gateway_hosts: Vec<String>,
    /// The hosts that answer as the OAuth 2.0 token endpoint (`/oauth/token`).
    pub auth_hosts: Vec<String>,
    /// The suffix of the hosts that [`crate::Sim::cloud_site`] makes.
    pub cloud_suffix: String,
    /// The suffix of the hosts that [`crate::Sim::data_center`] makes.
    pub data_center_suffix: String,
    /// How many calls the log keeps; older ones are forgotten. The counters go on.
    pub call_log_capacity: usize,
    /// Threads of the simulator's own runtime. One is enough for several thousand requests a
    /// second and leaves the other cores to the thing that is measured.
    pub worker_threads: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            admin_port: None,
            extra_names: Vec::new(),
            gateway_hosts: vec![GATEWAY_HOST.to_owned(), "api.atlassian.com".to_owned()],
            auth_hosts: vec![AUTH_HOST.to_owned(), "auth.atlassian.com".to_owned()],
            cloud_suffix: CLOUD_SUFFIX.to_owned(),
            data_center_suffix: DATA_CENTER_SUFFIX.to_owned(),
            call_log_capacity: 100_000,
            worker_threads: 1,
        }
    }
}

/// Why a simulator could not start, or an admin request could not be done.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// A socket, a thread or a file.
    #[error("input/output: {0}")]
    Io(#[from] std::io::Error),
    /// A certificate could not be made.
    #[error("certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A TLS configuration could not be built.
    #[error("tls: {0}")]
    Tls(#[from] rustls::Error),
    /// The runtime's thread ended before it reported its ports.
    #[error("the simulator's thread ended at its start")]
    Thread,
    /// A state document or an admin request that makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// A thing that an admin request names does not exist.
    #[error("no such {0}")]
    Unknown(String),
}
