//! Everything about Atlassian: which hosts and addresses a credential may be sent to, how it is
//! sent, and what the answer means.
//!
//! Knows nothing about Kubernetes. A validation passes the limiter of the site (`site_limiter`), gets a
//! client with the right trust (`http`, `tls`), connects to the address behind the name (`connect`, `dns`,
//! [`address_policy`]) or through the proxy ([`proxy`], `tunnel`), makes the call ([`myself`], `call`), and reads the
//! response ([`response`]) or the failure (`transport_error`).

pub mod address_policy;
mod call;
mod causes;
pub mod client;
mod connect;
pub mod credential;
mod data_center;
mod dns;
pub mod gateway;
pub mod host_policy;
mod http;
pub mod myself;
mod no_proxy;
pub mod oauth1;
pub mod oauth2;
pub mod observer;
pub mod org_tokens;
pub mod pat;
pub mod permissions;
pub mod proxy;
mod proxy_attempts;
pub mod response;
pub mod session;
mod site_limiter;
mod tls;
mod transport_error;
mod tunnel;

pub use address_policy::{AddressPatternError, AddressPolicy, Nat64PrefixError};
pub use call::Timeouts;
pub use client::{Jira, JiraConfig, JiraError, Permit};
pub use credential::Credential;
pub use data_center::{Place, silence};
pub use host_policy::{DEFAULT_CLOUD_HOSTS, HostPatternError, HostPolicy, HostRefusal};
pub use no_proxy::NoProxyError;
pub use oauth1::{AccessToken, Consumer, Signer};
pub use oauth2::{CodeExchange, Granted, Provider, TokenAnswer, TokenRequest};
pub use observer::{AUDIT, Holder, Observer};
pub use org_tokens::TokenList;
pub use pat::{Denied, Made, MintAnswer, Owner, TokensError};
pub use permissions::Question;
pub use proxy::{CredentialsError, Proxy, ProxyError};
pub use session::{Login, LoginAnswer, Refused};
pub use site_limiter::{Caller, Urgency, site_key};
pub use tls::TrustError;
