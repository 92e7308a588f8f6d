//! Everything about Atlassian: which hosts and addresses a credential may be sent to, how it is
//! sent, and what the answer means.
//!
//! Knows nothing about Kubernetes. A validation passes the limiter of the site (`site_limiter`), gets a
//! client with the right trust (`http`), connects and makes the call ([`crate::net`], [`myself`]), and reads the
//! response ([`response`]) or the failure (`transport_error`).

pub mod client;
pub mod credential;
mod data_center;
pub mod gateway;
pub mod host_policy;
mod http;
pub mod issues;
pub mod myself;
pub mod oauth1;
pub mod oauth2;
pub mod observer;
pub mod org_tokens;
pub mod pat;
pub mod permissions;
pub mod response;
pub mod session;
mod site_limiter;
mod transport_error;

pub use crate::net::{
    AddressPatternError, AddressPolicy, CredentialsError, Nat64PrefixError, NoProxyError, Proxy,
    ProxyError, Timeouts, TrustError,
};
pub use client::{Jira, JiraConfig, JiraError, Permit};
pub use credential::Credential;
pub use data_center::{Place, silence};
pub use host_policy::{DEFAULT_CLOUD_HOSTS, HostPolicy, HostRefusal};
pub use issues::{Desk, Issue, IssueError, NewIssue, Transition};
pub use oauth1::{AccessToken, Consumer, Signer};
pub use oauth2::{CodeExchange, Granted, Provider, TokenAnswer, TokenRequest};
pub use observer::{AUDIT, Holder, Observer};
pub use org_tokens::TokenList;
pub use pat::{Denied, Made, MintAnswer, Owner, TokensError};
pub use permissions::Question;
pub use session::{Login, LoginAnswer, Refused};
pub use site_limiter::{Caller, Urgency, site_key};
