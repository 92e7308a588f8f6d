//! After a renewal or a rotation the readers of the published Secrets are looked for.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;

use crate::api::{ConditionStatus, ConditionType, JiraCredential, JiraCredentialStatus, Target};
use crate::controller::Operator;
use crate::controller::reader_search::Search;
use crate::core::facts::Facts;
use crate::render::{Validated, renewed_keys};

impl Operator {
    /// Has the readers of the targets looked for that hold another credential than at the beginning of the reconcile.
    pub(super) fn look_for_readers(
        &self,
        object: &JiraCredential,
        facts: &Facts,
        before: &JiraCredentialStatus,
    ) {
        // Lists of workloads are long: one for all targets of a namespace.
        let mut all: BTreeMap<String, Vec<(Target, BTreeSet<String>)>> = BTreeMap::new();
        for target in facts.replaced_targets(before) {
            let namespace = target.namespace.as_ref();
            let namespace = namespace.unwrap_or(&facts.object.namespace).clone();
            let keys = changed_keys(object, facts, before, target);
            if !keys.is_empty() {
                let targets = all.entry(namespace).or_default();
                targets.push((target.clone(), keys));
            }
        }
        for (namespace, targets) in all {
            let search = Search {
                cluster: self.cluster.clone(),
                clock: self.clock.clone(),
                readers: self.readers.clone(),
                object: object.clone(),
                namespace,
                targets,
            };
            tokio::spawn(
                self.stopping
                    .clone()
                    .run_until_cancelled_owned(search.run()),
            );
        }
    }
}

/// The keys of a target whose values are others than at the beginning of the reconcile.
fn changed_keys(
    object: &JiraCredential,
    facts: &Facts,
    before: &JiraCredentialStatus,
    target: &Target,
) -> BTreeSet<String> {
    let (Ok(plan), Some(url), Some(account)) = (&facts.plan, facts.api_base(), facts.account())
    else {
        return BTreeSet::new();
    };
    // A user that the spec names is the same as before, unless the spec is another, or Jira has not judged it yet.
    let was_judged = before
        .condition(ConditionType::Valid)
        .is_some_and(|condition| condition.status != ConditionStatus::Unknown);
    let is_same_spec = was_judged && before.observed_generation == facts.object.generation;
    let token = object.spec.auth.api_token.as_ref().filter(|_| is_same_spec);
    let user = token.and_then(|token| token.email.as_deref());
    let nothing = SecretString::default();
    let name = format!("{}/{}", facts.object.namespace, facts.object.name);
    let now = Validated {
        name: &name,
        hosting: plan.site.hosting,
        method: plan.method,
        url: &url,
        site: &plan.site.base,
        cloud_id: facts.cloud_id(),
        user,
        secret: &nothing,
        previous: None,
        signing: None,
        account: &account.id,
        expires_at: None,
    };
    renewed_keys(&seen(now, before), &now, target)
}

/// Where a credential was used at the beginning of the reconcile, and how, as far as that is recorded.
fn seen<'a>(now: Validated<'a>, before: &'a JiraCredentialStatus) -> Validated<'a> {
    let method = before.method.unwrap_or(now.method);
    let account = before.account.as_ref();
    let account = account.map_or(now.account, |account| &account.id);
    let Some(site) = &before.site else {
        return Validated {
            method,
            account,
            ..now
        };
    };
    Validated {
        hosting: site.hosting,
        method,
        url: &site.api_url,
        // It is recorded where the API is at another address.
        site: site.address.as_ref().unwrap_or(&site.api_url),
        cloud_id: site.cloud_id.as_deref().or(now.cloud_id),
        account,
        ..now
    }
}
