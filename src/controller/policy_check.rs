//! Looks now and then whether the admission policy is in force, and says so: without it, a user who
//! may write a `JiraCredential` reads the Secrets of their namespace through the operator.

use std::sync::Arc;
use std::time::Duration;

use crate::cluster::PolicyState;
use crate::controller::Operator;

/// How often the operator looks.
const INTERVAL: Duration = Duration::from_secs(600);

impl Operator {
    pub(super) async fn check_policy_now_and_then(self: Arc<Self>) {
        let rounds = async {
            self.serving().await;
            loop {
                self.check_policy().await;
                tokio::time::sleep(INTERVAL).await;
            }
        };
        self.stopping.run_until_cancelled(rounds).await;
    }

    /// Looks once; logs what has changed since the last look.
    pub async fn check_policy(&self) {
        let name = &self.config.admission_policy;
        let state = match self.cluster.admission_policy(name).await {
            Ok(state) => state,
            Err(error) => {
                tracing::warn!(name, %error, "could not read the admission policy or its binding");
                PolicyState::Unknown
            }
        };
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
