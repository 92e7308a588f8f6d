//! The admin API's part on what a Data Center keeps: personal access tokens, sessions, and their
//! ledgers.

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::config::SimError;
use crate::data_center::DataCenter;
use crate::sim::Sim;

use super::Answer;
use super::orders::{Kind, kind};

/// The routes.
pub(super) fn router() -> Router<Sim> {
    Router::new()
        .route("/admin/pats", get(pats))
        .route(
            "/admin/pat-requests",
            get(pat_requests).delete(clear_pat_requests),
        )
        .route("/admin/sessions", get(sessions).delete(end_sessions))
        .route(
            "/admin/session-events",
            get(session_events).delete(clear_session_events),
        )
}

/// Which instance, and whose.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    host: String,
    user: Option<String>,
}

impl Of {
    fn instance(&self, sim: &Sim) -> Result<DataCenter, SimError> {
        match kind(sim, &self.host)? {
            Kind::Instance(instance) => Ok(instance),
            Kind::Site(_) => Err(SimError::Invalid("this is no Data Center".to_owned())),
        }
    }

    fn is_of(&self, user: Option<&str>) -> bool {
        let wanted = self.user.as_deref();
        wanted.is_none_or(|wanted| user.is_some_and(|user| user.eq_ignore_ascii_case(wanted)))
    }
}

async fn pats(State(sim): State<Sim>, Query(of): Query<Of>) -> Answer {
    let user = of.user.as_deref();
    let user = user.ok_or_else(|| SimError::Invalid("user is missing".to_owned()))?;
    Ok(Json(json!(of.instance(&sim)?.pats_of(user))))
}

async fn pat_requests(State(sim): State<Sim>, Query(of): Query<Of>) -> Answer {
    let mut requests = of.instance(&sim)?.pat_requests();
    requests.retain(|request| of.is_of(request.user.as_deref()));
    Ok(Json(json!(requests)))
}

async fn clear_pat_requests(State(sim): State<Sim>, Query(of): Query<Of>) -> Answer {
    of.instance(&sim)?.clear_pat_requests();
    Ok(Json(json!({})))
}

async fn sessions(State(sim): State<Sim>, Query(of): Query<Of>) -> Answer {
    let mut sessions = of.instance(&sim)?.sessions();
    sessions.retain(|session| of.is_of(Some(&session.owner)));
    Ok(Json(json!(sessions)))
}

async fn end_sessions(State(sim): State<Sim>, Query(of): Query<Of>) -> Answer {
    let instance = of.instance(&sim)?;
    match &of.user {
        Some(user) => instance.end_sessions_of(user),
        None => instance.restart(),
    }
    Ok(Json(json!({})))
}

async fn session_events(State(sim): State<Sim>, Query(of): Query<Of>) -> Answer {
    let mut events = of.instance(&sim)?.session_events();
    events.retain(|event| of.is_of(event.user.as_deref()));
    Ok(Json(json!(events)))
}

async fn clear_session_events(State(sim): State<Sim>, Query(of): Query<Of>) -> Answer {
    of.instance(&sim)?.clear_session_events();
    Ok(Json(json!({})))
}
