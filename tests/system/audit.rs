//! A line of the log for each use of a credential.

use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use serde_json::{Value, json};

use crate::redaction::Log;
use crate::support::World;

fn uses(log: &Log) -> Vec<Value> {
    let text = log.text();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter(|line: &Value| line["target"] == "audit")
        .collect()
}

fn of<'a>(uses: &'a [Value], name: &str, operation: &str) -> Vec<&'a Value> {
    let mine = uses.iter().filter(|line| line["name"] == name);
    mine.filter(|line| line["operation"] == operation).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_use_says_whose_which_where_and_how_it_ended() {
    let world = World::new().await;
    let log = Log::default();
    let operator = world.operator_logging(|_| {}, log.dispatch()).await;
    world.api_token("bot").await;
    world.oauth("consent").await;
    world
        .secret("wrong-source", &[("token", "no-such-token")])
        .await;
    let mut wrong = world.api_token_spec("bot");
    wrong["auth"]["apiToken"]["tokenSecretRef"]["name"] = "wrong-source".into();
    world.create("wrong", wrong).await;
    // Nobody listens there: the credential does not leave the operator.
    let mut away = world.api_token_spec("bot");
    away["site"] = "https://away.dc.localhost:1".into();
    away["hosting"] = "DataCenter".into();
    away["auth"] = json!({"personalAccessToken": {
        "tokenSecretRef": {"name": "bot-source", "key": "token"},
    }});
    world.create("away", away).await;
    let (valid, unknown) = (ConditionType::Valid, ConditionStatus::Unknown);
    world
        .wait("away", valid, unknown, Reason::SiteUnavailable)
        .await;
    let bot = world.wait_ready("bot").await.status.unwrap();
    let consent = world.wait_ready("consent").await.status.unwrap();
    let (ready, no) = (ConditionType::Ready, ConditionStatus::False);
    let wrong = world.wait("wrong", ready, no, Reason::Rejected).await;
    let wrong = wrong.status.unwrap().attempt.unwrap();
    operator.quiet().await;
    operator.stop().await;

    let uses = uses(&log);
    // As many as Jira and the token endpoint have seen; the id of a site is asked for without one.
    let calls = world.sim.calls();
    let sent = calls
        .iter()
        .filter(|call| call.scheme.is_some() || call.path.ends_with("/oauth/token"));
    assert_eq!(uses.len(), sent.count(), "{uses:#?}");
    for line in &uses {
        assert_eq!(line["namespace"], world.namespace.as_str());
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "used a credential");
    }
    let accepted = of(&uses, "bot", "myself");
    assert_eq!(accepted.len(), 1);
    assert_eq!(accepted[0]["verdict"], "accepted");
    assert_eq!(accepted[0]["site"], world.cloud().url().as_str());
    let print = bot.validated_fingerprint.unwrap();
    assert_eq!(accepted[0]["fingerprint"], print.as_str());
    // A token that the site refuses may be one with scopes, which the gateway takes.
    let refused = of(&uses, "wrong", "myself");
    assert_eq!(refused.len(), 2);
    assert_ne!(refused[0]["site"], refused[1]["site"]);
    for line in refused {
        assert_eq!(line["verdict"], "rejected");
        assert_eq!(line["fingerprint"], wrong.fingerprint.as_str());
    }
    assert_eq!(of(&uses, "consent", "token").len(), 1);
    let validated = of(&uses, "consent", "myself");
    let print = consent.validated_fingerprint.unwrap();
    assert_eq!(validated[0]["fingerprint"], print.as_str());
}
