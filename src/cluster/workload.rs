//! Restarting workloads, as `kubectl rollout restart` does: by an annotation of the pod template.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use serde_json::json;

use crate::api::{RESTART_ANNOTATION_PREFIX, Workload, WorkloadKind};
use crate::cluster::client::Cluster;
use crate::cluster::error::ClusterError;
use crate::cluster::ownership::label_value;

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
    ) -> Result<(), ClusterError> {
        let annotation = format!("{RESTART_ANNOTATION_PREFIX}{}", label_value(credential));
        let patch = Patch::Merge(json!({
            "spec": {"template": {"metadata": {"annotations": {annotation: revision}}}}
        }));
        let params = PatchParams {
            field_manager: Some(super::RESTART_MANAGER.into()),
            ..PatchParams::default()
        };
        let api = self.workloads(namespace, workload.kind);
        self.write(api.patch_metadata(&workload.name, &params, &patch))
            .await
            .map(|_| ())
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
