//! Lends the credential that files issues.

use std::sync::{Arc, Weak};

use futures::future::BoxFuture;
use kube::runtime::reflector::ObjectRef;

use crate::api::{ConditionStatus, ConditionType, JiraCredential, MethodName};
use crate::cluster::{Material, Observed, key_of};
use crate::controller::Operator;
use crate::controller::act::{chain_token, of_chain, sent};
use crate::controller::shard::Served;
use crate::core::facts::Facts;
use crate::jira::Credential;
use crate::notify::{Writer, Writers};

impl Operator {
    /// Lets notifications that are issues be filed with credentials of this operator.
    pub(super) fn lend_to_notifier(self: &Arc<Self>) {
        if let Some(notifier) = &self.notifier {
            let lender: Weak<Self> = Arc::downgrade(self);
            notifier.write_with(lender);
        }
    }

    /// A credential as it is published: what Jira has accepted, and has not refused since.
    async fn lent(&self, namespace: &str, name: &str) -> Result<Writer, String> {
        let mut object = self.lendable(namespace, name)?;
        // The status has it at most once an hour.
        let validated = self.acceptances.last(&object);
        // The Secrets are read even if nothing has changed.
        if let Some(status) = &mut object.status {
            status.sources.clear();
        }
        let looked = Box::pin(self.look(&object)).await;
        let Observed { facts, material } = looked.map_err(|error| error.to_string())?;
        let unread = || "its Secrets cannot be read".to_owned();
        let material = material.ok_or_else(unread)?;
        if !facts.is_validated() {
            return Err("it is not validated yet".to_owned());
        }
        let credential = as_published(&facts, &material).ok_or_else(unread)?;
        let site = facts.probe_site().ok_or_else(unread)?;
        let print = facts.fingerprint().ok_or_else(unread)?;
        Ok(Writer {
            jira: self.jira_for(&facts),
            site,
            ca_pem: material.ca_pem,
            credential,
            validation: format!("{} {validated:?}", print.as_str()),
        })
    }

    /// The object of a credential that may be lent.
    fn lendable(&self, namespace: &str, name: &str) -> Result<JiraCredential, String> {
        let store = self.store.get();
        let reference = ObjectRef::new(name).within(namespace);
        let found = store.and_then(|store| store.get(&reference));
        let object = found.as_ref().and_then(|object| object.0.as_ref().ok());
        let object = object.ok_or("it does not exist, or the operator does not watch it")?;
        let now = self.clock.elapsed();
        if self.membership.served(&key_of(object), now) != Served::Here {
            return Err("this operator does not serve it".to_owned());
        }
        if object.spec.suspend {
            return Err("it is suspended".to_owned());
        }
        if let Some(why) = unsuitable(object) {
            return Err(why.to_owned());
        }
        let status = object.status.as_ref();
        let valid = status.and_then(|status| status.condition(ConditionType::Valid));
        match valid.map(|condition| condition.status) {
            Some(ConditionStatus::True | ConditionStatus::Unknown) => Ok(object.clone()),
            Some(ConditionStatus::False) => Err("Jira refuses it".to_owned()),
            None => Err("it is not validated yet".to_owned()),
        }
    }
}

/// Why the method of a credential cannot file issues. A password that is refused must not be sent again, and
/// each request with one counts as a login.
fn unsuitable(object: &JiraCredential) -> Option<&'static str> {
    match object.spec.auth.method()?.name() {
        MethodName::ApiToken
        | MethodName::OAuth2
        | MethodName::ClientCredentials
        | MethodName::PersonalAccessToken => None,
        MethodName::Basic | MethodName::Session => {
            Some("a password files no issues: use personalAccessToken")
        }
        MethodName::OAuth1 => Some("oauth1 files no issues: use personalAccessToken"),
    }
}

fn as_published(facts: &Facts, material: &Material) -> Option<Credential> {
    if facts.renews() {
        let method = facts.plan.as_ref().ok()?.method;
        return Some(of_chain(method, chain_token(facts, material)?));
    }
    sent(facts, material)
}

impl Writers for Operator {
    fn writer<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Writer, String>> {
        Box::pin(self.lent(namespace, name))
    }
}
