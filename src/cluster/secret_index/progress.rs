//! How far the lists of each scope are: of the credentials first, then of the Secrets.

use std::collections::{HashMap, HashSet};

use tokio::sync::watch;

use crate::cluster::scope::Scope;

/// What has been listed, scope by scope.
#[derive(Debug)]
pub struct Progress {
    scopes: Vec<Scope>,
    state: watch::Sender<State>,
}

#[derive(Debug, Default)]
struct State {
    referred: HashSet<Scope>,
    listed: HashSet<Scope>,
    refused: HashSet<Scope>,
    withdrawn: HashMap<Scope, String>,
}

impl State {
    fn serves(&self, scope: &Scope) -> bool {
        self.listed.contains(scope) && !self.withdrawn.contains_key(scope)
    }
}

impl Progress {
    pub(super) fn over(scopes: Vec<Scope>) -> Self {
        Self {
            scopes,
            state: watch::Sender::default(),
        }
    }

    /// All credentials of a scope are known, and with them everything that is referred to.
    pub fn references_known(&self, scope: &Scope) {
        self.change(|state| state.referred.insert(scope.clone()));
    }

    /// Whether all credentials of all scopes are known.
    pub fn has_references(&self) -> bool {
        self.state.borrow().referred.len() == self.scopes.len()
    }

    /// Waits until all credentials of a scope are known.
    pub async fn references(&self, scope: &Scope) {
        self.until(|state| state.referred.contains(scope)).await;
    }

    /// The list of Secrets of a scope is complete, or nobody waits for one. Returns whether it is the first.
    pub fn listed(&self, scope: &Scope) -> bool {
        let mut is_first = false;
        self.change(|state| {
            is_first = state.listed.insert(scope.clone());
            is_first
        });
        is_first
    }

    /// The API server refuses to list a scope.
    pub fn refused(&self, scope: &Scope) {
        self.change(|state| state.refused.insert(scope.clone()));
    }

    /// Waits until the lists of each scope are complete or refused, and those of one are complete.
    pub async fn settled(&self) {
        self.until(|state| {
            let is_known = |scope| state.listed.contains(scope) || state.refused.contains(scope);
            self.scopes.iter().all(is_known) && !state.listed.is_empty()
        })
        .await;
    }

    /// Nothing is done in a scope until it is restored: something about it could not be read, for this
    /// reason.
    pub fn withdraw(&self, scope: &Scope, reason: String) {
        self.change(|state| state.withdrawn.insert(scope.clone(), reason).is_none());
    }

    /// Why a scope is withdrawn, if it is.
    pub fn withdrawal(&self, scope: &Scope) -> Option<String> {
        self.state.borrow().withdrawn.get(scope).cloned()
    }

    /// What could not be read of a scope has been read.
    pub fn restore(&self, scope: &Scope) {
        self.change(|state| state.withdrawn.remove(scope).is_some());
    }

    /// Whether everything that exists is known.
    pub fn is_complete(&self) -> bool {
        let state = self.state.borrow();
        self.scopes.iter().all(|scope| state.serves(scope))
    }

    /// Whether what a namespace holds is known: nothing is done in it before.
    pub fn serves(&self, namespace: &str) -> bool {
        let state = self.state.borrow();
        let mut mine = self.scopes.iter().filter(|scope| scope.covers(namespace));
        mine.any(|scope| state.serves(scope))
    }

    /// The scopes of which something is not known.
    pub fn missing(&self) -> Vec<Scope> {
        let state = self.state.borrow();
        let missing = self.scopes.iter().filter(|scope| !state.serves(scope));
        missing.cloned().collect()
    }

    /// Tells those who wait only when something has changed.
    fn change(&self, change: impl FnOnce(&mut State) -> bool) {
        self.state.send_if_modified(change);
    }

    async fn until(&self, reached: impl FnMut(&State) -> bool) {
        // The sender lives as long as self: there is always an answer.
        let _ = self.state.subscribe().wait_for(reached).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn a_refused_namespace_holds_up_no_other_and_is_not_served() {
        let scopes = Scope::of(&["a", "b"].map(str::to_owned));
        let [a, b] = [0, 1].map(|index| scopes.get(index).unwrap().clone());
        let progress = Progress::over(scopes);
        let is_settled = || progress.settled().now_or_never().is_some();
        progress.refused(&b);
        assert!(!is_settled(), "nothing is listed");
        assert!(progress.listed(&a));
        assert!(is_settled() && !progress.is_complete());
        assert!(progress.serves("a") && !progress.serves("b") && !progress.serves("c"));
        assert_eq!(progress.missing(), std::slice::from_ref(&b));
        assert!(progress.listed(&b) && !progress.listed(&b));
        assert!(progress.is_complete() && progress.serves("b"));
        progress.withdraw(&a, "no right".to_owned());
        assert!(!progress.serves("a") && !progress.is_complete());
        assert_eq!(progress.withdrawal(&a).as_deref(), Some("no right"));
        progress.restore(&a);
        assert!(progress.serves("a") && progress.withdrawal(&a).is_none());
    }

    #[test]
    fn nothing_is_settled_while_a_list_is_under_way_or_the_whole_cluster_is_refused() {
        let progress = Progress::over(Scope::of(&["a", "b"].map(str::to_owned)));
        progress.listed(&Scope::Namespace("a".into()));
        assert!(progress.settled().now_or_never().is_none());
        let all = Progress::over(Scope::of(&[]));
        all.refused(&Scope::Cluster);
        assert!(all.settled().now_or_never().is_none());
    }
}
