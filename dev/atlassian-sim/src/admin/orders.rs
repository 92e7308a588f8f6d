//! What the admin API and the state document can order.

use chrono::{DateTime, TimeDelta, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cloud_site::CloudSite;
use crate::config::SimError;
use crate::data_center::DataCenter;
use crate::fault::Rule;
use crate::request::host_of;
use crate::settings::UserState;
use crate::sim::Sim;
use crate::token::{Token, TokenKind};
use crate::world::{Place, TokenRecord};

use super::oauth::{AppOrder, ConsentOrder, ServiceOrder, SettingsOrder};

/// What a simulator is to hold from its start.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct StateDocument {
    cloud_sites: Vec<HostOrder>,
    data_centers: Vec<HostOrder>,
    users: Vec<UserOrder>,
    tokens: Vec<TokenOrder>,
    oauth_settings: Option<SettingsOrder>,
    oauth_apps: Vec<AppOrder>,
    service_clients: Vec<ServiceOrder>,
    consents: Vec<ConsentOrder>,
    faults: Vec<Rule>,
    clock: Option<ClockOrder>,
}

impl StateDocument {
    pub(crate) fn apply(self, sim: &Sim) -> Result<(), SimError> {
        if let Some(clock) = self.clock {
            clock.apply(sim)?;
        }
        for order in self.cloud_sites {
            order.cloud_site(sim)?;
        }
        for order in self.data_centers {
            order.data_center(sim)?;
        }
        for order in self.users {
            order.apply(sim)?;
        }
        for order in self.tokens {
            order.apply(sim)?;
        }
        if let Some(settings) = self.oauth_settings {
            settings.apply(sim)?;
        }
        for order in self.oauth_apps {
            order.apply(sim)?;
        }
        for order in self.service_clients {
            order.apply(sim)?;
        }
        for order in self.consents {
            order.apply(sim)?;
        }
        for rule in self.faults {
            sim.fault(rule);
        }
        Ok(())
    }
}

/// A site or an instance: made if missing, changed in the settings given.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HostOrder {
    /// The name below the default suffix.
    name: Option<String>,
    /// The whole host, instead of a name.
    host: Option<String>,
    #[serde(default)]
    settings: Value,
}

impl HostOrder {
    pub(super) fn cloud_site(self, sim: &Sim) -> Result<Value, SimError> {
        let site = match (&self.host, &self.name) {
            (Some(host), _) => sim.cloud_site_at(host),
            (None, Some(name)) => sim.cloud_site(name),
            (None, None) => return Err(SimError::Invalid("name or host is missing".to_owned())),
        };
        let settings = merged(&site.settings(), self.settings)?;
        site.configure(|old| *old = settings);
        Ok(json!({
            "host": site.host(),
            "url": site.url(),
            "gatewayUrl": site.gateway_url(),
            "cloudId": site.cloud_id(),
        }))
    }

    pub(super) fn data_center(self, sim: &Sim) -> Result<Value, SimError> {
        let instance = match (&self.host, &self.name) {
            (Some(host), _) => sim.data_center_at(host),
            (None, Some(name)) => sim.data_center(name),
            (None, None) => return Err(SimError::Invalid("name or host is missing".to_owned())),
        };
        let settings = merged(&instance.settings(), self.settings)?;
        instance.configure(|old| *old = settings);
        Ok(json!({ "host": instance.host(), "url": instance.url() }))
    }
}

/// Lays the fields given over the settings as they are.
fn merged<T: Serialize + DeserializeOwned>(old: &T, changes: Value) -> Result<T, SimError> {
    let invalid = |error: serde_json::Error| SimError::Invalid(error.to_string());
    let mut all = serde_json::to_value(old).map_err(invalid)?;
    match (all.as_object_mut(), changes) {
        (Some(all), Value::Object(changes)) => all.extend(changes),
        (_, Value::Null) => {}
        _ => return Err(SimError::Invalid("settings must be an object".to_owned())),
    }
    serde_json::from_value(all).map_err(invalid)
}

/// What a host is.
pub(super) enum Kind {
    Site(CloudSite),
    Instance(DataCenter),
}

pub(super) fn kind(sim: &Sim, host: &str) -> Result<Kind, SimError> {
    let host = host_of(host);
    let data_center = match sim.shared.world().places.get(&host) {
        Some(Place::Cloud(_)) => false,
        Some(Place::DataCenter(_)) => true,
        Some(Place::Gateway | Place::Auth | Place::Webhook(_)) | None => {
            return Err(SimError::Unknown(format!("host: {host}")));
        }
    };
    Ok(if data_center {
        Kind::Instance(sim.data_center_at(&host))
    } else {
        Kind::Site(sim.cloud_site_at(&host))
    })
}

/// A user: made if missing, changed in the fields given.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UserOrder {
    host: String,
    /// E-mail on Cloud, user name on Data Center.
    user: String,
    password: Option<String>,
    state: Option<UserState>,
    display_name: Option<String>,
    /// The account id on Cloud, the key on Data Center.
    id: Option<String>,
    #[serde(default)]
    service_account: bool,
    /// The keys of the permissions that the user holds, in place of the present ones.
    permissions: Option<Vec<String>>,
    /// `false` takes the access to this Cloud site away.
    access: Option<bool>,
}

impl UserOrder {
    pub(super) fn apply(self, sim: &Sim) -> Result<Value, SimError> {
        match kind(sim, &self.host)? {
            Kind::Site(site) => Ok(self.on_site(&site)),
            Kind::Instance(instance) => {
                let order = &self;
                let answer = instance.with_user(&self.user, |user| {
                    replace(&mut user.display_name, order.display_name.as_deref());
                    replace(&mut user.key, order.id.as_deref());
                    user.state = order.state.unwrap_or(user.state);
                    user.password = order.password.clone().or(user.password.take());
                    if let Some(keys) = &order.permissions {
                        user.permissions.set_all(keys.clone());
                    }
                    json!({ "user": user.name, "id": user.key, "failedLogins": user.failed_logins })
                });
                answer.ok_or_else(|| SimError::Unknown("host".to_owned()))
            }
        }
    }

    fn on_site(&self, site: &CloudSite) -> Value {
        let answer = site.with_account(&self.user, self.service_account, |account| {
            replace(&mut account.display_name, self.display_name.as_deref());
            replace(&mut account.id, self.id.as_deref());
            account.state = self.state.unwrap_or(account.state);
            account.password = self.password.clone().or(account.password.take());
            if let Some(keys) = &self.permissions {
                account.permissions.set_all(keys.clone());
            }
            json!({ "user": account.email, "id": account.id })
        });
        if self.access == Some(false) {
            site.remove_access(&self.user);
        }
        answer
    }
}

fn replace(old: &mut String, new: Option<&str>) {
    if let Some(new) = new {
        new.clone_into(old);
    }
}

/// A person has solved the CAPTCHA.
#[derive(Debug, Deserialize)]
pub(super) struct CaptchaOrder {
    host: String,
    user: String,
}

impl CaptchaOrder {
    pub(super) fn apply(&self, sim: &Sim) -> Result<Value, SimError> {
        match kind(sim, &self.host)? {
            Kind::Site(_) => Err(SimError::Invalid("Cloud knows no CAPTCHA here".to_owned())),
            Kind::Instance(instance) => {
                instance.solve_captcha(&self.user);
                Ok(json!({}))
            }
        }
    }
}

/// A token to issue.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TokenOrder {
    host: String,
    user: String,
    /// By default `classic` on Cloud and `personal-access` on Data Center.
    kind: Option<TokenKind>,
    #[serde(default)]
    scopes: Vec<String>,
    /// A secret given from outside; generated by default.
    secret: Option<String>,
    expires_at: Option<DateTime<Utc>>,
    /// What its owner calls a personal access token.
    name: Option<String>,
}

impl TokenOrder {
    pub(super) fn apply(self, sim: &Sim) -> Result<Value, SimError> {
        let token = match kind(sim, &self.host)? {
            Kind::Instance(instance) => instance.issue(&self.user, self.secret.as_deref()),
            Kind::Site(site) => {
                let kind = self.kind.unwrap_or(TokenKind::Classic);
                if matches!(
                    kind,
                    TokenKind::PersonalAccess | TokenKind::Access | TokenKind::Link
                ) {
                    return Err(SimError::Invalid("Cloud has no such token".to_owned()));
                }
                site.issue(kind, &self.user, &self.scopes, self.secret.as_deref())
            }
        };
        if let Some(at) = self.expires_at {
            sim.expire_at(&token, at);
        }
        if let Some(name) = self.name {
            sim.change_token(token.id(), |token| token.name = name);
        }
        Ok(described(&token))
    }
}

fn described(token: &Token) -> Value {
    json!({
        "id": token.id(),
        "user": token.owner(),
        "kind": token.kind(),
        "secret": token.secret(),
    })
}

/// Many users with a token each.
#[derive(Debug, Deserialize)]
pub(super) struct BulkOrder {
    host: String,
    prefix: String,
    count: usize,
}

impl BulkOrder {
    pub(super) fn apply(&self, sim: &Sim) -> Result<Value, SimError> {
        let tokens = match kind(sim, &self.host)? {
            Kind::Site(site) => site.bulk_tokens(&self.prefix, self.count),
            Kind::Instance(instance) => instance.bulk_pats(&self.prefix, self.count),
        };
        Ok(tokens.iter().map(described).collect())
    }
}

/// A change of a token.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TokenPatch {
    expires_at: Option<DateTime<Utc>>,
    revoked: Option<bool>,
    scopes: Option<Vec<String>>,
}

impl TokenPatch {
    pub(super) fn apply(self, token: &mut TokenRecord) {
        token.expires_at = self.expires_at.or(token.expires_at);
        token.revoked = self.revoked.unwrap_or(token.revoked);
        if let Some(scopes) = self.scopes {
            token.scopes = scopes;
        }
    }
}

/// A change of the clock; `set` comes before `advanceSeconds`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ClockOrder {
    frozen: Option<bool>,
    set: Option<DateTime<Utc>>,
    advance_seconds: Option<i64>,
}

impl ClockOrder {
    pub(super) fn apply(self, sim: &Sim) -> Result<Value, SimError> {
        let delta = TimeDelta::try_seconds(self.advance_seconds.unwrap_or(0))
            .ok_or_else(|| SimError::Invalid("advanceSeconds is too large".to_owned()))?;
        match self.frozen {
            Some(true) => sim.clock().freeze(),
            Some(false) => sim.clock().resume(),
            None => {}
        }
        if let Some(at) = self.set {
            sim.clock().set(at);
        }
        sim.clock().advance(delta);
        Ok(clock(sim))
    }
}

pub(super) fn clock(sim: &Sim) -> Value {
    json!({ "now": sim.clock().now(), "frozen": sim.clock().is_frozen() })
}

pub(super) fn hosts(sim: &Sim) -> Value {
    let world = sim.shared.world();
    let mut hosts: Vec<(&String, &str)> = world
        .places
        .iter()
        .map(|(host, place)| match place {
            Place::Cloud(_) => (host, "cloud"),
            Place::Gateway => (host, "gateway"),
            Place::Auth => (host, "auth"),
            Place::Webhook(_) => (host, "webhook"),
            Place::DataCenter(_) => (host, "data-center"),
        })
        .collect();
    hosts.sort_unstable();
    hosts
        .iter()
        .map(|(host, kind)| json!({ "host": host, "kind": kind }))
        .collect()
}
