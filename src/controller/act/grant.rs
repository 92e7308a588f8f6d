//! The steps around a renewal: import an initial token, look for a duplicate, promote a candidate, and
//! what is asked of Jira for that.

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use crate::api::{JiraCredential, MethodName, Reason, SecretKeyRef};
use crate::cluster::{
    ClusterError, Kept, Known, Material, Search, Stored, Tokens, grant_mark, key_of, token_print,
};
use crate::controller::act::error::ActError;
use crate::controller::denials::not_believed;
use crate::controller::{Operator, SecretWatch};
use crate::core::apply::{Answer, Written};
use crate::core::facts::{Facts, Held, SeedState, Twin};
use crate::core::fingerprint::Fingerprint;
use crate::core::grant::{Access, ENDLESS, Replaced};
use crate::core::probe::{Outage, Verdict};
use crate::core::spec::{RenewalKind, RenewalPlan, place};
use crate::jira::Credential;

impl Operator {
    /// Writes a new seed into the grant, or makes the grant with it.
    pub(in crate::controller) async fn import_token(
        &self,
        facts: &Facts,
        material: &mut Material,
    ) -> Result<Answer, ActError> {
        let (plan, tokens) = parts(facts, material)?;
        let Some(SeedState::Read { digest, print }) =
            facts.renewal.as_ref().map(|renewal| &renewal.seed)
        else {
            return Err(ActError::Stale);
        };
        let copy = facts.held().is_some_and(Held::is_copy);
        let exists = tokens.stored.is_some();
        let mut stored = match &tokens.stored {
            Some(stored) => stored.clone(),
            None => self.fresh(facts, plan)?,
        };
        import_seed(&mut stored, plan, tokens, digest, (facts.now, copy))?;
        stored.label_seed(&self.key, print, facts.now);
        let earlier = facts.status.grant.as_ref().map(|known| &known.name);
        if let Some(earlier) = earlier.filter(|earlier| **earlier != plan.grant) {
            stored.follow(earlier);
        }
        let written = if exists {
            self.cluster.put_grant(&stored).await
        } else {
            self.cluster.create_grant(&stored).await
        };
        let stored = written.map_err(outdated)?;
        Ok(Answer::TokenImported(self.take(facts, tokens, stored)))
    }

    /// Looks whether an older grant holds the same seed.
    pub(in crate::controller) async fn check_duplicate(
        &self,
        facts: &Facts,
        material: &mut Material,
        current: &JiraCredential,
    ) -> Result<Answer, ActError> {
        let stored = material.tokens.as_ref().and_then(|all| all.stored.as_ref());
        let stored = stored.ok_or(ActError::Stale)?;
        let recorded = recorded_twin(facts, stored.seed(&self.key).as_ref());
        // Without lists, the grant of a credential that is gone is not found again.
        let stands = self.config.watch_secrets == SecretWatch::None && !facts.renew_requested();
        if stands && recorded.is_some() {
            return Ok(Answer::DuplicateChecked(recorded));
        }
        let error = match self.older_twin(stored).await? {
            Search::Found(twin) => return Ok(Answer::DuplicateChecked(Some(twin))),
            Search::None => return Ok(Answer::DuplicateChecked(None)),
            Search::Incomplete(error) => error,
        };
        let (namespace, name) = (&facts.object.namespace, &facts.object.name);
        tracing::warn!(namespace, name, %error, "cannot look everywhere for another use of the same token");
        if recorded.is_some() {
            return Ok(Answer::DuplicateChecked(recorded));
        }
        let is_denied = matches!(error, ClusterError::Forbidden(_));
        if is_denied && !facts.has_effects() && !self.denials.met(&key_of(current)) {
            return Err(not_believed().into());
        }
        let cause = error.denial().ok_or(ActError::Cluster(error))?;
        Ok(Answer::DuplicatesUnknown(cause))
    }

    /// A grant before there is one.
    pub(in crate::controller) fn fresh(
        &self,
        facts: &Facts,
        plan: &RenewalPlan,
    ) -> Result<Stored, ActError> {
        let namespace = &facts.object.namespace;
        let place = place_of(facts).ok_or(ActError::Stale)?;
        let retention = plan.retention.num_seconds();
        let mark = grant_mark(&self.key, namespace, &plan.grant);
        let name = &plan.grant;
        Ok(Stored::new(namespace, name, &place, retention, &mark))
    }

    /// Lets the validated candidate take the place of the chain in use.
    pub(in crate::controller) async fn promote(
        &self,
        facts: &Facts,
        material: &mut Material,
        current: &JiraCredential,
    ) -> Result<Answer, ActError> {
        let (plan, tokens) = parts(facts, material)?;
        let mut stored = tokens.stored.clone().ok_or(ActError::Stale)?;
        match plan.kind {
            RenewalKind::Refresh | RenewalKind::ClientCredentials => stored.grant.promote(),
            RenewalKind::Successor => stored.grant.succeed(Replaced::Token, facts.now),
            RenewalKind::Login => stored.grant.succeed(Replaced::Session, facts.now),
        }
        let stored = self.cluster.put_grant(&stored).await.map_err(outdated)?;
        let written = self.take(facts, tokens, stored);
        self.wake_others(facts, current);
        Ok(Answer::Promoted(written))
    }

    /// Asks the site for its id.
    pub(in crate::controller) async fn resolve_cloud_id(&self, facts: &Facts) -> Answer {
        match &facts.plan {
            Ok(plan) => Answer::CloudIdResolved(self.jira_for(facts).locate(&plan.site).await),
            Err(_) => Answer::CloudIdResolved(Err(Verdict::NoVerdict(Outage::Internal))),
        }
    }

    /// Asks the gateway what the token covers.
    pub(in crate::controller) async fn list_sites(
        &self,
        facts: &Facts,
        material: &Material,
    ) -> Answer {
        let (Some(gateway), Some(token)) = (facts.gateway(), asked_token(facts, material)) else {
            return Answer::SitesListed(Ok(None));
        };
        Answer::SitesListed(self.jira_for(facts).survey(gateway, &token).await)
    }

    /// Asks Jira for the owner of the token that is validated next.
    pub(in crate::controller) async fn ask_renewed(
        &self,
        facts: &Facts,
        material: &Material,
    ) -> Verdict {
        let (Some(site), Some(token), Ok(plan)) = (
            facts.probe_site(),
            asked_token(facts, material),
            &facts.plan,
        ) else {
            return Verdict::NoVerdict(Outage::Internal);
        };
        let credential = of_chain(plan.method, token);
        let ca_pem = material.ca_pem.as_deref();
        self.jira_for(facts)
            .whoami(&site, ca_pem, &credential)
            .await
    }

    /// Remembers a grant as it was written, and says what decisions may see of it.
    pub(in crate::controller) fn take(
        &self,
        facts: &Facts,
        tokens: &mut Tokens,
        stored: Stored,
    ) -> Written {
        let written = stored.written(&|token| token_print(&self.key, facts, token));
        let known = Known::Present {
            uid: written.version.uid.clone(),
            resource_version: written.version.resource_version.clone(),
        };
        let namespace = &facts.object.namespace;
        self.index
            .learn_from_write(namespace, &written.version.name, known);
        tokens.stored = Some(stored);
        written
    }

    /// Our own write is not news on the watch; the other users of the grant hear of it here.
    pub(in crate::controller) fn wake_others(&self, facts: &Facts, current: &JiraCredential) {
        let Some(plan) = facts.renewal_plan() else {
            return;
        };
        let me = key_of(current);
        let users = self.index.users(&facts.object.namespace, &plan.grant);
        for user in users.iter().filter(|user| **user != me) {
            self.wake.wake(user);
        }
    }
}

/// Where an older grant was when this seed was looked for before.
fn recorded_twin(facts: &Facts, seed: Option<&Fingerprint>) -> Option<Twin> {
    let recorded = facts.status.grant.as_ref()?;
    let is_same = recorded.seed.as_deref() == seed.map(Fingerprint::as_str);
    let conflicts = recorded.blocked_by == Some(Reason::GrantConflict) && is_same;
    let name = recorded.duplicate_of.as_ref().filter(|_| conflicts)?;
    Some(match name.as_str() {
        "" => Twin::Elsewhere,
        name => Twin::Here(name.to_owned()),
    })
}

/// The token of the chain that targets get.
pub(in crate::controller) fn chain_token(
    facts: &Facts,
    material: &Material,
) -> Option<SecretString> {
    token_of(material, &facts.chain()?.origin)
}

pub(in crate::controller) fn asked_token(
    facts: &Facts,
    material: &Material,
) -> Option<SecretString> {
    token_of(material, &facts.asked_about()?.origin)
}

/// A token that renews itself, as it is sent.
pub(in crate::controller) fn of_chain(method: MethodName, token: SecretString) -> Credential {
    match method {
        MethodName::Session => Credential::Cookie(token),
        MethodName::OAuth2
        | MethodName::ClientCredentials
        | MethodName::PersonalAccessToken
        | MethodName::ApiToken
        | MethodName::Basic
        | MethodName::OAuth1 => Credential::Bearer(token),
    }
}

fn token_of(material: &Material, origin: &str) -> Option<SecretString> {
    let stored = material.tokens.as_ref()?.stored.as_ref()?;
    let access = stored.grant.chain(origin)?.access.as_ref()?;
    Some(access.token.0.clone())
}

/// Makes what a person stored the candidate.
fn import_seed(
    stored: &mut Stored,
    plan: &RenewalPlan,
    tokens: &Tokens,
    digest: &str,
    (now, copy): (DateTime<Utc>, bool),
) -> Result<(), ActError> {
    let seed = || tokens.seed.clone().map(Kept).ok_or(ActError::Stale);
    let client = plan.client.clone();
    match plan.kind {
        RenewalKind::Refresh | RenewalKind::ClientCredentials => {
            stored.grant.adopt(digest, seed()?, client, now, copy);
        }
        RenewalKind::Successor => {
            let access = Access {
                token: seed()?,
                obtained: plan.stated.begin.unwrap_or(now).min(now),
                // What outlives its stated end has another one.
                expires: plan.stated.end.filter(|end| *end > now).unwrap_or(ENDLESS),
                scopes: Vec::new(),
                id: None,
            };
            stored.grant.import_token(digest, access, client, now, copy);
        }
        RenewalKind::Login => stored.grant.import_login(digest, client, now),
    }
    Ok(())
}

pub(in crate::controller) fn parts<'a>(
    facts: &'a Facts,
    material: &'a mut Material,
) -> Result<(&'a RenewalPlan, &'a mut Tokens), ActError> {
    let plan = facts.renewal_plan().ok_or(ActError::Stale)?;
    let tokens = material.tokens.as_mut().ok_or(ActError::Stale)?;
    Ok((plan, tokens))
}

fn place_of(facts: &Facts) -> Option<SecretKeyRef> {
    facts.spec.auth.method().as_ref().and_then(place)
}

/// A faster write has changed what was decided upon.
pub(in crate::controller) fn outdated(error: ClusterError) -> ActError {
    match error {
        ClusterError::AlreadyExists | ClusterError::NotFound => ActError::Stale,
        other => other.into(),
    }
}
