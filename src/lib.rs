//! A Kubernetes operator that keeps Jira credentials alive.
//!
//! A user applies a [`JiraCredential`](api::JiraCredential). The operator validates it against Jira's
//! `/myself`, renews tokens before they expire, writes the Secrets that pods mount, and says in
//! conditions what a person must rotate.
//!
//! One reconcile of one credential:
//!
//! 1. [`cluster`] observes: it reads the Secrets that the status does not know yet.
//! 2. [`core::decide`] names the next step, by the [`core::facts`] alone.
//! 3. [`controller`] carries it out: one write to the cluster, or one call to [`jira`].
//! 4. [`core::apply`] adds the result to the facts; back to 2 until no step is left.
//! 5. [`core::conclude`] says what the status and the events are.
//!
//! The modules, from the inside out; each uses only those before it:
//!
//! | module | what it holds |
//! |---|---|
//! | [`clock`] | the only reader of the clock |
//! | [`api`] | the types of the custom resource; no behaviour |
//! | [`core`] | decisions, as pure functions |
//! | [`crd`] | the definition as it is installed |
//! | [`render`] | the contents of published Secrets |
//! | [`net`] | calls over HTTPS, to whomever |
//! | [`jira`] | everything about Atlassian |
//! | [`notify`] | notifications to receivers outside the cluster |
//! | [`cluster`] | everything about Kubernetes |
//! | [`ops`] | metrics, health, logs |
//! | [`controller`] | watches, queue, reconciles, shutdown |
//! | [`cli`] | the command line |
//!
//! `docs/design.md` explains the design and the renewal protocol, `docs/glossary.md` the words.

pub mod api;
// The program runs in Linux containers; the kubectl plugin shares the rest on every system.
#[cfg(unix)]
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod controller;
pub mod core;
pub mod crd;
pub mod jira;
pub mod net;
pub mod notify;
pub mod ops;
pub mod render;
