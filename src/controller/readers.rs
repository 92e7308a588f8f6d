//! After a renewal or a rotation the readers of the published Secrets are looked for.

use std::collections::BTreeMap;

use crate::api::{JiraCredential, JiraCredentialStatus, Target};
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
        // Lists of workloads are long: one for all targets of a namespace.
        let mut all: BTreeMap<String, Vec<Target>> = BTreeMap::new();
        for target in facts.replaced_targets(before) {
            let namespace = target.namespace.as_ref();
            let namespace = namespace.unwrap_or(&facts.object.namespace).clone();
            all.entry(namespace).or_default().push(target.clone());
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
