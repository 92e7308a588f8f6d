//! A refresh token that comes back in the Secret of the user, after it was spent.

use std::sync::Arc;

use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use kube::api::DeleteParams;

use super::cast::{Cast, Tempo};
use crate::stage::Stage;

impl Cast {
    /// How often a refresh token was presented.
    fn presented(&self, token: &str) -> usize {
        let id = self.stage.sim.token_id(token).unwrap();
        let spends = self.stage.sim.spends();
        spends.iter().filter(|spend| spend.token == id).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_that_comes_back_is_not_spent_again() {
    let stage = Stage::new().await;
    let tempo = Tempo {
        leeway: TimeDelta::zero(),
        ..Tempo::divided_by(20, TimeDelta::minutes(10))
    };
    let cast = Arc::new(Cast::gather(stage, tempo, 1).await);
    let (stage, member) = (&cast.stage, &cast.members[0]);
    let operator = stage.operator().await;
    cast.settled().await;
    let first = member.consent();
    cast.consent(member).await;
    let second = member.consent();
    stage
        .until("the second is spent", async || {
            let spent = cast.presented(&second.refresh_token());
            (spent > 0).then_some(())
        })
        .await;
    cast.settled().await;
    let seeds = [first.refresh_token(), second.refresh_token()];

    // Somebody applies an older version, and another process finds it.
    operator.kill();
    stage
        .secret("bot-0-seed", &[("refresh-token", &seeds[0])])
        .await;
    let operator = stage.operator().await;
    let due = ConditionType::RotationDue;
    stage
        .wait("bot-0", due, ConditionStatus::True, Reason::SeedStale)
        .await;
    stage.wait_ready("bot-0").await;
    stage
        .secret("bot-0-seed", &[("refresh-token", &seeds[1])])
        .await;
    stage
        .wait("bot-0", due, ConditionStatus::False, Reason::NotDue)
        .await;

    // Somebody deletes what the operator keeps, and another process finds that.
    let grant = cast.grants().await.remove("bot-0").unwrap().secret;
    operator.kill();
    let params = DeleteParams::default();
    stage.secrets().delete(&grant, &params).await.unwrap();
    let mut operator = stage.operator().await;
    let ready = ConditionType::Ready;
    stage
        .wait("bot-0", ready, ConditionStatus::False, Reason::GrantLost)
        .await;
    stage.assert_at_rest(&mut operator).await;
    for seed in seeds {
        assert_eq!(cast.presented(&seed), 1);
    }
    assert!(second.is_alive());
}
