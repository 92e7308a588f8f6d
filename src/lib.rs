//! jira-credential-operator keeps Jira credentials alive.
//!
//! The README says what it does; `docs/design.md` how one reconcile works. The modules, from the
//! inside out: [`api`] (types), [`core`] (decisions), [`render`] (contents of Secrets), [`jira`]
//! (everything about Atlassian), [`cluster`] (everything about Kubernetes), [`controller`]
//! (watches, queue, passes), [`ops`] (metrics, health, logs), [`cli`].

pub mod api;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod controller;
pub mod core;
pub mod crd;
pub mod jira;
pub mod ops;
pub mod render;
