//! Where an API token of Cloud is used: at the site's own address, or at Atlassian's gateway.
//!
//! A token with scopes is accepted at the gateway only and looks like one without (Atlassian
//! documentation). So the site is asked first, and the gateway once after the site has said no; a
//! token that was accepted at one of them is validated there from then on. Tokens of service
//! accounts always have scopes and a format of their own: they are never sent to the site.

use crate::core::facts::Facts;
use crate::core::probe::{Outage, Refusal, Resource, Verdict};
use crate::core::spec::is_cloud_host;

impl Facts {
    /// Records what the site said about a token that may work at the gateway. Whether the gateway
    /// has to be asked before that means anything.
    pub(crate) fn falls_back_to_gateway(&mut self, verdict: &Verdict) -> bool {
        let can = self
            .plan
            .as_ref()
            .is_ok_and(|plan| plan.gateway_fallback.is_some());
        let refusal = match verdict {
            Verdict::Refused(refusal @ (Refusal::Rejected | Refusal::Forbidden)) => *refusal,
            Verdict::Refused(_)
            | Verdict::Accepted(_)
            | Verdict::NoVerdict(_)
            | Verdict::NotAllowed(_) => return false,
        };
        // What the site has accepted before is no token with scopes.
        if !can || self.gateway_fallback().is_some() || self.is_validated() {
            return false;
        }
        self.progress.refused_at_site = Some(refusal);
        true
    }

    /// What it means that the site would not tell its id. On a host that is not Atlassian's own
    /// that may be the plain answer of something that has no gateway: then the site's refusal is
    /// all there is to know.
    pub(crate) fn judge_unlocated(&self, verdict: &Verdict) -> Verdict {
        let own = self
            .plan
            .as_ref()
            .is_ok_and(|plan| is_cloud_host(&plan.site.host));
        match (self.progress.refused_at_site, verdict) {
            (
                Some(refusal),
                Verdict::NoVerdict(
                    Outage::NotFound
                    | Outage::NoCloudSite
                    | Outage::Redirect
                    | Outage::NotJson
                    | Outage::BrokenJson,
                ),
            ) if !own => Verdict::Refused(refusal),
            _ => verdict.clone(),
        }
    }

    /// Why a token cannot be used on the site, by what it covers.
    pub fn judge_survey(&self, resources: &[Resource]) -> Result<(), Refusal> {
        let (Ok(plan), Some(id)) = (&self.plan, self.cloud_id()) else {
            return Ok(());
        };
        if resources.is_empty() {
            return Err(Refusal::NoSite);
        }
        let is_site = |resource: &&Resource| resource.url.trim_end_matches('/') == plan.site.base;
        let of_id: Vec<&Resource> = resources
            .iter()
            .filter(|resource| resource.id == id)
            .collect();
        let said = self
            .renewal_plan()
            .is_some_and(|renewal| renewal.cloud_id.is_some());
        let elsewhere = resources
            .iter()
            .filter(is_site)
            .any(|resource| resource.id != id);
        if elsewhere && said {
            return Err(Refusal::CloudIdOfAnotherSite);
        }
        if of_id.is_empty() {
            return Err(Refusal::AnotherSite);
        }
        if of_id.iter().any(|resource| resource.is_jira()) {
            Ok(())
        } else {
            Err(Refusal::AnotherProduct)
        }
    }
}
