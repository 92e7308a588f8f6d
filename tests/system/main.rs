//! The whole system: the real API server, the simulator of Jira, and the operator between them.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failed test may panic"
)]

mod attacks;
mod audit;
mod backup;
mod bad_input;
mod chart;
mod crash;
mod denied;
mod detection;
mod every_method;
mod expiry_lookup;
mod external_secrets;
mod faults;
mod freshness;
mod gitops;
mod installation;
mod issues;
mod key_loss;
mod kstatus;
mod labelled_sources;
mod leader;
mod lifecycle;
mod line_ends;
mod listed_namespaces;
mod matrix;
mod merged;
mod moved;
mod namespaces;
mod notifications;
mod numbers;
mod oauth;
mod oauth1;
mod outages;
mod passwords;
mod permissions;
mod presets;
mod previous;
mod proxied;
mod rbac;
mod readers;
mod redaction;
mod restart;
mod restored;
mod retained;
mod rights;
mod rotation;
mod sessions;
mod shards;
mod shared_secret;
mod successors;
mod support;
mod targets;
mod templates;
mod tenants;
mod uninstall;
mod unwatched_secrets;
mod upgrade;
mod verdicts;
