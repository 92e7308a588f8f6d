//! Looks now and then whether the admission policy is in force, and says so: without it, a user who
//! may write a `JiraCredential` reads the Secrets of their namespace through the operator.

use std::sync::Arc;
use std::time::Duration;

use crate::cluster::{AdmissionPolicy, ClusterError, PolicyState};
use crate::controller::Operator;

/// How often the operator looks.
const INTERVAL: Duration = Duration::from_secs(600);

/// The same while targets in other namespaces wait for the policy.
const SOON: Duration = Duration::from_secs(30);

impl Operator {
    pub(super) async fn check_policy_now_and_then(self: Arc<Self>) {
        let rounds = async {
            self.serving().await;
            loop {
                // It logs what fails.
                let _ = self.check_policy().await;
                let waits = self.publishes_elsewhere() != Some(true) && self.names_elsewhere();
                tokio::time::sleep(if waits { SOON } else { INTERVAL }).await;
            }
        };
        self.stopping.run_until_cancelled(rounds).await;
    }

    /// Looks once; logs what has changed since the last look. Returns whether the policy is in force that checks
    /// who may publish into other namespaces.
    ///
    /// # Errors
    /// When the API server cannot be asked, or refuses.
    pub async fn check_policy(&self) -> Result<bool, ClusterError> {
        let name = &self.config.admission_policy;
        let found = self.cluster.admission_policy(name).await;
        if let Err(error) = &found {
            tracing::warn!(name, %error, "could not read the admission policy or its binding");
        }
        let state = found
            .as_ref()
            .map_or(PolicyState::Unknown, |found| found.state);
        let checks = |found: &AdmissionPolicy| {
            found.state == PolicyState::InForce && found.checks_namespaces
        };
        match &found {
            Ok(found) => self.learn_of_elsewhere(checks(found)),
            // What was known still counts.
            Err(error) if error.is_silence() => {}
            Err(_) => self.learn_of_elsewhere(false),
        }
        self.report_policy(state);
        found.map(|found| checks(&found))
    }

    fn report_policy(&self, state: PolicyState) {
        let name = &self.config.admission_policy;
        if self.metrics.show_policy(state) == Some(state) {
            return;
        }
        match state {
            PolicyState::InForce => tracing::info!(name, "the admission policy is in force"),
            PolicyState::NoPolicy | PolicyState::NotBound | PolicyState::NotEnforced => {
                tracing::warn!(
                    name,
                    %state,
                    "the admission policy is not in force: users who may write a JiraCredential can read the Secrets of their namespace through the operator. Apply deploy/admission-policy.yaml"
                );
            }
            PolicyState::Unknown => {}
        }
    }

    /// What the last look found, if there was one.
    pub fn policy_state(&self) -> Option<PolicyState> {
        self.metrics.policy()
    }
}
