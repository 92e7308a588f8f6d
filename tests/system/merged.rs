//! Keys that credentials write into Secrets of other people.

use std::time::Duration;

use control_plane::faults::{Fault, Requests, Side, Verb};
use jira_credential_operator::api::{ConditionType, MERGE_ANNOTATION, Reason};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::{Running, World, keys, says, value};

/// What the operator asks for when somebody has changed the Secret and nothing is to be written.
const LOOK: [&str; 3] = [
    "get secrets",
    "get secrets",
    "update jiracredentials/status",
];

impl World {
    /// A Secret of a person, with a key of their own.
    async fn app(&self, more: Value) -> Secret {
        let mut secret = json!({"metadata": {"name": "app"}, "stringData": {"theirs": "x"}});
        json_patch::merge(&mut secret, &more);
        let secret = serde_json::from_value(secret).unwrap();
        let params = PostParams {
            field_manager: Some("people".into()),
            ..PostParams::default()
        };
        self.secrets().create(&params, &secret).await.unwrap()
    }

    pub(crate) async fn app_for(&self, credentials: &str) -> Secret {
        self.app(json!({"metadata": {"annotations": {MERGE_ANNOTATION: credentials}}}))
            .await
    }

    /// A change by a person whose client has this name.
    async fn edit_app(&self, patch: Value) -> Secret {
        let params = PatchParams {
            field_manager: Some("people".into()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(patch);
        self.secrets().patch("app", &params, &patch).await.unwrap()
    }

    async fn found_app(&self) -> Secret {
        self.secrets().get("app").await.unwrap()
    }

    /// Waits until the Secret has these keys and no others.
    async fn until_keys(&self, wanted: &str) -> Secret {
        self.until(&format!("app has the keys {wanted}"), || async {
            let found = self.found_app().await;
            (keys(&found).join(" ") == wanted).then_some(found)
        })
        .await
    }

    /// Stores another token.
    async fn next_token(&self, name: &str) -> atlassian_sim::Token {
        let token = self.cloud().api_token(&format!("{name}@acme.example"));
        let source = format!("{name}-source");
        self.secret(&source, &[("token", token.secret())]).await;
        token
    }

    /// A credential that writes one key into the Secret of a person.
    pub(crate) async fn merging(&self, name: &str, key: &str) -> atlassian_sim::Token {
        let token = self.next_token(name).await;
        let mut spec = self.api_token_spec(name);
        spec["targets"] = json!([merge_target(&[key])]);
        self.create(name, spec).await;
        token
    }
}

fn merge_target(keys: &[&str]) -> Value {
    let data: Value = keys.iter().map(|key| (*key, "{{ token }}")).collect();
    json!({"name": "app", "creationPolicy": "Merge", "template": {"data": data}})
}

fn patches(operator: &Running, mark: control_plane::faults::Mark) -> usize {
    let writes = operator.writes_since(mark);
    writes
        .iter()
        .filter(|write| *write == "patch secrets")
        .count()
}

fn changes_nothing_else(before: &Secret, after: &Secret) {
    assert_eq!(after.type_, before.type_);
    assert_eq!(after.metadata.labels, before.metadata.labels);
    assert_eq!(after.metadata.annotations, before.metadata.annotations);
    assert_eq!(after.metadata.owner_references, None);
    assert_eq!(after.metadata.uid, before.metadata.uid);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_go_into_a_secret_that_a_person_makes_and_opens() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.next_token("bot").await;
    let mut spec = world.api_token_spec("bot");
    spec["targets"] = json!([{"name": "app", "creationPolicy": "Merge", "presets": ["Standard"]}]);
    world.create("bot", spec).await;
    let object = world.wait_unready("bot", Reason::MergeTargetMissing).await;
    let said = says(&object, ConditionType::Published).message;
    assert!(said.contains("jira-operator.dev/merge-from: bot"), "{said}");
    assert_eq!(world.secrets().get_opt("app").await.unwrap(), None);
    // It does not say yet that it takes the keys.
    let closed = world.app(json!({})).await;
    world.wait_unready("bot", Reason::MergeNotAllowed).await;
    operator.quiet().await;
    assert_eq!(world.found_app().await, closed);
    let mark = operator.mark();
    let open = json!({"metadata": {"annotations": {MERGE_ANNOTATION: "other, bot"}}});
    let open = world.edit_app(open).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(
        operator.writes_since(mark),
        ["patch secrets", "update jiracredentials/status"]
    );
    let written = world.found_app().await;
    changes_nothing_else(&open, &written);
    assert_eq!(value(&written, "token"), token.secret());
    assert_eq!(
        keys(&written).join(" "),
        "accountId authorization email hosting scheme site theirs token url username"
    );
    // At rest, and after a restart, nothing is read or written but the one read of the source.
    let mark = operator.mark();
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), [""; 0]);
    operator.stop().await;
    let operator = world.operator().await;
    operator.look_again(1).await;
    assert_eq!(operator.writes_since(operator.start), [""; 0]);
    assert_eq!(world.found_app().await, written);
    assert_eq!(world.calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_does_to_the_secret_is_looked_at_and_no_war_begins() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.app_for("bot").await;
    let token = world.merging("bot", "jira").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    // Another key: one look, no write.
    let mark = operator.mark();
    world.edit_app(json!({"stringData": {"theirs": "y"}})).await;
    operator.quiet().await;
    assert_eq!(operator.requests_since(mark), LOOK);
    // Our key, removed: written again, once.
    let mark = operator.mark();
    world.edit_app(json!({"data": {"jira": null}})).await;
    world.until_value("app", "jira", token.secret()).await;
    operator.quiet().await;
    assert_eq!(patches(&operator, mark), 1);
    // Removed again at once: the operator waits, and does not answer each removal with a write.
    let mark = operator.mark();
    world.edit_app(json!({"data": {"jira": null}})).await;
    let object = world.wait_unready("bot", Reason::MergeConflict).await;
    let said = says(&object, ConditionType::Published).message;
    assert!(said.contains("in growing pauses: jira"), "{said}");
    world.edit_app(json!({"stringData": {"theirs": "z"}})).await;
    operator.quiet().await;
    assert_eq!(patches(&operator, mark), 0);
    world.advance(chrono::TimeDelta::minutes(6));
    operator.look_again(1).await;
    world.wait_ready("bot").await;
    world.until_value("app", "jira", token.secret()).await;
    operator.quiet().await;
    assert_eq!(patches(&operator, mark), 1);
    // Our key, changed: it is theirs now.
    let mark = operator.mark();
    world
        .edit_app(json!({"stringData": {"jira": "mine"}}))
        .await;
    let object = world.wait_unready("bot", Reason::MergeConflict).await;
    let said = says(&object, ConditionType::Published).message;
    assert!(said.contains("manages the key jira (people)"), "{said}");
    operator.quiet().await;
    assert_eq!(patches(&operator, mark), 1, "one try");
    assert_eq!(value(&world.found_app().await, "jira"), "mine");
    let mark = operator.mark();
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), [""; 0]);
    // They let go of it.
    world.edit_app(json!({"data": {"jira": null}})).await;
    world.wait_ready("bot").await;
    world.until_value("app", "jira", token.secret()).await;
    // They let nobody write any more: what stands there stays.
    let close = json!({"metadata": {"annotations": {MERGE_ANNOTATION: null}}});
    world.edit_app(close).await;
    world.wait_unready("bot", Reason::MergeNotAllowed).await;
    operator.quiet().await;
    let mark = operator.mark();
    let next = world.next_token("bot").await;
    world
        .until_status("bot", "the next token is validated", |status| {
            status.rotated_time.is_some()
        })
        .await;
    operator.quiet().await;
    assert_eq!(patches(&operator, mark), 0);
    assert_eq!(value(&world.found_app().await, "jira"), token.secret());
    let open = json!({"metadata": {"annotations": {MERGE_ANNOTATION: "bot"}}});
    world.edit_app(open).await;
    world.until_value("app", "jira", next.secret()).await;
    world.wait_ready("bot").await;
    // Made immutable, which cannot be taken back.
    world.edit_app(json!({"immutable": true})).await;
    let object = world.wait_unready("bot", Reason::MergeUnsuitable).await;
    let said = says(&object, ConditionType::Published).message;
    assert!(said.contains("it is immutable"), "{said}");
    assert_eq!(value(&world.found_app().await, "jira"), next.secret());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_credentials_share_a_secret_and_leave_it_without_a_trace() {
    let world = World::new().await;
    let operator = world.operator().await;
    let before = world.app_for("one, two, three").await;
    let one = world.merging("one", "a").await;
    let two = world.merging("two", "b").await;
    world.wait_ready("one").await;
    world.wait_ready("two").await;
    let found = world.until_keys("a b theirs").await;
    changes_nothing_else(&before, &found);
    assert_eq!(value(&found, "a"), one.secret());
    assert_eq!(value(&found, "b"), two.secret());
    operator.quiet().await;
    // A third wants a key that is taken, and says whose it is.
    world.merging("three", "b").await;
    let object = world.wait_unready("three", Reason::MergeConflict).await;
    let said = says(&object, ConditionType::Published).message;
    assert!(said.contains("merge-two"), "{said}");
    operator.quiet().await;
    // One renews its key, and writes nothing else.
    let mark = operator.mark();
    let next = world.next_token("one").await;
    world.until_value("app", "a", next.secret()).await;
    world.wait_ready("one").await;
    world.wait_ready("two").await;
    operator.quiet().await;
    // The third may try again, as the Secret has changed.
    let tries = patches(&operator, mark);
    assert!(tries == 1 || tries == 2, "{tries}");
    // What two leaves is free for the third.
    world.delete("two").await;
    world.wait_ready("three").await;
    let found = world.until_keys("a b theirs").await;
    assert_ne!(value(&found, "b"), two.secret());
    // So is what one gives up.
    let targets = |key: &str| json!({"targets": [merge_target(&[key])]});
    world.change("three", targets("a")).await;
    world.wait_unready("three", Reason::MergeConflict).await;
    world.change("one", targets("c")).await;
    world.wait_ready("three").await;
    world.wait_ready("one").await;
    world.until_keys("a c theirs").await;
    // While nobody is there, the others go, too.
    operator.stop().await;
    world.delete("one").await;
    world.delete("three").await;
    let operator = world.operator().await;
    let left = world.until_keys("theirs").await;
    changes_nothing_else(&before, &left);
    operator.quiet().await;
    let mark = operator.mark();
    operator.operator.collect_merged().await;
    assert_eq!(operator.requests_since(mark), [""; 0]);
}

/// Requests that write into Secrets; these arrive so late that others are faster.
fn late_patches(operator: &Running, late: usize) -> Requests {
    let patches = Requests::verb(Verb::Patch).resource("secrets");
    let delay = Fault::DelayBefore(Duration::from_millis(500));
    operator.faults.add(patches.clone(), 1..=late, delay);
    patches
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_two_credentials_and_a_person_write_the_same_secret() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.app_for("bot, other").await;
    for (name, key) in [("bot", "jira"), ("other", "second")] {
        world.merging(name, key).await;
        world.wait_ready(name).await;
    }
    operator.quiet().await;
    let (mark, before) = (operator.mark(), operator.faults.requests().len());
    let late = late_patches(&operator, 6);
    let token = world.next_token("bot").await;
    let second = world.next_token("other").await;
    let mut number = 0;
    loop {
        let requests = operator.faults.requests().into_iter().skip(before);
        let tried = requests.filter(|request| late.matches(request)).count();
        number += 1;
        let key = format!("theirs-{number}");
        let theirs = number.to_string();
        world
            .edit_app(json!({"stringData": {"theirs": theirs, key: theirs}}))
            .await;
        if tried >= 6 {
            break;
        }
    }
    world.until_value("app", "jira", token.secret()).await;
    world.until_value("app", "second", second.secret()).await;
    operator.quiet().await;
    world.wait_ready("bot").await;
    world.wait_ready("other").await;
    let found = world.found_app().await;
    assert_eq!(keys(&found).len(), number + 3);
    assert_eq!(value(&found, "theirs"), number.to_string());
    let patches = patches(&operator, mark);
    assert!((7..=20).contains(&patches), "{patches} attempts");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_closed_between_the_look_and_the_write_is_not_written() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.app_for("bot").await;
    let late = late_patches(&operator, 1);
    world.merging("bot", "jira").await;
    world
        .until("it is about to write", || async {
            (operator.faults.count(&late) > 0).then_some(())
        })
        .await;
    let close = json!({"metadata": {"annotations": {MERGE_ANNOTATION: null}}});
    let closed = world.edit_app(close).await;
    world.wait_unready("bot", Reason::MergeNotAllowed).await;
    operator.quiet().await;
    assert_eq!(world.found_app().await, closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_the_spec_no_longer_has_go_wherever_the_process_dies() {
    let world = World::new().await;
    let operator = world.operator().await;
    let before = world.app_for("bot").await;
    let token = world.next_token("bot").await;
    let mut spec = world.api_token_spec("bot");
    spec["targets"] = json!([merge_target(&["a", "b"]), {"name": "own"}]);
    world.create("bot", spec).await;
    world.wait_ready("bot").await;
    world.until_keys("a b theirs").await;
    operator.quiet().await;
    // One key less.
    let mark = operator.mark();
    let fewer = json!({"targets": [merge_target(&["a"]), {"name": "own"}]});
    world.change("bot", fewer).await;
    world.until_keys("a theirs").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(patches(&operator, mark), 1);
    // Dies between the Secret and the status: the next start finds the key, and writes none.
    let status = Requests::verb(Verb::Update).resource("jiracredentials/status");
    let mut stop = operator.faults.stop_at(status.clone(), 1, Side::Before);
    let more = json!({"targets": [merge_target(&["a", "c"]), {"name": "own"}]});
    world.change("bot", more).await;
    stop.reached().await;
    operator.crash();
    world.until_keys("a c theirs").await;
    let operator = world.operator().await;
    world.observed("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(
        operator.writes_since(operator.start),
        ["update jiracredentials/status"]
    );
    // The target goes, and the process dies before it is written down.
    let mut stop = operator.faults.stop_at(status.clone(), 1, Side::Before);
    world
        .change("bot", json!({"targets": [{"name": "own"}]}))
        .await;
    stop.reached().await;
    operator.crash();
    changes_nothing_else(&before, &world.until_keys("theirs").await);
    let operator = world.operator().await;
    let object = world.wait_ready("bot").await;
    assert_eq!(object.status.unwrap().targets.len(), 1);
    // It dies after the first write of a target that the spec does not name any more at the next start.
    let mut stop = operator.faults.stop_at(status, 1, Side::Before);
    let again = json!({"targets": [{"name": "own"}, merge_target(&["d"])]});
    world.change("bot", again).await;
    stop.reached().await;
    operator.crash();
    world.until_value("app", "d", token.secret()).await;
    world
        .change("bot", json!({"targets": [{"name": "own"}]}))
        .await;
    let operator = world.operator().await;
    changes_nothing_else(&before, &world.until_keys("theirs").await);
    world.wait_ready("bot").await;
    operator.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_the_operator_takes_no_keys_and_one_that_takes_keys_is_no_source() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.api_token("owner").await;
    world.wait_ready("owner").await;
    let open = json!({"metadata": {"annotations": {MERGE_ANNOTATION: "bot"}}});
    world.edit_secret("owner", open).await;
    let mut spec = world.api_token_spec("bot");
    spec["targets"] = json!([{"name": "owner", "creationPolicy": "Merge"}]);
    world.next_token("bot").await;
    world.create("bot", spec).await;
    world.wait_unready("bot", Reason::MergeUnsuitable).await;
    // The Secret of another type.
    let tls =
        json!({"type": "example.org/app", "metadata": {"annotations": {MERGE_ANNOTATION: "bot"}}});
    world.app(tls).await;
    world
        .change("bot", json!({"targets": [merge_target(&["jira"])]}))
        .await;
    let object = world.wait_unready("bot", Reason::MergeUnsuitable).await;
    let said = says(&object, ConditionType::Published).message;
    assert!(said.contains("its type is example.org/app"), "{said}");
    // The source of another credential opens itself: it is none any more.
    world.api_token("other").await;
    world.wait_ready("other").await;
    let open = json!({"metadata": {"annotations": {MERGE_ANNOTATION: "bot"}}});
    world.edit_secret("other-source", open).await;
    world.wait_unready("other", Reason::SourceIsTarget).await;
    operator.quiet().await;
}
