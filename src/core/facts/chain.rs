//! Which token family (chain) of the grant is the credential.

use crate::core::facts::Facts;
use crate::core::facts::types::{GrantState, Held};
use crate::core::fingerprint::Fingerprint;
use crate::core::grant::Chain;
use crate::core::spec::{RenewalKind, RenewalPlan};

impl Facts {
    /// The plan of a credential that renews itself.
    pub fn renewal_plan(&self) -> Option<&RenewalPlan> {
        self.plan.as_ref().ok()?.renewal.as_ref()
    }

    /// Whether the credential renews itself.
    pub fn renews(&self) -> bool {
        self.renewal_plan().is_some()
    }

    /// Whether the token makes its own successor.
    pub fn makes_successors(&self) -> bool {
        self.renewal_plan()
            .is_some_and(|plan| plan.kind == RenewalKind::Successor)
    }

    /// Whether Jira keeps the token or session until it is ended.
    pub fn is_kept(&self) -> bool {
        self.renewal_plan().is_some_and(RenewalPlan::is_kept)
    }

    /// Whether a token that Jira refuses before it expires can still be replaced.
    pub fn replaces_the_refused(&self) -> bool {
        self.renewal_plan()
            .is_some_and(RenewalPlan::outlives_its_token)
    }

    /// The grant, if it was read.
    pub fn held(&self) -> Option<&Held> {
        match &self.renewal.as_ref()?.grant {
            GrantState::Read(held) => Some(held),
            GrantState::NotRead | GrantState::Absent | GrantState::Foreign | GrantState::Later => {
                None
            }
        }
    }

    /// Whether the grant was not read in this reconcile.
    pub fn grant_unread(&self) -> bool {
        let state = self.renewal.as_ref().map(|renewal| &renewal.grant);
        matches!(state, Some(GrantState::NotRead))
    }

    /// The chain that is the credential: the one in use, or the one that is to become it.
    pub fn chain(&self) -> Option<&Chain<Fingerprint>> {
        let grant = &self.held()?.grant;
        let plan = self.renewal_plan()?;
        // What another client was given is not ours to use.
        let ours = |chain: &&Chain<Fingerprint>| chain.client == plan.client;
        let any_live = grant.live.as_ref().filter(ours);
        let live = any_live.filter(|live| live.dead.is_none());
        let validated = |chain: &&Chain<Fingerprint>| {
            let print = chain.access.as_ref().map(|access| access.token.as_str());
            print.is_some() && print == self.status.validated_fingerprint.as_deref()
        };
        let candidate = grant.candidate.as_ref().filter(ours);
        candidate
            .filter(validated)
            .or(live)
            .or(candidate)
            .or(any_live)
    }

    /// The fingerprint of the access token of that chain.
    pub fn chain_print(&self) -> Option<&Fingerprint> {
        Some(&self.chain()?.access.as_ref()?.token)
    }

    /// A chain that waits to take the place of one in use.
    pub fn waiting_candidate(&self) -> Option<&Chain<Fingerprint>> {
        let grant = &self.held()?.grant;
        let plan = self.renewal_plan()?;
        let candidate = grant
            .candidate
            .as_ref()
            .filter(|chain| chain.client == plan.client)?;
        let subject = self.chain()?;
        (candidate.origin != subject.origin).then_some(candidate)
    }
}
