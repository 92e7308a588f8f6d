//! Rotation: the status warns in time, and what works goes on working.

use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use serde_json::{Value, json};

use crate::support::{World, says};

/// The day on which a world begins.
const START: &str = "2027-01-15T08:00:00Z";

/// A date so many days after the start.
fn day(world: &World, days: i64) -> Value {
    let start: chrono::DateTime<chrono::Utc> = START.parse().unwrap();
    assert!(world.clock.now() >= start);
    json!(start + TimeDelta::days(days))
}

/// Dates of a token, `spec.rotation`, and what `RotationDue` says on each of [`DAYS`].
type Case = (&'static str, Value, Value, [Reason; 7]);

const DAYS: [i64; 7] = [0, 9, 15, 16, 19, 29, 30];

fn cases(world: &World) -> Vec<Case> {
    use Reason::{Expired, ExpiresSoon, MaxAgeReached, NotDue};
    vec![
        ("nothing-known", json!({}), json!({}), [NotDue; 7]),
        (
            "expires",
            json!({"expiresAt": day(world, 30)}),
            json!({}),
            [
                NotDue,
                NotDue,
                NotDue,
                ExpiresSoon,
                ExpiresSoon,
                ExpiresSoon,
                Expired,
            ],
        ),
        (
            "warned-late",
            json!({"expiresAt": day(world, 30)}),
            json!({"warnBefore": "1d"}),
            [NotDue, NotDue, NotDue, NotDue, NotDue, ExpiresSoon, Expired],
        ),
        (
            "issued",
            json!({"issuedAt": day(world, -10)}),
            json!({"maxAge": "20d", "warnBefore": "1d"}),
            [
                NotDue,
                MaxAgeReached,
                MaxAgeReached,
                MaxAgeReached,
                MaxAgeReached,
                MaxAgeReached,
                MaxAgeReached,
            ],
        ),
        (
            "first-seen",
            json!({}),
            json!({"maxAge": "20d", "warnBefore": "1d"}),
            [
                NotDue,
                NotDue,
                NotDue,
                NotDue,
                MaxAgeReached,
                MaxAgeReached,
                MaxAgeReached,
            ],
        ),
        (
            "both",
            json!({"expiresAt": day(world, 30)}),
            json!({"maxAge": "17d", "warnBefore": "1d"}),
            [
                NotDue,
                NotDue,
                NotDue,
                MaxAgeReached,
                MaxAgeReached,
                ExpiresSoon,
                Expired,
            ],
        ),
        (
            "expired-already",
            json!({"expiresAt": day(world, -1)}),
            json!({}),
            [Expired; 7],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_falls_due_by_date_and_by_age_and_leaves_ready_alone() {
    let world = World::new().await;
    let operator = world.operator().await;
    let cases = cases(&world);
    let all = cases.len() as u64;
    for (name, dates, rotation, _) in &cases {
        let token = world.cloud().api_token(&format!("{name}@acme.example"));
        world
            .secret(&format!("{name}-source"), &[("token", token.secret())])
            .await;
        let mut spec = world.api_token_spec(name);
        for (field, date) in dates.as_object().unwrap() {
            spec["auth"]["apiToken"][field] = date.clone();
        }
        spec["rotation"] = rotation.clone();
        world.create(name, spec).await;
        world.wait_ready(name).await;
    }
    let mut today = 0;
    for (index, date) in DAYS.into_iter().enumerate() {
        world.advance(TimeDelta::days(date - today));
        today = date;
        operator.look_again(all).await;
        for (name, _, _, expected) in &cases {
            let object = world.wait_ready(name).await;
            let due = says(&object, ConditionType::RotationDue);
            let status = if expected[index] == Reason::NotDue {
                ConditionStatus::False
            } else {
                ConditionStatus::True
            };
            assert_eq!(
                (due.status, due.reason),
                (status, expected[index]),
                "{name} on day {date}"
            );
            let by = due.message.contains("2027-") || due.reason == Reason::NotDue;
            assert!(by, "{name}: {}", due.message);
        }
    }
    // One event per transition.
    for (name, _, _, expected) in cases {
        let mut told = vec!["Validated".to_owned()];
        let mut last = Reason::NotDue;
        for reason in expected {
            if reason != last {
                told.push(format!("{reason:?}"));
                last = reason;
            }
        }
        world.until_told(name, &told.join(" ")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_credential_ends_the_rotation() {
    use ConditionStatus::{False, True};
    let world = World::new().await;
    let operator = world.operator().await;
    let due = async |name: &str, status, reason| {
        let kind = ConditionType::RotationDue;
        world.wait(name, kind, status, reason).await
    };
    // By the date of the spec.
    let token = world.cloud().api_token("dated@acme.example");
    world
        .secret("dated-source", &[("token", token.secret())])
        .await;
    let mut spec = world.api_token_spec("dated");
    spec["auth"]["apiToken"]["expiresAt"] = day(&world, 3);
    world.create("dated", spec).await;
    due("dated", True, Reason::ExpiresSoon).await;
    let fresh = world.cloud().api_token("dated@acme.example");
    world
        .secret("dated-source", &[("token", fresh.secret())])
        .await;
    world.until_value("dated", "token", fresh.secret()).await;
    due("dated", True, Reason::ExpiresSoon).await;
    let dates = json!({"auth": {"apiToken": {"expiresAt": day(&world, 300)}}});
    world.change("dated", dates).await;
    let status = due("dated", False, Reason::NotDue).await.status.unwrap();
    assert_eq!(json!(status.expires_at), day(&world, 300));
    assert_eq!(json!(status.rotation_due_time), day(&world, 286));
    world
        .until_told("dated", "Validated ExpiresSoon Rotated NotDue")
        .await;
    // By the age that the operator counts itself.
    let token = world.cloud().api_token("aged@acme.example");
    world
        .secret("aged-source", &[("token", token.secret())])
        .await;
    let mut spec = world.api_token_spec("aged");
    spec["rotation"] = json!({"maxAge": "30d", "warnBefore": "1d"});
    world.create("aged", spec).await;
    world.wait_ready("aged").await;
    world.advance(TimeDelta::days(29));
    operator.look_again(2).await;
    due("aged", True, Reason::MaxAgeReached).await;
    let fresh = world.cloud().api_token("aged@acme.example");
    world
        .secret("aged-source", &[("token", fresh.secret())])
        .await;
    let status = due("aged", False, Reason::NotDue).await.status.unwrap();
    assert_eq!(json!(status.first_seen_time), day(&world, 29));
    // A metric says the same.
    operator.quiet().await;
    let text = operator.metrics.render().unwrap();
    let line = text.lines().find(|line| {
        line.starts_with("jira_credential_rotation_due{") && line.contains("\"aged\"")
    });
    assert!(line.unwrap().ends_with(" 0"), "{line:?}");
    world
        .until_told("aged", "Validated MaxAgeReached Rotated NotDue")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_as_announced_needs_no_confirmation() {
    let world = World::new().await;
    let operator = world.operator().await;
    let token = world.cloud().api_token("bot@acme.example");
    let end = world.clock.now() + TimeDelta::days(2);
    world.sim.expire_at(&token, end);
    world
        .secret("bot-source", &[("token", token.secret())])
        .await;
    let mut spec = world.api_token_spec("bot");
    spec["auth"]["apiToken"]["expiresAt"] = day(&world, 2);
    world.create("bot", spec).await;
    world.wait_ready("bot").await;
    let published = world.secrets().get("bot").await.unwrap();
    world.advance(TimeDelta::days(2) + TimeDelta::minutes(67));
    operator.look_again(1).await;
    let (kind, status) = (ConditionType::Ready, ConditionStatus::False);
    let object = world.wait("bot", kind, status, Reason::Expired).await;
    let due = says(&object, ConditionType::RotationDue);
    assert_eq!(due.reason, Reason::Expired);
    assert!(world.secrets().get("bot").await.unwrap() == published);
    assert_eq!(world.calls(), 2);
    operator.look_again(1).await;
    world
        .until_told("bot", "Validated ExpiresSoon Expired")
        .await;
}
