//! What the deliveries to all sinks share.

use std::sync::{Arc, OnceLock, Weak};

use crate::clock::Clock;
use crate::net::{Client, HostPatterns};
use crate::notify::writer::Writers;

/// Counts what becomes of notifications.
pub trait Observer: Send + Sync {
    /// There is a sink, which may get notifications from now on.
    fn sink(&self, sink: &str);

    /// One notification was delivered or dropped, or one attempt failed. The outcome is one of [`OUTCOMES`].
    fn notification(&self, sink: &str, outcome: &'static str);
}

/// What may become of a notification, or of an attempt.
pub const OUTCOMES: [&str; 5] = ["sent", "failed", "refused", "given_up", "dropped"];

/// Tells whether this process may send now.
pub type Permit = Arc<dyn Fn() -> bool + Send + Sync>;

/// What deliveries share.
#[derive(Clone)]
pub(super) struct Delivery {
    pub(super) client: Client,
    /// The hosts that addresses may have.
    pub(super) hosts: Arc<HostPatterns>,
    pub(super) clock: Clock,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) permit: Permit,
    /// Who lends the credentials that write issues; known once everything else is.
    pub(super) writers: Arc<OnceLock<Weak<dyn Writers>>>,
    /// Divides the waits; 1 outside of tests.
    pub(super) pace: u32,
}
