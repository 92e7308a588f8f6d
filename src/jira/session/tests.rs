use http::{HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use super::*;
use crate::api::Hosting;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )
    };
    let mut headers = HeaderMap::new();
    for (name, value) in pairs.iter().map(pair) {
        headers.append(name, value);
    }
    headers
}

fn reading(status: u16, pairs: &[(&'static str, &str)], body: &str) -> LoginAnswer {
    let headers = headers(pairs);
    read(&Answer {
        hosting: Hosting::DataCenter,
        status,
        headers: &headers,
        body: body.as_bytes(),
        complete: true,
        now: chrono::DateTime::UNIX_EPOCH,
    })
}

const JSON: (&str, &str) = ("content-type", "application/json;charset=UTF-8");

/// What Data Center answers to a login, as its documentation and reports have it.
#[test]
fn every_answer_to_a_login_has_one_meaning() {
    let begun = r#"{"session":{"name":"JSESSIONID","value":"6E3487971234567896704A9EB4AE501F"},"loginInfo":{"failedLoginCount":0,"loginCount":127}}"#;
    let login = ("content-type", "text/html;charset=UTF-8");
    let failed = ("x-seraph-loginreason", "AUTHENTICATED_FAILED");
    let denied = (
        "x-authentication-denied-reason",
        "CAPTCHA_CHALLENGE; login-url=https://jira.example/login.jsp",
    );
    let node = ("x-anodeid", "node1");
    for (status, pairs, body, expected) in [
        (200, vec![JSON, node], begun, "Begun"),
        (200, vec![login], "<html>", "Silent(NoVerdict(NotJson))"),
        (200, vec![JSON, node], "{}", "Silent(NoVerdict(NotAUser))"),
        (
            401,
            vec![JSON, failed],
            r#"{"errorMessages":["Login failed"],"errors":{}}"#,
            "Refused(As(Rejected))",
        ),
        (
            403,
            vec![login, denied, failed],
            "<html>",
            "Refused(As(CaptchaRequired))",
        ),
        (
            401,
            vec![login, denied],
            "<html>",
            "Refused(As(CaptchaRequired))",
        ),
        (
            403,
            vec![JSON, node],
            r#"{"message":"Basic Authentication has been disabled on this instance."}"#,
            "Refused(As(BasicAuthDisabled))",
        ),
        (
            403,
            vec![JSON, node],
            r#"{"errorMessages":["Further steps are required."]}"#,
            "Refused(MoreWanted)",
        ),
        (
            403,
            vec![("content-type", "text/html")],
            "<h1>Blocked</h1>",
            "Silent(NoVerdict(Unexpected(403)))",
        ),
        (404, vec![JSON], "{}", "Silent(NoVerdict(NotFound))"),
        (
            429,
            vec![JSON, node],
            "{}",
            "Silent(NoVerdict(RateLimited { retry_after: None }))",
        ),
        (
            503,
            vec![login],
            "<html>",
            "Silent(NoVerdict(ServerError(503)))",
        ),
        (
            302,
            vec![("location", "/login.jsp")],
            "",
            "Silent(NoVerdict(Redirect))",
        ),
        (
            404,
            vec![JSON, ("server", "AtlassianEdge")],
            "{}",
            "Refused(As(IsCloud))",
        ),
    ] {
        let answer = reading(status, &pairs, body);
        assert_eq!(format!("{answer:?}"), expected, "{status} {body}");
    }
}

#[test]
fn all_cookies_of_a_login_go_into_the_header_each_once() {
    let begun = r#"{"session":{"name":"JSESSIONID","value":"AB12"}}"#;
    let cookie = |pairs: &[(&'static str, &str)], body: &str| {
        let mut all = vec![JSON];
        all.extend_from_slice(pairs);
        match reading(200, &all, body) {
            LoginAnswer::Begun(cookie) => Some(cookie.expose_secret().to_owned()),
            LoginAnswer::Refused(_) | LoginAnswer::Silent(_) => None,
        }
    };
    let set = |value| ("set-cookie", value);
    for (pairs, expected) in [
        (vec![], "JSESSIONID=AB12"),
        (
            vec![
                set("JSESSIONID=AB12; Path=/; Secure; HttpOnly"),
                set("atlassian.xsrf.token=B1_lin; Path=/; Secure"),
                set("ROUTE=node2"),
                set("GONE=; Max-Age=0"),
            ],
            "JSESSIONID=AB12; atlassian.xsrf.token=B1_lin; ROUTE=node2",
        ),
    ] {
        assert_eq!(cookie(&pairs, begun).as_deref(), Some(expected));
    }
    for value in ["a\\r\\nHost: x", "a b", "a;b", "", "\u{e4}"] {
        let body = format!(r#"{{"session":{{"name":"JSESSIONID","value":"{value}"}}}}"#);
        assert_eq!(cookie(&[], &body), None, "{value}");
    }
    assert_eq!(
        cookie(&[], r#"{"session":{"name":"A=B","value":"x"}}"#),
        None
    );
}
