//! `rotate`: replaces an API token or a personal access token. The new one is validated before it is
//! stored, and it is never in an argument, the environment, a file or an output.

pub mod page;
pub mod store;
pub mod token;
pub mod validate;

use std::collections::BTreeMap;

use clap::Args;
use jira_credential_operator::api::{
    Account, ConditionStatus, ConditionType, Date, Hosting, JiraCredential, Method, Reason,
    SecretKeyRef,
};
use jira_credential_operator::clock::Clock;
use jira_credential_operator::core::spec::Site;
use kube::Api;

use crate::connect::Cluster;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::rotate::store::{Dates, Stored};
use crate::rotate::validate::{Sender, ValidateArgs};
use crate::wait::{self, WaitArgs};

/// `rotate NAME`.
#[derive(Args, Clone, Debug)]
pub struct RotateArgs {
    /// Name of the credential.
    name: String,
    /// When the new token expires, such as 2027-03-01; stored in the spec.
    #[arg(long, value_parser = date, value_name = "DATE")]
    expires_at: Option<Date>,
    /// Open the page where tokens are made in the browser.
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    validate: ValidateArgs,
    #[command(flatten)]
    limit: WaitArgs,
}

/// Reads a date as the spec has it.
fn date(text: &str) -> Result<Date, String> {
    let date: Result<Date, _> = serde_json::from_value(text.into());
    let date =
        date.map_err(|_| "write a day such as 2027-03-01, or a time such as 2027-03-01T12:00:00Z")?;
    if date.end() <= Clock::system().now() {
        return Err("it has passed".to_owned());
    }
    Ok(date)
}

/// What is rotated.
struct Subject {
    object: JiraCredential,
    site: Site,
    /// The member of `spec.auth`.
    member: &'static str,
    token: SecretKeyRef,
}

impl Subject {
    fn of(object: JiraCredential) -> Result<Self, Failure> {
        let (member, token) = match object.spec.auth.method() {
            Some(Method::ApiToken(method)) => ("apiToken", method.token_secret_ref.clone()),
            Some(Method::PersonalAccessToken(method)) => {
                ("personalAccessToken", method.token_secret_ref.clone())
            }
            _ => {
                return Err(Failure::error(
                    "rotate replaces API tokens and personal access tokens; for another method see docs/methods",
                ));
            }
        };
        let site = Site::of(&object.spec).map_err(|error| Failure::error(error.to_string()))?;
        Ok(Self {
            object,
            site,
            member,
            token,
        })
    }
}

impl RotateArgs {
    /// Asks for a token, validates it, stores it, and waits until the operator has accepted it.
    ///
    /// # Errors
    /// When anything fails; the message says whether the token was stored.
    pub async fn run(&self, cluster: &Cluster) -> Result<Exit, Failure> {
        let api: Api<JiraCredential> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
        let what = format!(
            "read the JiraCredential {}/{}",
            cluster.namespace, self.name
        );
        let subject = Subject::of(cluster.ask(&what, api.get(&self.name)).await?)?;
        // Everything that can fail without the token, before a person makes one.
        validate::check_host(&subject.object, &subject.site)?;
        let secret = store::read(cluster, &subject.token).await?;
        let sender = Sender::new(cluster, &subject.object, &self.validate).await?;
        let dates = Dates::of(&subject.object, self.expires_at);
        store::try_dates(cluster, &self.name, subject.member, &dates).await?;
        page::show(&subject.site, self.open);
        let new = token::read().await?;
        if store::holds(&secret, &subject.token.key, &new) {
            return Err(Failure::error(
                "this is the token that is stored already; create another one. Nothing was stored",
            ));
        }
        let account = sender.whoami(&subject.site, &new).await?;
        same_account(&subject.object, &account)?;
        output::progress(&format!(
            "Jira accepts the token as {}.",
            account.known_as()
        ));
        let stored = store::replace(cluster, secret, &subject.token, &new).await?;
        drop(new);
        output::progress(&format!("Stored in {}.", subject.token));
        let dates = Dates::of(&subject.object, self.expires_at);
        let object = store::date(cluster, &self.name, subject.member, &dates).await?;
        let generation = object.or(subject.object.metadata.generation);
        self.wait(cluster, &subject, &stored, generation).await
    }

    async fn wait(
        &self,
        cluster: &Cluster,
        subject: &Subject,
        stored: &Stored,
        generation: Option<i64>,
    ) -> Result<Exit, Failure> {
        if subject.object.spec.suspend {
            output::print(&format!(
                "{}: stored, and suspended: it is published when spec.suspend is false again\n",
                self.name
            ))?;
            return Ok(Exit::NotReady);
        }
        let is_settled = |object: &JiraCredential| is_settled(object, stored, generation);
        let object = wait::until(cluster, &self.name, self.limit.timeout, is_settled).await?;
        crate::renew::show(&object)
    }
}

/// Whether the operator has read the new token and come to an end with it.
pub fn is_settled(object: &JiraCredential, stored: &Stored, generation: Option<i64>) -> bool {
    let Some(status) = &object.status else {
        return false;
    };
    let versions: BTreeMap<&str, &str> = status
        .sources
        .iter()
        .map(|source| (source.name.as_str(), source.resource_version.as_str()))
        .collect();
    let has_read = versions.get(stored.name.as_str()) == Some(&stored.version.as_str());
    let is = |kind, wanted| {
        let condition = status.condition(kind);
        condition.is_some_and(|condition| condition.status == wanted)
    };
    let is_accepted = is(ConditionType::Ready, ConditionStatus::True)
        && is(ConditionType::Valid, ConditionStatus::True);
    // Jira accepted it, and its publication was refused: no waiting helps.
    let is_unpublished = is(ConditionType::Valid, ConditionStatus::True)
        && status.condition(ConditionType::Ready).is_some_and(|ready| {
            ready.status == ConditionStatus::False && ready.reason != Reason::Waiting
        });
    has_read
        && Some(status.observed_generation) >= generation
        && (is_accepted || is_unpublished || is(ConditionType::Valid, ConditionStatus::False))
}

/// A token of somebody else is not stored: the operator would stop at it.
fn same_account(object: &JiraCredential, account: &Account) -> Result<(), Failure> {
    let recorded = object
        .status
        .as_ref()
        .and_then(|status| status.account.as_ref());
    let wanted = object.spec.validation.account_id.as_deref();
    let wanted = wanted.or(recorded.map(|account| account.id.as_str()));
    match wanted {
        Some(wanted) if wanted != account.id => Err(Failure::new(
            Exit::NotReady,
            format!(
                "the token belongs to {} ({}), but the credential to {}. Nothing was stored; log in to Jira as that account and create the token there",
                account.known_as(),
                account.id,
                recorded
                    .filter(|recorded| recorded.id == wanted)
                    .map_or(wanted.to_owned(), Account::known_as),
            ),
        )),
        _ => Ok(()),
    }
}

/// What a token is called where it is made.
fn token_name(hosting: Hosting) -> &'static str {
    match hosting {
        Hosting::Cloud => "API token",
        Hosting::DataCenter => "personal access token",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_settled_when_no_waiting_helps() {
        let stored = Stored {
            name: "s".to_owned(),
            version: "2".to_owned(),
        };
        for (version, valid, ready, reason, expected) in [
            ("2", "True", "True", "Validated", true),
            ("1", "True", "True", "Validated", false),
            ("2", "False", "True", "Confirming", true),
            ("2", "True", "False", "Waiting", false),
            ("2", "True", "False", "TargetForeign", true),
            ("2", "True", "False", "WriteRefused", true),
            ("1", "True", "False", "WriteRefused", false),
            ("2", "Unknown", "False", "SiteUnavailable", false),
        ] {
            let condition = |kind: &str, status: &str| {
                json!({"type": kind, "status": status, "reason": reason, "message": "m",
                    "lastTransitionTime": "2027-01-01T00:00:00Z"})
            };
            let object: JiraCredential = serde_json::from_value(json!({
                "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
                "metadata": {"name": "bot", "generation": 1},
                "spec": {"site": "https://acme.atlassian.net", "auth": {}},
                "status": {
                    "observedGeneration": 1,
                    "sources": [{"name": "s", "uid": "u", "resourceVersion": version}],
                    "conditions": [condition("Valid", valid), condition("Ready", ready)],
                },
            }))
            .unwrap();
            let settled = is_settled(&object, &stored, Some(1));
            assert_eq!(settled, expected, "{version} {valid} {ready} {reason}");
        }
    }
}
