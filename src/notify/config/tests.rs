use std::path::Path;

use super::*;
use crate::notify::problem::Event;
use crate::notify::sink::{Destination, Format, Reminders};

fn parse(text: &str) -> Result<NotifyConfig, NotifyConfigError> {
    NotifyConfig::parse(text, Path::new("/"), hosts())
}

fn hosts() -> HostPatterns {
    HostPatterns::parse("--notify-hosts", ["hooks.example"]).unwrap()
}

/// A sink with these lines in place of its usual ones.
fn with(lines: &str) -> String {
    format!("sinks:\n- {}\n", lines.replace('\n', "\n  "))
}

const URL: &str = "url: https://hooks.example/canary";

#[test]
fn what_is_left_out_has_its_default() {
    let config = parse(&with(&format!("name: chat\nformat: slack\n{URL}"))).unwrap();
    let sink = config.sinks.first().unwrap();
    assert_eq!(sink.format, Format::Slack);
    assert_eq!(sink.reminders, Reminders::Daily);
    let all = [Event::Stalled, Event::RotationDue, Event::Resolved];
    assert_eq!(sink.events, all);
    assert!(sink.covers("any-namespace"));
    assert_eq!(config.runbook, None);
    assert_eq!(config.summary(), "chat (slack)");
    assert!(!format!("{config:?}").contains("canary"));
}

#[test]
fn what_is_set_counts() {
    let text = format!(
        "runbookUrl: https://docs.example/runbook\n{}",
        with(&format!(
            "name: a-1\nformat: json\n{URL}\nevents: [RotationDue]\nnamespaces: [team-a, ci-*]\nreminders: Weekly\ntemplate: '{{\"text\": {{{{ message | tojson }}}}}}'"
        ))
    );
    let config = parse(&text).unwrap();
    let sink = config.sinks.first().unwrap();
    assert_eq!(sink.events, [Event::RotationDue]);
    assert_eq!(sink.reminders, Reminders::Weekly);
    for (namespace, covered) in [
        ("team-a", true),
        ("team-ab", false),
        ("ci-", true),
        ("ci-jobs", true),
        ("ci", false),
    ] {
        assert_eq!(sink.covers(namespace), covered, "{namespace}");
    }
    assert!(matches!(&sink.format, Format::Json(Some(text)) if text.contains("tojson")));
}

/// The message about a mistake names its field and the remedy, and no value.
fn assert_told(text: &str, field: &str, remedy: &str) {
    let told = parse(text).unwrap_err().to_string();
    assert!(told.contains(field), "{text}\n{told}");
    assert!(told.contains(remedy), "{text}\n{told}");
    assert!(!told.contains("canary"), "{text}\n{told}");
}

#[test]
fn a_mistake_is_told_with_its_field_and_the_remedy() {
    let sink = |lines: &str| with(&format!("name: chat\nformat: slack\n{URL}\n{lines}"));
    let json = |template: &str| {
        with(&format!(
            "name: chat\nformat: json\n{URL}\ntemplate: '{template}'"
        ))
    };
    for (text, field, remedy) in [
        ("sinks: []".to_owned(), "sinks", "1 to 16"),
        ("sinks: canary".to_owned(), "line 1", "expected"),
        ("sinks:\n- {name: a".to_owned(), "line", ""),
        (sink("channel: canary"), "line 5", "channel"),
        (
            with("name: chat\nformat: slack"),
            "sinks[0] (chat).url",
            "urlFile",
        ),
        (sink("urlFile: b"), "sinks[0] (chat).url", "not both"),
        (
            with("name: Chat\nformat: slack\nurl: https://hooks.example"),
            "sinks[0].name",
            "lower-case",
        ),
        (
            with("name: chat\nformat: xml\nurl: https://hooks.example"),
            "sinks[0] (chat).format",
            "slack, teams",
        ),
        (
            with("name: chat\nformat: slack\nurl: http://h.example/canary"),
            "sinks[0] (chat).url",
            "https://",
        ),
        (
            with("name: chat\nformat: slack\nurl: https://evil.example/canary"),
            "sinks[0] (chat).url",
            "--notify-hosts",
        ),
        (
            sink("events: [Ready]"),
            "sinks[0] (chat).events",
            "Stalled, RotationDue and Resolved",
        ),
        (
            sink("events: [Resolved]"),
            "sinks[0] (chat).events",
            "Stalled or RotationDue",
        ),
        (
            sink("namespaces: ['*-a']"),
            "sinks[0] (chat).namespaces",
            "team-*",
        ),
        (
            sink("reminders: hourly"),
            "sinks[0] (chat).reminders",
            "Daily, Weekly or Never",
        ),
        (
            sink("template: '{}'"),
            "sinks[0] (chat).template",
            "format: json",
        ),
        (
            json("{\"a\": \"{{ message }}\"}"),
            "sinks[0] (chat).template",
            "tojson",
        ),
        (
            json("{\"a\": {{ token | tojson }}}"),
            "sinks[0] (chat).template",
            "token",
        ),
        // Only at the end, where a value may be what others have chosen.
        (
            json(
                "{% if status == \"resolved\" %}{\"a\": \"{{ contact }}\"}{% else %}{}{% endif %}",
            ),
            "sinks[0] (chat).template",
            "tojson",
        ),
        (
            json("{\"a\": \"{% if contact %}\"{% endif %}}"),
            "sinks[0] (chat).template",
            "must make JSON",
        ),
        (
            json("{% if event == \"RotationDue\" %}nothing{% else %}{}{% endif %}"),
            "sinks[0] (chat).template",
            "must make JSON",
        ),
        (json("{% if %}"), "sinks[0] (chat).template", "line 1"),
    ] {
        assert_told(&text, field, remedy);
    }
}

#[test]
fn what_fits_no_other_field_is_told_with_the_remedy() {
    let chat = || with(&format!("name: chat\nformat: slack\n{URL}"));
    for (text, field, remedy) in [
        (
            with("name: am\nformat: alertmanager\nurl: https://hooks.example\nreminders: Daily"),
            "sinks[0] (am).reminders",
            "remove it",
        ),
        (
            with("name: am\nformat: alertmanager\nurl: https://hooks.example\nevents: [Stalled]"),
            "sinks[0] (am).events",
            "leave events out",
        ),
        (
            format!("{}- {{name: chat, format: slack, {URL}}}\n", chat()),
            "sinks[1] (chat).name",
            "name of its own",
        ),
        (
            format!("runbookUrl: docs/runbook.md\n{}", chat()),
            "runbookUrl",
            "https://",
        ),
    ] {
        assert_told(&text, field, remedy);
    }
}

#[test]
fn a_project_gets_issues() {
    let lines = "name: tickets\nformat: jira\ncredential: {namespace: jira-operator, name: ticket-writer}\nproject: OPS";
    let read = |text: &str| {
        let config = parse(text).unwrap();
        assert_eq!(config.summary(), "tickets (jira)");
        match config.sinks.into_iter().next().unwrap().destination {
            Destination::Project(tracker) => tracker,
            Destination::Address(_) => panic!("it has an address"),
        }
    };
    let tracker = read(&with(lines));
    assert_eq!(tracker.writer(), "jira-operator/ticket-writer");
    assert_eq!(
        (tracker.project.as_str(), tracker.issue_type.as_str()),
        ("OPS", "Task")
    );
    assert_eq!((tracker.labels.len(), &tracker.done_transition), (0, &None));
    let more =
        "issueType: Bug\nlabels: [jira-credential, b]\ndoneTransition: Close it\nreminders: Weekly";
    let tracker = read(&with(&format!("{lines}\n{more}")));
    assert_eq!(tracker.issue_type, "Bug");
    assert_eq!(tracker.labels, ["jira-credential", "b"]);
    assert_eq!(tracker.done_transition.as_deref(), Some("Close it"));
}

#[test]
fn a_mistake_about_a_project_is_told_with_its_field_and_the_remedy() {
    let writer = "credential: {namespace: a, name: b}";
    let jira = |lines: &str| with(&format!("name: t\nformat: jira\n{lines}"));
    let whole = |lines: &str| jira(&format!("{writer}\nproject: OPS\n{lines}"));
    let chat = |lines: &str| with(&format!("name: t\nformat: slack\n{URL}\n{lines}"));
    let long = "x".repeat(300);
    for (text, field, remedy) in [
        (
            jira("project: OPS"),
            "sinks[0] (t).credential",
            "{namespace: NAMESPACE, name: NAME}",
        ),
        (
            jira("project: OPS\ncredential: {namespace: a, name: Canary}"),
            "credential",
            "JiraCredential",
        ),
        (
            jira("project: OPS\ncredential: {namespace: a, name: b, key: c}"),
            "line",
            "key",
        ),
        (jira(writer), "sinks[0] (t).project", "such as OPS"),
        (
            jira(&format!("{writer}\nproject: 'A\" OR project = B'")),
            "sinks[0] (t).project",
            "such as OPS",
        ),
        (
            whole("issueType: ''"),
            "sinks[0] (t).issueType",
            "such as Task",
        ),
        (
            whole("doneTransition: ' '"),
            "sinks[0] (t).doneTransition",
            "such as Done",
        ),
        (
            whole("labels: [a b]"),
            "sinks[0] (t).labels",
            "without blanks",
        ),
        (
            whole(&format!("labels: [{long}]")),
            "sinks[0] (t).labels",
            "255",
        ),
        (whole("labels: [jco-canary]"), "sinks[0] (t).labels", "jco-"),
        (whole(URL), "sinks[0] (t).url", "remove it"),
        (
            whole("urlFile: canary"),
            "sinks[0] (t).urlFile",
            "remove it",
        ),
        (
            whole("template: '{}'"),
            "sinks[0] (t).template",
            "format: json",
        ),
        (chat(writer), "sinks[0] (t).credential", "format: jira"),
        (chat("project: OPS"), "sinks[0] (t).project", "format: jira"),
        (
            chat("issueType: Task"),
            "sinks[0] (t).issueType",
            "format: jira",
        ),
        (chat("labels: []"), "sinks[0] (t).labels", "format: jira"),
        (
            chat("doneTransition: Done"),
            "sinks[0] (t).doneTransition",
            "format: jira",
        ),
    ] {
        assert_told(&text, field, remedy);
    }
}

#[test]
fn files_are_sought_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notify.yaml");
    std::fs::write(&file, with("name: chat\nformat: slack\nurlFile: chat-url")).unwrap();
    // Files change: what is wrong with one is a warning, and does not keep the operator from starting.
    let config = NotifyConfig::load(&file, hosts()).unwrap();
    let address = folder.path().join("chat-url");
    for (content, problem) in [
        (None, Some("names a file that cannot be read")),
        (Some("https://hooks.example/a\n".to_owned()), None),
        (Some("x".repeat(5000)), Some("more than 4096 bytes")),
        (
            Some("http://hooks.example/canary".to_owned()),
            Some("begins with https://"),
        ),
        (
            Some("https://evil.example/canary".to_owned()),
            Some("--notify-hosts"),
        ),
    ] {
        if let Some(content) = &content {
            std::fs::write(&address, content).unwrap();
        }
        let without = config.without_address();
        match problem {
            None => assert_eq!(without, []),
            Some(problem) => {
                let [(sink, said)] = without.as_slice() else {
                    panic!("{problem}: {without:?}");
                };
                assert_eq!(*sink, "chat");
                assert!(said.contains(problem) && !said.contains("canary"), "{said}");
            }
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let gone = NotifyConfig::load(&folder.path().join("gone"), hosts()).unwrap_err();
    assert!(
        gone.to_string().starts_with("the file cannot be read"),
        "{gone}"
    );
}
