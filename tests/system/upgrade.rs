//! What an earlier version of the operator stored is still read.

use jira_credential_operator::api::{
    AttemptOutcome, ConditionType, JiraCredential, JiraCredentialStatus, RENEW_ANNOTATION, Reason,
};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Api, Resource};
use serde_json::{Value, json};

use crate::support::{World, says};

/// Names of earlier versions, and what they are called now.
const EARLIER_NAMES: [(&str, &str); 2] = [
    ("\"provenFingerprint\"", "\"validatedFingerprint\""),
    ("\"Proven\"", "\"Validated\""),
];

/// Every name of an earlier version, wherever it can stand.
#[test]
fn every_earlier_name_is_read_as_the_one_of_today() {
    let status = |names: [&str; 7]| -> JiraCredentialStatus {
        let [
            validated,
            blocked,
            replacement,
            cleanup,
            well,
            unknown,
            unvalidated,
        ] = names;
        let condition = |kind: &str, status: &str, reason: &str| {
            json!({"type": kind, "status": status, "reason": reason, "message": "m",
                "observedGeneration": 1, "lastTransitionTime": "2027-01-01T00:00:00Z"})
        };
        let mut grant = json!({"name": "jco-grant-a", "uid": "u", "consumed": true});
        grant[blocked] = json!(unknown);
        grant[replacement] = json!("TokenLimitReached");
        grant[cleanup] = json!("2027-01-02T00:00:00Z");
        let mut text = json!({
            "observedGeneration": 1,
            "conditions": [
                condition("Ready", "True", well),
                condition("Valid", "Unknown", unknown),
                condition("Published", "Unknown", unvalidated),
            ],
            "attempt": {"failures": 1, "lastFailureTime": "2027-01-01T00:00:00Z",
                "fingerprint": "k0000:0", "outcome": "Started", "reason": unknown},
            "grant": grant,
        });
        text[validated] = json!("k0000:0");
        serde_json::from_value(text).unwrap()
    };
    let today = status([
        "validatedFingerprint",
        "blockedBy",
        "replacementBlockedBy",
        "nextCleanupTime",
        "Validated",
        "NotValidated",
        "PublishedUnvalidated",
    ]);
    let earlier = status([
        "provenFingerprint",
        "trouble",
        "succession",
        "nextCareTime",
        "Proven",
        "NotYetProven",
        "PublishedUnproven",
    ]);
    assert_eq!(earlier, today);
    let grant = today.grant.unwrap();
    assert!(today.validated_fingerprint.is_some() && grant.next_cleanup_time.is_some());
    assert!(grant.blocked_by.is_some() && grant.replacement_blocked_by.is_some());
}

/// A later version may know more values. What it wrote must not make the whole object unreadable
/// after a step back.
#[test]
fn a_status_with_values_of_a_later_version_is_read() {
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": "m",
            "observedGeneration": 1, "lastTransitionTime": "2027-01-01T00:00:00Z"})
    };
    let attempt = json!({"failures": 1, "lastFailureTime": "2027-01-01T00:00:00Z",
        "fingerprint": "k0000:0", "outcome": "Postponed", "reason": "Postponed"});
    let text = json!({
        "observedGeneration": 1,
        "method": "Passkey",
        "site": {"hosting": "Edge", "apiUrl": "https://edge.example.org"},
        "conditions": [
            condition("Ready", "True", "Splendid"),
            condition("Audited", "True", "Accepted"),
            condition("Valid", "Perhaps", "Accepted"),
        ],
        "attempt": attempt,
        "grant": {"name": "jco-grant-a", "uid": "u", "blockedBy": "Postponed",
            "candidate": attempt},
    });
    let status: JiraCredentialStatus = serde_json::from_value(text).unwrap();
    assert_eq!((status.method, &status.site), (None, &None));
    let kinds: Vec<_> = status.conditions.iter().map(|found| found.kind).collect();
    assert_eq!(kinds, [ConditionType::Ready]);
    // Whether a password was sent is not known: it is not sent again without a person.
    let attempt = status.attempt.unwrap();
    assert_eq!(attempt.outcome, AttemptOutcome::Interrupted);
    let grant = status.grant.unwrap();
    assert_eq!(grant.blocked_by, Some(Reason::Unrecognised));
    assert!(grant.candidate.is_some());
}

fn untyped(world: &World) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<JiraCredential>(&());
    Api::namespaced_with(world.client.clone(), &world.namespace, &resource)
}

async fn stored_status(world: &World, name: &str) -> Value {
    let object = untyped(world).get(name).await.unwrap();
    assert_eq!(object.types.unwrap().kind, JiraCredential::kind(&()));
    object.data["status"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_with_the_names_of_an_earlier_version_is_read_and_replaced() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.api_token("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    operator.stop().await;
    let now = stored_status(&world, "bot").await;
    let mut text = now.to_string();
    for (earlier, name) in EARLIER_NAMES {
        assert!(text.contains(name), "{text}");
        text = text.replace(name, earlier);
    }
    let earlier: Value = serde_json::from_str(&text).unwrap();
    let patch: json_patch::Patch = serde_json::from_value(json!([
        {"op": "replace", "path": "/status", "value": earlier},
    ]))
    .unwrap();
    untyped(&world)
        .patch_status("bot", &PatchParams::default(), &Patch::Json::<()>(patch))
        .await
        .unwrap();
    assert_eq!(stored_status(&world, "bot").await, earlier);

    // It is known what was validated: Jira is not called, and nothing is written.
    let calls = world.calls();
    let operator = world.operator().await;
    operator.look_again(1).await;
    operator.quiet().await;
    assert_eq!(world.calls(), calls);
    let object = world.credential("bot").await;
    assert_eq!(
        says(&object, ConditionType::Ready).reason,
        Reason::Validated
    );
    assert_eq!(stored_status(&world, "bot").await, earlier);

    // The next write uses the names of today, and drops the others.
    world.annotate("bot", RENEW_ANNOTATION, "now").await;
    world
        .until("the status has the names of today", || async {
            let text = stored_status(&world, "bot").await.to_string();
            let all_new = EARLIER_NAMES
                .iter()
                .all(|(earlier, name)| text.contains(name) && !text.contains(earlier));
            all_new.then_some(())
        })
        .await;
}

/// What a later version adds to a definition that knows it.
fn keep_unknown_fields(definition: &mut Value) {
    let versions = definition["spec"]["versions"].as_array_mut().unwrap();
    let schema = &mut versions[0]["schema"]["openAPIV3Schema"]["properties"];
    for path in ["spec", "status"] {
        schema[path]["x-kubernetes-preserve-unknown-fields"] = json!(true);
    }
}

/// A step back to this program, under the definition of a later one: what it does not know stays as it is,
/// and does not disturb the rest.
#[tokio::test(flavor = "multi_thread")]
async fn fields_of_a_later_version_are_left_alone_and_disturb_nothing() {
    let world = World::alone().await;
    let mut definition = serde_json::to_value(jira_credential_operator::crd::crd()).unwrap();
    keep_unknown_fields(&mut definition);
    let definition = serde_json::from_value(definition).unwrap();
    world.plane.install_crd(&definition).await.unwrap();
    let operator = world.operator().await;
    let token = world.api_token("bot").await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    operator.stop().await;
    let resource = ApiResource::erase::<JiraCredential>(&());
    let api: Api<DynamicObject> =
        Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
    let patch = json!({"spec": {"ahead": {"mode": "Fast"}}, "metadata": {"annotations": {
        "jira-operator.dev/ahead": "x",
    }}});
    let params = PatchParams::default();
    let patch = Patch::Merge(patch);
    world
        .until("the definition of the later version is in use", || async {
            let stored = api.patch("bot", &params, &patch).await.ok()?;
            (stored.data["spec"]["ahead"]["mode"] == "Fast").then_some(())
        })
        .await;
    let status = json!({"status": {"ahead": {"since": "now"}}});
    api.patch_status("bot", &params, &Patch::Merge(status))
        .await
        .unwrap();
    let calls = world.calls();
    let operator = world.operator().await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert!(
        world.calls() <= calls + 1,
        "a change of the spec is validated once at most"
    );
    world.delete_secret("bot").await;
    world.until_value("bot", "token", token.secret()).await;
    world.wait_ready("bot").await;
    let stored = api.get("bot").await.unwrap();
    assert_eq!(stored.data["spec"]["ahead"]["mode"], "Fast");
    drop(operator);
    world.plane.stop_api_server().await.unwrap();
}
