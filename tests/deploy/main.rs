//! What `deploy/` holds beside the manifests: the chart, alerts, the dashboard, the health check of
//! Argo CD. Each is judged by the program that will read it.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed test may panic"
)]

mod chart;
mod dashboard;
mod flags;
mod labels;
mod listed_namespaces;
mod metrics;
mod rules;
mod support;
mod values;
