//! Which targets hold another credential than before.

use crate::api::{JiraCredentialStatus, Target};
use crate::core::facts::Facts;
use crate::core::facts::types::TargetState;
use crate::core::fingerprint::{Fingerprint, FingerprintMatch};

impl Facts {
    /// The targets into which this reconcile wrote another credential than the one that they held; `before`: the
    /// status at its beginning. A target that is new or repaired, or that got other keys, is none of them.
    pub fn replaced_targets(&self, before: &JiraCredentialStatus) -> Vec<&Target> {
        let grant = before.grant.as_ref();
        let provisional = grant.and_then(|grant| grant.provisional.as_deref());
        let old = provisional.or(before.validated_fingerprint.as_deref());
        let is_another = |print: &str| {
            let old = old.map(|old| Fingerprint::recorded(print).compare(old));
            old == Some(FingerprintMatch::Different)
        };
        if !self
            .wanted()
            .is_some_and(|wanted| is_another(&wanted.print))
        {
            return Vec::new();
        }
        let was_written = |target: &Target| {
            let mut seen = before.targets.iter();
            seen.any(|seen| seen.is_of(target) && seen.hash.is_some())
        };
        let written = self.targets.iter().filter(|facts| {
            matches!(facts.state, TargetState::Written(_)) && was_written(&facts.target)
        });
        written.map(|facts| &facts.target).collect()
    }
}
