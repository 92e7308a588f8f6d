//! OAuth 2.0 of Atlassian's: a refresh token is spent by its use.

use atlassian_sim::{Consent, Fault as Outage, OAuthApp, Rule, SpendOutcome};
use chrono::TimeDelta;
use control_plane::faults::Verb;
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use k8s_openapi::api::core::v1::Secret;

use super::{Event, Step, Way, call, write};
use crate::oauth::SCOPES;
use crate::support::{World, value};

const SECRETS: &str = "secrets";

pub(super) struct Refresh {
    app: OAuthApp,
    /// The consent that counts in the end.
    consent: Consent,
}

fn renew(world: &World, fault: Outage) -> Rule {
    Rule::new(fault).host(world.sim.auth_host())
}

fn validate(world: &World, fault: Outage) -> Rule {
    Rule::new(fault).host(world.sim.gateway_host())
}

impl Way for Refresh {
    const TITLE: &'static str = "OAuth 2.0: a refresh token";
    const LEGEND: &'static str = "\
        *kept*: the newest refresh token is stored, a validated token is published, no token was spent\n\
        twice. *replayed*: a lost response was requested again with the same token, within\n\
        the ten minutes for which Atlassian accepts it.";
    const STEPS: &'static [Step] = &[
        write("Intend", Verb::Update, SECRETS, 1),
        call("Renew", renew, (Verb::Update, SECRETS, 2)),
        write("Keep", Verb::Update, SECRETS, 2),
        call("Validate", validate, (Verb::Patch, SECRETS, 1)),
        write("Publish", Verb::Patch, SECRETS, 1),
        write("Status", Verb::Update, "jiracredentials/status", 1),
    ];
    const DUE: TimeDelta = TimeDelta::minutes(50);
    const AWAY: (TimeDelta, &'static str) = (TimeDelta::minutes(25), "25 minutes");
    const SERVER: &'static str = "Atlassian";
    const SEED: &'static str = "a new consent";
    const PLACE: (&'static str, &'static str) = ("bot-seed", "refresh-token");

    async fn begin(world: &World) -> Self {
        let (app, consent) = world.oauth("bot").await;
        Self { app, consent }
    }

    fn shown(secret: &Secret) -> String {
        value(secret, "token")
    }

    fn id(world: &World, token: &str) -> Option<String> {
        world.sim.access_token_id(token)
    }

    /// A spent refresh token leaves the access token alone.
    fn works(_: &World, _: &str) -> bool {
        true
    }

    async fn store_again(&mut self, world: &World) {
        let sites = [&world.cloud()];
        self.consent = self.app.consent("bot@acme.example", &sites, &SCOPES);
        world.seed("bot", &self.consent.refresh_token()).await;
    }

    async fn apply(&self, world: &World) {
        world
            .create("bot", world.oauth_spec("bot", &self.app))
            .await;
    }

    async fn state(&self, world: &World) -> Result<&'static str, String> {
        let object = world.credential("bot").await;
        let grant = world.grant("bot").await;
        let said = |kind| {
            let status = object.status.as_ref();
            let found = status.and_then(|status| status.condition(kind));
            found.map(|found| (found.status, found.reason))
        };
        let ready = said(ConditionType::Ready);
        let valid = said(ConditionType::Valid);
        if valid == Some((ConditionStatus::False, Reason::ReconsentRequired)) {
            return Ok("reconsent");
        }
        let live = grant.as_ref().map(|grant| &grant["live"]);
        let published = world.secrets().get_opt("bot").await.unwrap();
        let published = published.as_ref().map(Self::shown);
        let current = live.and_then(|live| live["access"]["token"].as_str());
        let newest = live
            .and_then(|live| live["refresh"].as_str())
            .is_some_and(|token| self.consent.holds_newest(token));
        let at_rest = grant
            .as_ref()
            .is_some_and(|grant| grant["intent"].is_null());
        let validated = ready == Some((ConditionStatus::True, Reason::Validated));
        let spends = world.sim.spends();
        let renewed = spends.len() > 1;
        if validated && newest && at_rest && renewed && published.as_deref() == current {
            return Ok("kept");
        }
        Err(format!(
            "ready {ready:?}, newest {newest}, at rest {at_rest}, renewed {renewed}, {spends:?}"
        ))
    }

    async fn judge(
        &self,
        world: &World,
        (step, event): (&Step, Event),
        outcome: &'static str,
    ) -> String {
        let spends = world.sim.spends();
        let what = format!("{} {event:?}: {spends:#?}", step.name);
        let count = |wanted: fn(&SpendOutcome) -> bool| {
            spends.iter().filter(|spend| wanted(&spend.outcome)).count()
        };
        let replays = count(|outcome| matches!(outcome, SpendOutcome::Replayed { .. }));
        let late = count(|outcome| matches!(outcome, SpendOutcome::LateReuse | SpendOutcome::Dead));
        if outcome == "reconsent" {
            // The answer died with its process, and nobody was back within the leeway.
            assert_eq!((step.name, event), ("Renew", Event::AwayForLong), "{what}");
            assert_eq!(late, 1, "one last attempt: {what}");
            let told = world.events("bot").await;
            let told = told
                .iter()
                .filter(|event| event.reason.as_deref() == Some("ReconsentRequired"));
            assert_eq!(told.count(), 1, "{what}");
            return "one `ReconsentRequired`".to_owned();
        }
        assert_eq!(late, 0, "{what}");
        // Only an answer that nobody heard is asked for again.
        let unheard = match event {
            Event::CrashBefore => step.name == "Keep",
            Event::CrashAfter | Event::AnswerLost | Event::LeaderChange => step.name == "Renew",
            _ => false,
        };
        assert_eq!(replays, usize::from(unheard), "{what}");
        let status = world.credential("bot").await.status.unwrap();
        assert_eq!(status.grant.unwrap().provisional, None, "{what}");
        if unheard { "kept, replayed" } else { "kept" }.to_owned()
    }
}
