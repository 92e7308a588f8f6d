//! The decisions of `src/core`, tried on a simulator of everything around them: tables, property
//! tests of convergence, and an exhaustive check of a model of the renewal protocol.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a failed test may panic"
)]

mod conclude;
mod convergence;
mod corpus;
mod decide;
mod expiry_lookup;
mod gateway;
mod messages;
mod model;
mod permissions;
mod simulator;
mod templates;
