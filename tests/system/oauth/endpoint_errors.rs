//! The token endpoint of a Data Center answers with an error: the same refresh token is sent again,
//! with growing waits, and no more often.

use atlassian_sim::{Canned, Consent, Fault, Rule};
use chrono::{DateTime, TimeDelta, Utc};
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};

use super::assert_at_rest;
use super::data_center::{TOKEN_PATH, renewing};
use crate::support::{Running, World, says};

fn json_error(status: u16, body: &str) -> Fault {
    Fault::Canned(Canned {
        status,
        headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
        body: body.to_owned(),
    })
}

impl World {
    fn attempts(&self) -> usize {
        self.asked("/oauth2/latest/token")
    }

    /// When the refresh token may be sent again.
    async fn next_attempt(&self) -> DateTime<Utc> {
        let grant = self.grant("bot").await.unwrap();
        serde_json::from_value(grant["nextAttempt"].clone()).unwrap()
    }

    /// The endpoint fails in this way, whatever it has done before, until the rule is removed.
    fn endpoint_fails(&self, fault: Fault) -> atlassian_sim::FaultHandle {
        self.sim.fault(Rule {
            path_prefix: Some(TOKEN_PATH.into()),
            ..Rule::new(fault).host(self.data_center().host())
        })
    }

    /// `Ready` does not change while the published token lives; `Reconciling` names the cause of the failing
    /// renewal.
    async fn cause_is_told(&self, status: u16) {
        let object = self.credential("bot").await;
        let ready = says(&object, ConditionType::Ready);
        let token = self.published("bot").await;
        let expected = if self.sim.access_token_lives(&token) {
            (ConditionStatus::True, Reason::Validated)
        } else {
            (ConditionStatus::Unknown, Reason::SiteUnavailable)
        };
        assert_eq!((ready.status, ready.reason), expected, "{}", ready.message);
        let reconciling = says(&object, ConditionType::Reconciling);
        let told = (reconciling.status, reconciling.reason);
        assert_eq!(told, (ConditionStatus::True, Reason::SiteUnavailable));
        let cause = format!("has the status {status}");
        let said = reconciling.message;
        assert!(said.contains(&cause), "{cause}: {said}");
    }

    /// The attempt after the next wait, which lies in seconds between `least` and a fifth more. A
    /// second before its end nothing is sent.
    async fn one_more_attempt(&self, operator: &Running, least: i64) {
        let wait = (self.next_attempt().await - self.clock.now()).num_seconds();
        assert!(
            (least..=least + least / 5).contains(&wait),
            "{least}: {wait}"
        );
        let attempts = self.attempts();
        self.advance(TimeDelta::seconds(wait - 1));
        operator.look_again(1).await;
        assert_eq!(self.attempts(), attempts, "{least}: too early");
        self.advance(TimeDelta::seconds(1));
        operator.look_again(1).await;
        assert_eq!(self.attempts(), attempts + 1, "{least}");
    }

    /// The endpoint works again, and the token that was kept all the time is exchanged.
    async fn recovers(&self, operator: &Running, consent: &Consent, kept: &str) {
        assert_eq!(self.kept("bot").await, kept, "the same token is sent");
        assert!(consent.holds_newest(kept));
        let (exchanged, next) = (self.outcomes().len(), self.next_attempt().await);
        self.advance(next - self.clock.now());
        operator.look_again(1).await;
        self.wait_ready("bot").await;
        assert_eq!(self.outcomes(), vec!["exchanged"; exchanged + 1]);
        assert!(consent.holds_newest(&self.kept("bot").await));
        let published = self.published("bot").await;
        assert!(self.sim.access_token_lives(&published));
        assert_at_rest(self, operator).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_token_is_sent_again_after_growing_waits() {
    let (world, operator, _, consent) = renewing().await;
    let errors = [
        (Fault::Unavailable { retry_after: None }, 503, 10),
        (Fault::ServerError { status: 500 }, 500, 4),
        (json_error(500, r#"{"error": "server_error"}"#), 500, 4),
        (json_error(400, r#"{"message": "no"}"#), 400, 4),
    ];
    for (fault, status, failures) in errors {
        let kept = world.kept("bot").await;
        let attempts = world.attempts();
        let rule = world.endpoint_fails(fault);
        world.renewal_falls_due(&operator).await;
        assert_eq!(world.attempts(), attempts + 1);
        for failure in 1..failures {
            world.cause_is_told(status).await;
            let least = (15 * (1 << (failure - 1))).min(3600);
            world.one_more_attempt(&operator, least).await;
        }
        world.sim.remove_fault(rule.id());
        world.recovers(&operator, &consent, &kept).await;
    }
}

/// A request that the endpoint does not take, whatever that means, is not one that patience mends.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_code_is_waited_out_for_six_hours() {
    let (world, operator, _, consent) = renewing().await;
    let kept = world.kept("bot").await;
    let rule = world.endpoint_fails(json_error(400, r#"{"error": "not_on_mondays"}"#));
    world.renewal_falls_due(&operator).await;
    let six_hours = TimeDelta::hours(6);
    assert_eq!(world.next_attempt().await, world.clock.now() + six_hours);
    world
        .one_more_attempt(&operator, six_hours.num_seconds())
        .await;
    world.sim.remove_fault(rule.id());
    world.recovers(&operator, &consent, &kept).await;
}

/// The endpoint has rotated the token, and its answer is an error: nothing brings the successor back.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_after_the_rotation_ends_in_one_reconsent_that_tells_when() {
    let (world, operator, link, consent) = renewing().await;
    let rotated = world
        .sim
        .fault(world.at_endpoint(Fault::ErrorAfter { status: 500 }));
    let rule = world.endpoint_fails(Fault::Unavailable { retry_after: None });
    world.renewal_falls_due(&operator).await;
    let interrupted = world.clock.now().format("%Y-%m-%d at %H:%M UTC");
    world.sim.remove_fault(rotated.id());
    let attempts = world.attempts();
    for least in [15, 30] {
        world.one_more_attempt(&operator, least).await;
    }
    assert_eq!(world.outcomes(), vec!["exchanged"; 2]);
    world.sim.remove_fault(rule.id());
    world.one_more_attempt(&operator, 60).await;
    let object = world.lost(Reason::ReconsentRequired).await;
    let said = says(&object, ConditionType::Ready).message;
    let told = format!("was interrupted on {interrupted}");
    assert!(said.contains(&told), "{told}: {said}");
    assert_eq!(world.outcomes(), ["exchanged", "exchanged", "Dead"]);
    for _ in 0..3 {
        world.renewal_falls_due(&operator).await;
    }
    assert_eq!(world.attempts(), attempts + 3, "nothing is tried again");
    assert_eq!(world.times_told("ReconsentRequired").await, 1);
    assert_at_rest(&world, &operator).await;
    // A new consent mends it.
    assert!(consent.is_alive());
    let fresh = world.data_center().consent(&link, "bot", &["WRITE"]);
    world.seed("bot", &fresh.refresh_token()).await;
    world.wait_ready("bot").await;
}
