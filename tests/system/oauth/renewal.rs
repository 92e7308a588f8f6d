//! Renewals that do not go as they should.

use std::time::Duration;

use atlassian_sim::{Fault, Rule, SpendOutcome};
use chrono::TimeDelta;
use control_plane::faults::{Cut, Fault as ApiFault, Requests, Verb};
use jira_credential_operator::api::{ConditionStatus, ConditionType, RENEW_ANNOTATION, Reason};
use serde_json::json;

use super::{RENEWAL_IS_DUE, assert_at_rest, assert_none_was_spent_late, renewing};
use crate::support::{PATIENCE, World, says};

impl World {
    fn auth(&self, fault: Fault) -> Rule {
        Rule::new(fault).host(self.sim.auth_host())
    }
}

/// Waits out a takeover, and lets the operator look.
async fn time_passes(world: &World, operator: &crate::support::Running, times: usize) {
    for _ in 0..times {
        world.advance(TimeDelta::seconds(95));
        operator.look_again(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_for_again_with_the_same_token_inside_the_leeway() {
    for fault in [
        Fault::DropAfter,
        Fault::DropBefore,
        Fault::ServerError { status: 502 },
        Fault::HtmlPage,
        Fault::GarbageJson,
    ] {
        let (world, operator, _, consent) = renewing().await;
        world.sim.fault(world.auth(fault.clone()).once());
        world.renewal_falls_due(&operator).await;
        // The published token lives: nothing is wrong with it.
        world.wait_ready("bot").await;
        time_passes(&world, &operator, 2).await;
        world.wait_ready("bot").await;
        assert!(consent.holds_newest(&world.kept("bot").await), "{fault:?}");
        assert_none_was_spent_late(&world);
        // That it failed, and that it works again.
        assert_eq!(world.events("bot").await.len(), 3, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_leeway_one_last_attempt_ends_in_one_clear_word() {
    let (world, operator, _, consent) = renewing().await;
    world.sim.fault(world.auth(Fault::DropAfter).once());
    world.advance(RENEWAL_IS_DUE);
    operator.poke();
    world.sim.wait_for_spends(2).await;
    operator.crash();
    let token = world.published("bot").await;
    let interrupted = world.clock.now();
    world.advance(TimeDelta::minutes(25));
    let operator = world.operator().await;
    time_passes(&world, &operator, 3).await;
    let object = world.wait(
        "bot",
        ConditionType::Valid,
        ConditionStatus::False,
        Reason::ReconsentRequired,
    );
    let object = object.await;
    let said = says(&object, ConditionType::Ready).message;
    let when = interrupted.format("%Y-%m-%d at %H:%M UTC").to_string();
    assert!(
        said.contains(&when) && said.contains("offline_access"),
        "{said}"
    );
    assert_eq!(
        says(&object, ConditionType::Stalled).reason,
        Reason::ReconsentRequired
    );
    assert!(!consent.is_alive());
    let spends = world.sim.spends().len();
    for _ in 0..3 {
        world.advance(TimeDelta::hours(7));
        operator.look_again(1).await;
    }
    assert_eq!(
        world.sim.spends().len(),
        spends,
        "a dead token is not spent again"
    );
    assert_eq!(
        world.published("bot").await,
        token,
        "the last Secret is kept"
    );
    let events = world.events("bot").await;
    let told = events
        .iter()
        .filter(|event| event.reason.as_deref() == Some("ReconsentRequired"));
    assert_eq!(told.count(), 1);
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_has_begun_is_taken_up_once_it_was_watched_long_enough() {
    let (world, operator, _, consent) = renewing().await;
    world.sim.fault(world.auth(Fault::HangAfter).once());
    world.advance(RENEWAL_IS_DUE);
    operator.poke();
    world.sim.wait_for_spends(2).await;
    operator.crash();
    let operator = world.operator().await;
    operator.look_again(1).await;
    world.advance(TimeDelta::seconds(80));
    operator.look_again(1).await;
    assert_eq!(world.sim.spends().len(), 2, "it may still be at work");
    // By its age it could be taken up much later only.
    world.advance(TimeDelta::seconds(15));
    operator.look_again(1).await;
    assert_eq!(world.sim.spends().len(), 3);
    world.wait_ready("bot").await;
    assert!(consent.can_exchange(&world.kept("bot").await));
    assert_none_was_spent_late(&world);
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_consent_is_told_and_a_new_one_heals() {
    let (world, operator, app, consent) = renewing().await;
    consent.revoke();
    world.renewal_falls_due(&operator).await;
    world.wait_unready("bot", Reason::ReconsentRequired).await;
    let fresh = app.consent("bot@acme.example", &[&world.cloud()], &super::SCOPES);
    world.seed("bot", &fresh.refresh_token()).await;
    world.wait_ready("bot").await;
    assert!(fresh.holds_newest(&world.kept("bot").await));
    operator.quiet().await;
    let mark = operator.mark();
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), Vec::<String>::new());
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_refresh_token_keeps_the_old_one() {
    let (world, operator, _, consent) = renewing().await;
    let before = world.kept("bot").await;
    world
        .sim
        .configure_oauth(|settings| settings.omit_refresh_token = true);
    world.renewal_falls_due(&operator).await;
    world.wait_ready("bot").await;
    assert_eq!(world.kept("bot").await, before);
    world
        .sim
        .configure_oauth(|settings| settings.omit_refresh_token = false);
    world.renewal_falls_due(&operator).await;
    world.wait_ready("bot").await;
    assert!(consent.holds_newest(&world.kept("bot").await));
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_client_secret_loses_nothing_and_two_are_tried_in_order() {
    let (world, operator, app, consent) = renewing().await;
    let (old, new) = (app.secret(), app.add_secret());
    app.revoke_secret(&old);
    world.renewal_falls_due(&operator).await;
    let object = world.wait(
        "bot",
        ConditionType::Valid,
        ConditionStatus::False,
        Reason::ClientRejected,
    );
    let said = says(&object.await, ConditionType::Ready).message;
    assert!(said.contains("nothing is lost"), "{said}");
    let calls = world.calls();
    world.advance(TimeDelta::minutes(30));
    operator.look_again(1).await;
    assert_eq!(world.calls(), calls, "it is not tried again by itself");
    // Both are configured, the old one first: no outage while it is rotated.
    let refs =
        json!([{"name": "bot-client", "key": "secret"}, {"name": "fresh-client", "key": "secret"}]);
    world.client_secret("fresh", &new).await;
    world
        .change(
            "bot",
            json!({"auth": {"oauth2": {"clientSecretRefs": refs}}}),
        )
        .await;
    world.wait_ready("bot").await;
    assert!(consent.holds_newest(&world.kept("bot").await));
    world.renewal_falls_due(&operator).await;
    world.wait_ready("bot").await;
    assert!(consent.holds_newest(&world.kept("bot").await));
    assert_none_was_spent_late(&world);
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_dies_early_is_renewed_once_and_validated() {
    let (world, operator, _, consent) = renewing().await;
    let token = world.published("bot").await;
    world.sim.revoke_access_token(&token);
    world.advance(TimeDelta::minutes(10));
    world.annotate("bot", RENEW_ANNOTATION, "look").await;
    let renewed = || async { (world.published("bot").await != token).then_some(()) };
    world.until("another token is published", renewed).await;
    operator.quiet().await;
    world.wait_ready("bot").await;
    assert!(consent.holds_newest(&world.kept("bot").await));
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_right_after_its_renewal_is_not_renewed_on_and_on() {
    let (world, operator, _, _) = renewing().await;
    let token = world.published("bot").await;
    // The account loses its access to the site: every token is refused from now on.
    world.cloud().remove_access("bot@acme.example");
    world.advance(TimeDelta::minutes(40));
    world
        .change("bot", json!({"validation": {"interval": "10m"}}))
        .await;
    operator.look_again(1).await;
    world
        .wait(
            "bot",
            ConditionType::Valid,
            ConditionStatus::False,
            Reason::Rejected,
        )
        .await;
    operator.quiet().await;
    assert_eq!(world.outcomes().len(), 2, "the refusal earns one renewal");
    assert_eq!(
        world.published("bot").await,
        token,
        "the last Secret is kept"
    );
    operator.look_again(1).await;
    operator.look_again(1).await;
    assert_eq!(world.outcomes().len(), 2);
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_cannot_be_validated_is_published_when_the_published_one_ends() {
    let (world, operator, _, _) = renewing().await;
    let token = world.published("bot").await;
    let gateway = Rule::new(Fault::ServerError { status: 503 }).host(world.sim.gateway_host());
    let outage = world.sim.fault(gateway);
    world.renewal_falls_due(&operator).await;
    assert_eq!(world.published("bot").await, token);
    world.wait_ready("bot").await;
    world.advance(TimeDelta::minutes(8));
    operator.look_again(1).await;
    let object = world.wait(
        "bot",
        ConditionType::Ready,
        ConditionStatus::Unknown,
        Reason::PublishedUnvalidated,
    );
    let object = object.await;
    assert_eq!(
        says(&object, ConditionType::Valid).status,
        ConditionStatus::Unknown
    );
    assert_ne!(world.published("bot").await, token);
    operator.quiet().await;
    let mark = operator.mark();
    operator.look_again(1).await;
    assert_eq!(operator.writes_since(mark), Vec::<String>::new());
    world.sim.remove_fault(outage.id());
    world.advance(TimeDelta::hours(1));
    operator.look_again(1).await;
    world.wait_ready("bot").await;
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_consent_is_not_published_unvalidated() {
    let (world, operator, app, old) = renewing().await;
    let token = world.published("bot").await;
    let gateway = Rule::new(Fault::ServerError { status: 503 }).host(world.sim.gateway_host());
    world.sim.fault(gateway);
    let fresh = app.consent("bot@acme.example", &[&world.cloud()], &super::SCOPES);
    world.seed("bot", &fresh.refresh_token()).await;
    world.sim.wait_for_spends(2).await;
    // The earlier consent is no help any more, and what pods have nears its end.
    old.revoke();
    world.advance(RENEWAL_IS_DUE);
    operator.look_again(1).await;
    for _ in 0..3 {
        world.advance(TimeDelta::minutes(4));
        operator.look_again(1).await;
        assert_eq!(world.published("bot").await, token);
    }
    let spends = world.sim.spends();
    assert!(
        spends
            .iter()
            .any(|spend| matches!(spend.outcome, SpendOutcome::Dead))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_has_begun_is_finished_before_the_operator_ends() {
    let (world, operator, _, consent) = renewing().await;
    let hang = world.sim.hang_after(world.auth(Fault::HangAfter));
    world.advance(RENEWAL_IS_DUE);
    operator.poke();
    tokio::time::timeout(PATIENCE, hang.reached(1))
        .await
        .unwrap();
    let stopping = tokio::spawn(operator.stop());
    hang.release();
    stopping.await.unwrap();
    assert!(consent.holds_newest(&world.kept("bot").await));
    let operator = world.operator().await;
    operator.look_again(1).await;
    world.wait_ready("bot").await;
    assert_eq!(world.outcomes(), vec!["exchanged"; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_breaks_cancels_no_renewal() {
    let (world, operator, _, consent) = renewing().await;
    let hang = world.sim.hang_after(world.auth(Fault::HangAfter));
    world.advance(RENEWAL_IS_DUE);
    operator.poke();
    tokio::time::timeout(PATIENCE, hang.reached(1))
        .await
        .unwrap();
    for cut in [Cut::Broken, Cut::Gone] {
        operator.faults.cut_watches(&Requests::any(), cut);
    }
    hang.release();
    operator.quiet().await;
    world.wait_ready("bot").await;
    assert!(consent.holds_newest(&world.kept("bot").await));
    assert_eq!(world.outcomes(), vec!["exchanged"; 2]);
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_can_have_a_token_renewed_and_not_more_often_than_every_five_minutes() {
    let (world, operator, _, _) = renewing().await;
    for (value, spends) in [("one", 1), ("two", 2), ("three", 2)] {
        if value == "two" {
            world.advance(TimeDelta::minutes(6));
        }
        world.annotate("bot", RENEW_ANNOTATION, value).await;
        let handled = |status: &jira_credential_operator::api::JiraCredentialStatus| {
            status.last_handled_renew.as_deref() == Some(value)
        };
        world
            .until_status("bot", "the request is handled", handled)
            .await;
        operator.quiet().await;
        assert_eq!(world.outcomes().len(), spends, "{value}");
    }
    assert_at_rest(&world, &operator).await;
}

/// A process that hears late that its intent is stored, because its machine stood still, sends nothing:
/// another process may have taken over.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_long_ago_is_not_sent() {
    let (world, operator, _, _) = renewing().await;
    let published = world.published("bot").await;
    let intend = Requests::verb(Verb::Update).resource("secrets");
    let held_up = ApiFault::DelayAfter(Duration::from_secs(8));
    operator.faults.add(intend, 1..=1, held_up);
    let passes = operator.operator.passes();
    world.advance(RENEWAL_IS_DUE);
    operator.poke();
    world
        .until("the intent is stored", || async {
            let grant = world.grant("bot").await?;
            (!grant["intent"].is_null()).then_some(())
        })
        .await;
    let next = world.operator().await;
    for _ in 0..2 {
        world.advance(TimeDelta::minutes(2));
        next.look_again(1).await;
    }
    world.until_other("bot", "token", &published).await;
    world
        .until("the first process goes on", || async {
            (operator.operator.passes() > passes).then_some(())
        })
        .await;
    operator.quiet().await;
    assert_eq!(world.outcomes(), vec!["exchanged"; 2]);
    world.wait_ready("bot").await;
}
