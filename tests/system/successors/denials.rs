//! What stands in the way of a successor: each cause has a reason and a remedy of its own.

use atlassian_sim::{Canned, Fault, Rule};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};

use super::{TOKENS, adopted};
use crate::support::{World, says};

/// What is wrong with the resource of tokens.
enum Cause {
    Limit,
    Forbidden,
    Absent,
    /// What a request with this method is answered.
    Answer(&'static str, Fault),
}

fn canned(status: u16, kind: &str, body: &str) -> Fault {
    let headers = [("content-type", kind), ("x-anodeid", "node1")];
    Fault::Canned(Canned {
        status,
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        body: body.to_owned(),
    })
}

/// Each cause, its reason, what the message says, and whether it is waited out until the end is near.
fn causes() -> Vec<(Cause, Reason, &'static str, bool)> {
    use Cause::{Absent, Answer, Forbidden, Limit};
    let limit = r#"{"exception":"com.atlassian.pats.exception.UserTokenLimitExceededException","error":"Zu viele."}"#;
    let refused = r#"{"message":"Non autorisé"}"#;
    let limited = || Fault::RateLimit {
        retry_after: Some(60),
        html: false,
    };
    let error = || Fault::ServerError { status: 500 };
    let json = "application/json";
    vec![
        (
            Limit,
            Reason::TokenLimitReached,
            "as many personal access tokens",
            false,
        ),
        (
            Answer("POST", canned(403, json, limit)),
            Reason::TokenLimitReached,
            "as many personal access tokens",
            false,
        ),
        (Forbidden, Reason::MintingForbidden, "does not let", false),
        (
            Absent,
            Reason::MintingUnsupported,
            "/rest/pat/latest/tokens",
            false,
        ),
        (
            Answer("POST", canned(401, json, refused)),
            Reason::Rejected,
            "refused the personal access token",
            false,
        ),
        (
            Answer("GET", canned(401, json, refused)),
            Reason::Rejected,
            "refused the personal access token",
            false,
        ),
        (
            Answer("POST", canned(403, "text/html", "XSRF check failed")),
            Reason::CrossSiteCheck,
            "X-Atlassian-Token",
            false,
        ),
        (
            Answer("POST", limited()),
            Reason::RateLimited,
            "limits the rate of calls",
            true,
        ),
        (
            Answer("POST", error()),
            Reason::SiteUnavailable,
            "it has the status 500",
            true,
        ),
        (
            Answer("GET", error()),
            Reason::SiteUnavailable,
            "it has the status 500",
            true,
        ),
    ]
}

fn configure(world: &World, cause: &Cause, on: bool) {
    world.data_center().configure(|settings| match cause {
        Cause::Limit => settings.most_tokens = if on { 1 } else { 10 },
        Cause::Forbidden => settings.minting_forbidden = on,
        Cause::Absent => settings.tokens_absent = on,
        Cause::Answer(..) => {}
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_of_a_successor_is_told_and_the_token_goes_on() {
    for (cause, reason, word, waits) in causes() {
        let (world, operator, token) = adopted().await;
        configure(&world, &cause, true);
        let fault = match &cause {
            Cause::Answer(method, fault) => {
                let rule = Rule::new(fault.clone()).host(world.data_center().host());
                Some(world.sim.fault(rule.path(TOKENS).method(*method)))
            }
            Cause::Limit | Cause::Forbidden | Cause::Absent => None,
        };
        world.advance(TimeDelta::days(76));
        operator.look_again(1).await;
        if waits {
            // An outage like any other, until the end is near.
            world.advance(TimeDelta::days(12));
            operator.look_again(1).await;
        }
        let object = world.rotation("bot", reason).await;
        let message = says(&object, ConditionType::RotationDue).message;
        assert!(message.contains(word), "{message}");
        // A limit holds up the validations of the account as well.
        if reason != Reason::RateLimited {
            world.wait_ready("bot").await;
        }
        assert_eq!(world.pat_of("bot").await, token.secret());
        let mints = world.mints();
        operator.look_again(1).await;
        assert_eq!(world.mints(), mints, "{reason:?}: not in a hurry");
        // What was in the way goes, and a person asks.
        configure(&world, &cause, false);
        if let Some(fault) = fault {
            fault.remove();
        }
        if waits {
            world.advance(TimeDelta::minutes(20));
        }
        world.annotate("bot", "jira-operator.dev/renew", "1").await;
        world.until_other("bot", "token", token.secret()).await;
        let (kind, status) = (ConditionType::RotationDue, ConditionStatus::False);
        world.wait("bot", kind, status, Reason::NotDue).await;
    }
}

/// The list is read when a token is taken over, long before a successor is due.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_read_is_reported_while_the_token_works() {
    let limit = Fault::RateLimit {
        retry_after: Some(60),
        html: false,
    };
    for (cause, kind, reason, word) in [
        (
            Cause::Absent,
            ConditionType::RotationDue,
            Reason::MintingUnsupported,
            "/rest/pat/latest/tokens",
        ),
        (
            Cause::Answer("GET", limit),
            ConditionType::Reconciling,
            Reason::RateLimited,
            "look up or replace",
        ),
    ] {
        let world = World::new().await;
        let operator = world.operator().await;
        configure(&world, &cause, true);
        let fault = match &cause {
            Cause::Answer(method, fault) => {
                let rule = Rule::new(fault.clone()).host(world.data_center().host());
                Some(world.sim.fault(rule.path(TOKENS).method(*method)))
            }
            _ => None,
        };
        world.made_by_hand("bot").await;
        world.create("bot", world.automatic_spec("bot")).await;
        let object = world.wait("bot", kind, ConditionStatus::True, reason).await;
        let message = says(&object, kind).message;
        assert!(message.contains(word), "{message}");
        world.wait_ready("bot").await;
        // It is read again after some hours, without a person.
        configure(&world, &cause, false);
        if let Some(fault) = fault {
            fault.remove();
        }
        world.advance(TimeDelta::days(1));
        operator.look_again(1).await;
        world
            .until("found in the list", || async {
                let grant = world.pat_grant("bot").await;
                grant["live"]["access"]["id"].is_string().then_some(())
            })
            .await;
        let (kind, status) = (ConditionType::RotationDue, ConditionStatus::False);
        world.wait("bot", kind, status, Reason::NotDue).await;
        operator.stop().await;
    }
}
