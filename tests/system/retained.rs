//! Published Secrets that stay when their `JiraCredential` goes.

use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use crate::support::{World, value};

fn owners(secret: &Secret) -> usize {
    secret.metadata.owner_references.iter().flatten().count()
}

fn policy(secret: &Secret) -> Option<&String> {
    let annotations = secret.metadata.annotations.as_ref()?;
    annotations.get("jira-operator.dev/deletion-policy")
}

impl World {
    async fn is_gone(&self, name: &str) {
        self.until(&format!("{name} is gone"), || async {
            let found = self.secrets().get_opt(name).await.unwrap();
            found.is_none().then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retained_secret_outlives_its_credential_and_is_taken_up_by_the_next_of_its_name() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.data_center().pat("robot");
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    let mut spec = world.pat_spec("bot");
    spec["targets"] = json!([{"name": "stays", "deletionPolicy": "Retain"}, {"name": "goes"},
        {"name": "orphan", "creationPolicy": "Orphan"}]);
    world.create("bot", spec.clone()).await;
    world.wait_ready("bot").await;
    let stays = world.secrets().get("stays").await.unwrap();
    assert_eq!(
        (owners(&stays), policy(&stays).map(String::as_str)),
        (0, Some("Retain"))
    );
    let orphan = world.secrets().get("orphan").await.unwrap();
    assert_eq!(
        (owners(&orphan), policy(&orphan).map(String::as_str)),
        (0, Some("Retain"))
    );
    assert_eq!(owners(&world.secrets().get("goes").await.unwrap()), 1);
    // Damage is repaired in one write, as that of any other target.
    operator.quiet().await;
    let mark = operator.mark();
    let damage = json!({"stringData": {"token": "vandalised"}});
    world.edit_secret("stays", damage).await;
    world.until_value("stays", "token", token.secret()).await;
    operator.quiet().await;
    assert_eq!(
        operator.writes_since(mark),
        ["patch secrets", "update jiracredentials/status"]
    );
    world.delete("bot").await;
    world.is_gone("goes").await;
    let kept = world.secrets().get("stays").await.unwrap();
    assert_eq!(value(&kept, "token"), token.secret());
    let orphan = world.secrets().get("orphan").await.unwrap();
    assert_eq!(value(&orphan, "token"), token.secret());
    // Another credential does not get it; one of the same name does.
    let mut other = world.pat_spec("bot");
    other["targets"] = json!([{"name": "stays"}]);
    world.create("other", other).await;
    let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
    world
        .wait("other", kind, status, Reason::TargetConflict)
        .await;
    world.delete("other").await;
    world.create("bot", spec).await;
    world.wait_ready("bot").await;
    let adopted = world.secrets().get("stays").await.unwrap();
    assert_eq!(adopted.metadata.uid, kept.metadata.uid);
    let adopted = world.secrets().get("orphan").await.unwrap();
    assert_eq!(adopted.metadata.uid, orphan.metadata.uid);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_can_be_changed_and_holds_for_a_target_that_the_spec_no_longer_names() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.pat("bot").await;
    world.wait_ready("bot").await;
    let uid = world.secrets().get("bot").await.unwrap().metadata.uid;
    let policies = [
        (json!({"deletionPolicy": "Retain"}), 0),
        (json!({"deletionPolicy": "Delete"}), 1),
        (json!({"creationPolicy": "Orphan"}), 0),
        (json!({"creationPolicy": "Owner"}), 1),
        (json!({"creationPolicy": "Orphan"}), 0),
    ];
    for (wanted, count) in policies {
        let mut target = json!({"name": "bot"});
        json_patch::merge(&mut target, &wanted);
        world.change("bot", json!({"targets": [target]})).await;
        world
            .until("the policy is in force", || async {
                let secret = world.secrets().get("bot").await.unwrap();
                assert_eq!(secret.metadata.uid, uid);
                let retained = policy(&secret).is_some();
                (owners(&secret) == count && retained == (count == 0)).then_some(())
            })
            .await;
    }
    world
        .change("bot", json!({"targets": [{"name": "next"}]}))
        .await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(world.secrets().get("bot").await.unwrap().metadata.uid, uid);
    let object = world.credential("bot").await;
    let names: Vec<String> = object
        .status
        .unwrap()
        .targets
        .into_iter()
        .map(|target| target.name)
        .collect();
    assert_eq!(names, ["next"]);
}
