//! What follows from a spec alone: its site, its plan, and what is wrong with it.

pub mod authorities;
pub mod endpoints;
pub mod error;
pub mod grant_name;
pub mod missing_right;
pub mod periods;
pub mod plan;
pub mod presets;
pub mod renewal_plan;
pub mod rsa_key;
pub mod scopes;
pub mod site;
pub mod template;
pub mod text_values;
pub mod token_format;

pub use authorities::authorities;
pub use endpoints::Endpoints;
pub use error::{InvalidValue, SourceError, SpecError, check_metadata, check_targets};
pub use grant_name::{grant_name, place};
pub use missing_right::MissingRight;
pub use periods::{Periods, USUAL_INTERVAL};
pub use plan::{Plan, expiry, is_at_gateway, is_site_of};
pub use presets::{has_user, is_oauth2, preset_fault, presets};
pub use renewal_plan::{Client, RenewalKind, RenewalPlan, Stated};
pub use rsa_key::RsaKey;
pub use site::{CLOUD_SUFFIXES, Site, SiteError, is_cloud_host};
pub use template::{
    FILTERS, template_data, template_fault, text_fault, unwritten, variables, without_tojson,
};
pub use text_values::{LOGIN_KEYS, text_values};
pub use token_format::{TokenFormat, TokenKind};
