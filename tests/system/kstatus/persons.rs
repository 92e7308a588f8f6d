//! States in which a person must act, now or later.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use control_plane::faults::{Fault, Requests, Verb};
use jira_credential_operator::api::{ConditionStatus, ConditionType, MERGE_ANNOTATION, Reason};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use serde_json::{Value, json};

use super::{FALSE, Gallery, READY};
use crate::oauth::{SCOPES, grant_of};
use crate::support::{Running, World};

const TRUE: ConditionStatus = ConditionStatus::True;
const DUE: ConditionType = ConditionType::RotationDue;
const DENIED: ConditionType = ConditionType::Denied;

impl World {
    /// An API token, and a credential that uses it with another spec than usual.
    async fn varied(&self, name: &str, more: Value) {
        let token = self.cloud().api_token(&format!("{name}@acme.example"));
        let source = format!("{name}-source");
        self.secret(&source, &[("token", token.secret())]).await;
        let mut spec = self.api_token_spec(name);
        json_patch::merge(&mut spec, &more);
        self.create(name, spec).await;
    }

    fn day(&self, days: i64) -> Value {
        let day = self.clock.now() + TimeDelta::days(days);
        json!(day.format("%Y-%m-%dT%H:%M:%SZ").to_string())
    }
}

/// What lies ahead or is over, while everything works.
async fn dates(world: &World, gallery: &mut Gallery) {
    let ends = |days| json!({"auth": {"apiToken": {"expiresAt": world.day(days)}}});
    world.varied("ends", ends(5)).await;
    world.varied("over", ends(-1)).await;
    let old = json!({
        "auth": {"apiToken": {"issuedAt": world.day(-25)}},
        "rotation": {"maxAge": "30d", "warnBefore": "10d"},
    });
    world.varied("old", old).await;
    for (name, reason) in [
        ("ends", Reason::ExpiresSoon),
        ("over", Reason::Expired),
        ("old", Reason::MaxAgeReached),
    ] {
        world.wait_ready(name).await;
        world.wait(name, DUE, TRUE, reason).await;
        let state = format!("ready, rotation due: {reason:?}");
        gallery.take(world, name, &state, "Current").await;
    }
}

/// Consents that were replaced or that nobody can use any more.
async fn consents(world: &World, operator: &Running, gallery: &mut Gallery) {
    let (_, spent) = world.oauth("spent").await;
    world.wait_ready("spent").await;
    let (app, first) = world.oauth("stale").await;
    world.wait_ready("stale").await;
    let before = world.published("stale").await;
    let second = app.consent("stale@acme.example", &[&world.cloud()], &SCOPES);
    world.seed("stale", &second.refresh_token()).await;
    let replaced = || async { (world.published("stale").await != before).then_some(()) };
    world.until("the new consent is in use", replaced).await;
    world.seed("stale", &first.refresh_token()).await;
    world.wait("stale", DUE, TRUE, Reason::SeedStale).await;
    world.wait_ready("stale").await;
    let state = "ready, an older consent was stored";
    gallery.take(world, "stale", state, "Current").await;

    spent.revoke();
    operator.quiet().await;
    world.renewal_falls_due(operator).await;
    let (dead, late) = (Reason::ReconsentRequired, TimeDelta::minutes(20));
    world.advance(late);
    operator.look_again(12).await;
    world.wait("spent", READY, FALSE, dead).await;
    world.wait("spent", DUE, TRUE, dead).await;
    let state = "the consent was revoked";
    gallery.take(world, "spent", state, "Failed").await;
}

/// A backup tool has put a grant back.
async fn restored(world: &World, operator: Running, gallery: &mut Gallery) {
    world.oauth("restored").await;
    world.wait_ready("restored").await;
    operator.quiet().await;
    operator.stop().await;
    let name = grant_of("restored");
    let saved = world.secrets().get(&name).await.unwrap();
    world.delete_secret(&name).await;
    let metadata = ObjectMeta {
        name: Some(name),
        labels: saved.metadata.labels.clone(),
        annotations: saved.metadata.annotations.clone(),
        ..ObjectMeta::default()
    };
    let copy = Secret { metadata, ..saved };
    let params = PostParams::default();
    world.secrets().create(&params, &copy).await.unwrap();
    let operator = world.operator().await;
    world.renewal_falls_due(&operator).await;
    world.wait_unready("restored", Reason::GrantRestored).await;
    let state = "its grant was restored from a backup";
    gallery.take(world, "restored", state, "Failed").await;
    operator.stop().await;
}

/// What the API server denies.
async fn denied(world: &World, operator: &Running, gallery: &mut Gallery) {
    let writes = || Requests::verb(Verb::Create).resource("secrets");
    let refuse = |requests: Requests| operator.faults.add(requests, 1.., Fault::Status(403));
    refuse(writes().name("unwritable"));
    world.varied("unwritable", json!({})).await;
    world.wait_unready("unwritable", Reason::WriteRefused).await;
    let state = "the target cannot be written";
    gallery.take(world, "unwritable", state, "Failed").await;

    refuse(writes().name(&grant_of("grantless")));
    world.oauth("grantless").await;
    let denied = Reason::GrantWriteRefused;
    world.wait_unready("grantless", denied).await;
    world.wait("grantless", DENIED, TRUE, denied).await;
    let state = "the grant cannot be written";
    gallery.take(world, "grantless", state, "Failed").await;

    refuse(Requests::verb(Verb::Create).resource("events"));
    world.varied("mute", json!({})).await;
    world.wait("mute", DENIED, TRUE, Reason::EventsDenied).await;
    world.wait_ready("mute").await;
    let state = "ready, events are denied";
    gallery.take(world, "mute", state, "Current").await;
    operator.faults.heal();
}

/// What stands in the way of a target, or of the source.
async fn targets(world: &World, gallery: &mut Gallery) {
    world.merging("merged", "jira").await;
    let missing = Reason::MergeTargetMissing;
    world.wait_unready("merged", missing).await;
    let state = "the Secret to merge into is missing";
    gallery.take(world, "merged", state, "InProgress").await;
    world.secret("app", &[("theirs", "x")]).await;
    world.wait_unready("merged", Reason::MergeNotAllowed).await;
    let state = "the Secret does not let itself be merged into";
    gallery.take(world, "merged", state, "Failed").await;
    let open = json!({
        "metadata": {"annotations": {MERGE_ANNOTATION: "merged"}},
        "stringData": {"jira": "mine"},
    });
    world.edit_secret("app", open).await;
    world.wait_unready("merged", Reason::MergeConflict).await;
    let state = "another manages the key";
    gallery.take(world, "merged", state, "Failed").await;
    world
        .edit_secret("app", json!({"data": {"jira": null}}))
        .await;
    world.wait_ready("merged").await;
    gallery.take(world, "merged", "merged", "Current").await;
    world.edit_secret("app", json!({"immutable": true})).await;
    world.wait_unready("merged", Reason::MergeUnsuitable).await;
    let state = "the Secret is immutable";
    gallery.take(world, "merged", state, "Failed").await;

    let abroad = json!({"targets": [{"name": "abroad", "namespace": "elsewhere"}]});
    world.varied("abroad", abroad).await;
    let unserved = Reason::NamespaceNotServed;
    world.wait_unready("abroad", unserved).await;
    let state = "the namespace of a target is not served";
    gallery.take(world, "abroad", state, "Failed").await;

    let lacking = json!({"validation": {"requiredPermissions": ["BULK_CHANGE"]}});
    world.varied("lacking", lacking).await;
    let reason = Reason::PermissionMissing;
    world.wait_unready("lacking", reason).await;
    let state = "a permission is missing";
    gallery.take(world, "lacking", state, "Failed").await;

    let mut circular = world.api_token_spec("circular");
    circular["auth"]["apiToken"]["tokenSecretRef"] = json!({"name": "ends", "key": "token"});
    world.create("circular", circular).await;
    world.wait_unready("circular", Reason::SourceIsTarget).await;
    let state = "the source is a target";
    gallery.take(world, "circular", state, "Failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_in_which_a_person_must_act_reads_as_what_it_is() {
    let world = World::new().await;
    let mut gallery = Gallery::default();
    let operator = world.operator().await;
    dates(&world, &mut gallery).await;
    denied(&world, &operator, &mut gallery).await;
    targets(&world, &mut gallery).await;
    consents(&world, &operator, &mut gallery).await;
    restored(&world, operator, &mut gallery).await;

    let told = |kind: &str| -> BTreeSet<String> {
        let objects = gallery.0.iter().map(|(_, _, object)| object);
        objects
            .flat_map(|object| object["status"]["conditions"].as_array().unwrap())
            .filter(|condition| condition["type"] == kind && condition["status"] == "True")
            .map(|condition| condition["reason"].as_str().unwrap().to_owned())
            .collect()
    };
    let expected = |words: &str| words.split_whitespace().map(str::to_owned).collect();
    let stalled: BTreeSet<String> = expected(
        "GrantRestored GrantWriteRefused MergeConflict MergeNotAllowed MergeUnsuitable NamespaceNotServed \
         PermissionMissing ReconsentRequired SourceIsTarget WriteRefused",
    );
    assert_eq!(told("Stalled"), stalled);
    let due: BTreeSet<String> =
        expected("Expired ExpiresSoon MaxAgeReached ReconsentRequired SeedStale");
    assert_eq!(told("RotationDue"), due);
    gallery.judge(&world).await;
}
