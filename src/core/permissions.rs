//! What the account may do: what the spec requires, and what nobody asked for.
//!
//! `mypermissions` answers anonymous callers too, so that it is asked only right after `/myself`
//! has accepted the credential. Where the spec requires permissions they belong to the proof. Else
//! the question is a courtesy: once for each new credential and then once a day, after everything
//! else, and its answer stands in the way of nothing.

use chrono::TimeDelta;

use super::answer::{Outage, Refusal, Verdict};
use super::conditions::{Finding, finding};
use super::facts::Facts;
use super::judge::{Cause, Judgement};
use crate::api::{ConditionStatus, Permission, PermissionStatus, Reason};

/// The rights of an administrator: of Jira, and of the system.
const ADMINISTRATOR: [&str; 2] = ["ADMINISTER", "SYSTEM_ADMIN"];

/// How often it is looked whether the account has become an administrator.
const LOOK_AGAIN: TimeDelta = TimeDelta::days(1);

/// What Jira told of the permissions that it was asked about, by their keys.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Permissions {
    /// The account holds them.
    pub held: Vec<String>,
    /// It does not.
    pub missing: Vec<String>,
    /// Jira knows none of that name.
    pub unknown: Vec<String>,
}

impl Facts {
    /// The permissions that the spec requires.
    fn required(&self) -> &[Permission] {
        &self.spec.validation.required_permissions
    }

    /// The keys to ask Jira about.
    pub fn permissions_to_ask(&self) -> Vec<&str> {
        let required = self.required().iter().map(|key| key.0.as_str());
        let mut keys: Vec<&str> = required.chain(ADMINISTRATOR).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Whether an acceptance counts only together with the permissions that the spec requires.
    pub(super) fn requires_permissions(&self) -> bool {
        !self.required().is_empty()
    }

    /// Whether Jira has accepted the credential and is now to be asked about its permissions.
    pub(super) fn awaits_permissions(&self) -> bool {
        self.happened.welcomed.is_some() && !self.happened.permissions_asked
    }

    /// Whether the credential that was proven last holds what the spec requires.
    pub(super) fn permissions_are_settled(&self) -> bool {
        let settled = |status: &PermissionStatus| {
            status.missing.is_empty()
                && status.unknown.is_empty()
                && self
                    .required()
                    .iter()
                    .all(|key| status.required.contains(key))
        };
        !self.requires_permissions() || self.status.permissions.as_ref().is_some_and(settled)
    }

    /// Whether it is time to look for rights that nobody asked for.
    pub(super) fn may_look_for_rights(&self) -> bool {
        let accepted = matches!(self.happened.judgement, Some(Judgement::Accepted(_)));
        let due = self
            .status
            .permissions
            .as_ref()
            .is_none_or(|status| self.now - status.checked_time >= LOOK_AGAIN);
        accepted && due && !self.happened.permissions_asked
    }

    /// Takes in what Jira told.
    pub(super) fn absorb_permissions(&mut self, answer: &Result<Permissions, Verdict>) {
        self.happened.permissions_asked = true;
        match self.happened.welcomed.clone() {
            Some(account) => {
                let (judgement, status) = self.judge_permissions(account, answer);
                self.settle_welcomed(judgement);
                if let Some(status) = status {
                    self.status.permissions = Some(status);
                }
            }
            None => match answer {
                Ok(told) => self.status.permissions = Some(self.permission_status(told)),
                // It will not tell: no reason to ask with every proof.
                Err(Verdict::Refused(_)) => {
                    let now = self.now;
                    let status = self.status.permissions.get_or_insert_default();
                    status.checked_time = now;
                }
                Err(Verdict::NoVerdict(_) | Verdict::NotAllowed(_) | Verdict::Accepted(_)) => {}
            },
        }
    }

    fn judge_permissions(
        &self,
        account: crate::api::Account,
        answer: &Result<Permissions, Verdict>,
    ) -> (Judgement, Option<PermissionStatus>) {
        let untold = Judgement::NoVerdict(Outage::PermissionsUntold);
        match answer {
            Ok(told) => {
                let status = self.permission_status(told);
                let lacks = !status.missing.is_empty() || !status.unknown.is_empty();
                let known = |key: &Permission| {
                    [&told.held, &told.missing, &told.unknown]
                        .iter()
                        .any(|keys| keys.contains(&key.0))
                };
                if lacks {
                    let refused = Judgement::Refused(Cause::PermissionMissing);
                    (refused, Some(status))
                } else if self.required().iter().all(known) {
                    (Judgement::Accepted(account), Some(status))
                } else {
                    (untold, None)
                }
            }
            Err(Verdict::Refused(Refusal::InsufficientScope)) => {
                (Judgement::Refused(Cause::PermissionsUnreadable), None)
            }
            Err(Verdict::NoVerdict(outage)) => (Judgement::NoVerdict(*outage), None),
            Err(Verdict::NotAllowed(forbidden)) => (Judgement::NotAllowed(*forbidden), None),
            Err(Verdict::Refused(_) | Verdict::Accepted(_)) => (untold, None),
        }
    }

    fn permission_status(&self, told: &Permissions) -> PermissionStatus {
        let of_spec = |keys: &[String]| {
            let required = self.required().iter();
            required
                .filter(|key| keys.contains(&key.0))
                .cloned()
                .collect()
        };
        let administrator = ADMINISTRATOR
            .iter()
            .filter(|key| told.held.iter().any(|held| held == **key))
            .map(|key| Permission((*key).to_owned()))
            .collect();
        PermissionStatus {
            checked_time: self.now,
            required: self.required().to_vec(),
            missing: of_spec(&told.missing),
            unknown: of_spec(&told.unknown),
            administrator,
        }
    }
}

/// Whether the account holds rights of an administrator that nobody asked for.
pub(super) fn over_privileged(facts: &Facts) -> Option<Finding> {
    let status = facts.status.permissions.as_ref()?;
    let surplus: Vec<&str> = status
        .administrator
        .iter()
        .filter(|key| !facts.required().contains(key))
        .map(|key| key.0.as_str())
        .collect();
    if surplus.is_empty() {
        return None;
    }
    let account = facts
        .account()
        .map(|account| account.id.as_str())
        .unwrap_or_default();
    let text = format!(
        "The account {account} holds rights of an administrator that nobody asked for: {}. The credential works, and so does whatever reads its Secret, with these rights. Use an account that has only what is needed, or name them in spec.validation.requiredPermissions if they are meant.",
        surplus.join(", ")
    );
    Some(finding(ConditionStatus::True, Reason::Administrator, text))
}

/// What is missing, in words.
pub(super) fn missing_words(facts: &Facts, host: &str) -> String {
    let status = facts.status.permissions.clone().unwrap_or_default();
    let list = |keys: &[Permission]| {
        let keys: Vec<&str> = keys.iter().map(|key| key.0.as_str()).collect();
        keys.join(", ")
    };
    let account = facts.pinned_account().map_or_else(
        || "The account".to_owned(),
        |account| format!("The account {account}"),
    );
    let mut text = Vec::new();
    if !status.missing.is_empty() {
        text.push(format!(
            "{account} lacks permissions at {host} that spec.validation.requiredPermissions names: {}. Give it these permissions, or take them out of the spec.",
            list(&status.missing)
        ));
    }
    if !status.unknown.is_empty() {
        text.push(format!(
            "Jira at {host} knows no permissions {}: correct spec.validation.requiredPermissions.",
            list(&status.unknown)
        ));
    }
    text.push("The credential itself is accepted and is asked about again every few hours.".into());
    text.join(" ")
}

#[cfg(test)]
mod tests;
