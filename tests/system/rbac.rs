//! The rules of `deploy/rbac.yaml`: every one is used, and a missing one is reported.

use std::time::Instant;

use control_plane::faults::{Fault, Requests, Verb};
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason, WorkloadKind};
use jira_credential_operator::cluster::{Election, Shard, Terms};
use jira_credential_operator::controller::{Operator, SecretWatch};
use jira_credential_operator::ops::metrics::Metrics;
use k8s_openapi::ByteString;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::restart::named;
use crate::rights::{compare, rights};
use crate::support::{OPERATOR, PATIENCE, Running, World, kubectl, says, value};

pub(crate) fn rules() -> Vec<PolicyRule> {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/rbac.yaml"));
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    let roles = documents
        .into_iter()
        .filter(|document| matches!(document["kind"].as_str(), Some("ClusterRole" | "Role")));
    roles
        .flat_map(|role| serde_json::from_value::<Vec<PolicyRule>>(role["rules"].clone()).unwrap())
        .collect()
}

/// Has an operator over the whole cluster do everything, under exactly the rights of a directory.
async fn installs(directory: &str, shard: Option<&str>) {
    // No operator has been there yet: it makes the key of its fingerprints.
    let world = World::bare().await;
    kubectl(world.plane, "apply -f crds/").await;
    kubectl(world.plane, &format!("apply -k {directory}")).await;
    let text = kubectl(world.plane, &format!("kustomize {directory}")).await;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let shard = shard.map(|selector| Shard::new(selector.parse().unwrap()));
    let operator = world
        .operator_with(|config| config.watch_namespaces.clear())
        .await;
    need_every_right(&world, &operator, SecretWatch::Metadata).await;
    if shard.is_some() {
        stand_for_election(&world, &operator, shard).await;
    }
    compare(&operator.faults.requests(), &rights(&documents), &[]);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_is_used_and_nothing_else_is_asked_for() {
    installs("deploy", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overlay_for_shards_adds_what_elections_of_shards_use_and_nothing_else() {
    installs("overlays/shards", Some("jira-operator.dev/shard=b")).await;
}

/// Lets an operator do everything for which it has rights.
pub(crate) async fn need_every_right(world: &World, operator: &Running, watch: SecretWatch) {
    // A site with a private authority: a ConfigMap is read.
    let jira = world.data_center();
    let token = jira.pat("bot");
    world.secret("source", &[("token", token.secret())]).await;
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    let map = json!({"metadata": {"name": "corp-ca"}, "data": {"ca.crt": world.sim.ca_pem()}});
    let map = serde_json::from_value(map).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    let spec = json!({
        "site": jira.url(),
        "tls": {"caConfigMapRef": {"name": "corp-ca", "key": "ca.crt"}},
        "auth": {"personalAccessToken": {"tokenSecretRef": {"name": "source", "key": "token"}}},
        "targets": [{"name": "first"}],
    });
    world.create("bot", spec).await;
    world.wait_ready("bot").await;

    // The token changes: workloads that exist are restarted, and others looked for again.
    for kind in [
        WorkloadKind::Deployment,
        WorkloadKind::StatefulSet,
        WorkloadKind::DaemonSet,
    ] {
        world.workload(kind, "sync").await;
    }
    let restart = [named("sync"), named("missing")].concat();
    world.change("bot", json!({"restart": restart})).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let token = jira.pat("bot");
    world.secret("source", &[("token", token.secret())]).await;
    if watch == SecretWatch::None {
        operator.poke();
    }
    let (kind, status) = (ConditionType::RestartFailed, ConditionStatus::True);
    let missing = Reason::WorkloadMissing;
    world.wait("bot", kind, status, missing).await;
    operator.quiet().await;
    world.advance(chrono::TimeDelta::minutes(1));
    operator.look_again(1).await;

    // A password: its attempt is recorded before it is sent. The answer to a write of the status
    // is lost, so that the object is read again.
    let password = jira.new_password("robot");
    let login = [("username", "robot"), ("password", password.as_str())];
    world.secret("login", &login).await;
    let status = Requests::verb(Verb::Update).resource("jiracredentials/status");
    operator
        .faults
        .add(status.name("robot"), 2..=2, Fault::LostAnswer);
    let spec = json!({"site": jira.url(), "auth": {"basic": {"secretRef": {"name": "login"}}}});
    world.create("robot", spec).await;
    world.wait_ready("robot").await;

    // A target is edited, and repaired; then the spec names another, and the first one goes.
    let damage = Patch::Merge(json!({"stringData": {"token": "vandalised"}}));
    world
        .secrets()
        .patch("first", &PatchParams::default(), &damage)
        .await
        .unwrap();
    if watch == SecretWatch::None {
        operator.poke();
    }
    world
        .until("the target is as it was", || async {
            let secret = world.secrets().get("first").await.unwrap();
            (value(&secret, "token") == token.secret()).then_some(())
        })
        .await;
    world
        .change("bot", json!({"targets": [{"name": "second"}]}))
        .await;
    world
        .until("the first target is gone", || async {
            let gone = world.secrets().get_opt("first").await.unwrap().is_none();
            gone.then_some(())
        })
        .await;
    world.wait_ready("bot").await;
    // A consent: the grant is written, and replaced as a whole.
    world.oauth("consent").await;
    world.wait_ready("consent").await;
    // The watches begin a moment after the lists.
    let wanted = if watch == SecretWatch::None { 1 } else { 2 };
    world
        .until("the watches are open", || async {
            let open = operator.faults.open_watches(&Requests::any());
            (open >= wanted).then_some(())
        })
        .await;
    stand_for_election(world, operator, None).await;
    operator.quiet().await;
}

/// Takes the lease, renews it while another candidate stands by, and gives it back, as replicas under the rules of
/// `deploy/` do.
async fn stand_for_election(world: &World, operator: &Running, shard: Option<Shard>) {
    let name = shard.as_ref().map_or_else(
        || OPERATOR.to_owned(),
        |shard| shard.selector().lease_name(),
    );
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), OPERATOR);
    let _ = leases.delete(&name, &DeleteParams::default()).await;
    let identity = world.plane.service_account_config(OPERATOR, OPERATOR).await;
    let client = operator.faults.client(identity.unwrap()).unwrap();
    let terms = Terms::default().divided_by(5);
    let candidate = |pod| {
        let (client, clock) = (client.clone(), world.clock.clone());
        Election::of_shard(client, OPERATOR, pod, clock, terms, shard.clone())
    };
    let (election, leadership) = candidate("leader");
    let renewals = Requests::verb(Verb::Update).resource("leases").name(&name);
    world
        .until("the lease is taken and renewed", || async {
            let renewed = operator.faults.count(&renewals) > 0;
            (renewed && leadership.leads()).then_some(())
        })
        .await;
    let (standby, _standing) = candidate("standby");
    let watches = Requests::verb(Verb::Watch).resource("leases").name(&name);
    world
        .until("the standby waits for a release", || async {
            (operator.faults.count(&watches) > 0).then_some(())
        })
        .await;
    standby.resign().await;
    election.resign().await;
    let lease = leases.get(&name).await.unwrap();
    assert_eq!(lease.spec.unwrap().holder_identity.as_deref(), Some(""));
}

/// Rules without one right.
fn without(right: &str) -> Vec<PolicyRule> {
    let (verb, resource) = right.split_once(' ').unwrap();
    let (_, resource) = resource.split_once('/').unwrap();
    let mut rules = rules();
    for rule in &mut rules {
        if rule.resources.as_deref() == Some(&[resource.to_owned()]) {
            rule.verbs.retain(|granted| granted != verb);
        }
    }
    rules.retain(|rule| !rule.verbs.is_empty());
    rules
}

/// An identity with these rules, and the key of fingerprints in its namespace.
pub(crate) async fn identity(world: &World, rules: Vec<PolicyRule>) -> (kube::Config, String) {
    let home = world.plane.namespace("home").await.unwrap();
    let params = PostParams::default();
    let account = json!({"metadata": {"name": OPERATOR}});
    let accounts: Api<ServiceAccount> = Api::namespaced(world.client.clone(), &home);
    accounts
        .create(&params, &serde_json::from_value(account).unwrap())
        .await
        .unwrap();
    let key = Secret {
        metadata: kube::api::ObjectMeta {
            name: Some("jira-credential-operator-key".to_owned()),
            ..kube::api::ObjectMeta::default()
        },
        data: Some([("key".to_owned(), ByteString(vec![7; 32]))].into()),
        ..Secret::default()
    };
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &home);
    secrets.create(&params, &key).await.unwrap();
    let role = ClusterRole {
        metadata: kube::api::ObjectMeta {
            name: Some(home.clone()),
            ..kube::api::ObjectMeta::default()
        },
        rules: Some(rules),
        ..ClusterRole::default()
    };
    Api::<ClusterRole>::all(world.client.clone())
        .create(&params, &role)
        .await
        .unwrap();
    let binding: ClusterRoleBinding = serde_json::from_value(json!({
        "metadata": {"name": home},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": home},
        "subjects": [{"kind": "ServiceAccount", "name": OPERATOR, "namespace": home}],
    }))
    .unwrap();
    Api::<ClusterRoleBinding>::all(world.client.clone())
        .create(&params, &binding)
        .await
        .unwrap();
    let config = world.plane.service_account_config(&home, OPERATOR).await;
    let config = config.unwrap();
    // New rules take a moment: the one that these identities have is there when it is allowed.
    let client = kube::Client::try_from(config.clone()).unwrap();
    let group = "jira-operator.dev";
    world
        .until("the rules are in force", || async {
            let watch = may(&client, "watch", group, "jiracredentials", &home).await;
            watch.or(may(&client, "create", "events.k8s.io", "events", &home).await)
        })
        .await;
    (config, home)
}

async fn may(
    client: &kube::Client,
    verb: &str,
    group: &str,
    resource: &str,
    namespace: &str,
) -> Option<()> {
    use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
    let review = serde_json::from_value(json!({"metadata": {}, "spec": {"resourceAttributes": {
        "namespace": namespace, "verb": verb, "group": group, "resource": resource,
    }}}))
    .unwrap();
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await;
    answer.unwrap().status?.allowed.then_some(())
}

/// How a message names a missing right.
fn right_text(right: &str, namespace: &str) -> String {
    format!("has no right to {right} in the namespace {namespace}; apply the RBAC rules of deploy/")
}

impl World {
    /// Waits until the condition `Ready` names a missing right.
    async fn lacks(&self, name: &str, right: &str) {
        let reason = Reason::OperatorRightMissing;
        let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
        let object = self.wait(name, kind, status, reason).await;
        let said = says(&object, kind).message;
        let right = right_text(right, &self.namespace);
        assert!(
            said.contains("ServiceAccount home-") && said.contains(&right),
            "{said}"
        );
    }
}

fn failed_passes(metrics: &Metrics) -> bool {
    let text = metrics.render().unwrap();
    text.lines().any(|line| {
        line.strip_prefix("jira_credential_reconcile_total{outcome=\"error\"} ")
            .is_some_and(|count| count != "0")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_create_secrets_the_condition_says_so() {
    let world = World::new().await;
    let (identity, home) = identity(&world, without("create /secrets")).await;
    let operator = world
        .operator_as(identity, |config| config.namespace = home)
        .await;
    world.api_token("bot").await;
    let object = world.wait_unready("bot", Reason::WriteRefused).await;
    let said = says(&object, ConditionType::Ready).message;
    assert!(
        said.contains("Secret bot")
            && said.contains(&right_text("create secrets", &world.namespace)),
        "{said}"
    );
    assert!(world.secrets().get_opt("bot").await.unwrap().is_none());
    operator.stop().await;
}

/// An administrator who wants the operator to restart nothing takes the rule away.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_restart_workloads_a_condition_says_so_and_all_else_works() {
    let world = World::new().await;
    let mut rules = rules();
    rules.retain(|rule| rule.api_groups.as_deref() != Some(&["apps".to_owned()]));
    let (identity, home) = identity(&world, rules).await;
    let operator = world
        .operator_as(identity, |config| config.namespace = home)
        .await;
    world.workload(WorkloadKind::Deployment, "sync").await;
    let token = world.cloud().api_token("bot@acme.example");
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    let mut spec = world.api_token_spec("bot");
    spec["restart"] = json!([{"kind": "Deployment", "name": "sync"}]);
    world.create("bot", spec).await;
    world.wait_ready("bot").await;
    let token = world.cloud().api_token("bot@acme.example");
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    world.until_value("bot", "token", token.secret()).await;
    let (kind, status) = (ConditionType::RestartFailed, ConditionStatus::True);
    let reason = Reason::OperatorRightMissing;
    let object = world.wait("bot", kind, status, reason).await;
    let said = says(&object, kind).message;
    assert!(
        said.contains("no right to restart Deployment sync")
            && said.contains("Give its ServiceAccount get and patch on deployments"),
        "{said}"
    );
    assert!(
        object
            .status
            .as_ref()
            .unwrap()
            .condition(ConditionType::Denied)
            .is_none()
    );
    world.wait_ready("bot").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_write_the_status_passes_count_as_failed() {
    let world = World::new().await;
    let right = "update jira-operator.dev/jiracredentials/status";
    let (identity, home) = identity(&world, without(right)).await;
    let operator = world
        .operator_as(identity, |config| config.namespace = home)
        .await;
    world.api_token("bot").await;
    world
        .until("a pass failed", || async {
            failed_passes(&operator.metrics).then_some(())
        })
        .await;
    let status = world.credential("bot").await.status.unwrap();
    assert_eq!(status.observed_generation, -1);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_read_config_maps_the_condition_says_so() {
    let world = World::new().await;
    let (identity, home) = identity(&world, without("get /configmaps")).await;
    let operator = world
        .operator_as(identity, |config| config.namespace = home)
        .await;
    let jira = world.data_center();
    let token = jira.pat("bot");
    world.secret("source", &[("token", token.secret())]).await;
    let spec = json!({
        "site": jira.url(),
        "tls": {"caConfigMapRef": {"name": "corp-ca", "key": "ca.crt"}},
        "auth": {"personalAccessToken": {"tokenSecretRef": {"name": "source", "key": "token"}}},
    });
    world.create("bot", spec).await;
    world.lacks("bot", "get configmaps").await;
    assert!(world.sim.calls().is_empty());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_delete_the_condition_names_the_old_target() {
    let world = World::new().await;
    let (identity, home) = identity(&world, without("delete /secrets")).await;
    let operator = world
        .operator_as(identity, |config| config.namespace = home)
        .await;
    world.api_token("bot").await;
    world.wait_ready("bot").await;
    world
        .change("bot", json!({"targets": [{"name": "other"}]}))
        .await;
    let object = world
        .wait(
            "bot",
            ConditionType::Denied,
            ConditionStatus::True,
            Reason::OperatorRightMissing,
        )
        .await;
    let said = says(&object, ConditionType::Denied).message;
    assert!(
        said.contains("delete the Secret bot")
            && said.contains(&right_text("delete secrets", &world.namespace)),
        "{said}"
    );
    assert_eq!(
        says(&object, ConditionType::Ready).status,
        ConditionStatus::True
    );
    // The condition comes before the reconcile ends.
    world
        .until("a failed reconcile is counted", || async {
            failed_passes(&operator.metrics).then_some(())
        })
        .await;
    // Pods find the new one all the same.
    assert!(world.secrets().get_opt("other").await.unwrap().is_some());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_create_events_the_condition_says_so_until_one_gets_through() {
    let world = World::new().await;
    let right = "create events.k8s.io/events";
    let (identity, home) = identity(&world, without(right)).await;
    let told = right_text("create events", &world.namespace);
    for _ in 0..2 {
        let operator = world
            .operator_as(identity.clone(), |config| {
                config.namespace.clone_from(&home);
            })
            .await;
        if world.credentials().get_opt("bot").await.unwrap().is_none() {
            world.api_token("bot").await;
        }
        // The next process does not forget what its predecessor could not tell.
        operator.quiet().await;
        let (kind, status) = (ConditionType::Denied, ConditionStatus::True);
        let object = world.wait("bot", kind, status, Reason::EventsDenied).await;
        let said = says(&object, kind).message;
        assert!(said.contains(&told), "{said}");
        world.wait_ready("bot").await;
        operator.stop().await;
    }
    let _operator = world
        .operator_with(|config| config.namespace.clone_from(&home))
        .await;
    world
        .until_status("bot", "nothing is denied", |status| {
            status.condition(ConditionType::Denied).is_none()
        })
        .await;
}

/// Rights on Secrets of the operator's own namespace, and none to read those of others.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_read_a_source_the_condition_says_so() {
    let world = World::new().await;
    let (identity, home) = identity(&world, without("get /secrets")).await;
    let params = PostParams::default();
    let role: Role = serde_json::from_value(json!({
        "metadata": {"name": "key"},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}],
    }))
    .unwrap();
    Api::<Role>::namespaced(world.client.clone(), &home)
        .create(&params, &role)
        .await
        .unwrap();
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "key"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "key"},
        "subjects": [{"kind": "ServiceAccount", "name": OPERATOR, "namespace": home}],
    }))
    .unwrap();
    Api::<RoleBinding>::namespaced(world.client.clone(), &home)
        .create(&params, &binding)
        .await
        .unwrap();
    let client = kube::Client::try_from(identity.clone()).unwrap();
    world
        .until("the key can be read", || {
            may(&client, "get", "", "secrets", &home)
        })
        .await;
    let operator = world
        .operator_as(identity, |config| config.namespace = home)
        .await;
    world.api_token("bot").await;
    world.oauth("consent").await;
    for name in ["bot", "consent"] {
        world.lacks(name, "get secrets").await;
    }
    assert!(world.sim.calls().is_empty());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_list_the_operator_is_not_ready() {
    let world = World::new().await;
    for right in ["list jira-operator.dev/jiracredentials", "list /secrets"] {
        let (identity, home) = identity(&world, without(right)).await;
        let mut config = world.config();
        config.namespace = home;
        let faults = control_plane::faults::Faults::default();
        let client = faults.client(identity).unwrap();
        let clock = world.clock.clone();
        let operator = Operator::new(config, client, clock, Metrics::default().into())
            .await
            .unwrap();
        let running = tokio::spawn(
            operator
                .clone()
                .run(CancellationToken::new(), futures::stream::pending()),
        );
        let resource = right.rsplit('/').next().unwrap();
        let lists = Requests::verb(Verb::List).resource(resource);
        let started = Instant::now();
        // Asked twice: the first refusal has been heard.
        while faults.count(&lists) < 2 {
            assert!(started.elapsed() < PATIENCE, "{right}: nobody asked");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert!(!operator.is_ready(), "{right}");
        running.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_get_secrets_the_operator_does_not_start() {
    let world = World::new().await;
    let (identity, home) = identity(&world, without("get /secrets")).await;
    let mut config = world.config();
    config.namespace = home;
    let client = kube::Client::try_from(identity).unwrap();
    let clock = world.clock.clone();
    let error = Operator::new(config, client, clock, Metrics::default().into())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("key of the fingerprints") && error.contains("no right to get secrets"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn cleaning_up_after_oneself_needs_no_right() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.api_token("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let mark = operator.mark();
    world
        .credentials()
        .delete("bot", &DeleteParams::default())
        .await
        .unwrap();
    // The garbage collector does it, by the owner reference.
    world
        .until("the target is gone", || async {
            let gone = world.secrets().get_opt("bot").await.unwrap().is_none();
            gone.then_some(())
        })
        .await;
    operator.quiet().await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
}
