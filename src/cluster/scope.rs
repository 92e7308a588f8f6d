//! What one watch covers.

use std::fmt;
use std::sync::Arc;

/// The objects of the whole cluster, or those of one namespace.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Scope {
    /// Every namespace.
    #[default]
    Cluster,
    /// One namespace: rights in it are enough.
    Namespace(Arc<str>),
}

impl Scope {
    /// The scopes that cover these namespaces, and nothing else; without any, the whole cluster. No two of
    /// them cover the same namespace.
    pub fn of(namespaces: &[String]) -> Vec<Self> {
        let mut scopes: Vec<Self> = namespaces
            .iter()
            .map(|namespace| Self::Namespace(namespace.as_str().into()))
            .collect();
        scopes.sort();
        scopes.dedup();
        if scopes.is_empty() {
            scopes.push(Self::Cluster);
        }
        scopes
    }

    /// The namespace, where it is one.
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Cluster => None,
            Self::Namespace(namespace) => Some(namespace),
        }
    }

    /// Whether objects of a namespace are in it.
    pub fn covers(&self, namespace: &str) -> bool {
        self.namespace().is_none_or(|mine| mine == namespace)
    }
}

/// Follows the name of a kind in a message.
impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => Ok(()),
            Self::Namespace(namespace) => write!(formatter, " in the namespace {namespace}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_namespace_is_covered_once_and_none_means_all() {
        let names = ["b", "a", "b"].map(str::to_owned);
        let scopes = Scope::of(&names);
        let found: Vec<_> = scopes.iter().filter_map(Scope::namespace).collect();
        assert_eq!(found, ["a", "b"]);
        for (namespace, covered) in [("a", 1), ("b", 1), ("c", 0)] {
            let count = scopes.iter().filter(|scope| scope.covers(namespace));
            assert_eq!(count.count(), covered, "{namespace}");
        }
        let all = Scope::of(&[]);
        assert!(all == [Scope::Cluster] && all.iter().all(|scope| scope.covers("c")));
    }
}
