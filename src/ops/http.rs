//! The listeners for metrics and health. They outlive the controller, so that a pod that is
//! finishing its work still answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::metrics::Metrics;

/// Whether the process can serve.
pub type Readiness = Arc<dyn Fn() -> bool + Send + Sync>;

/// Serves `/metrics`.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve_metrics(
    address: SocketAddr,
    metrics: Arc<Metrics>,
) -> std::io::Result<SocketAddr> {
    let app = Router::new().route("/metrics", get(move || async move { render(&metrics) }));
    serve(address, app).await
}

/// Serves `/healthz` and `/readyz`. Neither asks Jira: an outage there is no reason to restart.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve_health(address: SocketAddr, ready: Readiness) -> std::io::Result<SocketAddr> {
    let readyz = move || async move {
        if ready() {
            (StatusCode::OK, "ok")
        } else {
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the first lists have not arrived",
            )
        }
    };
    let app = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz));
    serve(address, app).await
}

async fn serve(address: SocketAddr, app: Router) -> std::io::Result<SocketAddr> {
    let listener = match TcpListener::bind(address).await {
        // `:8080` means all addresses; a node without IPv6 has those of IPv4 only.
        Err(_) if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await?
        }
        bound => bound?,
    };
    let bound = listener.local_addr()?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "a listener ended");
        }
    });
    Ok(bound)
}

fn render(metrics: &Metrics) -> impl IntoResponse + use<> {
    let kind = [(
        header::CONTENT_TYPE,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    )];
    match metrics.render() {
        Ok(text) => (StatusCode::OK, kind, text),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, kind, String::new()),
    }
}
