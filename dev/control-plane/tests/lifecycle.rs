//! Starting and ending control planes.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use control_plane::ControlPlane;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api,
    api::{ListParams, ObjectMeta, PostParams},
};

const PATIENCE: Duration = Duration::from_secs(60);

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A process that works in the directory, zombies aside.
fn works_in(directory: &Path, id: u32) -> bool {
    let command = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&command).contains(directory.to_str().unwrap())
}

#[tokio::test]
async fn starts_answers_and_leaves_nothing_behind() {
    let begun = Instant::now();
    let plane = ControlPlane::start().await.unwrap();
    eprintln!("started in {:?}", begun.elapsed());
    let version = plane.client().unwrap().apiserver_version().await.unwrap();
    assert_eq!(version.git_version, "v1.36.3");
    assert_eq!(
        (version.major.as_str(), version.minor.as_str()),
        ("1", "36")
    );

    let directory = plane.directory().to_owned();
    let ids = plane.process_ids().await;
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| works_in(&directory, *id)));

    let begun = Instant::now();
    plane.stop().await.unwrap();
    eprintln!("stopped in {:?}", begun.elapsed());
    assert!(ids.iter().all(|id| !works_in(&directory, *id)));
    assert!(!directory.exists());
}

#[test]
fn a_killed_owner_leaves_nothing_behind() {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_control-plane"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(owner.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let kubeconfig = PathBuf::from(line.trim().strip_prefix("export KUBECONFIG=").unwrap());
    let directory = kubeconfig.parent().unwrap();
    let ids: Vec<u32> = ["etcd", "kube-apiserver", "kube-controller-manager"]
        .iter()
        .map(|name| fs::read_to_string(directory.join(format!("{name}.pid"))).unwrap())
        .map(|id| id.trim().parse().unwrap())
        .collect();
    assert!(ids.iter().all(|id| works_in(directory, *id)));

    // SIGKILL: the owner gets no chance to clean up.
    owner.kill().unwrap();
    owner.wait().unwrap();
    wait_until("the processes end", || {
        ids.iter().all(|id| !works_in(directory, *id))
    });
    wait_until("the directory goes", || !directory.exists());
}

#[tokio::test]
async fn the_api_server_can_be_away_for_a_while() {
    let plane = ControlPlane::start().await.unwrap();
    let name = plane.namespace("before").await.unwrap();
    let namespaces = Api::<Namespace>::all(plane.client().unwrap());

    plane.pause_api_server().await.unwrap();
    let answer = tokio::time::timeout(Duration::from_millis(300), namespaces.get(&name)).await;
    assert!(answer.is_err(), "a paused API server does not answer");
    plane.resume_api_server().await.unwrap();
    namespaces.get(&name).await.unwrap();

    plane.stop_api_server().await.unwrap();
    let refused = Api::<Namespace>::all(plane.client().unwrap())
        .get(&name)
        .await
        .unwrap_err();
    assert!(!matches!(refused, kube::Error::Api(_)), "{refused}");
    plane.start_api_server().await.unwrap();
    Api::<Namespace>::all(plane.client().unwrap())
        .get(&name)
        .await
        .unwrap();
    plane.stop().await.unwrap();
}

/// A runtime that ended must not matter to the tests after it.
#[test]
fn a_shared_control_plane_outlives_the_runtime_that_started_it() {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let plane = ControlPlane::shared().await.unwrap();
            let namespace = plane.namespace("shared").await.unwrap();
            let maps = Api::<ConfigMap>::namespaced(plane.client().unwrap(), &namespace);
            let map = ConfigMap {
                metadata: ObjectMeta {
                    name: Some("mine".to_owned()),
                    ..ObjectMeta::default()
                },
                ..ConfigMap::default()
            };
            maps.create(&PostParams::default(), &map).await.unwrap();
            let mine = ListParams::default().fields("metadata.name=mine");
            assert_eq!(maps.list(&mine).await.unwrap().items.len(), 1);
            (plane.port(), namespace)
        })
    };
    let (first, second) = (run(), run());
    assert_eq!(first.0, second.0, "one control plane");
    assert_ne!(first.1, second.1, "two namespaces");
}
