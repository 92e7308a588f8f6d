//! Notifications: tells people, outside the cluster, what needs them and that it does not any more.
//!
//! What is sent follows from the status of a credential alone (`problem`): the watch shows what a reconcile
//! has written, and `notifier` compares it with what was there before. So a restart, which has nothing to
//! compare, tells nothing again. Each sink has a task of its own
//! (`sender`), which sends the last state of each cause (`waiting`); nothing waits for it.

mod address;
mod config;
mod format;
mod message;
mod notifier;
mod problem;
mod sender;
mod sink;
mod sink_fields;
mod start;
mod template;
mod waiting;

pub use config::{NotifyConfig, NotifyConfigError};
pub use notifier::Notifier;
pub use sender::{Observer, Permit};
pub use start::start;
