//! The whole system: the real API server, the simulator of Jira, and the operator between them.

mod lifecycle;
mod numbers;
mod support;
