//! The plan: what the operator will do for a spec, before it reads anything else.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::api::{Hosting, JiraCredentialSpec, Method, MethodName, Period, SiteStatus};
use crate::core::spec::error::SpecError;
use crate::core::spec::site::Site;
use crate::core::time::{SHORTEST_INTERVAL, later};

/// An access token of OAuth 1.0a lives for five years: what Jira was seen to answer in
/// `oauth_expires_in`.
const SIGNED_TOKEN_LIVES: TimeDelta = TimeDelta::seconds(157_680_000);

/// When a credential that does not renew itself expires: as the user says, or as follows from what
/// the user says.
pub fn expiry(method: &Method<'_>) -> Option<DateTime<Utc>> {
    match method {
        Method::OAuth1(oauth1) => Some(later(oauth1.issued_at?, SIGNED_TOKEN_LIVES)),
        Method::ApiToken(_)
        | Method::OAuth2(_)
        | Method::ClientCredentials(_)
        | Method::PersonalAccessToken(_)
        | Method::Basic(_)
        | Method::Session(_) => method.expires_at(),
    }
}

/// The lengths of time of a spec.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Periods {
    /// `spec.validation.interval`.
    pub interval: TimeDelta,
    /// `spec.rotation.warnBefore`.
    pub warn_before: TimeDelta,
    /// `spec.rotation.maxAge`.
    pub max_age: Option<TimeDelta>,
    /// `spec.rotation.renewBefore`.
    pub renew_before: Option<TimeDelta>,
}

impl Periods {
    /// Reads and compares the lengths of time of a spec; admission cannot compare them.
    ///
    /// # Errors
    /// When one is not a length of time, or they contradict each other.
    pub fn of(spec: &JiraCredentialSpec) -> Result<Self, SpecError> {
        let read = |period: &Period, field| period.parse().ok_or(SpecError::NotAPeriod(field));
        let periods = Self {
            interval: read(&spec.validation.interval, "spec.validation.interval")?,
            warn_before: read(&spec.rotation.warn_before, "spec.rotation.warnBefore")?,
            max_age: match &spec.rotation.max_age {
                Some(period) => Some(read(period, "spec.rotation.maxAge")?),
                None => None,
            },
            renew_before: match &spec.rotation.renew_before {
                Some(period) => Some(read(period, "spec.rotation.renewBefore")?),
                None => None,
            },
        };
        if periods.interval < SHORTEST_INTERVAL {
            return Err(SpecError::IntervalTooShort);
        }
        if periods
            .max_age
            .is_some_and(|max_age| max_age <= periods.warn_before)
        {
            return Err(SpecError::WarnBeforeTooLong);
        }
        Ok(periods)
    }
}

/// A client of the token endpoint.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// Address of the token endpoint.
    pub endpoint: String,
    /// Client id.
    pub id: String,
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

/// What follows from the spec of a credential that renews itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RenewalPlan {
    /// Name of the Secret that holds the grant.
    pub grant: String,
    /// What a renewal is made of.
    pub kind: RenewalKind,
    /// The client of the token endpoint.
    pub client: Client,
    /// Base address of Atlassian's gateway; `None` for Data Center, which is called itself.
    pub gateway: Option<String>,
    /// Redirect URL of the consent, which Data Center wants to see again.
    pub redirect_uri: Option<String>,
    /// The id of the site, where the user says it.
    pub cloud_id: Option<String>,
    /// The scopes that the token must have.
    pub scopes: Vec<String>,
    /// How long before its end the token is renewed, where the user says it.
    pub renew_before: Option<TimeDelta>,
    /// How long the grant outlives its last user and its seed.
    pub retention: TimeDelta,
    /// What the user says of a personal access token.
    pub stated: Stated,
}

/// What a renewal is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RenewalKind {
    /// A refresh token, which is spent for the next one.
    Refresh,
    /// Client credentials, which are just used again.
    ClientCredentials,
    /// A personal access token, which makes its own successor.
    Successor,
    /// A user name and password, which start another session.
    Login,
}

/// What the user says of a personal access token that makes its own successor.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stated {
    /// When it was made.
    pub begin: Option<DateTime<Utc>>,
    /// When it ends.
    pub end: Option<DateTime<Utc>>,
    /// How old a token may become.
    pub max_age: Option<TimeDelta>,
}

/// How long before its end a token of an hour is renewed.
const RENEW_BEFORE: TimeDelta = TimeDelta::minutes(15);

/// How long before its end a personal access token makes its successor, however long it lives.
const SUCCEED_BEFORE: TimeDelta = TimeDelta::days(14);

impl RenewalPlan {
    /// Where the tokens are given.
    pub fn hosting(&self) -> Hosting {
        match self.gateway {
            Some(_) => Hosting::Cloud,
            None => Hosting::DataCenter,
        }
    }

    /// Whether what was replaced goes on working for some time. Data Center deletes a refresh
    /// token and the access token before it at once (observed).
    pub fn has_leeway(&self) -> bool {
        match self.kind {
            RenewalKind::Refresh | RenewalKind::ClientCredentials => {
                self.hosting() == Hosting::Cloud
            }
            // They are ended by the operator alone.
            RenewalKind::Successor | RenewalKind::Login => true,
        }
    }

    /// Whether a renewal spends something that exists once.
    pub fn spends(&self) -> bool {
        match self.kind {
            RenewalKind::Refresh => true,
            RenewalKind::ClientCredentials | RenewalKind::Successor | RenewalKind::Login => false,
        }
    }

    /// Whether Jira keeps what is replaced until it is ended.
    pub fn is_kept(&self) -> bool {
        match self.kind {
            RenewalKind::Refresh | RenewalKind::ClientCredentials => false,
            RenewalKind::Successor | RenewalKind::Login => true,
        }
    }

    /// Whether a renewal is written down before it is made: what it does cannot be taken back.
    pub fn is_announced(&self) -> bool {
        match self.kind {
            RenewalKind::Refresh | RenewalKind::Successor | RenewalKind::Login => true,
            RenewalKind::ClientCredentials => false,
        }
    }

    /// Whether a token that Jira refuses before it expires can still be replaced. A personal
    /// access token that is refused cannot make another.
    pub fn outlives_its_token(&self) -> bool {
        match self.kind {
            RenewalKind::Refresh | RenewalKind::ClientCredentials | RenewalKind::Login => true,
            RenewalKind::Successor => false,
        }
    }

    /// How long before its end a token of this lifetime is renewed.
    pub fn renewed_before(&self, life: TimeDelta) -> TimeDelta {
        self.renew_before.unwrap_or(match self.kind {
            RenewalKind::Refresh | RenewalKind::ClientCredentials => RENEW_BEFORE.min(life / 4),
            RenewalKind::Successor => SUCCEED_BEFORE.min(life / 3),
            RenewalKind::Login => life / 5,
        })
    }
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
