//! The admin API: plain HTTP with JSON on a port of its own, for programs that are not Rust.
//!
//! | Request (below `/admin`) | Does |
//! |---|---|
//! | `GET /health`, `/ca.pem`, `/hosts` | port and time; the authority's certificate; all hosts |
//! | `POST /cloud-sites`, `/data-centers` | `{name or host, settings}`: makes or changes one |
//! | `DELETE /hosts/{host}` | takes a site or an instance away |
//! | `POST /users` | `{host, user, password, state, displayName, id, access}`: makes or changes |
//! | `POST /captcha-solved` | `{host, user}`: a person has solved it |
//! | `POST /tokens` | `{host, user, kind, scopes, secret, expiresAt, name}`: issues one |
//! | `POST /tokens/bulk` | `{host, prefix, count}`: many users with a token each |
//! | `PATCH`, `DELETE /tokens/{id}` | `{expiresAt, revoked, scopes}`; revokes |
//! | `GET /pats` | a user's personal access tokens, as the list tells them (`?host=`, `?user=`) |
//! | `GET`, `DELETE /pat-requests` | what was asked about them (`?host=`, `?user=`) |
//! | `GET`, `DELETE /sessions` | live ones (`?host=`, `?user=`); ends them, all as by a restart |
//! | `GET`, `DELETE /session-events` | logins and logouts (`?host=`, `?user=`) |
//! | `POST /oauth-apps` | `{clientId, secret}`, generated if not given |
//! | `POST`, `DELETE /oauth-apps/{clientId}/secrets` | adds a secret; revokes `{secret}` |
//! | `POST /service-clients` | `{host, name, scopes, clientId, secret}`: for `client_credentials` |
//! | `POST /consents` | `{clientId, user, hosts, scopes, refreshToken, confluence}`: tokens |
//! | `DELETE /consents/{family}` | the person revokes it |
//! | `GET`, `PATCH /oauth-settings` | `{omitRefreshToken, replay}`, and the lives: |
//! | | `{accessLifeSeconds, leewaySeconds, overlapSeconds, idleSeconds, absoluteSeconds}` |
//! | `GET`, `DELETE /spends` | the ledger of refresh tokens (`?family=`) |
//! | `GET`, `POST`, `DELETE /faults`, `DELETE /faults/{id}`, `POST /faults/{id}/release` | rules |
//! | `GET`, `DELETE /calls`, `GET /counters` | the log (`?host=`, `?limit=`) and its numbers |
//! | `GET`, `POST /clock` | `{frozen, set, advanceSeconds}` |
//! | `DELETE /connections` | closes every open connection |

mod kept;
mod oauth;
mod orders;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::SimError;
use crate::fault::Rule;
use crate::sim::Sim;

pub(crate) use orders::StateDocument;
use orders::{BulkOrder, CaptchaOrder, ClockOrder, HostOrder, TokenOrder, TokenPatch, UserOrder};

impl IntoResponse for SimError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Unknown(_) => StatusCode::NOT_FOUND,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}

type Answer = Result<Json<Value>, SimError>;

/// The routes.
pub(crate) fn router(sim: Sim) -> Router {
    Router::new()
        .route("/admin/health", get(health))
        .route(
            "/admin/ca.pem",
            get(|State(sim): State<Sim>| async move { sim.ca_pem().to_owned() }),
        )
        .route("/admin/hosts", get(hosts))
        .route("/admin/hosts/{host}", delete(remove_host))
        .route("/admin/cloud-sites", post(cloud_site))
        .route("/admin/data-centers", post(data_center))
        .route("/admin/users", post(user))
        .route("/admin/captcha-solved", post(captcha_solved))
        .route("/admin/tokens", post(token))
        .route("/admin/tokens/bulk", post(bulk))
        .route(
            "/admin/tokens/{id}",
            patch(change_token).delete(revoke_token),
        )
        .route(
            "/admin/faults",
            get(faults).post(add_fault).delete(clear_faults),
        )
        .route("/admin/faults/{id}", delete(remove_fault))
        .route("/admin/faults/{id}/release", post(release_fault))
        .route("/admin/calls", get(calls).delete(clear_calls))
        .route("/admin/counters", get(counters))
        .route("/admin/clock", get(clock).post(set_clock))
        .route("/admin/connections", delete(cut_connections))
        .merge(oauth::router())
        .merge(kept::router())
        .with_state(sim)
}

async fn health(State(sim): State<Sim>) -> Json<Value> {
    Json(json!({
        "port": sim.port(),
        "gatewayUrl": sim.gateway_url(),
        "authUrl": sim.auth_url(),
        "now": sim.clock().now(),
    }))
}

async fn hosts(State(sim): State<Sim>) -> Json<Value> {
    Json(orders::hosts(&sim))
}

async fn remove_host(State(sim): State<Sim>, Path(host): Path<String>) -> Answer {
    found(sim.remove_host(&host), "host")
}

async fn cloud_site(State(sim): State<Sim>, Json(order): Json<HostOrder>) -> Answer {
    order.cloud_site(&sim).map(Json)
}

async fn data_center(State(sim): State<Sim>, Json(order): Json<HostOrder>) -> Answer {
    order.data_center(&sim).map(Json)
}

async fn user(State(sim): State<Sim>, Json(order): Json<UserOrder>) -> Answer {
    order.apply(&sim).map(Json)
}

async fn captcha_solved(State(sim): State<Sim>, Json(order): Json<CaptchaOrder>) -> Answer {
    order.apply(&sim).map(Json)
}

async fn token(State(sim): State<Sim>, Json(order): Json<TokenOrder>) -> Answer {
    order.apply(&sim).map(Json)
}

async fn bulk(State(sim): State<Sim>, Json(order): Json<BulkOrder>) -> Answer {
    order.apply(&sim).map(Json)
}

async fn change_token(
    State(sim): State<Sim>,
    Path(id): Path<String>,
    Json(order): Json<TokenPatch>,
) -> Answer {
    found(sim.change_token(&id, |token| order.apply(token)), "token")
}

async fn revoke_token(State(sim): State<Sim>, Path(id): Path<String>) -> Answer {
    found(sim.revoke_id(&id), "token")
}

async fn faults(State(sim): State<Sim>) -> Json<Value> {
    Json(json!(sim.faults()))
}

async fn add_fault(State(sim): State<Sim>, Json(rule): Json<Rule>) -> Json<Value> {
    Json(json!({ "id": sim.fault(rule).id() }))
}

async fn clear_faults(State(sim): State<Sim>) -> Json<Value> {
    sim.clear_faults();
    Json(json!({}))
}

async fn remove_fault(State(sim): State<Sim>, Path(id): Path<u64>) -> Answer {
    found(sim.remove_fault(id), "fault")
}

async fn release_fault(State(sim): State<Sim>, Path(id): Path<u64>) -> Answer {
    found(sim.release_fault(id), "fault")
}

/// Which calls to list.
#[derive(Debug, Deserialize)]
struct CallQuery {
    host: Option<String>,
    /// The newest so many; all by default.
    limit: Option<usize>,
}

async fn calls(State(sim): State<Sim>, Query(query): Query<CallQuery>) -> Json<Value> {
    let mut calls = match &query.host {
        Some(host) => sim.calls_for(host),
        None => sim.calls(),
    };
    let surplus = query
        .limit
        .map_or(0, |limit| calls.len().saturating_sub(limit));
    calls.drain(..surplus);
    Json(json!(calls))
}

async fn clear_calls(State(sim): State<Sim>) -> Json<Value> {
    sim.clear_calls();
    Json(json!({}))
}

async fn counters(State(sim): State<Sim>) -> Json<Value> {
    Json(json!(sim.counters()))
}

async fn clock(State(sim): State<Sim>) -> Json<Value> {
    Json(orders::clock(&sim))
}

async fn set_clock(State(sim): State<Sim>, Json(order): Json<ClockOrder>) -> Answer {
    order.apply(&sim).map(Json)
}

async fn cut_connections(State(sim): State<Sim>) -> Json<Value> {
    sim.cut_connections();
    Json(json!({}))
}

fn found(found: bool, what: &str) -> Answer {
    if found {
        Ok(Json(json!({})))
    } else {
        Err(SimError::Unknown(what.to_owned()))
    }
}
