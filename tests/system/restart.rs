//! Workloads of `spec.restart`: when the published credential changes, their pod templates do, once.

mod batches;

use chrono::TimeDelta;
use control_plane::faults::{Requests, Side, Verb};
use jira_credential_operator::api::{
    ConditionStatus, ConditionType, Reason, RestartStatus, Workload, WorkloadKind,
};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::oauth::RENEWAL_IS_DUE;
use crate::support::{Running, World, says};

const KINDS: [WorkloadKind; 3] = [
    WorkloadKind::Deployment,
    WorkloadKind::StatefulSet,
    WorkloadKind::DaemonSet,
];

/// One workload of each kind, all of this name, as `spec.restart` names them.
pub(crate) fn named(name: &str) -> Vec<Value> {
    let named = KINDS.map(|kind| json!({"kind": kind, "name": name}));
    named.into()
}

impl World {
    fn workloads(&self, kind: WorkloadKind) -> Api<DynamicObject> {
        let resource = match kind {
            WorkloadKind::Deployment => ApiResource::erase::<Deployment>(&()),
            WorkloadKind::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
            WorkloadKind::DaemonSet => ApiResource::erase::<DaemonSet>(&()),
        };
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    /// Creates a workload without pods.
    pub(crate) async fn workload(&self, kind: WorkloadKind, name: &str) {
        let mut spec = json!({
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "nodeSelector": {"none": "such"},
                    "containers": [{"name": name, "image": "example.org/sync:1"}],
                },
            },
        });
        if kind != WorkloadKind::DaemonSet {
            spec["replicas"] = json!(0);
        }
        if kind == WorkloadKind::StatefulSet {
            spec["serviceName"] = json!(name);
        }
        let object = json!({
            "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec,
        });
        let object = serde_json::from_value(object).unwrap();
        let workloads = self.workloads(kind);
        workloads
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }

    async fn edit_workload(&self, kind: WorkloadKind, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        let workloads = self.workloads(kind);
        workloads
            .patch("sync", &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// How often the spec of a workload was changed, and what the annotation of its pods says.
    async fn rolled(&self, kind: WorkloadKind, name: &str) -> (i64, Option<String>) {
        let object = self.workloads(kind).get(name).await.unwrap();
        let annotations = &object.data["spec"]["template"]["metadata"]["annotations"];
        let revision = annotations["restarted-for.jira-operator.dev/bot"].as_str();
        let changes = object.metadata.generation.unwrap() - 1;
        (changes, revision.map(str::to_owned))
    }

    /// How often each of the workloads was restarted.
    async fn restarts(&self) -> Vec<i64> {
        let mut all = Vec::new();
        for kind in KINDS {
            all.push(self.rolled(kind, "sync").await.0);
        }
        all
    }

    /// What is recorded of restarts.
    async fn restart_status(&self) -> RestartStatus {
        let status = self.credential("bot").await.status.unwrap();
        status.restart.unwrap()
    }

    /// A person stores another token, and the operator has published it.
    async fn rotated(&self, operator: &Running) {
        let token = self.cloud().api_token("bot@acme.example");
        self.secret("bot-source", &[("token", token.secret())])
            .await;
        self.until_value("bot", "token", token.secret()).await;
        operator.quiet().await;
    }

    /// A credential with an API token that restarts these workloads, and its operator at rest.
    async fn token_with(&self, operator: &Running, restart: &[Value]) {
        let token = self.cloud().api_token("bot@acme.example");
        self.secret("bot-source", &[("token", token.secret())])
            .await;
        let mut spec = self.api_token_spec("bot");
        spec["restart"] = json!(restart);
        self.create("bot", spec).await;
        self.wait_ready("bot").await;
        operator.quiet().await;
    }
}

fn about_workloads(operator: &Running, mark: control_plane::faults::Mark) -> Vec<String> {
    let mut requests = operator.requests_since(mark);
    let resources = ["deployments", "statefulsets", "daemonsets"];
    requests.retain(|request| resources.iter().any(|resource| request.ends_with(resource)));
    requests
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_restarts_each_workload_once_and_nothing_else_does() {
    let world = World::new().await;
    let operator = world.operator().await;
    for kind in KINDS {
        world.workload(kind, "sync").await;
    }
    let app = world.sim.oauth_app();
    let scopes = ["read:jira-work", "read:jira-user", "offline_access"];
    let consent = app.consent("bot@acme.example", &[&world.cloud()], &scopes);
    world.seed("bot", &consent.refresh_token()).await;
    world.client_secret("bot", &app.secret()).await;
    let mut spec = world.oauth_spec("bot", &app);
    spec["restart"] = json!(named("sync"));
    world.create("bot", spec).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(world.restarts().await, [0, 0, 0], "the first value");

    let mark = operator.mark();
    world.renewal_falls_due(&operator).await;
    assert_eq!(world.restarts().await, [1, 1, 1]);
    assert_eq!(
        about_workloads(&operator, mark),
        [
            "patch deployments",
            "patch statefulsets",
            "patch daemonsets"
        ]
    );
    let (_, first) = world.rolled(WorkloadKind::Deployment, "sync").await;
    assert_eq!(world.restart_status().await.revision, first);
    // A routine renewal has no event.
    world.until_told("bot", "Validated").await;

    // Neither another look, nor an edited target, nor another process.
    let mark = operator.mark();
    operator.look_again(1).await;
    let damage = json!({"stringData": {"token": "vandalised"}});
    world.edit_secret("bot", damage).await;
    let published = |world: &World| world.secrets();
    world
        .until("the target is as it was", || async {
            let secret = published(&world).get("bot").await.unwrap();
            (crate::support::value(&secret, "token") != "vandalised").then_some(())
        })
        .await;
    operator.quiet().await;
    assert_eq!(about_workloads(&operator, mark), Vec::<String>::new());
    operator.stop().await;
    let operator = world.operator().await;
    operator.look_again(1).await;
    assert_eq!(
        about_workloads(&operator, operator.start),
        Vec::<String>::new()
    );
    assert_eq!(world.restarts().await, [1, 1, 1]);

    world.advance(RENEWAL_IS_DUE);
    operator.look_again(1).await;
    assert_eq!(world.restarts().await, [2, 2, 2]);
    let (_, second) = world.rolled(WorkloadKind::Deployment, "sync").await;
    assert_ne!(first, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_is_missing_is_told_and_stops_no_other() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.workload(WorkloadKind::DaemonSet, "sync").await;
    world.token_with(&operator, &named("sync")).await;
    world.rotated(&operator).await;
    let (restarts, _) = world.rolled(WorkloadKind::DaemonSet, "sync").await;
    assert_eq!(restarts, 1);
    let object = world
        .wait(
            "bot",
            ConditionType::RestartFailed,
            ConditionStatus::True,
            Reason::WorkloadMissing,
        )
        .await;
    let said = says(&object, ConditionType::RestartFailed).message;
    let wanted = "do not exist: Deployment sync, StatefulSet sync.";
    assert!(
        said.contains(wanted) && said.contains("spec.restart"),
        "{said}"
    );
    let ready = says(&object, ConditionType::Ready);
    assert_eq!(ready.status, ConditionStatus::True);
    let status = object.status.unwrap();
    assert!(status.condition(ConditionType::Reconciling).is_none());
    world
        .until_told("bot", "Validated Rotated WorkloadMissing")
        .await;

    // Those that come have started with what is published.
    world.workload(WorkloadKind::Deployment, "sync").await;
    world.workload(WorkloadKind::StatefulSet, "sync").await;
    world.advance(TimeDelta::minutes(1));
    operator.look_again(1).await;
    let status = world.credential("bot").await.status.unwrap();
    assert!(status.condition(ConditionType::RestartFailed).is_none());
    assert_eq!(world.restarts().await, [0, 0, 1]);
    assert_eq!(status.restart.unwrap().failed, []);

    // Another change finds them.
    world.rotated(&operator).await;
    assert_eq!(world.restarts().await, [1, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_during_the_restarts_restarts_each_workload_once() {
    for (resource, side) in [
        ("deployments", Side::Before),
        ("deployments", Side::After),
        ("statefulsets", Side::After),
        ("daemonsets", Side::After),
    ] {
        let world = World::new().await;
        let operator = world.operator().await;
        for kind in KINDS {
            world.workload(kind, "sync").await;
        }
        world.token_with(&operator, &named("sync")).await;
        let patch = Requests::verb(Verb::Patch).resource(resource);
        let stopped = operator.faults.stop_at(patch, 1, side);
        let token = world.cloud().api_token("bot@acme.example");
        world
            .secret("bot-source", &[("token", token.secret())])
            .await;
        world
            .until("the operator ends", || async {
                stopped.is_reached().then_some(())
            })
            .await;
        world.until_value("bot", "token", token.secret()).await;
        operator.crash();
        let operator = world.operator().await;
        world
            .until("the restarts are recorded", || async {
                let status = world.restart_status().await;
                status.revision.is_some().then_some(())
            })
            .await;
        operator.quiet().await;
        assert_eq!(world.restarts().await, [1, 1, 1], "{resource} {side:?}");
        operator.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_refused_is_tried_again() {
    use control_plane::faults::Fault;
    let world = World::new().await;
    let operator = world.operator().await;
    for kind in KINDS {
        world.workload(kind, "sync").await;
    }
    world.token_with(&operator, &named("sync")).await;
    let patch = Requests::verb(Verb::Patch).resource("statefulsets");
    operator.faults.add(patch, 1..=2, Fault::Status(422));
    world.rotated(&operator).await;
    assert_eq!(world.restarts().await, [1, 0, 1]);
    let kind = ConditionType::RestartFailed;
    let status = ConditionStatus::True;
    let object = world
        .wait("bot", kind, status, Reason::RestartRefused)
        .await;
    let said = says(&object, kind).message;
    assert!(said.contains("did not restart StatefulSet sync"), "{said}");
    let failed: Vec<Workload> = object
        .status
        .unwrap()
        .restart
        .unwrap()
        .failed
        .into_iter()
        .map(|failed| failed.workload)
        .collect();
    assert_eq!(failed[0].to_string(), "StatefulSet sync");
    assert_eq!(failed.len(), 1);
    world.advance(TimeDelta::seconds(20));
    operator.look_again(1).await;
    assert_eq!(world.restarts().await, [1, 0, 1]);
    world.advance(TimeDelta::seconds(40));
    operator.look_again(1).await;
    assert_eq!(world.restarts().await, [1, 1, 1]);
    let status = world.credential("bot").await.status.unwrap();
    assert!(status.condition(kind).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_replaces_no_pods_is_told() {
    let world = World::new().await;
    let operator = world.operator().await;
    for kind in KINDS {
        world.workload(kind, "sync").await;
    }
    let on_delete = json!({"updateStrategy": {"type": "OnDelete", "rollingUpdate": null}});
    for (kind, spec) in [
        (WorkloadKind::Deployment, json!({"paused": true})),
        (WorkloadKind::StatefulSet, on_delete.clone()),
        (WorkloadKind::DaemonSet, on_delete),
    ] {
        world.edit_workload(kind, spec).await;
    }
    world.token_with(&operator, &named("sync")).await;
    world.rotated(&operator).await;
    let (kind, status) = (ConditionType::RestartFailed, ConditionStatus::True);
    let object = world.wait("bot", kind, status, Reason::RestartHeld).await;
    let said = says(&object, kind).message;
    let all = "Not all pods of Deployment sync, StatefulSet sync, DaemonSet sync";
    assert!(said.contains(all) && said.contains("OnDelete"), "{said}");

    // A person resumes it, and changes how the others are updated: pods are replaced by then.
    let rolling = json!({"updateStrategy": {"type": "RollingUpdate"}});
    for (kind, spec) in [
        (WorkloadKind::Deployment, json!({"paused": false})),
        (WorkloadKind::StatefulSet, rolling.clone()),
        (WorkloadKind::DaemonSet, rolling),
    ] {
        world.edit_workload(kind, spec).await;
    }
    world.advance(TimeDelta::seconds(20));
    operator.look_again(1).await;
    let status_now = world.credential("bot").await.status.unwrap();
    assert!(status_now.condition(kind).is_none(), "{status_now:#?}");

    // A partition keeps those before it.
    let partition = json!({"updateStrategy": {"rollingUpdate": {"partition": 1}}});
    world
        .edit_workload(WorkloadKind::StatefulSet, partition)
        .await;
    world.rotated(&operator).await;
    let object = world.wait("bot", kind, status, Reason::RestartHeld).await;
    let said = says(&object, kind).message;
    assert!(said.contains("pods of StatefulSet sync of"), "{said}");
}
