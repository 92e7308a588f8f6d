//! After a renewal or a rotation the readers of the published Secrets are looked for.

use crate::api::{JiraCredential, JiraCredentialStatus};
use crate::controller::Operator;
use crate::controller::reader_search::Search;
use crate::core::facts::Facts;

impl Operator {
    /// Has the readers of the targets looked for that hold another credential than at the beginning of the reconcile.
    pub(super) fn look_for_readers(
        &self,
        object: &JiraCredential,
        facts: &Facts,
        before: &JiraCredentialStatus,
    ) {
        for target in facts.replaced_targets(before) {
            let search = Search {
                cluster: self.cluster.clone(),
                clock: self.clock.clone(),
                readers: self.readers.clone(),
                object: object.clone(),
                target: target.clone(),
            };
            tokio::spawn(
                self.stopping
                    .clone()
                    .run_until_cancelled_owned(search.run()),
            );
        }
    }
}
