//! A node: containerd, kubelet and scheduler in process and mount namespaces of their own, so that all
//! containers and mounts end with them.
//!
//! There is no network of containers: pods share that of the machine, which is why they reach the
//! API server and the simulator on loopback.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Node as NodeObject;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::process::{Child, Command};

use super::tools::Tools;
use crate::failure::{Outcome, While as _, fail};
use crate::image::layout::{self, Image};

/// The name of the node.
pub(crate) const NAME: &str = "e2e";

/// The image of pods' first process.
const PAUSE: &str = "docker.io/library/pause:local";

/// How long the node may take to be ready on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts everything that belongs to the node; its end ends the namespace.
const START: &str = r#"
cd "$0"
containerd --config containerd.toml >containerd.log 2>&1 &
until ctr --address "$0/containerd.sock" version >/dev/null 2>&1; do sleep 0.2; done
"$1/kube-scheduler" --config scheduler.json --secure-port 0 >scheduler.log 2>&1 &
exec "$1/kubelet" --config kubelet.json --kubeconfig "$2" --hostname-override "$3" \
    --root-dir "$0/kubelet" --cert-dir "$0/pki" >kubelet.log 2>&1
"#;

/// A running node.
pub(crate) struct Node {
    child: Child,
    directory: PathBuf,
    search_path: std::ffi::OsString,
}

impl Node {
    /// Starts it and waits until the API server says that it is ready.
    pub(crate) async fn start(
        tools: &Tools,
        kubeconfig: &Path,
        directory: &Path,
        client: kube::Client,
    ) -> Outcome<Self> {
        configure(directory, kubeconfig)?;
        let child = Command::new("setpriv")
            // The node ends with this process, even if it is killed.
            .args(["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork"])
            .args(["--kill-child", "--mount-proc", "sh", "-c", START])
            .arg(directory)
            .arg(&tools.kubernetes)
            .arg(kubeconfig)
            .arg(NAME)
            .env("PATH", &tools.search_path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log(directory)?)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .while_("setpriv")?;
        let mut node = Self {
            child,
            directory: directory.to_owned(),
            search_path: tools.search_path.clone(),
        };
        node.until_ready(client).await?;
        Ok(node)
    }

    async fn until_ready(&mut self, client: kube::Client) -> Outcome {
        let nodes = Api::<NodeObject>::all(client);
        let begun = Instant::now();
        loop {
            let node = nodes.get_opt(NAME).await?;
            let conditions = node.and_then(|node| node.status?.conditions);
            let ready = conditions.is_some_and(|conditions| {
                conditions
                    .iter()
                    .any(|condition| condition.type_ == "Ready" && condition.status == "True")
            });
            if ready {
                // A controller that is not there would take this taint from a node that is ready.
                let untainted = Patch::Merge(json!({"spec": {"taints": null}}));
                nodes
                    .patch(NAME, &PatchParams::default(), &untainted)
                    .await
                    .while_("the taints of the node")?;
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || begun.elapsed() > PATIENCE {
                return fail(format!("the node does not become ready\n{}", self.logs()));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Loads an image from an archive.
    pub(crate) async fn load(&self, archive: &Path) -> Outcome {
        let mut ctr = Command::new("ctr");
        ctr.env("PATH", &self.search_path)
            .arg("--address")
            .arg(self.directory.join("containerd.sock"))
            .args(["--namespace", "k8s.io", "images", "import"])
            .arg(archive)
            .kill_on_drop(true);
        let output = ctr.output().await.while_("ctr")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return fail(format!(
                "loading {}: {}",
                archive.display(),
                said.trim_end()
            ));
        }
        Ok(())
    }

    /// Makes an image of these files and loads it.
    pub(crate) async fn make(&self, name: &str, image: Image) -> Outcome {
        let archive = self.directory.join("image.tar");
        layout::write(&archive, name, chrono::DateTime::UNIX_EPOCH, &[image])?;
        self.load(&archive).await
    }

    /// Loads the image of pods' first process.
    pub(crate) async fn make_pause(&self, tools: &Tools) -> Outcome {
        let image = Image {
            architecture: crate::image::here()?,
            files: tools.with_libraries("busybox")?,
            config: json!({"Entrypoint": ["/bin/busybox", "sleep", "2147483647"], "User": "65535:65535"}),
        };
        self.make(PAUSE, image).await
    }

    /// What the containers of pods have printed whose names begin like this, by the folder of the pod. A
    /// pod that is gone has no folder any more.
    pub(crate) fn output(&self, namespace: &str, begin: &str) -> Outcome<BTreeMap<String, String>> {
        let begin = format!("{namespace}_{begin}");
        let mut printed = BTreeMap::new();
        for folder in children(&self.directory.join("logs"))? {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            if !name.starts_with(&begin) {
                continue;
            }
            let containers = children(&folder).unwrap_or_default();
            let files = containers.iter().flat_map(|path| children(path)).flatten();
            let text: String = files
                .filter_map(|file| fs::read_to_string(file).ok())
                .collect();
            printed.insert(name.into_owned(), text);
        }
        Ok(printed)
    }

    /// The end of what pods have printed whose names begin like this.
    pub(crate) fn tail(&self, namespace: &str, lines: usize, begin: &str) -> String {
        let folders = children(&self.directory.join("logs")).unwrap_or_default();
        let mut text = String::new();
        for folder in folders {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            let wanted = name
                .strip_prefix(namespace)
                .is_some_and(|rest| rest.contains(begin));
            let containers = children(&folder).unwrap_or_default();
            let files = containers.iter().flat_map(|path| children(path));
            for file in files.flatten().filter(|_| wanted) {
                text.push_str(&crate::operator::tail(&file, lines));
                text.push('\n');
            }
        }
        text
    }

    /// The ends of its logs.
    pub(crate) fn logs(&self) -> String {
        let names = ["node.log", "containerd.log", "kubelet.log", "scheduler.log"];
        let tails = names.map(|name| {
            let tail = crate::operator::tail(&self.directory.join(name), 8);
            format!("--- {name}\n{tail}")
        });
        tails.join("\n")
    }

    /// Ends it with all that runs on it.
    pub(crate) async fn stop(mut self) -> Outcome {
        let running = self
            .directory
            .join("state/io.containerd.runtime.v2.task/k8s.io");
        let running = children(&running).unwrap_or_default();
        self.child.kill().await.while_("ending the node")?;
        // The containers end a moment after their first process.
        for _ in 0..20 {
            if remove_groups(&running) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

/// Removes the control groups of containers that were killed; runc does it only for those that it ends.
/// Returns whether none is left.
fn remove_groups(containers: &[PathBuf]) -> bool {
    let mut gone = true;
    let all = Path::new("/sys/fs/cgroup");
    let controllers = children(all).unwrap_or_default();
    for controller in controllers.iter().map(PathBuf::as_path).chain([all]) {
        let ours = controller.join("k8s.io");
        for container in containers.iter().filter_map(|path| path.file_name()) {
            let group = ours.join(container);
            let _ = fs::remove_dir(&group);
            gone &= !group.exists();
        }
        // Stays where another containerd has containers.
        let _ = fs::remove_dir(ours);
    }
    gone
}

fn children(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let listed = fs::read_dir(folder).while_(folder.display())?;
    listed.map(|entry| Ok(entry?.path())).collect()
}

fn log(directory: &Path) -> Outcome<File> {
    File::create(directory.join("node.log")).while_("the log of the node")
}

fn configure(directory: &Path, kubeconfig: &Path) -> Outcome {
    let path = |name: &str| directory.join(name).display().to_string();
    fs::create_dir_all(directory.join("cni")).while_(directory.display())?;
    // Nobody has a network of their own; without a file containerd says that there is no network at all.
    let network = json!({"cniVersion": "0.4.0", "name": "none", "plugins": [{"type": "none"}]});
    let scheduler = json!({
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": false},
        "clientConnection": {"kubeconfig": kubeconfig},
    });
    let files = [
        ("cni/none.conflist", network.to_string()),
        ("scheduler.json", scheduler.to_string()),
        ("kubelet.json", kubelet(&path).to_string()),
        ("containerd.toml", containerd(&path)),
    ];
    for (name, text) in files {
        fs::write(directory.join(name), text).while_(name)?;
    }
    Ok(())
}

fn kubelet(path: &impl Fn(&str) -> String) -> serde_json::Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": format!("unix://{}", path("containerd.sock")),
        "podLogsDir": path("logs"),
        "volumePluginDir": path("plugins"),
        "syncFrequency": "5s",
        // Nobody asks it anything.
        "enableServer": false,
        "authentication": {"anonymous": {"enabled": false}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "healthzPort": 0,
        "readOnlyPort": 0,
        // What belongs to the machine stays as it is.
        "failCgroupV1": false,
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": false,
        "enforceNodeAllocatable": [],
        "failSwapOn": false,
        "localStorageCapacityIsolation": false,
        "makeIPTablesUtilChains": false,
        "resolvConf": "",
        // A disk that is nearly full is none of our business.
        "evictionHard": {
            "imagefs.available": "0%", "memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100,
    })
}

fn containerd(path: &impl Fn(&str) -> String) -> String {
    let quoted = |name| serde_json::Value::from(path(name));
    let (root, state, socket) = (quoted("root"), quoted("state"), quoted("containerd.sock"));
    let (cni, opt) = (quoted("cni"), quoted("opt"));
    format!(
        r#"version = 2
root = {root}
state = {state}
[grpc]
  address = {socket}
[debug]
  level = "warn"
[plugins."io.containerd.internal.v1.opt"]
  path = {opt}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # Without CAP_SYS_RESOURCE nobody may lower it.
  restrict_oom_score_adj = true
  disable_tcp_service = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    # Works on every file system, in containers as well.
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = {cni}
    conf_dir = {cni}
"#
    )
}
