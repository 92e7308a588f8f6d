//! What follows from a spec alone: its site, its plan, and what is wrong with it.

pub mod error;
pub mod plan;
pub mod rsa_key;
pub mod scopes;
pub mod site;
pub mod token_format;

pub use error::{InvalidValue, SourceError, SpecError, check_metadata};
pub use plan::{
    Client, Periods, Plan, RenewalKind, RenewalPlan, Stated, expiry, is_at_gateway, is_site_of,
};
pub use rsa_key::RsaKey;
pub use site::{CLOUD_SUFFIXES, Site, SiteError, is_cloud_host};
pub use token_format::{TokenFormat, TokenKind};
