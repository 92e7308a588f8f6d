//! Tokens that nobody knows, or nobody needs any more: each is revoked, and nothing else is.

use std::collections::BTreeMap;

use atlassian_sim::{Canned, Fault, Pat, Token};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};

use super::adopted;
use crate::support::{Running, World, says};

/// A token that has made its successor, of which nobody has heard.
async fn strayed() -> (World, Running, Token) {
    let (world, operator, token) = adopted().await;
    world.sim.fault(world.at_tokens("POST", Fault::DropAfter));
    world.advance(TimeDelta::days(76));
    operator.look_again(1).await;
    assert_eq!(world.pats().len(), 2, "one that nobody knows");
    (world, operator, token)
}

/// Who asked for a successor once is answered once; what became of a lost answer is found out all
/// the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_a_person_asked_for_and_whose_answer_was_lost_leaves_no_stray() {
    let (world, operator, token) = adopted().await;
    world.advance(TimeDelta::days(10));
    world.sim.fault(world.at_tokens("POST", Fault::DropAfter));
    world.annotate("bot", "jira-operator.dev/renew", "1").await;
    operator.look_again(1).await;
    operator.quiet().await;
    assert_eq!(world.pats().len(), 2, "one that nobody knows");
    world.advance(TimeDelta::minutes(30));
    operator.look_again(1).await;
    world.until_other("bot", "token", token.secret()).await;
    world.grace(&operator, 1).await;
    assert_eq!(world.pats().len(), 1);
    assert!(world.data_center().accepts(&world.pat_of("bot").await));
}

/// A stray is looked for in the name of the token that made it: what a person stored meanwhile may
/// be of another account.
#[tokio::test(flavor = "multi_thread")]
async fn a_stray_of_a_token_that_a_person_replaced_is_revoked_with_it() {
    let (world, operator, token) = strayed().await;
    let jira = world.data_center();
    let other = world.replaced_by_another(&operator).await;
    assert!(jira.accepts(token.secret()), "its pods may still use it");
    world.grace(&operator, 1).await;
    assert_eq!(world.pats().len(), 0);
    assert!(jira.accepts(other.secret()));
    let grant = world.pat_grant("bot").await;
    assert!(grant["intent"].is_null(), "{grant}");
}

/// What a token made while another one took its place is nobody's, and ends itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_comes_too_late_for_its_chain_is_revoked() {
    let world = World::new().await;
    let operator = world.patient_operator().await;
    let token = world.made_by_hand("bot").await;
    for name in ["bot", "twin"] {
        world.create(name, world.automatic_spec("bot")).await;
        world.wait_ready(name).await;
    }
    operator.quiet().await;
    let rule = world.at_tokens("POST", Fault::HangAfter);
    let hang = world.sim.hang_after(rule);
    world.advance(TimeDelta::days(76));
    operator.poke();
    hang.reached(1).await;
    assert_eq!(world.pats().len(), 2);
    // Whichever of the two does not wait adopts what a person stores, and puts it in place.
    let fresh = world.made_by_hand("bot").await;
    world
        .until("one shows what was stored", || async {
            let shown = [world.pat_of("bot").await, world.pat_of("twin").await];
            shown
                .iter()
                .any(|token| token == fresh.secret())
                .then_some(())
        })
        .await;
    hang.release();
    for name in ["bot", "twin"] {
        world.until_value(name, "token", fresh.secret()).await;
    }
    operator.quiet().await;
    world.grace(&operator, 2).await;
    let ids: Vec<String> = world.pats().iter().map(Pat::token_id).collect();
    assert_eq!(ids, [fresh.id()], "instead of {}", token.id());
}

/// Who was held up before it saw the list sees in it what somebody else has made since.
#[tokio::test(flavor = "multi_thread")]
async fn an_overtaken_attempt_revokes_no_token_of_the_newer_one() {
    let world = World::new().await;
    let operator = world.patient_operator().await;
    let token = world.made_by_hand("bot").await;
    world.create("bot", world.automatic_spec("bot")).await;
    world.wait_ready("bot").await;
    operator.quiet().await;
    let hang = world
        .sim
        .hang_before(world.at_tokens("GET", Fault::HangBefore));
    world.advance(TimeDelta::days(76));
    operator.poke();
    hang.reached(1).await;
    let next = world.operator().await;
    for _ in 0..2 {
        world.advance(TimeDelta::minutes(2));
        next.look_again(1).await;
    }
    let second = world.until_other("bot", "token", token.secret()).await;
    hang.release();
    operator.quiet().await;
    assert!(world.data_center().accepts(&second), "pods use it");
    world.grace(&next, 1).await;
    let pats = world.pats();
    assert!(world.data_center().accepts(&second), "{pats:?}");
    assert_eq!(pats.len(), 1, "{pats:?}");
}

/// Whichever of several replaced tokens ends first, the stray is looked for by all of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_stray_is_looked_for_until_the_last_that_may_have_made_it_has_ended() {
    let (world, operator, token) = strayed().await;
    let jira = world.data_center();
    let second = world.replaced_by_another(&operator).await;
    let third = world.replaced_by_another(&operator).await;
    // The one that made it cannot ask at first, so that the one after it ends before it.
    let busy = Fault::ServerError { status: 502 };
    world.sim.fault(world.at_tokens("GET", busy));
    world.advance(TimeDelta::minutes(6));
    operator.look_again(1).await;
    assert!(jira.accepts(token.secret()));
    assert!(!jira.accepts(second.secret()), "it has ended");
    world.grace(&operator, 1).await;
    assert_eq!(world.pats().len(), 0);
    let left: Vec<String> = jira.pats_of("other").iter().map(Pat::token_id).collect();
    assert_eq!(left, [third.id()]);
    let grant = world.pat_grant("bot").await;
    assert!(grant["intent"].is_null(), "{grant}");
}

/// A refusal to end a token may be a failure of Jira's that passes.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_refused_at_its_end_is_asked_about_twice() {
    let (world, operator, token) = adopted().await;
    world.advance(TimeDelta::days(76));
    operator.look_again(1).await;
    world.until_other("bot", "token", token.secret()).await;
    let headers = [
        ("content-type", "application/json"),
        ("x-seraph-loginreason", "AUTHENTICATED_FAILED"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let refusal = Canned {
        status: 401,
        headers: BTreeMap::from(headers),
        body: "{}".to_owned(),
    };
    let revoke = world.data_center().at_pats(Fault::Canned(refusal));
    world.sim.fault(revoke.method("DELETE").once());
    world.advance(TimeDelta::minutes(2));
    operator.look_again(1).await;
    world.advance(TimeDelta::minutes(6));
    operator.look_again(1).await;
    assert!(world.data_center().accepts(token.secret()), "not yet");
    let kept = world.pat_grant("bot").await["retired"].clone();
    assert_eq!(kept.as_array().map_or(0, Vec::len), 1, "not forgotten");
    world.advance(TimeDelta::minutes(2));
    operator.look_again(1).await;
    assert!(!world.data_center().accepts(token.secret()));
    assert_eq!(world.pats().len(), 1);
    let grant = world.pat_grant("bot").await;
    assert!(
        grant["retired"].as_array().is_none_or(Vec::is_empty),
        "{grant}"
    );
}

/// Two grants with one token would each make successors and revoke it: the younger one says that it
/// waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_an_older_grant_rotates_is_left_to_it() {
    let (world, operator, token) = adopted().await;
    world.advance(TimeDelta::seconds(1));
    world.secret("twin-pat", &[("token", token.secret())]).await;
    world.create("twin", world.automatic_spec("twin")).await;
    let (ready, conflict) = (ConditionType::Ready, Reason::GrantConflict);
    let waiting = async || {
        let object = world
            .wait("twin", ready, ConditionStatus::False, conflict)
            .await;
        let stalled = says(&object, ConditionType::Stalled);
        assert_eq!(stalled.reason, conflict);
        assert!(stalled.message.contains("twin-pat"), "{}", stalled.message);
    };
    waiting().await;
    world.advance(TimeDelta::days(76));
    operator.look_again(2).await;
    world.until_other("bot", "token", token.secret()).await;
    waiting().await;
    assert_eq!(world.mints(), 1);
}
