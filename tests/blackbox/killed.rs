//! SIGKILL, and what the next process makes of it.

use std::time::Duration;

use atlassian_sim::{Fault, Rule, Token};
use jira_credential_operator::api::{ConditionStatus, ConditionType, RENEW_ANNOTATION, Reason};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;

use crate::process::PATIENCE;
use crate::stage::{Stage, texts};

/// Waits until Jira has the call and does not answer it.
async fn is_called(hang: &atlassian_sim::FaultHandle) {
    let called = tokio::time::timeout(PATIENCE, hang.reached(1));
    called.await.unwrap();
}

async fn assert_published(stage: &Stage, target: &str, token: &Token) {
    let secret = stage.secrets().get(target).await.unwrap();
    assert_eq!(texts(&secret)["token"], token.secret());
    assert_eq!(texts(&secret)["authorization"], token.basic());
}

/// The names of the Secrets in the namespace.
async fn names(stage: &Stage) -> Vec<String> {
    let secrets = stage.secrets().list(&ListParams::default()).await.unwrap();
    secrets.iter().map(ResourceExt::name_any).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nobody_waits_for_any_more_is_made_again() {
    let stage = Stage::new().await;
    for (name, fault) in [("before", Fault::HangBefore), ("after", Fault::HangAfter)] {
        let operator = stage.operator().await;
        let hang = stage.sim.fault(Rule::new(fault).once());
        let token = stage.api_token(name).await;
        is_called(&hang).await;
        operator.kill();
        let mut next = stage.operator().await;
        stage.wait_ready(name).await;
        assert_published(&stage, name, &token).await;
        stage.assert_at_rest(&mut next).await;
    }
    assert_eq!(stage.calls().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_not_sent_again_until_a_person_asks() {
    let stage = Stage::new().await;
    let operator = stage.operator().await;
    let hang = stage.sim.hang_after(Rule::new(Fault::HangAfter));
    let password = stage.password("robot").await;
    is_called(&hang).await;
    operator.kill();
    stage.sim.wait_for_calls(1, |_| true).await;
    let mut next = stage.operator().await;
    let valid = stage.wait(
        "robot",
        ConditionType::Valid,
        ConditionStatus::Unknown,
        Reason::NotValidated,
    );
    let message = valid.await.message;
    assert!(message.contains("interrupted"), "{message}");
    stage.assert_at_rest(&mut next).await;
    assert_eq!(stage.calls().len(), 1);

    let renew = json!({"metadata": {"annotations": {RENEW_ANNOTATION: "please"}}});
    stage.merge("robot", renew).await;
    stage.wait_ready("robot").await;
    let secret = stage.secrets().get("robot").await.unwrap();
    assert_eq!(texts(&secret)["password"], password);
    stage.assert_at_rest(&mut next).await;
    assert_eq!(stage.calls().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_that_were_begun_are_finished() {
    let stage = Stage::new().await;
    let operator = stage.operator().await;
    let token = stage.rotate("bot").await;
    let targets = |version: &str| {
        let names = (0..8).map(|n| format!("{version}-{n}"));
        names.collect::<Vec<_>>()
    };
    let spec = |names: &[String]| {
        let targets: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"targets": targets})
    };
    let (old, new) = (targets("old"), targets("new"));
    let mut first = stage.api_token_spec("bot");
    first["targets"] = spec(&old)["targets"].clone();
    stage.create("bot", first).await;
    stage.wait_target(&old[0], |_| true).await;
    operator.kill();

    let operator = stage.operator().await;
    stage.wait_ready("bot").await;
    for name in &old {
        assert_published(&stage, name, &token).await;
    }
    // Renamed: all new ones come before the first old one goes.
    stage.merge("bot", json!({"spec": spec(&new)})).await;
    stage.wait_target(&new[0], |_| true).await;
    operator.kill();

    let mut operator = stage.operator().await;
    stage.wait_ready("bot").await;
    for name in &new {
        assert_published(&stage, name, &token).await;
    }
    let mut expected = new.clone();
    expected.insert(0, "bot-source".into());
    assert_eq!(names(&stage).await, expected);
    stage.assert_at_rest(&mut operator).await;
    assert!(stage.calls().len() <= 2);
}

/// Spread over the time that a rotation takes, without a pattern, and the same in every run.
fn moments() -> impl Iterator<Item = Duration> {
    let mut state = 0x2545_f491_u32;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        Duration::from_millis(u64::from(state % 120))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_it_is_killed_the_last_token_is_published_in_the_end() {
    const BOTS: [&str; 3] = ["a", "b", "c"];
    let stage = Stage::new().await;
    for name in BOTS {
        stage.api_token(name).await;
    }
    for moment in moments().take(20) {
        let operator = stage.operator().await;
        for name in BOTS {
            stage.rotate(name).await;
        }
        // No synchronisation: any moment will do.
        tokio::time::sleep(moment).await;
        operator.kill();
    }
    let mut last = Vec::new();
    for name in BOTS {
        last.push(stage.rotate(name).await);
    }
    let mut operator = stage.operator().await;
    for (name, token) in BOTS.into_iter().zip(&last) {
        stage
            .wait_target(name, |data| {
                data.get("token").map(String::as_str) == Some(token.secret())
            })
            .await;
        stage.wait_ready(name).await;
        assert_published(&stage, name, token).await;
    }
    let sources = BOTS.map(|name| format!("{name}-source"));
    let mut expected: Vec<String> = BOTS.map(str::to_owned).into_iter().chain(sources).collect();
    expected.sort();
    assert_eq!(names(&stage).await, expected);
    stage.assert_at_rest(&mut operator).await;
}
