//! Targets that a tenant names or prepares.

use super::{FALSE, READY, credential, person_makes, refusal, tenant};
use crate::support::{World, says, value};
use jira_credential_operator::api::{ConditionType, Reason};
use kube::ResourceExt;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_refuses_what_the_tenant_may_not_do_himself() {
    let world = World::new().await;
    let operator = world.operator().await;
    let theirs = tenant(&world).await;
    let neighbour = json!({"metadata": {"name": "neighbour"}, "stringData": {"token": "t"}});
    let before = person_makes(&world, neighbour).await;
    let mark = operator.mark();

    let said = refusal(&theirs, &credential("neighbour", "own-target")).await;
    assert!(said.contains("you may not use Secret neighbour"), "{said}");
    let said = refusal(&theirs, &credential("own", "neighbour")).await;
    assert!(
        said.contains("you may not publish to Secret neighbour"),
        "{said}"
    );
    let mut typed = credential("own", "own-target");
    typed.spec.targets[0].template = serde_json::from_value(json!({
        "type": "kubernetes.io/service-account-token",
        "annotations": {"kubernetes.io/service-account.name": "default"},
    }))
    .unwrap();
    let said = refusal(&theirs, &typed).await;
    assert!(said.contains("type must be Opaque"), "{said}");

    operator.quiet().await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
    assert_eq!(world.secrets().get("neighbour").await.unwrap(), before);
}

/// A user who may create Secrets prepares one with the owner, the labels and a made-up mark of a credential
/// that will publish there, and with an annotation that has a replicator copy it elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_prepared_as_a_target_is_not_written() {
    let world = World::new().await;
    let _operator = world.operator().await;
    world.api_token("bot").await;
    let bot = world.wait_ready("bot").await;
    let genuine = world.secrets().get("bot").await.unwrap();
    let copied = genuine.annotations()["jira-operator.dev/mark"].clone();
    let owner = json!([{"apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
        "name": "bot", "uid": bot.uid().unwrap(), "controller": true}]);
    let labels = json!({"app.kubernetes.io/managed-by": "jira-credential-operator",
        "jira-operator.dev/credential": "bot"});
    for (name, mark) in [("planted", "k0000:000000000000"), ("copied", &copied)] {
        let annotations = json!({"jira-operator.dev/mark": mark,
            "replicator.v1.mittwald.de/replicate-to": "*"});
        let metadata = json!({"name": name, "labels": labels, "annotations": annotations,
            "ownerReferences": owner});
        person_makes(
            &world,
            json!({"metadata": metadata, "stringData": {"a": "b"}}),
        )
        .await;
        let planted = world.secrets().get(name).await.unwrap();
        world
            .change("bot", json!({"targets": [{"name": "bot"}, {"name": name}]}))
            .await;
        world.wait("bot", READY, FALSE, Reason::TargetForeign).await;
        assert_eq!(world.secrets().get(name).await.unwrap(), planted, "{name}");
    }
    // The mark of this very target, on a Secret that somebody put in its place: it is taken back, and
    // nothing that they added stays.
    world
        .change("bot", json!({"targets": [{"name": "bot"}]}))
        .await;
    world.wait_ready("bot").await;
    world
        .secrets()
        .delete("bot", &DeleteParams::default())
        .await
        .unwrap();
    let annotations = json!({"jira-operator.dev/mark": copied,
        "replicator.v1.mittwald.de/replicate-to": "*"});
    let mut spied = labels.clone();
    spied["spy"] = json!("yes");
    let metadata = json!({"name": "bot", "labels": spied, "annotations": annotations});
    let replaced = serde_json::from_value(json!({"metadata": metadata})).unwrap();
    // The operator may have been faster.
    let _ = world
        .secrets()
        .create(&PostParams::default(), &replaced)
        .await;
    world
        .until("the target is whole", || async {
            let secret = world.secrets().get_opt("bot").await.unwrap()?;
            let only_ours = secret.annotations().len() == 1 && secret.labels().len() == 2;
            (only_ours && secret.data == genuine.data).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_younger_of_two_waits_and_takes_over_when_the_older_goes() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.api_token("elder").await;
    world.wait_ready("elder").await;
    let theirs = world.cloud().api_token("mallory@acme.example");
    world.secret("own", &[("token", theirs.secret())]).await;
    let mut spec = world.api_token_spec("mallory");
    spec["auth"]["apiToken"]["tokenSecretRef"]["name"] = json!("own");
    spec["targets"] = json!([{"name": "elder"}]);
    world.create("mallory", spec).await;
    let object = world
        .wait("mallory", READY, FALSE, Reason::TargetConflict)
        .await;
    let said = says(&object, READY).message;
    assert!(
        said.contains("belongs to the JiraCredential elder"),
        "{said}"
    );
    operator.quiet().await;
    let held = world.secrets().get("elder").await.unwrap();
    assert_eq!(value(&held, "token"), token.secret());
    world
        .credentials()
        .delete("elder", &DeleteParams::default())
        .await
        .unwrap();
    world.wait_ready("mallory").await;
    world
        .until("the younger one publishes", || async {
            let secret = world.secrets().get_opt("elder").await.unwrap()?;
            (value(&secret, "token") == theirs.secret()).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_annotation_that_controllers_act_on_is_not_written() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.cloud().api_token("bot@acme.example");
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    let mark = operator.mark();
    for (name, field, key) in [
        (
            "replicated",
            "annotations",
            "replicator.v1.mittwald.de/replicate-to",
        ),
        (
            "reflected",
            "annotations",
            "reflector.v1.k8s.emberstack.com/reflection-allowed",
        ),
        (
            "account",
            "annotations",
            "kubernetes.io/service-account.name",
        ),
        ("injected", "labels", "istio.io/rev"),
        ("lookalike", "labels", "app.kubernetes.io.evil.example/x"),
        ("managed", "labels", "app.kubernetes.io/managed-by"),
    ] {
        let mut spec = world.api_token_spec("bot");
        spec["targets"] = json!([{"name": name, "template": {field: {key: "x"}}}]);
        world.create(name, spec).await;
        let object = world.wait(name, READY, FALSE, Reason::SpecInvalid).await;
        let said = says(&object, READY).message;
        assert!(
            said.contains(key) && said.contains("--allowed-metadata-keys"),
            "{name}: {said}"
        );
        assert_eq!(
            says(&object, ConditionType::Stalled).reason,
            Reason::SpecInvalid
        );
    }
    operator.quiet().await;
    let about_secrets = |request: &String| request.contains(" secrets");
    let requests = operator.requests_since(mark);
    assert!(!requests.iter().any(about_secrets), "{requests:?}");
    assert_eq!(world.sim.counters().handshakes, 0);
}
