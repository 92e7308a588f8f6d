//! Values that many states of the model have in common: kept once, and compared by a digest.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::rc::Rc;

/// A value that many states share; told apart by a digest of its text.
#[derive(Clone, Debug)]
pub(super) struct Shared<T>(Rc<T>, u64);

impl<T> Shared<T> {
    pub(super) fn new(value: T, digest: u64) -> Self {
        Self(Rc::new(value), digest)
    }

    pub(super) fn digest(&self) -> u64 {
        self.1
    }
}

impl<T: Debug> Shared<T> {
    pub(super) fn of(value: T) -> Self {
        let digest = digest(&format!("{value:?}"));
        Self::new(value, digest)
    }
}

impl<T: Clone + Hash> Shared<T> {
    pub(super) fn hashed(value: T) -> Self {
        let digest = digest(&value);
        Self::new(value, digest)
    }

    /// Changes this one, and not those that others share.
    pub(super) fn change<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(Rc::make_mut(&mut self.0));
        self.1 = digest(&*self.0);
        result
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.1.hash(state);
    }
}

pub(super) fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
