//! One cell of a table: a world in which one thing happens at one step.

use std::sync::Arc;
use std::time::{Duration, Instant};

use atlassian_sim::{Fault as Outage, FaultHandle, Rule};
use chrono::TimeDelta;
use control_plane::faults::{Fault, Faults, Requests, Side};
use jira_credential_operator::api::SecretKeyRef;
use jira_credential_operator::core::spec::grant_name;
use serde_json::json;

use super::witness::Witness;
use super::{Event, Step, Way};
use crate::support::{PATIENCE, Running, World};

/// More than what a takeover waits for.
const A_WHILE: TimeDelta = TimeDelta::seconds(95);

/// More than until what was replaced is ended.
const GRACE: TimeDelta = TimeDelta::minutes(6);

/// How late an answer of the API server comes to a step that somebody acts at: less than what
/// counts as quiet, so that no time passes meanwhile.
const LATE: Duration = Duration::from_millis(300);

struct Cell<W> {
    step: &'static Step,
    event: Event,
    world: Arc<World>,
    way: W,
    witness: Witness<W>,
    blow: Option<Blow>,
}

/// Lets an event happen at a step, and says what came of it.
pub(super) async fn run<W: Way>(step: &'static Step, event: Event) -> String {
    let (mut cell, operator) = Cell::<W>::begin(step, event).await;
    let operators = cell.happen(operator).await;
    let word = cell.settle(&operators).await;
    cell.judge(word).await
}

impl<W: Way> Cell<W> {
    async fn begin(step: &'static Step, event: Event) -> (Self, Running) {
        let world = Arc::new(World::new().await);
        let operator = if event == Event::LeaderChange {
            // Who is overtaken hears an answer all the same, far too late.
            world.patient_operator().await
        } else {
            world.operator().await
        };
        let way = W::begin(&world).await;
        world.wait_ready("bot").await;
        operator.quiet().await;
        let witness = Witness::of(world.clone());
        let cell = Self {
            step,
            event,
            world,
            way,
            witness,
            blow: None,
        };
        if step.late {
            let first = cell.shown().await;
            cell.world.advance(W::DUE);
            operator.look_again(1).await;
            assert_ne!(cell.shown().await, first, "nothing was replaced");
        }
        (cell, operator)
    }

    async fn shown(&self) -> String {
        W::shown(&self.world.secrets().get("bot").await.unwrap())
    }

    /// Until the step comes.
    fn due(&self) -> TimeDelta {
        if self.step.late { GRACE } else { W::DUE }
    }

    fn request(&self) -> (Requests, usize) {
        let (verb, resource, nth) = self.step.write;
        (Requests::verb(verb).resource(resource), nth)
    }

    /// A rule for the call of this step, if it is one.
    fn call(&self, fault: Outage) -> Option<Rule> {
        self.step.call.map(|call| call(&self.world, fault))
    }

    fn fall_due(&self, operator: &Running) {
        self.world.advance(self.due());
        operator.poke();
    }

    /// Lets the step begin, and be done by the server, and not be answered yet.
    async fn reach(&self, operator: &Running) -> Paused {
        if let Some(call) = self.call(Outage::HangAfter) {
            let hang = self.world.sim.hang_after(call);
            self.fall_due(operator);
            tokio::time::timeout(PATIENCE, hang.reached(1))
                .await
                .unwrap();
            return Paused(Some(hang));
        }
        let (requests, nth) = self.request();
        let before = operator.faults.count(&requests);
        let delay = Fault::DelayAfter(LATE);
        operator.faults.add(requests.clone(), nth..=nth, delay);
        self.fall_due(operator);
        until(|| operator.faults.count(&requests) >= before + nth).await;
        Paused(None)
    }

    /// Lets the event happen. Returns the operators that go on.
    async fn happen(&mut self, operator: Running) -> Vec<Running> {
        match self.event {
            Event::CrashBefore => self.crash(operator, Side::Before, TimeDelta::zero()).await,
            Event::CrashAfter => self.crash(operator, Side::After, TimeDelta::zero()).await,
            Event::AwayForLong => self.crash(operator, Side::After, W::AWAY.0).await,
            Event::AnswerLost | Event::CommittedUnheard | Event::Conflict
                if self.step.call.is_none() =>
            {
                let (requests, nth) = self.request();
                let fault = match self.event {
                    Event::AnswerLost => Fault::LostAnswer,
                    Event::Conflict => Fault::Status(409),
                    _ => Fault::LostAnswerStatus(504),
                };
                operator.faults.add(requests, nth..=nth, fault);
                self.blow = Some(Blow::AtRequests(operator.faults.clone()));
                self.fall_due(&operator);
                vec![operator]
            }
            Event::AnswerLost => {
                let lost = self.call(Outage::DropAfter).map(Rule::once);
                let lost = self.world.sim.fault(lost.unwrap());
                self.blow = Some(Blow::AtCalls(lost));
                self.fall_due(&operator);
                vec![operator]
            }
            Event::CommittedUnheard => {
                let (requests, nth) = self.request();
                let fault = Fault::LostAnswerStatus(504);
                operator.faults.add(requests, nth..=nth, fault);
                self.blow = Some(Blow::AtRequests(operator.faults.clone()));
                self.fall_due(&operator);
                vec![operator]
            }
            Event::Conflict => {
                let paused = self.reach(&operator).await;
                let (name, key) = W::PLACE;
                let (name, key) = (name.to_owned(), key.to_owned());
                let grant = grant_name(&SecretKeyRef { name, key });
                let label = json!({"metadata": {"labels": {"team": "a"}}});
                self.world.edit_secret(&grant, label.clone()).await;
                self.world.edit_secret("bot", label).await;
                paused.go_on();
                vec![operator]
            }
            Event::ApiServerDown => {
                self.blow = Some(Blow::AtRequests(operator.faults.clone()));
                self.take_the_api_server_away(operator).await
            }
            Event::JiraDown | Event::RateLimit | Event::ServerError => {
                self.blow = Some(Blow::AtCalls(self.trouble_jira()));
                self.fall_due(&operator);
                vec![operator]
            }
            Event::LeaderChange => self.change_leader(operator).await,
            Event::SecondReplica => self.race(operator).await,
            Event::SeedEdited | Event::AppliedAnew | Event::TargetDeleted => {
                let paused = self.reach(&operator).await;
                self.let_a_person_act().await;
                paused.go_on();
                vec![operator]
            }
        }
    }

    async fn crash(&self, operator: Running, side: Side, away: TimeDelta) -> Vec<Running> {
        let hang = self.stop(&operator, side).await;
        operator.crash();
        drop(hang);
        self.world.advance(away);
        vec![self.world.operator().await]
    }

    /// Lets a renewal begin and the operator hang at the step.
    async fn stop(&self, operator: &Running, side: Side) -> Option<FaultHandle> {
        let fault = match side {
            Side::Before => Outage::HangBefore,
            Side::After => Outage::HangAfter,
        };
        if let Some(call) = self.call(fault) {
            let hang = self.world.sim.fault(call.once());
            self.fall_due(operator);
            tokio::time::timeout(PATIENCE, hang.reached(1))
                .await
                .unwrap();
            return Some(hang);
        }
        let (requests, nth) = self.request();
        let mut stop = operator.faults.stop_at(requests, nth, side);
        self.fall_due(operator);
        tokio::time::timeout(PATIENCE, stop.reached())
            .await
            .unwrap();
        None
    }

    async fn take_the_api_server_away(&self, operator: Running) -> Vec<Running> {
        let away = |operator: &Running| {
            let faults = &operator.faults;
            faults.add(Requests::any(), 1..=6, Fault::Unreachable);
        };
        if self.step.call.is_some() {
            let paused = self.reach(&operator).await;
            away(&operator);
            paused.go_on();
            return vec![operator];
        }
        let (requests, nth) = self.request();
        let before = operator.faults.count(&requests);
        operator
            .faults
            .add(requests.clone(), nth..=nth, Fault::Unreachable);
        self.fall_due(&operator);
        until(|| operator.faults.count(&requests) >= before + nth).await;
        away(&operator);
        vec![operator]
    }

    /// From this step on Jira is in trouble for three minutes, and the token endpoint with it.
    fn trouble_jira(&self) -> FaultHandle {
        let fault = match self.event {
            Event::JiraDown => Outage::DropBefore,
            Event::RateLimit => Outage::RateLimit {
                retry_after: Some(60),
                html: false,
            },
            _ => Outage::ServerError { status: 502 },
        };
        let before = W::STEPS.iter();
        let before = before.take_while(|step| step.name != self.step.name);
        let before = before.filter(|step| self.is_call_of_its_phase(step));
        let end = self.world.clock.now() + self.due() + TimeDelta::minutes(3);
        let rule = Rule::new(fault).skip(before.count() as u64).until(end);
        self.world.sim.fault(rule)
    }

    fn is_call_of_its_phase(&self, step: &Step) -> bool {
        step.late == self.step.late && step.call.is_some()
    }

    /// Whether the event can strike: Jira's troubles are none when it is not asked any more.
    fn can_strike(&self) -> bool {
        let rest = W::STEPS.iter();
        let mut rest = rest.skip_while(|step| step.name != self.step.name);
        rest.any(|step| self.is_call_of_its_phase(step)) || !self.event.is_of_jira()
    }

    async fn change_leader(&self, operator: Running) -> Vec<Running> {
        let hang = self.stop(&operator, Side::After).await;
        let next = self.world.operator().await;
        // A login is repeated after five minutes.
        for _ in 0..4 {
            self.world.advance(A_WHILE);
            next.look_again(1).await;
        }
        if let Some(hang) = hang {
            hang.release();
        }
        vec![operator, next]
    }

    async fn race(&mut self, operator: Running) -> Vec<Running> {
        let second = self.world.operator().await;
        second.quiet().await;
        if let Some(slow) = self.call(Outage::Latency { millis: 300 }) {
            // Whichever of the two makes the call.
            let slow = self.world.sim.fault(slow.once());
            self.blow = Some(Blow::AtCalls(slow));
        } else {
            let (requests, nth) = self.request();
            let delay = Fault::DelayBefore(Duration::from_millis(300));
            operator.faults.add(requests, nth..=nth, delay);
        }
        self.fall_due(&operator);
        second.poke();
        vec![operator, second]
    }

    async fn let_a_person_act(&mut self) {
        match self.event {
            Event::SeedEdited => self.way.store_again(&self.world).await,
            Event::AppliedAnew => {
                self.world.delete("bot").await;
                self.way.apply(&self.world).await;
            }
            _ => self.world.delete_secret("bot").await,
        }
    }

    /// Lets time pass until everything is in order, or a person has to act.
    async fn settle(&self, operators: &[Running]) -> &'static str {
        if self.event == Event::SeedEdited {
            self.until_the_edit_is_read().await;
        }
        let mut last = String::new();
        for _ in 0..16 {
            for operator in operators {
                operator.poke();
                operator.quiet().await;
            }
            match self.way.state(&self.world).await {
                Ok(word) => return word,
                Err(state) => last = state,
            }
            self.world.advance(A_WHILE);
        }
        panic!("{} {:?}: {last}", self.step.name, self.event);
    }

    /// Waits for the operator to read what a person has stored: a watch may be late.
    async fn until_the_edit_is_read(&self) {
        let (name, _) = W::PLACE;
        let stored = self.world.secrets().get(name).await.unwrap();
        let stored = stored.metadata.resource_version;
        self.world
            .until("the edited Secret to be read", async || {
                let status = self.world.credential("bot").await.status?;
                let read = status.sources.iter().find(|source| source.name == name)?;
                (Some(&read.resource_version) == stored.as_ref()).then_some(())
            })
            .await;
    }

    async fn judge(&self, word: &'static str) -> String {
        let at = format!("{} {:?}", self.step.name, self.event);
        let (unvalidated, dead) = self.witness.saw();
        assert!(
            unvalidated.is_empty(),
            "{at}: published unvalidated: {unvalidated:?}"
        );
        // Nobody is there to replace what ends meanwhile.
        let alone = self.event == Event::AwayForLong;
        assert!(
            dead.is_empty() || alone,
            "{at}: published and dead: {dead:?}"
        );
        let word = self.way.judge(&self.world, (self.step, self.event), word);
        let word = word.await;
        let struck = self.blow.as_ref().is_none_or(Blow::has_struck);
        assert!(struck || !self.can_strike(), "{at}: nothing happened");
        if !struck {
            return "–".to_owned();
        }
        if dead.is_empty() || !word.starts_with("kept") {
            word
        } else {
            format!("{word}, after a gap")
        }
    }
}

/// What an event does harm to.
enum Blow {
    /// Requests to the API server.
    AtRequests(Faults),
    /// Calls to Jira.
    AtCalls(FaultHandle),
}

impl Blow {
    fn has_struck(&self) -> bool {
        match self {
            Blow::AtRequests(faults) => faults.struck() > 0,
            Blow::AtCalls(fault) => fault.hits() > 0,
        }
    }
}

/// A step that the server has done and the operator has not heard of.
struct Paused(Option<FaultHandle>);

impl Paused {
    fn go_on(self) {
        if let Some(hang) = self.0 {
            hang.release();
        }
    }
}

async fn until(holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
