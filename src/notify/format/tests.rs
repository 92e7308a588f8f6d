use serde_json::json;

use super::*;
use crate::api::Owner;
use crate::notify::message::{Stage, Standing};
use crate::notify::problem::Event;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

/// A message with everything that a stranger may have chosen.
fn hostile(stage: Stage) -> Message {
    Message {
        stage,
        event: Event::Stalled,
        uid: "uid".into(),
        namespace: "team-a".into(),
        name: "bot".into(),
        site: "acme.atlassian.net".into(),
        reason: "Rejected".into(),
        text: "Jira says <!channel> & \"no\" to @here.\n[click](https://evil.example)".into(),
        since: at(0),
        owner: Owner {
            team: Some("<@U1> a|b".into()),
            contact: Some("#platform, platform@acme.example".into()),
        },
        link: Some("https://docs.example/runbook#rejected".into()),
    }
}

fn bare(stage: Stage) -> Message {
    Message {
        owner: Owner::default(),
        link: None,
        text: "It is refused.".into(),
        ..hostile(stage)
    }
}

const OVER: Stage = Stage::Resolved {
    others_left: false,
    now: Standing::Ready,
};

fn sent(format: &Format, message: Message) -> Value {
    let body = body(format, &[message], at(60)).unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn slack_gets_text_that_mentions_nobody() {
    let text = |message| {
        sent(&Format::Slack, message)["text"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        text(hostile(Stage::Firing)).lines().collect::<Vec<_>>(),
        [
            "*JiraCredential team-a/bot needs a person: Rejected*",
            "Jira says &lt;!channel&gt; &amp; \"no\" to @\u{200b}here. [click]\u{200b}(https://evil.example)",
            "Site: acme.atlassian.net",
            "Owner: &lt;@\u{200b}U1&gt; a|b, #platform, platform@acme.example",
            "Since: 2027-01-15T08:00:00Z",
            "<https://docs.example/runbook#rejected|Runbook>",
        ]
    );
    assert_eq!(
        text(bare(OVER)).lines().collect::<Vec<_>>(),
        [
            "*JiraCredential team-a/bot is Ready: Rejected is over*",
            "Site: acme.atlassian.net",
            "Since: 2027-01-15T08:00:00Z",
        ]
    );
    assert!(text(bare(Stage::Reminder)).contains("bot still needs a person: Rejected"));
}

#[test]
fn teams_gets_a_card_without_markdown() {
    let payload = sent(&Format::Teams, hostile(Stage::Firing));
    let run = |text: &str| json!({"type": "TextRun", "text": text});
    let bold = |text: &str| json!({"type": "TextRun", "text": text, "weight": "bolder"});
    let line = |inlines: Value| json!({"type": "RichTextBlock", "inlines": inlines});
    let title = json!({
        "type": "TextRun", "text": "JiraCredential team-a/bot needs a person: Rejected",
        "weight": "bolder", "color": "attention",
    });
    let owner = "<@U1> a|b, #platform, platform@acme.example";
    assert_eq!(
        payload,
        json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": null,
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "body": [
                        line(json!([title])),
                        line(json!([run(&hostile(Stage::Firing).text)])),
                        line(json!([bold("Site: "), run("acme.atlassian.net")])),
                        line(json!([bold("Owner: "), run(owner)])),
                        line(json!([bold("Since: "), run("2027-01-15T08:00:00Z")])),
                    ],
                    "actions": [{
                        "type": "Action.OpenUrl", "title": "Runbook: Rejected",
                        "url": "https://docs.example/runbook#rejected",
                    }],
                },
            }],
        })
    );
    let over = sent(&Format::Teams, bare(OVER));
    let card = &over["attachments"][0]["content"];
    assert_eq!(card["body"][0]["inlines"][0]["color"], "good");
    assert_eq!(card["body"].as_array().unwrap().len(), 3);
    assert!(card.get("actions").is_none());
}

#[test]
fn people_get_many_at_once_together() {
    let all = [hostile(Stage::Firing), bare(OVER), hostile(Stage::Firing)];
    let together = |format| {
        let body = body(&format, &all, at(60)).unwrap();
        serde_json::from_slice::<Value>(&body).unwrap()
    };
    let slack = together(Format::Slack);
    let texts: Vec<&str> = slack["text"].as_str().unwrap().split("\n\n").collect();
    assert_eq!(texts.len(), 3);
    assert!(texts[1].contains("Rejected is over"), "{texts:?}");
    let teams = together(Format::Teams);
    let card = &teams["attachments"][0]["content"];
    assert_eq!(card["body"].as_array().unwrap().len(), 5 + 3 + 5);
    assert_eq!(card["actions"].as_array().unwrap().len(), 1);
}

#[test]
fn people_get_ten_by_name_and_the_number_of_the_others() {
    let all: Vec<Message> = (0..300)
        .map(|at| bare(if at < 250 { Stage::Firing } else { OVER }))
        .collect();
    let text = |format| String::from_utf8(body(&format, &all, at(60)).unwrap()).unwrap();
    for text in [text(Format::Slack), text(Format::Teams)] {
        assert_eq!(text.matches("JiraCredential team-a/bot").count(), 10);
        let line = "and 290 more: 240 need a person, 50 are over.";
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn alertmanager_gets_labels_that_stay_and_an_end() {
    let alert = sent(&Format::Alertmanager, hostile(Stage::Firing));
    assert_eq!(
        alert,
        json!([{
            "labels": {
                "alertname": "JiraCredentialNeedsPerson", "namespace": "team-a", "name": "bot",
                "reason": "Rejected", "severity": "critical",
            },
            "annotations": {
                "summary": "JiraCredential team-a/bot needs a person: Rejected",
                "description": hostile(Stage::Firing).text,
                "site": "acme.atlassian.net",
                "team": "<@U1> a|b",
                "contact": "#platform, platform@acme.example",
                "runbook_url": "https://docs.example/runbook#rejected",
            },
            "startsAt": "2027-01-15T08:00:00Z",
            "endsAt": "2027-01-15T08:11:00Z",
            "generatorURL": "https://docs.example/runbook#rejected",
        }])
    );
    let over = sent(&Format::Alertmanager, hostile(OVER));
    assert_eq!(over[0]["labels"], alert[0]["labels"]);
    assert_eq!(over[0]["endsAt"], "2027-01-15T08:01:00Z");
    let bare = sent(&Format::Alertmanager, bare(Stage::Reminder));
    assert!(bare[0].get("generatorURL").is_none());
    assert!(bare[0]["annotations"].get("team").is_none());
    let all = [hostile(Stage::Firing), hostile(OVER)];
    let both = body(&Format::Alertmanager, &all, at(60)).unwrap();
    let both: Value = serde_json::from_slice(&both).unwrap();
    assert_eq!(both.as_array().unwrap().len(), 2);
}

#[test]
fn programs_get_every_field() {
    let payload = sent(&Format::Json(None), hostile(Stage::Reminder));
    assert_eq!(
        payload,
        json!({
            "status": "reminder",
            "event": "Stalled",
            "namespace": "team-a",
            "name": "bot",
            "site": "acme.atlassian.net",
            "reason": "Rejected",
            "message": hostile(Stage::Reminder).text,
            "since": "2027-01-15T08:00:00Z",
            "owner": {"team": "<@U1> a|b", "contact": "#platform, platform@acme.example"},
            "runbook": "https://docs.example/runbook#rejected",
        })
    );
    let bare = sent(&Format::Json(None), bare(OVER));
    assert_eq!(bare["owner"], json!({}));
    assert_eq!(bare["runbook"], Value::Null);
}

#[test]
fn a_template_makes_the_json_that_a_program_wants() {
    let template = "{\"to\": {{ contact | tojson }}, \"all\": [{% for v in [status, event, namespace, name, site, reason, message, since, team, runbook] %}{{ v | tojson }}{{ \",\" if not loop.last }}{% endfor %}]}";
    let format = Format::Json(Some(template.to_owned()));
    let message = hostile(Stage::Firing);
    let payload = sent(&format, message.clone());
    assert_eq!(payload["to"], "#platform, platform@acme.example");
    assert_eq!(
        payload["all"],
        json!([
            "firing",
            "Stalled",
            "team-a",
            "bot",
            "acme.atlassian.net",
            "Rejected",
            message.text,
            "2027-01-15T08:00:00Z",
            "<@U1> a|b",
            "https://docs.example/runbook#rejected",
        ])
    );
    let broken = Format::Json(Some("{{ message }}".to_owned()));
    let told = body(&broken, &[message], at(0)).unwrap_err();
    assert!(!told.contains("click"), "{told}");
}

#[test]
fn an_issue_mentions_nobody_and_shows_markup_as_text() {
    let message = Message {
        text: "[~ann] {noformat} {color:red}h1. [a|https://evil.example]!b.png!\nnext".into(),
        ..hostile(Stage::Firing)
    };
    let text = jira::description(&message, "jco-01");
    let inside = text.strip_prefix("{noformat}\n").unwrap();
    let (inside, behind) = inside.split_once("\n{noformat}\n").unwrap();
    assert!(
        inside.starts_with("JiraCredential team-a/bot needs a person: Rejected\n\n[~ann] "),
        "{inside}"
    );
    assert!(
        !inside.contains("{noformat") && !inside.contains("{color"),
        "{inside}"
    );
    assert!(
        inside.contains("Site: acme.atlassian.net\nOwner: <@U1> a|b, #platform, "),
        "{inside}"
    );
    assert!(inside.contains("Since: 2027-01-15T08:00:00Z"), "{inside}");
    assert_eq!(
        behind.lines().next(),
        Some("Runbook: https://docs.example/runbook#rejected")
    );
    assert!(behind.ends_with("by its label jco-01."), "{behind}");
    let over = jira::comment(&bare(OVER));
    assert_eq!(
        over,
        "{noformat}\nJiraCredential team-a/bot is Ready: Rejected is over\n\nSite: acme.atlassian.net\nSince: 2027-01-15T08:00:00Z\n{noformat}"
    );
}

#[test]
fn lines_of_an_issue_are_wrapped_and_its_summary_is_one_short_line() {
    let words = "word ".repeat(60);
    let message = Message {
        text: format!("{words}{}", "x".repeat(150)),
        name: "n".repeat(250),
        ..bare(Stage::Firing)
    };
    let text = jira::comment(&message);
    let words = |line: &&str| line.starts_with("word");
    let lines: Vec<&str> = text.lines().filter(words).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines.iter().all(|line| line.len() <= 100), "{lines:?}");
    // What has no blank in it is not cut.
    assert!(text.lines().any(|line| line == "x".repeat(150)), "{text}");
    let summary = jira::summary(&message);
    assert_eq!(summary.chars().count(), 255);
    assert!(summary.ends_with('\u{2026}'));
    let short = jira::summary(&bare(Stage::Reminder));
    assert_eq!(
        short,
        "JiraCredential team-a/bot still needs a person: Rejected"
    );
}
