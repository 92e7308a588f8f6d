//! One credential that publishes a Secret of the same name into several namespaces.

use jira_credential_operator::api::{ConditionType, Reason};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};

use super::{over, targets};
use crate::oauth::{RENEWAL_IS_DUE, assert_at_rest};
use crate::support::{World, kubectl, says};

/// What is published.
const NAME: &str = "jira";

/// Three namespaces, and what a spec says to publish into all of them.
struct Three {
    worlds: [World; 3],
}

impl Three {
    async fn new() -> Self {
        Self::of(World::new().await).await
    }

    async fn of(home: World) -> Self {
        let (second, third) = (home.neighbour().await, home.neighbour().await);
        Self {
            worlds: [home, second, third],
        }
    }

    async fn operator(&self) -> crate::support::Running {
        let [home, second, third] = &self.worlds;
        over(home, &[second, third]).await
    }

    /// A target at home, and one in each of so many other namespaces.
    fn targets(&self, others: usize) -> Value {
        let others = self.worlds.iter().skip(1).take(others);
        let others = others.map(|other| json!({"name": NAME, "namespace": other.namespace}));
        json!(
            [json!({"name": NAME})]
                .into_iter()
                .chain(others)
                .collect::<Vec<_>>()
        )
    }

    /// How messages name the Secrets.
    fn paths(&self, others: usize) -> Vec<String> {
        let others = self.worlds.iter().skip(1).take(others);
        let others = others.map(|other| format!("{}/{NAME}", other.namespace));
        [NAME.to_owned()].into_iter().chain(others).collect()
    }

    async fn until_all_hold(&self, token: &str) {
        for world in &self.worlds {
            world.until_value(NAME, "token", token).await;
        }
    }

    /// The versions of all that are there.
    async fn versions(&self) -> Vec<Option<String>> {
        let mut all = Vec::new();
        for world in &self.worlds {
            let found = world.found(NAME).await;
            all.push(found.and_then(|found| found.metadata.resource_version));
        }
        all
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_consent_keeps_three_secrets_of_one_name_each_with_writes_of_its_own() {
    let three = Three::new().await;
    let [home, second, third] = &three.worlds;
    let operator = three.operator().await;
    let (app, _) = home.oauth("bot").await;
    home.wait_ready("bot").await;
    home.change("bot", json!({"targets": three.targets(2)}))
        .await;
    home.observed("bot").await;
    let object = home.wait_ready("bot").await;
    let said = says(&object, ConditionType::Published).message;
    let names = three.paths(2).join(", ");
    assert_eq!(
        said,
        format!("The Secrets {names} hold the validated credential.")
    );
    assert_eq!(targets(&object), three.paths(2));
    home.until_gone("bot").await;
    let before = home.published(NAME).await;
    three.until_all_hold(&before).await;
    assert_at_rest(home, &operator).await;

    // A renewal: one write for each.
    let mark = operator.mark();
    home.advance(RENEWAL_IS_DUE);
    operator.look_again(1).await;
    let token = home.published(NAME).await;
    assert_ne!(token, before);
    three.until_all_hold(&token).await;
    operator.quiet().await;
    let writes = operator.writes_since(mark);
    let patches = writes.iter().filter(|write| *write == "patch secrets");
    assert_eq!(patches.count(), 3, "{writes:?}");

    // Damage to one is repaired there.
    let [first, _, last] = <[_; 3]>::try_from(three.versions().await).unwrap();
    let mark = operator.mark();
    let vandalised = json!({"stringData": {"token": "vandalised"}});
    second.edit_secret(NAME, vandalised).await;
    second.until_value(NAME, "token", &token).await;
    operator.quiet().await;
    assert_eq!(
        operator.writes_since(mark),
        ["patch secrets", "update jiracredentials/status"]
    );
    let [first_now, _, last_now] = <[_; 3]>::try_from(three.versions().await).unwrap();
    assert_eq!((first, last), (first_now, last_now));

    // One that leaves the spec goes alone; and it can come back.
    home.change("bot", json!({"targets": three.targets(1)}))
        .await;
    third.until_gone(NAME).await;
    home.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(targets(&home.credential("bot").await), three.paths(1));
    for world in [home, second] {
        world.until_value(NAME, "token", &token).await;
    }
    home.change("bot", json!({"targets": three.targets(2)}))
        .await;
    three.until_all_hold(&token).await;
    home.wait_ready("bot").await;
    operator.quiet().await;

    // The one at home may be the one that goes.
    let elsewhere = three.targets(2).as_array().unwrap()[1..].to_vec();
    home.change("bot", json!({"targets": elsewhere})).await;
    home.until_gone(NAME).await;
    operator.quiet().await;
    let object = home.wait_ready("bot").await;
    assert_eq!(targets(&object), three.paths(2)[1..]);
    assert_eq!(object.status.unwrap().binding, None);
    for world in [second, third] {
        world.until_value(NAME, "token", &token).await;
    }
    assert_eq!(home.outcomes(), vec!["exchanged"; 2]);
    drop(app);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_left_while_the_operator_was_away_goes_and_nothing_else() {
    let three = Three::new().await;
    let [home, second, third] = &three.worlds;
    let operator = three.operator().await;
    let token = home.published_to("bot", three.targets(2)).await;
    home.wait_ready("bot").await;
    three.until_all_hold(token.secret()).await;
    operator.quiet().await;
    operator.stop().await;
    let before = three.versions().await;
    let operator = three.operator().await;
    operator.look_again(1).await;
    assert_eq!(operator.writes_since(operator.start), Vec::<String>::new());
    operator.stop().await;
    home.change("bot", json!({"targets": three.targets(1)}))
        .await;
    let operator = three.operator().await;
    third.until_gone(NAME).await;
    home.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(three.versions().await[..2], before[..2]);
    operator.stop().await;
    // With the credential all of them go: the one at home by the garbage collector.
    home.delete("bot").await;
    assert!(second.found(NAME).await.is_some());
    let operator = three.operator().await;
    second.until_gone(NAME).await;
    home.until_gone(NAME).await;
    operator.quiet().await;
}

/// Two credentials of two namespaces want one of them: the holder keeps it, and the others are written.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_another_credential_holds_holds_up_none_of_the_same_name() {
    let three = Three::new().await;
    let [home, second, third] = &three.worlds;
    let operator = three.operator().await;
    let theirs = second.published_to("theirs", json!([{"name": NAME}])).await;
    second.wait_ready("theirs").await;
    let mine = home.published_to("bot", three.targets(2)).await;
    let said = home.until_barred("bot", Reason::TargetConflict).await;
    assert!(
        said.contains(&format!(
            "The Secret {}/{NAME} belongs to",
            second.namespace
        )),
        "{said}"
    );
    for world in [home, third] {
        world.until_value(NAME, "token", mine.secret()).await;
    }
    second.until_value(NAME, "token", theirs.secret()).await;
    operator.quiet().await;
    // What it never held does not go with it.
    home.change("bot", json!({"targets": three.targets(0)}))
        .await;
    third.until_gone(NAME).await;
    home.wait_ready("bot").await;
    operator.quiet().await;
    second.until_value(NAME, "token", theirs.secret()).await;
}

/// The definition before: targets were a map with their names as keys.
fn keyed_by_name() -> CustomResourceDefinition {
    let mut definition = serde_json::to_value(jira_credential_operator::crd::crd()).unwrap();
    let versions = definition["spec"]["versions"].as_array_mut().unwrap();
    let schema = &mut versions[0]["schema"]["openAPIV3Schema"]["properties"];
    let targets = schema["spec"]["properties"]["targets"]
        .as_object_mut()
        .unwrap();
    targets.insert("x-kubernetes-list-type".into(), json!("map"));
    targets.insert("x-kubernetes-list-map-keys".into(), json!(["name"]));
    targets.remove("x-kubernetes-validations");
    serde_json::from_value(definition).unwrap()
}

/// Waits until the API server accepts a manifest, which it does not store.
async fn until_accepted(home: &World, what: &str, manifest: &Value) {
    let mut probe = manifest.clone();
    probe["metadata"]["name"] = json!("probe");
    let probe = serde_json::from_value(probe).unwrap();
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    home.until(what, || async {
        home.credentials().create(&params, &probe).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_that_were_stored_with_their_names_as_keys_are_read_and_nothing_is_written() {
    let home = World::alone().await;
    home.plane.install_crd(&keyed_by_name()).await.unwrap();
    let three = Three::of(home).await;
    let [home, second, _] = &three.worlds;
    let operator = three.operator().await;
    home.data_center();
    home.pat("source").await;
    let manifest = |targets: Value| {
        let mut spec = home.pat_spec("source");
        spec["targets"] = targets;
        json!({
            "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
            "metadata": {"name": "bot", "namespace": home.namespace}, "spec": spec,
        })
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("manifest.json");
    let apply = async |targets: Value| {
        std::fs::write(&file, manifest(targets).to_string()).unwrap();
        let line = format!(
            "apply --server-side --field-manager=flux -f {}",
            file.display()
        );
        kubectl(home.plane, &line).await;
    };
    let there = json!({"name": "there", "namespace": second.namespace});
    apply(json!([{"name": "one"}, {"name": "two"}, there])).await;
    home.wait_ready("bot").await;
    operator.quiet().await;
    operator.stop().await;
    let before = home.credential("bot").await;
    let secrets = async || {
        [
            home.found("one").await,
            home.found("two").await,
            second.found("there").await,
        ]
    };
    let published = secrets().await;

    let calls = home.calls();
    let definition = jira_credential_operator::crd::crd();
    home.plane.install_crd(&definition).await.unwrap();
    let duplicates = json!([{"name": "one"}, {"name": "one", "namespace": second.namespace}]);
    until_accepted(home, "the new definition is in use", &manifest(duplicates)).await;
    let operator = three.operator().await;
    operator.look_again(1).await;
    assert_eq!(operator.writes_since(operator.start), Vec::<String>::new());
    assert_eq!(home.calls(), calls);
    assert_eq!(home.credential("bot").await, before);
    assert_eq!(secrets().await, published);

    // Who applied it under the old definition may take one away.
    apply(json!([{"name": "two"}, there])).await;
    home.until_gone("one").await;
    home.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(secrets().await[1..], published[1..]);

    // Without the admission policy the operator refuses what the definition cannot see.
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(home.client.clone());
    let params = DeleteParams::default();
    bindings
        .delete("jira-credential-operator", &params)
        .await
        .unwrap();
    let twice = json!([{"name": "two"}, {"name": "two", "namespace": home.namespace}]);
    until_accepted(home, "the policy is not in force", &manifest(twice.clone())).await;
    let twice = json!({"targets": twice});
    home.change("bot", twice).await;
    let object = home.wait_unready("bot", Reason::SpecInvalid).await;
    let said = says(&object, ConditionType::Ready).message;
    assert!(
        said.contains("spec.targets names the Secret two twice"),
        "{said}"
    );
    operator.quiet().await;
    assert_eq!(secrets().await[1..], published[1..]);
    home.change("bot", json!({"targets": [{"name": "two"}]}))
        .await;
    home.wait_ready("bot").await;
    operator.stop().await;
    home.plane.stop_api_server().await.unwrap();
}
