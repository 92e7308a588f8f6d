//! What the API server denies for good: rights that are missing, and writes of a grant.

use control_plane::faults::{Fault, Requests, Verb};
use jira_credential_operator::api::ConditionStatus::{False, True};
use jira_credential_operator::api::ConditionType::{Denied, Ready};
use jira_credential_operator::api::{JiraCredential, Reason};
use kube::ResourceExt;

use crate::oauth::{grant_of, renewing};
use crate::support::{World, says};

impl World {
    /// Waits until the API server denies nothing any more.
    async fn until_nothing_is_denied(&self, name: &str) -> JiraCredential {
        self.until_status(name, "nothing is denied", |status| {
            status.condition(Denied).is_none()
        })
        .await
    }

    /// Waits until an event with this reason was published, and once only.
    async fn until_reason(&self, name: &str, reason: &str) {
        self.until(reason, || async {
            let told = self.reasons(name).await;
            told.iter().any(|other| other == reason).then_some(())
        })
        .await;
        let told = self.reasons(name).await;
        let times = told.iter().filter(|other| *other == reason).count();
        assert_eq!(times, 1, "{told:?}");
    }

    /// The reasons of the events about a credential, each as often as it was published.
    async fn reasons(&self, name: &str) -> Vec<String> {
        let events = self.events(name).await;
        let mut reasons: Vec<String> = events
            .into_iter()
            .filter_map(|event| event.reason)
            .collect();
        reasons.sort();
        reasons
    }
}

/// Writes of grants.
fn grants(verb: Verb) -> Requests {
    Requests::verb(verb)
        .resource("secrets")
        .name(&grant_of("bot"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_cannot_be_made_has_a_reason_of_its_own_and_nothing_is_spent() {
    let world = World::new().await;
    let operator = world.operator().await;
    let creations = Requests::verb(Verb::Create).resource("secrets");
    operator
        .faults
        .add(creations.clone(), 1.., Fault::Status(403));
    world.oauth("bot").await;
    let object = world
        .wait("bot", Ready, False, Reason::GrantWriteRefused)
        .await;
    for kind in [Ready, Denied] {
        let said = says(&object, kind);
        assert_eq!(said.reason, Reason::GrantWriteRefused);
        assert!(
            said.message.contains(&grant_of("bot")) && said.message.contains("quotas"),
            "{}",
            said.message
        );
    }
    world.until_reason("bot", "GrantWriteRefused").await;
    assert_eq!(world.outcomes(), Vec::<String>::new());
    operator.faults.heal();
    operator.look_again(1).await;
    world.wait_ready("bot").await;
    world.until_nothing_is_denied("bot").await;
    assert_eq!(world.outcomes(), ["exchanged"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_cannot_be_stored_are_told_of_and_kept_until_they_can() {
    for code in [403, 413, 422] {
        let (world, operator, _, consent) = renewing().await;
        let before = world.kept("bot").await;
        // The intent is taken, the answer of the token endpoint is not.
        operator
            .faults
            .add(grants(Verb::Update), 2.., Fault::Status(code));
        world.advance(crate::oauth::RENEWAL_IS_DUE);
        operator.poke();
        let object = world
            .wait("bot", Denied, True, Reason::GrantWriteRefused)
            .await;
        let said = says(&object, Denied).message;
        assert!(said.contains("Do not restart the operator"), "{said}");
        world.until_reason("bot", "GrantWriteRefused").await;
        assert_eq!(world.kept("bot").await, before);
        operator.faults.heal();
        world.until_nothing_is_denied("bot").await;
        world.wait_ready("bot").await;
        assert!(consent.holds_newest(&world.kept("bot").await));
        assert_eq!(world.outcomes(), ["exchanged", "exchanged"], "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_lost_is_told_when_it_can_be_and_once() {
    let world = World::new().await;
    let operator = world.operator().await;
    let events = Requests::verb(Verb::Create).resource("events");
    operator.faults.add(events, 1..=2, Fault::LostAnswer);
    world.api_token("bot").await;
    world.wait_ready("bot").await;
    operator.look_again(1).await;
    world.until_told("bot", "Validated").await;
    operator.quiet().await;
    assert_eq!(world.reasons("bot").await, ["Validated"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_beside_an_event_neither_loses_nor_repeats_it() {
    use control_plane::faults::Side;
    for (verb, resource, side) in [
        (Verb::Create, "events", Side::Before),
        (Verb::Create, "events", Side::After),
        (Verb::Update, "jiracredentials/status", Side::Before),
        (Verb::Update, "jiracredentials/status", Side::After),
    ] {
        let world = World::new().await;
        let operator = world.operator().await;
        let requests = Requests::verb(verb).resource(resource);
        let mut stop = operator.faults.stop_at(requests, 1, side);
        world.api_token("bot").await;
        stop.reached().await;
        operator.crash();
        let operator = world.operator().await;
        let ready = world.wait_ready("bot").await;
        operator.quiet().await;
        let told = world.reasons("bot").await;
        assert_eq!(told, ["Validated"], "{verb:?} {resource} {side:?}");
        let events = world.events("bot").await;
        assert!(
            events[0]
                .name_any()
                .starts_with(&format!("{}.", ready.name_any()))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_denied_are_a_condition_and_told_later() {
    let world = World::new().await;
    let operator = world.operator().await;
    let events = Requests::verb(Verb::Create).resource("events");
    operator.faults.add(events, 1.., Fault::Status(403));
    world.api_token("bot").await;
    let object = world.wait("bot", Denied, True, Reason::EventsDenied).await;
    assert_eq!(says(&object, Ready).status, True);
    operator.quiet().await;
    let (mark, calls) = (operator.mark(), world.calls());
    operator.look_again(1).await;
    assert_eq!(operator.requests_since(mark), ["create events"]);
    assert_eq!(world.calls(), calls);
    operator.faults.heal();
    operator.look_again(1).await;
    world.until_nothing_is_denied("bot").await;
    operator.quiet().await;
    assert_eq!(world.reasons("bot").await, ["Validated"]);
}

/// A token that is just asked for again is given up after some tries: for what reason decides what is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_write_without_an_answer_is_no_denial() {
    for (code, is_denied) in [(503, false), (403, true)] {
        let world = World::new().await;
        let operator = world.operator().await;
        let creations = Requests::verb(Verb::Create).resource("secrets");
        operator.faults.add(creations, 1.., Fault::Status(code));
        let scopes = ["read:jira-work", "read:jira-user"];
        let app = world.cloud().service_client("robot", &scopes);
        world.client_secret("bot", &app.secret()).await;
        let spec = serde_json::json!({
            "site": world.cloud().url(),
            "hosting": "Cloud",
            "auth": {"clientCredentials": {
                "clientId": app.client_id(),
                "clientSecretRefs": [{"name": "bot-client", "key": "secret"}],
                "scopes": scopes,
            }},
        });
        world.create("bot", spec).await;
        world
            .until("all tries have failed", || async {
                (operator.faults.struck() >= 5).then_some(())
            })
            .await;
        if is_denied {
            world
                .wait("bot", Denied, True, Reason::GrantWriteRefused)
                .await;
        }
        operator.faults.heal();
        operator.look_again(1).await;
        world.wait_ready("bot").await;
        let reasons = world.reasons("bot").await;
        let reported = reasons.iter().any(|reason| reason == "GrantWriteRefused");
        assert_eq!(reported, is_denied, "{code}: {reasons:?}");
    }
}
