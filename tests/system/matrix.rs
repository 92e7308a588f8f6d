//! Every step of every kind of renewal, and everything that can happen at it. The tables in the
//! documents are printed from here.

mod cell;
mod kept;
mod refresh;
mod witness;

use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};

use atlassian_sim::{Fault as Outage, Rule};
use chrono::TimeDelta;
use control_plane::faults::Verb;
use futures::{FutureExt, StreamExt, stream};
use k8s_openapi::api::core::v1::Secret;

use crate::support::World;

/// Where the tables are kept.
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/renewal-matrix.md");

/// Set to have a table written in place of compared.
const WRITE: &str = "JCO_WRITE_MATRIX";

/// Cells at a time.
const ABREAST: usize = 6;

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

const EVENTS: [Event; 15] = [
    Event::CrashBefore,
    Event::CrashAfter,
    Event::AwayForLong,
    Event::AnswerLost,
    Event::Conflict,
    Event::ApiServerDown,
    Event::CommittedUnheard,
    Event::JiraDown,
    Event::RateLimit,
    Event::ServerError,
    Event::LeaderChange,
    Event::SecondReplica,
    Event::SeedEdited,
    Event::AppliedAnew,
    Event::TargetDeleted,
];

impl Event {
    fn is_of_jira(self) -> bool {
        matches!(
            self,
            Event::JiraDown | Event::RateLimit | Event::ServerError
        )
    }

    fn label<W: Way>(self) -> String {
        match self {
            Event::CrashBefore => "the process dies before it".into(),
            Event::CrashAfter => "the process dies after it".into(),
            Event::AwayForLong => format!("… and no operator runs for {}", W::AWAY.1),
            Event::AnswerLost => "its answer is lost".into(),
            Event::Conflict => "somebody else writes at the same time".into(),
            Event::ApiServerDown => "the API server goes away".into(),
            Event::CommittedUnheard => "a write is done and reported as failed".into(),
            Event::JiraDown => format!("{} is unreachable", W::SERVER),
            Event::RateLimit => format!("{} answers 429", W::SERVER),
            Event::ServerError => format!("{} answers 502", W::SERVER),
            Event::LeaderChange => "another replica takes over, the first one hangs".into(),
            Event::SecondReplica => "a second replica is active all along".into(),
            Event::SeedEdited => format!("{} is stored", W::SEED),
            Event::AppliedAnew => "the credential is deleted and applied again".into(),
            Event::TargetDeleted => "the published Secret is deleted".into(),
        }
    }
}

/// A step of a renewal.
#[derive(Debug)]
struct Step {
    name: &'static str,
    /// What it asks of Jira or Atlassian, if it is a call.
    call: Option<fn(&World, Outage) -> Rule>,
    /// The write that it is, or that follows it: its verb, what it writes, and which of its kind
    /// it is since the time had come.
    write: (Verb, &'static str, usize),
    /// Whether it belongs to the end of what was replaced, which comes later.
    late: bool,
}

const fn write(name: &'static str, verb: Verb, resource: &'static str, nth: usize) -> Step {
    Step {
        name,
        call: None,
        write: (verb, resource, nth),
        late: false,
    }
}

const fn call(
    name: &'static str,
    call: fn(&World, Outage) -> Rule,
    (verb, resource, nth): (Verb, &'static str, usize),
) -> Step {
    Step {
        name,
        call: Some(call),
        write: (verb, resource, nth),
        late: false,
    }
}

const fn late(mut step: Step) -> Step {
    step.late = true;
    step
}

/// A kind of renewal. Its credential is called `bot`.
trait Way: Sized + 'static {
    const TITLE: &'static str;
    /// What the words in the cells mean.
    const LEGEND: &'static str;
    const STEPS: &'static [Step];
    /// Until the renewal is due.
    const DUE: TimeDelta;
    /// A long absence, and its name.
    const AWAY: (TimeDelta, &'static str);
    const SERVER: &'static str;
    /// What a person may store while a renewal is under way.
    const SEED: &'static str;
    /// The Secret from which the grant comes, and its key.
    const PLACE: (&'static str, &'static str);

    /// Makes the credential.
    async fn begin(world: &World) -> Self;

    /// What pods use of a target.
    fn shown(secret: &Secret) -> String;

    /// The id of a token in the simulator's log.
    fn id(world: &World, token: &str) -> Option<String>;

    /// Whether what pods see works.
    fn works(world: &World, token: &str) -> bool;

    /// A person stores something new.
    async fn store_again(&mut self, world: &World);

    /// The credential as it is applied again.
    async fn apply(&self, world: &World);

    /// The word for what has come of it, or what is not in order yet.
    async fn state(&self, world: &World) -> Result<&'static str, String>;

    /// Checks what became of the tokens. Returns the word for the table.
    async fn judge(&self, world: &World, at: (&Step, Event), outcome: &'static str) -> String;
}

async fn table_of<W: Way>() -> String {
    let cells = EVENTS
        .iter()
        .flat_map(|event| W::STEPS.iter().map(|step| (step, *event)));
    // One that panics has said why; the others are run all the same.
    let words: Vec<Option<String>> = stream::iter(cells.clone())
        .map(|(step, event)| AssertUnwindSafe(cell::run::<W>(step, event)).catch_unwind())
        .buffered(ABREAST)
        .map(Result::ok)
        .collect()
        .await;
    let failed = cells.zip(&words).filter(|(_, word)| word.is_none());
    let failed: Vec<String> = failed
        .map(|((step, event), _)| format!("{} {event:?}", step.name))
        .collect();
    assert!(failed.is_empty(), "{}: {failed:#?}", W::TITLE);
    let words: Vec<String> = words.into_iter().flatten().collect();
    let heads: Vec<&str> = W::STEPS.iter().map(|step| step.name).collect();
    let mut table = format!("## {}\n\n{}\n\n", W::TITLE, W::LEGEND);
    let head = heads.join(" | ");
    writeln!(table, "| what happens at the step | {head} |").unwrap();
    writeln!(table, "|---|{}", "---|".repeat(heads.len())).unwrap();
    for (event, row) in EVENTS.iter().zip(words.chunks(heads.len())) {
        writeln!(table, "| {} | {} |", event.label::<W>(), row.join(" | ")).unwrap();
    }
    table
}

/// Compares a table with the one in the document, or writes it there.
async fn compare<W: Way>() {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let table = table_of::<W>().await;
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut kept = std::fs::read_to_string(DOCUMENT).unwrap();
    let begin = kept.find(&format!("## {}\n", W::TITLE)).unwrap();
    let end = kept[begin..]
        .find("\n\n## ")
        .map_or(kept.len(), |next| begin + next + 1);
    if std::env::var_os(WRITE).is_some() {
        kept.replace_range(begin..end, &table);
        std::fs::write(DOCUMENT, kept).unwrap();
    } else {
        assert_eq!(
            &kept[begin..end],
            table,
            "set {WRITE}=1 to write {DOCUMENT} again"
        );
    }
}

mod every_step_survives_every_event {
    use super::{compare, kept, refresh};

    #[tokio::test(flavor = "multi_thread")]
    async fn of_a_refresh_token() {
        compare::<refresh::Refresh>().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_a_token_with_a_successor() {
        compare::<kept::Successor>().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_a_session() {
        compare::<kept::Session>().await;
    }
}
