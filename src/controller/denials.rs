//! Missing rights that were seen lately. An API server that has just started denies everything for a
//! moment, until it knows the RBAC rules: a right counts as missing when it is denied three times in a
//! row, some seconds apart.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cluster::{ClusterError, Key};

/// This many denials in a row are no start of an API server.
const BELIEVED: u32 = 3;

/// How often in a row the reconcile of each credential met a missing right.
#[derive(Debug, Default)]
pub(super) struct Denials(Mutex<HashMap<Key, u32>>);

impl Denials {
    /// A reconcile met a missing right. Returns whether it is to be believed.
    pub(super) fn met(&self, key: &Key) -> bool {
        let mut all = self.lock();
        let count = all.entry(key.clone()).or_default();
        *count = count.saturating_add(1);
        *count >= BELIEVED
    }

    /// A reconcile met none, or the credential is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, u32>> {
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

    #[test]
    fn a_denial_is_believed_when_it_lasts() {
        let denials = Denials::default();
        let (key, other) = (Key::new("n", "a"), Key::new("n", "b"));
        assert_eq!(
            [1, 2, 3, 4].map(|_| denials.met(&key)),
            [false, false, true, true]
        );
        assert!(!denials.met(&other));
        denials.forget(&key);
        assert!(!denials.met(&key), "it worked in between");
    }
}
