//! What an administrator looks at: metrics, health, logs.

pub mod http;
pub mod metrics;
pub mod telemetry;
