//! What the deliveries to all sinks share.

use std::sync::{Arc, OnceLock, Weak};

use crate::clock::Clock;
use crate::net::Client;
use crate::notify::writer::Writers;

/// Counts what becomes of notifications.
pub trait Observer: Send + Sync {
    /// One notification was delivered or dropped, or one attempt failed. Both words come from a small set.
    fn notification(&self, sink: &str, outcome: &'static str);
}

/// Tells whether this process may send now.
pub type Permit = Arc<dyn Fn() -> bool + Send + Sync>;

/// What deliveries share.
#[derive(Clone)]
pub(super) struct Delivery {
    pub(super) client: Client,
    pub(super) clock: Clock,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) permit: Permit,
    /// Who lends the credentials that write issues; known once everything else is.
    pub(super) writers: Arc<OnceLock<Weak<dyn Writers>>>,
    /// Divides the waits; 1 outside of tests.
    pub(super) pace: u32,
}
