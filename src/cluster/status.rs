//! Writing the status.

use kube::ResourceExt;
use kube::api::{Patch, PatchParams};

use crate::api::{JiraCredential, JiraCredentialStatus};
use crate::cluster::client::{Cluster, json_patch};
use crate::cluster::error::ClusterError;

impl Cluster {
    /// Replaces the status, provided that the object still has the version of `object`.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] when it has not.
    pub async fn write_status(
        &self,
        object: &JiraCredential,
        status: &JiraCredentialStatus,
    ) -> Result<JiraCredential, ClusterError> {
        // A patch that carries the resourceVersion is refused when it is not the present one.
        let patch: json_patch::Patch = json_patch(serde_json::json!([
            {"op": "test", "path": "/metadata/uid", "value": object.uid()},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": object.resource_version()},
            {"op": "add", "path": "/status", "value": status},
        ]))?;
        let api = self.credentials(&object.namespace().unwrap_or_default());
        let params = PatchParams {
            field_manager: Some(super::STATUS_MANAGER.into()),
            ..PatchParams::default()
        };
        self.within(api.patch_status(&object.name_any(), &params, &Patch::Json::<()>(patch)))
            .await
    }
}
