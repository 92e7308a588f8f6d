//! What happens to a credential, and the end that a user expects.

use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use serde_json::{Value, json};

use super::case::BOT;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scenario {
    ApiToken,
    Password,
    WrongPassword,
    TwoTargets,
    NewToken,
    NewPassword,
    ValidationDue,
    PasswordValidationDue,
    RevokedToken,
    TargetEdited,
    TargetDeleted,
    TargetRenamed,
    TargetRelabelled,
    TargetOfAnotherType,
}

impl Scenario {
    pub(super) fn is_password(self) -> bool {
        matches!(
            self,
            Self::Password | Self::WrongPassword | Self::NewPassword | Self::PasswordValidationDue
        )
    }

    /// Whether the credential is there, validated and published when the scenario begins.
    pub(super) fn begins_ready(self) -> bool {
        !matches!(
            self,
            Self::ApiToken | Self::Password | Self::WrongPassword | Self::TwoTargets
        )
    }

    /// What `Ready` says at the end.
    pub(super) fn ready(self) -> (ConditionStatus, Reason) {
        match self {
            Self::WrongPassword | Self::RevokedToken => (ConditionStatus::False, Reason::Rejected),
            _ => (ConditionStatus::True, Reason::Validated),
        }
    }

    /// Whether this is the end that a user would expect.
    pub(super) fn is_over(self, state: &Value) -> bool {
        let (status, reason) = self.ready();
        let conditions = state["credential"]["status"]["conditions"].as_array();
        let settled = conditions.into_iter().flatten().any(|condition| {
            condition["type"] == json!(ConditionType::Ready)
                && condition["status"] == json!(status)
                && condition["reason"] == json!(reason)
                && state["credential"]["status"]["observedGeneration"]
                    == state["credential"]["generation"]
        });
        let target = |name: &str, key: &str| state["secrets"][name]["data"][key].clone();
        settled
            && match self {
                Self::WrongPassword => state["secrets"].get(BOT).is_none(),
                Self::Password => target(BOT, "password") == "PASSWORD",
                Self::NewPassword => target(BOT, "password") == "NEW-PASSWORD",
                Self::TwoTargets => {
                    target("one", "token") == "TOKEN" && target("two", "token") == "TOKEN"
                }
                Self::NewToken => target(BOT, "token") == "NEW-TOKEN",
                Self::ValidationDue | Self::PasswordValidationDue => {
                    state["credential"]["validations"] == 2
                }
                Self::TargetRenamed => {
                    target("fresh", "token") == "TOKEN" && state["secrets"].get(BOT).is_none()
                }
                Self::TargetRelabelled => {
                    state["secrets"][BOT]["labels"]["app.kubernetes.io/part-of"] == "after"
                }
                Self::TargetOfAnotherType => state["secrets"][BOT]["type"] == "example.dev/jira",
                Self::TargetEdited => {
                    target(BOT, "token") == "TOKEN" && target(BOT, "more").is_null()
                }
                Self::ApiToken | Self::RevokedToken | Self::TargetDeleted => {
                    target(BOT, "token") == "TOKEN"
                }
            }
    }
}
