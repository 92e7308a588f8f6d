//! Targets in other namespaces than that of their credential.

mod same_name;

use chrono::TimeDelta;
use jira_credential_operator::api::{
    ConditionStatus, ConditionType, JiraCredential, OPERATOR_NAME, OWNER_ANNOTATION, Reason,
    TargetVersion,
};
use jira_credential_operator::controller::SecretWatch;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::oauth::{RENEWAL_IS_DUE, assert_at_rest};
use crate::support::{Running, World, says};

const MARK: &str = "jira-operator.dev/mark";

/// Two namespaces, and an operator that serves both.
async fn two() -> (World, World, Running) {
    let home = World::new().await;
    let other = home.neighbour().await;
    let operator = over(&home, &[&other]).await;
    (home, other, operator)
}

/// The same without lists of Secrets.
async fn two_without_lists() -> (World, World, Running) {
    let home = World::new().await;
    let other = home.neighbour().await;
    let namespaces = vec![home.namespace.clone(), other.namespace.clone()];
    let operator = home
        .operator_with(|config| {
            config.watch_secrets = SecretWatch::None;
            config.watch_namespaces = namespaces;
        })
        .await;
    (home, other, operator)
}

async fn over(home: &World, others: &[&World]) -> Running {
    let others = others.iter().map(|other| other.namespace.clone());
    let namespaces: Vec<String> = others.chain([home.namespace.clone()]).collect();
    home.operator_with(|config| config.watch_namespaces = namespaces)
        .await
}

impl World {
    /// A personal access token, and a credential that publishes it to these targets.
    async fn published_to(&self, name: &str, targets: Value) -> atlassian_sim::Token {
        let token = self.data_center().pat(name);
        let source = format!("{name}-source");
        self.secret(&source, &[("token", token.secret())]).await;
        let mut spec = self.pat_spec(name);
        spec["targets"] = targets;
        self.create(name, spec).await;
        token
    }

    async fn found(&self, name: &str) -> Option<Secret> {
        self.secrets().get_opt(name).await.unwrap()
    }

    async fn until_gone(&self, name: &str) {
        let what = format!("{name} is gone");
        self.until(&what, || async {
            self.found(name).await.is_none().then_some(())
        })
        .await;
    }

    /// Waits until a target is not written for this reason, and returns what is said of it.
    async fn until_barred(&self, name: &str, reason: Reason) -> String {
        let (kind, status) = (ConditionType::Published, ConditionStatus::False);
        let object = self.wait(name, kind, status, reason).await;
        says(&object, ConditionType::Ready).message
    }

    async fn put(&self, secret: Value) -> Secret {
        let secret = serde_json::from_value(secret).unwrap();
        let params = PostParams::default();
        self.secrets().create(&params, &secret).await.unwrap()
    }
}

fn targets(object: &JiraCredential) -> Vec<String> {
    let status = object.status.as_ref().unwrap();
    status.targets.iter().map(TargetVersion::path).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_renewal_serves_two_namespaces_and_a_restart_writes_nothing() {
    let (home, other, operator) = two().await;
    let (app, _) = home.oauth("bot").await;
    home.wait_ready("bot").await;
    let spec =
        json!({"targets": [{"name": "bot"}, {"name": "jira", "namespace": other.namespace}]});
    home.change("bot", spec).await;
    home.observed("bot").await;
    let object = home.wait_ready("bot").await;
    let there = format!("{}/jira", other.namespace);
    assert_eq!(
        says(&object, ConditionType::Published).message,
        format!("The Secrets bot, {there} hold the validated credential.")
    );
    assert_eq!(targets(&object), ["bot", &there]);
    assert_eq!(object.status.unwrap().binding.unwrap().name, "bot");
    let made = other.found("jira").await.unwrap();
    assert_eq!(made.metadata.owner_references, None);
    let annotations = made.metadata.annotations.unwrap();
    assert_eq!(
        annotations[OWNER_ANNOTATION],
        format!("{}/bot", home.namespace)
    );
    let before = home.published("bot").await;
    other.until_value("jira", "token", &before).await;
    assert_at_rest(&home, &operator).await;
    let mark = operator.mark();
    home.advance(RENEWAL_IS_DUE);
    operator.look_again(1).await;
    let token = home.published("bot").await;
    assert_ne!(token, before);
    other.until_value("jira", "token", &token).await;
    operator.quiet().await;
    // One write for each target.
    let writes = operator.writes_since(mark);
    let patches = writes.iter().filter(|write| *write == "patch secrets");
    assert_eq!(patches.count(), 2, "{writes:?}");
    assert_eq!(home.outcomes(), vec!["exchanged"; 2]);
    operator.stop().await;
    let operator = over(&home, &[&other]).await;
    operator.look_again(1).await;
    assert_eq!(operator.writes_since(operator.start), Vec::<String>::new());
    drop(app);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_repaired_and_what_the_spec_no_longer_names_goes() {
    let (home, other, operator) = two().await;
    let there = &other.namespace;
    let named = |name: &str| json!([{"name": name, "namespace": there}]);
    let token = home.published_to("bot", named("one")).await;
    let object = home.wait_ready("bot").await;
    assert_eq!(
        object.status.unwrap().binding,
        None,
        "none is in its namespace"
    );
    operator.quiet().await;
    let (mark, calls) = (operator.mark(), home.calls());
    other
        .edit_secret("one", json!({"stringData": {"token": "vandalised"}}))
        .await;
    other.until_value("one", "token", token.secret()).await;
    operator.quiet().await;
    assert_eq!(
        operator.writes_since(mark),
        ["patch secrets", "update jiracredentials/status"]
    );
    other.delete_secret("one").await;
    other.until_value("one", "token", token.secret()).await;
    operator.quiet().await;
    assert_eq!(home.calls(), calls);
    // Another name; the namespace of the credential; the other one again, under a name in both.
    home.change("bot", json!({"targets": named("two")})).await;
    other.until_value("two", "token", token.secret()).await;
    other.until_gone("one").await;
    home.change(
        "bot",
        json!({"targets": [{"name": "two", "namespace": home.namespace}]}),
    )
    .await;
    home.until_value("two", "token", token.secret()).await;
    other.until_gone("two").await;
    let owners = home.found("two").await.unwrap().metadata.owner_references;
    assert_eq!(owners.unwrap().len(), 1, "its own namespace is no other");
    home.change("bot", json!({"targets": named("two")})).await;
    other.until_value("two", "token", token.secret()).await;
    home.until_gone("two").await;
    // The policy of deletion can change; one that is retained stays.
    let retained = json!({"name": "two", "namespace": there, "deletionPolicy": "Retain"});
    home.change("bot", json!({"targets": [retained, {"name": "bot"}]}))
        .await;
    home.wait_ready("bot").await;
    home.until_value("bot", "token", token.secret()).await;
    home.change("bot", json!({"targets": [{"name": "bot"}]}))
        .await;
    home.observed("bot").await;
    let object = home.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(targets(&object), ["bot"]);
    assert!(other.found("two").await.is_some());
    let mark = operator.mark();
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_goes_takes_its_secrets_along() {
    let (home, other, operator) = two().await;
    let there = &other.namespace;
    for (name, policy, value) in [
        ("first", "deletionPolicy", "Retain"),
        ("second", "creationPolicy", "Orphan"),
    ] {
        let stays = format!("{name}-stays");
        let targets = json!([
            {"name": name, "namespace": there},
            {"name": stays, "namespace": there, policy: value},
        ]);
        home.published_to(name, targets).await;
        home.wait_ready(name).await;
    }
    // What a user marks alike is not ours to delete, and neither is a copy.
    let original = other.found("first").await.unwrap();
    let mut copy = json!({"metadata": {"name": "copy"}});
    copy["metadata"]["labels"] = json!(original.metadata.labels);
    copy["metadata"]["annotations"] = json!(original.metadata.annotations);
    other.put(copy).await;
    operator.quiet().await;
    // While the operator runs.
    home.delete("first").await;
    other.until_gone("first").await;
    operator.quiet().await;
    // And while it is away.
    operator.stop().await;
    home.delete("second").await;
    assert!(other.found("second").await.is_some());
    let operator = over(&home, &[&other]).await;
    other.until_gone("second").await;
    operator.quiet().await;
    for name in ["first-stays", "second-stays", "copy"] {
        assert!(other.found(name).await.is_some(), "{name}");
    }
    let mark = operator.mark();
    operator.operator.collect_elsewhere().await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_somebody_else_is_untouched_whatever_it_bears() {
    let (home, other, operator) = two().await;
    let owner = |name: &str| format!("{}/{name}", home.namespace);
    let labels = |name: &str| json!({"app.kubernetes.io/managed-by": OPERATOR_NAME, "jira-operator.dev/credential": name});
    home.published_to(
        "model",
        json!([{"name": "model", "namespace": other.namespace}]),
    )
    .await;
    home.wait_ready("model").await;
    let model = other.found("model").await.unwrap();
    let stolen = &model.metadata.annotations.unwrap()[MARK];
    for (name, reason, metadata) in [
        ("plain", Reason::TargetForeign, json!({})),
        (
            "labelled",
            Reason::TargetConflict,
            json!({"labels": labels("labelled")}),
        ),
        (
            "forged",
            Reason::TargetForeign,
            json!({"labels": labels("forged"), "annotations": {OWNER_ANNOTATION: owner("forged"), MARK: stolen}}),
        ),
    ] {
        let mut metadata = metadata;
        metadata["name"] = json!(name);
        let theirs = other
            .put(json!({"metadata": metadata, "stringData": {"token": "theirs"}}))
            .await;
        home.published_to(name, json!([{"name": name, "namespace": other.namespace}]))
            .await;
        let said = home.until_barred(name, reason).await;
        assert!(
            said.contains(&format!("The Secret {}/{name} ", other.namespace)),
            "{said}"
        );
        home.delete(name).await;
        operator.quiet().await;
        operator.operator.collect_elsewhere().await;
        assert_eq!(other.found(name).await, Some(theirs));
    }
    // Who takes our label away takes the Secret away.
    let stripped = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}});
    let stripped = other.edit_secret("model", stripped).await;
    home.until_barred("model", Reason::TargetForeign).await;
    home.delete("model").await;
    operator.quiet().await;
    assert_eq!(other.found("model").await, Some(stripped));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_namespaces_that_want_one_secret_the_holder_keeps_it() {
    let (home, other, operator) = two().await;
    let theirs = other
        .published_to("theirs", json!([{"name": "jira"}]))
        .await;
    other.wait_ready("theirs").await;
    let targets = json!([{"name": "jira", "namespace": other.namespace}]);
    let mine = home.published_to("mine", targets).await;
    let said = home.until_barred("mine", Reason::TargetConflict).await;
    let expected = format!(
        "{}/jira belongs to a JiraCredential of another",
        other.namespace
    );
    assert!(
        said.contains(&expected) && !said.contains("theirs"),
        "{said}"
    );
    other.until_value("jira", "token", theirs.secret()).await;
    other.delete("theirs").await;
    home.wait_ready("mine").await;
    other.until_value("jira", "token", mine.secret()).await;
    // The other way round.
    let again = other.published_to("again", json!([{"name": "jira"}])).await;
    let said = other.until_barred("again", Reason::TargetConflict).await;
    assert!(
        said.contains("jira belongs to a JiraCredential of another"),
        "{said}"
    );
    home.delete("mine").await;
    other.wait_ready("again").await;
    other.until_value("jira", "token", again.secret()).await;
    // What a credential reads is no target of another namespace.
    other.create("reader", other.pat_spec("reader")).await;
    other.wait_unready("reader", Reason::SourceMissing).await;
    let targets = json!([{"name": "reader-source", "namespace": other.namespace}]);
    home.published_to("writer", targets).await;
    home.until_barred("writer", Reason::TargetConflict).await;
    operator.quiet().await;
    assert_eq!(other.found("reader-source").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_missing_or_not_served_is_named() {
    let home = World::new().await;
    let other = home.neighbour().await;
    let later = format!("{}-later", home.namespace);
    let namespaces = vec![home.namespace.clone(), later.clone()];
    let operator = home
        .operator_with(|config| config.watch_namespaces = namespaces)
        .await;
    home.published_to(
        "bot",
        json!([{"name": "bot"}, {"name": "jira", "namespace": later}]),
    )
    .await;
    let said = home.until_barred("bot", Reason::NamespaceMissing).await;
    assert!(
        said.contains(&format!("the namespace {later} does not exist")),
        "{said}"
    );
    let object = home.credential("bot").await;
    says(&object, ConditionType::Reconciling);
    // The one at home is written all the same.
    assert!(home.found("bot").await.is_some());
    let namespace: Namespace =
        serde_json::from_value(json!({"metadata": {"name": later}})).unwrap();
    Api::all(home.client.clone())
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();
    operator.quiet().await;
    home.advance(TimeDelta::minutes(2));
    operator.look_again(1).await;
    home.wait_ready("bot").await;
    let spec = json!({"targets": [{"name": "jira", "namespace": other.namespace}]});
    home.change("bot", spec).await;
    let said = home.until_barred("bot", Reason::NamespaceNotServed).await;
    assert!(said.contains("--watch-namespaces"), "{said}");
    operator.quiet().await;
    assert_eq!(other.found("jira").await, None);
    let mark = operator.mark();
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_there_unless_the_policy_is_in_force() {
    let home = World::alone().await;
    let other = home.neighbour().await;
    let policies = Api::<ValidatingAdmissionPolicy>::all(home.client.clone());
    let says_so = async |says: Value| {
        let change = json!({"metadata": {"annotations": {"jira-operator.dev/checks-target-namespaces": says}}});
        policies
            .patch(
                OPERATOR_NAME,
                &PatchParams::default(),
                &Patch::Merge(change),
            )
            .await
            .unwrap();
    };
    // One of an earlier version.
    says_so(Value::Null).await;
    let operator = over(&home, &[&other]).await;
    let token = home
        .published_to(
            "bot",
            json!([{"name": "bot"}, {"name": "jira", "namespace": other.namespace}]),
        )
        .await;
    let said = home.until_barred("bot", Reason::PolicyNotInForce).await;
    assert!(said.contains("deploy/admission-policy.yaml"), "{said}");
    operator.quiet().await;
    assert_eq!(other.found("jira").await, None);
    home.until_value("bot", "token", token.secret()).await;
    let mark = operator.mark();
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
    // It goes on by itself.
    says_so(json!("true")).await;
    assert!(operator.operator.check_policy().await.unwrap());
    home.wait_ready("bot").await;
    other.until_value("jira", "token", token.secret()).await;
    // A new Secret waits for a look of its own: without the policy nobody has checked its author.
    operator.quiet().await;
    says_so(Value::Null).await;
    let targets = json!([{"name": "late", "namespace": other.namespace}]);
    home.published_to("late", targets).await;
    home.until_barred("late", Reason::PolicyNotInForce).await;
    operator.quiet().await;
    assert_eq!(other.found("late").await, None);
    // What is there stays as it is, and is not published again.
    other
        .edit_secret("jira", json!({"stringData": {"token": "vandalised"}}))
        .await;
    home.until_barred("bot", Reason::PolicyNotInForce).await;
    // Its credential may still take it away.
    home.delete("bot").await;
    other.until_gone("jira").await;
    home.plane.stop_api_server().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_may_not_be_read_counts_as_none() {
    let home = World::new().await;
    let other = home.neighbour().await;
    let namespaces = vec![home.namespace.clone(), other.namespace.clone()];
    let operator = home
        .operator_with(|config| {
            config.watch_namespaces = namespaces;
            config.admission_policy = "another".to_owned();
        })
        .await;
    home.published_to(
        "bot",
        json!([{"name": "jira", "namespace": other.namespace}]),
    )
    .await;
    home.until_barred("bot", Reason::PolicyNotInForce).await;
    operator.quiet().await;
    home.until_told("bot", "PolicyNotInForce").await;
    assert_eq!(other.found("jira").await, None);
    // Nor does what nobody has checked hold up those of the other namespace.
    let theirs = other
        .published_to("theirs", json!([{"name": "jira"}]))
        .await;
    other.wait_ready("theirs").await;
    other.until_value("jira", "token", theirs.secret()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_in_a_namespace_that_is_not_served_any_more_is_given_up() {
    let (home, other, operator) = two().await;
    let elsewhere = json!({"name": "jira", "namespace": other.namespace});
    home.published_to("bot", json!([{"name": "bot"}, elsewhere]))
        .await;
    home.wait_ready("bot").await;
    operator.stop().await;
    let operator = over(&home, &[]).await;
    home.until_barred("bot", Reason::NamespaceNotServed).await;
    home.change("bot", json!({"targets": [{"name": "bot"}]}))
        .await;
    home.until("the status forgets the target", || async {
        let object = home.credential("bot").await;
        (targets(&object) == ["bot"]).then_some(())
    })
    .await;
    let start = format!("The Secret {}/jira stays, ", other.namespace);
    home.until("the event", || async {
        let mut events = home.events("bot").await.into_iter();
        let told = events.any(|event| event.note.is_some_and(|note| note.starts_with(&start)));
        told.then_some(())
    })
    .await;
    home.wait_ready("bot").await;
    operator.quiet().await;
    assert!(other.found("jira").await.is_some());
    let mark = operator.mark();
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_somebody_made_again_goes_with_its_target() {
    let (home, other, operator) = two_without_lists().await;
    home.published_to(
        "bot",
        json!([{"name": "bot"}, {"name": "jira", "namespace": other.namespace}]),
    )
    .await;
    home.wait_ready("bot").await;
    operator.quiet().await;
    let mut backup = other.found("jira").await.unwrap();
    backup.metadata.uid = None;
    backup.metadata.resource_version = None;
    other.delete_secret("jira").await;
    other.put(serde_json::to_value(backup).unwrap()).await;
    home.change("bot", json!({"targets": [{"name": "bot"}]}))
        .await;
    other.until_gone("jira").await;
    operator.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_without_lists_of_secrets() {
    let (home, other, operator) = two_without_lists().await;
    let targets = |name: &str| json!([{"name": name, "namespace": other.namespace}]);
    let token = home.published_to("bot", targets("one")).await;
    home.wait_ready("bot").await;
    other
        .edit_secret("one", json!({"stringData": {"token": "vandalised"}}))
        .await;
    operator.look_again(1).await;
    other.until_value("one", "token", token.secret()).await;
    home.change("bot", json!({"targets": targets("two")})).await;
    other.until_value("two", "token", token.secret()).await;
    other.until_gone("one").await;
    home.wait_ready("bot").await;
    operator.quiet().await;
    let mark = operator.mark();
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), vec!["get secrets"; 2]);
    home.delete("bot").await;
    other.until_gone("two").await;
    operator.stop().await;
}
