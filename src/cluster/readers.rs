//! Workloads whose pods keep the old value of a Secret that has changed.

use std::collections::BTreeSet;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::api::{Workload, WorkloadKind};
use crate::cluster::access::keeps;
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

/// What has changed in a Secret.
#[derive(Clone, Copy, Debug)]
pub struct ChangedKeys<'a> {
    /// The name of the Secret.
    pub secret: &'a str,
    /// The keys that have other values now.
    pub keys: &'a BTreeSet<String>,
}

impl Cluster {
    /// The workloads of a namespace whose pods read what has changed in one of these Secrets so that they get it by a
    /// restart only, and which Reloader does not restart: those of each Secret, in the same order.
    ///
    /// # Errors
    /// When the API server cannot be asked, or refuses.
    pub async fn stale_readers(
        &self,
        namespace: &str,
        changed: &[ChangedKeys<'_>],
    ) -> Result<Vec<Vec<Workload>>, ClusterError> {
        let mut found = vec![Vec::new(); changed.len()];
        let kind = WorkloadKind::Deployment;
        self.add_readers::<Deployment>(namespace, changed, kind, &mut found)
            .await?;
        let kind = WorkloadKind::StatefulSet;
        self.add_readers::<StatefulSet>(namespace, changed, kind, &mut found)
            .await?;
        let kind = WorkloadKind::DaemonSet;
        self.add_readers::<DaemonSet>(namespace, changed, kind, &mut found)
            .await?;
        Ok(found)
    }

    async fn add_readers<K>(
        &self,
        namespace: &str,
        changed: &[ChangedKeys<'_>],
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
            for (changed, found) in changed.iter().zip(found.iter_mut()) {
                let stale = page.items.iter().filter(|item| is_stale(*item, changed));
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

fn is_stale<K: Resource<DynamicType = ()> + Templated>(
    workload: &K,
    changed: &ChangedKeys<'_>,
) -> bool {
    let Some(template) = workload.template() else {
        return false;
    };
    let mut metadata = [Some(workload.meta()), template.metadata.as_ref()]
        .into_iter()
        .flatten();
    let spec = template.spec.as_ref();
    spec.is_some_and(|spec| keeps(spec, changed.secret, changed.keys)) && !metadata.any(is_reloaded)
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
        let keys = BTreeSet::from(["authorization".to_owned(), "token".to_owned()]);
        let changed = ChangedKeys {
            secret: "jira",
            keys: &keys,
        };
        is_stale(&workload, &changed)
    }

    fn env(secret: &str, key: &str) -> Value {
        json!({"name": "c", "env": [{"name": "T", "valueFrom":
            {"secretKeyRef": {"name": secret, "key": key}}}]})
    }

    fn mount(sub_path: &str) -> Value {
        json!({"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/x", "subPath": sub_path}]})
    }

    #[test]
    fn who_reads_what_has_changed_and_needs_a_restart_is_stale() {
        let all = json!({"name": "c", "envFrom": [{"secretRef": {"name": "jira"}}]});
        let expression = |path: &str| {
            json!({"name": "c", "volumeMounts":
                [{"name": "v", "mountPath": "/x", "subPathExpr": path}]})
        };
        let none = json!([]);
        let plain = json!([{"name": "v", "secret": {"secretName": "jira"}}]);
        let other = json!([{"name": "v", "secret": {"secretName": "other"}}]);
        let items = json!([{"key": "token", "path": "in/use"}, {"key": "url", "path": "in/vain"},
            {"key": "site", "path": "token"}]);
        let mapped = json!([{"name": "v", "secret": {"secretName": "jira", "items": items}}]);
        let part = json!({"secret": {"name": "jira", "items": items}});
        let foreign = json!({"secret": {"name": "other"}});
        let projected = json!([{"name": "v", "projected": {"sources": [foreign, part]}}]);
        for (container, volumes, expected) in [
            (env("jira", "token"), &none, true),
            (env("jira", "url"), &none, false),
            (env("other", "token"), &none, false),
            (all, &none, true),
            (mount("token"), &plain, true),
            (mount("./token/"), &plain, true),
            (mount("url"), &plain, false),
            (mount("..data/url"), &plain, true),
            (mount("token"), &other, false),
            (mount(""), &plain, false),
            (mount("."), &plain, true),
            (mount("in/use"), &mapped, true),
            (mount("in"), &mapped, true),
            (mount("in/vain"), &mapped, false),
            (mount("token"), &mapped, false),
            (mount("in/use"), &projected, true),
            (mount("in/vain"), &projected, false),
            (mount("token"), &projected, false),
            (expression("url"), &plain, false),
            (expression("$(KEY)"), &plain, true),
        ] {
            assert_eq!(
                stale(&json!({}), &json!({}), &container, volumes),
                expected,
                "{container} {volumes}"
            );
        }
        let file = json!({"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/x"}]});
        assert!(!stale(&json!({}), &json!({}), &file, &plain));
    }

    #[test]
    fn what_reloader_restarts_is_not_stale() {
        let none = json!({});
        for (key, value, expected) in [
            ("reloader.stakater.com/auto", "true", false),
            ("secret.reloader.stakater.com/reload", "jira", false),
            ("reloader.stakater.com/auto", "false", true),
            ("reloader.example/auto", "true", true),
        ] {
            let annotations = json!({key: value});
            for (outer, inner) in [(&annotations, &none), (&none, &annotations)] {
                let env = env("jira", "token");
                assert_eq!(stale(outer, inner, &env, &json!([])), expected, "{key}");
            }
        }
    }
}
