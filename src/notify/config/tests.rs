use std::path::Path;

use super::*;
use crate::notify::problem::Event;
use crate::notify::sink::{Format, Reminders};

fn parse(text: &str) -> Result<NotifyConfig, NotifyConfigError> {
    NotifyConfig::parse(text, Path::new("/"))
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
            with("name: Chat\nformat: slack\nurl: https://h.example"),
            "sinks[0].name",
            "lower-case",
        ),
        (
            with("name: chat\nformat: xml\nurl: https://h.example"),
            "sinks[0] (chat).format",
            "slack, teams",
        ),
        (
            with("name: chat\nformat: slack\nurl: http://h.example/canary"),
            "sinks[0] (chat).url",
            "https://",
        ),
        (
            with("name: chat\nformat: slack\nurlFile: canary-file"),
            "sinks[0] (chat).urlFile",
            "mount it",
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
            with("name: am\nformat: alertmanager\nurl: https://h.example\nreminders: Daily"),
            "sinks[0] (am).reminders",
            "remove it",
        ),
        (
            with("name: am\nformat: alertmanager\nurl: https://h.example\nevents: [Stalled]"),
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
fn files_are_sought_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notify.yaml");
    std::fs::write(&file, with("name: chat\nformat: slack\nurlFile: chat-url")).unwrap();
    let missing = NotifyConfig::load(&file).unwrap_err().to_string();
    assert!(missing.contains("sinks[0] (chat).urlFile"), "{missing}");
    std::fs::write(folder.path().join("chat-url"), "https://hooks.example/a\n").unwrap();
    NotifyConfig::load(&file).unwrap();
    std::fs::write(folder.path().join("chat-url"), "x".repeat(5000)).unwrap();
    let long = NotifyConfig::load(&file).unwrap_err().to_string();
    assert!(long.contains("more than 4096 bytes"), "{long}");
    let gone = NotifyConfig::load(&folder.path().join("gone")).unwrap_err();
    assert!(
        gone.to_string().starts_with("the file cannot be read"),
        "{gone}"
    );
}
