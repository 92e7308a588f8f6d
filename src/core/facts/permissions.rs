//! Which permissions the spec requires, and whether they are known to be granted.

use crate::api::{Permission, PermissionStatus};
use crate::core::facts::Facts;

/// The rights of an administrator: of Jira, and of the system.
pub(crate) const ADMINISTRATOR: [&str; 2] = ["ADMINISTER", "SYSTEM_ADMIN"];

impl Facts {
    /// The permissions that the spec requires.
    pub(crate) fn required(&self) -> &[Permission] {
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
    pub(crate) fn requires_permissions(&self) -> bool {
        !self.required().is_empty()
    }

    /// Whether Jira has accepted the credential and its permissions are read next.
    pub(crate) fn awaits_permissions(&self) -> bool {
        self.progress.pending_account.is_some() && !self.progress.permissions_asked
    }

    /// Whether the credential that was validated last holds what the spec requires.
    pub(crate) fn permissions_are_settled(&self) -> bool {
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
}
