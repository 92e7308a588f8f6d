use chrono::DateTime;

use super::*;
use crate::api::Owner;
use crate::core::probe::Outage;
use crate::notify::message::Stage;
use crate::notify::problem::Event;

fn message(uid: &str, reason: &str) -> Message {
    Message {
        stage: Stage::Firing,
        event: Event::Stalled,
        uid: uid.to_owned(),
        namespace: "team-a".to_owned(),
        name: "bot".to_owned(),
        site: "acme.atlassian.net".to_owned(),
        reason: reason.to_owned(),
        text: "It is refused.".to_owned(),
        since: DateTime::UNIX_EPOCH,
        owner: Owner::default(),
        link: None,
    }
}

#[test]
fn a_label_tells_credentials_and_causes_apart() {
    let first = label(&message("uid-1", "Rejected"));
    // Processes of other versions must find it.
    assert_eq!(first, "jco-38d626ed777c2573a6a0");
    assert_eq!(first, label(&message("uid-1", "Rejected")));
    assert_ne!(first, label(&message("uid-2", "Rejected")));
    assert_ne!(first, label(&message("uid-1", "Expired")));
}

#[test]
fn an_issue_that_was_moved_closed_or_has_lost_its_label_is_not_the_one() {
    for (key, is_done, labels, expected) in [
        ("OPS-1", false, &["b", "jco-1"][..], true),
        ("OPS-1", true, &["jco-1"], false),
        ("NEW-7", false, &["jco-1"], false),
        ("OPS-X-1", false, &["jco-1"], false),
        ("OPS-1", false, &["jco-2"], false),
        ("OPS-1", false, &[], false),
    ] {
        let issue = Issue {
            key: key.to_owned(),
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
            is_done,
        };
        assert_eq!(is_open(&issue, "OPS", "jco-1"), expected, "{issue:?}");
    }
}

#[test]
fn what_nobody_may_have_been_told_is_doubtful() {
    let other = |verdict| IssueError::Other(Verdict::NoVerdict(verdict));
    for (error, expected) in [
        (denied(400, &[]), true),
        (denied(404, &[]), true),
        (denied(400, &["project"]), true),
        (denied(400, &["priority"]), false),
        (other(Outage::Anonymous), true),
        (other(Outage::Timeout), false),
    ] {
        assert_eq!(is_doubtful(&error), expected, "{error:?}");
    }
}

fn transition(id: &str, name: &str, target: &str, is_done: bool) -> Transition {
    Transition {
        id: id.to_owned(),
        name: name.to_owned(),
        target: target.to_owned(),
        is_done,
    }
}

#[test]
fn a_transition_is_chosen_by_name_then_by_target_then_by_category() {
    let all = [
        transition("1", "Start", "In Progress", false),
        transition("2", "Cancel", "Cancelled", true),
        transition("3", "Finish", "Done", true),
        transition("4", "Done", "Archive", false),
    ];
    for (wanted, id) in [
        (None, Some("2")),
        (Some("finish"), Some("3")),
        (Some("Done"), Some("4")),
        (Some("in progress"), Some("1")),
        (Some("Gone"), None),
    ] {
        let found = chosen(&all, wanted).map(|one| one.id.as_str());
        assert_eq!(found, id, "{wanted:?}");
    }
    assert_eq!(chosen(&all[..1], None), None);
}

fn tracker() -> Tracker {
    Tracker {
        namespace: "jira-operator".to_owned(),
        credential: "ticket-writer".to_owned(),
        project: "OPS".to_owned(),
        issue_type: "Task".to_owned(),
        labels: Vec::new(),
        done_transition: None,
    }
}

fn denied(status: u16, fields: &[&str]) -> IssueError {
    IssueError::Denied {
        status,
        fields: fields.iter().map(|&field| field.to_owned()).collect(),
    }
}

#[test]
fn a_failure_says_what_to_grant() {
    let scope = IssueError::Other(Verdict::Refused(Refusal::InsufficientScope));
    let refused = IssueError::Other(Verdict::Refused(Refusal::Rejected));
    let silent = IssueError::Other(Verdict::NoVerdict(Outage::Timeout));
    for (deed, error, words) in [
        (Deed::Search, denied(400, &[]), "Browse Projects"),
        (Deed::Create, denied(403, &[]), "Create Issues"),
        (Deed::Create, denied(400, &[]), "Create Issues"),
        (Deed::Create, denied(400, &[]), "validator"),
        (Deed::Create, denied(400, &["labels"]), "create screen"),
        (
            Deed::Create,
            denied(400, &["customfield_1", "priority"]),
            "customfield_1, priority",
        ),
        (Deed::Comment, denied(403, &[]), "Add Comments"),
        (Deed::Create, scope, "write:jira-work"),
        (
            Deed::Create,
            refused,
            "jira-operator/ticket-writer (rejected)",
        ),
        (Deed::Comment, silent, "timeout"),
    ] {
        let told = cause(deed, &error, &tracker());
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn only_a_wish_that_jira_does_not_take_is_dropped() {
    for (deed, error, dropped) in [
        (Deed::Create, denied(400, &["priority"]), true),
        // A lack of permission may be answered so.
        (Deed::Create, denied(400, &["project"]), false),
        (Deed::Create, denied(400, &["issuetype", "project"]), false),
        (Deed::Create, denied(404, &[]), false),
        (Deed::Create, denied(403, &["labels"]), false),
        (Deed::Create, denied(413, &[]), true),
        (Deed::Create, denied(400, &[]), false),
        (Deed::Create, denied(403, &[]), false),
        (Deed::Search, denied(400, &[]), false),
        (Deed::Comment, denied(403, &[]), true),
    ] {
        assert_eq!(is_dropped(deed, &error), dropped, "{error:?}");
    }
}

#[test]
fn the_memory_is_bounded_and_forgets_what_is_oldest() {
    let mut memory = Memory::default();
    let known = || Known {
        site: "https://acme.atlassian.net".to_owned(),
        key: "OPS-1".to_owned(),
        is_commented: false,
    };
    for number in 0..MOST_ISSUES {
        memory.keep(&number.to_string(), known());
    }
    memory.keep("0", known());
    memory.keep("one more", known());
    assert_eq!(memory.issues.len(), MOST_ISSUES);
    for (label, is_known) in [("0", true), ("1", false), ("2", true), ("one more", true)] {
        let found = memory.known(label, "https://acme.atlassian.net");
        assert_eq!(found.is_some(), is_known, "{label}");
    }
    assert!(memory.known("0", "https://other.atlassian.net").is_none());
}
