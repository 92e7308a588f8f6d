//! What the API server takes from whom: the definition, its rules, what `deploy/` adds to them.
//!
//! One binary, so that one control plane serves all of it. Each test has a namespace of its own.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed test may panic"
)]

mod attacks;
mod documents;
mod manifests;
mod oldest;
mod operator_policy;
mod policy;
mod rules;
mod schema;
mod support;
