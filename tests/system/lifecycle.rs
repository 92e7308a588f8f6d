//! The life of a credential, as a user sees it.

mod spec_changes;

use atlassian_sim::{Fault, Rule};
use chrono::TimeDelta;
use control_plane::faults::{Cut, Requests, Verb};
use jira_credential_operator::api::{ConditionStatus, ConditionType, JiraCredential, Reason};
use jira_credential_operator::core::time::next_validation;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use crate::support::{World, keys, says, value};

#[tokio::test(flavor = "multi_thread")]
async fn every_method_reaches_ready_and_publishes_its_keys() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.api_token("cloud").await;
    let jira = world.data_center();
    let pat = jira.pat("bot");
    world.secret("pat-source", &[("token", pat.secret())]).await;
    let reference = json!({"name": "pat-source", "key": "token"});
    let spec =
        json!({"site": jira.url(), "auth": {"personalAccessToken": {"tokenSecretRef": reference}}});
    world.create("pat", spec).await;
    let password = jira.new_password("robot");
    world
        .secret(
            "basic-source",
            &[("username", "robot"), ("password", &password)],
        )
        .await;
    let spec =
        json!({"site": jira.url(), "auth": {"basic": {"secretRef": {"name": "basic-source"}}}});
    world.create("basic", spec).await;
    for (name, secret, method, expected) in [
        (
            "cloud",
            token.secret(),
            "ApiToken",
            "accountId authorization email hosting scheme site token url username",
        ),
        (
            "pat",
            pat.secret(),
            "PersonalAccessToken",
            "accountId authorization hosting scheme site token url",
        ),
        (
            "basic",
            &password,
            "Basic",
            "accountId authorization hosting password scheme site url username",
        ),
    ] {
        let object = world.wait_ready(name).await;
        let status = object.status.clone().unwrap();
        assert_eq!(format!("{:?}", status.method.unwrap()), method);
        let published = world.secrets().get(name).await.unwrap();
        assert_eq!(keys(&published).join(" "), expected);
        let key = if name == "basic" { "password" } else { "token" };
        assert_eq!(value(&published, key), secret);
        assert_eq!(status.binding.unwrap().name, name);
        assert_eq!(
            published.metadata.owner_references.as_ref().unwrap()[0].uid,
            object.metadata.uid.unwrap()
        );
    }
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_confirmed_then_rejected_and_the_secret_stays() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.api_token("bot").await;
    world.wait_ready("bot").await;
    world.sim.revoke(&token);
    world.advance(TimeDelta::hours(2));
    operator.look_again(1).await;
    let object = world
        .wait(
            "bot",
            ConditionType::Valid,
            ConditionStatus::Unknown,
            Reason::Confirming,
        )
        .await;
    assert_eq!(
        says(&object, ConditionType::Reconciling).status,
        ConditionStatus::True
    );
    world.advance(TimeDelta::seconds(61));
    operator.look_again(1).await;
    let object = world.wait_unready("bot", Reason::Rejected).await;
    assert_eq!(
        says(&object, ConditionType::Stalled).reason,
        Reason::Rejected
    );
    assert_eq!(
        says(&object, ConditionType::Published).status,
        ConditionStatus::True
    );
    let published = world.secrets().get("bot").await.unwrap();
    assert_eq!(value(&published, "token"), token.secret());
    // A new token in the source heals it without anybody asking.
    let fresh = world.cloud().api_token("bot@acme.example");
    world
        .secret("bot-source", &[("token", fresh.secret())])
        .await;
    world.wait_ready("bot").await;
    let published = world.secrets().get("bot").await.unwrap();
    assert_eq!(value(&published, "token"), fresh.secret());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_may_be_edited_deleted_and_made_again() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.api_token("bot").await;
    world.wait_ready("bot").await;
    // Edited: validated by one call, and published.
    let fresh = world.cloud().api_token("bot@acme.example");
    world
        .secret("bot-source", &[("token", fresh.secret())])
        .await;
    world.until_value("bot", "token", fresh.secret()).await;
    operator.quiet().await;
    assert_eq!(world.calls_with(&fresh), 1);
    assert_eq!(world.calls(), 2);
    // Deleted: pods keep what they have.
    let published = world.secrets().get("bot").await.unwrap();
    world.delete_secret("bot-source").await;
    let object = source_missing(&world, "bot").await;
    assert_eq!(
        says(&object, ConditionType::Published).status,
        ConditionStatus::True
    );
    assert_eq!(
        says(&object, ConditionType::Reconciling).status,
        ConditionStatus::True
    );
    world.advance(TimeDelta::hours(3));
    operator.look_again(1).await;
    assert_eq!(world.secrets().get("bot").await.unwrap(), published);
    assert_eq!(world.calls(), 2);
    // Made again while a probe is due: one call.
    world
        .secret("bot-source", &[("token", fresh.secret())])
        .await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(world.calls(), 3);
    // Made again with the same value while none is due: no call.
    world.delete_secret("bot-source").await;
    source_missing(&world, "bot").await;
    world
        .secret("bot-source", &[("token", fresh.secret())])
        .await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert_eq!(world.calls(), 3);
    assert_eq!(world.secrets().get("bot").await.unwrap(), published);
    let told = "Validated Rotated SourceMissing Validated SourceMissing Validated";
    world.until_told("bot", told).await;
}

async fn source_missing(world: &World, name: &str) -> JiraCredential {
    let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
    world.wait(name, kind, status, Reason::SourceMissing).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_at_first_is_waited_for() {
    let world = World::new().await;
    let operator = world.operator().await;
    let cloud = world.cloud();
    let token = cloud.api_token("bot@acme.example");
    let full = [("token", token.secret()), ("email", "bot@acme.example")];
    // No Secret, no key, no e-mail, no value: each with the Secret as it is at first.
    for (name, at_first, reason) in [
        ("nothing", None, Reason::SourceMissing),
        (
            "no-key",
            Some(vec![("other", "value"), full[1]]),
            Reason::SourceMissing,
        ),
        ("no-email", Some(vec![full[0]]), Reason::SourceMissing),
        (
            "empty",
            Some(vec![("token", ""), full[1]]),
            Reason::SourceMalformed,
        ),
    ] {
        let source = format!("{name}-source");
        if let Some(data) = at_first {
            world.secret(&source, &data).await;
        }
        let spec = json!({"site": cloud.url(), "auth": {"apiToken": {
            "emailSecretRef": {"name": source, "key": "email"},
            "tokenSecretRef": {"name": source, "key": "token"},
        }}});
        world.create(name, spec).await;
        let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
        let object = world.wait(name, kind, status, reason).await;
        let waits = if reason == Reason::SourceMissing {
            ConditionType::Reconciling
        } else {
            ConditionType::Stalled
        };
        assert_eq!(says(&object, waits).reason, reason, "{name}");
        // An answer that came just now would be shared.
        world.advance(TimeDelta::minutes(1));
        let calls = world.calls();
        world.secret(&source, &full).await;
        world.wait_ready(name).await;
        operator.quiet().await;
        assert_eq!(world.calls(), calls + 1, "{name}");
        world
            .until_told(name, &format!("{reason:?} Validated"))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_wrong_from_the_start_is_not_tried_again_for_hours() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.cloud().api_token("bot@acme.example");
    world.sim.revoke(&token);
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    world.create("bot", world.api_token_spec("bot")).await;
    let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
    let object = world.wait("bot", kind, status, Reason::Rejected).await;
    assert_eq!(
        says(&object, ConditionType::Stalled).reason,
        Reason::Rejected
    );
    assert_eq!(
        says(&object, ConditionType::Published).reason,
        Reason::Waiting
    );
    operator.quiet().await;
    for minutes in [1, 60, 120, 178] {
        world.advance(TimeDelta::minutes(minutes));
        operator.look_again(1).await;
    }
    operator.crash();
    let operator = world.operator().await;
    let mark = operator.mark();
    operator.look_again(1).await;
    assert_eq!(operator.writes_since(mark), Vec::<String>::new());
    // The site, its id, and the gateway.
    assert_eq!(world.calls(), 3, "within 5 h 59 min");
    // The heartbeat, after six hours and up to a tenth more.
    world.advance(TimeDelta::minutes(38));
    operator.look_again(1).await;
    assert_eq!(world.calls(), 6);
    operator.look_again(1).await;
    assert_eq!(world.calls(), 6);
    assert!(world.secrets().get_opt("bot").await.unwrap().is_none());
    world.until_told("bot", "Rejected").await;
    // A person asks; a new spec asks as well.
    world
        .annotate("bot", "jira-operator.dev/renew", "now")
        .await;
    world
        .until_status("bot", "the annotation is handled", |status| {
            status.last_handled_renew.as_deref() == Some("now")
        })
        .await;
    assert_eq!(world.calls(), 9);
    world
        .change("bot", json!({"validation": {"interval": "2h"}}))
        .await;
    world.observed("bot").await;
    operator.quiet().await;
    assert_eq!(world.calls(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_annotation_asks_for_exactly_one_validation() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.cloud().api_token("bot@acme.example");
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    // What a new object brings along was meant for an earlier one.
    let object = serde_json::from_value(json!({
        "apiVersion": "jira-operator.dev/v1alpha1", "kind": "JiraCredential",
        "metadata": {"name": "bot", "annotations": {"jira-operator.dev/renew": "old"}},
        "spec": world.api_token_spec("bot"),
    }));
    let params = PostParams::default();
    world
        .credentials()
        .create(&params, &object.unwrap())
        .await
        .unwrap();
    let handled = async |value: Option<&str>| {
        world
            .until_status("bot", "the annotation is handled", |status| {
                status.last_handled_renew.as_deref() == value
            })
            .await
    };
    world.wait_ready("bot").await;
    handled(Some("old")).await;
    operator.look_again(1).await;
    assert_eq!(world.calls(), 1);
    for (value, calls) in [("new", 2), ("newer", 3), ("old", 4)] {
        world
            .annotate("bot", "jira-operator.dev/renew", value)
            .await;
        handled(Some(value)).await;
        operator.look_again(1).await;
        assert_eq!(world.calls(), calls, "{value}");
    }
    operator.crash();
    let operator = world.operator().await;
    operator.look_again(1).await;
    let removal = Patch::Merge(json!({"metadata": {"annotations": null}}));
    let params = PatchParams::default();
    world
        .credentials()
        .patch("bot", &params, &removal)
        .await
        .unwrap();
    operator.look_again(1).await;
    assert_eq!(world.calls(), 4);
    world.until_told("bot", "Validated").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_credential_is_left_alone_until_it_is_resumed() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.api_token("bot").await;
    world.wait_ready("bot").await;
    world.change("bot", json!({"suspend": true})).await;
    let (kind, status) = (ConditionType::Ready, ConditionStatus::True);
    world.wait("bot", kind, status, Reason::Suspended).await;
    operator.quiet().await;
    let mark = operator.mark();
    let fresh = world.cloud().api_token("bot@acme.example");
    world
        .secret("bot-source", &[("token", fresh.secret())])
        .await;
    world
        .annotate("bot", "jira-operator.dev/renew", "now")
        .await;
    world.delete_secret("bot").await;
    world.advance(TimeDelta::hours(1));
    operator.look_again(1).await;
    world.advance(TimeDelta::hours(3));
    operator.look_again(1).await;
    assert_eq!(world.calls(), 1);
    let requests = operator.requests_since(mark);
    assert!(
        !requests.iter().any(|request| request.ends_with(" secrets")),
        "{requests:?}"
    );
    assert!(world.secrets().get_opt("bot").await.unwrap().is_none());
    world.change("bot", json!({"suspend": false})).await;
    let object = world.wait_ready("bot").await;
    world.until_value("bot", "token", fresh.secret()).await;
    operator.look_again(1).await;
    assert_eq!(world.calls(), 2);
    assert_eq!(
        object.status.unwrap().last_handled_renew.as_deref(),
        Some("now")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_credential_takes_its_targets_and_series_along() {
    let world = World::new().await;
    let operator = world.operator().await;
    for name in ["bot", "other"] {
        world.api_token(name).await;
        let object = world.wait_ready(name).await;
        assert_eq!(object.metadata.finalizers, None);
        let owner = json!({"owner": {"team": "platform", "contact": "\"#platform\""}});
        world.change(name, owner).await;
        world.observed(name).await;
    }
    operator.quiet().await;
    let text = operator.metrics.render().unwrap();
    let owner = format!(
        "jira_credential_owner_info{{namespace=\"{}\",name=\"bot\",team=\"platform\",contact=\"\\\"#platform\\\"\"}} 1",
        world.namespace
    );
    assert!(text.contains(&owner), "{owner}\n{text}");
    let series = |name: &str| {
        let text = operator.metrics.render().unwrap();
        let label = format!("name=\"{name}\"");
        text.lines().filter(|line| line.contains(&label)).count()
    };
    assert!(series("bot") > 2, "{}", series("bot"));
    let mark = operator.mark();
    world.delete("bot").await;
    world
        .until("the garbage collector has deleted the target", || async {
            let found = world.secrets().get_opt("bot").await.unwrap();
            found.is_none().then_some(())
        })
        .await;
    operator.quiet().await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
    assert_eq!(series("bot"), 0);
    assert!(series("other") > 2);
    world.secrets().get("bot-source").await.unwrap();
    world.secrets().get("other").await.unwrap();
    // One of the same name is another one.
    world.advance(TimeDelta::minutes(1));
    world.create("bot", world.api_token_spec("bot")).await;
    world.wait_ready("bot").await;
    assert_eq!(world.calls(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validation_falls_due_after_the_interval_and_a_splay_and_not_before() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.api_token("bot").await;
    let object = world.wait_ready("bot").await;
    operator.quiet().await;
    let (uid, hour) = (object.metadata.uid.unwrap(), TimeDelta::hours(1));
    let mut calls = 1;
    for _ in 0..2 {
        let wait = next_validation(world.clock.now(), hour, &uid) - world.clock.now();
        assert!((hour * 9 / 10..=hour).contains(&wait), "{wait}");
        let mark = operator.mark();
        world.advance(wait - TimeDelta::seconds(1));
        operator.look_again(1).await;
        assert_eq!(operator.requests_since(mark), Vec::<String>::new());
        assert_eq!(world.calls(), calls);
        world.advance(TimeDelta::seconds(1));
        operator.look_again(1).await;
        calls += 1;
        assert_eq!(world.calls(), calls);
    }
    world.until_told("bot", "Validated").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_ends_costs_no_call_and_nothing_is_missed() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut token = world.api_token("bot").await;
    world.wait_ready("bot").await;
    let (mut calls, watches) = (1, Requests::verb(Verb::Watch));
    let both_open = async || {
        world
            .until("both watches are open", || async {
                (operator.faults.open_watches(&watches) == 2).then_some(())
            })
            .await;
    };
    for cut in [Cut::End, Cut::Gone, Cut::Broken] {
        operator.quiet().await;
        both_open().await;
        let mark = operator.mark();
        assert_eq!(operator.faults.cut_watches(&watches, cut), 2, "{cut:?}");
        operator.look_again(1).await;
        assert_eq!(operator.requests_since(mark), Vec::<String>::new());
        both_open().await;
        assert_eq!(operator.requests_since(mark), Vec::<String>::new());
        // While nobody watches, a target goes and a source changes.
        operator.faults.cut_watches(&watches, cut);
        world.delete_secret("bot").await;
        token = world.cloud().api_token(token.owner());
        world
            .secret("bot-source", &[("token", token.secret())])
            .await;
        world.until_value("bot", "token", token.secret()).await;
        operator.quiet().await;
        calls += 1;
        assert_eq!(world.calls(), calls, "{cut:?}");
    }
    world.until_told("bot", "Validated Rotated").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_api_server_is_lived_through() {
    let world = World::alone().await;
    let operator = world.operator().await;
    let token = world.api_token("bot").await;
    let validated = world.wait_ready("bot").await.status.unwrap();
    operator.quiet().await;
    world.plane.stop_api_server().await.unwrap();
    world.advance(TimeDelta::hours(2));
    let passes = operator.operator.passes();
    operator.poke();
    world
        .until("a pass has met the outage", || async {
            (operator.operator.passes() > passes).then_some(())
        })
        .await;
    assert_eq!(world.calls(), 1, "the token cannot be read");
    world.plane.start_api_server().await.unwrap();
    world.delete_secret("bot").await;
    world.until_value("bot", "token", token.secret()).await;
    world
        .until_status("bot", "it is validated again", |status| {
            status.last_validated_time > validated.last_validated_time
        })
        .await;
    operator.quiet().await;
    assert_eq!(world.calls(), 2);
    world.until_told("bot", "Validated").await;
    drop(operator);
    world.plane.stop_api_server().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_every_transition_once() {
    use ConditionStatus::{False, True, Unknown};
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.api_token("bot").await;
    world.wait_ready("bot").await;
    let wait = async |status, reason| {
        world
            .wait("bot", ConditionType::Ready, status, reason)
            .await;
        operator.look_again(1).await;
    };
    // Revoked, and replaced.
    world.sim.revoke(&token);
    world.advance(TimeDelta::hours(2));
    operator.look_again(1).await;
    wait(Unknown, Reason::Confirming).await;
    world.advance(TimeDelta::seconds(61));
    operator.look_again(1).await;
    wait(False, Reason::Rejected).await;
    let fresh = world.cloud().api_token("bot@acme.example");
    world
        .secret("bot-source", &[("token", fresh.secret())])
        .await;
    wait(True, Reason::Validated).await;
    // Suspended, and resumed.
    world.change("bot", json!({"suspend": true})).await;
    wait(True, Reason::Suspended).await;
    world.change("bot", json!({"suspend": false})).await;
    wait(True, Reason::Validated).await;
    // A long outage.
    let site = world.cloud();
    let rule = Rule::new(Fault::ServerError { status: 500 }).host(site.host());
    let outage = world.sim.fault(rule);
    for _ in 0..3 {
        world.advance(TimeDelta::minutes(67));
        operator.look_again(1).await;
    }
    wait(Unknown, Reason::SiteUnavailable).await;
    outage.remove();
    world.advance(TimeDelta::minutes(67));
    operator.look_again(1).await;
    wait(True, Reason::Validated).await;
    // A spec that contradicts itself.
    let rotation = |age: Option<&str>| json!({"rotation": {"warnBefore": "10d", "maxAge": age}});
    world.change("bot", rotation(Some("5d"))).await;
    wait(False, Reason::SpecInvalid).await;
    world.change("bot", rotation(None)).await;
    wait(True, Reason::Validated).await;
    // A rotation that falls due and is done.
    let expires = |time: &str| json!({"auth": {"apiToken": {"expiresAt": time}}});
    world.change("bot", expires("2027-01-20T00:00:00Z")).await;
    world.observed("bot").await;
    world.change("bot", expires("2027-12-31T00:00:00Z")).await;
    world.observed("bot").await;
    operator.look_again(1).await;
    let expected = "Validated Confirming Rejected Validated Suspended Validated SiteUnavailable Validated \
        SpecInvalid Validated ExpiresSoon NotDue";
    world.until_told("bot", expected).await;
    for event in world.events("bot").await {
        let normal = ["Validated", "NotDue"].contains(&event.reason.as_deref().unwrap());
        let suspended = event.reason.as_deref() == Some("Suspended");
        let kind = event.type_.as_deref().unwrap();
        assert_eq!(kind == "Normal", normal || suspended, "{event:?}");
        assert!(!event.note.unwrap().is_empty());
    }
}
