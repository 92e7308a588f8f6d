//! Where Jira is called with a credential: at its site, or at Atlassian's gateway.

use super::facts::Facts;

impl Facts {
    /// Atlassian's gateway, for a credential that is used there.
    pub fn gateway(&self) -> Option<&str> {
        match self.renewal_plan() {
            Some(plan) => plan.gateway.as_deref(),
            None => self.detour(),
        }
    }

    /// The base of API calls of the credential that was proven last; `None` while the id of the
    /// site is not known.
    pub fn api_base(&self) -> Option<String> {
        let plan = self.plan.as_ref().ok()?;
        if plan.detour.is_some() {
            let recorded = self.status.site.as_ref().filter(|_| self.site_recorded());
            let base = recorded.map_or(&plan.site.base, |site| &site.api_url);
            return Some(base.clone());
        }
        self.proof_base()
    }

    /// Where the credential that stands to be proven is asked about; `None` while the id of the
    /// site is not known.
    pub fn proof_base(&self) -> Option<String> {
        let plan = self.plan.as_ref().ok()?;
        let Some(gateway) = self.gateway() else {
            return Some(plan.site.base.clone());
        };
        let id = self.cloud_id()?;
        Some(format!("{gateway}/ex/jira/{id}"))
    }

    /// The id of the site: as the spec says, as the site told in this pass, or as is recorded.
    pub fn cloud_id(&self) -> Option<&str> {
        let plan = self.plan.as_ref().ok()?;
        let recorded = || {
            let site = self.status.site.as_ref()?;
            let same = site.address.as_deref() == Some(&plan.site.base);
            // What nothing was proven with may be the word of a spec that is no longer there.
            let told = self.status.account.is_some() || !self.spec_changed();
            site.cloud_id.as_deref().filter(|_| same && told)
        };
        // Whoever is not called at the gateway may still be published with its address.
        if plan.detour.is_none() {
            self.gateway()?;
        }
        let said = plan.renewal.as_ref();
        let said = said.and_then(|plan| plan.cloud_id.as_deref());
        said.or(self.happened.located.as_deref()).or_else(recorded)
    }
}
