//! Restarting workloads, as `kubectl rollout restart` does: by an annotation of the pod template.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use serde_json::{Value, json};

use crate::api::{RESTART_ANNOTATION_PREFIX, Workload, WorkloadKind};
use crate::cluster::client::Cluster;
use crate::cluster::error::ClusterError;
use crate::cluster::ownership::label_value;

/// What follows from a new pod template.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rollout {
    /// The pods are replaced.
    Runs,
    /// Not all are: a Deployment is paused, the update strategy is `OnDelete`, or a `StatefulSet` has a
    /// partition.
    Held,
}

impl Cluster {
    /// Has the pods of a workload replaced, unless that was done for this revision of the credential
    /// before: a patch that changes nothing restarts nothing.
    ///
    /// # Errors
    /// When there is no such workload, or the API server does not take the change.
    pub async fn restart(
        &self,
        namespace: &str,
        workload: &Workload,
        credential: &str,
        revision: &str,
    ) -> Result<Rollout, ClusterError> {
        let annotation = format!("{RESTART_ANNOTATION_PREFIX}{}", label_value(credential));
        let patch = Patch::Merge(json!({
            "spec": {"template": {"metadata": {"annotations": {annotation: revision}}}}
        }));
        let params = PatchParams {
            field_manager: Some(super::RESTART_MANAGER.into()),
            ..PatchParams::default()
        };
        let api = self.workloads(namespace, workload.kind);
        let patched = self
            .write(api.patch(&workload.name, &params, &patch))
            .await?;
        Ok(rollout(&patched))
    }

    /// Looks whether a workload exists.
    ///
    /// # Errors
    /// When it does not, or the API server does not say.
    pub async fn find_workload(
        &self,
        namespace: &str,
        workload: &Workload,
    ) -> Result<(), ClusterError> {
        let api = self.workloads(namespace, workload.kind);
        self.within(api.get_metadata(&workload.name))
            .await
            .map(|_| ())
    }

    fn workloads(&self, namespace: &str, kind: WorkloadKind) -> Api<DynamicObject> {
        let resource = match kind {
            WorkloadKind::Deployment => ApiResource::erase::<Deployment>(&()),
            WorkloadKind::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
            WorkloadKind::DaemonSet => ApiResource::erase::<DaemonSet>(&()),
        };
        Api::namespaced_with(self.client(), namespace, &resource)
    }
}

fn rollout(workload: &DynamicObject) -> Rollout {
    let field = |path: &str| workload.data.pointer(path);
    let is_paused = field("/spec/paused") == Some(&json!(true));
    let on_delete = field("/spec/updateStrategy/type") == Some(&json!("OnDelete"));
    let partition = field("/spec/updateStrategy/rollingUpdate/partition");
    let has_partition = partition
        .and_then(Value::as_i64)
        .is_some_and(|first| first > 0);
    if is_paused || on_delete || has_partition {
        Rollout::Held
    } else {
        Rollout::Runs
    }
}
