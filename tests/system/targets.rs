//! Targets: whose they are, what becomes of damage, of changes, and of rivals.

use std::time::Duration;

use chrono::TimeDelta;
use control_plane::faults::{Fault, Requests, Verb};
use jira_credential_operator::api::{
    ConditionStatus, ConditionType, JiraCredential, MANAGED_BY_LABEL, OPERATOR_NAME, Reason,
};
use k8s_openapi::api::core::v1::{ConfigMap, ResourceQuota, Secret};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use crate::support::{Running, World, keys, says, value};

const CREDENTIAL_LABEL: &str = "jira-operator.dev/credential";

impl World {
    async fn make_secret(&self, secret: Value) -> Secret {
        let secret = serde_json::from_value(secret).unwrap();
        let params = PostParams::default();
        self.secrets().create(&params, &secret).await.unwrap()
    }

    async fn target(&self, name: &str) -> Option<Secret> {
        self.secrets().get_opt(name).await.unwrap()
    }

    /// Makes a change for which the published Secret has to be created again while that is refused, and checks that
    /// the old one stays; it is replaced when nothing is refused any more.
    async fn keeps_bot<T>(&self, operator: &Running, code: u16, change: impl Future<Output = T>) {
        let before = self.target("bot").await.unwrap();
        let mark = operator.mark();
        change.await;
        let object = self.not_ready("bot", Reason::WriteRefused).await;
        for kind in [ConditionType::Ready, ConditionType::Published] {
            let said = says(&object, kind);
            let is_told = said.message.contains(&code.to_string());
            assert!(said.reason == Reason::WriteRefused && is_told, "{said:?}");
        }
        operator.quiet().await;
        let kept = self.target("bot").await.unwrap();
        assert_eq!(
            (kept.uid(), kept.data),
            (before.uid(), before.data),
            "{code}"
        );
        let requests = operator.requests_since(mark);
        assert!(
            requests
                .iter()
                .all(|request| !request.starts_with("delete")),
            "{requests:?}"
        );
        operator.faults.heal();
        operator.look_again(1).await;
        self.wait_ready("bot").await;
        let replaced = self.target("bot").await.unwrap();
        assert_ne!(replaced.uid(), kept.metadata.uid, "{code}");
    }

    async fn not_ready(&self, name: &str, reason: Reason) -> JiraCredential {
        let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
        self.wait(name, kind, status, reason).await
    }

    /// Waits until a target is held by the credential `owner` and is as it should be.
    async fn until_whole(&self, what: &str, name: &str, owner: &JiraCredential, token: &str) {
        self.until(what, || async {
            let secret = self.target(name).await?;
            let whole = value(&secret, "token") == token
                && keys(&secret).join(" ")
                    == "accountId authorization email hosting scheme site token url username"
                && secret.labels().get(CREDENTIAL_LABEL) == Some(&owner.name_any())
                && secret.labels().get(MANAGED_BY_LABEL).map(String::as_str) == Some(OPERATOR_NAME)
                && secret.owner_references().len() == 1
                && Some(&secret.owner_references()[0].uid) == owner.meta().uid.as_ref();
            whole.then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_targets_are_written_renamed_and_dropped() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.cloud().api_token("bot@acme.example");
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    let mut spec = world.api_token_spec("bot");
    let labels = json!({"app.kubernetes.io/part-of": "ci"});
    spec["targets"] = json!([
        {"name": "a"},
        {"name": "b", "template": {"type": "kubernetes.io/basic-auth", "labels": labels}},
        {"name": "c", "template": {"type": "acme.example/jira",
            "annotations": {"jenkins.io/credentials-description": "Jira"}}},
    ]);
    world.create("bot", spec).await;
    let object = world.wait_ready("bot").await;
    assert_eq!(
        says(&object, ConditionType::Published).message,
        "The Secrets a, b, c hold the validated credential."
    );
    assert_eq!(object.status.unwrap().binding.unwrap().name, "a");
    for (name, kind) in [
        ("a", "Opaque"),
        ("b", "kubernetes.io/basic-auth"),
        ("c", "acme.example/jira"),
    ] {
        let secret = world.target(name).await.unwrap();
        assert_eq!(value(&secret, "token"), token.secret());
        assert_eq!(secret.type_.as_deref(), Some(kind));
    }
    let c = world.target("c").await.unwrap();
    let description = &c.annotations()["jenkins.io/credentials-description"];
    assert_eq!(description, "Jira");
    // b gets another name, c goes: the new one comes before the old ones go.
    operator.quiet().await;
    let mark = operator.mark();
    world
        .change("bot", json!({"targets": [{"name": "a"}, {"name": "d"}]}))
        .await;
    world.observed("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(
        operator.writes_since(mark),
        [
            "create secrets",
            "delete secrets",
            "delete secrets",
            "update jiracredentials/status"
        ]
    );
    assert!(world.target("b").await.is_none() && world.target("c").await.is_none());
    assert_eq!(
        value(&world.target("d").await.unwrap(), "token"),
        token.secret()
    );
    // What a person put in the place of an old target, or took away from us, is not ours to delete.
    world.change("bot", json!({"suspend": true})).await;
    world.observed("bot").await;
    world.delete_secret("d").await;
    let theirs = world
        .make_secret(json!({"metadata": {"name": "d", "labels": {
            CREDENTIAL_LABEL: "bot", MANAGED_BY_LABEL: OPERATOR_NAME,
        }}}))
        .await;
    let stripped = world
        .edit_secret(
            "a",
            json!({"metadata": {"labels": null, "ownerReferences": null}}),
        )
        .await;
    let moved = json!({"suspend": false, "targets": [{"name": "e"}]});
    world.change("bot", moved).await;
    let object = world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(world.target("d").await, Some(theirs));
    assert_eq!(world.target("a").await, Some(stripped));
    let targets = object.status.unwrap().targets;
    assert_eq!(targets.len(), 1, "{targets:?}");
    assert_eq!(world.calls(), 1);
    // A suspended credential tells that a target went.
    let told = "Validated Suspended Suspended Validated";
    world.until_told("bot", told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_secret_is_untouched_and_gives_way_when_a_person_deletes_it() {
    let world = World::new().await;
    let operator = world.operator().await;
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    let map = serde_json::from_value(json!({"metadata": {"name": "holder"}})).unwrap();
    let map = maps.create(&PostParams::default(), &map).await.unwrap();
    let ours = json!({CREDENTIAL_LABEL: "held", MANAGED_BY_LABEL: OPERATOR_NAME});
    let holder = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "holder",
        "uid": map.metadata.uid, "controller": true}]);
    let cases = [
        (
            "plain",
            json!({"metadata": {"name": "plain"}, "stringData": {"token": "theirs"}}),
        ),
        (
            "typed",
            json!({"metadata": {"name": "typed", "labels": {"team": "a"}}, "type": "a/b", "immutable": true}),
        ),
        (
            "held",
            json!({"metadata": {"name": "held", "labels": ours, "ownerReferences": holder}}),
        ),
        (
            "half",
            json!({"metadata": {"name": "half", "labels": {CREDENTIAL_LABEL: "half"}}}),
        ),
    ];
    let mut theirs = Vec::new();
    for (name, secret) in cases {
        theirs.push(world.make_secret(secret).await);
        world.api_token(name).await;
        let object = world.not_ready(name, Reason::TargetForeign).await;
        assert_eq!(
            says(&object, ConditionType::Valid).status,
            ConditionStatus::True
        );
        assert_eq!(
            says(&object, ConditionType::Stalled).reason,
            Reason::TargetForeign
        );
        assert!(
            says(&object, ConditionType::Ready)
                .message
                .contains(&format!("The Secret {name} exists"))
        );
    }
    operator.quiet().await;
    assert_eq!(world.calls(), 4);
    let mark = operator.mark();
    operator.look_again(4).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
    operator.crash();
    let operator = world.operator().await;
    world.advance(TimeDelta::hours(3));
    operator.look_again(4).await;
    assert_eq!(world.calls(), 8);
    for theirs in theirs {
        let name = theirs.name_any();
        assert_eq!(world.target(&name).await, Some(theirs));
        world.delete_secret(&name).await;
        world.wait_ready(&name).await;
        world.until_told(&name, "TargetForeign Validated").await;
    }
    assert_eq!(world.calls(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_secret_that_goes_while_it_is_looked_at_gives_way_too() {
    let world = World::new().await;
    let operator = world.operator().await;
    let looks = Requests::verb(Verb::Get).resource("secrets").name("bot");
    // The answer comes after the news that the Secret is gone.
    let delay = Fault::DelayAfter(Duration::from_secs(2));
    operator.faults.add(looks.clone(), 1..=1, delay);
    world
        .make_secret(json!({"metadata": {"name": "bot"}}))
        .await;
    world.api_token("bot").await;
    world
        .until("the operator looks at it", || async {
            (operator.faults.count(&looks) == 1).then_some(())
        })
        .await;
    world.target("bot").await.unwrap();
    world.delete_secret("bot").await;
    world.wait_ready("bot").await;
    assert_eq!(world.calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_name_one_target_the_holder_keeps_it_until_it_goes_or_moves() {
    let world = World::new().await;
    let operator = world.operator().await;
    let make = async |name: &str| {
        let token = world.cloud().api_token(&format!("{name}@acme.example"));
        world
            .secret(&format!("{name}-source"), &[("token", token.secret())])
            .await;
        let mut spec = world.api_token_spec(name);
        spec["targets"] = json!([{"name": "shared"}]);
        world.create(name, spec).await;
        token
    };
    let first = make("first").await;
    world.wait_ready("first").await;
    let second = make("second").await;
    let conflict = async |name: &str, with: &str| {
        let object = world.not_ready(name, Reason::TargetConflict).await;
        let message = says(&object, ConditionType::Ready).message;
        assert!(message.contains(with), "{message}");
    };
    conflict("second", "JiraCredential first").await;
    operator.quiet().await;
    let mark = operator.mark();
    operator.look_again(2).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
    operator.crash();
    let operator = world.operator().await;
    operator.look_again(2).await;
    world.until_value("shared", "token", first.secret()).await;
    // The holder goes.
    world.delete("first").await;
    world.wait_ready("second").await;
    world.until_value("shared", "token", second.secret()).await;
    // The holder moves.
    let third = make("third").await;
    conflict("third", "JiraCredential second").await;
    world
        .change("second", json!({"targets": [{"name": "moved"}]}))
        .await;
    for name in ["second", "third"] {
        world.wait_ready(name).await;
    }
    world.until_value("shared", "token", third.secret()).await;
    world.until_value("moved", "token", second.secret()).await;
    operator.quiet().await;
    assert_eq!(world.calls(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_hold_nothing_the_older_gets_the_target() {
    let world = World::new().await;
    for name in ["one", "two"] {
        let mut spec = world.api_token_spec(name);
        spec["targets"] = json!([{"name": "shared"}]);
        world.create(name, spec).await;
        let token = world.cloud().api_token(&format!("{name}@acme.example"));
        world
            .secret(&format!("{name}-source"), &[("token", token.secret())])
            .await;
    }
    let mut all = Vec::new();
    for name in ["one", "two"] {
        let object = world.credential(name).await;
        let age = object.metadata.creation_timestamp.clone().unwrap().0;
        all.push((age, object.uid(), name));
    }
    all.sort();
    let operator = world.operator().await;
    world.wait_ready(all[0].2).await;
    world.not_ready(all[1].2, Reason::TargetConflict).await;
    operator.quiet().await;
    assert_eq!(world.calls(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damage_is_repaired_without_a_call() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.api_token("bot").await;
    let owner = world.wait_ready("bot").await;
    let label = |key: &str, value: Value| json!({"metadata": {"labels": {key: value}}});
    for (what, damage) in [
        ("a value is edited", json!({"stringData": {"token": "x"}})),
        ("a key is added", json!({"stringData": {"another": "x"}})),
        ("a key is removed", json!({"data": {"token": null}})),
        ("all keys are removed", json!({"data": null})),
        (
            "the owner is stripped",
            json!({"metadata": {"ownerReferences": null}}),
        ),
        (
            "owner and contents are stripped",
            json!({"metadata": {"ownerReferences": null}, "data": null}),
        ),
        ("our label is removed", label(CREDENTIAL_LABEL, Value::Null)),
        ("our label is edited", label(CREDENTIAL_LABEL, json!("x"))),
        (
            "the manager is edited",
            label(MANAGED_BY_LABEL, json!("Helm")),
        ),
        (
            "all labels are removed",
            json!({"metadata": {"labels": null}}),
        ),
        (
            "it is frozen with another value",
            json!({"stringData": {"token": "x"}, "immutable": true}),
        ),
    ] {
        operator.quiet().await;
        world.edit_secret("bot", damage).await;
        world.until_whole(what, "bot", &owner, token.secret()).await;
    }
    let frozen = world.target("bot").await.unwrap();
    assert_eq!(frozen.immutable, None, "it was created again");
    // A label of a template that is none any more goes; one of a person stays.
    let labels = json!({"app.kubernetes.io/version": "1", "team": "a"});
    let annotations = json!({
        "jenkins.io/credentials-description": "x", "note": "b",
        "reloader.stakater.com/match": "true",
    });
    let metadata = json!({"labels": labels, "annotations": annotations});
    world
        .edit_secret("bot", json!({"metadata": metadata}))
        .await;
    let secret = world
        .until("the surplus label is gone", || async {
            let secret = world.target("bot").await?;
            let gone = !secret.labels().contains_key("app.kubernetes.io/version");
            gone.then_some(secret)
        })
        .await;
    assert_eq!(secret.labels()["team"], "a");
    assert_eq!(secret.annotations().len(), 3, "our mark, and theirs");
    world.delete_secret("bot").await;
    world
        .until_whole("it is deleted", "bot", &owner, token.secret())
        .await;
    operator.quiet().await;
    assert_eq!(world.calls(), 1);
    world.until_told("bot", "Validated").await;
    let mark = operator.mark();
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
    // Frozen as it is: nothing is wrong with it until the credential changes.
    world.edit_secret("bot", json!({"immutable": true})).await;
    operator.quiet().await;
    let fresh = world.cloud().api_token("bot@acme.example");
    world
        .secret("bot-source", &[("token", fresh.secret())])
        .await;
    world
        .until_whole("it is replaced", "bot", &owner, fresh.secret())
        .await;
    world.wait_ready("bot").await;
    assert_eq!(world.calls(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_created_again_is_not_deleted() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.api_token("bot").await;
    world.wait_ready("bot").await;
    let creations = Requests::verb(Verb::Create).resource("secrets").name("bot");
    for (code, kind) in [(403, "acme.example/one"), (422, "acme.example/two")] {
        let change = json!({"targets": [{"name": "bot", "template": {"type": kind}}]});
        operator
            .faults
            .add(creations.clone(), 1.., Fault::Status(code));
        world
            .keeps_bot(&operator, code, world.change("bot", change))
            .await;
        let replaced = world.target("bot").await.unwrap();
        assert_eq!(replaced.type_.as_deref(), Some(kind));
    }
    for code in [403, 422] {
        operator.quiet().await;
        world.edit_secret("bot", json!({"immutable": true})).await;
        operator.quiet().await;
        let fresh = world.cloud().api_token("bot@acme.example");
        operator
            .faults
            .add(creations.clone(), 1.., Fault::Status(code));
        let values = [("token", fresh.secret())];
        world
            .keeps_bot(&operator, code, world.secret("bot-source", &values))
            .await;
        let replaced = world.target("bot").await.unwrap();
        assert_eq!(value(&replaced, "token"), fresh.secret());
        assert_eq!(replaced.immutable, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_template_changes_the_secret_without_a_call() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.api_token("bot").await;
    world.wait_ready("bot").await;
    let mut uid = world.target("bot").await.unwrap().uid();
    let (label, note) = (
        "app.kubernetes.io/part-of",
        "jenkins.io/credentials-description",
    );
    for (template, labels, annotations, kind) in [
        (json!({"labels": {label: "a"}}), 3, 1, "Opaque"),
        (
            json!({"labels": {label: "b"}, "annotations": {note: "c"}}),
            3,
            2,
            "Opaque",
        ),
        (json!({"annotations": {note: "d"}}), 2, 2, "Opaque"),
        (
            json!({"annotations": {note: "d", "reloader.stakater.com/match": "true"}}),
            2,
            3,
            "Opaque",
        ),
        (
            json!({"type": "acme.example/jira"}),
            2,
            1,
            "acme.example/jira",
        ),
        (
            json!({"type": "kubernetes.io/basic-auth"}),
            2,
            1,
            "kubernetes.io/basic-auth",
        ),
        (Value::Null, 2, 1, "Opaque"),
    ] {
        let target = json!({"name": "bot", "template": template});
        world.change("bot", json!({"targets": [target]})).await;
        world.wait_ready("bot").await;
        let secret = world.target("bot").await.unwrap();
        assert_eq!(secret.labels().len(), labels, "{template}");
        assert_eq!(secret.annotations().len(), annotations, "{template}");
        assert_eq!(secret.type_.as_deref(), Some(kind));
        // A type cannot be changed: only then it is another Secret.
        let replaced = secret.uid() != uid;
        let retyped = template.get("type").is_some() || template.is_null();
        assert_eq!(replaced, retyped, "{template}");
        uid = secret.uid();
    }
    operator.quiet().await;
    assert_eq!(world.calls(), 1);
    world.until_told("bot", "Validated").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_jira_refused_is_not_restored_and_what_it_merely_does_not_answer_is() {
    let world = World::new().await;
    let operator = world.operator().await;
    let refused = world.api_token("refused").await;
    let unheard = world.pat("unheard").await;
    for name in ["refused", "unheard"] {
        world.wait_ready(name).await;
    }
    let jira = world.data_center();
    let fault = atlassian_sim::Fault::ServerError { status: 502 };
    world
        .sim
        .fault(atlassian_sim::Rule::new(fault).host(jira.host()));
    world.sim.revoke(&refused);
    world.advance(TimeDelta::minutes(67));
    operator.look_again(2).await;
    world.advance(TimeDelta::seconds(61));
    operator.look_again(2).await;
    world.not_ready("refused", Reason::Rejected).await;
    let calls = world.calls();
    for name in ["refused", "unheard"] {
        world.delete_secret(name).await;
    }
    world
        .until_value("unheard", "token", unheard.secret())
        .await;
    world
        .edit_secret("unheard", json!({"stringData": {"token": "x"}}))
        .await;
    world
        .until_value("unheard", "token", unheard.secret())
        .await;
    let (kind, status) = (ConditionType::Published, ConditionStatus::False);
    world.wait("refused", kind, status, Reason::Waiting).await;
    operator.look_again(2).await;
    assert!(world.target("refused").await.is_none());
    assert_eq!(world.calls(), calls);
    world.wait_ready("unheard").await;
    // The new token is published under the old name.
    let fresh = world.cloud().api_token("refused@acme.example");
    world
        .secret("refused-source", &[("token", fresh.secret())])
        .await;
    world.until_value("refused", "token", fresh.secret()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_write_is_told_and_heals() {
    let world = World::new().await;
    let operator = world.operator().await;
    let told = async |name: &str, field: &str| {
        let object = world.not_ready(name, Reason::WriteRefused).await;
        let message = says(&object, ConditionType::Ready).message;
        assert!(message.contains(&format!("refuses to write the Secret {name}")));
        assert!(message.contains(field), "{message}");
        assert_eq!(
            says(&object, ConditionType::Stalled).reason,
            Reason::WriteRefused
        );
        assert_eq!(
            says(&object, ConditionType::Valid).status,
            ConditionStatus::True
        );
    };
    // The type wants a user name or password, which a personal access token lacks.
    let target = |kind: &str| json!([{"name": "pat", "template": {"type": kind}}]);
    let pat = world.data_center().pat("pat");
    world.secret("pat-source", &[("token", pat.secret())]).await;
    let mut spec = world.pat_spec("pat");
    spec["targets"] = target("kubernetes.io/basic-auth");
    world.create("pat", spec).await;
    told("pat", "data[username]").await;
    operator.look_again(1).await;
    let mark = operator.mark();
    operator.look_again(1).await;
    assert!(
        !operator
            .writes_since(mark)
            .contains(&"update jiracredentials/status".into())
    );
    world
        .change("pat", json!({"targets": target("Opaque")}))
        .await;
    world.wait_ready("pat").await;
    // The same on a Secret that pods mount already: they keep it.
    let published = world.target("pat").await;
    let basic = json!({"targets": target("kubernetes.io/basic-auth")});
    world.change("pat", basic).await;
    told("pat", "data[username]").await;
    assert!(world.target("pat").await == published);
    world
        .change("pat", json!({"targets": target("Opaque")}))
        .await;
    world.wait_ready("pat").await;
    assert!(world.target("pat").await.unwrap().uid() == published.unwrap().uid());
    assert_eq!(world.calls(), 1);
    // A quota.
    let quotas: Api<ResourceQuota> = Api::namespaced(world.client.clone(), &world.namespace);
    let token = world.cloud().api_token("bot@acme.example");
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    let quota = json!({"metadata": {"name": "quota"}, "spec": {"hard": {"secrets": "1"}}});
    let quota = serde_json::from_value(quota).unwrap();
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    // The part of the controller that counts.
    let counted = json!({"status": {"hard": {"secrets": "1"}, "used": {"secrets": "1"}}});
    quotas
        .patch_status("quota", &PatchParams::default(), &Patch::Merge(counted))
        .await
        .unwrap();
    world.create("bot", world.api_token_spec("bot")).await;
    told("bot", "check quotas").await;
    quotas
        .delete("quota", &DeleteParams::default())
        .await
        .unwrap();
    world
        .until("it is written", || async {
            operator.look_again(2).await;
            world.target("bot").await
        })
        .await;
    world.wait_ready("bot").await;
    assert_eq!(world.calls_with(&token), 1);
}
