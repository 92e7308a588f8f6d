//! The plan: what the operator will do for a spec, before it reads anything else.

use chrono::{DateTime, TimeDelta, Utc};

use crate::api::{Hosting, JiraCredentialSpec, Method, MethodName, SiteStatus};
use crate::core::spec::endpoints::Endpoints;
use crate::core::spec::error::SpecError;
use crate::core::spec::periods::Periods;
use crate::core::spec::renewal_plan::{RenewalKind, RenewalPlan};
use crate::core::spec::site::Site;
use crate::core::time::later;

/// An access token of OAuth 1.0a lives for five years: what Jira was seen to answer in
/// `oauth_expires_in`.
const SIGNED_TOKEN_LIVES: TimeDelta = TimeDelta::seconds(157_680_000);

/// When a credential that does not renew itself expires: as the user says, or as follows from what
/// the user says.
pub fn expiry(method: &Method<'_>) -> Option<DateTime<Utc>> {
    match method {
        Method::OAuth1(_) => Some(later(method.issued_at()?, SIGNED_TOKEN_LIVES)),
        Method::ApiToken(_)
        | Method::OAuth2(_)
        | Method::ClientCredentials(_)
        | Method::PersonalAccessToken(_)
        | Method::Basic(_)
        | Method::Session(_) => method.expires_at(),
    }
}

/// What follows from a spec alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// The method.
    pub method: MethodName,
    /// The site.
    pub site: Site,
    /// The lengths of time.
    pub periods: Periods,
    /// When the credential was issued, as far as the user says.
    pub issued_at: Option<DateTime<Utc>>,
    /// When the credential expires, as far as the user says.
    pub expires_at: Option<DateTime<Utc>>,
    /// How the credential renews itself, if it does.
    pub renewal: Option<RenewalPlan>,
    /// Base address of Atlassian's gateway, for API tokens, which may work only there.
    pub gateway_fallback: Option<String>,
}

/// Whether a recorded site is the one of the plan, at its own address or behind the gateway.
pub fn is_site_of(plan: &Plan, site: &SiteStatus) -> bool {
    site.api_url == plan.site.base || is_at_gateway(plan, site)
}

/// Whether a recorded site is used through Atlassian's gateway.
pub fn is_at_gateway(plan: &Plan, site: &SiteStatus) -> bool {
    let (Some(gateway), Some(id)) = (&plan.gateway_fallback, &site.cloud_id) else {
        return false;
    };
    site.address.as_deref() == Some(&plan.site.base)
        && site.api_url == format!("{gateway}/ex/jira/{id}")
}

impl Plan {
    /// Plans what a spec asks for. Whether its host is allowed is the caller's to check.
    ///
    /// # Errors
    /// When the spec contradicts itself.
    pub fn of(spec: &JiraCredentialSpec, endpoints: &Endpoints) -> Result<Self, SpecError> {
        let method = spec.auth.method().ok_or(SpecError::NoMethod)?;
        let site = Site::of(spec)?;
        let periods = Periods::of(spec)?;
        let is_api_token = matches!(method, Method::ApiToken(_));
        let gateway_fallback =
            (is_api_token && site.hosting == Hosting::Cloud).then(|| endpoints.api_url.clone());
        let renewal = RenewalPlan::of(&method, &site, &periods, endpoints);
        // What a person says of a token that replaces itself is true of the first one only.
        let replaced = renewal
            .as_ref()
            .is_some_and(|plan| plan.kind == RenewalKind::Successor);
        Ok(Plan {
            method: method.name(),
            issued_at: method.issued_at().filter(|_| !replaced),
            expires_at: expiry(&method).filter(|_| !replaced),
            renewal,
            site,
            periods: Periods {
                max_age: periods.max_age.filter(|_| !replaced),
                ..periods
            },
            gateway_fallback,
        })
    }
}
