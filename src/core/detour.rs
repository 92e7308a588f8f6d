//! Where an API token of Cloud is used: at the site's own address, or at Atlassian's gateway.
//!
//! A token with scopes is accepted at the gateway only and looks like one without (Atlassian
//! documentation). So the site is asked first, and the gateway once after the site has said no;
//! where a token was accepted, there it is asked about from then on. Tokens of service accounts
//! always have scopes and can be told by their form: the site is never asked about them.

use super::answer::{Outage, Refusal, Verdict};
use super::facts::{Facts, Plan};
use super::form::FormKind;
use super::site::is_cloud_host;
use crate::api::SiteStatus;

impl Facts {
    /// The gateway, if the API token in the source is asked about there.
    pub(super) fn detour(&self) -> Option<&str> {
        let gateway = self.plan.as_ref().ok()?.detour.as_deref()?;
        let here = self.happened.refused_at_site.is_some()
            || self.form.kind == FormKind::ServiceAccountToken
            || (self.is_proven() && self.is_recorded_at_gateway());
        here.then_some(gateway)
    }

    fn is_recorded_at_gateway(&self) -> bool {
        match (&self.plan, &self.status.site) {
            (Ok(plan), Some(site)) => is_at_gateway(plan, site),
            _ => false,
        }
    }

    /// Takes in what the site said about a token that may work at the gateway. Whether the gateway
    /// has to be asked before that means anything.
    pub(super) fn turns_to_gateway(&mut self, verdict: &Verdict) -> bool {
        let can = self.plan.as_ref().is_ok_and(|plan| plan.detour.is_some());
        let refusal = match verdict {
            Verdict::Refused(refusal @ (Refusal::Rejected | Refusal::Forbidden)) => *refusal,
            Verdict::Refused(_)
            | Verdict::Accepted(_)
            | Verdict::NoVerdict(_)
            | Verdict::NotAllowed(_) => return false,
        };
        // What the site has accepted before is no token with scopes.
        if !can || self.detour().is_some() || self.is_proven() {
            return false;
        }
        self.happened.refused_at_site = Some(refusal);
        true
    }

    /// What it means that the site would not tell its id. On a host that is not Atlassian's own
    /// that may be the plain answer of something that has no gateway: then the site's refusal is
    /// all there is to know.
    pub(super) fn judge_unlocated(&self, verdict: &Verdict) -> Verdict {
        let own = self
            .plan
            .as_ref()
            .is_ok_and(|plan| is_cloud_host(&plan.site.host));
        match (self.happened.refused_at_site, verdict) {
            (
                Some(refusal),
                Verdict::NoVerdict(Outage::NotFound | Outage::Redirect | Outage::NotJson),
            ) if !own => Verdict::Refused(refusal),
            _ => verdict.clone(),
        }
    }
}

/// Whether a recorded site is the one of the plan, at its own address or behind the gateway.
pub(super) fn is_site_of(plan: &Plan, site: &SiteStatus) -> bool {
    site.api_url == plan.site.base || is_at_gateway(plan, site)
}

fn is_at_gateway(plan: &Plan, site: &SiteStatus) -> bool {
    let (Some(gateway), Some(id)) = (&plan.detour, &site.cloud_id) else {
        return false;
    };
    site.address.as_deref() == Some(&plan.site.base)
        && site.api_url == format!("{gateway}/ex/jira/{id}")
}

#[cfg(test)]
mod tests;
