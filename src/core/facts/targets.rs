//! What a target Secret should hold, described without its secret values.

use std::collections::HashSet;

use crate::api::{
    Account, CreationPolicy, JiraCredentialSpec, MergeStatus, MethodName, Preset, Reason, Target,
    TargetVersion,
};
use crate::core::facts::Facts;
use crate::core::facts::types::{TargetFacts, TargetState};
use crate::core::fingerprint::digest_of;
use crate::core::spec::{Site, preset_fault, presets, template_fault};

/// Raised whenever the same facts are rendered to other contents, so that a new version of the
/// operator rewrites what an older one wrote.
const RENDERING: &str = "2";

/// Everything that decides the contents of a target, the secret value standing in by its
/// fingerprint.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    /// The credential that is to be published.
    pub fingerprint: &'a str,
    /// How it authenticates.
    pub method: MethodName,
    /// The base of API calls.
    pub url: &'a str,
    /// The site that a person opens.
    pub site: &'a Site,
    /// Whose it is.
    pub account: &'a Account,
    /// When it expires, as RFC 3339 text; empty when unknown.
    pub expires_at: &'a str,
    /// The fingerprint of what it replaced, if that is to be published, too.
    pub previous: Option<&'a str>,
    /// The target.
    pub target: &'a Target,
}

impl Publication<'_> {
    /// A digest: equal digests mean equal contents. Nothing secret goes into it.
    pub fn digest(&self) -> String {
        let template = serde_json::to_string(&self.target.template).unwrap_or_default();
        // Where both are the same, only one is published.
        let site = Some(self.site.base.as_str()).filter(|site| *site != self.url);
        // The default adds nothing, so that what earlier versions wrote is as it should be.
        let policy = self.target.is_retained().then_some("Retain");
        let creation = merges(self.target).then_some("Merge");
        let presets = presets(self.target);
        let names: Vec<String> = presets.iter().map(Preset::to_string).collect();
        let presets = Some(names.join(" ")).filter(|_| presets != [Preset::Standard]);
        let hosting = format!("{:?}", self.site.hosting);
        let parts = [
            RENDERING,
            &hosting,
            self.fingerprint,
            &format!("{:?}", self.method),
            self.url,
            &self.account.id,
            self.expires_at,
            &template,
        ];
        let previous = self.previous.map(|print| ["previous", print]);
        let parts = parts.into_iter().chain(site).chain(policy).chain(creation);
        let parts = parts.chain(previous.into_iter().flatten());
        digest_of(parts.chain(presets.as_deref()))
    }
}

/// The targets of a spec, each Secret once; without any, one with the credential's own name. Those with a namespace
/// are in another one than the credential.
pub fn targets(spec: &JiraCredentialSpec, namespace: &str, name: &str) -> Vec<Target> {
    if spec.targets.is_empty() {
        return vec![Target {
            name: name.to_owned(),
            ..Target::default()
        }];
    }
    let mut targets = spec.targets.clone();
    for target in &mut targets {
        target.namespace.take_if(|said| said == namespace);
    }
    // A spec that names one twice is refused (`check_targets`): meanwhile the status has it once, too.
    let mut seen = HashSet::new();
    targets.retain(|target| seen.insert((target.namespace.clone(), target.name.clone())));
    targets
}

/// Whether a target consists of keys in a Secret that somebody else made.
pub fn merges(target: &Target) -> bool {
    target.creation_policy == CreationPolicy::Merge
}

impl Facts {
    /// Why the keys of a target are not in the Secret of somebody else into which they are to be written, as
    /// far as that is known.
    pub fn merge_problem(&self, facts: &TargetFacts) -> Option<MergeStatus> {
        if !merges(&facts.target) {
            return None;
        }
        let found = match &facts.state {
            TargetState::Absent => {
                return Some(MergeStatus {
                    blocked_by: Some(Reason::MergeTargetMissing),
                    ..MergeStatus::default()
                });
            }
            TargetState::NotMerged(version) => Some(version),
            TargetState::Present { .. } if self.is_held_by_another(facts) => {
                self.recorded(&facts.target)
            }
            TargetState::Present { .. }
            | TargetState::Unknown
            | TargetState::Written(_)
            | TargetState::OwnedByOther(..)
            | TargetState::Refused(_)
            | TargetState::NotRendered(_) => None,
        };
        found?.merge.clone()
    }

    /// The digest that a target has when it holds the credential that was validated last.
    pub fn wanted_digest(&self, target: &Target) -> Option<String> {
        let plan = self.plan.as_ref().ok()?;
        let wanted = self.wanted()?;
        let previous = self.previous().filter(|_| target.keep_previous);
        let publication = Publication {
            fingerprint: &wanted.print,
            method: plan.method,
            url: &self.api_base()?,
            site: &plan.site,
            account: self.account()?,
            expires_at: &wanted
                .expires_at
                .map(|time| time.to_rfc3339())
                .unwrap_or_default(),
            previous,
            target,
        };
        Some(publication.digest())
    }

    /// Why a target cannot have the keys that the spec asks for, and what to do about it.
    pub fn target_fault(&self, target: &Target) -> Option<String> {
        let plan = self.plan.as_ref().ok()?;
        let gateway = plan
            .renewal
            .as_ref()
            .and_then(|plan| plan.gateway.as_deref());
        preset_fault(target, plan.method, plan.site.hosting, gateway)
            .or_else(|| template_fault(target, plan.method))
    }

    /// What is recorded of a target.
    pub fn recorded(&self, target: &Target) -> Option<&TargetVersion> {
        let mut recorded = self.status.targets.iter();
        recorded.find(|seen| seen.is_of(target))
    }

    /// Whether a target holds the credential that was validated last.
    pub fn is_in_sync(&self, facts: &TargetFacts) -> bool {
        let wanted = self.wanted_digest(&facts.target);
        let current = match &facts.state {
            TargetState::Written(version) => Some(version),
            TargetState::Present {
                uid,
                resource_version,
            } => self
                .recorded(&facts.target)
                .filter(|seen| seen.uid == *uid && seen.resource_version == *resource_version),
            TargetState::Unknown
            | TargetState::Absent
            | TargetState::OwnedByOther(..)
            | TargetState::NotMerged(_)
            | TargetState::Refused(_)
            | TargetState::NotRendered(_) => None,
        };
        current.is_some_and(|version| version.hash.is_some() && version.hash == wanted)
    }

    /// Whether everything stands that may take the place of a target that the spec no longer names. A target into
    /// whose namespace nothing is written may stay so for ever, and holds up no other; only one that was never
    /// written may be the new name or the new namespace of the old one.
    pub fn is_replaced(&self, old: &TargetVersion) -> bool {
        self.targets.iter().all(|facts| {
            let target = &facts.target;
            let resembles = target.namespace == old.namespace || target.name == old.name;
            let was_written = || {
                let recorded = self.recorded(target);
                recorded.is_some_and(|seen| seen.hash.is_some())
            };
            self.is_in_sync(facts) || facts.barrier.is_some() && (!resembles || was_written())
        })
    }

    /// Whether a target is known to have another owner, and nothing has changed since.
    pub fn is_held_by_another(&self, facts: &TargetFacts) -> bool {
        match &facts.state {
            TargetState::OwnedByOther(..) | TargetState::NotMerged(_) => true,
            TargetState::Present {
                uid,
                resource_version,
            } => self.recorded(&facts.target).is_some_and(|seen| {
                // Another spec is a reason to look again who holds it.
                !self.spec_changed()
                    && seen.hash.is_none()
                    && seen.uid == *uid
                    && seen.resource_version == *resource_version
                    && !self.repair_is_due(seen)
            }),
            TargetState::Unknown
            | TargetState::Absent
            | TargetState::Written(_)
            | TargetState::Refused(_)
            | TargetState::NotRendered(_) => false,
        }
    }

    /// Whether the pause before keys are written again is over.
    fn repair_is_due(&self, seen: &TargetVersion) -> bool {
        let next = seen.merge.as_ref().and_then(|merge| merge.next_repair_time);
        next.is_some_and(|time| time <= self.now)
    }
}
