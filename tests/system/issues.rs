//! Notifications that are issues of Jira: one for each credential and cause.

use std::collections::BTreeSet;

use atlassian_sim::{Fault, Issue, Project, Rule, Token};
use chrono::TimeDelta;
use jira_credential_operator::api::Reason;
use jira_credential_operator::controller::OperatorConfig;
use serde_json::{Value, json};

use crate::notifications::{count, heal, refused, to, until_counted};
use crate::oauth::RENEWAL_IS_DUE;
use crate::redaction::Log;
use crate::support::{Running, World};

/// The credential that files issues.
const WRITER: &str = "ticket-writer";

const SINK: &str = "tickets";

/// The settings of a sink that files issues.
fn sink(world: &World) -> Value {
    json!({
        "name": SINK,
        "format": "jira",
        "credential": {"namespace": world.namespace, "name": WRITER},
        "project": "OPS",
        "labels": ["jira-credential"],
    })
}

fn config(world: &World) -> impl FnOnce(&mut OperatorConfig) + use<> {
    to(&json!([sink(world)]))
}

fn project(world: &World) -> Project {
    world.cloud().project("OPS")
}

/// The writer as a credential of Cloud, ready to be used.
async fn writer(world: &World) -> Token {
    let token = world.api_token(WRITER).await;
    world.wait_ready(WRITER).await;
    token
}

fn writers_address() -> String {
    format!("{WRITER}@acme.example")
}

async fn until_issues(
    world: &World,
    project: &Project,
    what: &str,
    are: impl Fn(&[Issue]) -> bool,
) -> Vec<Issue> {
    world
        .until(what, async || {
            let issues = project.issues();
            are(&issues).then_some(issues)
        })
        .await
}

async fn one_open(world: &World, project: &Project) -> Issue {
    let issues = until_issues(world, project, "one issue", |all| !all.is_empty()).await;
    issues.into_iter().next().unwrap()
}

/// An operator, and the issue that it has filed for a credential `bot`.
async fn one_filed(world: &World) -> (Project, Running, Issue) {
    let project = project(world);
    let operator = world.operator_with(config(world)).await;
    writer(world).await;
    refused(world, "bot").await;
    let issue = one_open(world, &project).await;
    (project, operator, issue)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cause_is_filed_once_and_its_issue_closed_when_it_is_over() {
    let world = World::new().await;
    let (project, operator, issue) = one_filed(&world).await;
    let name = format!("JiraCredential {}/bot", world.namespace);
    assert_eq!(issue.key, "OPS-1");
    assert_eq!(issue.issue_type, "Task");
    assert_eq!(issue.summary, format!("{name} needs a person: Rejected"));
    for words in [
        "Site: acme.cloud.localhost",
        "Owner: platform, #platform",
        "Runbook: https://docs.example/runbook#rejected",
    ] {
        assert!(
            issue.description.contains(words),
            "{words}: {}",
            issue.description
        );
    }
    assert!(issue.labels[0].starts_with("jco-"), "{:?}", issue.labels);
    assert_eq!(issue.labels[1], "jira-credential");
    // A restart files nothing; the reminder of the next process finds the issue.
    operator.stop().await;
    let operator = world.operator_with(config(&world)).await;
    operator.look_again(2).await;
    assert_eq!(project.issues(), [issue]);
    world.advance(TimeDelta::hours(24));
    let commented = |all: &[Issue]| all.iter().any(|issue| !issue.comments.is_empty());
    let issues = until_issues(&world, &project, "the reminder", commented).await;
    assert_eq!(issues.len(), 1);
    let comment = &issues[0].comments[0];
    assert!(
        comment.contains(&format!("{name} still needs a person")),
        "{comment}"
    );
    heal(&world, "bot").await;
    let closed = |all: &[Issue]| all.iter().any(|issue| issue.status == "Done");
    let issues = until_issues(&world, &project, "the end", closed).await;
    operator.quiet().await;
    assert_eq!((issues.len(), issues[0].comments.len()), (1, 2));
    let comment = &issues[0].comments[1];
    assert!(
        comment.contains(&format!("{name} is Ready: Rejected is over")),
        "{comment}"
    );
    assert_eq!(count(&operator, SINK, "failed"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn data_center_gets_issues_with_a_personal_access_token() {
    let world = World::new().await;
    let project = world.data_center().project("OPS");
    project.set_index_behind(true);
    let _operator = world.operator_with(config(&world)).await;
    world.pat(WRITER).await;
    world.wait_ready(WRITER).await;
    refused(&world, "bot").await;
    one_open(&world, &project).await;
    // The search has not found it yet: what was created is remembered.
    world.advance(TimeDelta::hours(24));
    let commented = |all: &[Issue]| all.iter().any(|issue| !issue.comments.is_empty());
    let issues = until_issues(&world, &project, "the reminder", commented).await;
    assert_eq!(issues.len(), 1);
    heal(&world, "bot").await;
    let closed = |all: &[Issue]| all.iter().any(|issue| issue.status == "Done");
    until_issues(&world, &project, "the end", closed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_has_closed_is_filed_again_at_the_next_reminder() {
    let world = World::new().await;
    let project = project(&world);
    project.set_endless(true);
    let log = Log::default();
    let operator = world.operator_logging(config(&world), log.dispatch()).await;
    writer(&world).await;
    refused(&world, "bot").await;
    let issue = one_open(&world, &project).await;
    project.set_status(&issue.key, "Done");
    operator.look_again(2).await;
    assert_eq!(project.issues().len(), 1);
    world.advance(TimeDelta::hours(24));
    let two = |all: &[Issue]| all.len() == 2;
    let issues = until_issues(&world, &project, "a second issue", two).await;
    assert_eq!(issues[1].labels, issues[0].labels);
    assert_eq!(issues[0].comments.len(), 0);
    // No transition leads to done: the comment alone says that it is over.
    heal(&world, "bot").await;
    let told = |all: &[Issue]| all[1].comments.len() == 1;
    let issues = until_issues(&world, &project, "the end", told).await;
    until_counted(&world, &operator, SINK, "sent", 3).await;
    assert_eq!(issues[1].status, "To Do");
    operator.stop().await;
    assert!(log.text().contains("an issue stays open"), "{}", log.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_have_copied_or_relabelled_stays_as_it_is() {
    let world = World::new().await;
    let (project, operator, issue) = one_filed(&world).await;
    project.clone_issue(&issue.key, "ann@acme.example");
    // The next process remembers nothing.
    operator.stop().await;
    let operator = world.operator_with(config(&world)).await;
    operator.look_again(2).await;
    world.advance(TimeDelta::hours(24));
    let commented = |all: &[Issue]| all.iter().any(|issue| !issue.comments.is_empty());
    let issues = until_issues(&world, &project, "the reminder", commented).await;
    assert_eq!((issues.len(), issues[0].comments.len()), (2, 1));
    project.set_labels(&issue.key, &["jira-credential"]);
    world.advance(TimeDelta::hours(24));
    let third = |all: &[Issue]| all.len() == 3 || all[0].comments.len() == 2;
    until_issues(&world, &project, "an issue with the label", third).await;
    heal(&world, "bot").await;
    let closed = |all: &[Issue]| all.iter().any(|issue| issue.status == "Done");
    let issues = until_issues(&world, &project, "the end", closed).await;
    operator.quiet().await;
    let shown = issues.iter();
    let shown: Vec<_> = shown
        .map(|issue| (issue.status.as_str(), issue.comments.len()))
        .collect();
    assert_eq!(shown, [("To Do", 1), ("To Do", 0), ("Done", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cause_that_begins_again_before_its_issue_is_closed_is_told() {
    let world = World::new().await;
    let project = project(&world);
    let operator = world.operator_with(config(&world)).await;
    writer(&world).await;
    refused(&world, "bot").await;
    let issue = one_open(&world, &project).await;
    let limit = Fault::RateLimit {
        retry_after: Some(1),
        html: false,
    };
    let path = format!("/rest/api/2/issue/{}/transitions", issue.key);
    let limited = Rule::new(limit).host(world.cloud().host()).path(&path);
    let limited = world.sim.fault(limited.times(1));
    heal(&world, "bot").await;
    world
        .until("the end that is not closed", async || {
            (limited.hits() == 1 && count(&operator, SINK, "failed") >= 1).then_some(())
        })
        .await;
    // The comment says that it is over: the beginning does not cancel what waits.
    world
        .secret("bot-source", &[("token", "no-such-token")])
        .await;
    world.wait_unready("bot", Reason::Rejected).await;
    operator.quiet().await;
    world.advance(TimeDelta::minutes(11));
    let again = |all: &[Issue]| all[0].comments.len() == 2;
    let issues = until_issues(&world, &project, "the second beginning", again).await;
    assert!(
        issues[0].comments[1].contains("needs a person"),
        "{:?}",
        issues[0].comments
    );
    heal(&world, "bot").await;
    let closed = |all: &[Issue]| all[0].status == "Done";
    let issues = until_issues(&world, &project, "the end", closed).await;
    assert_eq!((issues.len(), issues[0].comments.len()), (1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_means_nothing_at_another_site() {
    let world = World::new().await;
    let old = project(&world);
    let new = world.data_center().project("OPS");
    let _operator = world.operator_with(config(&world)).await;
    writer(&world).await;
    refused(&world, "bot").await;
    let issue = one_open(&world, &old).await;
    world.delete(WRITER).await;
    world
        .until("the end of the writer", async || {
            let found = world.credentials().get_opt(WRITER).await.unwrap();
            found.is_none().then_some(())
        })
        .await;
    world.pat(WRITER).await;
    world.wait_ready(WRITER).await;
    world.advance(TimeDelta::hours(24));
    one_open(&world, &new).await;
    assert_eq!(old.issues(), [issue]);
    let calls = world.sim.calls_for(world.data_center().host());
    let paths: Vec<String> = calls.into_iter().map(|call| call.path).collect();
    let asked = paths.iter().filter(|path| path.ends_with("/issue/OPS-1"));
    assert_eq!(asked.count(), 0, "{paths:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_writer_is_not_sent_again_where_a_private_project_is_unknown_to_nobody() {
    let world = World::new().await;
    let project = project(&world);
    project.set_private(true);
    let log = Log::default();
    let operator = world.operator_logging(config(&world), log.dispatch()).await;
    let token = writer(&world).await;
    world.sim.revoke(&token);
    refused(&world, "bot").await;
    until_counted(&world, &operator, SINK, "failed", 3).await;
    let calls = world.sim.calls_for(world.cloud().host()).into_iter();
    let searches = calls.filter(|call| call.path.ends_with("/search/jql"));
    assert_eq!(searches.count(), 1);
    operator.stop().await;
    let text = log.text();
    assert!(text.contains("Jira refuses JiraCredential"), "{text}");
    assert!(!text.contains("Browse Projects"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_refused_files_nothing_and_everything_once_it_is_healed() {
    let world = World::new().await;
    let project = project(&world);
    let log = Log::default();
    let operator = world.operator_logging(config(&world), log.dispatch()).await;
    let token = writer(&world).await;
    world.sim.revoke(&token);
    let host = world.cloud().host().to_owned();
    let asked = || {
        let calls = world.sim.calls_for(&host).into_iter();
        calls.filter(|call| call.path.ends_with("/issue")).count()
    };
    refused(&world, "bot").await;
    // It was valid when the operator looked last: one attempt finds out, others do not try it.
    until_counted(&world, &operator, SINK, "failed", 3).await;
    assert_eq!(asked(), 1);
    // Then its own cause waits with that of the other.
    world
        .annotate(WRITER, "jira-operator.dev/renew", "now")
        .await;
    world
        .until_status(WRITER, "a first refusal", |status| status.attempt.is_some())
        .await;
    world.advance(TimeDelta::minutes(2));
    operator.poke();
    world.wait_unready(WRITER, Reason::Rejected).await;
    let failed = count(&operator, SINK, "failed");
    until_counted(&world, &operator, SINK, "failed", failed + 2).await;
    assert_eq!(asked(), 1);
    heal(&world, WRITER).await;
    let issue = one_open(&world, &project).await;
    assert!(issue.summary.contains("/bot needs"), "{}", issue.summary);
    until_counted(&world, &operator, SINK, "sent", 1).await;
    operator.quiet().await;
    assert_eq!(project.issues().len(), 1);
    operator.stop().await;
    let text = log.text();
    for words in [
        "Jira refuses JiraCredential",
        "Jira has refused it since",
        "Jira refuses it",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains(token.secret()), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lacks_a_permission_waits_and_what_lacks_a_field_is_dropped() {
    let world = World::new().await;
    let project = project(&world);
    let log = Log::default();
    let operator = world.operator_logging(config(&world), log.dispatch()).await;
    writer(&world).await;
    let user = writers_address();
    world.cloud().set_permission(&user, "CREATE_ISSUES", false);
    refused(&world, "bot").await;
    until_counted(&world, &operator, SINK, "failed", 1).await;
    world.cloud().set_permission(&user, "CREATE_ISSUES", true);
    one_open(&world, &project).await;
    project.require("customfield_10001");
    refused(&world, "other").await;
    until_counted(&world, &operator, SINK, "refused", 1).await;
    assert_eq!(project.issues().len(), 1);
    operator.stop().await;
    let text = log.text();
    for words in [
        "needs Create Issues in it",
        "because of the fields customfield_10001",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_found_by_the_label() {
    let world = World::new().await;
    let project = project(&world);
    let operator = world.operator_with(config(&world)).await;
    writer(&world).await;
    let host = world.cloud().host().to_owned();
    let lost = Rule::new(Fault::DropAfter)
        .host(&host)
        .path("/rest/api/2/issue");
    world.sim.fault(lost.method("POST").times(1));
    refused(&world, "bot").await;
    until_counted(&world, &operator, SINK, "sent", 1).await;
    assert_eq!(project.issues().len(), 1);
    assert_eq!(count(&operator, SINK, "failed"), 1);
}

/// One refusal that the next validation does not confirm.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_validated_again_files_within_the_hour() {
    let world = World::new().await;
    let project = project(&world);
    let operator = world.operator_with(config(&world)).await;
    let token = world.cloud().api_token(&writers_address());
    let source = format!("{WRITER}-source");
    world.secret(&source, &[("token", token.secret())]).await;
    let mut spec = world.api_token_spec(WRITER);
    spec["validation"] = json!({"interval": "15m"});
    world.create(WRITER, spec).await;
    world.wait_ready(WRITER).await;
    let stray = Rule::new(Fault::ServerError { status: 401 })
        .host(world.cloud().host())
        .path("/rest/api/2/issue");
    world.sim.fault(stray.method("POST").times(1));
    refused(&world, "bot").await;
    until_counted(&world, &operator, SINK, "failed", 3).await;
    assert_eq!(project.issues().len(), 0);
    world.advance(TimeDelta::minutes(16));
    operator.poke();
    one_open(&world, &project).await;
    let status = world.credential(WRITER).await.status.unwrap();
    let recorded = status.last_validated_time.unwrap();
    assert!(world.clock.now() - recorded > TimeDelta::minutes(15));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_limited_waits_as_long_as_jira_asks() {
    let world = World::new().await;
    let project = project(&world);
    let operator = world.operator_with(config(&world)).await;
    writer(&world).await;
    let limit = Fault::RateLimit {
        retry_after: Some(1),
        html: false,
    };
    let host = world.cloud().host().to_owned();
    let search = Rule::new(limit).host(&host).path("/rest/api/3/search");
    let limited = world.sim.fault(search.times(1));
    refused(&world, "bot").await;
    // Attempts go on, and send nothing: time stands still.
    until_counted(&world, &operator, SINK, "failed", 3).await;
    assert_eq!((limited.hits(), project.issues().len()), (1, 0));
    world.advance(TimeDelta::minutes(1));
    one_open(&world, &project).await;
    assert_eq!(limited.hits(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_renewed_files_and_closes_with_the_token_in_use() {
    let world = World::new().await;
    let project = project(&world);
    let operator = world.operator_with(config(&world)).await;
    let app = world.sim.oauth_app();
    let scopes = [
        "read:jira-work",
        "write:jira-work",
        "read:jira-user",
        "offline_access",
    ];
    let consent = app.consent(&writers_address(), &[&world.cloud()], &scopes);
    world.seed(WRITER, &consent.refresh_token()).await;
    world.client_secret(WRITER, &app.secret()).await;
    let mut spec = world.oauth_spec(WRITER, &app);
    spec["auth"]["oauth2"]["scopes"] = json!(&scopes[..3]);
    world.create(WRITER, spec).await;
    world.wait_ready(WRITER).await;
    let first = world.published(WRITER).await;
    refused(&world, "bot").await;
    one_open(&world, &project).await;
    world.advance(RENEWAL_IS_DUE);
    operator.poke();
    world
        .until("another token", async || {
            (world.published(WRITER).await != first).then_some(())
        })
        .await;
    operator.quiet().await;
    heal(&world, "bot").await;
    let closed = |all: &[Issue]| all[0].status == "Done";
    until_issues(&world, &project, "the end", closed).await;
    let calls = world.sim.calls().into_iter();
    let calls = calls.filter(|call| call.path.contains("/rest/api/2/issue"));
    let tokens: BTreeSet<_> = calls.map(|call| call.token_id).collect();
    assert_eq!((tokens.len(), tokens.contains(&None)), (2, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_files_no_issues() {
    let world = World::new().await;
    let log = Log::default();
    let operator = world.operator_logging(config(&world), log.dispatch()).await;
    let password = world.data_center().new_password("robot");
    world.password(WRITER, "robot", &password).await;
    world.wait_ready(WRITER).await;
    refused(&world, "bot").await;
    until_counted(&world, &operator, SINK, "failed", 1).await;
    operator.stop().await;
    assert!(
        log.text()
            .contains("a password files no issues: use personalAccessToken")
    );
}
