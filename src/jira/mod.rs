//! Everything about Atlassian: which hosts and addresses a credential may be sent to, how it is
//! sent, and what the answer means.
//!
//! Knows nothing of Kubernetes. The order of a probe: the gate of the site (`gate`), a client
//! with the right trust (`http`, `trust`), the address behind the name (`resolver`,
//! [`addresses`]), the call ([`whoami`]), the reading of the answer ([`verdict`]) or of the
//! failure (`failure`).

pub mod addresses;
pub mod admin;
pub mod credential;
mod failure;
mod gate;
pub mod hosts;
mod http;
pub mod oauth1;
pub mod oauth2;
pub mod observer;
pub mod pat;
pub mod permissions;
mod resolver;
mod rest;
pub mod session;
pub mod survey;
mod trust;
pub mod verdict;
pub mod whoami;

pub use addresses::{AddressPatternError, AddressPolicy};
pub use admin::TokenList;
pub use credential::Credential;
pub use hosts::{DEFAULT_CLOUD_HOSTS, HostPatternError, HostPolicy, HostRefusal};
pub use http::Timeouts;
pub use oauth1::Signer;
pub use oauth2::{Granted, Provider, TokenAnswer, TokenRequest};
pub use observer::Observer;
pub use pat::{Made, MintAnswer, Owner};
pub use permissions::Question;
pub use rest::{Place, silence};
pub use session::{Login, LoginAnswer, Refused};
pub use trust::TrustError;
pub use whoami::{Jira, JiraConfig, JiraError};
