//! The whole system: the real API server, the simulator of Jira, and the operator between them.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed test may panic"
)]

mod crash;
mod faults;
mod lifecycle;
mod numbers;
mod outages;
mod passwords;
mod rotation;
mod support;
mod targets;
