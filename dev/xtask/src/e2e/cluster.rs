//! The operator as a Deployment on the node.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use tokio::process::Command;

use super::readers::READERS;
use super::{Stage, copy_manifests, node, rights};
use crate::failure::{Outcome, While as _, fail};
use crate::stage::OPERATOR;

/// How long a pod may take to run on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

impl Stage<'_> {
    /// Installs `crds/` and `deploy/` with what this node needs: the network of the machine, since there is
    /// none of containers, and the simulator's addresses. Everything else is as it ships.
    pub(super) async fn install(&self) -> Outcome<((), String)> {
        let crd = std::fs::read_to_string(crate::root().join("crds/jiracredentials.yaml"))?;
        self.plane.install_crds(&crd).await?;
        let folder = self.jira.file("overlay");
        copy_manifests(&folder.join("deploy"))?;
        std::fs::copy(&self.jira.ca_file, folder.join("ca.pem")).while_("ca.pem")?;
        let overlay = self.overlay()?.to_string();
        std::fs::write(folder.join("kustomization.yaml"), overlay).while_("the overlay")?;
        self.ui.command("kubectl apply -k OVERLAY");
        let mut kubectl = Command::from(self.plane.kubectl());
        kubectl.args(["apply", "--server-side", "-k"]).arg(&folder);
        let output = kubectl
            .kill_on_drop(true)
            .output()
            .await
            .while_("kubectl")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return fail(format!("kubectl apply: {}", said.trim_end()));
        }
        let pod = self.until_ready(OPERATOR, OPERATOR).await?;
        let user = rights::check(&pod)?;
        let result = format!(
            "its pod is ready, as user {user}, without capabilities and behind a seccomp filter"
        );
        Ok(((), result))
    }

    fn overlay(&self) -> Outcome<Value> {
        // The level `restricted` knows no pod with the network of the machine.
        let label = "/metadata/labels/pod-security.kubernetes.io~1enforce";
        let level = json!([{"op": "replace", "path": label, "value": "privileged"}]);
        Ok(json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": ["deploy"],
            "configMapGenerator": [{
                "name": "simulator",
                "namespace": OPERATOR,
                "files": ["ca.pem"],
                "options": {"disableNameSuffixHash": true},
            }],
            "patches": [
                {"target": {"kind": "Deployment"}, "patch": self.patch()?.to_string()},
                {"target": {"kind": "Namespace"}, "patch": level.to_string()},
            ],
        }))
    }

    /// What is changed in the Deployment.
    fn patch(&self) -> Outcome<Value> {
        let health = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let pod = "/spec/template/spec";
        let container = format!("{pod}/containers/0");
        let of = |name: &str| format!("{container}/{name}");
        let probe = |path: &str| json!({"host": "127.0.0.1", "port": health.port(), "path": path});
        let variable = |name: &str, value: String| json!({"name": name, "value": value});
        let port = self.plane.port().to_string();
        let mount = json!([{"name": "simulator", "mountPath": "/simulator"}]);
        let volume = json!([{"name": "simulator", "configMap": {"name": "simulator"}}]);
        let replace = |path: String, value| json!({"op": "replace", "path": path, "value": value});
        let add = |path: String, value| json!({"op": "add", "path": path, "value": value});
        Ok(json!([
            // The network of the machine has each port once.
            replace("/spec/replicas".to_owned(), json!(1)),
            add(format!("{pod}/hostNetwork"), json!(true)),
            replace(of("args"), json!(self.arguments(&health.to_string()))),
            // The image that was loaded, or none.
            add(of("imagePullPolicy"), json!("Never")),
            {"op": "remove", "path": of("ports")},
            replace(of("livenessProbe/httpGet"), probe("/healthz")),
            replace(of("readinessProbe/httpGet"), probe("/readyz")),
            // Nobody forwards the address of the Service.
            add(of("env/-"), variable("KUBERNETES_SERVICE_HOST", "127.0.0.1".to_owned())),
            add(of("env/-"), variable("KUBERNETES_SERVICE_PORT", port)),
            add(of("volumeMounts"), mount),
            add(format!("{pod}/volumes"), volume),
        ]))
    }

    /// The command line of the operator.
    fn arguments(&self, health: &str) -> Vec<String> {
        let mut flags = self.jira.flags();
        let mut ca_file = flags
            .iter_mut()
            .skip_while(|flag| *flag != "--extra-ca-file");
        if let Some(file) = ca_file.nth(1) {
            "/simulator/ca.pem".clone_into(file);
        }
        let begin = ["run", "--leader-elect"].map(str::to_owned);
        let addresses = [
            "--metrics-bind-address",
            "127.0.0.1:0",
            "--health-probe-bind-address",
            health,
        ];
        let all = begin.into_iter().chain(flags);
        all.chain(addresses.map(str::to_owned)).collect()
    }

    /// Waits until a Deployment has a pod that is ready, and returns the newest one.
    pub(super) async fn until_ready(&self, namespace: &str, name: &str) -> Outcome<Pod> {
        let label = format!("app.kubernetes.io/name={name}");
        let pods = Api::<Pod>::namespaced(self.plane.client()?, namespace);
        let begun = Instant::now();
        loop {
            let found = pods.list(&ListParams::default().labels(&label)).await?;
            let ready = found.items.into_iter().filter(is_ready);
            if let Some(pod) = ready.max_by_key(|pod| pod.metadata.creation_timestamp.clone()) {
                return Ok(pod);
            }
            if begun.elapsed() > PATIENCE {
                return fail(format!("no pod of {name} is ready after {PATIENCE:?}"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Takes all pods from the node, those that log in included, and gives the node back.
    pub(super) async fn drain(&self) -> Outcome<((), String)> {
        let before = self.until_ready(OPERATOR, OPERATOR).await?;
        let drain = [
            "drain",
            node::NAME,
            "--timeout=120s",
            "--delete-emptydir-data",
        ];
        self.cluster.kubectl(&drain).await?;
        self.cluster.kubectl(&["uncordon", node::NAME]).await?;
        let begun = Instant::now();
        let after = self.until_ready(OPERATOR, OPERATOR).await?;
        if after.metadata.uid == before.metadata.uid {
            return fail("another pod should have taken over");
        }
        let took = begun.elapsed().as_secs();
        // All their pods are new after the drain, so each one mounts the published Secret again.
        for reader in READERS {
            self.until_logged_in(reader, |_| true).await?;
        }
        let all = begun.elapsed().as_secs();
        Ok((
            (),
            format!(
                "another pod is ready {took} s after the node came back, and all readers log in after {all} s"
            ),
        ))
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.is_some_and(|conditions| {
            conditions
                .iter()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True")
        })
}
