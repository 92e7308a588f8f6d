//! The pod that only shows that containers run.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Event, Pod, PodStatus};
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use super::readers::{IMAGE, container_context, pod_context};
use super::tools::Tools;
use super::{Blocked, Stage, cluster};
use crate::failure::{Outcome, fail};
use crate::image::{self, layout::Image};

/// Its name.
const FIRST: &str = "first";

/// What the kubelet says of a container or a pod that the runtime, and with it the kernel, did not start.
const OF_THE_RUNTIME: [&str; 5] = [
    "CreateContainerError",
    "RunContainerError",
    "ContainerCannotRun",
    "StartError",
    "FailedCreatePodSandBox",
];

impl Stage<'_> {
    /// Runs one pod that ends at once. Where its runtime cannot run it, this machine cannot be a node.
    pub(super) async fn first_pod(&self, tools: &Tools) -> Outcome<Result<(), Blocked>> {
        self.node.make_pause(tools).await?;
        self.make_image(tools).await?;
        let namespace = self.cluster.namespace();
        self.cluster
            .kubectl(&["create", "namespace", namespace])
            .await?;
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": FIRST},
            "spec": {
                "hostNetwork": true,
                "automountServiceAccountToken": false,
                "restartPolicy": "Never",
                "securityContext": pod_context(),
                "containers": [{
                    "name": FIRST,
                    "image": IMAGE,
                    "imagePullPolicy": "Never",
                    "command": ["curl", "--version"],
                    "securityContext": container_context(),
                }],
            },
        });
        self.cluster.store(&pod.to_string()).await?;
        self.until_succeeded().await
    }

    /// Makes the image of the readers.
    async fn make_image(&self, tools: &Tools) -> Outcome {
        let mut files = tools.with_libraries("busybox")?;
        for file in tools.with_libraries("curl")? {
            if files.iter().all(|other| other.path != file.path) {
                files.push(file);
            }
        }
        let image = Image {
            architecture: image::here()?,
            files,
            config: json!({"Env": ["PATH=/bin"], "Entrypoint": ["busybox"]}),
        };
        self.node.make(IMAGE, image).await
    }

    async fn until_succeeded(&self) -> Outcome<Result<(), Blocked>> {
        let namespace = self.cluster.namespace();
        let pods = Api::<Pod>::namespaced(self.plane.client()?, namespace);
        let begun = Instant::now();
        loop {
            let status = pods.get(FIRST).await?.status.unwrap_or_default();
            let phase = status.phase.as_deref().unwrap_or_default();
            if phase == "Succeeded" {
                return Ok(Ok(()));
            }
            if phase == "Failed" || begun.elapsed() > cluster::PATIENCE {
                let events = self.reasons_of_events().await?;
                let (shown, logs) = (json!(status), self.node.logs());
                let why = format!("the first container does not run: {shown}, {events:?}\n{logs}");
                if is_of_the_runtime(&status, &events) {
                    return Ok(Err(Blocked(why)));
                }
                return fail(why);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The reasons of the events of the pod.
    async fn reasons_of_events(&self) -> Outcome<Vec<String>> {
        let namespace = self.cluster.namespace();
        let events = Api::<Event>::namespaced(self.plane.client()?, namespace);
        let of_pod = ListParams::default().fields(&format!("involvedObject.name={FIRST}"));
        let found = events.list(&of_pod).await?;
        Ok(found.into_iter().filter_map(|event| event.reason).collect())
    }
}

/// Whether the runtime is why a pod does not run. Anything else is a fault of this project.
fn is_of_the_runtime(status: &PodStatus, events: &[String]) -> bool {
    let containers = status
        .container_statuses
        .iter()
        .flatten()
        .filter_map(|container| container.state.as_ref());
    let reasons = containers.filter_map(|state| {
        let waits = state
            .waiting
            .as_ref()
            .and_then(|state| state.reason.as_deref());
        let ended = state
            .terminated
            .as_ref()
            .and_then(|state| state.reason.as_deref());
        waits.or(ended)
    });
    reasons
        .chain(events.iter().map(String::as_str))
        .any(|reason| OF_THE_RUNTIME.contains(&reason))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;

    #[test]
    fn only_what_the_runtime_cannot_start_is_no_failure() {
        let state = |state: serde_json::Value| -> PodStatus {
            let container = json!({
                "name": FIRST, "image": IMAGE, "imageID": "", "ready": false, "restartCount": 0, "state": state,
            });
            serde_json::from_value(json!({"containerStatuses": [container]})).unwrap()
        };
        let waits = |reason: &str| state(json!({"waiting": {"reason": reason}}));
        let ended = |reason: &str| state(json!({"terminated": {"reason": reason, "exitCode": 1}}));
        for (status, event, expected) in [
            (waits("CreateContainerError"), "Failed", true),
            (waits("ContainerCreating"), "FailedCreatePodSandBox", true),
            (ended("StartError"), "Failed", true),
            (waits("ErrImageNeverPull"), "ErrImageNeverPull", false),
            (waits("ContainerCreating"), "FailedMount", false),
            (ended("Error"), "Started", false),
            (PodStatus::default(), "FailedScheduling", false),
        ] {
            let events = [event.to_owned()];
            let found = is_of_the_runtime(&status, &events);
            assert_eq!(found, expected, "{status:?} {event}");
        }
    }
}
