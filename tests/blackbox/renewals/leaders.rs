//! Replicas of which one leads, killed and frozen while tokens are renewed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atlassian_sim::{Fault, Rule, Spend, SpendOutcome};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::cast::{Cast, Tempo};
use super::dice::Dice;
use super::ledger::Lives;
use super::readers::Seen;
use super::report::{Report, number};
use crate::process::{PATIENCE, Process};
use crate::stage::Stage;

/// The times of the election are those of a real one, divided by this.
const LEASE_PACE: u32 = 2;

/// A leader, and who follows it.
struct Pair {
    leader: Process,
    standby: Process,
}

impl Pair {
    async fn start(stage: &Stage) -> Self {
        let mut leader = stage.operator().await;
        leader.until_it_leads().await;
        let standby = stage.operator().await;
        Self { leader, standby }
    }

    /// The leader is gone, and the other leads; a new one stands by.
    async fn follow(self, stage: &Stage) -> (Process, Self) {
        let Self {
            leader,
            mut standby,
        } = self;
        standby.until_it_leads().await;
        let next = Self {
            leader: standby,
            standby: stage.operator().await,
        };
        (leader, next)
    }
}

async fn ends_by_loss(process: &mut Process) {
    let status = process.ended(PATIENCE).await;
    assert_eq!(status.code(), Some(1), "{}", process.log());
}

/// When a leader was killed or frozen: not before the first time, not after the second.
struct End(DateTime<Utc>, DateTime<Utc>);

/// Each token is exchanged once. It is presented again only where a leader ended before it had stored the
/// answer, and once for each such end.
fn exchanged_once(spends: &[Spend], ends: &[End], store: TimeDelta) -> Result<(), String> {
    // A request may be carried out a moment after its sender died.
    let dying = TimeDelta::milliseconds(300);
    let mut last: BTreeMap<&str, DateTime<Utc>> = BTreeMap::new();
    for spend in spends {
        let before = last.insert(&spend.token, spend.at);
        match (&spend.outcome, before) {
            (SpendOutcome::Exchanged { .. }, None) => {}
            (SpendOutcome::Replayed { .. }, Some(before)) => {
                let lost_it = |end: &&End| {
                    let End(from, to) = **end;
                    from <= before + store && before <= to + dying && from <= spend.at
                };
                if !ends.iter().any(|end| lost_it(&end)) {
                    return Err(format!(
                        "{} was presented at {before} and {}, and nobody ended in between: {spends:#?}",
                        spend.token, spend.at,
                    ));
                }
            }
            other => return Err(format!("{other:?}: {spend:?}")),
        }
    }
    Ok(())
}

#[test]
fn what_two_leaders_present_is_noticed() {
    let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let at = |seconds| start + TimeDelta::seconds(seconds);
    let end = |seconds| End(at(seconds), at(seconds));
    let spend = |number, seconds, outcome| Spend {
        number,
        family: Some(1),
        token: "rt-1".to_owned(),
        at: at(seconds),
        attempt: None,
        outcome,
        answered: true,
    };
    let first = || SpendOutcome::Exchanged {
        successor: "rt-2".into(),
    };
    let again = || SpendOutcome::Replayed {
        successor: "rt-3".into(),
    };
    let twice = [spend(1, 10, first()), spend(2, 16, again())];
    let thrice = [
        spend(1, 10, first()),
        spend(2, 16, again()),
        spend(3, 30, again()),
    ];
    for (spends, ends, good) in [
        (&twice[..1], vec![], true),
        (&twice[..], vec![end(11)], true),
        (&twice[..], vec![], false),
        (&twice[..], vec![end(5), end(14), end(17)], false),
        (&thrice[..], vec![end(11), end(17)], true),
        (&thrice[..], vec![end(11)], false),
        (
            &[spend(1, 10, first()), spend(2, 16, first())][..],
            vec![end(11)],
            false,
        ),
    ] {
        let said = exchanged_once(spends, &ends, TimeDelta::seconds(2));
        assert_eq!(said.is_ok(), good, "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_that_are_killed_and_frozen_at_random_spend_each_token_once() {
    let mut stage = Stage::new().await;
    stage.elect(LEASE_PACE).await;
    let (refreshes, grants) = (number("JCO_LEADER_REFRESHES", 40), 10);
    let tempo = Tempo::divided_by(20, TimeDelta::seconds(16));
    let cast = Arc::new(Cast::gather(stage, tempo, grants).await);
    let (stage, sim) = (&cast.stage, &cast.stage.sim);
    let mut dice = Dice::new(number("JCO_KILL_SEED", 20_261_129) as u64);
    let mut lives = Lives::new(&cast.tempo);
    let mut pair = Pair::start(stage).await;
    lives.begin(sim.clock().now());
    cast.settled().await;

    let (mut kills, mut frozen, mut ends) = (0, 0, Vec::new());
    while sim.spends().len() < refreshes {
        let moment = Duration::from_micros(dice.below(4_000_000));
        // No synchronisation: any moment will do.
        tokio::time::sleep(moment).await;
        let is_frozen = dice.below(3) == 0;
        let mut begin = sim.clock().now();
        if pair.leader.has_ended() {
            // On a machine that is too busy it may lose its lease by itself, at some time since the last end.
            println!("a leader was too slow");
            begin = ends.last().map_or(begin, |End(_, to)| *to);
        } else if is_frozen {
            pair.leader.stop();
        } else {
            pair.leader.terminate_by_force();
        }
        ends.push(End(begin, sim.clock().now()));
        let (mut gone, next) = pair.follow(stage).await;
        pair = next;
        if gone.has_ended() {
            kills += 1;
        } else if is_frozen {
            frozen += 1;
            gone.go_on();
            ends_by_loss(&mut gone).await;
        }
        lives.begin(sim.clock().now());
    }
    cast.settled().await;
    let report = Report::of("killed leaders", &cast, &lives, &[], &Seen::default()).await;
    report.tell();
    println!("{kills} leaders killed, {frozen} frozen");
    assert_eq!(report.tally.lost, 0, "{report:#?}");
    exchanged_once(&sim.spends(), &ends, lives.store).unwrap();
}

/// A leader stands still between its decision and the call, and goes on while nobody has taken over its
/// attempt yet: what it decided is not for it to do any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stood_still_before_its_call_spends_nothing() {
    let mut stage = Stage::new().await;
    stage.elect(LEASE_PACE).await;
    // The protocol runs so slowly that the intent is still good, and not yet taken over, when the process
    // goes on.
    let tempo = Tempo {
        leeway: TimeDelta::zero(),
        ..Tempo::divided_by(2, TimeDelta::seconds(40))
    };
    let cast = Arc::new(Cast::gather(stage, tempo, 1).await);
    let (stage, sim) = (&cast.stage, &cast.stage.sim);
    let Pair {
        mut leader,
        mut standby,
    } = Pair::start(stage).await;
    cast.settled().await;
    // Every renewal makes two calls from now on: the client secret that is tried first is an old one.
    let old = [("secret", "the-client-secret-of-last-year")];
    stage.secret("old-client", &old).await;
    let secrets = ["old-client", "client"].map(|name| json!({"name": name, "key": "secret"}));
    let auth = json!({"oauth2": {"clientSecretRefs": secrets}});
    let rule = Rule::new(Fault::HangBefore)
        .host(sim.auth_host())
        .path("/oauth/token");
    let hang = sim.fault(rule.once());
    stage.merge("bot-0", json!({"spec": {"auth": auth}})).await;
    leader
        .until("waiting for an answer", |_| hang.hits() > 0)
        .await;
    let exchanged = || {
        let spends = sim.spends();
        let exchanged = |spend: &&Spend| matches!(spend.outcome, SpendOutcome::Exchanged { .. });
        spends.iter().filter(exchanged).count()
    };
    let before = exchanged();
    leader.stop();
    // The answer waits in the socket: the client secret is refused, and nothing is spent.
    hang.release();
    standby.until_it_leads().await;
    leader.go_on();
    ends_by_loss(&mut leader).await;
    assert_eq!(exchanged(), before, "{}", leader.log());

    // It has said that it sent nothing: the other need not wait for it.
    standby
        .until("with a token of its own", |_| exchanged() > before)
        .await;
    cast.settled().await;
    let spends = sim.spends();
    let harmless = |spend: &Spend| {
        let outcome = &spend.outcome;
        matches!(
            outcome,
            SpendOutcome::Exchanged { .. } | SpendOutcome::ClientRejected
        )
    };
    assert!(spends.iter().all(harmless), "{spends:#?}");
}
