//! An operator with roles in the namespaces that it serves, and in its own, and nowhere else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use control_plane::faults::{Cut, Fault, Requests, Verb};
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use jira_credential_operator::cluster::{Leadership, Standing};
use jira_credential_operator::controller::SecretWatch;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, PostParams};
use serde_json::{Value, json};

use crate::rbac::need_every_right;
use crate::rights::{compare, rights};
use crate::support::{OPERATOR, Running, World, kubectl, says};

/// The name of the roles in each namespace.
const ROLE: &str = "jira-credential-operator-credentials";

/// A list that was refused is asked for again after half a minute at most, and load is added to that.
const UNTIL_ASKED_AGAIN: Duration = Duration::from_secs(120);

async fn create_namespace(world: &World, name: &str) {
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    let namespaces = Api::<Namespace>::all(world.client.clone());
    let params = PostParams::default();
    namespaces.create(&params, &namespace).await.unwrap();
}

/// The same world as seen from another namespace.
fn at(world: &World, namespace: &str) -> World {
    World {
        namespace: namespace.to_owned(),
        client: world.client.clone(),
        sim: world.sim.clone(),
        clock: world.clock.clone(),
        plane: world.plane,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overlay_grants_what_is_used_in_the_listed_namespaces_and_nothing_else() {
    installs("overlays/listed-namespaces", SecretWatch::Metadata).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overlay_without_lists_of_secrets_grants_what_is_used_and_nothing_else() {
    installs("overlays/without-secret-lists", SecretWatch::None).await;
}

/// Has an operator under exactly the rights of an overlay do everything.
async fn installs(overlay: &str, watch: SecretWatch) {
    let world = World::bare().await;
    kubectl(world.plane, "apply -f crds/").await;
    for name in ["team-a", "team-b"] {
        create_namespace(&world, name).await;
    }
    kubectl(world.plane, &format!("apply -k {overlay}")).await;
    let text = kubectl(world.plane, &format!("kustomize {overlay}")).await;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let (a, b) = (at(&world, "team-a"), at(&world, "team-b"));
    let identity = world.plane.service_account_config(OPERATOR, OPERATOR).await;
    let operator = world
        .operator_as(identity.unwrap(), |config| {
            config.watch_namespaces = ["team-a", "team-b"].map(str::to_owned).into();
            config.watch_secrets = watch;
        })
        .await;
    need_every_right(&a, &operator, watch).await;
    // A refused password is recorded in the operator's own namespace, twice: the second time the Secret exists.
    for name in ["first", "second"] {
        a.password(name, name, "wrong").await;
        let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
        a.wait(name, kind, status, Reason::Rejected).await;
        let refused = "jira-credential-operator-refused-passwords";
        let writes = Requests::verb(Verb::Patch)
            .namespace(OPERATOR)
            .name(refused);
        world
            .until("the refusal is recorded", || async {
                let home = Api::<Secret>::namespaced(world.client.clone(), OPERATOR);
                let recorded = home.get_opt(refused).await.unwrap()?.data?.len();
                let wanted = if name == "first" { 1 } else { 2 };
                (recorded == wanted && operator.faults.count(&writes) >= wanted).then_some(())
            })
            .await;
    }
    b.api_token("bot").await;
    b.wait_ready("bot").await;
    // Elsewhere nothing is seen.
    world.api_token("elsewhere").await;
    operator.quiet().await;
    let status = world.credential("elsewhere").await.status.unwrap();
    assert_eq!(status.observed_generation, -1);
    compare(
        &operator.faults.requests(),
        &rights(&documents),
        &["team-b"],
    );
    operator.stop().await;
}

/// An account with the right to keep Secrets of its own, and none in any other namespace.
async fn account(world: &World) -> (kube::Config, String) {
    let home = world.plane.namespace("home").await.unwrap();
    let params = PostParams::default();
    let account: ServiceAccount =
        serde_json::from_value(json!({"metadata": {"name": OPERATOR}})).unwrap();
    let accounts = Api::<ServiceAccount>::namespaced(world.client.clone(), &home);
    accounts.create(&params, &account).await.unwrap();
    let key = Secret {
        metadata: ObjectMeta {
            name: Some("jira-credential-operator-key".to_owned()),
            ..ObjectMeta::default()
        },
        data: Some([("key".to_owned(), ByteString(vec![7; 32]))].into()),
        ..Secret::default()
    };
    let secrets = Api::<Secret>::namespaced(world.client.clone(), &home);
    secrets.create(&params, &key).await.unwrap();
    let own = include_str!("../../overlays/listed-namespaces/own-secrets.yaml");
    grant(world, own, &home, &home).await;
    let config = world.plane.service_account_config(&home, OPERATOR).await;
    (config.unwrap(), home)
}

/// The roles of a file in a namespace, for the account of another.
async fn grant(world: &World, text: &str, namespace: &str, home: &str) {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    let params = PostParams::default();
    for mut document in documents {
        document["metadata"]["namespace"] = json!(namespace);
        if document["kind"] == "Role" {
            let role: Role = serde_json::from_value(document).unwrap();
            let roles = Api::<Role>::namespaced(world.client.clone(), namespace);
            roles.create(&params, &role).await.unwrap();
        } else {
            document["subjects"][0]["namespace"] = json!(home);
            let binding: RoleBinding = serde_json::from_value(document).unwrap();
            let bindings = Api::<RoleBinding>::namespaced(world.client.clone(), namespace);
            bindings.create(&params, &binding).await.unwrap();
        }
    }
}

async fn serve(world: &World, home: &str) {
    let text = include_str!("../../overlays/listed-namespaces/namespace/roles.yaml");
    grant(world, text, &world.namespace, home).await;
}

async fn withdraw(world: &World) {
    let bindings = Api::<RoleBinding>::namespaced(world.client.clone(), &world.namespace);
    let roles = Api::<Role>::namespaced(world.client.clone(), &world.namespace);
    let params = DeleteParams::default();
    bindings.delete(ROLE, &params).await.unwrap();
    roles.delete(ROLE, &params).await.unwrap();
}

async fn until_ready(operator: &Running) {
    let started = Instant::now();
    while !operator.operator.is_ready() {
        let said = operator.operator.refused_list();
        assert!(started.elapsed() < UNTIL_ASKED_AGAIN, "{said:?}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_without_roles_is_named_and_holds_up_no_other() {
    let world = World::new().await;
    let other = world.neighbour().await;
    let (identity, home) = account(&world).await;
    serve(&world, &home).await;
    other.api_token("bot").await;
    let operator = world
        .unready_operator_as(identity, |config| {
            config.namespace.clone_from(&home);
            config.watch_namespaces = vec![other.namespace.clone(), world.namespace.clone()];
        })
        .await;
    world.api_token("bot").await;
    world.wait_ready("bot").await;
    // The same token may have been used in the other namespace, where nobody can look.
    world.oauth("consent").await;
    let (kind, status) = (ConditionType::Denied, ConditionStatus::True);
    let reason = Reason::OperatorRightMissing;
    let held_up = world.wait("consent", kind, status, reason).await;
    let said = says(&held_up, ConditionType::Ready);
    assert_eq!((said.status, said.reason), (ConditionStatus::False, reason));
    let missing = format!(
        "no right to list secrets in the namespace {}",
        other.namespace
    );
    assert!(said.message.contains(&missing), "{}", said.message);
    assert_eq!(world.outcomes(), Vec::<String>::new());
    let refused = operator.operator.refused_list().unwrap();
    let words = [
        format!("{home}/{OPERATOR} has no right to list jiracredentials"),
        format!("in the namespace {}", other.namespace),
        format!("take {} out of --watch-namespaces", other.namespace),
    ];
    assert!(words.iter().all(|word| refused.contains(word)), "{refused}");
    assert!(!operator.operator.is_ready());
    let status = other.credential("bot").await.status.unwrap();
    assert_eq!(status.observed_generation, -1);

    serve(&other, &home).await;
    until_ready(&operator).await;
    other.wait_ready("bot").await;
    assert_eq!(operator.operator.refused_list(), None);
    operator.poke();
    let ready = world.wait_ready("consent").await;
    assert!(ready.status.unwrap().condition(kind).is_none());
    assert_eq!(world.outcomes(), ["exchanged"]);
    operator.stop().await;
}

/// What a new leader must know of a namespace before it acts in it may not be readable any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_lost_its_roles_waits_alone_when_another_process_takes_over() {
    let world = World::new().await;
    let other = world.neighbour().await;
    let (identity, home) = account(&world).await;
    serve(&world, &home).await;
    serve(&other, &home).await;
    other.password("robot", "robot", "wrong").await;
    world.password("robot", "someone", "wrong").await;
    let (standing, leadership) = Leadership::elected();
    let operator = world
        .operator_as(identity, |config| {
            config.namespace.clone_from(&home);
            config.watch_namespaces = vec![world.namespace.clone(), other.namespace.clone()];
            config.leadership = leadership;
        })
        .await;
    withdraw(&other).await;
    let client = operator.faults.clone();
    let lists = Requests::verb(Verb::List)
        .resource("jiracredentials")
        .namespace(&other.namespace);
    let before = client.count(&lists);
    // The authorizer hears of it a moment later; a watch that goes on says nothing.
    until_denied(&other, &home).await;
    let until = tokio::time::Instant::now() + Duration::from_secs(3600);
    standing.send_replace(Standing::Leads { until });
    let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
    world.wait("robot", kind, status, Reason::Rejected).await;
    assert!(client.count(&lists) > before, "it was asked for");
    operator.quiet().await;
    let calls = world.calls();
    assert_eq!(
        calls, 1,
        "nothing is sent for a namespace that is not known"
    );
    assert!(!operator.operator.is_ready());
    let refused = operator.operator.refused_list().unwrap_or_default();
    let words = format!(
        "no right to list jiracredentials in the namespace {}",
        other.namespace
    );
    assert!(refused.contains(&words), "{refused}");

    serve(&other, &home).await;
    until_ready(&operator).await;
    other.wait("robot", kind, status, Reason::Rejected).await;
    assert_eq!(world.calls(), 2);
    operator.stop().await;
}

/// Each of two namespaces has a refresh token that a grant of the other one has spent.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_token_in_two_namespaces_is_spent_once() {
    let world = World::new().await;
    let other = world.neighbour().await;
    let namespaces = vec![world.namespace.clone(), other.namespace.clone()];
    let operator = world
        .operator_with(|config| config.watch_namespaces = namespaces)
        .await;
    twins(&world, &other).await;
    operator.stop().await;
}

/// Stores the token that one namespace has used in the other, and the other way round.
pub(crate) async fn twins(world: &World, other: &World) {
    for (here, there) in [(world, other), (other, world)] {
        twin(here, there).await;
    }
    assert_eq!(world.outcomes(), ["exchanged", "exchanged"]);
}

/// Stores the token that `here` has used in `there`.
async fn twin(here: &World, there: &World) {
    let (app, consent) = here.oauth("bot").await;
    here.wait_ready("bot").await;
    // Longer than the leeway: a second use would end the consent.
    here.advance(TimeDelta::minutes(11));
    there.seed("twin", &consent.refresh_token()).await;
    there.client_secret("twin", &app.secret()).await;
    there.create("twin", there.oauth_spec("twin", &app)).await;
    there.wait_unready("twin", Reason::GrantConflict).await;
}

/// A namespace whose roles are gone for a moment may hold the grant that has spent the token.
#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_stands_while_the_namespace_of_the_other_grant_may_not_be_read() {
    let world = World::new().await;
    let other = world.neighbour().await;
    let (identity, home) = account(&world).await;
    serve(&world, &home).await;
    serve(&other, &home).await;
    let operator = world
        .operator_as(identity, |config| {
            config.namespace.clone_from(&home);
            config.watch_namespaces = vec![world.namespace.clone(), other.namespace.clone()];
        })
        .await;
    twin(&other, &world).await;
    withdraw(&other).await;
    until_denied(&other, &home).await;
    let lists = Requests::verb(Verb::List)
        .resource("secrets")
        .namespace(&world.namespace);
    for step in ["an edit", "a person"] {
        let before = operator.faults.count(&lists);
        if step == "an edit" {
            let edit = json!({"metadata": {"labels": {"edited": "now"}}});
            world.edit_secret("twin-seed", edit).await;
        } else {
            let renew = "jira-operator.dev/renew";
            world.annotate("twin", renew, "now").await;
        }
        world
            .until("it is looked for again", || async {
                (operator.faults.count(&lists) > before).then_some(())
            })
            .await;
        operator.quiet().await;
        assert_eq!(world.outcomes(), ["exchanged"], "{step}");
        world.wait_unready("twin", Reason::GrantConflict).await;
    }
    operator.stop().await;
}

async fn until_denied(world: &World, home: &str) {
    let config = world.plane.service_account_config(home, OPERATOR).await;
    let itself = at(world, &world.namespace);
    let client = kube::Client::try_from(config.unwrap()).unwrap();
    let itself = World { client, ..itself };
    world
        .until("the rights are gone", || async {
            let list = itself.credentials().list(&ListParams::default()).await;
            list.is_err().then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_one_namespace_says_nothing_of_another() {
    let world = World::new().await;
    let other = world.neighbour().await;
    let namespaces = vec![world.namespace.clone(), other.namespace.clone()];
    let operator = world
        .operator_with(|config| config.watch_namespaces = namespaces)
        .await;
    world.api_token("gone").await;
    world.wait_ready("gone").await;
    world.api_token("bot").await;
    world.wait_ready("bot").await;
    other.api_token("bot").await;
    other.wait_ready("bot").await;
    operator.quiet().await;
    // What is deleted while nobody watches is missing in the next list.
    for resource in ["jiracredentials", "secrets"] {
        let watched = Requests::verb(Verb::Watch)
            .or_verb(Verb::List)
            .resource(resource)
            .namespace(&world.namespace);
        let before = operator.faults.count(&watched);
        operator.faults.add(watched.clone(), .., Fault::Status(503));
        operator.faults.cut_watches(&watched, Cut::Gone);
        world
            .until("the watch does not go on", || async {
                (operator.faults.count(&watched) > before).then_some(())
            })
            .await;
    }
    world.delete("gone").await;
    operator.faults.heal();
    let shown = || -> BTreeMap<(bool, bool), bool> {
        let text = operator.metrics.render().unwrap();
        let shows = |world: &World, name: &str| {
            let labels = format!("{{namespace=\"{}\",name=\"{name}\"", world.namespace);
            text.lines().any(|line| {
                line.starts_with("jira_credential_ready") && line.contains(&labels[1..])
            })
        };
        [
            ((true, false), shows(&world, "gone")),
            ((true, true), shows(&world, "bot")),
            ((false, true), shows(&other, "bot")),
        ]
        .into()
    };
    let started = Instant::now();
    while shown()[&(true, false)] {
        assert!(started.elapsed() < UNTIL_ASKED_AGAIN, "it is listed still");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert!(shown()[&(true, true)] && shown()[&(false, true)]);
    // A list of Secrets that came first may have shown the end of a target whose credential was not gone yet.
    operator.quiet().await;
    // The Secrets of the other namespace are known as before, and its credentials are served.
    let mark = operator.mark();
    operator.look_again(2).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
    other.delete_secret("bot").await;
    other
        .until("the target is back", || async {
            other.secrets().get_opt("bot").await.unwrap()
        })
        .await;
    let ready = other.credential("bot").await;
    assert_eq!(
        says(&ready, ConditionType::Ready).status,
        ConditionStatus::True
    );
    operator.stop().await;
}
