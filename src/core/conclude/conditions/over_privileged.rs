//! The condition `OverPrivileged`: administrator permissions that the spec does not require.

use crate::api::{ConditionStatus, Reason};
use crate::core::conclude::conditions::{ConditionDraft, draft};
use crate::core::facts::Facts;

/// Whether the account has administrator permissions that the spec does not require.
pub(crate) fn over_privileged(facts: &Facts) -> Option<ConditionDraft> {
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
        "The account {account} has administrator permissions that the spec does not require: {}. Anything that can read the Secret has them too. Use an account with fewer permissions, or name them in spec.validation.requiredPermissions if they are intended.",
        surplus.join(", ")
    );
    Some(draft(ConditionStatus::True, Reason::Administrator, text))
}
