//! Restarting a workload. What goes wrong concerns this workload alone.

use crate::api::Reason;
use crate::cluster::{ClusterError, Rollout};
use crate::controller::Operator;
use crate::controller::act::error::ActError;
use crate::core::apply::Answer;
use crate::core::decide::Restart;
use crate::core::facts::{Facts, Restarted};

impl Operator {
    pub(super) async fn restart(
        &self,
        restart: Restart,
        facts: &Facts,
    ) -> Result<Answer, ActError> {
        let (namespace, name) = (&facts.object.namespace, &facts.object.name);
        let Restart {
            workload,
            revision,
            only_look,
        } = restart;
        let done = if only_look {
            let found = self.cluster.find_workload(namespace, &workload).await;
            found.map(|()| Restarted::Done)
        } else {
            let cluster = &self.cluster;
            let rollout = cluster.restart(namespace, &workload, name, &revision).await;
            rollout.map(|rollout| match rollout {
                Rollout::Runs => {
                    tracing::info!(namespace, name, %workload, revision, "restarted the workload");
                    Restarted::Done
                }
                Rollout::Held => Restarted::Failed(Reason::RestartHeld),
            })
        };
        let restarted = match done {
            Ok(restarted) => restarted,
            Err(error @ ClusterError::NotLeading) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(namespace, name, %workload, %error, only_look, "could not restart the workload");
                if error.is_silence() {
                    return Ok(Answer::RestartUnanswered(workload));
                }
                Restarted::Failed(reason(&error))
            }
        };
        Ok(Answer::Restarted(workload, restarted))
    }
}

fn reason(error: &ClusterError) -> Reason {
    match error {
        ClusterError::NotFound => Reason::WorkloadMissing,
        ClusterError::Forbidden(_) => Reason::OperatorRightMissing,
        ClusterError::Conflict
        | ClusterError::AlreadyExists
        | ClusterError::Refused(_)
        | ClusterError::TimedOut
        | ClusterError::Unavailable(_)
        | ClusterError::NotLeading => Reason::RestartRefused,
    }
}
