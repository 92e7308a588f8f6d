//! A new consent takes the place of an old one.

use super::super::{RENEWAL_IS_DUE, SCOPES, assert_at_rest, assert_none_was_spent_late, renewing};
use crate::support::{World, says};
use chrono::TimeDelta;
use control_plane::faults::{Requests, Side, Verb};
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_consent_takes_over_and_an_older_copy_is_told_and_not_spent() {
    let (world, operator, app, first) = renewing().await;
    let old = world.published("bot").await;
    let second = app.consent("bot@acme.example", &[&world.cloud()], &SCOPES);
    world.seed("bot", &second.refresh_token()).await;
    let replaced = || async { (world.published("bot").await != old).then_some(()) };
    world.until("the new consent is in use", replaced).await;
    operator.quiet().await;
    assert!(second.holds_newest(&world.kept("bot").await));
    let spent = world.outcomes().len();

    // A tool that keeps the Secret as it was in Git puts the first one back.
    world.seed("bot", &first.refresh_token()).await;
    let told = world.wait(
        "bot",
        ConditionType::RotationDue,
        ConditionStatus::True,
        Reason::SeedStale,
    );
    let told = says(&told.await, ConditionType::RotationDue).message;
    assert!(
        told.contains("older refresh token") && told.contains("bot-seed"),
        "{told}"
    );
    world.wait_ready("bot").await;
    assert_eq!(world.outcomes().len(), spent);
    world.renewal_falls_due(&operator).await;
    world.wait_ready("bot").await;
    assert!(second.holds_newest(&world.kept("bot").await));
    // What was stored last comes back: all is well.
    world.seed("bot", &second.refresh_token()).await;
    world
        .wait(
            "bot",
            ConditionType::RotationDue,
            ConditionStatus::False,
            Reason::NotDue,
        )
        .await;
    // Another way out is to take the older refresh token away.
    for reason in [Reason::SeedStale, Reason::NotDue] {
        let due = if reason == Reason::SeedStale {
            world.seed("bot", &first.refresh_token()).await;
            ConditionStatus::True
        } else {
            world.delete_secret("bot-seed").await;
            ConditionStatus::False
        };
        world
            .wait("bot", ConditionType::RotationDue, due, reason)
            .await;
    }
    assert_none_was_spent_late(&world);
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_new_seed_leaves_the_old_consent_in_use() {
    let (world, operator, _, consent) = renewing().await;
    world.seed("bot", "no-token-of-anybody").await;
    let told = world.wait(
        "bot",
        ConditionType::RotationDue,
        ConditionStatus::True,
        Reason::RotationFailed,
    );
    let told = says(&told.await, ConditionType::RotationDue).message;
    assert!(
        told.contains("does not accept the new refresh token"),
        "{told}"
    );
    world.wait_ready("bot").await;
    operator.quiet().await;
    let spends = world.sim.spends().len();
    for _ in 0..3 {
        world.renewal_falls_due(&operator).await;
        world.wait_ready("bot").await;
    }
    assert!(consent.holds_newest(&world.kept("bot").await));
    assert_eq!(world.sim.spends().len(), spends + 3, "it is tried once");
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_new_seed_leaves_the_old_consent_in_use_until_it_is_mended() {
    let (world, operator, app, consent) = renewing().await;
    let fresh = app.consent("bot@acme.example", &[&world.cloud()], &SCOPES);
    world
        .seed("bot", &format!("{}\n\n", fresh.refresh_token()))
        .await;
    let told = world.wait(
        "bot",
        ConditionType::RotationDue,
        ConditionStatus::True,
        Reason::RotationFailed,
    );
    let told = says(&told.await, ConditionType::RotationDue).message;
    assert!(told.contains("cannot be a refresh token"), "{told}");
    for _ in 0..2 {
        world.renewal_falls_due(&operator).await;
        world.wait_ready("bot").await;
    }
    assert!(consent.holds_newest(&world.kept("bot").await));
    assert_at_rest(&world, &operator).await;
    let object = world.wait_ready("bot").await;
    assert_eq!(says(&object, ConditionType::RotationDue).message, told);

    world.seed("bot", &fresh.refresh_token()).await;
    let mended = world.wait(
        "bot",
        ConditionType::RotationDue,
        ConditionStatus::False,
        Reason::NotDue,
    );
    mended.await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    assert!(fresh.holds_newest(&world.kept("bot").await));
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_token_in_two_seeds_is_spent_by_the_older_grant_only() {
    let (world, operator, app, consent) = renewing().await;
    // Which grant has had a seed for longer is compared by the second.
    world.advance(TimeDelta::seconds(1));
    world.seed("twin", &consent.refresh_token()).await;
    world.client_secret("twin", &app.secret()).await;
    world.create("twin", world.oauth_spec("twin", &app)).await;
    let object = world.wait_unready("twin", Reason::GrantConflict).await;
    let said = says(&object, ConditionType::Ready).message;
    assert!(said.contains("from the Secret bot-seed;"), "{said}");
    world.advance(RENEWAL_IS_DUE);
    operator.look_again(2).await;
    world.wait_ready("bot").await;
    assert!(consent.holds_newest(&world.kept("bot").await));
    assert_eq!(world.outcomes(), vec!["exchanged"; 2]);
    assert_at_rest(&world, &operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_consent_that_another_grant_has_spent_is_not_spent_by_an_older_grant() {
    let (world, operator, app, first) = renewing().await;
    let second = app.consent("bot@acme.example", &[&world.cloud()], &SCOPES);
    world.advance(TimeDelta::seconds(1));
    world.seed("twin", &second.refresh_token()).await;
    world.client_secret("twin", &app.secret()).await;
    world.create("twin", world.oauth_spec("twin", &app)).await;
    world.wait_ready("twin").await;
    let spent = world.outcomes().len();
    // Longer than the leeway: a second spend would end the consent.
    world.advance(TimeDelta::minutes(11));
    world.seed("bot", &second.refresh_token()).await;
    operator.look_again(2).await;
    operator.quiet().await;
    assert_eq!(world.outcomes().len(), spent);
    for _ in 0..2 {
        world.advance(RENEWAL_IS_DUE);
        operator.look_again(2).await;
        world.wait_ready("twin").await;
        world.wait_ready("bot").await;
    }
    assert!(second.holds_newest(&world.kept("twin").await));
    assert!(first.holds_newest(&world.kept("bot").await));
    assert_none_was_spent_late(&world);
}

/// The process ends between two writes of a new consent; the next one goes on where it ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_consent_survives_an_end_at_every_write() {
    for nth in 1..=5 {
        for side in [Side::Before, Side::After] {
            let world = World::new().await;
            let operator = world.operator().await;
            let writes = Requests::verb(Verb::Create).or_verb(Verb::Update);
            let mut stop = operator
                .faults
                .stop_at(writes.resource("secrets"), nth, side);
            let (_, consent) = world.oauth("bot").await;
            stop.reached().await;
            operator.crash();
            let operator = world.operator().await;
            for _ in 0..6 {
                operator.look_again(1).await;
                world.advance(TimeDelta::seconds(95));
            }
            operator.look_again(1).await;
            let object = world.wait_ready("bot").await;
            let what = format!("{nth} {side:?} {:?}", object.status);
            assert!(consent.holds_newest(&world.kept("bot").await), "{what}");
            assert_none_was_spent_late(&world);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_holder_of_a_token_is_not_named_in_another_namespace() {
    let world = World::alone().await;
    let operator = world
        .operator_with(|config| config.watch_namespaces.clear())
        .await;
    let (app, consent) = world.oauth("bot").await;
    world.wait_ready("bot").await;
    world.advance(TimeDelta::seconds(1));
    let neighbour = world.neighbour().await;
    neighbour.seed("twin", &consent.refresh_token()).await;
    neighbour.client_secret("twin", &app.secret()).await;
    let spec = neighbour.oauth_spec("twin", &app);
    neighbour.create("twin", spec).await;
    let object = neighbour.wait_unready("twin", Reason::GrantConflict).await;
    let said = says(&object, ConditionType::Ready).message;
    assert!(
        said.contains("from a Secret in another namespace;"),
        "{said}"
    );
    assert!(!said.contains("bot-seed"), "{said}");
    operator.stop().await;
}
