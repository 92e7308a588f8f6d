//! Which credential the facts are about: its fingerprint, its site, its account, and where Jira is
//! called with it.

use crate::core::facts::Facts;
use crate::core::facts::types::Source;
use crate::core::fingerprint::{Fingerprint, FingerprintMatch};
use crate::core::spec::{Site, TokenKind, is_at_gateway, is_site_of};

impl Facts {
    /// The fingerprint of the credential in the source: as read, or else as recorded.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        if let Some(print) = self.chain_print() {
            return Some(print.clone());
        }
        match &self.source {
            Source::Read { fingerprint, .. } => Some(fingerprint.clone()),
            Source::Unchanged | Source::Unusable(_) => self
                .status
                .attempt
                .as_ref()
                .map(|attempt| attempt.fingerprint.as_str())
                .or(self.status.validated_fingerprint.as_deref())
                .map(Fingerprint::recorded),
        }
    }

    /// Whether the credential in the source is the one that was validated last.
    pub fn is_validated(&self) -> bool {
        match (self.fingerprint(), &self.status.validated_fingerprint) {
            (Some(fingerprint), Some(validated)) => {
                fingerprint.compare(validated) == FingerprintMatch::Same
                    && self.site_recorded()
                    && self.status.last_validated_time.is_some()
            }
            _ => false,
        }
    }

    /// Fingerprints of different keys tell nothing: then equal versions of the Secret decide.
    pub(crate) fn is_same(&self, fingerprint: &Fingerprint, recorded: &str) -> bool {
        match fingerprint.compare(recorded) {
            FingerprintMatch::Same => true,
            FingerprintMatch::Different => false,
            FingerprintMatch::Unknown => match &self.source {
                Source::Read { versions, .. } => *versions == self.status.sources,
                Source::Unchanged => true,
                Source::Unusable(_) => false,
            },
        }
    }

    /// Whether the recorded validation was made at the site and with the method of the present
    /// spec.
    pub fn site_recorded(&self) -> bool {
        match (&self.plan, &self.status.site) {
            (Ok(plan), Some(site)) if plan.gateway_fallback.is_some() => {
                is_site_of(plan, site) && self.status.method == Some(plan.method)
            }
            (Ok(plan), Some(site)) => {
                Some(&site.api_url) == self.api_base().as_ref()
                    && self.status.method == Some(plan.method)
            }
            _ => false,
        }
    }

    /// The account that the credential must belong to: the one of the spec, else the first one
    /// that it was validated for. Another site or method is another account.
    pub fn pinned_account(&self) -> Option<&str> {
        let recorded = || {
            self.status
                .account
                .as_ref()
                .filter(|_| self.site_recorded())
        };
        self.spec
            .validation
            .account_id
            .as_deref()
            .or_else(|| recorded().map(|account| account.id.as_str()))
    }

    /// Atlassian's gateway, for a credential that is used there.
    pub fn gateway(&self) -> Option<&str> {
        match self.renewal_plan() {
            Some(plan) => plan.gateway.as_deref(),
            None => self.gateway_fallback(),
        }
    }

    /// The base of API calls of the credential that was validated last; `None` while the id of the
    /// site is not known.
    pub fn api_base(&self) -> Option<String> {
        let plan = self.plan.as_ref().ok()?;
        if plan.gateway_fallback.is_some() {
            let recorded = self.status.site.as_ref().filter(|_| self.site_recorded());
            let base = recorded.map_or(&plan.site.base, |site| &site.api_url);
            return Some(base.clone());
        }
        self.probe_base()
    }

    /// Where the credential is validated next; `None` while the id of the
    /// site is not known.
    pub fn probe_base(&self) -> Option<String> {
        let plan = self.plan.as_ref().ok()?;
        let Some(gateway) = self.gateway() else {
            return Some(plan.site.base.clone());
        };
        let id = self.cloud_id()?;
        Some(format!("{gateway}/ex/jira/{id}"))
    }

    /// The id of the site: as the spec says, as the site reported in this reconcile, or as is
    /// recorded.
    pub fn cloud_id(&self) -> Option<&str> {
        let plan = self.plan.as_ref().ok()?;
        let recorded = || {
            let site = self.status.site.as_ref()?;
            let same = site.address.as_deref() == Some(&plan.site.base);
            // An address without a validation may come from an earlier spec.
            let told = self.status.account.is_some() || !self.spec_changed();
            site.cloud_id.as_deref().filter(|_| same && told)
        };
        // A credential that is not used at the gateway may still be published with its address.
        if plan.gateway_fallback.is_none() {
            self.gateway()?;
        }
        let said = plan.renewal.as_ref();
        let said = said.and_then(|plan| plan.cloud_id.as_deref());
        said.or(self.progress.cloud_id.as_deref()).or_else(recorded)
    }

    /// The gateway, if the API token in the source is validated there.
    pub(crate) fn gateway_fallback(&self) -> Option<&str> {
        let gateway = self.plan.as_ref().ok()?.gateway_fallback.as_deref()?;
        let here = self.progress.refused_at_site.is_some()
            || self.form.kind == TokenKind::ServiceAccountToken
            || (self.is_validated() && self.is_recorded_at_gateway());
        here.then_some(gateway)
    }

    fn is_recorded_at_gateway(&self) -> bool {
        match (&self.plan, &self.status.site) {
            (Ok(plan), Some(site)) => is_at_gateway(plan, site),
            _ => false,
        }
    }

    /// Where the credential that stands to be validated is sent: to the site, or to the gateway.
    pub fn probe_site(&self) -> Option<Site> {
        let site = &self.plan.as_ref().ok()?.site;
        Some(match self.gateway() {
            Some(gateway) => Site {
                hosting: site.hosting,
                base: self.probe_base()?,
                host: gateway.to_owned(),
            },
            None => site.clone(),
        })
    }
}
