//! The built plugin against a real API server, the simulator of Jira and the operator.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed test may panic"
)]

mod check;
mod conventions;
mod counting;
mod desk;
mod doctor;
mod login;
mod login_data_center;
mod login_oauth1;
mod login_sites;
mod renew;
mod rotate;
mod status;
mod support;
