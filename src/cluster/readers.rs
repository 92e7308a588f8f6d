//! Workloads whose pods keep the old value of a Secret that has changed.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::api::{Workload, WorkloadKind};
use crate::cluster::access::ways;
use crate::cluster::client::Cluster;
use crate::cluster::error::ClusterError;

/// Workloads in one page of a list: a pod template may be long.
const PAGE: u32 = 20;

/// Groups of the annotations by which Reloader restarts a workload.
const RELOADER: [&str; 2] = ["reloader.stakater.com/", "secret.reloader.stakater.com/"];

/// A kind of workload: its objects have a pod template.
trait Templated {
    fn template(&self) -> Option<&PodTemplateSpec>;
}

impl Templated for Deployment {
    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref().map(|spec| &spec.template)
    }
}

impl Templated for StatefulSet {
    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref().map(|spec| &spec.template)
    }
}

impl Templated for DaemonSet {
    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref().map(|spec| &spec.template)
    }
}

impl Cluster {
    /// The workloads of a namespace whose pods read one of these Secrets so that they get another value by a restart
    /// only, and which Reloader does not restart: those of each Secret, in the same order.
    ///
    /// # Errors
    /// When the API server cannot be asked, or refuses.
    pub async fn stale_readers(
        &self,
        namespace: &str,
        secrets: &[&str],
    ) -> Result<Vec<Vec<Workload>>, ClusterError> {
        let mut found = vec![Vec::new(); secrets.len()];
        let kind = WorkloadKind::Deployment;
        self.add_readers::<Deployment>(namespace, secrets, kind, &mut found)
            .await?;
        let kind = WorkloadKind::StatefulSet;
        self.add_readers::<StatefulSet>(namespace, secrets, kind, &mut found)
            .await?;
        let kind = WorkloadKind::DaemonSet;
        self.add_readers::<DaemonSet>(namespace, secrets, kind, &mut found)
            .await?;
        Ok(found)
    }

    async fn add_readers<K>(
        &self,
        namespace: &str,
        secrets: &[&str],
        kind: WorkloadKind,
        found: &mut [Vec<Workload>],
    ) -> Result<(), ClusterError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Templated
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + Send,
    {
        let api: Api<K> = Api::namespaced(self.client(), namespace);
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page = self.within(api.list(&params)).await?;
            for (secret, found) in secrets.iter().zip(found.iter_mut()) {
                let stale = page.items.iter().filter(|item| is_stale(*item, secret));
                found.extend(stale.map(|item| Workload {
                    kind,
                    name: item.name_any(),
                }));
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(()),
            }
        }
    }
}

fn is_stale<K: Resource<DynamicType = ()> + Templated>(workload: &K, secret: &str) -> bool {
    let Some(template) = workload.template() else {
        return false;
    };
    let mut metadata = [Some(workload.meta()), template.metadata.as_ref()]
        .into_iter()
        .flatten();
    let reads = template.spec.as_ref().map(|spec| ways(spec, secret));
    let mut reads = reads.into_iter().flatten();
    reads.any(|way| !way.follows()) && !metadata.any(is_reloaded)
}

/// Whether Reloader has to restart the workload.
fn is_reloaded(metadata: &ObjectMeta) -> bool {
    let mut annotations = metadata.annotations.iter().flatten();
    annotations
        .any(|(key, value)| RELOADER.iter().any(|group| key.starts_with(group)) && value != "false")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn stale(annotations: &Value, inner: &Value, container: &Value, volumes: &Value) -> bool {
        let workload: Deployment = serde_json::from_value(json!({
            "metadata": {"name": "sync", "annotations": annotations},
            "spec": {"selector": {}, "template": {
                "metadata": {"annotations": inner},
                "spec": {"containers": [container], "volumes": volumes},
            }},
        }))
        .unwrap();
        is_stale(&workload, "jira")
    }

    #[test]
    fn what_needs_a_restart_and_gets_none_is_stale() {
        let env = json!({"name": "c", "env": [{"name": "T", "valueFrom":
            {"secretKeyRef": {"name": "jira", "key": "token"}}}]});
        let all = json!({"name": "c", "envFrom": [{"secretRef": {"name": "jira"}}]});
        let volumes = json!([{"name": "v", "secret": {"secretName": "jira"}}]);
        let file = json!({"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/x"}]});
        let part = json!({"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/x", "subPath": "token"}]});
        let none = json!({});
        let other = json!([{"name": "v", "secret": {"secretName": "other"}}]);
        for (container, volumes, expected) in [
            (&env, &none, true),
            (&all, &none, true),
            (&part, &volumes, true),
            (&file, &volumes, false),
            (&part, &other, false),
        ] {
            let volumes = if volumes.is_array() {
                volumes.clone()
            } else {
                json!([])
            };
            assert_eq!(
                stale(&none, &none, container, &volumes),
                expected,
                "{container}"
            );
        }
        for (key, value, expected) in [
            ("reloader.stakater.com/auto", "true", false),
            ("secret.reloader.stakater.com/reload", "jira", false),
            ("reloader.stakater.com/auto", "false", true),
            ("reloader.example/auto", "true", true),
        ] {
            let annotations = json!({key: value});
            for (outer, inner) in [(&annotations, &none), (&none, &annotations)] {
                assert_eq!(stale(outer, inner, &env, &json!([])), expected, "{key}");
            }
        }
    }
}
