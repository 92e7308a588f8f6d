use http::{HeaderMap, HeaderValue, header};

use super::*;
use crate::core::probe::{Outage, Refusal, Verdict};

fn read(status: u16, kind: &'static str, body: &str) -> Option<IssueError> {
    read_with(HeaderMap::new(), status, kind, body)
}

fn read_with(
    mut headers: HeaderMap,
    status: u16,
    kind: &'static str,
    body: &str,
) -> Option<IssueError> {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    denied(&Answer {
        hosting: Hosting::Cloud,
        status,
        headers: &headers,
        body: body.as_bytes(),
        complete: true,
        now: chrono::DateTime::UNIX_EPOCH,
    })
}

const JSON: &str = "application/json;charset=UTF-8";

fn no(status: u16, fields: &[&str]) -> IssueError {
    IssueError::Denied {
        status,
        fields: fields.iter().map(|&field| field.to_owned()).collect(),
    }
}

#[test]
fn a_denial_names_fields_and_repeats_no_text() {
    let required = r#"{"errorMessages":[],"errors":{"customfield_10001":"canary is required.","a canary {x}":"no"}}"#;
    let bare = r#"{"errorMessages":["canary"],"errors":{}}"#;
    for (status, body, expected) in [
        (201, r#"{"key":"OPS-1"}"#, None),
        (204, "", None),
        (400, required, Some(no(400, &["customfield_10001"]))),
        (400, "{}", Some(no(400, &[]))),
        (403, bare, Some(no(403, &[]))),
        (404, bare, Some(no(404, &[]))),
        (413, bare, Some(no(413, &[]))),
    ] {
        let found = read(status, JSON, body);
        assert_eq!(found, expected, "{status} {body}");
        assert!(!format!("{found:?}").contains("canary"));
    }
}

#[test]
fn what_says_nothing_about_the_wish_is_no_denial() {
    for (status, kind, body) in [
        (200, "text/html", "<html>log in</html>"),
        (302, "text/html", ""),
        (401, JSON, r#"{"code":401,"message":"Unauthorized"}"#),
        (
            401,
            JSON,
            r#"{"code":401,"message":"Unauthorized; scope does not match"}"#,
        ),
        (403, "text/html", "<html>blocked</html>"),
        (404, "text/html", "<html>nothing here</html>"),
        (429, JSON, "{}"),
        (500, JSON, "{}"),
    ] {
        let found = read(status, kind, body);
        assert!(
            matches!(found, Some(IssueError::Other(_))),
            "{status} {body} {found:?}"
        );
    }
    let scope = r#"{"code":401,"message":"Unauthorized; scope does not match"}"#;
    let expected = Verdict::Refused(Refusal::InsufficientScope);
    assert_eq!(read(401, JSON, scope), Some(IssueError::Other(expected)));
}

#[test]
fn what_is_said_to_nobody_is_no_denial() {
    for (name, value) in [
        ("x-seraph-loginreason", "AUTHENTICATED_FAILED"),
        ("x-ausername", "anonymous"),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        for status in [200, 400, 403, 404] {
            let found = read_with(headers.clone(), status, JSON, "{}");
            assert!(
                matches!(
                    found,
                    Some(IssueError::Other(
                        Verdict::NoVerdict(Outage::Anonymous) | Verdict::Refused(_)
                    ))
                ),
                "{name} {status} {found:?}"
            );
        }
    }
}

#[test]
fn only_a_plain_key_goes_into_a_path() {
    for (key, is_one) in [
        ("OPS-12", true),
        ("A_B-1", true),
        ("", false),
        ("OPS-1/../../user", false),
        ("OPS-1?x", false),
    ] {
        let created = read_created(&Answer {
            hosting: Hosting::Cloud,
            status: 201,
            headers: &HeaderMap::new(),
            body: json!({"key": key}).to_string().as_bytes(),
            complete: true,
            now: chrono::DateTime::UNIX_EPOCH,
        });
        assert_eq!(created.is_ok(), is_one, "{key}");
    }
}

#[test]
fn the_search_asks_for_what_is_open() {
    assert_eq!(
        search("OPS", "jco-0123"),
        "project = \"OPS\" AND labels = \"jco-0123\" AND creator = currentUser() AND statusCategory != Done ORDER BY created ASC"
    );
}
