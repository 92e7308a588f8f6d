//! Calls over HTTPS, to sites of Jira and to receivers of notifications: which addresses may be connected to,
//! through which proxy, whom TLS trusts, and one call. Knows neither Atlassian nor Kubernetes.

pub mod address_policy;
mod body;
mod call;
mod causes;
mod connect;
mod dns;
mod error;
pub mod host_patterns;
mod network;
mod no_proxy;
pub mod proxy;
mod proxy_attempts;
mod tls;
mod tunnel;

pub use address_policy::{AddressPatternError, AddressPolicy, Nat64PrefixError};
pub(crate) use body::{Body, read_body, read_body_up_to};
pub use call::Timeouts;
pub(crate) use call::{Client, Response};
pub(crate) use connect::ConnectError;
pub(crate) use error::CallError;
pub use host_patterns::{HostPatternError, HostPatterns};
pub use network::Network;
pub use no_proxy::NoProxyError;
pub use proxy::{CredentialsError, Proxy, ProxyError};
pub use tls::TrustError;
