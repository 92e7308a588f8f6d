//! What Data Center keeps until it is ended: a token that makes its own successor, and a session.

use atlassian_sim::{Fault as Outage, Pat, PatAsk, Rule, SessionAct};
use chrono::TimeDelta;
use control_plane::faults::Verb;
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason, SecretKeyRef};
use jira_credential_operator::core::spec::grant_name;
use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;

use super::{Event, Step, Way, call, late, write};
use crate::support::{World, value};

const SECRETS: &str = "secrets";
const STATUS: &str = "jiracredentials/status";

fn validate(world: &World, fault: Outage) -> Rule {
    Rule::new(fault)
        .host(world.data_center().host())
        .path("/jira/rest/api/2/myself")
}

/// Only an answer that nobody heard is a reason to ask again.
fn is_unheard(step: &Step, event: Event, asks: &str) -> bool {
    match event {
        Event::CrashBefore => step.name == "Keep",
        Event::CrashAfter | Event::AnswerLost => step.name == asks,
        _ => false,
    }
}

/// What must hold in the end of both: something else is published, it is what the grant has, and
/// nothing is left to be done. Returns what is published.
async fn in_order<W: Way>(world: &World, first: &str) -> Result<String, String> {
    let object = world.credential("bot").await;
    let status = object.status.as_ref();
    let ready = status.and_then(|status| status.condition(ConditionType::Ready));
    let ready = ready.map(|found| (found.status, found.reason));
    let (name, key) = W::PLACE;
    let place = SecretKeyRef {
        name: name.into(),
        key: key.into(),
    };
    let grant = world.secrets().get_opt(&grant_name(&place)).await.unwrap();
    let grant = grant.map_or_else(String::new, |secret| value(&secret, "grant"));
    let grant: Value = serde_json::from_str(&grant).unwrap_or_default();
    let published = world.secrets().get_opt("bot").await.unwrap();
    let published = published.as_ref().map(W::shown).unwrap_or_default();
    let current = grant["live"]["access"]["token"]
        .as_str()
        .unwrap_or_default();
    let retired = grant["retired"]
        .as_array()
        .is_some_and(|all| !all.is_empty());
    let busy = retired || !grant["intent"].is_null() || !grant["candidate"].is_null();
    let validated = ready == Some((ConditionStatus::True, Reason::Validated));
    // A cookie holds more than what is shown of it.
    let same = !published.is_empty() && current.contains(&published);
    if validated && same && !busy && published != first && W::works(world, &published) {
        return Ok(published);
    }
    let renewed = published != first;
    Err(format!(
        "ready {ready:?}, renewed {renewed}, same {same}, {grant}"
    ))
}

/// `rotation: Automatic`.
pub(super) struct Successor {
    /// The token of the beginning, or what a person stored later.
    first: String,
}

fn list(world: &World, fault: Outage) -> Rule {
    world.data_center().at_pats(fault).method("GET")
}

fn mint(world: &World, fault: Outage) -> Rule {
    world.data_center().at_pats(fault).method("POST")
}

fn revoke(world: &World, fault: Outage) -> Rule {
    world.data_center().at_pats(fault).method("DELETE")
}

impl Way for Successor {
    const TITLE: &'static str = "A personal access token that makes its own successor";
    const LEGEND: &'static str = "\
        *kept*: pods had a token that works at every moment, only validated ones, and in the end there\n\
        is one token in Jira, the one that is published. *made again*: a lost response left\n\
        a token that no process knows; it was revoked, and another one was created.";
    const STEPS: &'static [Step] = &[
        write("Intend", Verb::Update, SECRETS, 1),
        call("List", list, (Verb::Update, SECRETS, 2)),
        call("Mint", mint, (Verb::Update, SECRETS, 2)),
        write("Keep", Verb::Update, SECRETS, 2),
        call("Validate", validate, (Verb::Update, SECRETS, 3)),
        write("Promote", Verb::Update, SECRETS, 3),
        write("Publish", Verb::Patch, SECRETS, 1),
        write("Show", Verb::Update, SECRETS, 4),
        write("Status", Verb::Update, STATUS, 1),
        late(call("Retire", revoke, (Verb::Update, SECRETS, 1))),
        late(write("Forget", Verb::Update, SECRETS, 1)),
    ];
    const DUE: TimeDelta = TimeDelta::days(76);
    const AWAY: (TimeDelta, &'static str) =
        (TimeDelta::days(20), "20 days, until the old one has ended");
    const SERVER: &'static str = "Jira";
    const SEED: &'static str = "another token";
    const PLACE: (&'static str, &'static str) = ("bot-pat", "token");

    async fn begin(world: &World) -> Self {
        let token = world.made_by_hand("bot").await;
        let first = token.secret().to_owned();
        let way = Self { first };
        way.apply(world).await;
        way
    }

    fn shown(secret: &Secret) -> String {
        value(secret, "token")
    }

    fn id(world: &World, token: &str) -> Option<String> {
        world.data_center().token_id(token)
    }

    fn works(world: &World, token: &str) -> bool {
        world.data_center().accepts(token)
    }

    async fn store_again(&mut self, world: &World) {
        world.made_by_hand("bot").await;
    }

    async fn apply(&self, world: &World) {
        world.create("bot", world.automatic_spec("bot")).await;
    }

    async fn state(&self, world: &World) -> Result<&'static str, String> {
        let object = world.credential("bot").await;
        let status = object.status.as_ref();
        let ready = status.and_then(|status| status.condition(ConditionType::Ready));
        if ready.is_some_and(|ready| ready.reason == Reason::Expired) {
            return Ok("expired");
        }
        let published = in_order::<Self>(world, &self.first).await?;
        // What has ended by itself is nobody's to revoke.
        let mut pats = world.data_center().pats_of("robot");
        pats.retain(|pat| pat.expires.is_none_or(|end| end > world.clock.now()));
        let own = Self::id(world, &published);
        if pats.len() == 1 && pats.first().map(Pat::token_id) == own {
            Ok("kept")
        } else {
            Err(format!("{pats:?}"))
        }
    }

    async fn judge(
        &self,
        world: &World,
        (step, event): (&Step, Event),
        outcome: &'static str,
    ) -> String {
        let mints = world.data_center().pat_requests_of("robot", PatAsk::Mint);
        let what = format!("{} {event:?}: {mints:?}", step.name);
        if outcome == "expired" {
            // Nobody could make it a successor in time, or keep it.
            let unkept = ["Intend", "List", "Mint"].contains(&step.name);
            assert!(unkept && event == Event::AwayForLong, "{what}");
            return "one `Expired`".to_owned();
        }
        let taken_over = event == Event::LeaderChange && step.name == "Mint";
        let again = is_unheard(step, event, "Mint") || taken_over;
        let made = mints.iter().filter(|mint| mint.done()).count();
        assert_eq!(made, 1 + usize::from(again), "{what}");
        if again { "kept, made again" } else { "kept" }.to_owned()
    }
}

/// A session, kept up by logins.
pub(super) struct Session {
    first: String,
}

fn log_in(world: &World, fault: Outage) -> Rule {
    world.data_center().at_session(fault).method("POST")
}

fn log_out(world: &World, fault: Outage) -> Rule {
    world.data_center().at_session(fault).method("DELETE")
}

impl Way for Session {
    const TITLE: &'static str = "A session";
    const LEGEND: &'static str = "\
        *kept*: pods had a cookie that works at every moment, only validated ones, no login was\n\
        refused, and the session before was logged out. *begun again*: a lost response left\n\
        a session that no process knows and that expires unused, or came so late that it was ended; another\n\
        one was started. *one refusal*: the password that was about to be sent had just been changed; it\n\
        was sent once.";
    const STEPS: &'static [Step] = &[
        write("Intend", Verb::Update, SECRETS, 1),
        call("Login", log_in, (Verb::Update, SECRETS, 2)),
        write("Keep", Verb::Update, SECRETS, 2),
        call("Validate", validate, (Verb::Patch, SECRETS, 1)),
        write("Publish", Verb::Patch, SECRETS, 1),
        write("Show", Verb::Update, SECRETS, 3),
        write("Status", Verb::Update, STATUS, 1),
        late(call("Retire", log_out, (Verb::Update, SECRETS, 1))),
        late(write("Forget", Verb::Update, SECRETS, 1)),
    ];
    const DUE: TimeDelta = TimeDelta::minutes(250);
    const AWAY: (TimeDelta, &'static str) = (
        TimeDelta::hours(6),
        "6 hours, until all sessions have ended",
    );
    const SERVER: &'static str = "Jira";
    const SEED: &'static str = "another password";
    const PLACE: (&'static str, &'static str) = ("bot-login", "password");

    async fn begin(world: &World) -> Self {
        let password = world.data_center().new_password("robot");
        world.login_secret("bot", "robot", &password).await;
        let first = String::new();
        let way = Self { first };
        way.apply(world).await;
        world.wait_ready("bot").await;
        let secret = world.secrets().get("bot").await.unwrap();
        Self {
            first: Self::shown(&secret),
        }
    }

    fn shown(secret: &Secret) -> String {
        value(secret, "JSESSIONID")
    }

    fn id(world: &World, token: &str) -> Option<String> {
        world.data_center().session_id(token)
    }

    fn works(world: &World, token: &str) -> bool {
        world.data_center().accepts_session(token)
    }

    async fn store_again(&mut self, world: &World) {
        let password = world.data_center().new_password("robot");
        world.login_secret("bot", "robot", &password).await;
    }

    async fn apply(&self, world: &World) {
        world.create("bot", world.session_spec("bot")).await;
    }

    async fn state(&self, world: &World) -> Result<&'static str, String> {
        in_order::<Self>(world, &self.first).await?;
        Ok("kept")
    }

    async fn judge(
        &self,
        world: &World,
        (step, event): (&Step, Event),
        outcome: &'static str,
    ) -> String {
        let jira = world.data_center();
        let (logins, logouts) = jira.logins_and_logouts();
        let what = format!("{} {event:?}: {:?}", step.name, jira.session_events());
        let unheard = is_unheard(step, event, "Login");
        let taken_over = event == Event::LeaderChange && step.name == "Login";
        let again = unheard || taken_over;
        // Another password begins a session of its own. Jira did not take the one before any more
        // when the login with it was written down already.
        let refused = event == Event::SeedEdited && step.name == "Intend";
        let logged_in_again = u64::from(event == Event::SeedEdited && !refused);
        let acts = jira.session_acts_of("robot");
        let refusals = acts.iter().filter(|act| **act == SessionAct::Refused);
        assert_eq!(refusals.count(), usize::from(refused), "{what}");
        if event != Event::AwayForLong {
            assert_eq!(logins, 2 + u64::from(again) + logged_in_again, "{what}");
            assert_eq!(
                logouts,
                1 + logged_in_again + u64::from(taken_over),
                "{what}"
            );
            assert_eq!(jira.live_sessions(), 1 + usize::from(unheard), "{what}");
        }
        match (again, refused) {
            (true, _) => "kept, begun again",
            (_, true) => "kept, one refusal",
            (false, false) => outcome,
        }
        .to_owned()
    }
}
