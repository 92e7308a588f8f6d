//! The admin API's part on OAuth 2.0: clients, consents, settings, the ledger.

use axum::extract::{Path, Query, State};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::SimError;
use crate::oauth::{Consent, DataCenterOAuthSettings, OAuthApp, OAuthSettings, Replay};
use crate::request::host_of;
use crate::sim::Sim;

use super::orders::{Kind, kind};
use super::{Answer, found};

/// The routes.
pub(super) fn router() -> Router<Sim> {
    Router::new()
        .route("/admin/oauth-apps", post(app))
        .route(
            "/admin/oauth-apps/{id}/secrets",
            post(add_secret).delete(revoke_secret),
        )
        .route("/admin/service-clients", post(service_client))
        .route("/admin/consents", post(consent))
        .route("/admin/consents/{family}", delete(revoke_consent))
        .route(
            "/admin/oauth-settings",
            get(settings).patch(change_settings),
        )
        .route("/admin/spends", get(spends).delete(clear_spends))
}

async fn app(State(sim): State<Sim>, Json(order): Json<AppOrder>) -> Answer {
    order.apply(&sim).map(Json)
}

async fn add_secret(State(sim): State<Sim>, Path(id): Path<String>) -> Answer {
    let app = existing(&sim, &id)?;
    Ok(Json(json!({ "secret": app.add_secret() })))
}

/// Which secret to revoke.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretOrder {
    secret: String,
}

async fn revoke_secret(
    State(sim): State<Sim>,
    Path(id): Path<String>,
    Json(order): Json<SecretOrder>,
) -> Answer {
    existing(&sim, &id)?.revoke_secret(&order.secret);
    Ok(Json(json!({})))
}

async fn service_client(State(sim): State<Sim>, Json(order): Json<ServiceOrder>) -> Answer {
    order.apply(&sim).map(Json)
}

async fn consent(State(sim): State<Sim>, Json(order): Json<ConsentOrder>) -> Answer {
    order.apply(&sim).map(Json)
}

async fn revoke_consent(State(sim): State<Sim>, Path(family): Path<u64>) -> Answer {
    found(sim.shared.world().oauth.kill(family), "consent")
}

async fn settings(State(sim): State<Sim>) -> Json<Value> {
    Json(described(
        &sim.oauth_settings(),
        &sim.data_center_oauth_settings(),
    ))
}

async fn change_settings(State(sim): State<Sim>, Json(order): Json<SettingsOrder>) -> Answer {
    order.apply(&sim).map(Json)
}

/// Which spends to list.
#[derive(Debug, Deserialize)]
struct SpendQuery {
    family: Option<u64>,
}

async fn spends(State(sim): State<Sim>, Query(query): Query<SpendQuery>) -> Json<Value> {
    Json(json!(match query.family {
        Some(family) => sim.spends_of(family),
        None => sim.spends(),
    }))
}

async fn clear_spends(State(sim): State<Sim>) -> Json<Value> {
    sim.clear_spends();
    Json(json!({}))
}

fn existing(sim: &Sim, id: &str) -> Result<OAuthApp, SimError> {
    OAuthApp::existing(sim.clone(), id).ok_or_else(|| SimError::Unknown("client".to_owned()))
}

fn free(sim: &Sim, id: Option<&str>) -> Result<(), SimError> {
    match id {
        Some(id) if existing(sim, id).is_ok() => Err(SimError::Invalid("clientId is taken".into())),
        _ => Ok(()),
    }
}

/// An app to make; what is not given is generated.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AppOrder {
    client_id: Option<String>,
    secret: Option<String>,
    /// The Data Center instance for whose application link it is; none for an app on Cloud.
    host: Option<String>,
    /// The callback of an app on Cloud.
    callback: Option<String>,
    /// The redirect URLs of an application link.
    #[serde(default)]
    redirect_uris: Vec<String>,
}

impl AppOrder {
    pub(super) fn apply(self, sim: &Sim) -> Result<Value, SimError> {
        let (id, secret) = (self.client_id.as_deref(), self.secret.as_deref());
        free(sim, id)?;
        let app = match self
            .host
            .as_deref()
            .map(|host| kind(sim, host))
            .transpose()?
        {
            None => {
                let app = OAuthApp::new(sim.clone(), id, secret, None, None);
                match &self.callback {
                    Some(callback) => app.callback(callback),
                    None => app,
                }
            }
            Some(Kind::Instance(_)) if self.callback.is_some() => {
                return Err(SimError::Invalid(
                    "an application link has redirectUris, no callback".into(),
                ));
            }
            Some(Kind::Instance(instance)) => {
                instance.oauth_link_with(self.redirect_uris, id, secret)
            }
            Some(Kind::Site(_)) => {
                return Err(SimError::Invalid("an app belongs to no Cloud site".into()));
            }
        };
        Ok(json!({ "clientId": app.client_id(), "secret": app.secret() }))
    }
}

/// A service account with a client, on a Cloud site or a Data Center instance.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ServiceOrder {
    host: String,
    name: String,
    scopes: Vec<String>,
    client_id: Option<String>,
    secret: Option<String>,
}

impl ServiceOrder {
    pub(super) fn apply(self, sim: &Sim) -> Result<Value, SimError> {
        let (id, secret) = (self.client_id.as_deref(), self.secret.as_deref());
        free(sim, id)?;
        let app = match kind(sim, &self.host)? {
            Kind::Site(site) => site.service_client_with(&self.name, self.scopes, id, secret),
            Kind::Instance(instance) => {
                instance.service_client_with(&self.name, self.scopes, id, secret)
            }
        };
        Ok(json!({
            "clientId": app.client_id(),
            "secret": app.secret(),
            "user": app.service_account(),
        }))
    }
}

/// A person's consent.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ConsentOrder {
    client_id: String,
    user: String,
    /// Sites; a consent to an application link is given on its own instance.
    #[serde(default)]
    hosts: Vec<String>,
    scopes: Vec<String>,
    /// The first refresh token, given from outside; generated by default.
    refresh_token: Option<String>,
    /// The hosts of the sites that are listed for Confluence as well.
    #[serde(default)]
    confluence: Vec<String>,
}

impl ConsentOrder {
    pub(super) fn apply(self, sim: &Sim) -> Result<Value, SimError> {
        let app = existing(sim, &self.client_id)?;
        let refresh = self.refresh_token.as_deref();
        if refresh.is_some_and(|value| sim.token_id(value).is_some()) {
            return Err(SimError::Invalid("refreshToken is taken".to_owned()));
        }
        let instance = sim
            .shared
            .world()
            .oauth
            .instance_of(app.client_id())
            .map(str::to_owned);
        if let Some(instance) = instance {
            let instance = sim.data_center_at(&instance);
            let consent = instance.consent_with(&app, &self.user, self.scopes, refresh);
            return Ok(given(sim, &consent));
        }
        for host in self.hosts.iter().chain(&self.confluence) {
            if !matches!(kind(sim, host)?, Kind::Site(_)) {
                return Err(SimError::Invalid("this is no Cloud site".to_owned()));
            }
        }
        let hosts: Vec<String> = self.hosts.iter().map(|host| host_of(host)).collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let consent = app.consent_with(&self.user, &hosts, self.scopes, refresh);
        for host in &self.confluence {
            consent.add_confluence(&host_of(host));
        }
        Ok(given(sim, &consent))
    }
}

fn given(sim: &Sim, consent: &Consent) -> Value {
    let refresh = consent.refresh_token();
    let id = sim.token_id(&refresh);
    json!({
        "family": consent.family(),
        "refreshToken": id.is_some().then_some(refresh),
        "refreshTokenId": id,
        "accessToken": consent.access_token(),
    })
}

/// A change of the token endpoint's settings, in the fields given.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SettingsOrder {
    access_life_seconds: Option<i64>,
    leeway_seconds: Option<i64>,
    overlap_seconds: Option<i64>,
    idle_seconds: Option<i64>,
    absolute_seconds: Option<i64>,
    omit_refresh_token: Option<bool>,
    replay: Option<Replay>,
    data_center: Option<DataCenterSettingsOrder>,
}

/// A change of the settings of Data Center's token endpoints, in the fields given.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DataCenterSettingsOrder {
    access_life_seconds: Option<i64>,
    idle_seconds: Option<i64>,
    omit_scope: Option<bool>,
    standard_scope_error: Option<bool>,
}

impl SettingsOrder {
    pub(super) fn apply(&self, sim: &Sim) -> Result<Value, SimError> {
        let mut new = sim.oauth_settings();
        let lives = [
            (&mut new.access_life, self.access_life_seconds),
            (&mut new.leeway, self.leeway_seconds),
            (&mut new.overlap, self.overlap_seconds),
            (&mut new.idle, self.idle_seconds),
            (&mut new.absolute, self.absolute_seconds),
        ];
        for (life, seconds) in lives {
            set_life(life, seconds)?;
        }
        let mut of_instances = sim.data_center_oauth_settings();
        if let Some(order) = &self.data_center {
            set_life(&mut of_instances.access_life, order.access_life_seconds)?;
            set_life(&mut of_instances.idle, order.idle_seconds)?;
            of_instances.omit_scope = order.omit_scope.unwrap_or(of_instances.omit_scope);
            of_instances.standard_scope_error = order
                .standard_scope_error
                .unwrap_or(of_instances.standard_scope_error);
        }
        new.omit_refresh_token = self.omit_refresh_token.unwrap_or(new.omit_refresh_token);
        new.replay = self.replay.unwrap_or(new.replay);
        let answer = described(&new, &of_instances);
        sim.configure_oauth(|settings| *settings = new);
        sim.configure_data_center_oauth(|settings| *settings = of_instances);
        Ok(answer)
    }
}

fn set_life(life: &mut TimeDelta, seconds: Option<i64>) -> Result<(), SimError> {
    if let Some(seconds) = seconds {
        *life = TimeDelta::try_seconds(seconds)
            .ok_or_else(|| SimError::Invalid("a life is too long".to_owned()))?;
    }
    Ok(())
}

fn described(settings: &OAuthSettings, of_instances: &DataCenterOAuthSettings) -> Value {
    json!({
        "accessLifeSeconds": settings.access_life.num_seconds(),
        "leewaySeconds": settings.leeway.num_seconds(),
        "overlapSeconds": settings.overlap.num_seconds(),
        "idleSeconds": settings.idle.num_seconds(),
        "absoluteSeconds": settings.absolute.num_seconds(),
        "omitRefreshToken": settings.omit_refresh_token,
        "replay": settings.replay,
        "dataCenter": {
            "accessLifeSeconds": of_instances.access_life.num_seconds(),
            "idleSeconds": of_instances.idle.num_seconds(),
            "omitScope": of_instances.omit_scope,
            "standardScopeError": of_instances.standard_scope_error,
        },
    })
}
