//! Atlassian's OAuth 2.0 token endpoint and those of Data Center instances: clients, consents,
//! authorization codes, rotating refresh tokens.
//!
//! A consent founds a family of refresh tokens. Every exchange of one gives its successor:
//!
//! ```text
//! rt-1 ──exchange──▶ rt-2 ──exchange──▶ rt-3      the newest: never exchanged
//!   └──again, within the leeway──▶ rt-4           a sibling of rt-2, or rt-2 once more
//!   └──again, after the leeway──▶ the whole family is dead, access tokens included
//! ```
//!
//! On Data Center there is no leeway, and what was exchanged is forgotten: presenting it again
//! gives nothing and harms nothing.

mod app;
mod authorize;
mod codes;
mod consent;
mod data_center;
mod endpoint;
mod exchange;
mod families;
mod form;
mod ledger;
mod provider;
mod provider_authorize;
mod settings;
mod sim;

pub(crate) use app::resources;
pub(crate) use endpoint::{caller, handle};
pub(crate) use families::{OAuth, Resource, Service, Source};
pub(crate) use ledger::Ticket;
pub(crate) use provider::{is_token_path, token};
pub(crate) use provider_authorize::{authorize, is_authorize_path, users};

pub use app::OAuthApp;
pub use consent::Consent;
pub use ledger::{Spend, SpendOutcome};
pub use settings::{DataCenterOAuthSettings, OAuthSettings, Replay};
