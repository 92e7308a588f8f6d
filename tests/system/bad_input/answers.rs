//! Answers of a site that say nothing about the credential.

use super::{Use, nothing_came_of_it, spec};
use crate::support::{World, says, value};
use atlassian_sim::{Canned, Fault, Rule};
use chrono::TimeDelta;
use jira_credential_operator::api::{ConditionStatus, ConditionType, Reason};
use std::collections::BTreeMap;

/// An answer of the site: its name, what goes wrong there, the reason, and the remedy.
type Answer = (&'static str, Fault, Reason, &'static str);

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn answers() -> Vec<Answer> {
    use Reason::{RateLimited, SiteUnavailable};
    let canned = |status: u16, kind: &str, body: &str| {
        Fault::Canned(Canned {
            status,
            headers: BTreeMap::from([("content-type".to_owned(), kind.to_owned())]),
            body: body.to_owned(),
        })
    };
    let redirect = Fault::Redirect {
        status: 302,
        location: "https://login.example/".to_owned(),
    };
    let slow = Fault::SlowBody {
        chunk: 1,
        millis: 500,
    };
    let json = "application/json";
    vec![
        (
            "unknown-ca",
            Fault::TlsUnknownCa,
            SiteUnavailable,
            "For a private CA set spec.tls.",
        ),
        (
            "wrong-name",
            Fault::TlsWrongName,
            SiteUnavailable,
            "made for another name",
        ),
        (
            "expired",
            Fault::TlsExpired,
            SiteUnavailable,
            "not trusted, expired",
        ),
        (
            "tls-abort",
            Fault::TlsAbort,
            SiteUnavailable,
            "The operator retries.",
        ),
        (
            "html",
            Fault::HtmlPage,
            SiteUnavailable,
            "Check that spec.site is the base address of Jira and that the REST API is reachable without a login page.",
        ),
        (
            "redirect",
            redirect,
            SiteUnavailable,
            "leave spec.site as it is",
        ),
        (
            "endless",
            Fault::EndlessBody,
            SiteUnavailable,
            "more data than a Jira user has. Check that spec.site is the base address",
        ),
        ("slow", slow, SiteUnavailable, "did not answer in time"),
        (
            "silent",
            Fault::HangBefore,
            SiteUnavailable,
            "did not answer in time",
        ),
        (
            "garbage",
            Fault::GarbageJson,
            SiteUnavailable,
            "cut off or damaged",
        ),
        (
            "truncated",
            Fault::TruncatedBody,
            SiteUnavailable,
            "broke before the answer was complete",
        ),
        (
            "dropped",
            Fault::DropBefore,
            SiteUnavailable,
            "broke before the answer was complete",
        ),
        (
            "not-a-user",
            canned(200, json, "{\"name\": 5}"),
            SiteUnavailable,
            "not a Jira user. Check that spec.site",
        ),
        (
            "a-list",
            canned(200, json, "[]"),
            SiteUnavailable,
            "not a Jira user",
        ),
        (
            "deep",
            canned(200, json, &"[".repeat(60_000)),
            SiteUnavailable,
            "cut off or damaged",
        ),
        (
            "not-found",
            canned(404, "text/html", "<html>"),
            SiteUnavailable,
            "Check the name in spec.site, and whether Jira has a context path there",
        ),
        (
            "error",
            Fault::ServerError { status: 500 },
            SiteUnavailable,
            "the server error 500",
        ),
        (
            "teapot",
            canned(418, json, "{}"),
            SiteUnavailable,
            "the unexpected status 418",
        ),
        (
            "firewall",
            canned(403, "text/html", "<html>blocked"),
            SiteUnavailable,
            "the unexpected status 403",
        ),
        (
            "maintenance",
            Fault::Unavailable {
                retry_after: Some(600),
            },
            SiteUnavailable,
            "is unavailable",
        ),
        (
            "limited",
            Fault::RateLimit {
                retry_after: Some(600),
                html: false,
            },
            RateLimited,
            "limits the rate of calls",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_says_nothing_about_the_credential_is_waited_out() {
    let world = World::new().await;
    let operator = world
        .operator_with(|config| config.max_concurrent_reconciles = 16)
        .await;
    let table = answers();
    let mut tokens = Vec::new();
    for (name, fault, ..) in &table {
        let jira = world.sim.data_center(name);
        world.sim.fault(Rule::new(fault.clone()).host(jira.host()));
        let token = jira.pat("bot");
        let source = format!("{name}-source");
        world.secret(&source, &[("token", token.secret())]).await;
        world
            .create(name, spec(&world, &jira, Use::Pat, &source))
            .await;
        tokens.push(token);
    }
    for ((name, _, reason, remedy), token) in table.iter().zip(&tokens) {
        let object = world
            .wait(name, ConditionType::Ready, ConditionStatus::False, *reason)
            .await;
        nothing_came_of_it(&world, &object, remedy).await;
        let valid = says(&object, ConditionType::Valid);
        assert_eq!(
            (valid.status, valid.reason),
            (ConditionStatus::Unknown, *reason),
            "{name}"
        );
        assert_eq!(
            says(&object, ConditionType::Reconciling).reason,
            *reason,
            "{name}"
        );
        let message = says(&object, ConditionType::Ready).message;
        assert!(
            message.contains(&format!("{name}.dc.localhost")),
            "{name}: {message}"
        );
        let all = serde_json::to_string(&object).unwrap();
        assert!(!all.contains(token.secret()), "{name}");
    }
    world.sim.clear_faults();
    world.sim.cut_connections();
    world.advance(TimeDelta::hours(2));
    operator.look_again(table.len() as u64).await;
    for ((name, ..), token) in table.iter().zip(&tokens) {
        world.wait_ready(name).await;
        let published = world.secrets().get(name).await.unwrap();
        assert_eq!(value(&published, "token"), token.secret(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_whose_answer_says_nothing_waits_for_a_person() {
    let world = World::new().await;
    let operator = world.operator().await;
    let cases = [
        ("html", Fault::HtmlPage),
        ("lost", Fault::DropAfter),
        ("error", Fault::ServerError { status: 502 }),
    ];
    for (name, fault) in &cases {
        let jira = world.sim.data_center(name);
        world.sim.fault(Rule::new(fault.clone()).host(jira.host()));
        let password = jira.new_password("robot");
        let source = format!("{name}-source");
        let data = [("username", "robot"), ("password", password.as_str())];
        world.secret(&source, &data).await;
        world
            .create(name, spec(&world, &jira, Use::Basic, &source))
            .await;
        let object = world.wait_unready(name, Reason::NotValidated).await;
        let remedy = "Set the annotation jira-operator.dev/renew to a new value to try again, or change the Secret.";
        nothing_came_of_it(&world, &object, remedy).await;
        assert_eq!(
            says(&object, ConditionType::Stalled).reason,
            Reason::NotValidated,
            "{name}"
        );
    }
    world.sim.clear_faults();
    world.advance(TimeDelta::days(2));
    operator.look_again(cases.len() as u64).await;
    for (name, _) in &cases {
        let calls = world.sim.calls_for(&format!("{name}.dc.localhost"));
        assert_eq!(calls.len(), 1, "{name}: the password was sent again");
        world.annotate(name, "jira-operator.dev/renew", "now").await;
        world.wait_ready(name).await;
    }
}
