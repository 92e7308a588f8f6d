//! Faults at the token endpoint, and what the ledger says of answers that never arrived.

#![allow(clippy::unwrap_used, reason = "a test file")]

mod support;

use atlassian_sim::{Fault, Rule, SpendOutcome, Verdict};
use chrono::TimeDelta;
use support::oauth::{USER, World, is_refused, world};

fn at_endpoint(w: &World, fault: Fault) -> Rule {
    Rule::new(fault)
        .host(w.sim.auth_host())
        .path("/oauth/token")
        .once()
}

/// A refresh whose answer may not arrive.
async fn attempt(w: &World, token: &str) -> Result<support::Answer, reqwest::Error> {
    w.send(w.client.post(w.url()).json(&w.body(token))).await
}

fn exchanged() -> SpendOutcome {
    let successor = "rt-2".to_owned();
    SpendOutcome::Exchanged { successor }
}

#[tokio::test]
async fn a_drop_before_spends_nothing() {
    let w = world();
    let seed = w.consent.refresh_token();
    w.sim.fault(at_endpoint(&w, Fault::DropBefore));
    assert!(attempt(&w, &seed).await.is_err());
    assert!(w.sim.spends().is_empty() && w.consent.holds_newest(&seed));
    w.later(TimeDelta::days(1));
    w.exchange(&seed).await;
}

#[tokio::test]
async fn a_drop_after_has_spent_the_token() {
    let w = world();
    let seed = w.consent.refresh_token();
    w.sim.fault(at_endpoint(&w, Fault::DropAfter));
    assert!(attempt(&w, &seed).await.is_err());
    let spend = w.sim.spends().pop().unwrap();
    assert_eq!((spend.outcome, spend.answered), (exchanged(), false));
    let call = w.sim.calls().pop().unwrap();
    assert_eq!((call.verdict, call.status), (Verdict::Accepted, None));
    assert!(!w.consent.holds_newest(&seed) && w.consent.is_alive());
    // The lost answer can be had once more, for ten minutes.
    w.later(TimeDelta::minutes(9));
    let (next, _) = w.exchange(&seed).await;
    assert!(w.sim.spends()[1].answered && !w.sim.spends()[0].answered);
    assert!(w.consent.holds_newest(&next));
    w.later(TimeDelta::minutes(1));
    is_refused(&w.refresh(&seed).await);
}

/// Answers that come in place of the endpoint's: the token is not touched.
#[tokio::test]
async fn answers_of_others_spend_nothing() {
    let w = world();
    let seed = w.consent.refresh_token();
    let faults = [
        (
            Fault::RateLimit {
                retry_after: Some(30),
                html: false,
            },
            429,
        ),
        (Fault::ServerError { status: 502 }, 502),
        (Fault::Unavailable { retry_after: None }, 503),
        (Fault::HtmlPage, 200),
    ];
    for (fault, status) in faults {
        w.sim.fault(at_endpoint(&w, fault));
        assert_eq!(w.refresh(&seed).await.status, status);
    }
    assert!(w.sim.spends().is_empty() && w.consent.holds_newest(&seed));
}

/// Answers on the way: the token is spent, and the ledger knows whether the new one came whole.
#[tokio::test]
async fn bent_answers() {
    let slow = Fault::SlowBody {
        chunk: 500,
        millis: 1,
    };
    let text = Fault::WrongContentType {
        content_type: "text/plain".to_owned(),
    };
    let cases = [
        (slow, true),
        (text, true),
        (Fault::Latency { millis: 1 }, true),
        (Fault::TruncatedBody, false),
        (Fault::GarbageJson, false),
        (Fault::ErrorAfter { status: 502 }, false),
    ];
    for (fault, answered) in cases {
        let w = world();
        w.sim.fault(at_endpoint(&w, fault.clone()));
        let _ = attempt(&w, &w.consent.refresh_token()).await;
        let spend = w.sim.spends().pop().unwrap();
        assert_eq!(
            (spend.outcome, spend.answered),
            (exchanged(), answered),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_hang_before_spends_when_it_is_released() {
    let w = world();
    let seed = w.consent.refresh_token();
    let hang = w.sim.hang_before(at_endpoint(&w, Fault::HangBefore));
    let (answer, ()) = tokio::join!(attempt(&w, &seed), async {
        hang.reached(1).await;
        assert!(w.sim.spends().is_empty() && w.consent.holds_newest(&seed));
        hang.release();
    });
    assert_eq!(answer.unwrap().status, 200);
    assert!(w.sim.spends()[0].answered);
}

/// The client dies between the commit and the answer: the worst case.
#[tokio::test]
async fn a_hang_after_has_spent_the_token() {
    let w = world();
    let seed = w.consent.refresh_token();
    let hang = w.sim.hang_after(at_endpoint(&w, Fault::HangAfter));
    let request = w.client.post(w.url()).json(&w.body(&seed));
    let waiting = tokio::spawn(request.send());
    let spends = w.sim.wait_for_spends(1).await;
    hang.reached(1).await;
    assert_eq!(
        (&spends[0].outcome, spends[0].answered),
        (&exchanged(), false)
    );
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    w.sim.wait_for_calls(1, |call| call.status.is_none()).await;
    hang.release();
    assert!(!w.sim.spends()[0].answered, "the client had gone");
    w.exchange(&seed).await;
}

#[tokio::test]
async fn a_released_hang_after_is_answered() {
    let w = world();
    let seed = w.consent.refresh_token();
    let hang = w.sim.hang_after(at_endpoint(&w, Fault::HangAfter));
    let (answer, ()) = tokio::join!(attempt(&w, &seed), async {
        hang.reached(1).await;
        assert!(!w.sim.spends()[0].answered);
        hang.release();
    });
    let next = answer.unwrap().json()["refresh_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(w.consent.holds_newest(&next) && w.sim.spends()[0].answered);
}

/// Rules can be aimed at the token in the body and at its owner.
#[tokio::test]
async fn rules_aim_at_token_and_owner() {
    let w = world();
    let boom = || at_endpoint(&w, Fault::ServerError { status: 500 });
    let by_token = |id: &str| Rule {
        token_id: Some(id.to_owned()),
        ..boom()
    };
    let cases = [
        (boom().user(USER), 500),
        (boom().user("else@acme.example"), 200),
        (by_token("rt-2"), 500),
        (by_token("rt-9"), 200),
        (boom().path("/oauth/other"), 200),
    ];
    let mut token = w.exchange(&w.consent.refresh_token()).await.0;
    for (mut rule, status) in cases {
        if rule.token_id.as_deref() == Some("rt-2") {
            rule.token_id = Some(w.id(&token));
        }
        let handle = w.sim.fault(rule.clone());
        let answer = w.refresh(&token).await;
        assert_eq!(answer.status, status, "{rule:?}");
        if status == 200 {
            answer.json()["refresh_token"]
                .as_str()
                .unwrap()
                .clone_into(&mut token);
        }
        handle.remove();
    }
}
