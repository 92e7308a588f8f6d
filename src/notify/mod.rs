//! Notifications: tells people, outside the cluster, what needs them and that it does not any more.
//!
//! What is sent follows from the status of a credential alone (`problem`): the watch shows what a reconcile
//! has written, and `notifier` compares it with what was there before. So a restart, which has nothing to
//! compare, tells nothing again. Each sink has a task of its own
//! (`sender`), which sends the last state of each cause (`waiting`); nothing waits for it. Most sinks have an
//! address (`attempt`); a project of Jira gets issues (`tickets`), with a credential that is lent (`writer`).

mod address;
mod attempt;
mod config;
mod delivery;
mod format;
mod message;
mod notifier;
mod problem;
mod sender;
mod sink;
mod sink_fields;
mod start;
mod template;
mod tickets;
mod tracker;
mod waiting;
mod writer;

pub use config::{NotifyConfig, NotifyConfigError};
pub use delivery::{OUTCOMES, Observer, Permit};
pub use notifier::Notifier;
pub use start::start;
pub use writer::{Writer, Writers};
