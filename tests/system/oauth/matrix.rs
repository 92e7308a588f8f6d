//! Every step of a renewal, and everything that can happen at it. The table in the documents is
//! printed from here.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use atlassian_sim::{
    Call, Consent, Fault as Outage, FaultHandle, OAuthApp, Rule, SpendOutcome, Verdict,
};
use chrono::TimeDelta;
use control_plane::faults::{Fault, Requests, Side, Verb};
use futures::{StreamExt, stream};
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use jira_credential_operator::core::conditions::condition;
use serde_json::json;

use super::{RENEWAL_IS_DUE, SCOPES, grant_of};
use crate::support::{PATIENCE, Running, World};

/// Where the table is kept.
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/renewal-matrix.md");

/// Set to have the table written in place of compared.
const WRITE: &str = "JCO_WRITE_MATRIX";

/// Cells at a time.
const ABREAST: usize = 4;

/// More than what a takeover waits for.
const A_WHILE: TimeDelta = TimeDelta::seconds(95);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Intend,
    Renew,
    Keep,
    Prove,
    Publish,
    Status,
}

const STEPS: [Step; 6] = [
    Step::Intend,
    Step::Renew,
    Step::Keep,
    Step::Prove,
    Step::Publish,
    Step::Status,
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Event {
    CrashBefore,
    CrashAfter,
    AwayForLong,
    AnswerLost,
    Conflict,
    ApiServerDown,
    CommittedUnheard,
    JiraDown,
    RateLimit,
    ServerError,
    LeaderChange,
    SecondReplica,
    SeedEdited,
    AppliedAnew,
    TargetDeleted,
}

const EVENTS: [(Event, &str); 15] = [
    (Event::CrashBefore, "the process dies before it"),
    (Event::CrashAfter, "the process dies after it"),
    (Event::AwayForLong, "… and nobody is back for 25 minutes"),
    (Event::AnswerLost, "its answer is lost"),
    (Event::Conflict, "somebody else writes at the same time"),
    (Event::ApiServerDown, "the API server goes away"),
    (
        Event::CommittedUnheard,
        "a write is done and reported as failed",
    ),
    (Event::JiraDown, "Atlassian is unreachable"),
    (Event::RateLimit, "Atlassian answers 429"),
    (Event::ServerError, "Atlassian answers 502"),
    (
        Event::LeaderChange,
        "another replica takes over, the first one hangs",
    ),
    (Event::SecondReplica, "a second replica is active all along"),
    (Event::SeedEdited, "a new consent is stored"),
    (
        Event::AppliedAnew,
        "the credential is deleted and applied again",
    ),
    (Event::TargetDeleted, "the published Secret is deleted"),
];

impl Step {
    fn is_call(self) -> bool {
        matches!(self, Step::Renew | Step::Prove)
    }

    /// The request to the API server, and which of its kind it is in a renewal.
    fn request(self) -> (Requests, usize) {
        match self {
            Step::Intend => (Requests::verb(Verb::Update).resource("secrets"), 1),
            Step::Renew | Step::Keep => (Requests::verb(Verb::Update).resource("secrets"), 2),
            Step::Prove | Step::Publish => (Requests::verb(Verb::Patch).resource("secrets"), 1),
            Step::Status => {
                let status = "jiracredentials/status";
                (Requests::verb(Verb::Patch).resource(status), 1)
            }
        }
    }
}

/// One cell of the table.
struct Cell {
    step: Step,
    event: Event,
    world: World,
    app: OAuthApp,
    /// The consent that counts in the end.
    consent: Consent,
    witness: Witness,
}

impl Cell {
    async fn begin(step: Step, event: Event) -> (Self, Running) {
        let world = World::new().await;
        let operator = world.operator().await;
        let (app, consent) = world.oauth("bot").await;
        world.wait_ready("bot").await;
        operator.quiet().await;
        let witness = Witness::of(&world);
        let cell = Self {
            step,
            event,
            world,
            app,
            consent,
            witness,
        };
        (cell, operator)
    }

    /// A rule for the call of this step.
    fn call(&self, fault: Outage) -> Rule {
        let sim = &self.world.sim;
        match self.step {
            Step::Prove => Rule::new(fault).host(sim.gateway_host()),
            _ => Rule::new(fault).host(sim.auth_host()),
        }
    }

    fn fall_due(&self, operator: &Running) {
        self.world.advance(RENEWAL_IS_DUE);
        operator.poke();
    }

    /// Lets the step begin, and be done by the server, and not be answered yet.
    async fn reach(&self, operator: &Running) -> Paused {
        if self.step.is_call() {
            let hang = self.world.sim.hang_after(self.call(Outage::HangAfter));
            self.fall_due(operator);
            tokio::time::timeout(PATIENCE, hang.reached(1))
                .await
                .unwrap();
            return Paused(Some(hang));
        }
        let (requests, nth) = self.step.request();
        let before = operator.faults.count(&requests);
        let delay = Fault::DelayAfter(Duration::from_millis(700));
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
            Event::AwayForLong => {
                let away = TimeDelta::minutes(25);
                self.crash(operator, Side::After, away).await
            }
            Event::AnswerLost | Event::CommittedUnheard | Event::Conflict
                if !self.step.is_call() =>
            {
                let (requests, nth) = self.step.request();
                let fault = match self.event {
                    Event::AnswerLost => Fault::LostAnswer,
                    Event::Conflict => Fault::Status(409),
                    _ => Fault::LostAnswerStatus(504),
                };
                operator.faults.add(requests, nth..=nth, fault);
                self.fall_due(&operator);
                vec![operator]
            }
            Event::AnswerLost => {
                self.world.sim.fault(self.call(Outage::DropAfter).once());
                self.fall_due(&operator);
                vec![operator]
            }
            Event::CommittedUnheard => {
                let (requests, nth) = self.step.request();
                let fault = Fault::LostAnswerStatus(504);
                operator.faults.add(requests, nth..=nth, fault);
                self.fall_due(&operator);
                vec![operator]
            }
            Event::Conflict => {
                let paused = self.reach(&operator).await;
                let grant = grant_of("bot");
                let label = json!({"metadata": {"labels": {"team": "a"}}});
                self.world.edit_secret(&grant, label.clone()).await;
                self.world.edit_secret("bot", label).await;
                paused.go_on();
                vec![operator]
            }
            Event::ApiServerDown => self.take_the_api_server_away(operator).await,
            Event::JiraDown | Event::RateLimit | Event::ServerError => {
                self.trouble_atlassian();
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
        if self.step.is_call() {
            let fault = match side {
                Side::Before => Outage::HangBefore,
                Side::After => Outage::HangAfter,
            };
            let hang = self.world.sim.fault(self.call(fault).once());
            self.fall_due(operator);
            tokio::time::timeout(PATIENCE, hang.reached(1))
                .await
                .unwrap();
            return Some(hang);
        }
        let (requests, nth) = self.step.request();
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
        if self.step.is_call() {
            let paused = self.reach(&operator).await;
            away(&operator);
            paused.go_on();
            return vec![operator];
        }
        let (requests, nth) = self.step.request();
        let before = operator.faults.count(&requests);
        operator
            .faults
            .add(requests.clone(), nth..=nth, Fault::Unreachable);
        self.fall_due(&operator);
        until(|| operator.faults.count(&requests) >= before + nth).await;
        away(&operator);
        vec![operator]
    }

    /// From this step on Atlassian is in trouble for three minutes.
    fn trouble_atlassian(&self) {
        let fault = match self.event {
            Event::JiraDown => Outage::DropBefore,
            Event::RateLimit => Outage::RateLimit {
                retry_after: Some(60),
                html: false,
            },
            _ => Outage::ServerError { status: 502 },
        };
        let end = self.world.clock.now() + RENEWAL_IS_DUE + TimeDelta::minutes(3);
        let rule = Rule::new(fault).until(end);
        let sim = &self.world.sim;
        let gateway = rule.clone().host(sim.gateway_host());
        match self.step {
            Step::Intend | Step::Renew => {
                sim.fault(rule.host(sim.auth_host()));
                sim.fault(gateway);
            }
            Step::Keep | Step::Prove => {
                sim.fault(gateway);
            }
            Step::Publish | Step::Status => {
                sim.fault(gateway.skip(1));
            }
        }
    }

    async fn change_leader(&self, operator: Running) -> Vec<Running> {
        let hang = self.stop(&operator, Side::After).await;
        let next = self.world.operator().await;
        for _ in 0..3 {
            self.world.advance(A_WHILE);
            next.look_again(1).await;
        }
        if let Some(hang) = hang {
            // The first one hears its answer, far too late.
            hang.release();
        }
        vec![operator, next]
    }

    async fn race(&self, operator: Running) -> Vec<Running> {
        let second = self.world.operator().await;
        second.quiet().await;
        if self.step.is_call() {
            let slow = self.call(Outage::Latency { millis: 300 });
            self.world.sim.fault(slow.once());
        } else {
            let (requests, nth) = self.step.request();
            let delay = Fault::DelayBefore(Duration::from_millis(300));
            operator.faults.add(requests, nth..=nth, delay);
        }
        self.fall_due(&operator);
        second.poke();
        vec![operator, second]
    }

    async fn let_a_person_act(&mut self) {
        let world = &self.world;
        match self.event {
            Event::SeedEdited => {
                let sites = [&world.cloud()];
                self.consent = self.app.consent("bot@acme.example", &sites, &SCOPES);
                world.seed("bot", &self.consent.refresh_token()).await;
            }
            Event::AppliedAnew => {
                world.delete("bot").await;
                world
                    .create("bot", world.oauth_spec("bot", &self.app))
                    .await;
            }
            _ => world.delete_secret("bot").await,
        }
    }

    /// Lets time pass until everything is in order, or a person has to act.
    async fn settle(&self, operators: &[Running]) -> &'static str {
        let mut last = String::new();
        for _ in 0..16 {
            for operator in operators {
                operator.poke();
                operator.quiet().await;
            }
            match self.state().await {
                Ok(word) => return word,
                Err(state) => last = state,
            }
            self.world.advance(A_WHILE);
        }
        panic!("{:?} {:?}: {last}", self.step, self.event);
    }

    async fn state(&self) -> Result<&'static str, String> {
        let object = self.world.credential("bot").await;
        let grant = self.world.grant("bot").await;
        let said = |kind| {
            let status = object.status.as_ref();
            let found = status.and_then(|status| condition(status, kind));
            found.map(|found| (found.status, found.reason))
        };
        let ready = said(ConditionType::Ready);
        let valid = said(ConditionType::Valid);
        if valid == Some((ConditionStatus::False, Reason::ReconsentRequired)) {
            return Ok("reconsent");
        }
        let live = grant.as_ref().map(|grant| &grant["live"]);
        let published = self.world.secrets().get_opt("bot").await.unwrap();
        let published = published.map(|secret| crate::support::value(&secret, "token"));
        let current = live.and_then(|live| live["access"]["token"].as_str());
        let newest = live
            .and_then(|live| live["refresh"].as_str())
            .is_some_and(|token| self.consent.holds_newest(token));
        let at_rest = grant
            .as_ref()
            .is_some_and(|grant| grant["intent"].is_null());
        let proven = ready == Some((ConditionStatus::True, Reason::Proven));
        let renewed = self.world.sim.spends().len() > 1;
        if proven && newest && at_rest && renewed && published.as_deref() == current {
            return Ok("kept");
        }
        Err(format!(
            "ready {ready:?}, newest {newest}, at rest {at_rest}, renewed {renewed}, {:?}",
            self.world.sim.spends()
        ))
    }

    /// What became of the tokens.
    async fn judge(&self, word: &'static str) -> String {
        let spends = self.world.sim.spends();
        let what = format!("{:?} {:?}: {spends:#?}", self.step, self.event);
        let count = |wanted: fn(&SpendOutcome) -> bool| {
            spends.iter().filter(|spend| wanted(&spend.outcome)).count()
        };
        let replays = count(|outcome| matches!(outcome, SpendOutcome::Replayed { .. }));
        let late = count(|outcome| matches!(outcome, SpendOutcome::LateReuse | SpendOutcome::Dead));
        if word == "reconsent" {
            // The answer died with its process, and nobody was back within the leeway.
            let unheard = [(Step::Renew, Event::AwayForLong)];
            assert!(unheard.contains(&(self.step, self.event)), "{what}");
            assert_eq!(late, 1, "one last attempt: {what}");
            let events = self.world.events("bot").await;
            let told = events
                .iter()
                .filter(|event| event.reason.as_deref() == Some("ReconsentRequired"));
            assert_eq!(told.count(), 1, "{what}");
            return "one `ReconsentRequired`".to_owned();
        }
        assert_eq!(late, 0, "{what}");
        // Only an answer that nobody heard is asked for again.
        let unheard = match self.event {
            Event::CrashBefore => self.step == Step::Keep,
            Event::CrashAfter | Event::AnswerLost | Event::LeaderChange => self.step == Step::Renew,
            _ => false,
        };
        assert_eq!(replays, usize::from(unheard), "{what}");
        let status = self.world.credential("bot").await.status.unwrap();
        assert_eq!(status.grant.unwrap().provisional, None, "{what}");
        let unproven = self.witness.0.seen.lock().unwrap();
        assert!(
            unproven.is_empty(),
            "published unproven: {unproven:?} {what}"
        );
        if unheard { "kept, replayed" } else { "kept" }.to_owned()
    }
}

/// Looks at the published Secret all the time, as pods do, and remembers every token in it that
/// Jira had not accepted by then.
struct Witness(Arc<Seen>);

struct Seen {
    seen: Mutex<Vec<String>>,
    ends: AtomicBool,
}

impl Witness {
    fn of(world: &World) -> Self {
        let seen = Arc::new(Seen {
            seen: Mutex::default(),
            ends: AtomicBool::new(false),
        });
        let (secrets, sim, notes) = (world.secrets(), world.sim.clone(), seen.clone());
        tokio::spawn(async move {
            let mut last = String::new();
            while !notes.ends.load(Ordering::Relaxed) {
                let secret = secrets.get_opt("bot").await.ok().flatten();
                let token = secret.map(|secret| crate::support::value(&secret, "token"));
                if let Some(token) = token.filter(|token| *token != last) {
                    let id = sim.access_token_id(&token);
                    let accepted = |call: &Call| {
                        call.token_id == id
                            && call.path.ends_with("/myself")
                            && call.verdict == Verdict::Accepted
                    };
                    if !sim.calls().iter().any(accepted) {
                        notes.seen.lock().unwrap().push(token.clone());
                    }
                    last = token;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        Self(seen)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.ends.store(true, Ordering::Relaxed);
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

async fn run(step: Step, event: Event) -> String {
    let (mut cell, operator) = Cell::begin(step, event).await;
    let operators = cell.happen(operator).await;
    let word = cell.settle(&operators).await;
    cell.judge(word).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_survives_every_event() {
    let cells = EVENTS
        .iter()
        .flat_map(|(event, _)| STEPS.iter().map(|step| (*step, *event)));
    let words: Vec<String> = stream::iter(cells)
        .map(|(step, event)| run(step, event))
        .buffered(ABREAST)
        .collect()
        .await;
    let mut table = String::from(
        "# A renewal, step by step\n\n\
         Printed by `JCO_WRITE_MATRIX=1 cargo test --test system every_step_survives_every_event`, which\n\
         lets each of these happen at each step against a real API server and the simulator, and\n\
         compares this file with what came of it.\n\n\
         *kept*: the newest refresh token is stored, a proven token is published, no token was spent\n\
         twice. *replayed*: an answer that nobody heard was asked for again with the same token, within\n\
         the ten minutes for which Atlassian honours it. Nothing unproven was published in any case.\n\n",
    );
    let heads: Vec<String> = STEPS.iter().map(|step| format!("{step:?}")).collect();
    writeln!(
        table,
        "| what happens at the step | {} |",
        heads.join(" | ")
    )
    .unwrap();
    writeln!(table, "|---|{}", "---|".repeat(STEPS.len())).unwrap();
    for ((_, what), row) in EVENTS.iter().zip(words.chunks(STEPS.len())) {
        writeln!(table, "| {what} | {} |", row.join(" | ")).unwrap();
    }
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(DOCUMENT, &table).unwrap();
    }
    let kept = std::fs::read_to_string(DOCUMENT).unwrap_or_default();
    assert_eq!(kept, table, "set {WRITE}=1 to write {DOCUMENT} anew");
}
