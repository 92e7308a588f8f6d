//! Which of several processes acts: the holder of a Lease.
//!
//! The holder renews the Lease, and stops by itself when it has not succeeded for a while, well before
//! anybody else may take it. Every write is conditional on the version that was read, so that two
//! processes cannot both succeed.

mod decide;
mod election;
mod leadership;
mod lease;
mod neighbours;
mod release_watch;
mod terms;

pub use election::Election;
pub use leadership::{Leadership, Standing};
pub use terms::Terms;

/// Field manager of the Lease.
const MANAGER: &str = "jira-credential-operator/leader";
