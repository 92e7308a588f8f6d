//! The plan of a credential that renews itself.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::api::{Hosting, Method, RotationPolicy, Scope};
use crate::core::spec::endpoints::Endpoints;
use crate::core::spec::grant_name::{grant_name, place};
use crate::core::spec::periods::Periods;
use crate::core::spec::site::Site;

/// How long a grant outlives its last user and its seed where the spec does not say it.
const RETENTION: TimeDelta = TimeDelta::hours(24);

/// A client of the token endpoint.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// Address of the token endpoint.
    pub endpoint: String,
    /// Client id.
    pub id: String,
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

impl RenewalPlan {
    /// How a credential renews itself; `None` for a method that does not.
    pub fn of(
        method: &Method<'_>,
        site: &Site,
        periods: &Periods,
        endpoints: &Endpoints,
    ) -> Option<Self> {
        let (renew_before, max_age) = (periods.renew_before, periods.max_age);
        let (endpoint, gateway) = match site.hosting {
            Hosting::Cloud => (
                format!("{}/oauth/token", endpoints.auth_url),
                Some(endpoints.api_url.clone()),
            ),
            Hosting::DataCenter => (format!("{}/rest/oauth2/latest/token", site.base), None),
        };
        let plan = |kind, client_id: &str, scopes: &[Scope]| RenewalPlan {
            grant: String::new(),
            kind,
            client: Client {
                endpoint,
                id: client_id.to_owned(),
            },
            gateway,
            redirect_uri: None,
            cloud_id: None,
            scopes: scopes.iter().map(|scope| scope.0.clone()).collect(),
            renew_before,
            retention: RETENTION,
            stated: Stated::default(),
        };
        let plan = match method {
            Method::OAuth2(oauth2) => RenewalPlan {
                cloud_id: oauth2.cloud_id.clone(),
                redirect_uri: oauth2.redirect_uri.clone(),
                retention: oauth2.grant_retention.parse().unwrap_or(RETENTION),
                ..plan(RenewalKind::Refresh, &oauth2.client_id, &oauth2.scopes)
            },
            Method::ClientCredentials(client) => RenewalPlan {
                cloud_id: client.cloud_id.clone(),
                ..plan(
                    RenewalKind::ClientCredentials,
                    &client.client_id,
                    &client.scopes,
                )
            },
            Method::PersonalAccessToken(token) => match token.rotation {
                RotationPolicy::Automatic => RenewalPlan {
                    client: Client {
                        endpoint: format!("{}/rest/pat/latest/tokens", site.base),
                        id: String::new(),
                    },
                    stated: Stated {
                        begin: method.issued_at(),
                        end: method.expires_at(),
                        max_age,
                    },
                    ..plan(RenewalKind::Successor, "", &[])
                },
                RotationPolicy::Manual => return None,
            },
            Method::Session(_) => RenewalPlan {
                client: Client {
                    endpoint: format!("{}/rest/auth/1/session", site.base),
                    id: String::new(),
                },
                ..plan(RenewalKind::Login, "", &[])
            },
            Method::ApiToken(_) | Method::Basic(_) | Method::OAuth1(_) => return None,
        };
        Some(RenewalPlan {
            grant: grant_name(&place(method)?),
            ..plan
        })
    }
}
