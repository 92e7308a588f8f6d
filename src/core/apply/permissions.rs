//! What the account may do: what the spec requires, and what it does not require.
//!
//! `mypermissions` answers anonymous callers too, so that it is asked only right after `/myself`
//! has accepted the credential. Where the spec requires permissions they belong to the validation.
//! Else the question is a courtesy: once for each new credential and then once a day, after
//! everything else, and its answer stands in the way of nothing.

use crate::api::{Permission, PermissionStatus};
use crate::core::facts::Facts;
use crate::core::facts::permissions::ADMINISTRATOR;
use crate::core::probe::{Cause, Judgement, Outage, Permissions, Refusal, Verdict};

impl Facts {
    /// Records what Jira reported.
    pub(crate) fn absorb_permissions(&mut self, answer: &Result<Permissions, Verdict>) {
        self.progress.permissions_asked = true;
        match self.progress.pending_account.clone() {
            Some(account) => {
                let (judgement, status) = self.judge_permissions(account, answer);
                self.settle_pending(judgement);
                if let Some(status) = status {
                    self.status.permissions = Some(status);
                }
            }
            None => match answer {
                Ok(told) => self.status.permissions = Some(self.permission_status(told)),
                // It will not tell: no reason to ask with every validation.
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
