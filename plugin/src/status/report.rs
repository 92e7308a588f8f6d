//! What is known of one credential, from the object alone.

use chrono::{DateTime, Utc};
use jira_credential_operator::api::{
    Account, Condition, ConditionStatus, ConditionType, JiraCredential, JiraCredentialStatus,
    MethodName, Owner, Reason, SiteStatus,
};
use kube::ResourceExt;
use serde::Serialize;

use crate::status::clocks::{self, Ends};
use crate::status::published::published;
use crate::status::readers::Readers;

/// One credential, as `-o json` prints it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Status of the condition `Ready`; `Unknown` without one.
    pub ready: ConditionStatus,
    /// Its reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Its message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether the operator has seen the present spec.
    pub up_to_date: bool,
    /// How it authenticates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<MethodName>,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// The site of the spec.
    pub site: String,
    /// Where Jira was called last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub called: Option<SiteStatus>,
    /// Who looks after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The published Secrets.
    pub secrets: Vec<String>,
    /// When Jira accepted it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_validated_time: Option<DateTime<Utc>>,
    /// When the operator renews it next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_renewal_time: Option<DateTime<Utc>>,
    /// When it ends, and of what; the soonest first.
    pub clocks: Vec<Ends>,
    /// All conditions.
    pub conditions: Vec<Condition>,
    /// What a person has to know or do next; nothing when there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
    /// Who reads the published Secrets; only when one credential was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readers: Option<Readers>,
}

/// Conditions that ask something of a person when they have this status, the most urgent first.
const ASKING: [(ConditionType, ConditionStatus); 9] = [
    (ConditionType::Valid, ConditionStatus::False),
    (ConditionType::Published, ConditionStatus::False),
    (ConditionType::Denied, ConditionStatus::True),
    (ConditionType::Stalled, ConditionStatus::True),
    (ConditionType::RestartFailed, ConditionStatus::True),
    (ConditionType::Reconciling, ConditionStatus::True),
    (ConditionType::RotationDue, ConditionStatus::True),
    (ConditionType::OverPrivileged, ConditionStatus::True),
    (ConditionType::ExpiryKnown, ConditionStatus::False),
];

impl Report {
    /// Reads what an object says.
    pub fn of(object: &JiraCredential) -> Self {
        let nothing = JiraCredentialStatus::default();
        let status = object.status.as_ref().unwrap_or(&nothing);
        let ready = status.condition(ConditionType::Ready);
        let up_to_date = Some(status.observed_generation) == object.metadata.generation;
        Self {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            ready: ready.map_or(ConditionStatus::Unknown, |ready| ready.status),
            reason: ready.map(|ready| ready.reason),
            message: ready.map(|ready| ready.message.clone()),
            up_to_date,
            method: status
                .method
                .or_else(|| object.spec.auth.method().map(|method| method.name())),
            account: status.account.clone(),
            site: object.spec.site.clone(),
            called: status.site.clone(),
            owner: object.spec.owner.clone(),
            secrets: published(object),
            last_validated_time: status.last_validated_time,
            next_renewal_time: status.next_renewal_time,
            clocks: clocks::of(object),
            conditions: status.conditions.clone(),
            next_step: next_step(status, up_to_date),
            readers: None,
        }
    }

    /// The reason of `Ready` as it is written in the status.
    pub fn reason_word(&self) -> String {
        self.reason.map(|reason| word(&reason)).unwrap_or_default()
    }
}

/// What comes next, by the messages of the conditions: they say what to do.
fn next_step(status: &JiraCredentialStatus, up_to_date: bool) -> Option<String> {
    let ready = status.condition(ConditionType::Ready);
    let Some(ready) = ready else {
        return Some(
            "The operator has not looked at it yet; if that stays so, see kubectl jira-credential doctor."
                .to_owned(),
        );
    };
    if !up_to_date {
        return Some(
            "The operator has not seen the present spec yet; if that stays so, see kubectl jira-credential doctor."
                .to_owned(),
        );
    }
    if ready.status != ConditionStatus::True {
        return Some(ready.message.clone());
    }
    let asking = ASKING.iter().find_map(|(kind, wanted)| {
        let condition = status.condition(*kind)?;
        (condition.status == *wanted).then(|| condition.message.clone())
    });
    asking.filter(|message| !message.is_empty())
}

/// A value of the API as it is written there.
pub fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}
