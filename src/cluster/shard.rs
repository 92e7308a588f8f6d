//! Which credentials this operator serves, when several operators share a cluster.

mod selector;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use selector::{Labels, Selector, SelectorError};

/// The part of all credentials that one operator serves.
#[derive(Clone)]
pub struct Shard {
    selector: Arc<Selector>,
    live: Arc<Mutex<Option<Vec<Selector>>>>,
}

impl fmt::Debug for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Shard({})", self.selector)
    }
}

impl Shard {
    /// The credentials whose labels match.
    pub fn new(selector: Selector) -> Self {
        Self {
            selector: Arc::new(selector),
            live: Arc::default(),
        }
    }

    /// What the labels of its credentials match.
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// Tells which shards have an operator that leads, this one included; `None`: that is not known.
    pub fn show_live(&self, selectors: Option<Vec<Selector>>) {
        *self.lock() = selectors;
    }

    /// How many of these labels no living shard matches; `None` when it is not known which shards live.
    pub fn unserved<'a>(&self, labels: impl Iterator<Item = Option<&'a Labels>>) -> Option<usize> {
        let live = self.lock();
        let live = live.as_ref()?;
        let unserved = labels.filter(|labels| !live.iter().any(|shard| shard.matches(*labels)));
        Some(unserved.count())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Selector>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
