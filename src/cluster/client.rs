//! The requests that the operator makes, each with a limit on its time.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Resource;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use serde::de::DeserializeOwned;

use crate::api::JiraCredential;
use crate::cluster::Watched;
use crate::cluster::error::ClusterError;
use crate::cluster::leader::Leadership;
use crate::cluster::scope::Scope;

/// Objects in one page of a list.
const PAGE: u32 = 50;

/// The API server, as the operator uses it.
#[derive(Clone)]
pub struct Cluster {
    client: kube::Client,
    limit: Duration,
    leadership: Leadership,
    requires_source_label: bool,
}

impl Cluster {
    /// Every request of this value ends within `limit`, the client's own retries included.
    pub fn new(client: kube::Client, limit: Duration) -> Self {
        Self {
            client,
            limit,
            leadership: Leadership::default(),
            requires_source_label: false,
        }
    }

    /// The same API server for a process that writes only as long as it leads.
    #[must_use]
    pub fn led_by(self, leadership: Leadership) -> Self {
        Self { leadership, ..self }
    }

    /// The same API server for a process that uses a Secret as a source only if its owner has labelled it so.
    #[must_use]
    pub fn requiring_source_label(self, requires_source_label: bool) -> Self {
        Self {
            requires_source_label,
            ..self
        }
    }

    pub(super) fn requires_source_label(&self) -> bool {
        self.requires_source_label
    }

    /// The same API server for what has to be recorded even when this process does not lead any more: the
    /// result of a renewal, Jira's answer about a password, and refused passwords. The first two are written
    /// on the version that announced them, so that they overwrite nothing of the next leader. The announcement
    /// itself begins under the lease and is waited for: what it announces is taken back after a loss.
    #[must_use]
    pub fn for_results(&self) -> Self {
        self.clone().led_by(Leadership::default())
    }

    /// The client, for what is not bound to a namespace.
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// Reads a Secret; `None` when there is none.
    pub async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Secret>, ClusterError> {
        self.within(self.secrets(namespace).get_opt(name)).await
    }

    /// Reads a `ConfigMap`; `None` when there is none.
    pub async fn config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<ConfigMap>, ClusterError> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        self.within(api.get_opt(name)).await
    }

    /// Reads who a Secret belongs to, without its contents.
    pub async fn secret_metadata(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<PartialObjectMeta<Secret>>, ClusterError> {
        self.within(self.secrets(namespace).get_metadata_opt(name))
            .await
    }

    /// Creates a Secret.
    pub async fn create_secret(
        &self,
        namespace: &str,
        secret: &Secret,
    ) -> Result<Secret, ClusterError> {
        let params = PostParams {
            field_manager: Some(super::SECRET_MANAGER.into()),
            ..PostParams::default()
        };
        self.write(self.secrets(namespace).create(&params, secret))
            .await
    }

    /// Asks whether a Secret would be created, were there none of its name.
    pub(super) async fn would_create_secret(
        &self,
        namespace: &str,
        secret: &Secret,
    ) -> Result<(), ClusterError> {
        let params = PostParams {
            dry_run: true,
            field_manager: Some(super::SECRET_MANAGER.into()),
        };
        match self
            .write(self.secrets(namespace).create(&params, secret))
            .await
        {
            // Its contents are checked before its name.
            Ok(_) | Err(ClusterError::AlreadyExists) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Replaces a Secret of the version that it says.
    pub(super) async fn replace_secret(
        &self,
        namespace: &str,
        name: &str,
        secret: &Secret,
    ) -> Result<Secret, ClusterError> {
        let params = PostParams {
            field_manager: Some(super::SECRET_MANAGER.into()),
            ..PostParams::default()
        };
        self.write(self.secrets(namespace).replace(name, &params, secret))
            .await
    }

    /// The metadata of all Secrets of a scope with these labels.
    pub(super) async fn secrets_with(
        &self,
        scope: &Scope,
        labels: &str,
    ) -> Result<Vec<PartialObjectMeta<Secret>>, ClusterError> {
        let api: Api<Secret> = self.within_scope(scope);
        let params = ListParams::default().labels(labels);
        let list = self.within(api.list_metadata(&params)).await?;
        Ok(list.items)
    }

    /// Changes a Secret by a JSON Merge Patch.
    pub(super) async fn merge_secret(
        &self,
        namespace: &str,
        name: &str,
        patch: serde_json::Value,
    ) -> Result<Secret, ClusterError> {
        let params = PatchParams {
            field_manager: Some(super::SECRET_MANAGER.into()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(patch);
        self.write(self.secrets(namespace).patch(name, &params, &patch))
            .await
    }

    /// Changes a Secret by a JSON Patch.
    pub async fn patch_secret(
        &self,
        namespace: &str,
        name: &str,
        patch: json_patch::Patch,
    ) -> Result<Secret, ClusterError> {
        let params = PatchParams {
            field_manager: Some(super::SECRET_MANAGER.into()),
            ..PatchParams::default()
        };
        let patch = Patch::Json::<Secret>(patch);
        self.write(self.secrets(namespace).patch(name, &params, &patch))
            .await
    }

    /// Deletes the Secret of this uid; one of another uid is left alone.
    pub async fn delete_secret(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<(), ClusterError> {
        self.delete_version(namespace, name, uid, None).await
    }

    /// Deletes the Secret of this uid, and of this version if one is given.
    pub async fn delete_version(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        resource_version: Option<&str>,
    ) -> Result<(), ClusterError> {
        let preconditions = Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: resource_version.map(str::to_owned),
        };
        let params = DeleteParams {
            preconditions: Some(preconditions),
            ..DeleteParams::default()
        };
        self.write(self.secrets(namespace).delete(name, &params))
            .await
            .map(|_| ())
    }

    /// Reads a `JiraCredential` from the API server; `None` when there is none.
    pub async fn credential(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<JiraCredential>, ClusterError> {
        self.within(self.credentials(namespace).get_opt(name)).await
    }

    /// Reads all `JiraCredentials` of a namespace from the API server. What cannot be read is left out.
    pub async fn credentials_in(
        &self,
        namespace: &str,
    ) -> Result<Vec<JiraCredential>, ClusterError> {
        let scope = Scope::Namespace(namespace.into());
        let all = self.credentials_of(&scope).await?.into_iter();
        Ok(all.filter_map(|object| object.0.ok()).collect())
    }

    /// Reads all `JiraCredentials` of a scope from the API server.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn credentials_of(&self, scope: &Scope) -> Result<Vec<Watched>, ClusterError> {
        let api: Api<Watched> = self.within_scope(scope);
        let mut all = Vec::new();
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page = self.within(api.list(&params)).await?;
            all.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(all),
            }
        }
    }

    pub(super) fn credentials(&self, namespace: &str) -> Api<JiraCredential> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// What lists and watches the objects of a scope.
    pub fn within_scope<K>(&self, scope: &Scope) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match scope {
            Scope::Namespace(namespace) => Api::namespaced(self.client.clone(), namespace),
            Scope::Cluster => Api::all(self.client.clone()),
        }
    }

    pub(super) fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// A request that changes something: made only by a process that leads, and not waited for any longer
    /// than it does.
    pub(super) async fn write<T: Send>(
        &self,
        request: impl Future<Output = kube::Result<T>> + Send,
    ) -> Result<T, ClusterError> {
        // On the heap: the future of every caller would grow by it.
        let request = Box::pin(self.within(request));
        let answer = self.leadership.while_it_lasts(request);
        answer.await.unwrap_or(Err(ClusterError::NotLeading))
    }

    pub(super) async fn within<T: Send>(
        &self,
        request: impl Future<Output = kube::Result<T>> + Send,
    ) -> Result<T, ClusterError> {
        match tokio::time::timeout(self.limit, request).await {
            Ok(answer) => answer.map_err(ClusterError::from),
            Err(_) => Err(ClusterError::TimedOut),
        }
    }
}

/// Builds a JSON Patch from its JSON form; the forms in this crate are fixed.
pub(super) fn json_patch<T: DeserializeOwned>(
    operations: serde_json::Value,
) -> Result<T, ClusterError> {
    serde_json::from_value(operations)
        .map_err(|error| ClusterError::Refused(format!("invalid patch: {error}")))
}
