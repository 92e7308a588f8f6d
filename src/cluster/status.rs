//! Writing the status.

use kube::api::{PostParams, Request};
use kube::{Resource, ResourceExt};

use crate::api::{JiraCredential, JiraCredentialStatus};
use crate::cluster::client::Cluster;
use crate::cluster::error::ClusterError;

impl Cluster {
    /// Replaces the status, provided that the object is still `object` and has its version.
    ///
    /// A PUT, because the API server decodes and encodes the object once more for a patch. It carries the
    /// status alone: of metadata and spec the API server keeps what is stored.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] when it has another version, or is another object of the name.
    pub async fn write_status(
        &self,
        object: &JiraCredential,
        status: &JiraCredentialStatus,
    ) -> Result<JiraCredential, ClusterError> {
        let (name, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
        let body = serde_json::json!({
            "apiVersion": JiraCredential::api_version(&()),
            "kind": JiraCredential::kind(&()),
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": object.uid(),
                "resourceVersion": object.resource_version(),
            },
            "status": status,
        });
        let params = PostParams {
            field_manager: Some(super::STATUS_MANAGER.into()),
            ..PostParams::default()
        };
        let path = JiraCredential::url_path(&(), Some(&namespace));
        let body = serde_json::to_vec(&body)
            .map_err(|error| ClusterError::Refused(format!("invalid status: {error}")))?;
        let request = Request::new(path)
            .replace_subresource("status", &name, &params, body)
            .map_err(|error| ClusterError::Refused(format!("invalid request: {error}")))?;
        self.write(async { self.client().request(request).await })
            .await
    }
}
