//! What a consent covers, as Atlassian's gateway tells it.

use super::answer::Refusal;
use super::facts::Facts;

/// A site that a token may be used on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resource {
    /// The id of the site on the gateway.
    pub id: String,
    /// The address of the site.
    pub url: String,
    /// What the token may do there.
    pub scopes: Vec<String>,
}

impl Resource {
    /// One consent can name a site twice, once for Jira and once for Confluence. Classic scopes of
    /// Jira have its name in the middle or at the end; Confluence's scopes have theirs.
    fn is_jira(&self) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|scope| !is_of_confluence(scope))
    }
}

fn is_of_confluence(scope: &str) -> bool {
    scope.ends_with(":confluence") || scope.contains(":confluence-") || scope == "search:confluence"
}

impl Facts {
    /// Whether what a token covers has to be asked before it can be proven: its chain has not been
    /// proven for this site.
    pub fn survey_is_due(&self) -> bool {
        let Some(chain) = self.asked_about().filter(|_| self.gateway().is_some()) else {
            return false;
        };
        let known = self
            .status
            .grant
            .as_ref()
            .and_then(|grant| grant.chain.as_ref());
        let proven = known == Some(&chain.lineage()) && self.site_recorded();
        !proven && !self.happened.surveyed
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
