//! Atlassian's OAuth 2.0 token endpoint: clients, consents, rotating refresh tokens.
//!
//! A consent founds a family of refresh tokens. Every exchange of one gives its successor:
//!
//! ```text
//! rt-1 ──exchange──▶ rt-2 ──exchange──▶ rt-3      the newest: never exchanged
//!   └──again, within the leeway──▶ rt-4           a sibling of rt-2, or rt-2 once more
//!   └──again, after the leeway──▶ the whole family is dead, access tokens included
//! ```

mod app;
mod consent;
mod endpoint;
mod exchange;
mod families;
mod form;
mod ledger;
mod settings;
mod sim;

pub(crate) use app::resources;
pub(crate) use endpoint::{caller, handle};
pub(crate) use families::{OAuth, Resource, Service, Source};
pub(crate) use ledger::Ticket;

pub use app::OAuthApp;
pub use consent::Consent;
pub use ledger::{Spend, SpendOutcome};
pub use settings::{OAuthSettings, Replay};
