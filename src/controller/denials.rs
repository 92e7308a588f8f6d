//! Missing rights that were seen lately. An API server that has just started denies everything for a
//! moment, until it knows the RBAC rules, on busy cores for many seconds: a right counts as missing when it
//! is denied three times in a row, over ten seconds at least.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::{ClusterError, Key};

/// This many denials in a row are no start of an API server.
const BELIEVED: u32 = 3;

/// Nor when they have gone on for so long.
const LASTING: Duration = Duration::from_secs(10);

/// How often in a row the reconcile of each credential met a missing right, and since when.
#[derive(Debug, Default)]
pub(super) struct Denials(Mutex<HashMap<Key, (u32, Instant)>>);

impl Denials {
    /// A reconcile met a missing right. Returns whether it is to be believed.
    pub(super) fn met(&self, key: &Key) -> bool {
        let mut all = self.lock();
        let now = Instant::now();
        let (count, since) = all.entry(key.clone()).or_insert((0, now));
        *count = count.saturating_add(1);
        *count >= BELIEVED && now - *since >= LASTING
    }

    /// A reconcile met none, or the credential is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, (u32, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A missing right that is looked for again soon.
pub(super) fn not_believed() -> ClusterError {
    let why = "it denies a right, as it does until it knows the RBAC rules";
    ClusterError::Unavailable(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_denial_is_believed_when_it_lasts() {
        let denials = Denials::default();
        let (key, other) = (Key::new("n", "a"), Key::new("n", "b"));
        for (pause, believed) in [(0, false), (2, false), (4, false), (4, true), (0, true)] {
            tokio::time::advance(Duration::from_secs(pause)).await;
            assert_eq!(denials.met(&key), believed);
        }
        denials.forget(&key);
        for (pause, believed) in [(0, false), (30, false), (0, true)] {
            tokio::time::advance(Duration::from_secs(pause)).await;
            assert_eq!(denials.met(&key), believed, "often and long");
        }
        assert!(!denials.met(&other));
        denials.forget(&key);
        assert!(!denials.met(&key), "it worked in between");
    }
}
