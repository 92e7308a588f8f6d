//! The look-up of an API token's expiry: a call that nothing waits for.

use std::time::Duration;

use crate::cluster::Material;
use crate::controller::Operator;
use crate::core::apply::Answer;
use crate::core::facts::Facts;
use crate::core::probe::Outage;
use crate::core::probe::token_list::{Found, LookupError, Sought, pick};
use crate::jira::TokenList;

/// A look-up takes no longer, however many pages the list has: a change of the credential waits
/// for it.
const LIMIT: Duration = Duration::from_secs(20);

impl Operator {
    /// Asks the organisation when the API token expires, if there is room for it.
    pub(in crate::controller) async fn look_up(
        &self,
        facts: &Facts,
        material: Option<&Material>,
    ) -> Answer {
        let Ok(_room) = self.look_ups.try_acquire() else {
            return Answer::LookUpPutOff;
        };
        let answer = self.find_token(facts, material).await;
        let (namespace, name) = (&facts.object.namespace, &facts.object.name);
        match &answer {
            Ok(_) => tracing::debug!(namespace, name, "the organisation lists the API token"),
            Err(miss) => {
                let reason = miss.reason();
                tracing::warn!(namespace, name, ?reason, "the look-up of the expiry failed");
            }
        }
        Answer::LookedUp(answer)
    }

    async fn find_token(
        &self,
        facts: &Facts,
        material: Option<&Material>,
    ) -> Result<Found, LookupError> {
        let known = (&facts.spec.expiry_lookup, facts.account(), &facts.plan);
        let ((Some(lookup), Some(account), Ok(plan)), Some(material)) = (known, material) else {
            // decide asks for nothing that was not read.
            return Err(LookupError::NoVerdict(Outage::Internal));
        };
        let key = match &material.api_key {
            Some(Ok(key)) => key,
            Some(Err(problem)) => return Err(LookupError::NoKey(problem.clone())),
            None => return Err(LookupError::NoVerdict(Outage::Internal)),
        };
        let sought = Sought {
            account: &account.id,
            email: material.user.as_deref(),
            issued_at: plan.issued_at,
            accepted_at: facts.status.last_validated_time,
        };
        let list = TokenList {
            gateway: &self.config.api_url,
            organization: &lookup.organization_id,
            key,
            label: &lookup.label,
        };
        let listed = tokio::time::timeout(LIMIT, self.jira_for(facts).listed(&list, &sought)).await;
        pick(
            &listed.map_err(|_| LookupError::NoVerdict(Outage::Timeout))??,
            &sought,
        )
    }
}
