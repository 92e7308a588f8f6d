use http::{HeaderMap, HeaderValue, header};
use secrecy::ExposeSecret;

use super::*;
use crate::api::Hosting;

fn asked<T>(status: u16, kind: &str, body: &str, read: impl Fn(&Answer<'_>) -> T) -> T {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
    headers.insert("x-anodeid", HeaderValue::from_static("node1"));
    read(&Answer {
        hosting: Hosting::DataCenter,
        status,
        headers: &headers,
        body: body.as_bytes(),
        complete: true,
        now: DateTime::UNIX_EPOCH,
    })
}

const JSON: &str = "application/json";

fn wish(answer: &Answer<'_>) -> MintAnswer {
    read_made(answer, 30)
}

#[test]
fn every_answer_to_the_wish_for_a_token_has_one_meaning() {
    let error = |exception: &str, text: &str| {
        format!(r#"{{"exception":"com.atlassian.pats.exception.{exception}","error":"{text}"}}"#)
    };
    for (status, body, expected) in [
        (
            201,
            r#"{"id":4,"name":"n","rawToken":"secret","expiringAt":null}"#.to_owned(),
            "granted",
        ),
        (
            200,
            r#"{"id":"4","rawToken":"secret"}"#.to_owned(),
            "granted",
        ),
        (201, r#"{"id":4,"name":"n"}"#.to_owned(), "no_verdict"),
        (
            201,
            r#"{"id":"../4","rawToken":"secret"}"#.to_owned(),
            "no_verdict",
        ),
        (201, r#"{"id":4,"rawToken":"a b"}"#.to_owned(), "no_verdict"),
        (201, "<html>".to_owned(), "no_verdict"),
        (
            403,
            error("UserTokenLimitExceededException", "Too many."),
            "limit_reached",
        ),
        (
            400,
            error("UserTokenLimitExceededException", "Zu viele."),
            "limit_reached",
        ),
        // A translated text tells nothing, nor does a word of an English one.
        (
            403,
            error("AuthorisationException", "No limit."),
            "forbidden",
        ),
        (
            403,
            error("InvalidLicenseException", "Keine Lizenz."),
            "forbidden",
        ),
        (
            400,
            r#"{"exception":"java.lang.IllegalArgumentException","error":"Zu lang."}"#.to_owned(),
            "not_taken",
        ),
        (
            400,
            error("CreateTokenFailedException", "Limit."),
            "not_taken",
        ),
        (400, "<html>".to_owned(), "not_taken"),
        (403, "{}".to_owned(), "forbidden"),
        (403, "XSRF check failed".to_owned(), "no_verdict"),
        (404, "XSRF check failed".to_owned(), "no_verdict"),
        (404, "{}".to_owned(), "absent"),
        (405, "{}".to_owned(), "absent"),
        (401, error("AuthorisationException", "Non."), "refused"),
        (
            401,
            r#"{"message":"Client must be authenticated to access this resource."}"#.to_owned(),
            "refused",
        ),
        (429, "{}".to_owned(), "no_verdict"),
        (500, "{}".to_owned(), "no_verdict"),
        (302, String::new(), "no_verdict"),
    ] {
        let word = asked(status, JSON, &body, wish).word();
        assert_eq!(word, expected, "{status} {body}");
    }
    // The page of a Data Center, by a header of its own.
    let page = asked(403, "text/html", "<h1>Limit</h1>", wish);
    assert_eq!(page.word(), "forbidden");
}

#[test]
fn who_stands_before_jira_denies_nothing() {
    let proxy = |status, kind: &str, body: &str| {
        let headers = [(header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap())];
        read_made(
            &Answer {
                hosting: Hosting::DataCenter,
                status,
                headers: &headers.into_iter().collect(),
                body: body.as_bytes(),
                complete: true,
                now: DateTime::UNIX_EPOCH,
            },
            30,
        )
    };
    for (status, body) in [
        (400, "<html>"),
        (401, "<html>"),
        (403, "<html>limit"),
        (404, "<html>"),
        (405, "<html>"),
        (503, "<html>"),
    ] {
        let answer = proxy(status, "text/html", body);
        assert_eq!(answer.word(), "no_verdict", "{status}");
    }
}

#[test]
fn a_list_that_is_denied_says_why() {
    let denied = |denied| TokensError::Denied(denied);
    for (status, body, expected) in [
        (401, "{}", denied(Denied::As(Refusal::Rejected))),
        (403, "{}", denied(Denied::Forbidden)),
        (404, "{}", denied(Denied::Absent)),
        (
            429,
            "{}",
            Verdict::NoVerdict(Outage::RateLimited { retry_after: None }).into(),
        ),
        (
            500,
            "{}",
            Verdict::NoVerdict(Outage::ServerError(500)).into(),
        ),
        (200, "[{", Verdict::NoVerdict(Outage::BrokenJson).into()),
    ] {
        let error = asked(status, JSON, body, read_list).unwrap_err();
        assert_eq!(error, expected, "{status}");
    }
}

#[test]
fn a_token_says_when_it_ends_in_the_words_of_any_version() {
    let end = DateTime::from_timestamp(1_767_225_600, 0);
    for (text, expected) in [
        ("2026-01-01T00:00:00.000+0000", end),
        ("2026-01-01T00:00:00+0000", end),
        ("2026-01-01T00:00:00+00:00", end),
        ("2026-01-01T00:00:00.000Z", end),
        ("2026-01-01T02:00:00.000+0200", end),
        ("2026-01-01", None),
        ("soon", None),
    ] {
        assert_eq!(date(text), expected, "{text}");
    }
    let body = r#"{"id":4,"rawToken":"secret","expiringAt":"2026-01-01T00:00:00.000+0000"}"#;
    let MintAnswer::Made(made) = asked(201, JSON, body, wish) else {
        panic!("it was made");
    };
    assert_eq!((made.id.as_str(), made.expires), ("4", end));
    assert_eq!(made.token.expose_secret(), "secret");
    for (end, expected) in [
        ("null", None),
        (r#""soon""#, DateTime::from_timestamp(30 * 86_400, 0)),
    ] {
        let body = format!(r#"{{"id":4,"rawToken":"secret","expiringAt":{end}}}"#);
        let MintAnswer::Made(made) = asked(201, JSON, &body, wish) else {
            panic!("it was made");
        };
        assert_eq!(made.expires, expected, "{end}");
    }
}

#[test]
fn a_list_is_read_leniently_and_refused_when_it_is_none() {
    let body = r#"[
        {"id":1,"name":"by hand","createdAt":"2025-10-01T00:00:00.000+0000","expiringAt":null},
        {"id":2,"name":"x","createdAt":"bad","expiringAt":"2026-01-01T00:00:00+00:00","more":true},
        {"id":null,"name":"odd"}
    ]"#;
    let listed = asked(200, JSON, body, read_list).unwrap();
    let ids: Vec<&str> = listed.iter().map(|token| token.id.as_str()).collect();
    assert_eq!(ids, ["1", "2"]);
    assert!(listed[0].created.is_some() && listed[0].expires.is_none());
    assert!(listed[1].created.is_none() && listed[1].expires.is_some());
    for (status, kind, body) in [
        (200, "text/html", "<html>"),
        (200, JSON, "{}"),
        (401, JSON, "{}"),
        (403, JSON, "{}"),
        (404, JSON, "{}"),
        (500, JSON, "{}"),
    ] {
        assert!(
            asked(status, kind, body, read_list).is_err(),
            "{status} {body}"
        );
    }
}
